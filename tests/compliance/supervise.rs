//! supervise: one service, its process, its `supervise/` directory.

use harness::{DEADLINE, PENDING, Process, Signal, Status, Tree, process, wait_for, wait_until};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant, SystemTime};

/// Runs a supervise which has to fail at once with that message.
#[track_caller]
fn fails(tree: &Tree, dir: &str, message: &str) {
    let line = format!("supervise: fatal: {message}\n");
    tree.cmd("supervise").arg(dir).run().is(111, "", line);
}

/// The same, with file modes counting even for root.
#[track_caller]
fn fails_unprivileged(tree: &Tree, dir: &str, message: &str) {
    let line = format!("supervise: fatal: {message}\n");
    tree.cmd("supervise").arg(dir).unprivileged().run().is(111, "", line);
}

/// Ends the service and its supervise in the orderly way.
#[track_caller]
fn finish(tree: &Tree, supervise: Process, dir: &str) {
    tree.svc("-dx", dir);
    supervise.wait().is(0, "", "");
}

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
    // svc would take the name for the end of its options.
    tree.svc("-dx", "./--help");
    supervise.wait().is(0, "", "");
}

// What can be wrong with the directory

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

// What can be wrong with supervise/

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
    fails_unprivileged(&tree, "a", "unable to acquire a/supervise/lock: file does not exist");
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

/// Why a link to nowhere cannot be opened: ours does not follow it, since others may have made it.
fn dangling(tree: &Tree) -> &'static str {
    let no_link = tree.suite().differs("no link is followed to a lock, control or ok");
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
        if tree.suite().differs("the process that holds the lock is named") {
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
    if tree.suite().differs("the process that holds the lock is named") {
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
    let line = if tree.suite().differs("a control that is no FIFO is refused as such") {
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

// What can be wrong with the status: a warning, and nothing else changes

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
    if tree.suite().differs("status.new is always a new file, whatever link was there") {
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
    // Standard error goes through a pipe, or the limit would end it as well.
    let supervise = tree.sh("prlimit --fsize=10 supervise a 2>&1 | cat >&2").start();
    tree.wait_supervised("a");
    supervise
        .wait_stderr("supervise: warning: unable to write a/supervise/status.new: partial write\n");
    tree.svc("-dx", "a");
    supervise.wait();
}

// Limits

#[test]
fn too_few_descriptors_are_fatal() {
    let tree = Tree::new();
    tree.idle_service("a");
    let output = tree.cmd("supervise").arg("a").under(["prlimit", "--nofile=4"]).run();
    let what = if tree.suite().differs("descriptors are needed in another order") {
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
    let pause =
        if tree.suite().differs("the pauses grow from 1 to 60 seconds") { "1" } else { "60" };
    supervise.wait_stderr(&format!(
        "supervise: warning: unable to fork for a, sleeping {pause} seconds: temporary failure\n"
    ));
    assert!(!supervise.has_ended());
    assert_eq!(tree.wait_down("a").want(), b'u');
}

// The files it makes

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
    assert_eq!(list("a/supervise"), ["control", "lock", "ok", "status"]);
}

#[test]
fn the_lock_is_free_when_supervise_is_gone_though_the_service_is_not() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    supervise.kill();
    assert!(process::is_alive(pid));
    // The service must not have inherited the lock; before it has replaced its program it has it.
    tree.cmd("flock").args(["-w", "20", "a/supervise/lock", "true"]).run().is(0, "", "");
}

// supervise as a symbolic link

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

// The status record

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
    let up = tree.wait_want("a", b'u');
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
    // Nothing changes any more until it is told to.
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

// The down file

#[test]
fn down_keeps_the_service_from_starting_until_u() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    // Only the second letter is a reason to start.
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

// The control letters

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
    // The second letter shows that the first was read.
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
    // The last letter shows in the status that all were obeyed.
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

// Once

#[test]
fn o_runs_a_service_which_is_down_once() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\necho $$ >>started\nexit 1\n");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    let before = tree.wait_down("a");
    tree.svc("-o", "a");
    let first = tree.wait_lines("a/started", 1);
    let ended = |s: &Status| s.pid() == 0 && s.time() > before.time();
    let status = tree.wait_status("a", "down after the run", ended);
    assert_eq!(&status.0[12..], b"\0\0\0\0\0\0");
    // Had it been started again of its own accord, there would be a line more.
    tree.svc("-o", "a");
    let both = tree.wait_lines("a/started", 2);
    assert_eq!(both[0], first[0]);
    tree.wait_status("a", "down after the second run", |s| {
        s.pid() == 0 && s.time() > status.time()
    });
    finish(&tree, supervise, "a");
    assert_eq!(tree.text("a/started").lines().count(), 2);
}

#[test]
fn o_lets_a_running_service_finish() {
    let tree = Tree::new();
    tree.trapping_service("a", &["TERM", "CONT", "HUP"]);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    tree.svc("-o", "a");
    assert_eq!(tree.wait_want("a", PENDING).pid(), pid);
    tree.svc("-h", "a");
    tree.wait_text("a/signals", "HUP");
    assert_eq!(tree.text("a/signals"), "HUP\n");
    tree.svc("-k", "a");
    let status = tree.wait_down("a");
    assert_eq!(status.want(), PENDING);
    tree.svc("-x", "a");
    supervise.wait().is(0, "", "");
    assert_eq!(tree.text("a/started").lines().count(), 1);
}

#[test]
fn u_after_o_makes_it_permanent_again() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.svc("-o", "a");
    tree.wait_want("a", PENDING);
    tree.svc("-u", "a");
    assert_eq!(tree.wait_want("a", b'u').pid(), pid);
    tree.svc("-t", "a");
    tree.wait_restart("a", pid);
    finish(&tree, supervise, "a");
}

