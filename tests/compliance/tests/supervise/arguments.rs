//! Arguments, and service directories that supervise cannot use.

use crate::{fails, fails_unprivileged};
use harness::Tree;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

// Usage

const USAGE: &str = "supervise: usage: supervise dir\n";

#[test]
fn no_argument_is_a_usage_error() {
    Tree::new().cmd("supervise").run().is(100, "", USAGE);
}

#[test]
fn two_arguments_are_a_usage_error() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.cmd("supervise").args(["a", "a"]).run().is(100, "", USAGE);
    tree.cmd("supervise").args(["--", "a"]).run().is(100, "", USAGE);
    assert!(!tree.exists("a/supervise"));
}

#[test]
fn there_are_no_options() {
    let tree = Tree::new();
    fails(&tree, "-x", "unable to chdir to -x: file does not exist");
    fails(&tree, "--", "unable to chdir to --: file does not exist");
    tree.idle_service("--help");
    let supervise = tree.supervise("--help");
    tree.wait_up("--help");
    // svc would take `--help` for the end of its options.
    tree.svc("-dx", "./--help");
    supervise.wait().is(0, "", "");
}

// Unusable service directories

#[test]
fn the_directory_must_be_one() {
    let tree = Tree::new();
    tree.write("file", "");
    tree.symlink("loop", "loop");
    tree.symlink("nowhere", "dangling");
    for (dir, error) in [
        ("none", "file does not exist"),
        ("", "file does not exist"),
        ("dangling", "file does not exist"),
        ("file", "not a directory"),
        ("file/x", "not a directory"),
        ("loop", "symbolic link loop"),
    ] {
        fails(&tree, dir, &format!("unable to chdir to {dir}: {error}"));
    }
}

#[test]
fn a_directory_without_permission_is_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.chmod("a", 0);
    fails_unprivileged(&tree, "a", "unable to chdir to a: access denied");
}

#[test]
fn a_long_name_is_printed_in_full() {
    let tree = Tree::new();
    let name = "x".repeat(256);
    fails(&tree, &name, &format!("unable to chdir to {name}: file name too long"));
    let path = "y/".repeat(500);
    fails(&tree, &path, &format!("unable to chdir to {path}: file does not exist"));
}

#[test]
fn the_argument_is_printed_as_it_is() {
    let tree = Tree::new();
    fails(&tree, "no//../no/", "unable to chdir to no//../no/: file does not exist");
    let mut line = b"supervise: fatal: unable to chdir to \xff\n\xc3: ".to_vec();
    line.extend(b"file does not exist\n");
    let name = OsStr::from_bytes(b"\xff\n\xc3");
    tree.cmd("supervise").arg(name).run().is(111, "", line);
}

#[test]
fn the_name_is_not_normalised_in_messages_about_files() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.symlink("down", "a/down");
    fails(&tree, "a/", "unable to stat a//down: symbolic link loop");
    fails(&tree, "./a", "unable to stat ./a/down: symbolic link loop");
}

#[test]
fn a_failing_stat_of_down_is_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.symlink("down", "a/down");
    fails(&tree, "a", "unable to stat a/down: symbolic link loop");
    tree.idle_service("b");
    tree.write("file", "");
    tree.symlink("../file/x", "b/down");
    fails(&tree, "b", "unable to stat b/down: not a directory");
}
