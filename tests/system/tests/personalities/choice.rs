//! Which personality a service directory has.

use crate::{STAYS, saying, service, wait_svstat};
use harness::{Signal, process};
use std::time::Duration;
use system::{age, assert_exit_0, stop_supervise, tree, wait_settled};

#[test]
fn the_file_wins_over_the_variable() {
    let tree = service("s6", "#!/bin/sh\necho run \"$@\" >>order\nexit 100\n");
    tree.script("a/finish", saying("finish"));
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_PERSONALITY", "encore").start();
    tree.wait_supervised("a");
    let lines = tree.wait_lines("a/order", 3);
    assert_eq!([&lines[0], &lines[2]], ["run a", "run a"]);
    // The process group of run follows.
    assert!(lines[1].starts_with("finish 100 0 a "), "{lines:?}");
    assert_eq!(tree.status("a").map(|status| status.0.len()), Some(18));
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
    // A file can also name the original's own personality.
    let tree = service("daemontools", "#!/bin/sh\necho run \"$@\" >>order\nexit 100\n");
    tree.script("a/start", saying("start"));
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_PERSONALITY", "encore").start();
    tree.wait_supervised("a");
    assert_eq!(tree.wait_lines("a/order", 2)[..2], ["run", "run"]);
    assert_eq!(tree.status("a").map(|status| status.0.len()), Some(18));
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
}

#[test]
fn the_variable_alone_chooses_too() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho run >>order\nexit 100\n");
    tree.script("a/start", saying("start"));
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_PERSONALITY", "encore").start();
    tree.wait_supervised("a");
    wait_svstat(&tree, "down x seconds, normally up, failed");
    assert_eq!(tree.text("a/order"), "start\nrun\n");
    tree.svc("-x", "a");
    assert_exit_0(supervise);
}

#[test]
fn an_unknown_personality_is_reported_and_starts_nothing() {
    let tree = service("deamontools", STAYS);
    let supervise = tree.supervise("a");
    let said = "supervise: warning: a/personality line 1: \"deamontools\": want daemontools, \
                encore, s6 or runit, as in s6\n";
    supervise.wait_stderr("\n");
    assert_eq!(supervise.stderr(), said);
    tree.wait_status("a", "not started", |s| s.pid() == 0 && s.want() == b'u');
    // After a correction `svc -u` starts the service.
    tree.write("a/personality", "daemontools\n");
    tree.svc("-u", "a");
    assert_eq!(tree.wait_lines("a/order", 1), ["run"]);
    stop_supervise(&tree, supervise, "a");
    // The same for the variable.
    tree.remove("a/personality");
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_PERSONALITY", "ecnore").start();
    tree.wait_supervised("a");
    supervise.wait_stderr(
        "a/DAEMONTOOLS_PERSONALITY: \"ecnore\": want daemontools, encore, s6 or runit",
    );
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
    assert_eq!(tree.text("a/order"), "run\n");
}

#[test]
fn an_unknown_personality_leaves_a_running_service_alone() {
    let tree = service("encore", STAYS);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.write("a/personality", "unknown\n");
    supervise.kill();
    let supervise = tree.supervise("a");
    supervise.wait_stderr("a/personality line 1: \"unknown\"");
    assert_eq!(tree.wait_up("a"), pid);
    wait_settled(&tree, "a");
    process::signal(pid, Signal::TERM);
    tree.wait_down("a");
    tree.svc("-dx", "a");
    assert_exit_0(supervise);
    assert_eq!(tree.text("a/order"), "run\n");
}

#[test]
fn without_a_personality_these_names_mean_nothing() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\necho run \"$@\" >>order\n>>ran\nexit 100\n");
    for name in ["start", "stop", "finish", "notify", "check", "log", "control/t", "control/d"] {
        tree.script(format!("a/{name}"), saying(name));
    }
    let supervise = tree.supervise("a");
    tree.wait_lines("a/order", 2);
    tree.script("a/run", STAYS);
    let pid = wait_settled(&tree, "a");
    assert_ne!(process::session(pid), Some(pid));
    let status = tree.status("a").expect("a status");
    assert!(status.0.len() == 18 && age(&status) > Duration::from_secs(1));
    for command in ["-t", "-d", "-u"] {
        tree.svc(command, "a");
    }
    tree.wait_restart("a", pid);
    stop_supervise(&tree, supervise, "a");
    assert!(!tree.exists("a/supervise/state"));
    let order = tree.text("a/order");
    assert!(order.lines().all(|line| line == "run"), "{order}");
}

#[test]
fn the_target_of_a_dangling_supervise_link_is_created() {
    for personality in ["daemontools", "encore", "s6", "runit"] {
        let tree = service(personality, STAYS);
        tree.mkdir("run");
        tree.symlink("../run/a", "a/supervise");
        let supervise = tree.supervise("a");
        tree.wait_up("a");
        assert!(tree.exists("run/a/status"));
        stop_supervise(&tree, supervise, "a");
    }
}
