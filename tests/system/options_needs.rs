//! Order: services that need others.

use super::{finish, kill_and_wait, state, succeed, wait_phase, wait_state, write_into};
use harness::{DEADLINE, Process, Signal, Tree, process, wait_until};
use std::time::Duration;
use system::{assert_idle, count, tree, wait_settled};

/// The supervise of a service below svscan.
fn supervise_of(tree: &Tree, name: &str) -> u32 {
    harness::wait_for(&format!("a supervise of {name}"), DEADLINE, || {
        tree.find(&["supervise", name]).first().copied()
    })
}

/// A service that is ready when the test says so.
fn database(tree: &Tree, dir: &str) {
    tree.service(
        dir,
        "#!/bin/sh\necho $$ >>started\nread -r line <go\necho >&5\nexec sleep 1000\n",
    );
    tree.write(format!("{dir}/notification-fd"), "5\n");
    tree.fifo(format!("{dir}/go"), 0o600);
}

#[track_caller]
fn svscan(tree: &Tree) -> Process {
    tree.cmd("svscan").arg("scan").start()
}

#[track_caller]
fn end(svscan: Process) -> String {
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    output.err()
}

#[test]
fn a_service_is_started_when_what_it_needs_is_ready() {
    let tree = tree();
    database(&tree, "real/db");
    tree.idle_service("real/web");
    tree.write("real/web/needs", "db\ncache\n");
    tree.idle_service("real/cache");
    tree.mkdir("scan");
    tree.symlink("../real/web", "scan/web");
    let svscan = svscan(&tree);
    wait_phase(&tree, "real/web", "blocked");
    wait_state(&tree, "real/web", "waiting-for", "db");
    // One after the other comes.
    tree.symlink("../real/db", "scan/db");
    tree.wait_lines("real/db/started", 1);
    wait_phase(&tree, "real/db", "starting");
    wait_phase(&tree, "real/web", "blocked");
    let idle = [supervise_of(&tree, "web"), supervise_of(&tree, "db")];
    assert_idle(&idle, Duration::from_millis(500));
    write_into(&tree, "real/db/go", "go");
    wait_state(&tree, "real/web", "waiting-for", "cache");
    assert!(!tree.exists("real/web/started"));
    tree.symlink("../real/cache", "scan/cache");
    tree.wait_lines("real/web/started", 1);
    wait_phase(&tree, "real/web", "up");
    assert_eq!(state(&tree, "real/web", "waiting-for"), None);
    let (web, cache) = (tree.wait_up("real/web"), tree.wait_up("real/cache"));
    // Their deaths mean nothing to it.
    kill_and_wait(&tree, "real/cache", cache);
    assert_eq!(tree.wait_up("real/web"), web);
    assert_eq!(end(svscan), "");
}

#[test]
fn the_death_of_what_is_needed_is_a_restart_if_that_is_wanted() {
    let tree = tree();
    database(&tree, "scan/db");
    tree.idle_service("scan/web");
    tree.write("scan/web/needs", "db restart\n");
    let svscan = svscan(&tree);
    write_into(&tree, "scan/db/go", "go");
    let web = wait_settled(&tree, "scan/web");
    let db = tree.wait_up("scan/db");
    kill_and_wait(&tree, "scan/db", db);
    wait_phase(&tree, "scan/web", "blocked");
    wait_state(&tree, "scan/web", "reason", "needs");
    assert!(!process::is_alive(web));
    write_into(&tree, "scan/db/go", "go");
    tree.wait_restart("scan/web", web);
    assert_eq!(tree.wait_lines("scan/web/started", 2).len(), 2);
    let said = end(svscan);
    let line = "supervise: warning: restarting web: it needs db, which has gone";
    assert_eq!(count(&said, line), 1, "{said}");
}

