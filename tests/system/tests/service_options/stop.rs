//! How a service is stopped: the down signal, the kill timeout and the stop scope.

use crate::{group_base, kill_and_wait, last_pid, wait_ended, without_groups, write_into};
use harness::{DEADLINE, Process, Signal, Tree, process, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;
use system::{
    assert_exit_0, assert_idle, count, replace_supervise, state, stop_supervise, tree, wait_phase,
    wait_settled, wait_state,
};

/// A `run` that leaves a process behind in its own session, whose parent has exited. Its pid is in
/// `left`. That process runs `trap` first.
fn leaving_a_process(trap: &str) -> String {
    format!(
        "#!/bin/sh\necho $$ >>started\n\
         (setsid sh -c \"{trap} echo \\$\\$ >>left; while :; do sleep 0.05; done\" \
         >/dev/null 2>&1 &)\n\
         while [ ! -e left ]; do sleep 0.02; done\nexec sleep 1000\n"
    )
}

// Signals and timeouts

#[test]
fn down_signal_replaces_term() {
    let tree = tree();
    tree.trapping_service("a", &["HUP", "TERM", "CONT"]);
    tree.write("a/down-signal", "HUP\n");
    tree.write("a/timeout-kill", "500ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    wait_phase(&tree, "a", "stopping");
    tree.wait_down("a");
    assert!(!process::is_alive(pid));
    let signals = tree.text("a/signals");
    assert!(signals.contains("HUP") && !signals.contains("TERM"), "{signals}");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn timeout_kill_holds_for_the_next_supervise_too() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    tree.write("a/timeout-kill", "700ms\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    tree.wait_lines("a/signals", 1);
    tree.wait_want("a", b'd');
    let supervise = replace_supervise(&tree, supervise, "a");
    let status = tree.wait_down("a");
    assert_eq!(status.want(), b'd');
    wait_ended(pid);
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    // Without the file there is no kill.
    tree.remove("a/timeout-kill");
    tree.svc("-u", "a");
    tree.wait_lines("a/started", 2);
    tree.svc("-d", "a");
    tree.wait_lines("a/signals", 2);
    assert_idle(&[supervise.pid()], Duration::from_secs(1));
    tree.svc("-kx", "a");
    assert_exit_0(supervise);
}

#[test]
fn the_next_supervise_waits_for_finish() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/personality", "s6\n");
    tree.script("a/finish", "#!/bin/sh\necho \"$1 $2\" >>finished\nread -r line <go\n");
    tree.fifo("a/go", 0o600);
    tree.write("a/timeout-finish", "0\n");
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    process::signal(pid, Signal::KILL);
    assert_eq!(tree.wait_lines("a/finished", 1), ["256 9"]);
    wait_phase(&tree, "a", "finishing");
    let supervise = replace_supervise(&tree, supervise, "a");
    wait_phase(&tree, "a", "finishing");
    assert_idle(&[supervise.pid()], Duration::from_millis(1200));
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    write_into(&tree, "a/go", "go");
    tree.wait_restart("a", pid);
    assert_eq!(tree.wait_lines("a/started", 2).len(), 2);
    assert_eq!(tree.wait_lines("a/finished", 1).len(), 1);
    assert_eq!(supervise.stderr(), "");
    tree.svc("-dx", "a");
    write_into(&tree, "a/go", "go");
    assert_exit_0(supervise);
}

// Stop scope

#[test]
fn stop_scope_group_signals_the_whole_group() {
    let tree = tree();
    tree.service(
        "a",
        "#!/bin/sh\necho $$ >>started\nsleep 1000 &\necho $! >>below\nexec sleep 1001\n",
    );
    tree.write("a/stop-scope", "group\n");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let below = last_pid(&tree, "a/below", 1);
    assert_eq!(process::group(below), Some(pid));
    tree.svc("-d", "a");
    tree.wait_down("a");
    wait_ended(below);
    // A service that started before the file was there has no group of its own.
    tree.remove("a/stop-scope");
    tree.svc("-u", "a");
    let below = last_pid(&tree, "a/below", 2);
    tree.write("a/stop-scope", "group\n");
    let supervise = replace_supervise(&tree, supervise, "a");
    stop_supervise(&tree, supervise, "a");
    assert!(process::is_alive(below));
}

/// Asserts that leftover processes are ended with the service or after it.
fn assert_leftovers_end(tree: &Tree, start: impl Fn(&Tree) -> Process) {
    tree.service("a", &leaving_a_process(""));
    tree.write("a/stop-scope", "tree\n");
    let supervise = start(tree);
    let pid = wait_settled(tree, "a");
    let left = last_pid(tree, "a/left", 1);
    assert!(process::is_alive(left));
    tree.svc("-d", "a");
    tree.wait_down("a");
    wait_phase(tree, "a", "down");
    assert!(!process::is_alive(pid) && !process::is_alive(left));
    // The same after a death without a command, before the next start.
    tree.remove("a/left");
    tree.svc("-u", "a");
    let pid = wait_settled(tree, "a");
    let left = last_pid(tree, "a/left", 1);
    tree.remove("a/left");
    kill_and_wait(tree, "a", pid);
    assert!(!process::is_alive(left));
    assert_eq!(supervise.stderr(), "");
    last_pid(tree, "a/left", 1);
    assert_idle(&[supervise.pid()], Duration::from_millis(300));
    let left = last_pid(tree, "a/left", 1);
    stop_supervise(tree, supervise, "a");
    assert!(!process::is_alive(left));
}

#[test]
fn stop_scope_tree_ends_leftovers_without_control_groups() {
    let tree = tree();
    assert_leftovers_end(&tree, |tree| without_groups(tree, "a"));
    assert_eq!(state(&tree, "a", "cgroup"), None);
}

#[test]
fn stop_scope_tree_ends_leftovers_and_removes_the_control_group() {
    let Some(base) = group_base() else { return };
    let tree = tree();
    assert_leftovers_end(&tree, |tree| {
        let process = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base).start();
        tree.wait_supervised("a");
        // The control group counts the processor time.
        wait_until("svstat shows the processor time", DEADLINE, || {
            tree.cmd("svstat").args(["-x", "a"]).run().out().contains(", processor ")
        });
        process
    });
    let inode = fs::metadata(tree.path("a/supervise")).expect("it is there").ino();
    assert!(!base.join(format!("a.{inode}")).exists());
}

#[test]
fn leftovers_are_ended_although_supervise_was_killed() {
    let Some(base) = group_base() else { return };
    let tree = tree();
    tree.service("a", &leaving_a_process(""));
    tree.write("a/stop-scope", "tree\n");
    let start = || {
        let process = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base).start();
        tree.wait_supervised("a");
        process
    };
    let supervise = start();
    tree.wait_up("a");
    let left = last_pid(&tree, "a/left", 1);
    let inode = fs::metadata(tree.path("a/supervise")).expect("it is there").ino();
    let group = base.join(format!("a.{inode}"));
    wait_state(&tree, "a", "cgroup", &group.display().to_string());
    supervise.kill();
    let supervise = start();
    tree.svc("-d", "a");
    tree.wait_down("a");
    wait_phase(&tree, "a", "down");
    assert!(!process::is_alive(left));
    // The same if the service ends without a supervise.
    tree.remove("a/left");
    tree.svc("-u", "a");
    let pid = wait_settled(&tree, "a");
    let left = last_pid(&tree, "a/left", 1);
    supervise.kill();
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    let supervise = start();
    tree.wait_restart("a", pid);
    wait_ended(left);
    stop_supervise(&tree, supervise, "a");
    assert!(!group.exists());
}

