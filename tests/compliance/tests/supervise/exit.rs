//! The letter `x`: supervise exits.

use harness::{Tree, process};

#[test]
fn x_on_a_service_which_is_down_ends_supervise() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    tree.svc("-x", "a");
    supervise.wait().is(0, "", "");
    assert!(!tree.is_supervised("a"));
    assert_eq!(tree.status("a").expect("it stays").want(), b'd');
}

#[test]
fn letters_after_x_are_lost_when_the_service_is_down() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    tree.svc("-xu", "a");
    supervise.wait().is(0, "", "");
    assert_eq!(tree.text("a/started"), "");
}

#[test]
fn x_alone_waits_for_the_service_to_end() {
    let tree = Tree::new();
    tree.trapping_service("a", &["TERM", "CONT", "HUP"]);
    let mut supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    tree.svc("-xh", "a");
    tree.wait_text("a/signals", "HUP");
    assert_eq!(tree.text("a/signals"), "HUP\n");
    assert!(!supervise.has_ended());
    assert!(process::is_alive(pid));
    tree.svc("-k", "a");
    supervise.wait().is(0, "", "");
    assert_eq!(tree.text("a/started").lines().count(), 1);
    let status = tree.status("a").expect("it stays");
    assert_eq!(&status.0[12..], b"\0\0\0\0\0u");
}

#[test]
fn d_and_x_end_both_in_either_order() {
    let tree = Tree::new();
    for (dir, letters) in [("a", "-dx"), ("b", "-xd")] {
        tree.idle_service(dir);
        let supervise = tree.supervise(dir);
        let pid = tree.wait_up(dir);
        tree.svc(letters, dir);
        supervise.wait().is(0, "", "");
        assert!(!process::is_alive(pid));
        assert_eq!(tree.status(dir).expect("it stays").want(), b'd');
    }
}

#[test]
fn x_cannot_be_revoked() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-x", "a");
    tree.svc("-u", "a");
    tree.svc("-k", "a");
    supervise.wait().is(0, "", "");
    assert_eq!(tree.text("a/started").lines().count(), 1);
}
