//! The status record.

use crate::finish;
use harness::{PENDING, Status, Tree, process};
use std::fs;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

#[test]
fn the_status_of_a_service_which_is_up() {
    let tree = Tree::new();
    tree.idle_service("a");
    let before = SystemTime::now();
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let status = tree.status("a").expect("there is one");
    let after = SystemTime::now();
    assert_eq!(tree.wait_lines("a/started", 1), [pid.to_string()]);
    assert_eq!(process::parent(pid), Some(supervise.pid()));
    assert_eq!(status.0.len(), 18);
    assert_eq!(&status.0[12..16], &pid.to_le_bytes());
    assert_eq!(&status.0[16..], b"\0u");
    assert!(status.time() + Duration::from_millis(1) >= before, "{status:?}");
    assert!(status.time() <= after + Duration::from_millis(1), "{status:?}");
    finish(&tree, supervise, "a");
}

#[test]
fn the_status_of_a_service_which_is_down() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let before = SystemTime::now();
    let _supervise = tree.supervise("a");
    let status = tree.wait_down("a");
    assert_eq!(status.0.len(), 18);
    assert_eq!(&status.0[12..], b"\0\0\0\0\0d");
    assert!(status.time() + Duration::from_millis(1) >= before, "{status:?}");
    assert!(status.time() <= SystemTime::now() + Duration::from_millis(1), "{status:?}");
}

#[test]
fn nanoseconds_are_whole_microseconds_and_500() {
    let tree = Tree::new();
    tree.idle_service("a");
    let _supervise = tree.supervise("a");
    tree.wait_up("a");
    let nanoseconds = tree.status("a").expect("there is one").nanoseconds();
    assert!(nanoseconds < 1_000_000_000);
    assert_eq!(nanoseconds % 1000, 500);
}

#[test]
fn the_time_in_the_status_is_that_of_the_last_start_or_death() {
    let tree = Tree::new();
    tree.trapping_service("a", &["TERM", "HUP"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    // The service may write its line before supervise has replaced the status of the time before.
    let up = tree.wait_status("a", "up", |s| s.pid() != 0);
    tree.svc("-o", "a");
    assert_eq!(tree.wait_want("a", PENDING).time(), up.time());
    tree.svc("-p", "a");
    assert_eq!(tree.wait_status("a", "paused", |s| s.paused() == 1).time(), up.time());
    tree.svc("-c", "a");
    assert_eq!(tree.wait_status("a", "not paused", |s| s.paused() == 0).time(), up.time());
    tree.svc("-d", "a");
    assert_eq!(tree.wait_want("a", b'd').time(), up.time());
    tree.svc("-u", "a");
    assert_eq!(tree.wait_want("a", b'u').time(), up.time());
    tree.svc("-dk", "a");
    let down = tree.wait_down("a");
    assert!(down.time() > up.time());
    tree.svc("-o", "a");
    let again = tree.wait_status("a", "up", |s| s.pid() != 0);
    assert!(again.time() > down.time());
}

#[test]
fn the_status_is_replaced_and_never_rewritten() {
    let tree = Tree::new();
    tree.idle_service("a");
    let _supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let path = tree.path("a/supervise/status");
    // The status does not change before the next command.
    let mut held = File::open(&path).expect("open the status");
    let before = tree.status("a").expect("there is one");
    let inode = fs::metadata(&path).expect("it exists").ino();
    tree.svc("-o", "a");
    tree.wait_want("a", PENDING);
    let mut old = Vec::new();
    held.read_to_end(&mut old).expect("read the old status");
    assert_eq!(Status(old), before);
    assert_ne!(fs::metadata(&path).expect("it exists").ino(), inode);
    assert!(!tree.exists("a/supervise/status.new"));
}

#[test]
fn the_status_stays_when_supervise_is_killed() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let before = tree.status("a");
    let output = supervise.kill();
    assert_eq!(output.signal, Some(9));
    assert_eq!(tree.status("a"), before);
    assert!(process::is_alive(pid));
    assert!(!tree.is_supervised("a"));
    assert_eq!(tree.svstat("a"), "supervise not running");
}

#[test]
fn the_last_status_says_down() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    finish(&tree, supervise, "a");
    let status = tree.status("a").expect("it stays");
    assert_eq!(&status.0[12..], b"\0\0\0\0\0d");
}

// A status that supervise cannot write causes a warning and changes nothing else

#[test]
fn a_status_which_cannot_be_opened_is_a_warning() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.mkdir("a/supervise/status.new");
    let supervise = tree.supervise("a");
    supervise
        .wait_stderr("supervise: warning: unable to open a/supervise/status.new: is a directory\n");
    tree.wait_lines("a/started", 1);
    tree.svc("-dx", "a");
    let output = supervise.wait();
    assert_eq!((output.code, output.out()), (Some(0), String::new()), "{output}");
}

#[test]
fn a_status_which_cannot_be_renamed_is_a_warning() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.mkdir("a/supervise/status");
    let supervise = tree.supervise("a");
    supervise.wait_stderr(
        "supervise: warning: unable to rename a/supervise/status.new to status: is a directory\n",
    );
    tree.wait_lines("a/started", 1);
    tree.svc("-dx", "a");
    assert_eq!(supervise.wait().code, Some(0));
}

#[test]
fn a_status_which_cannot_be_written_is_a_warning() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.symlink("/dev/full", "a/supervise/status.new");
    let supervise = tree.supervise("a");
    if tree.suite().differs("ours always makes a new status.new and follows no link") {
        tree.wait_up("a");
        assert_eq!(supervise.stderr(), "");
    } else {
        supervise.wait_stderr(
            "supervise: warning: unable to write a/supervise/status.new: out of disk space\n",
        );
    }
    tree.wait_lines("a/started", 1);
    tree.svc("-dx", "a");
    assert_eq!(supervise.wait().code, Some(0));
}

#[test]
fn a_status_which_is_written_in_part_is_a_warning() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    // Standard error is a pipe, because the limit would apply to a file.
    let supervise = tree.sh("prlimit --fsize=10 supervise a 2>&1 | cat >&2").start();
    tree.wait_supervised("a");
    supervise
        .wait_stderr("supervise: warning: unable to write a/supervise/status.new: partial write\n");
    tree.svc("-dx", "a");
    supervise.wait();
}