#[test]
fn leftovers_of_an_adopted_service_are_ended_without_control_groups() {
    let tree = tree();
    // Without a session the process below `run` is known from the adoption, with one at the end.
    tree.service(
        "a",
        "#!/bin/sh\ntrap '' TERM\n(echo $$ >>shell; exec sh -c 'echo $$ >>left; exec sleep 1000') &\n\
         while [ ! -s left ]; do sleep 0.02; done\necho $$ >>started\nexec perl -e \
         '$SIG{TERM} = q(DEFAULT); sleep 1000'\n",
    );
    tree.write("a/stop-scope", "tree\n");
    tree.write("a/timeout-kill", "400ms\n");
    for (starts, personality) in [(1, "daemontools"), (2, "s6")] {
        tree.write("a/personality", personality);
        let supervise = without_groups(&tree, "a");
        tree.wait_lines("a/started", starts);
        let pid = wait_settled(&tree, "a");
        let left = last_pid(&tree, "a/left", starts);
        supervise.kill();
        let supervise = without_groups(&tree, "a");
        process::signal(pid, Signal::KILL);
        tree.wait_restart("a", pid);
        assert!(!process::is_alive(left), "under {personality}");
        stop_supervise(&tree, supervise, "a");
        tree.remove("a/left");
        tree.remove("a/started");
        tree.write("a/left", "0\n".repeat(starts));
        tree.write("a/started", "0\n".repeat(starts));
    }
}

/// Asserts that a leftover process that ignores TERM is named and killed.
fn assert_leftover_is_killed(tree: &Tree, supervise: Process) {
    tree.wait_up("a");
    let left = last_pid(tree, "a/left", 1);
    tree.svc("-d", "a");
    let said = supervise.wait_stderr("killed");
    // The shell may print a line before, and may have a child that it has just started.
    let start = "supervise: warning: a has left processes that are being killed: ";
    let named = said.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
    assert!(named.split(' ').any(|pid| pid == left.to_string()), "{said}");
    wait_phase(tree, "a", "down");
    assert!(!process::is_alive(left));
    stop_supervise(tree, supervise, "a");
}

