//! The log directory: how multilog makes, opens and locks it.

use crate::{finished, log, multilog, names, start};
use harness::{Output, Tree, process};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

#[test]
fn a_log_directory_is_made_with_its_files_and_modes() {
    for umask in ["000", "022", "077", "777"] {
        let tree = Tree::new();
        let script = format!("umask {umask}; exec multilog ./d =status");
        tree.sh(&script).stdin("line\n").run().is(0, "", "");
        assert_eq!(tree.mode("d"), 0o700, "{umask}");
        assert_eq!(names(&tree, "d"), ["current", "lock", "state"]);
        assert_eq!(tree.mode("d/current"), 0o744);
        assert_eq!(tree.mode("d/lock"), 0o600);
        assert_eq!(tree.mode("d/state"), 0o644);
        assert_eq!(tree.mode("status"), 0o600);
        assert_eq!((tree.text("d/lock"), tree.text("d/state")), (String::new(), String::new()));
    }
}

#[test]
fn a_directory_which_exists_keeps_its_mode() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.chmod("d", 0o755);
    log(&tree, &["./d"], "line\n");
    assert_eq!(tree.mode("d"), 0o755);
    tree.mkdir("real");
    tree.symlink("real", "link");
    log(&tree, &["./link"], "line\n");
    assert_eq!(tree.text("real/current"), "line\n");
}

#[test]
fn the_current_file_is_not_executable_while_it_is_written() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("line\n");
    assert_eq!(tree.mode("d/current"), 0o644);
    logger.end().is(0, "", "");
    assert_eq!(tree.mode("d/current"), 0o744);
}

#[test]
fn only_one_level_of_directories_is_made() {
    let tree = Tree::new();
    let line = "multilog: fatal: unable to open directory ./x/y: file does not exist\n";
    multilog(&tree, &["./x/y"]).stdin("a\n").run().is(111, "", line);
    assert!(!tree.exists("x"));
}

#[test]
fn a_directory_which_is_a_file_is_fatal() {
    let tree = Tree::new();
    tree.write("file", "content");
    let line = "multilog: fatal: unable to open directory ./file: not a directory\n";
    multilog(&tree, &["./file"]).stdin("a\n").run().is(111, "", line);
    assert_eq!(tree.text("file"), "content");
}

#[test]
fn a_directory_without_permission_is_fatal() {
    for (mode, text) in [(0o300, "open"), (0o600, "open"), (0o000, "open"), (0o500, "lock")] {
        let tree = Tree::new();
        tree.mkdir("d");
        tree.chmod("d", mode);
        let line = format!("multilog: fatal: unable to {text} directory ./d: access denied\n");
        multilog(&tree, &["./d"]).stdin("a\n").unprivileged().run().is(111, "", line);
    }
    let tree = Tree::new();
    tree.chmod("", 0o555);
    let line = "multilog: fatal: unable to open directory ./d: file does not exist\n";
    multilog(&tree, &["./d"]).stdin("a\n").unprivileged().run().is(111, "", line);
}

#[test]
fn files_which_cannot_be_used_are_fatal() {
    let tree = Tree::new();
    let fatal = |line: &str| {
        let line = format!("multilog: fatal: {line}\n");
        multilog(&tree, &["./d"]).stdin("a\n").unprivileged().run().is(111, "", line);
        fs::remove_dir_all(tree.path("d")).expect("remove the log");
    };
    tree.mkdir("d/lock");
    fatal("unable to lock directory ./d: is a directory");
    tree.write("d/lock", "");
    tree.chmod("d/lock", 0o444);
    fatal("unable to lock directory ./d: access denied");
    tree.mkdir("d");
    tree.symlink("current", "d/current");
    fatal("unable to stat ./d/current: symbolic link loop");
    tree.mkdir("d");
    tree.symlink("processed", "d/processed");
    fatal("unable to stat ./d/processed: symbolic link loop");
    tree.write("d/current", "");
    tree.chmod("d/current", 0o544);
    fatal("unable to append to ./d/current: access denied");
    tree.mkdir("d/state/x");
    fatal("unable to write to ./d/state: is a directory");
}

