//! The state directory `supervise/` and its files.

use crate::{fails, fails_unprivileged, finish};
use harness::{Tree, process};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;

// Unusable files

#[test]
fn supervise_must_be_a_directory() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/supervise", "");
    fails(&tree, "a", "unable to acquire a/supervise/lock: not a directory");
    assert_eq!(tree.text("a/started"), "");
}

#[test]
fn a_service_directory_which_cannot_be_written_is_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.chmod("a", 0o555);
    let mut message = "unable to acquire a/supervise/lock: file does not exist".to_owned();
    if tree.suite().differs("ours adds why it cannot make the state directory, and a remedy") {
        message += ": unable to create a/supervise: access denied; \
                    SUPERVISEDIR can name another directory";
    }
    fails_unprivileged(&tree, "a", &message);
}

#[test]
fn a_service_directory_which_cannot_be_written_will_do_if_the_files_exist() {
    let tree = Tree::new();
    tree.idle_service("a");
    finish(&tree, tree.supervise("a"), "a");
    tree.write("a/started", "");
    tree.chmod("a", 0o555);
    let supervise = tree.cmd("supervise").arg("a").unprivileged().start();
    tree.wait_supervised("a");
    tree.wait_up("a");
    finish(&tree, supervise, "a");
}

/// The error for a dangling link. Ours follows no link, since another user may have made it.
fn dangling(tree: &Tree) -> &'static str {
    let no_link = tree.suite().differs("ours follows no link to lock, control or ok");
    if no_link { "symbolic link loop" } else { "file does not exist" }
}

#[test]
fn the_lock_must_be_a_file() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.mkdir("a/supervise/lock");
    fails(&tree, "a", "unable to acquire a/supervise/lock: is a directory");
    tree.idle_service("b");
    tree.symlink("none/lock", "b/supervise/lock");
    fails(&tree, "b", &format!("unable to acquire b/supervise/lock: {}", dangling(&tree)));
}

#[test]
fn a_lock_without_permission_is_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/supervise/lock", "");
    tree.chmod("a/supervise/lock", 0o400);
    fails_unprivileged(&tree, "a", "unable to acquire a/supervise/lock: access denied");
    tree.chmod("a/supervise", 0);
    fails_unprivileged(&tree, "a", "unable to acquire a/supervise/lock: access denied");
}

#[test]
fn a_second_supervise_refuses_to_run() {
    let tree = Tree::new();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    for dir in ["a", "./a/"] {
        let second = tree.cmd("supervise").arg(dir).run();
        let line =
            format!("supervise: fatal: unable to acquire {dir}/supervise/lock: temporary failure");
        if tree.suite().differs("ours adds the process that holds the lock") {
            second.is(111, "", format!("{line} (held by pid {})\n", first.pid()));
        } else {
            second.is(111, "", line + "\n");
        }
    }
    assert_eq!(tree.wait_up("a"), pid);
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
    finish(&tree, first, "a");
}

#[test]
fn two_service_directories_cannot_share_a_state_directory() {
    let tree = Tree::new();
    tree.mkdir("state");
    for dir in ["a", "b"] {
        tree.idle_service(dir);
        tree.symlink("../state", format!("{dir}/supervise"));
    }
    let first = tree.supervise("a");
    let second = tree.cmd("supervise").arg("b").run();
    let line = "supervise: fatal: unable to acquire b/supervise/lock: temporary failure";
    if tree.suite().differs("ours adds the process that holds the lock") {
        second.is(111, "", format!("{line} (held by pid {})\n", first.pid()));
    } else {
        second.is(111, "", format!("{line}\n"));
    }
}

#[test]
fn a_control_which_cannot_be_opened_is_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.symlink("none", "a/supervise/control");
    fails(&tree, "a", &format!("unable to read a/supervise/control: {}", dangling(&tree)));
    tree.idle_service("b");
    tree.symlink("control", "b/supervise/control");
    fails(&tree, "b", "unable to read b/supervise/control: symbolic link loop");
    tree.idle_service("c");
    tree.mkdir("c/supervise");
    let _socket = UnixListener::bind(tree.path("c/supervise/control")).expect("make a socket");
    fails(&tree, "c", "unable to read c/supervise/control: device not configured");
}

