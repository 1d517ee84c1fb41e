//! Dependencies: the option file `needs`.

use crate::{kill_and_wait, write_into};
use harness::{DEADLINE, Process, Signal, Tree, process, wait_until};
use std::fs;
use std::time::Duration;
use system::{
    PROMPT, assert_idle, count, namespace, replace_supervise, state, stop_supervise, tree,
    wait_phase, wait_settled, wait_state,
};

/// The supervise of a service below svscan.
fn supervise_of(tree: &Tree, name: &str) -> u32 {
    harness::wait_for(&format!("a supervise of {name}"), DEADLINE, || {
        tree.find(&["supervise", name]).first().copied()
    })
}

/// A service that becomes ready when the test writes to its FIFO `go`.
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
fn stop_svscan(svscan: Process) -> String {
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    output.err()
}

#[test]
fn a_service_starts_when_its_dependencies_are_ready() {
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
    // The dependencies appear one after the other.
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
    // Without `restart`, the death of a dependency has no effect.
    kill_and_wait(&tree, "real/cache", cache);
    assert_eq!(tree.wait_up("real/web"), web);
    // `cache` was absent as well, but each start has one such line.
    let line = "supervise: warning: web needs db, and waits: there is no such service beside it\n";
    assert_eq!(stop_svscan(svscan), line);
}

#[test]
fn a_lost_dependency_restarts_the_service_if_configured() {
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
    let said = stop_svscan(svscan);
    let line = "supervise: warning: restarting web: it needs db, which has gone";
    assert_eq!(count(&said, line), 1, "{said}");
}

#[test]
fn a_killed_supervise_is_no_lost_dependency() {
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
        // The other supervise has handled every event of this.
        assert_idle(&[supervise_of(&tree, "web")], Duration::from_millis(200));
        assert_eq!((tree.wait_up("scan/db"), tree.wait_up("scan/web")), (db, web));
    }
    // A blocked service sees a dependency that was adopted.
    tree.svc("-d", "scan/web");
    tree.wait_down("scan/web");
    let supervise = supervise_of(&tree, "db");
    process::signal(supervise, Signal::KILL);
    wait_until("it has ended", DEADLINE, || !process::is_alive(supervise));
    tree.svc("-u", "scan/web");
    tree.wait_restart("scan/web", web);
    let said = stop_svscan(svscan);
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
    // After a correction `svc -u` starts the service, and the others follow.
    tree.write("scan/c/needs", "");
    tree.svc("-u", "scan/c");
    tree.wait_up("scan/c");
    tree.svc("-u", "scan/b");
    tree.svc("-u", "scan/a");
    for name in ["a", "b", "d"] {
        tree.wait_up(format!("scan/{name}"));
    }
    stop_svscan(svscan);
}

#[test]
fn a_blocked_service_obeys_commands() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/needs", "missing\n");
    let supervise = tree.supervise("a");
    wait_phase(&tree, "a", "blocked");
    let supervise = replace_supervise(&tree, supervise, "a");
    wait_phase(&tree, "a", "blocked");
    wait_state(&tree, "a", "waiting-for", "missing");
    tree.svc("-d", "a");
    wait_phase(&tree, "a", "down");
    tree.svc("-u", "a");
    wait_phase(&tree, "a", "blocked");
    // `svc -u` reads the corrected file.
    tree.remove("a/needs");
    tree.svc("-u", "a");
    tree.wait_up("a");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn dependencies_are_siblings_wherever_supervise_starts() {
    let tree = tree();
    for name in ["a", "b"] {
        tree.idle_service(format!("deep/scan/{name}"));
    }
    tree.write("deep/scan/a/needs", "b\n");
    let needed = tree.supervise("deep/scan/b");
    tree.wait_up("deep/scan/b");
    let supervise = tree.supervise("deep/scan/a");
    tree.wait_up("deep/scan/a");
    stop_supervise(&tree, supervise, "deep/scan/a");
    stop_supervise(&tree, needed, "deep/scan/b");
}