#[test]
fn a_current_file_which_is_a_directory_is_reported() {
    let tree = Tree::new();
    tree.mkdir("a/current/x");
    tree.chmod("a/current", 0o644);
    tree.mkdir("b/current/x");
    let line = "multilog: fatal: unable to append to ./b/current: is a directory\n";
    multilog(&tree, &["./b"]).stdin("a\n").run().is(111, "", line);
    let logger = multilog(&tree, &["./a"]).stdin("a\n").start();
    logger.wait_stderr(", pausing: ");
    assert!(!tree.exists("a/lost") && finished(&tree, "b").is_empty());
}

/// Asserts the message for a held lock. Ours adds the pid of the holder.
#[track_caller]
fn is_held(tree: &Tree, output: &Output, dir: &str) {
    let line = format!("multilog: fatal: unable to lock directory {dir}: temporary failure");
    let err = output.err();
    let rest = err.strip_prefix(&line);
    let as_wanted = if tree.suite().differs("ours adds the process that holds the lock") {
        rest.is_some_and(|rest| rest.starts_with(" (held by pid ") && rest.ends_with(")\n"))
    } else {
        rest == Some("\n")
    };
    assert!(output.code == Some(111) && as_wanted, "{output}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_directory_belongs_to_one_multilog() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    is_held(&tree, &multilog(&tree, &["./d"]).stdin("two\n").run(), "./d");
    logger.log("three\n");
    assert_eq!(names(&tree, "d"), ["current", "lock", "state"]);
    logger.end().is(0, "", "");
    log(&tree, &["./d"], "four\n");
    assert_eq!(tree.text("d/current"), "one\nthree\nfour\n");
}

#[test]
fn a_directory_named_twice_is_locked_by_itself() {
    let tree = Tree::new();
    is_held(&tree, &multilog(&tree, &["./d", "./d"]).stdin("a\n").run(), "./d");
    is_held(&tree, &multilog(&tree, &["./d", "./d/"]).stdin("a\n").run(), "./d/");
}

#[test]
fn the_lock_is_one_which_other_programs_can_hold() {
    let tree = Tree::new();
    tree.mkdir("d");
    let holder = tree.cmd("setlock").args(["d/lock", "sleep", "1000"]).start();
    process::wait_asleep(holder.pid(), "sleep");
    is_held(&tree, &multilog(&tree, &["./d"]).stdin("a\n").run(), "./d");
    drop(holder);
    log(&tree, &["./d"], "a\n");
}

#[test]
fn an_unreadable_current_directory_is_fatal() {
    let tree = Tree::new();
    tree.mkdir("place");
    tree.chmod("place", 0o300);
    let output = multilog(&tree, &["./d"]).cwd("place").unprivileged().stdin("a\n").run();
    let line = "multilog: fatal: unable to switch to current directory: access denied\n";
    output.is(111, "", line);
}

#[test]
fn arguments_are_shown_as_they_are() {
    let tree = Tree::new();
    let name = OsString::from_vec(b"./\xff/\x01\t".to_vec());
    let output = tree.cmd("multilog").arg(name).run();
    let line = b"multilog: fatal: unable to open directory ./\xff/\x01\t: file does not exist\n";
    output.is(111, "", line);
    let line = "multilog: fatal: unable to open directory ./x/y: file does not exist\n";
    multilog(&tree, &["./x/y"]).arg0("/other/name").run().is(111, "", line);
}

#[test]
fn standard_output_is_not_used() {
    let tree = Tree::new();
    tree.sh("exec multilog e ./d >&-").stdin("a\n").run().is(0, "", "a\n");
    tree.sh("exec multilog e ./d >/dev/full").stdin("b\n").run().is(0, "", "b\n");
    assert_eq!(tree.text("d/current"), "a\nb\n");
}
