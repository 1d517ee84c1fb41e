//! svctl against real services, as a person and as a script use it.

mod completions;
mod control;
mod doctor;
mod edit;
mod events;
mod grant;
mod history;
mod hostile;
mod hosts;
mod hosts_limits;
mod import;
mod import_files;
mod links;
mod logs;
mod metrics;
mod reading;
mod starting;
mod takeover;
mod terminal;
mod top;
mod waiting;
mod why;

use harness::{Cmd, Output, Process, Tree, wait_until};
use serde_json::Value;

/// A scan directory `s` with a running svscan.
struct Services {
    tree: Tree,
    svscan: Option<Process>,
}

impl Services {
    /// Makes the services with `make`, and starts svscan.
    fn start(make: impl FnOnce(&Tree)) -> Self {
        let tree = Tree::new();
        tree.mkdir("s");
        make(&tree);
        let svscan = tree.cmd("svscan").arg("s").start();
        Self { tree, svscan: Some(svscan) }
    }

    /// Two services: `web` is up, and `cron` is down.
    #[track_caller]
    fn web_up_and_cron_down() -> Self {
        let services = Self::start(|tree| {
            tree.idle_service("s/web");
            tree.idle_service("s/cron");
            tree.write("s/cron/down", "");
        });
        services.wait_state("web", "up");
        services.wait_state("cron", "down");
        services
    }

    /// svctl on the scan directory.
    fn svctl(&self) -> Cmd<'_> {
        self.tree
            .cmd(env!("CARGO_BIN_EXE_svctl"))
            .args(["-d", "s"])
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .env_remove("SVDIR")
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Output {
        self.svctl().args(arguments).run()
    }

    /// The JSON of a command.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        serde_json::from_str(&output.out()).unwrap_or_else(|error| panic!("{error}: {output}"))
    }

    /// The object of a service in the list.
    #[track_caller]
    fn service(&self, name: &str) -> Value {
        let list = self.json(&["list", "--json", name]);
        list["services"][0].clone()
    }

    #[track_caller]
    fn wait_state(&self, name: &str, state: &str) {
        wait_until(&format!("{name} is {state}"), harness::DEADLINE, || {
            self.service(name)["state"] == state
        });
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // The services end before the tree is removed. The tree kills what a failed test leaves.
        if let Some(svscan) = self.svscan.take()
            && !std::thread::panicking()
        {
            svscan.signal(harness::Signal::TERM);
            let _ = svscan.wait();
        }
    }
}