#[test]
fn leftovers_that_ignore_term_are_named_and_killed() {
    let tree = tree();
    tree.service("a", &leaving_a_process("trap '' TERM;"));
    tree.write("a/stop-scope", "tree\n");
    tree.write("a/timeout-kill", "300ms\n");
    let supervise = without_groups(&tree, "a");
    assert_leftover_is_killed(&tree, supervise);
    if group_base().is_some() {
        tree.remove("a/left");
        let supervise = tree.supervise("a");
        assert_leftover_is_killed(&tree, supervise);
    }
}

#[test]
fn a_stopped_or_frozen_tree_ends() {
    let tree = tree();
    tree.service(
        "a",
        "#!/bin/sh\n(trap 'exit 0' TERM; echo $$ >/dev/null; while :; do sleep 0.05; done) &\n\
         echo $! >>left\ntrap 'exit 0' TERM\necho $$ >>started\nwhile :; do sleep 0.05; done\n",
    );
    tree.write("a/stop-scope", "tree\n");
    tree.write("a/timeout-kill", "1h\n");
    let base = group_base();
    let supervise = match &base {
        Some(base) => {
            let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", base).start();
            tree.wait_supervised("a");
            supervise
        }
        None => without_groups(&tree, "a"),
    };
    let pid = wait_settled(&tree, "a");
    tree.wait_lines("a/started", 1);
    let left = last_pid(&tree, "a/left", 1);
    for pid in [pid, left] {
        process::signal(pid, Signal::STOP);
        wait_until("it is stopped", DEADLINE, || process::is_stopped(pid));
    }
    tree.svc("-d", "a");
    wait_phase(&tree, "a", "down");
    assert!(!process::is_alive(pid) && !process::is_alive(left));
    let Some(base) = base else { return stop_supervise(&tree, supervise, "a") };
    tree.svc("-u", "a");
    tree.wait_lines("a/started", 2);
    let pid = wait_settled(&tree, "a");
    let inode = fs::metadata(tree.path("a/supervise")).expect("it is there").ino();
    let group = base.join(format!("a.{inode}"));
    fs::write(group.join("cgroup.freeze"), "1").expect("freeze the group");
    wait_until("it is frozen", DEADLINE, || {
        fs::read_to_string(group.join("cgroup.events")).is_ok_and(|text| text.contains("frozen 1"))
    });
    tree.svc("-d", "a");
    wait_phase(&tree, "a", "down");
    assert!(!process::is_alive(pid));
    // The shell may print lines too.
    let line = "supervise: info: thawing the frozen control group of a";
    assert_eq!(count(&supervise.stderr(), line), 1);
    tree.svc("-x", "a");
    let output = supervise.wait();
    assert_eq!(output.code, Some(0), "{output}");
}

// svscan

#[test]
fn svscan_t_kills_and_names_services_that_are_late() {
    let tree = tree();
    tree.trapping_service("scan/late", &["TERM"]);
    tree.idle_service("scan/quick");
    tree.service("scan/leaving", &leaving_a_process("trap '' TERM;"));
    tree.write("scan/leaving/stop-scope", "tree\n");
    tree.write("scan/leaving/timeout-kill", "1h\n");
    let svscan = tree.cmd("svscan").args(["-t", "1", "scan"]).start();
    let late = last_pid(&tree, "scan/late/started", 1);
    tree.wait_up("scan/quick");
    let left = last_pid(&tree, "scan/leaving/left", 1);
    svscan.signal(Signal::TERM);
    tree.wait_lines("scan/late/signals", 1);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    let said = output.err();
    for name in ["late", "leaving"] {
        let line = format!("svscan: warning: killing {name}, which has not ended in time");
        assert_eq!(count(&said, &line), 1, "{said}");
    }
    assert!(!said.contains("quick"), "{said}");
    assert!(!process::is_alive(late) && !process::is_alive(left));
    for name in ["late", "quick", "leaving"] {
        assert!(!tree.is_supervised(format!("scan/{name}")));
    }
}

#[test]
fn the_kill_timeout_of_a_service_comes_before_that_of_svscan() {
    let tree = tree();
    tree.trapping_service("scan/a", &["TERM"]);
    tree.write("scan/a/timeout-kill", "500ms\n");
    let svscan = tree.cmd("svscan").args(["-t", "30", "scan"]).start();
    let pid = last_pid(&tree, "scan/a/started", 1);
    svscan.signal(Signal::TERM);
    let line =
        format!("supervise: warning: killing process {pid} of a: it has not ended in time\n");
    svscan.wait_within(Duration::from_secs(15)).is(0, "", &line);
    assert!(!process::is_alive(pid));
}