#[test]
fn a_control_without_permission_is_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.fifo("a/supervise/control", 0o200);
    fails_unprivileged(&tree, "a", "unable to read a/supervise/control: access denied");
    tree.chmod("a/supervise/control", 0o400);
    fails_unprivileged(&tree, "a", "unable to write a/supervise/control: access denied");
    assert_eq!(tree.text("a/started"), "");
}

#[test]
fn a_control_which_is_a_directory_is_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.mkdir("a/supervise/control");
    let output = tree.cmd("supervise").arg("a").run();
    let line = if tree.suite().differs("ours refuses a control that is not a FIFO") {
        "supervise: fatal: unable to use a/supervise/control: not a FIFO; remove it\n"
    } else {
        "supervise: fatal: unable to write a/supervise/control: is a directory\n"
    };
    output.is(111, "", line);
}

#[test]
fn an_ok_which_cannot_be_opened_is_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.symlink("none", "a/supervise/ok");
    fails(&tree, "a", &format!("unable to read a/supervise/ok: {}", dangling(&tree)));
    tree.idle_service("b");
    tree.mkdir("b/supervise");
    let _socket = UnixListener::bind(tree.path("b/supervise/ok")).expect("make a socket");
    fails(&tree, "b", "unable to read b/supervise/ok: device not configured");
    tree.idle_service("c");
    tree.fifo("c/supervise/ok", 0o200);
    fails_unprivileged(&tree, "c", "unable to read c/supervise/ok: access denied");
    assert_eq!(tree.text("a/started"), "");
}

// New files

#[test]
fn its_files_are_made_with_the_right_types_and_modes() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.sh("umask 022; exec supervise a").start();
    tree.wait_supervised("a");
    tree.wait_up("a");
    assert_eq!(tree.mode("a/supervise"), 0o700);
    assert_eq!(tree.mode("a/supervise/lock"), 0o600);
    assert_eq!(tree.mode("a/supervise/status"), 0o644);
    assert!(tree.read("a/supervise/lock").is_empty());
    for fifo in ["control", "ok"] {
        let name = format!("a/supervise/{fifo}");
        assert_eq!(tree.mode(&name), 0o600);
        let kind = fs::metadata(tree.path(&name)).expect("it exists").file_type();
        assert!(kind.is_fifo(), "{fifo}");
    }
    finish(&tree, supervise, "a");
}

#[test]
fn modes_obey_the_umask() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.sh("umask 077; exec supervise a").start();
    tree.wait_supervised("a");
    assert_eq!(tree.mode("a/supervise/status"), 0o600);
    assert_eq!(tree.mode("a/supervise"), 0o700);
    assert_eq!(tree.mode("a/supervise/control"), 0o600);
    drop(supervise);
    tree.idle_service("b");
    let _supervise = tree.sh("umask 0; exec supervise b").start();
    tree.wait_supervised("b");
    assert_eq!(tree.mode("b/supervise/status"), 0o644);
    assert_eq!(tree.mode("b/supervise"), 0o700);
    assert_eq!(tree.mode("b/supervise/control"), 0o600);
    assert_eq!(tree.mode("b/supervise/ok"), 0o600);
    assert_eq!(tree.mode("b/supervise/lock"), 0o600);
}

#[test]
fn its_files_stay_and_are_used_again() {
    let tree = Tree::new();
    tree.idle_service("a");
    finish(&tree, tree.supervise("a"), "a");
    let identify = |name: &str| {
        let meta = fs::symlink_metadata(tree.path("a/supervise").join(name)).expect("it stays");
        (meta.ino(), meta.mode())
    };
    let names = ["lock", "control", "ok", "."];
    let before = names.map(identify);
    assert!(tree.exists("a/supervise/status"));
    tree.chmod("a/supervise/control", 0o620);
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.chmod("a/supervise/control", 0o600);
    assert_eq!(names.map(identify), before);
    finish(&tree, supervise, "a");
}

