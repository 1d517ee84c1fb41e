//! The file `down`.

use crate::finish;
use harness::Tree;

#[test]
fn down_keeps_the_service_from_starting_until_u() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    // Only the second letter causes a start.
    tree.svc("-cu", "a");
    tree.wait_up("a");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    assert_eq!(tree.wait_want("a", b'u').paused(), 0);
    finish(&tree, supervise, "a");
}

#[test]
fn down_may_be_anything_that_exists() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.mkdir("a/down");
    tree.idle_service("b");
    tree.symlink("run", "b/down");
    for dir in ["a", "b"] {
        let supervise = tree.supervise(dir);
        assert_eq!(tree.wait_down(dir).want(), b'd');
        finish(&tree, supervise, dir);
        assert_eq!(tree.text(format!("{dir}/started")), "");
    }
}

#[test]
fn a_dangling_down_counts_as_absent() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.symlink("nowhere", "a/down");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    finish(&tree, supervise, "a");
}

#[test]
fn down_is_looked_at_only_at_the_start() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let first = tree.wait_up("a");
    tree.write("a/down", "");
    tree.svc("-t", "a");
    tree.wait_restart("a", first);
    assert_eq!(tree.wait_want("a", b'u').want(), b'u');
    finish(&tree, supervise, "a");
}
