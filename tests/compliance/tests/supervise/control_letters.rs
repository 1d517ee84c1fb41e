//! Control letters.

use crate::finish;
use harness::{DEADLINE, PENDING, Tree, process, wait_until};

#[test]
fn u_starts_and_d_stops() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let first = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-d", "a");
    let status = tree.wait_down("a");
    assert_eq!(&status.0[12..], b"\0\0\0\0\0d");
    process::wait_gone(first);
    assert_eq!(tree.text("a/started").lines().count(), 1);
    tree.svc("-u", "a");
    let second = tree.wait_up("a");
    assert_ne!(second, first);
    assert_eq!(tree.wait_want("a", b'u').pid(), second);
    finish(&tree, supervise, "a");
}

#[test]
fn u_leaves_a_running_service_alone() {
    let tree = Tree::new();
    tree.trapping_service("a", &["HUP", "TERM", "CONT"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    tree.svc("-uh", "a");
    tree.wait_text("a/signals", "HUP");
    assert_eq!(tree.text("a/signals"), "HUP\n");
    assert_eq!(tree.wait_up("a"), pid);
}

#[test]
fn d_on_a_service_which_is_down_changes_nothing() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    let before = tree.wait_down("a");
    // The effect of the second letter shows that supervise has read the first.
    tree.svc("-do", "a");
    tree.wait_up("a");
    tree.svc("-d", "a");
    tree.wait_want("a", b'd');
    let after = tree.wait_down("a");
    assert_eq!(after.0[12..], before.0[12..]);
    finish(&tree, supervise, "a");
}

#[test]
fn d_sends_term_and_cont_and_waits_for_the_death() {
    let tree = Tree::new();
    tree.trapping_service("a", &["TERM", "CONT", "HUP"]);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    tree.svc("-d", "a");
    tree.wait_text("a/signals", "TERM");
    tree.wait_text("a/signals", "CONT");
    let status = tree.wait_want("a", b'd');
    assert_eq!(status.pid(), pid);
    tree.svc("-k", "a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    tree.svc("-x", "a");
    supervise.wait().is(0, "", "");
    assert_eq!(tree.text("a/started").lines().count(), 1);
}

#[test]
fn each_letter_for_a_signal_sends_that_signal() {
    let tree = Tree::new();
    let names = ["HUP", "ALRM", "INT", "TERM", "CONT"];
    tree.trapping_service("a", &names);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    let mut seen = String::new();
    for (letter, signal) in
        [("-h", "HUP"), ("-a", "ALRM"), ("-i", "INT"), ("-t", "TERM"), ("-c", "CONT")]
    {
        let before = tree.status("a");
        tree.svc(letter, "a");
        seen += &format!("{signal}\n");
        tree.wait_text("a/signals", &seen);
        assert_eq!(tree.text("a/signals"), seen);
        assert_eq!(tree.status("a"), before);
    }
    tree.svc("-k", "a");
    process::wait_gone(pid);
    tree.wait_restart("a", pid);
    tree.svc("-dkx", "a");
    supervise.wait().is(0, "", "");
}

#[test]
fn k_ends_a_service_which_is_then_started_again() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let first = tree.wait_up("a");
    tree.svc("-k", "a");
    tree.wait_restart("a", first);
    finish(&tree, supervise, "a");
}

#[test]
fn signals_to_a_service_which_is_down_are_dropped() {
    let tree = Tree::new();
    tree.trapping_service("a", &["HUP", "ALRM", "INT", "TERM", "CONT"]);
    tree.write("a/down", "");
    let _supervise = tree.supervise("a");
    tree.svc("-haitkcp", "a");
    tree.svc("-u", "a");
    tree.wait_lines("a/started", 1);
    let status = tree.wait_status("a", "up", |s| s.pid() != 0);
    assert_eq!(status.paused(), 0);
    tree.svc("-h", "a");
    tree.wait_text("a/signals", "HUP");
    assert_eq!(tree.text("a/signals"), "HUP\n");
}

#[test]
fn p_stops_and_c_continues() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    wait_until("the service is stopped", DEADLINE, || process::is_stopped(pid));
    let status = tree.wait_status("a", "paused", |s| s.paused() == 1);
    assert_eq!((status.pid(), status.want()), (pid, b'u'));
    tree.svc("-c", "a");
    wait_until("the service continues", DEADLINE, || !process::is_stopped(pid));
    let status = tree.wait_status("a", "not paused", |s| s.paused() == 0);
    assert_eq!((status.pid(), status.want()), (pid, b'u'));
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_which_is_down_is_never_paused() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    tree.svc("-po", "a");
    let status = tree.wait_want("a", PENDING);
    assert_eq!(status.paused(), 0);
    let pid = tree.wait_up("a");
    assert!(!process::is_stopped(pid));
    finish(&tree, supervise, "a");
}