#[test]
fn d_after_o_stops_it() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.svc("-o", "a");
    tree.wait_want("a", PENDING);
    tree.svc("-d", "a");
    assert_eq!(tree.wait_down("a").want(), b'd');
    finish(&tree, supervise, "a");
}

#[test]
fn u_and_d_together_start_and_stop() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    let before = tree.wait_down("a");
    tree.svc("-ud", "a");
    let ended = |s: &Status| s.pid() == 0 && s.time() > before.time();
    assert_eq!(tree.wait_status("a", "down after a start", ended).want(), b'd');
    tree.svc("-x", "a");
    supervise.wait().is(0, "", "");
    assert!(tree.text("a/started").lines().count() <= 1);
}

// Exit

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

// Restarts

#[test]
fn a_service_which_fails_at_once_is_started_once_a_second() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\ndate +%s.%N >>times\n");
    let supervise = tree.supervise("a");
    let lines = tree.wait_lines("a/times", 4);
    let times: Vec<f64> = lines.iter().map(|line| line.parse().expect("a time")).collect();
    for pair in times.windows(2) {
        // The shell needs a while to look at the clock, now more, now less.
        assert!(pair[1] - pair[0] > 0.8, "{times:?}");
    }
    assert!(times[3] - times[0] > 2.7, "{times:?}");
    finish(&tree, supervise, "a");
}

#[test]
fn a_service_which_ran_for_a_second_is_started_again_at_once() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    // A busy machine may be late now and then, but a pause would come every time.
    let at_once = (0..5).any(|_| {
        let old = |s: &Status| {
            let age = SystemTime::now().duration_since(s.time()).unwrap_or_default();
            s.pid() != 0 && age > Duration::from_millis(1200)
        };
        let pid = tree.wait_status("a", "has run for a second", old).pid();
        let killed = SystemTime::now();
        tree.svc("-k", "a");
        tree.wait_restart("a", pid);
        let started = tree.status("a").expect("it is there").time();
        started.duration_since(killed).unwrap_or_default() < Duration::from_millis(500)
    });
    assert!(at_once);
    finish(&tree, supervise, "a");
}

#[test]
fn starts_in_the_status_are_a_second_apart() {
    let tree = Tree::new();
    // Long enough to be seen, short enough to be over within the second.
    tree.service("a", "#!/bin/sh\nexec sleep 0.2\n");
    let _supervise = tree.supervise("a");
    let mut last = tree.wait_status("a", "up", |s| s.pid() != 0);
    for _ in 0..2 {
        let next = tree.wait_status("a", "up again", |s| s.pid() != 0 && s.pid() != last.pid());
        let gap = next.time().duration_since(last.time()).expect("later");
        assert!(gap >= Duration::from_secs(1), "{gap:?}");
        last = next;
    }
}