#[test]
fn modes_of_existing_files_are_left_alone() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.mkdir("a/supervise");
    tree.chmod("a/supervise", 0o755);
    tree.fifo("a/supervise/control", 0o660);
    tree.fifo("a/supervise/ok", 0o666);
    tree.write("a/supervise/lock", "kept");
    tree.chmod("a/supervise/lock", 0o640);
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    assert_eq!(tree.mode("a/supervise"), 0o755);
    assert_eq!(tree.mode("a/supervise/control"), 0o660);
    assert_eq!(tree.mode("a/supervise/ok"), 0o666);
    assert_eq!(tree.mode("a/supervise/lock"), 0o640);
    assert_eq!(tree.text("a/supervise/lock"), "kept");
    finish(&tree, supervise, "a");
}

#[test]
fn nothing_else_is_left_in_the_service_directory() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    finish(&tree, supervise, "a");
    let list = |dir: &str| {
        let mut names: Vec<_> = fs::read_dir(tree.path(dir))
            .expect("the directory can be read")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(list("a"), ["run", "supervise"]);
    let mut expected = vec!["control", "lock", "ok", "status"];
    if tree.suite().differs("ours leaves its history there") {
        expected.insert(1, "history");
    }
    assert_eq!(list("a/supervise"), expected);
}

#[test]
fn the_lock_is_free_when_supervise_is_gone_though_the_service_is_not() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    supervise.kill();
    assert!(process::is_alive(pid));
    // The service must not inherit the lock. It holds the lock until its exec, so wait for that.
    tree.cmd("flock").args(["-w", "20", "a/supervise/lock", "true"]).run().is(0, "", "");
}

// A symbolic link in the place of supervise/

#[test]
fn a_dangling_link_gets_its_directory() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.mkdir("var");
    tree.symlink(tree.path("var/a"), "a/supervise");
    tree.idle_service("b");
    tree.symlink("../var/b", "b/supervise");
    for dir in ["a", "b"] {
        let supervise = tree.supervise(dir);
        tree.wait_up(dir);
        assert_eq!(tree.mode(format!("var/{dir}")), 0o700);
        assert!(tree.exists(format!("var/{dir}/status")));
        finish(&tree, supervise, dir);
        assert!(tree.path(dir).join("supervise").is_symlink());
    }
}

#[test]
fn a_link_to_a_directory_is_used() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.mkdir("state");
    tree.symlink("../state", "a/supervise");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    assert_eq!(tree.mode("state"), 0o755);
    assert_eq!(tree.mode("state/control"), 0o600);
    finish(&tree, supervise, "a");
}

#[test]
fn only_one_level_is_made_for_a_link() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.symlink("../no/state", "a/supervise");
    fails(&tree, "a", "unable to acquire a/supervise/lock: file does not exist");
    assert!(!tree.exists("no"));
}

#[test]
fn the_target_of_a_link_may_have_255_bytes_but_not_more() {
    let tree = Tree::new();
    let target = |length: usize| format!("{}x", "./".repeat(length / 2));
    assert_eq!(target(255).len(), 255);
    tree.idle_service("a");
    tree.symlink(target(255), "a/supervise");
    let supervise = tree.supervise("a");
    assert!(tree.exists("a/x/status"));
    finish(&tree, supervise, "a");
    tree.idle_service("b");
    tree.symlink(target(257), "b/supervise");
    let line = "unable to readlink ./supervise: unknown error\n";
    tree.cmd("supervise").arg("b").run().is(111, "", line);
}

#[test]
fn a_link_to_a_file_fails_at_the_lock() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.symlink("run", "a/supervise");
    fails(&tree, "a", "unable to acquire a/supervise/lock: not a directory");
}