#[test]
fn a_supervise_that_is_killed_is_not_what_was_needed() {
    let tree = tree();
    database(&tree, "scan/db");
    tree.idle_service("scan/web");
    tree.write("scan/web/needs", "db restart\n");
    let svscan = svscan(&tree);
    write_into(&tree, "scan/db/go", "go");
    let web = wait_settled(&tree, "scan/web");
    let db = tree.wait_up("scan/db");
    for _ in 0..3 {
        let supervise = supervise_of(&tree, "db");
        process::signal(supervise, Signal::KILL);
        wait_until("there is another", DEADLINE, || {
            tree.find(&["supervise", "db"]).iter().any(|&pid| pid != supervise)
                && tree.is_supervised("scan/db")
        });
        // Whatever that told the other one has been taken.
        assert_idle(&[supervise_of(&tree, "web")], Duration::from_millis(200));
        assert_eq!((tree.wait_up("scan/db"), tree.wait_up("scan/web")), (db, web));
    }
    // The waiting one sees what was taken over, too.
    tree.svc("-d", "scan/web");
    tree.wait_down("scan/web");
    let supervise = supervise_of(&tree, "db");
    process::signal(supervise, Signal::KILL);
    wait_until("it has gone", DEADLINE, || !process::is_alive(supervise));
    tree.svc("-u", "scan/web");
    tree.wait_restart("scan/web", web);
    let said = end(svscan);
    assert!(!said.contains("which has gone"), "{said}");
}

#[test]
fn a_cycle_is_refused_and_named() {
    let tree = tree();
    for (name, needs) in [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("self", "self")] {
        tree.idle_service(format!("scan/{name}"));
        tree.write(format!("scan/{name}/needs"), needs);
    }
    let svscan = svscan(&tree);
    for name in ["a", "b", "c", "self"] {
        wait_phase(&tree, &format!("scan/{name}"), "failed");
        wait_state(&tree, &format!("scan/{name}"), "reason", "cycle");
    }
    wait_phase(&tree, "scan/d", "blocked");
    let said = svscan.stderr();
    for line in [
        "not starting a: its needs lead back to it: a needs b needs c needs a",
        "not starting b: its needs lead back to it: b needs c needs a needs b",
        "not starting c: its needs lead back to it: c needs a needs b needs c",
        "not starting self: its needs lead back to it: self needs self",
    ] {
        assert_eq!(count(&said, line), 1, "{said}");
    }
    // Mended, it is started when somebody says so, and the others follow.
    tree.write("scan/c/needs", "");
    tree.svc("-u", "scan/c");
    tree.wait_up("scan/c");
    tree.svc("-u", "scan/b");
    tree.svc("-u", "scan/a");
    for name in ["a", "b", "d"] {
        tree.wait_up(format!("scan/{name}"));
    }
    end(svscan);
}

#[test]
fn who_waits_can_be_told_to_wait_no_longer() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/needs", "nobody\n");
    let supervise = tree.supervise("a");
    wait_phase(&tree, "a", "blocked");
    let supervise = succeed(&tree, supervise, "a");
    wait_phase(&tree, "a", "blocked");
    wait_state(&tree, "a", "waiting-for", "nobody");
    tree.svc("-d", "a");
    wait_phase(&tree, "a", "down");
    tree.svc("-u", "a");
    wait_phase(&tree, "a", "blocked");
    // A mended file is read when somebody says so.
    tree.remove("a/needs");
    tree.svc("-u", "a");
    tree.wait_up("a");
    finish(&tree, supervise, "a");
}

#[test]
fn needs_are_siblings_wherever_supervise_is_started() {
    let tree = tree();
    for name in ["a", "b"] {
        tree.idle_service(format!("deep/scan/{name}"));
    }
    tree.write("deep/scan/a/needs", "b\n");
    let needed = tree.supervise("deep/scan/b");
    tree.wait_up("deep/scan/b");
    let supervise = tree.supervise("deep/scan/a");
    tree.wait_up("deep/scan/a");
    finish(&tree, supervise, "deep/scan/a");
    finish(&tree, needed, "deep/scan/b");
}
