//! svweb against real services, as a browser, a script and an attacker use it.

mod accessibility;
mod browser;
mod client;
mod control;
mod description;
mod driver;
mod events;
mod hostile;
mod limits;
mod metrics;
mod privileges;
mod reading;
mod requests;
mod soak;
mod starting;

use client::{Answer, request};
use harness::{Cmd, Process, Tree, wait_for};
use std::net::SocketAddr;

/// The token of the tests.
const TOKEN: &str = "0123456789abcdef-token";

/// The header with it.
const BEARER: &str = "Authorization: Bearer 0123456789abcdef-token";

/// A scan directory `s` with a running svscan, and svweb.
struct Site {
    tree: Tree,
    svscan: Option<Process>,
    web: Option<Process>,
    address: SocketAddr,
}

/// The command for svweb on the scan directory `s`.
fn svweb<'t>(tree: &'t Tree, arguments: &[&str]) -> Cmd<'t> {
    tree.cmd(env!("CARGO_BIN_EXE_svweb")).args(["-d", "s"]).args(arguments).env_remove("SVDIR")
}

/// Waits until svweb says on which address it serves.
#[track_caller]
fn address_of(web: &Process) -> SocketAddr {
    wait_for("the address of svweb", harness::DEADLINE, || {
        let text = web.stderr();
        let (_, rest) = text.split_once("serving on http://")?;
        rest.split_once('/')?.0.parse().ok()
    })
}

impl Site {
    /// Makes the services with `make`, and starts svscan and svweb.
    fn start(arguments: &[&str], make: impl FnOnce(&Tree)) -> Self {
        let tree = Tree::new();
        tree.mkdir("s");
        tree.write("token", TOKEN);
        tree.chmod("token", 0o600);
        make(&tree);
        let svscan = tree.cmd("svscan").arg("s").start();
        let all: Vec<&str> = ["--listen", "127.0.0.1:0"].iter().chain(arguments).copied().collect();
        let web = svweb(&tree, &all).start();
        let address = address_of(&web);
        Self { tree, svscan: Some(svscan), web: Some(web), address }
    }

    /// With one service, and control.
    fn controlled() -> Self {
        let site = Self::start(&["--token-file", "token", "--control"], |tree| {
            tree.idle_service("s/web");
        });
        site.wait_state("web", "up");
        site
    }

    #[track_caller]
    fn get(&self, path: &str) -> Answer {
        request(self.address, &format!("GET {path}"), &["Host: localhost"], "")
    }

    #[track_caller]
    fn wait_state(&self, name: &str, state: &str) {
        harness::wait_until(&format!("{name} is {state}"), harness::DEADLINE, || {
            let services = self.get("/api/v1/services").json();
            let services = services["services"].as_array().cloned().unwrap_or_default();
            services.iter().any(|it| it["name"] == name && it["state"] == state)
        });
    }

    fn web(&self) -> &Process {
        self.web.as_ref().expect("svweb runs")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.web.take());
        // The services end before the tree is removed. The tree kills what a failed test leaves.
        if let Some(svscan) = self.svscan.take()
            && !std::thread::panicking()
        {
            svscan.signal(harness::Signal::TERM);
            let _ = svscan.wait();
        }
    }
}
