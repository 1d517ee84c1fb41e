//! node_exporter: its collectors for runit and supervisord, and its textfile collector.

use super::{free_address, get};
use crate::Services;
use harness::{DEADLINE, Process, Signal, Tree, process, requires, wait_for, wait_until};
use std::net::SocketAddr;

/// A node_exporter with these options.
struct NodeExporter {
    _process: Process,
    address: SocketAddr,
}

impl NodeExporter {
    fn start(tree: &Tree, options: &[String]) -> Self {
        let address = free_address();
        let process = tree
            .cmd("prometheus-node-exporter")
            .args(["--collector.disable-defaults", "--log.level=warn"])
            .args(options)
            .arg(format!("--web.listen-address={address}"))
            .start();
        Self { _process: process, address }
    }

    /// The lines about metrics whose names begin in this way, comments included, without times.
    fn lines(&self, prefix: &str) -> Vec<String> {
        get(self.address, "/metrics").map(|text| lines(&text, prefix)).unwrap_or_default()
    }
}

fn lines(text: &str, prefix: &str) -> Vec<String> {
    let is_it = |line: &&str| {
        line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with(prefix)
    };
    let shown = text.lines().filter(is_it).map(|line| match line.rsplit_once(' ') {
        Some((series, _)) if series.contains("time") && !line.starts_with('#') => series.to_owned(),
        _ => line.to_owned(),
    });
    shown.collect()
}

/// The value of a series among these lines.
fn value<'t>(lines: &'t [String], series: &str) -> Option<&'t str> {
    lines.iter().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

#[test]
fn the_series_for_runit_are_those_of_node_exporter() {
    if !requires("prometheus-node-exporter") || !requires("runsvdir") {
        return;
    }
    let make = |tree: &Tree, scan: &str| {
        tree.service(format!("{scan}/up"), "#!/bin/sh\nexec sleep 1000\n");
        tree.service(format!("{scan}/off"), "#!/bin/sh\nexec sleep 1000\n");
        tree.write(format!("{scan}/off/down"), "");
        tree.service(format!("{scan}/ends"), "#!/bin/sh\nexit 3\n");
        tree.script(format!("{scan}/ends/finish"), "#!/bin/sh\nexec sleep 999\n");
        tree.write(format!("{scan}/ends/personality"), "runit\n");
        tree.service(format!("{scan}/stopped"), "#!/bin/sh\nexec sleep 1000\n");
    };
    let services = Services::start(|tree| make(tree, "s"));
    let tree = &services.tree;
    make(tree, "r");
    let runsvdir = tree.cmd("runsvdir").args(["-P", "r"]).start();
    let dir = tree.path("r").display().to_string();
    let node = NodeExporter::start(
        tree,
        &["--collector.runit".to_owned(), format!("--collector.runit.servicedir={dir}")],
    );
    let prefix = "node_service_";
    let ours = || lines(&services.run(&["metrics", "--compat", "runit"]).out(), prefix);
    let state =
        |name: &str| format!("node_service_state{{service=\"{name}\",supervisor=\"runit\"}}");
    for read in [&ours as &dyn Fn() -> Vec<String>, &|| node.lines(prefix)] {
        wait_until("the services have begun", DEADLINE, || {
            let found = read();
            [("up", "1"), ("stopped", "1"), ("ends", "2"), ("off", "0")]
                .iter()
                .all(|(name, wanted)| value(&found, &state(name)) == Some(wanted))
        });
    }
    services.run(&["down", "stopped"]);
    tree.cmd("sv").args(["down", "./r/stopped"]).run();
    wait_until("runit's service is down", DEADLINE, || {
        value(&node.lines(prefix), &state("stopped")) == Some("0")
    });
    assert_eq!(ours(), node.lines(prefix));
    // Without a limit of time, finish holds up the end of everything.
    for scan in ["s", "r"] {
        std::fs::write(tree.path(format!("{scan}/ends/supervise/control")), "d").expect("stop it");
        // Otherwise the end of finish could come first, and the service would start again.
        wait_until("the service is wanted down", DEADLINE, || {
            let status = std::fs::read(tree.path(format!("{scan}/ends/supervise/status")));
            status.is_ok_and(|status| status.get(17) == Some(&b'd'))
        });
    }
    tree.find(&["sleep", "999"]).into_iter().for_each(|pid| process::signal(pid, Signal::KILL));
    runsvdir.signal(Signal::HUP);
    runsvdir.wait();
}