#[test]
fn a_service_is_started_again_however_it_ended() {
    let tree = Tree::new();
    tree.service(
        "a",
        "#!/bin/sh\necho $$ >>started\ncase $(grep -c . started) in\n1) exit 0 ;;\n2) exit 100 ;;\n\
         3) exit 111 ;;\n4) kill -KILL $$ ;;\n5) kill -SEGV $$ ;;\nesac\nexec sleep 1000\n",
    );
    let supervise = tree.supervise("a");
    let starts = tree.wait_lines("a/started", 6);
    let pid = tree.wait_status("a", "the last start", |s| s.pid().to_string() == starts[5]).pid();
    assert!(process::is_alive(pid));
    finish(&tree, supervise, "a");
}

#[test]
fn stopping_by_job_control_is_no_death() {
    let tree = Tree::new();
    tree.trapping_service("a", &["HUP"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    process::signal(pid, Signal::STOP);
    wait_until("the service is stopped", DEADLINE, || process::is_stopped(pid));
    tree.svc("-h", "a");
    process::signal(pid, Signal::CONT);
    tree.wait_text("a/signals", "HUP");
    let status = tree.status("a").expect("there is one");
    // The flag says what `p` and `c` asked for, not what is the case.
    assert_eq!((status.pid(), status.paused()), (pid, 0));
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn children_it_never_started_are_reaped_and_ignored() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.fifo("gate", 0o600);
    let gate = tree.open_fifo("gate");
    let _supervise = tree.sh("(read -r x <gate) & echo $! >foreign; exec supervise a").start();
    tree.wait_supervised("a");
    let foreign: u32 = tree.wait_lines("foreign", 1)[0].parse().expect("a pid");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    wait_until("the foreign child waits", DEADLINE, || {
        process::has_open(foreign, &tree.path("gate"))
    });
    drop(gate);
    wait_until("the foreign child is reaped", DEADLINE, || process::state(foreign).is_none());
    assert_eq!(tree.wait_up("a"), pid);
}

// A run which cannot be started

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
    case("interpreter", "file does not exist");
    tree.service("folder", "#!/\n");
    case("folder", "access denied");
    // A program that somebody has open to write to it.
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

// What run inherits

#[test]
fn run_gets_its_name_and_no_arguments() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\necho \"$0 $#\" >name\nexec sleep 1000\n");
    let supervise = tree.supervise("a");
    assert_eq!(tree.wait_lines("a/name", 1), ["./run 0"]);
    finish(&tree, supervise, "a");
}

#[test]
fn run_starts_in_the_service_directory_with_supervises_environment_and_process_group() {
    let tree = Tree::new();
    tree.trapping_service("some/where/a", &[]);
    let dir = "./some/where/a";
    let supervise = tree
        .cmd("supervise")
        .arg(dir)
        .env("EMPTY", "")
        .env("BYTES", OsStr::from_bytes(b"\xfe\xff=x\ny"))
        .env_remove("PATH")
        .start();
    tree.wait_lines("some/where/a/started", 1);
    let pid = tree.wait_up(dir);
    assert_eq!(process::directory(pid), Some(tree.path("some/where/a")));
    assert_eq!(process::group(pid), process::group(supervise.pid()));
    let environment = process::environment(pid);
    assert_eq!(environment, process::environment(supervise.pid()));
    assert_eq!(environment.len(), 3);
}

#[test]
fn run_inherits_open_descriptors_and_none_of_supervises_own() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    tree.write("in", "");
    let open = "exec 0<in 7<in 9>>out;";
    // Whatever the tests themselves were started with is in both.
    let reference = tree.sh(&format!("{open} exec sleep 1000")).start();
    let _supervise = tree.sh(&format!("{open} exec supervise a")).start();
    let descriptors = |pid: u32| {
        process::wait_asleep(pid, "sleep");
        process::descriptors(pid)
    };
    let wanted = descriptors(reference.pid());
    let got = descriptors(tree.wait_up("a"));
    let numbers = |list: &[(i32, std::path::PathBuf)]| list.iter().map(|d| d.0).collect::<Vec<_>>();
    assert_eq!(numbers(&got), numbers(&wanted), "{got:?}");
    for (number, name) in [(0, "in"), (7, "in"), (9, "out")] {
        assert!(got.contains(&(number, tree.path(name))), "{got:?}");
    }
}

