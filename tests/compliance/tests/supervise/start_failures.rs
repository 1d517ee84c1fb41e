//! Failures to start the service.

use crate::finish;
use harness::{PENDING, Status, Tree};
use std::fs;
use std::time::{Duration, Instant};

// Unusable run scripts

#[test]
fn a_run_which_cannot_be_executed_is_reported_with_the_reason() {
    let tree = Tree::new();
    let case = |dir: &str, error: &str| {
        let supervise = tree.supervise(dir);
        let line = format!("supervise: fatal: unable to start {dir}/run: {error}\n");
        supervise.wait_stderr(&line);
        tree.svc("-dx", dir);
        let output = supervise.wait();
        assert_eq!((output.code, output.out()), (Some(0), String::new()), "{output}");
        assert!(output.err().split_inclusive('\n').all(|l| l == line), "{output}");
    };
    tree.mkdir("missing");
    case("missing", "file does not exist");
    tree.write("mode/run", "#!/bin/sh\n");
    case("mode", "access denied");
    tree.mkdir("dir/run");
    case("dir", "access denied");
    tree.service("plain", "exec sleep 1000\n");
    case("plain", "exec format error");
    tree.service("empty", "");
    case("empty", "exec format error");
    tree.service("interpreter", "#!/nowhere/sh\n");
    if tree.suite().differs("ours names a missing interpreter") {
        case("interpreter", "file does not exist: interpreter \"/nowhere/sh\" does not exist");
    } else {
        case("interpreter", "file does not exist");
    }
    tree.service("folder", "#!/\n");
    case("folder", "access denied");
    // A program that a process has open for writing.
    fs::copy("/bin/true", tree.path("dir/../busy-program")).expect("copied");
    tree.mkdir("busy");
    fs::rename(tree.path("busy-program"), tree.path("busy/run")).expect("renamed");
    let writer = fs::OpenOptions::new().write(true).open(tree.path("busy/run")).expect("opened");
    case("busy", "text busy");
    drop(writer);
    tree.symlink("run", "loop/run");
    case("loop", "symbolic link loop");
    tree.symlink("nowhere", "dangling/run");
    case("dangling", "file does not exist");
}

#[test]
fn a_missing_run_is_tried_once_a_second_until_it_appears() {
    let tree = Tree::new();
    tree.mkdir("a");
    let start = Instant::now();
    let supervise = tree.supervise("a");
    let line = "supervise: fatal: unable to start a/run: file does not exist\n";
    supervise.wait_stderr(&line.repeat(3));
    assert!(start.elapsed() >= Duration::from_secs(2));
    tree.idle_service("a");
    tree.wait_lines("a/started", 1);
    tree.svc("-dx", "a");
    let output = supervise.wait();
    assert_eq!(output.code, Some(0));
    assert!(output.err().split_inclusive('\n').all(|l| l == line), "{output}");
}

#[test]
fn a_run_which_fails_to_start_once_is_not_tried_again_after_o() {
    let tree = Tree::new();
    tree.mkdir("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    let before = tree.wait_down("a");
    let line = "supervise: fatal: unable to start a/run: file does not exist\n";
    tree.svc("-o", "a");
    supervise.wait_stderr(line);
    let ended = |s: &Status| s.pid() == 0 && s.time() > before.time();
    let status = tree.wait_status("a", "down after o", ended);
    assert_eq!(status.want(), PENDING);
    tree.svc("-o", "a");
    supervise.wait_stderr(&line.repeat(2));
    tree.wait_status("a", "down again", |s| s.pid() == 0 && s.time() > status.time());
    tree.svc("-x", "a");
    supervise.wait().is(0, "", line.repeat(2));
}

#[test]
fn a_running_run_may_be_replaced_and_the_next_start_takes_the_new_one() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.script("new", "#!/bin/sh\necho new >>new\nexec sleep 1000\n");
    tree.rename("new", "a/run");
    tree.svc("-t", "a");
    tree.wait_lines("a/new", 1);
    finish(&tree, supervise, "a");
}

// Limits

#[test]
fn too_few_descriptors_are_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    let output = tree.cmd("supervise").arg("a").under(["prlimit", "--nofile=4"]).run();
    let what = if tree.suite().differs("ours opens its descriptors in another order") {
        "acquire a/supervise/lock"
    } else {
        "create pipe for a"
    };
    let line = format!("supervise: fatal: unable to {what}: process cannot open more files\n");
    output.is(111, "", line);
}

#[test]
fn a_failing_fork_is_a_warning_and_supervise_goes_on() {
    let tree = Tree::new();
    tree.idle_service("a");
    let mut supervise = tree.cmd("supervise").arg("a").without_forks().start();
    let pause = if tree.suite().differs("the pauses of ours grow from 1 to 60 seconds") {
        "1"
    } else {
        "60"
    };
    supervise.wait_stderr(&format!(
        "supervise: warning: unable to fork for a, sleeping {pause} seconds: temporary failure\n"
    ));
    assert!(!supervise.has_ended());
    assert_eq!(tree.wait_down("a").want(), b'u');
}
