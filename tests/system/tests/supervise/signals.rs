//! How supervise obeys TERM, INT, HUP and QUIT.

use harness::{DEADLINE, Signal, process, wait_until};
use system::{PROMPT, time_between, tree, wait_settled};

#[test]
fn term_and_int_end_the_service_and_then_supervise() {
    for signal in [Signal::TERM, Signal::INT] {
        let tree = tree();
        tree.idle_service("a");
        let supervise = tree.supervise("a");
        let pid = tree.wait_up("a");
        tree.wait_lines("a/started", 1);
        supervise.signal(signal);
        supervise.wait().is(0, "", "");
        assert!(!process::is_alive(pid));
        let status = tree.status("a").expect("a status");
        assert_eq!((status.pid(), status.want()), (0, b'd'));
        assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
        assert!(!tree.is_supervised("a"));
    }
}

#[test]
fn term_ends_a_paused_service() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    wait_until("it is stopped", PROMPT, || process::is_stopped(pid));
    supervise.signal(Signal::TERM);
    supervise.wait().is(0, "", "");
    assert!(!process::is_alive(pid));
}

#[test]
fn term_ends_a_supervise_without_a_process() {
    let tree = tree();
    tree.idle_service("down");
    tree.write("down/down", "");
    let supervise = tree.supervise("down");
    supervise.signal(Signal::TERM);
    supervise.wait_within(PROMPT).is(0, "", "");
    // Between two starts.
    tree.service("quick", "#!/bin/sh\nexec 2>&-\nexit 1\n");
    let supervise = tree.supervise("quick");
    tree.wait_status("quick", "waits for its next start", |s| s.pid() == 0);
    supervise.signal(Signal::TERM);
    supervise.wait_within(PROMPT).is(0, "", "");
    assert!(!tree.is_supervised("quick"));
}

#[test]
fn term_waits_for_a_slow_service() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    let mut supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    supervise.signal(Signal::TERM);
    tree.wait_lines("a/signals", 1);
    assert!(!supervise.has_ended());
    assert!(process::is_alive(pid));
    // supervise still reads commands.
    tree.svc("-k", "a");
    supervise.wait().is(0, "", "");
}

#[test]
fn hup_leaves_when_the_service_ends_by_itself() {
    let tree = tree();
    tree.idle_service("a");
    let mut supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    supervise.signal(Signal::HUP);
    // When a later command is obeyed, the signal was read.
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    tree.svc("-c", "a");
    assert!(process::is_alive(pid) && !supervise.has_ended());
    assert_eq!(tree.wait_up("a"), pid);
    process::signal(pid, Signal::TERM);
    supervise.wait_within(PROMPT).is(0, "", "");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn hup_counts_even_if_the_service_has_ended_before_it_is_read() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", PROMPT, || process::is_stopped(supervise.pid()));
    // svscan does so with a logger's supervise, and closes the pipe.
    supervise.signal(Signal::HUP);
    process::signal(pid, Signal::KILL);
    wait_until("the service has ended", PROMPT, || process::state(pid) == Some('Z'));
    supervise.signal(Signal::CONT);
    supervise.wait_within(PROMPT).is(0, "", "");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn hup_and_int_ignored_at_the_start_stay_ignored() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.sh("trap '' INT HUP; exec supervise a").start();
    let pid = wait_settled(&tree, "a");
    supervise.signal(Signal::INT);
    supervise.signal(Signal::HUP);
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1 && s.want() == b'u');
    tree.svc("-ck", "a");
    tree.wait_restart("a", pid);
    // TERM always works.
    supervise.signal(Signal::TERM);
    supervise.wait().is(0, "", "");
}

#[test]
fn term_is_obeyed_even_if_it_was_ignored_at_the_start() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexec grep SigIgn /proc/self/status\n");
    let supervise = tree.sh("trap '' TERM; exec supervise a >found").start();
    let found = tree.wait_lines("found", 1);
    supervise.signal(Signal::TERM);
    supervise.wait_within(PROMPT).is(0, "", "");
    // The service inherits the ignored signal.
    let wanted = tree.sh("trap '' TERM; exec grep SigIgn /proc/self/status").run().out();
    assert_eq!(found[0], wanted.trim_end());
}

#[test]
fn quit_makes_supervise_kill_its_service_and_leave() {
    let tree = tree();
    tree.trapping_service("a", &["TERM", "QUIT"]);
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let up = tree.status("a").expect("a status");
    supervise.signal(Signal::QUIT);
    supervise.wait_within(PROMPT).is(0, "", "");
    assert!(!process::is_alive(pid));
    let down = tree.status("a").expect("a status");
    assert_eq!((down.pid(), down.want()), (0, b'd'));
    assert!(time_between(&up, &down) < DEADLINE);
}