#[test]
fn d_ends_a_paused_service() {
    let tree = Tree::new();
    tree.trapping_service("a", &["TERM"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    wait_until("the service is stopped", DEADLINE, || process::is_stopped(pid));
    tree.svc("-d", "a");
    let status = tree.wait_want("a", b'd');
    assert_eq!((status.pid(), status.paused()), (pid, 0));
    tree.wait_text("a/signals", "TERM");
}

#[test]
fn t_waits_for_a_paused_service_to_continue() {
    let tree = Tree::new();
    tree.trapping_service("a", &["TERM"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    // The effect of the last letter on the status shows that supervise has handled all.
    tree.svc("-pto", "a");
    tree.wait_want("a", PENDING);
    wait_until("the service is stopped", DEADLINE, || process::is_stopped(pid));
    assert_eq!(tree.text("a/signals"), "");
    assert_eq!(tree.status("a").expect("there is one").paused(), 1);
    tree.svc("-c", "a");
    tree.wait_text("a/signals", "TERM");
}

#[test]
fn a_new_start_is_not_paused() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let first = tree.wait_up("a");
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    tree.svc("-k", "a");
    let second = tree.wait_restart("a", first);
    let status = tree.wait_status("a", "up again", |s| s.pid() == second);
    assert_eq!(status.paused(), 0);
    finish(&tree, supervise, "a");
}

#[test]
fn unknown_letters_are_ignored() {
    let tree = Tree::new();
    tree.trapping_service("a", &["HUP", "TERM", "CONT", "ALRM", "INT", "QUIT", "USR1", "USR2"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    let before = tree.status("a");
    tree.write("letters", b"bzUDXv\0\n -\xff0:?h");
    tree.sh("cat letters >a/supervise/control").run().is(0, "", "");
    tree.wait_text("a/signals", "HUP");
    assert_eq!(tree.text("a/signals"), "HUP\n");
    assert_eq!(tree.status("a"), before);
    assert_eq!(tree.wait_up("a"), pid);
}

#[test]
fn letters_are_obeyed_in_order() {
    let tree = Tree::new();
    tree.trapping_service("a", &["HUP", "ALRM", "INT", "TERM"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    tree.wait_up("a");
    tree.svc("-ud", "a");
    assert_eq!(tree.wait_want("a", b'd').paused(), 0);
    tree.svc("-du", "a");
    tree.wait_want("a", b'u');
    tree.svc("-cp", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    tree.svc("-pc", "a");
    tree.wait_status("a", "not paused", |s| s.paused() == 0);
}

#[test]
fn any_process_may_write_letters_and_need_not_close_the_control() {
    let tree = Tree::new();
    tree.trapping_service("a", &["HUP", "ALRM", "INT"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let _writer = tree.sh("exec 5>a/supervise/control; printf h >&5; exec sleep 1000").start();
    tree.wait_text("a/signals", "HUP");
    tree.sh("printf a >a/supervise/control").run().is(0, "", "");
    tree.wait_text("a/signals", "ALRM");
    tree.svc("-i", "a");
    tree.wait_text("a/signals", "INT");
}

#[test]
fn signals_go_to_the_process_and_not_to_its_children() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nsleep 1000 &\necho $! >child\nwait\n");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    let child: u32 = tree.wait_lines("a/child", 1)[0].parse().expect("a pid");
    finish(&tree, supervise, "a");
    assert!(process::is_alive(child));
}
