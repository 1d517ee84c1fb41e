//! Signals to supervise, and its work while it waits.

use crate::finish;
use harness::{DEADLINE, PENDING, Signal, Tree, process, wait_for, wait_until};
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn hup_ends_supervise() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    supervise.signal(Signal::HUP);
    let output = supervise.wait();
    let in_order = tree.suite().differs("HUP acts like svc -x, and the exit code is 0");
    let end = if in_order { (Some(0), None) } else { (None, Some(1)) };
    assert_eq!((output.code, output.signal), end, "{output}");
}

#[test]
fn a_stopped_supervise_obeys_when_it_continues() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", DEADLINE, || process::is_stopped(supervise.pid()));
    let said = if tree.suite().differs("svc warns that supervise has not read its command") {
        "svc: warning: a has not read the command yet\n"
    } else {
        ""
    };
    for letter in ["-o", "-t"] {
        tree.cmd("svc").args([letter, "a"]).run().is(0, "", said);
    }
    assert!(process::is_alive(pid));
    supervise.signal(Signal::CONT);
    process::wait_gone(pid);
    assert_eq!(tree.wait_down("a").want(), PENDING);
    finish(&tree, supervise, "a");
}

#[test]
fn supervise_waits_without_working() {
    let tree = Tree::new();
    tree.trapping_service("a", &[]);
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    let ticks = || -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", supervise.pid())).expect("stat");
        stat.split_whitespace().skip(13).take(2).map(|n| n.parse::<u64>().expect("a number")).sum()
    };
    // Wait until the start and its first second are over.
    let start = Instant::now();
    let used = wait_for("a second and a half", DEADLINE, || {
        (start.elapsed() > Duration::from_millis(1500)).then(ticks)
    });
    let again = wait_for("another second", DEADLINE, || {
        (start.elapsed() > Duration::from_millis(2500)).then(ticks)
    });
    assert!(again - used <= 1, "used {} clock ticks while it waited", again - used);
}