#[test]
fn the_series_for_supervisord_are_those_of_node_exporter() {
    if !requires("prometheus-node-exporter") || !requires("supervisord") {
        return;
    }
    // The command of each program, and what supervisord needs for the same behaviour.
    let programs = [
        ("up", "exec sleep 1000", ""),
        ("off", "exec sleep 1000", "autostart=false\n"),
        ("stopped", "exec sleep 1000", ""),
        ("failed", "exit 3", "startretries=1\n"),
        ("ended", "sleep 1.5; exit 5", "autorestart=false\n"),
        ("killed", "sleep 1.5; kill -9 $$", "autorestart=false\n"),
    ];
    let services = Services::start(|tree| {
        for (name, command, _) in programs {
            tree.service(format!("s/{name}"), &format!("#!/bin/sh\n{command}\n"));
        }
        for once in ["off", "ended", "killed"] {
            tree.write(format!("s/{once}/down"), "");
        }
        tree.write("s/failed/restart-limit", "2 in 60s\n");
    });
    let tree = &services.tree;
    let socket = tree.path("supervisor.sock").display().to_string();
    let mut text = format!(
        "[unix_http_server]\nfile={socket}\n[supervisord]\nnodaemon=true\nlogfile=supervisord.log\n\
         pidfile=supervisord.pid\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{socket}\n"
    );
    for (name, command, options) in programs {
        text += &format!("[program:{name}]\ncommand=sh -c '{command}'\n{options}");
    }
    tree.write("supervisord.conf", text);
    let supervisord = tree.cmd("supervisord").args(["-c", "supervisord.conf"]).start();
    services.wait_state("off", "down");
    services.run(&["once", "ended", "killed"]);
    let node = NodeExporter::start(
        tree,
        &[
            "--collector.supervisord".to_owned(),
            format!("--collector.supervisord.url=unix://{socket}"),
        ],
    );
    let prefix = "node_supervisord_";
    let ours = || lines(&services.run(&["metrics", "--compat", "supervisord"]).out(), prefix);
    let state = |name: &str| format!("node_supervisord_state{{group=\"{name}\",name=\"{name}\"}}");
    let stop = || {
        services.tree.cmd("supervisorctl").args(["-c", "supervisord.conf", "stop", "stopped"]).run()
    };
    for (read, stop) in [
        (
            &ours as &dyn Fn() -> Vec<String>,
            &(|| services.run(&["down", "stopped"])) as &dyn Fn() -> harness::Output,
        ),
        (&|| node.lines(prefix), &stop),
    ] {
        let wait = |states: &[(&str, &str)]| {
            wait_until(&format!("the states are {states:?}"), 2 * DEADLINE, || {
                let found = read();
                states.iter().all(|(name, wanted)| value(&found, &state(name)) == Some(wanted))
            });
        };
        wait(&[("up", "20"), ("stopped", "20")]);
        stop();
        wait(&[
            ("stopped", "0"),
            ("off", "0"),
            ("failed", "200"),
            ("ended", "100"),
            ("killed", "100"),
        ]);
    }
    assert_eq!(ours(), node.lines(prefix));
    supervisord.signal(Signal::TERM);
    supervisord.wait();
}

#[test]
fn node_exporter_reads_the_file() {
    if !requires("prometheus-node-exporter") {
        return;
    }
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/früh \"1\"");
        tree.write("s/früh \"1\"/down", "");
        tree.mkdir("textfile");
    });
    services.wait_state("web", "up");
    let tree = &services.tree;
    let dir = tree.path("textfile").display().to_string();
    let node = NodeExporter::start(
        tree,
        &["--collector.textfile".to_owned(), format!("--collector.textfile.directory={dir}")],
    );
    services.run(&["metrics", "--textfile", "textfile/services.prom"]).is(0, "", "");
    let found = wait_for("the file is read", DEADLINE, || {
        let found = node.lines("daemontools_");
        (!found.is_empty()).then_some(found)
    });
    assert_eq!(value(&found, "daemontools_service_up{service=\"web\"}"), Some("1"));
    assert_eq!(value(&found, "daemontools_service_up{service=\"früh \\\"1\\\"\"}"), Some("0"));
    let problem = node.lines("node_textfile_scrape_error");
    assert_eq!(value(&problem, "node_textfile_scrape_error"), Some("0"), "{problem:?}");
}
