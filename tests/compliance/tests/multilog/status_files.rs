//! The action `=`: status files.

use crate::{log, multilog, start};
use harness::{DEADLINE, Tree, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The contents of a status file for this line: 1001 bytes.
pub(super) fn status(line: &str) -> Vec<u8> {
    let mut text = line.as_bytes()[..line.len().min(1000)].to_vec();
    text.resize(1001, b'\n');
    text
}

#[test]
fn a_status_file_has_the_last_selected_line_and_1001_bytes() {
    let tree = Tree::new();
    log(&tree, &["=all", "-b*", "=some", "-*", "=none"], "a\nlonger\nb\n");
    assert_eq!(tree.read("all"), status("b"));
    assert_eq!(tree.read("some"), status("longer"));
    assert_eq!(tree.read("none"), b"");
    for name in ["all", "some", "none"] {
        assert_eq!(tree.mode(name), 0o600);
    }
}

#[test]
fn a_status_file_has_at_most_1000_bytes_of_a_line() {
    for length in [0, 1, 999, 1000, 1001, 1002, 50_000] {
        let tree = Tree::new();
        let line = "y".repeat(length);
        log(&tree, &["=status"], format!("first\n{line}\n"));
        assert_eq!(tree.read("status"), status(&line), "{length}");
    }
}

#[test]
fn nothing_of_a_long_line_is_left_when_a_short_one_follows() {
    let tree = Tree::new();
    log(&tree, &["=status"], format!("{}\nshort\n", "y".repeat(3000)));
    assert_eq!(tree.read("status"), status("short"));
}

#[test]
fn a_status_file_is_written_over_and_not_cut() {
    let tree = Tree::new();
    tree.write("long", "z".repeat(1500));
    tree.write("short", "z");
    tree.chmod("short", 0o640);
    let inode = fs::metadata(tree.path("long")).expect("a file").ino();
    log(&tree, &["=long", "=short"], "line\n");
    assert_eq!(tree.read("long"), [status("line"), b"z".repeat(499)].concat());
    assert_eq!(tree.read("short"), status("line"));
    assert_eq!(tree.mode("short"), 0o640);
    assert_eq!(fs::metadata(tree.path("long")).expect("a file").ino(), inode);
    // Without a line, multilog does not write.
    tree.write("same", "text");
    log(&tree, &["=same"], "");
    assert_eq!(tree.text("same"), "text");
}

#[test]
fn a_status_file_has_the_stamp() {
    let tree = Tree::new();
    log(&tree, &["t", "=status", "./d"], "line\n");
    assert_eq!(tree.read("status"), status(tree.text("d/current").trim_end()));
}

#[test]
fn status_files_are_found_from_where_multilog_was_started() {
    let tree = Tree::new();
    tree.mkdir("d");
    log(&tree, &["./d", "=a", "./e", "=d/../b"], "line\n");
    assert_eq!(tree.read("a"), status("line"));
    assert_eq!(tree.read("b"), status("line"));
    assert!(!tree.exists("d/a") && !tree.exists("e/b"));
}

#[test]
fn a_status_file_is_written_at_once() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["=status"]);
    for number in 0..20 {
        let line = format!("line {number}");
        logger.send(format!("{line}\n"));
        wait_until("it is there", DEADLINE, || tree.read("status") == status(&line));
    }
    logger.end().is(0, "", "");
}

#[test]
fn a_status_file_which_cannot_be_opened_is_fatal_before_any_directory_is_made() {
    let tree = Tree::new();
    tree.mkdir("directory");
    tree.fifo("fifo", 0o600);
    for (name, error) in [
        ("no/such", "file does not exist"),
        ("", "file does not exist"),
        ("directory", "is a directory"),
        ("fifo", "device not configured"),
    ] {
        let line = format!("multilog: fatal: unable to create {name}: {error}\n");
        let script = ["./d", "=good", &format!("={name}")];
        multilog(&tree, &script).stdin("a\n").run().is(111, "", line);
        assert!(!tree.exists("d"));
        assert!(tree.exists("good"));
    }
}

#[test]
fn a_status_file_without_write_permission_is_fatal() {
    let tree = Tree::new();
    tree.chmod("", 0o777);
    tree.write("status", "");
    tree.chmod("status", 0o444);
    let line = "multilog: fatal: unable to create status: access denied\n";
    multilog(&tree, &["=status"]).unprivileged().run().is(111, "", line);
}

#[test]
fn an_unseekable_status_file_causes_a_warning() {
    let tree = Tree::new();
    tree.fifo("fifo", 0o600);
    let _reader = tree.open_fifo("fifo");
    let logger = multilog(&tree, &["=fifo"]).stdin("a\n").start();
    let line =
        "multilog: warning: unable to move to beginning of fifo, pausing: unseekable descriptor\n";
    logger.wait_stderr(line);
}
