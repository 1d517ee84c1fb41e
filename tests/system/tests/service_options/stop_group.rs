//! `stop-scope group`: the service is down when its process group is empty.

use crate::{kill_and_wait, last_pid, wait_ended, write_into};
use harness::{Signal, Tree, process};
use system::{replace_supervise, stop_supervise, tree, wait_phase, wait_settled};

/// A `run` that ends at TERM and leaves two processes behind: one in its group, whose pid is in
/// `member`, and one in a session of its own, whose pid is in `outside`. Both ignore TERM.
const LEAVING: &str = "#!/bin/sh\n\
    (trap '' TERM; echo $$ >/dev/null; exec sh -c 'echo $$ >>member; while :; do sleep 0.05; done') &\n\
    (exec setsid sh -c 'trap \"\" TERM; echo $$ >>outside; while :; do sleep 0.05; done') &\n\
    while [ ! -s member ] || [ ! -s outside ]; do sleep 0.02; done\n\
    echo $$ >>started\nexec sleep 1000\n";

/// A service that leaves a member of its group behind, which gets KILL after this time.
fn leaving(tree: &Tree, timeout: &str) {
    tree.service("a", LEAVING);
    tree.write("a/stop-scope", "group\n");
    tree.write("a/timeout-kill", timeout);
}

/// The processes that the last start has left or will leave: the member and the one outside.
fn pids(tree: &Tree, starts: usize) -> [u32; 2] {
    ["a/member", "a/outside"].map(|file| last_pid(tree, file, starts))
}

/// Ends the process outside the group, which no stop of the group reaches.
fn end_outside(outside: u32) {
    assert!(process::is_alive(outside));
    process::signal(outside, Signal::KILL);
    wait_ended(outside);
}

#[test]
fn a_service_is_not_down_while_a_member_of_its_group_lives() {
    let tree = tree();
    leaving(&tree, "1h\n");
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    let [member, outside] = pids(&tree, 1);
    tree.svc("-d", "a");
    process::wait_gone(pid);
    wait_phase(&tree, "a", "stopping");
    let waiting = tree.cmd("svc").args(["-W", "down", "-T", "400", "-d", "a"]).run();
    assert_eq!(waiting.code, Some(99), "{waiting}");
    assert!(process::is_alive(member));
    // A signal by hand reaches it, although no process of `run` is left.
    tree.svc("-k", "a");
    wait_phase(&tree, "a", "down");
    assert!(!process::is_alive(member));
    end_outside(outside);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn the_members_of_the_group_get_kill_in_time() {
    let tree = tree();
    leaving(&tree, "400ms\n");
    let supervise = tree.supervise("a");
    let mut pid = wait_settled(&tree, "a");
    // After a death without a command, the next start waits for the end of the group.
    for starts in 1..=2 {
        let [member, outside] = pids(&tree, starts);
        pid = kill_and_wait(&tree, "a", pid);
        assert!(!process::is_alive(member));
        end_outside(outside);
        tree.wait_lines("a/started", starts + 1);
    }
    let [member, outside] = pids(&tree, 3);
    supervise.signal(Signal::TERM);
    assert!(
        supervise
            .wait_stderr(&member.to_string())
            .contains("supervise: warning: a has left processes that are being killed: ")
    );
    let output = supervise.wait();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!process::is_alive(pid) && !process::is_alive(member));
    end_outside(outside);
}

#[test]
fn the_next_supervise_ends_the_group_too() {
    let tree = tree();
    leaving(&tree, "400ms\n");
    // The service is adopted, and ends under a supervise that did not start it.
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    let [member, outside] = pids(&tree, 1);
    let supervise = replace_supervise(&tree, supervise, "a");
    process::signal(pid, Signal::KILL);
    tree.wait_restart("a", pid);
    assert!(!process::is_alive(member));
    end_outside(outside);
    // The service ends while there is no supervise.
    tree.wait_lines("a/started", 2);
    let pid = wait_settled(&tree, "a");
    let [member, outside] = pids(&tree, 2);
    supervise.kill();
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    let supervise = tree.supervise("a");
    tree.wait_restart("a", pid);
    assert!(!process::is_alive(member));
    end_outside(outside);
    // The supervise is killed while it waits for the group.
    tree.wait_lines("a/started", 3);
    let pid = wait_settled(&tree, "a");
    let [member, outside] = pids(&tree, 3);
    tree.write("a/timeout-kill", "1h\n");
    let supervise = replace_supervise(&tree, supervise, "a");
    tree.svc("-d", "a");
    process::wait_gone(pid);
    wait_phase(&tree, "a", "stopping");
    tree.write("a/timeout-kill", "400ms\n");
    supervise.kill();
    let supervise = tree.supervise("a");
    wait_phase(&tree, "a", "down");
    assert!(!process::is_alive(member));
    end_outside(outside);
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn an_adopted_service_is_down_as_soon_as_its_group_is_empty() {
    let tree = tree();
    tree.service(
        "a",
        "#!/bin/sh\n(trap '' TERM; exec sh -c 'echo $$ >>member; read -r line <go') &\n\
         while [ ! -s member ]; do sleep 0.02; done\necho $$ >>started\nexec sleep 1000\n",
    );
    tree.fifo("a/go", 0o600);
    tree.write("a/stop-scope", "group\n");
    tree.write("a/timeout-kill", "1h\n");
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    let member = last_pid(&tree, "a/member", 1);
    let supervise = replace_supervise(&tree, supervise, "a");
    tree.svc("-d", "a");
    process::wait_gone(pid);
    wait_phase(&tree, "a", "stopping");
    assert!(process::is_alive(member));
    write_into(&tree, "a/go", "go");
    wait_phase(&tree, "a", "down");
    assert!(!process::is_alive(member));
    stop_supervise(&tree, supervise, "a");
}
