//! svok: it checks whether supervise runs.

use compliance::unusable_directories;
use harness::Tree;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;

/// Asserts that svok fails with this message.
#[track_caller]
fn fails(tree: &Tree, dir: &str, message: &str) {
    let line = format!("svok: fatal: {message}\n");
    tree.cmd("svok").arg(dir).unprivileged().run().is(111, "", line);
}

#[test]
fn no_argument_is_a_usage_error() {
    Tree::new().cmd("svok").run().is(100, "", "svok: usage: svok dir\n");
}

#[test]
fn there_are_no_options() {
    let tree = Tree::new();
    for name in ["-x", "--", "--foo", "-"] {
        fails(&tree, name, &format!("unable to chdir to {name}: file does not exist"));
    }
    tree.mkdir("--");
    tree.cmd("svok").arg("--").run().is(100, "", "");
}

#[test]
fn further_arguments_are_ignored() {
    let tree = Tree::new();
    tree.idle_service("a");
    let _supervise = tree.supervise("a");
    tree.cmd("svok").args(["a", "none"]).run().is(0, "", "");
}

#[test]
fn yes_while_supervise_runs_and_no_before_and_after() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.cmd("svok").arg("a").run().is(100, "", "");
    let supervise = tree.supervise("a");
    tree.cmd("svok").arg("a").run().is(0, "", "");
    tree.wait_up("a");
    tree.svc("-d", "a");
    tree.wait_down("a");
    tree.cmd("svok").arg("a").run().is(0, "", "");
    tree.svc("-x", "a");
    supervise.wait().is(0, "", "");
    tree.cmd("svok").arg("a").run().is(100, "", "");
    assert!(tree.exists("a/supervise/ok"));
}

#[test]
fn no_when_supervise_was_killed_though_the_service_runs() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    // Before its exec, the service process holds `ok` open.
    tree.wait_lines("a/started", 1);
    supervise.kill();
    tree.cmd("svok").arg("a").run().is(100, "", "");
}

#[test]
fn any_reader_means_yes() {
    let tree = Tree::new();
    tree.fifo("a/supervise/ok", 0o600);
    tree.cmd("svok").arg("a").run().is(100, "", "");
    let mut ok = tree.open_fifo("a/supervise/ok");
    tree.cmd("svok").arg("a").run().is(0, "", "");
    assert_eq!(ok.drain(), b"");
}

#[test]
fn what_does_not_exist_or_has_no_reader_is_a_silent_no() {
    let tree = Tree::new();
    tree.mkdir("a");
    tree.mkdir("b/supervise");
    tree.symlink("nowhere", "c/supervise");
    tree.symlink("nowhere", "d/supervise/ok");
    tree.mkdir("e/supervise");
    let _socket = UnixListener::bind(tree.path("e/supervise/ok")).expect("make a socket");
    for dir in ["a", "b", "c", "e"] {
        tree.cmd("svok").arg(dir).run().is(100, "", "");
    }
    if tree.suite().differs("ours follows no link to ok, since another user may have made it") {
        fails(&tree, "d", "unable to open d/supervise/ok: symbolic link loop");
    } else {
        tree.cmd("svok").arg("d").run().is(100, "", "");
    }
    assert!(!tree.exists("a/supervise"));
    assert!(!tree.exists("b/supervise/ok"));
}

#[test]
fn the_directory_must_be_one() {
    let tree = Tree::new();
    unusable_directories(&tree);
    fails(&tree, "none", "unable to chdir to none: file does not exist");
    fails(&tree, "", "unable to chdir to : file does not exist");
    fails(&tree, "file", "unable to chdir to file: not a directory");
    fails(&tree, "loop", "unable to chdir to loop: symbolic link loop");
    fails(&tree, "closed", "unable to chdir to closed: access denied");
    let long = "x".repeat(256);
    fails(&tree, &long, &format!("unable to chdir to {long}: file name too long"));
}

#[test]
fn other_errors_are_reported() {
    let tree = Tree::new();
    tree.write("a/supervise", "");
    fails(&tree, "a", "unable to open a/supervise/ok: not a directory");
    fails(&tree, "./a/", "unable to open ./a//supervise/ok: not a directory");
    tree.mkdir("b/supervise/ok");
    fails(&tree, "b", "unable to open b/supervise/ok: is a directory");
    tree.fifo("c/supervise/ok", 0o400);
    fails(&tree, "c", "unable to open c/supervise/ok: access denied");
    tree.symlink("ok", "d/supervise/ok");
    fails(&tree, "d", "unable to open d/supervise/ok: symbolic link loop");
    tree.mkdir("e/supervise");
    tree.chmod("e/supervise", 0);
    fails(&tree, "e", "unable to open e/supervise/ok: access denied");
}

#[test]
fn the_name_is_printed_as_it_is() {
    let tree = Tree::new();
    let mut line = b"svok: fatal: unable to chdir to \xff\n: ".to_vec();
    line.extend(b"file does not exist\n");
    tree.cmd("svok").arg(OsStr::from_bytes(b"\xff\n")).run().is(111, "", line);
}