#[test]
fn a_dependency_is_found_where_supervisedir_puts_its_state() {
    let tree = tree();
    let base = tree.mkdir("base");
    tree.idle_service("scan/a");
    tree.write("scan/a/needs", "b\n");
    // It writes nothing into its directory, so that no other watch notices it.
    tree.service("scan/b", "#!/bin/sh\nexec sleep 1000\n");
    let supervise = tree.cmd("supervise").arg("scan/a").env("SUPERVISEDIR", &base).start();
    let is_blocked = || tree.cmd("svstat").args(["-x", "scan/a"]).env("SUPERVISEDIR", &base).run();
    wait_until("a waits for b", DEADLINE, || is_blocked().out().contains("waiting for b"));
    // Its state directory appears only now.
    let needed = tree.cmd("supervise").arg("scan/b").env("SUPERVISEDIR", &base).start();
    tree.wait_lines("scan/a/started", 1);
    for (process, dir) in [(supervise, "scan/a"), (needed, "scan/b")] {
        tree.cmd("svc").args(["-dx", dir]).env("SUPERVISEDIR", &base).run().is(0, "", "");
        process.wait().is(0, "", "");
    }
}

#[test]
fn a_need_that_does_not_exist_is_told_once() {
    let tree = tree();
    tree.idle_service("scan/web");
    tree.write("scan/web/needs", "dbb\n");
    let supervise = tree.supervise("scan/web");
    let line = "supervise: warning: scan/web needs dbb, and waits: there is no such service beside \
                it\n";
    assert_eq!(supervise.wait_stderr("needs dbb"), line);
    tree.svc("-u", "scan/web");
    tree.svc("-u", "scan/web");
    wait_phase(&tree, "scan/web", "blocked");
    tree.idle_service("scan/dbb");
    let needed = tree.supervise("scan/dbb");
    tree.wait_up("scan/web");
    assert_eq!(supervise.stderr(), line);
    stop_supervise(&tree, supervise, "scan/web");
    stop_supervise(&tree, needed, "scan/dbb");
}

// Limits of the kernel

#[test]
fn without_inotify_a_service_starts_within_seconds_and_at_once_when_the_limit_is_lifted() {
    for limit in ["max_inotify_instances", "max_inotify_watches"] {
        let tree = tree();
        let Some(namespace) = namespace(&tree) else { return };
        database(&tree, "scan/db");
        database(&tree, "scan/slow");
        tree.idle_service("scan/web");
        tree.write("scan/web/needs", "db\n");
        tree.idle_service("scan/late");
        tree.write("scan/late/needs", "slow\n");
        tree.fifo("lift", 0o600);
        let script = format!(
            "file=/proc/sys/user/{limit}\necho 0 >$file || exit\n\
             {{ read -r line; echo 1000 >$file; echo >lifted; }} <lift &\nexec svscan scan"
        );
        let svscan = tree.sh(&script).under(namespace).start();
        wait_phase(&tree, "scan/web", "blocked");
        let warning = "supervise: warning: unable to watch the services that web needs, looking at \
                       them every 5 seconds: ";
        svscan.wait_stderr(warning);
        tree.wait_lines("scan/db/started", 1);
        write_into(&tree, "scan/db/go", "go");
        wait_until("its next look starts it", DEADLINE, || tree.exists("scan/web/started"));
        // svscan looks every 5 seconds as well.
        tree.idle_service("scan/new");
        tree.wait_up("scan/new");
        // After the limit is lifted, the next look makes the watch.
        write_into(&tree, "lift", "lift");
        wait_until("it is lifted", DEADLINE, || tree.exists("lifted"));
        let supervise = supervise_of(&tree, "late");
        let has_watches = || {
            let infos = fs::read_dir(format!("/proc/{supervise}/fdinfo")).expect("its descriptors");
            let mut texts = infos.flatten().map(|info| fs::read_to_string(info.path()));
            texts.any(|text| text.is_ok_and(|text| text.contains("inotify ")))
        };
        wait_until("it watches", DEADLINE, has_watches);
        tree.wait_lines("scan/slow/started", 1);
        write_into(&tree, "scan/slow/go", "go");
        wait_until("it starts at once", PROMPT, || tree.exists("scan/late/started"));
        let said = stop_svscan(svscan);
        assert_eq!(count(&said, warning), 1, "{said}");
    }
}