#[test]
fn run_uses_the_standard_streams_of_supervise() {
    let tree = Tree::new();
    tree.service(
        "a",
        "#!/bin/sh\nread -r line\necho \"got $line\"\necho oops >&2\nexec sleep 1000\n",
    );
    let supervise = tree.cmd("supervise").arg("a").stdin("hello\n").start();
    supervise.wait_stderr("oops\n");
    assert_eq!(supervise.stdout(), "got hello\n");
    assert_eq!(supervise.stderr(), "oops\n");
}

#[test]
fn run_inherits_umask_and_limits() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\n(umask; ulimit -n; ulimit -c) >found\nexec sleep 1000\n");
    let _supervise = tree.sh("umask 027; ulimit -n 77; ulimit -c 0; exec supervise a").start();
    assert_eq!(tree.wait_lines("a/found", 3), ["0027", "77", "0"]);
}

#[test]
fn run_inherits_ignored_signals_and_a_clean_mask() {
    let tree = Tree::new();
    let look = "exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
    tree.service("a", &format!("#!/bin/sh\nexec 2>&1 >found\n{look}\n"));
    tree.service("b", &format!("#!/bin/sh\nexec 2>&1 >found\n{look}\n"));
    for (dir, traps) in [("a", ""), ("b", "trap '' HUP USR1 PIPE QUIT;")] {
        let wanted = tree.sh(&format!("{traps} {look}")).run().out();
        let _supervise = tree.sh(&format!("{traps} exec supervise {dir}")).start();
        let got = tree.wait_lines(format!("{dir}/found"), 2);
        assert_eq!(got, wanted.lines().collect::<Vec<_>>());
    }
}

#[test]
fn an_ignored_child_signal_does_not_blind_supervise() {
    let tree = Tree::new();
    tree.service("a", "#!/bin/sh\necho $$ >>started\nexit 0\n");
    let supervise = tree.sh("trap '' CHLD; exec supervise a").start();
    tree.wait_lines("a/started", 3);
    finish(&tree, supervise, "a");
}

// Signals to supervise itself

#[test]
fn hup_ends_supervise() {
    let tree = Tree::new();
    tree.idle_service("a");
    tree.write("a/down", "");
    let supervise = tree.supervise("a");
    supervise.signal(Signal::HUP);
    let output = supervise.wait();
    let in_order = tree.suite().differs("HUP is an order to leave, and the exit code is 0");
    let end = if in_order { (Some(0), None) } else { (None, Some(1)) };
    assert_eq!((output.code, output.signal), end, "{output}");
}

#[test]
fn a_stopped_supervise_obeys_when_it_continues() {
    let tree = Tree::new();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", DEADLINE, || process::is_stopped(supervise.pid()));
    let said = if tree.suite().differs("svc says that its command has not been read") {
        "svc: warning: a has not read the command yet\n"
    } else {
        ""
    };
    for letter in ["-o", "-t"] {
        tree.cmd("svc").args([letter, "a"]).run().is(0, "", said);
    }
    assert!(process::is_alive(pid));
    supervise.signal(Signal::CONT);
    process::wait_gone(pid);
    assert_eq!(tree.wait_down("a").want(), PENDING);
    finish(&tree, supervise, "a");
}

#[test]
fn supervise_waits_without_working() {
    let tree = Tree::new();
    tree.trapping_service("a", &[]);
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    let ticks = || -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", supervise.pid())).expect("stat");
        stat.split_whitespace().skip(13).take(2).map(|n| n.parse::<u64>().expect("a number")).sum()
    };
    // Let the start be over: asleep, and the first second gone.
    let start = Instant::now();
    let used = wait_for("a second and a half", DEADLINE, || {
        (start.elapsed() > Duration::from_millis(1500)).then(ticks)
    });
    let again = wait_for("another second", DEADLINE, || {
        (start.elapsed() > Duration::from_millis(2500)).then(ticks)
    });
    assert!(again - used <= 1, "used {} clock ticks for nothing", again - used);
}
