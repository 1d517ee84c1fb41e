//! setlock and flock(1) respect each other's locks.

use crate::fails;
use harness::{DEADLINE, Process, Tree, process, wait_until};
use system::tree;

/// Starts a shell that holds the lock by flock(1) until it is killed.
#[track_caller]
fn flock(tree: &Tree) -> Process {
    let shell = tree.sh("exec 9>>lock; flock 9; echo >held; exec sleep 1000").start();
    tree.wait_lines("held", 1);
    tree.remove("held");
    shell
}

#[test]
fn setlock_respects_a_lock_of_flock() {
    let tree = tree();
    let holder = flock(&tree);
    let held = "setlock: fatal: unable to lock lock: temporary failure";
    fails(tree.cmd("setlock").args(["-n", "lock", "touch", "ran"]), held);
    tree.cmd("setlock").args(["-nx", "lock", "touch", "ran"]).run().is(0, "", "");
    let waiting = tree.cmd("setlock").args(["lock", "echo", "got it"]).start();
    let sleeping = || process::state(waiting.pid()) == Some('S');
    wait_until("setlock waits", DEADLINE, || {
        sleeping() && process::has_open(waiting.pid(), &tree.path("lock"))
    });
    assert_eq!(waiting.stdout(), "");
    assert!(!tree.exists("ran"));
    let _ = holder.kill();
    waiting.wait().is(0, "got it\n", "");
}

#[test]
fn flock_respects_a_lock_of_setlock() {
    let tree = tree();
    let script = "echo >held; exec sleep 1000";
    let holder = tree.cmd("setlock").args(["lock", "sh", "-c", script]).start();
    tree.wait_lines("held", 1);
    assert_eq!(tree.cmd("flock").args(["-n", "lock", "touch", "ran"]).run().code, Some(1));
    assert!(!tree.exists("ran"));
    let waiting = tree.cmd("flock").args(["lock", "echo", "got it"]).start();
    wait_until("flock waits", DEADLINE, || process::has_open(waiting.pid(), &tree.path("lock")));
    assert_eq!(waiting.stdout(), "");
    // The lock belongs to the program, and ends with it.
    let _ = holder.kill();
    waiting.wait().is(0, "got it\n", "");
}
