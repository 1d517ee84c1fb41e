//! The letter `o`: the service runs once.

use crate::finish;
use harness::{PENDING, Status, Tree};

#[test]
fn o_runs_a_service_which_is_down_once() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\necho $$ >>started\nexit 1\n");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    let before = tree.wait_down("a");
    tree.svc("-o", "a");
    let first = tree.wait_lines("a/started", 1);
    let ended = |s: &Status| s.pid() == 0 && s.time() > before.time();
    let status = tree.wait_status("a", "down after the run", ended);
    assert_eq!(&status.0[12..], b"\0\0\0\0\0\0");
    // A restart would have added a line.
    tree.svc("-o", "a");
    let both = tree.wait_lines("a/started", 2);
    assert_eq!(both[0], first[0]);
    tree.wait_status("a", "down after the second run", |s| {
        s.pid() == 0 && s.time() > status.time()
    });
    finish(&tree, supervise, "a");
    assert_eq!(tree.text("a/started").lines().count(), 2);
}

#[test]
fn o_lets_a_running_service_finish() {
    let tree = Tree::new();
    tree.trapping_service("a", &["TERM", "CONT", "HUP"]);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    tree.svc("-o", "a");
    assert_eq!(tree.wait_want("a", PENDING).pid(), pid);
    tree.svc("-h", "a");
    tree.wait_text("a/signals", "HUP");
    assert_eq!(tree.text("a/signals"), "HUP\n");
    tree.svc("-k", "a");
    let status = tree.wait_down("a");
    assert_eq!(status.want(), PENDING);
    tree.svc("-x", "a");
    supervise.wait().is(0, "", "");
    assert_eq!(tree.text("a/started").lines().count(), 1);
}

#[test]
fn u_after_o_makes_it_permanent_again() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.svc("-o", "a");
    tree.wait_want("a", PENDING);
    tree.svc("-u", "a");
    assert_eq!(tree.wait_want("a", b'u').pid(), pid);
    tree.svc("-t", "a");
    tree.wait_restart("a", pid);
    finish(&tree, supervise, "a");
}

#[test]
fn d_after_o_stops_it() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.svc("-o", "a");
    tree.wait_want("a", PENDING);
    tree.svc("-d", "a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    finish(&tree, supervise, "a");
}

#[test]
fn u_and_d_together_start_and_stop() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    let before = tree.wait_down("a");
    tree.svc("-ud", "a");
    let ended = |s: &Status| s.pid() == 0 && s.time() > before.time();
    assert_eq!(tree.wait_status("a", "down after a start", ended).want(), b'd');
    tree.svc("-x", "a");
    supervise.wait().is(0, "", "");
    assert!(tree.text("a/started").lines().count() <= 1);
}
