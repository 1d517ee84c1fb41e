//! svstat: it prints the state of services.

use compliance::unusable_directories;
use harness::{Fifo, Status, Tree, process, wait_until};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Makes a service directory with this status. An open `ok` makes it look supervised.
fn fake(tree: &Tree, dir: &str, status: impl AsRef<[u8]>) -> Fifo {
    let ok = format!("{dir}/supervise/ok");
    tree.fifo(&ok, 0o600);
    tree.write(format!("{dir}/supervise/status"), status);
    tree.open_fifo(&ok)
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    now.as_secs().try_into().expect("it is not that late")
}

/// Asserts the line of svstat for a status of this age. `{S}` in the text stands for the seconds. They
/// may be more on a busy machine, and one less, because time(2) lags behind the clock that the test
/// reads by up to a timer tick.
#[track_caller]
fn says(record: impl Fn(i64) -> Vec<u8>, age: i64, down: bool, text: &str) {
    let tree = Tree::new();
    let _ok = fake(&tree, "a", record(now() - age));
    if down {
        tree.write("a/down", "");
    }
    let line = tree.svstat("a");
    let slack = ((age - 1).max(0)..age + 30)
        .any(|seconds| line == text.replace("{S}", &seconds.to_string()));
    assert!(slack, "{line:?} is not {text:?}");
}

// Arguments

#[test]
fn no_argument_is_nothing_to_do() {
    Tree::new().cmd("svstat").run().is(0, "", "");
}

#[test]
fn every_argument_gets_a_line_which_begins_with_it() {
    let tree = Tree::new();
    let _ok = fake(&tree, "a", Status::record(now() + 1000, 0, 0, b'd'));
    tree.write("a/down", "");
    tree.mkdir("sub");
    let absolute = tree.path("a");
    let lines = format!(
        "a: down 0 seconds\n\
         none: unable to chdir: file does not exist\n\
         ./sub/..//a/: down 0 seconds\n\
         {}: down 0 seconds\n\
         a: down 0 seconds\n\
         : unable to chdir: file does not exist\n",
        absolute.display()
    );
    let output =
        tree.cmd("svstat").args(["a", "none", "./sub/..//a/"]).arg(&absolute).args(["a", ""]).run();
    output.is(0, lines, "");
}

#[test]
fn names_are_printed_as_they_are() {
    let tree = Tree::new();
    let name = OsStr::from_bytes(b"\xff \n'");
    let line = b"\xff \n': unable to chdir: file does not exist\n";
    tree.cmd("svstat").arg(name).run().is(0, line, "");
    let long = "z".repeat(2000);
    let line = format!("{long}: unable to chdir: file name too long\n");
    tree.cmd("svstat").arg(&long).run().is(0, line, "");
}

#[test]
fn many_lines_come_out_in_order() {
    let tree = Tree::new();
    let names: Vec<String> = (0..200).map(|number| format!("service-{number}")).collect();
    let lines: String = names
        .iter()
        .map(|name| format!("{name}: unable to chdir: file does not exist\n"))
        .collect();
    tree.cmd("svstat").args(&names).run().is(0, lines, "");
}

// Errors

#[test]
fn the_directory_must_be_one() {
    let tree = Tree::new();
    unusable_directories(&tree);
    tree.cmd("svstat").args(["file", "loop", "none", "closed"]).unprivileged().run().is(
        0,
        "file: unable to chdir: not a directory\n\
         loop: unable to chdir: symbolic link loop\n\
         none: unable to chdir: file does not exist\n\
         closed: unable to chdir: access denied\n",
        "",
    );
}

#[test]
fn a_failing_stat_of_down_is_reported() {
    let tree = Tree::new();
    let _ok = fake(&tree, "a", Status::record(now(), 0, 0, b'd'));
    tree.symlink("down", "a/down");
    assert_eq!(tree.svstat("a"), "unable to stat down: symbolic link loop");
}

#[test]
fn without_a_reader_of_ok_supervise_is_not_running() {
    let tree = Tree::new();
    drop(fake(&tree, "a", Status::record(now(), 1, 0, b'u')));
    // A child that another test has just forked may still hold the descriptor.
    wait_until("ok has no reader", Duration::from_secs(5), || !tree.is_supervised("a"));
    assert_eq!(tree.svstat("a"), "supervise not running");
}

#[test]
fn the_reason_for_an_ok_which_cannot_be_opened_is_reported() {
    let tree = Tree::new();
    tree.mkdir("a");
    tree.write("b/supervise", "");
    tree.mkdir("c/supervise/ok");
    tree.fifo("d/supervise/ok", 0o400);
    tree.mkdir("e/supervise");
    tree.chmod("e/supervise", 0);
    tree.cmd("svstat").args(["a", "b", "c", "d", "e"]).unprivileged().run().is(
        0,
        "a: unable to open supervise/ok: file does not exist\n\
         b: unable to open supervise/ok: not a directory\n\
         c: unable to open supervise/ok: is a directory\n\
         d: unable to open supervise/ok: access denied\n\
         e: unable to open supervise/ok: access denied\n",
        "",
    );
}

#[test]
fn a_socket_called_ok_reads_as_not_running() {
    let tree = Tree::new();
    tree.mkdir("a/supervise");
    let _socket = UnixListener::bind(tree.path("a/supervise/ok")).expect("make a socket");
    assert_eq!(tree.svstat("a"), "supervise not running");
}

#[test]
fn a_status_which_cannot_be_opened_is_reported() {
    let tree = Tree::new();
    let _ok = fake(&tree, "a", "");
    tree.remove("a/supervise/status");
    assert_eq!(tree.svstat("a"), "unable to open supervise/status: file does not exist");
    tree.symlink("status", "a/supervise/status");
    assert_eq!(tree.svstat("a"), "unable to open supervise/status: symbolic link loop");
    tree.remove("a/supervise/status");
    tree.write("a/supervise/status", Status::record(now(), 0, 0, b'd'));
    tree.chmod("a/supervise/status", 0);
    let line = "a: unable to open supervise/status: access denied\n";
    tree.cmd("svstat").arg("a").unprivileged().run().is(0, line, "");
}

#[test]
fn a_short_status_is_a_bad_format() {
    let tree = Tree::new();
    let whole = Status::record(now(), 0, 0, b'd');
    let _ok = fake(&tree, "a", "");
    for length in [0, 1, 12, 17] {
        tree.write("a/supervise/status", &whole[..length]);
        assert_eq!(tree.svstat("a"), "unable to read supervise/status: bad format");
    }
}

#[test]
fn only_the_first_18_bytes_of_a_longer_status_count() {
    let tree = Tree::new();
    let mut record = Status::record(now() + 1000, 77, 0, b'u');
    record.extend([b'x'; 30]);
    // Ours reads records of 20 and 40 bytes as other formats, so this one has 19.
    record.truncate(19);
    let _ok = fake(&tree, "a", record);
    assert_eq!(tree.svstat("a"), "up (pid 77) 0 seconds");
}

#[test]
fn a_current_directory_which_cannot_be_opened_is_fatal() {
    let tree = Tree::new();
    tree.mkdir("cwd");
    tree.chmod("cwd", 0o311);
    let line = "svstat: fatal: unable to open current directory: access denied\n";
    tree.cmd("svstat").cwd("cwd").unprivileged().run().is(111, "", line);
    tree.cmd("svstat").arg(tree.path("")).cwd("cwd").unprivileged().run().is(111, "", line);
}

// The line

#[test]
fn up() {
    says(|time| Status::record(time, 4711, 0, b'u'), 10, false, "up (pid 4711) {S} seconds");
}

#[test]
fn up_and_normally_down() {
    let record = |time| Status::record(time, 1, 0, b'u');
    says(record, 0, true, "up (pid 1) {S} seconds, normally down");
}

#[test]
fn up_and_paused() {
    says(|time| Status::record(time, 1, 1, b'u'), 1, false, "up (pid 1) {S} seconds, paused");
}

#[test]
fn any_paused_byte_but_zero_means_paused() {
    says(|time| Status::record(time, 1, 255, b'u'), 1, false, "up (pid 1) {S} seconds, paused");
}

#[test]
fn up_and_wanted_down() {
    says(|time| Status::record(time, 1, 0, b'd'), 5, false, "up (pid 1) {S} seconds, want down");
}

#[test]
fn up_with_everything() {
    let record = |time| Status::record(time, 1, 1, b'd');
    says(record, 5, true, "up (pid 1) {S} seconds, normally down, paused, want down");
}

#[test]
fn up_once() {
    says(|time| Status::record(time, 1, 0, 0), 5, false, "up (pid 1) {S} seconds");
}

#[test]
fn unknown_wanted_states_are_not_printed() {
    says(|time| Status::record(time, 1, 0, b'x'), 5, false, "up (pid 1) {S} seconds");
    says(|time| Status::record(time, 0, 0, b'x'), 5, true, "down {S} seconds");
}

#[test]
fn down() {
    says(|time| Status::record(time, 0, 0, b'd'), 5, true, "down {S} seconds");
}

#[test]
fn down_and_normally_up() {
    says(|time| Status::record(time, 0, 0, b'd'), 5, false, "down {S} seconds, normally up");
}

#[test]
fn down_and_wanted_up() {
    says(|time| Status::record(time, 0, 0, b'u'), 5, true, "down {S} seconds, want up");
}

#[test]
fn down_with_everything() {
    let record = |time| Status::record(time, 0, 0, b'u');
    says(record, 5, false, "down {S} seconds, normally up, want up");
}

#[test]
fn down_is_never_paused() {
    says(|time| Status::record(time, 0, 1, 0), 5, true, "down {S} seconds");
}

#[test]
fn the_pid_is_little_endian_and_has_32_bits() {
    let record = |time| Status::record(time, 0x0102_0304, 0, b'u');
    says(record, 5, false, "up (pid 16909060) {S} seconds");
    let record = |time| Status::record(time, u32::MAX, 0, b'u');
    says(record, 5, false, "up (pid 4294967295) {S} seconds");
}

#[test]
fn a_dangling_down_counts_as_absent() {
    let tree = Tree::new();
    let _ok = fake(&tree, "a", Status::record(now() + 1000, 0, 0, b'd'));
    tree.symlink("nowhere", "a/down");
    assert_eq!(tree.svstat("a"), "down 0 seconds, normally up");
    tree.remove("a/down");
    tree.mkdir("a/down");
    assert_eq!(tree.svstat("a"), "down 0 seconds");
}

// Seconds

#[test]
fn a_time_in_the_future_is_no_time_ago() {
    let record = |_| Status::record(now() + 100_000, 1, 0, b'u');
    says(record, 0, false, "up (pid 1) {S} seconds");
}

#[test]
fn long_times_are_exact() {
    let record = |time| Status::record(time, 1, 0, b'u');
    says(record, 100_000_000, false, "up (pid 1) {S} seconds");
    says(record, now(), false, "up (pid 1) {S} seconds");
}

#[test]
fn nanoseconds_do_not_count() {
    let tree = Tree::new();
    let mut record = Status::record(now() - 100, 1, 0, b'u');
    record[8..12].copy_from_slice(&999_999_500_u32.to_be_bytes());
    let _ok = fake(&tree, "a", record);
    let line = tree.svstat("a");
    let seconds: u32 = line
        .strip_prefix("up (pid 1) ")
        .and_then(|rest| rest.strip_suffix(" seconds"))
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{line}"));
    assert!((99..130).contains(&seconds), "{line}");
}

// With a supervise

#[test]
fn a_service_through_its_life() {
    let tree = Tree::new();
    tree.trapping_service("a", &["TERM"]);
    let supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    let pid = tree.wait_up("a");
    let says = |wanted: &str| {
        let line = tree.svstat("a");
        let wanted = wanted.replace("{P}", &pid.to_string());
        let matches = (0..60).any(|s| line == wanted.replace("{S}", &s.to_string()));
        assert!(matches, "{line:?} is not {wanted:?}");
    };
    says("up (pid {P}) {S} seconds");
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    says("up (pid {P}) {S} seconds, paused");
    tree.svc("-c", "a");
    tree.wait_status("a", "not paused", |s| s.paused() == 0);
    says("up (pid {P}) {S} seconds");
    tree.svc("-o", "a");
    tree.wait_want("a", 0);
    says("up (pid {P}) {S} seconds");
    tree.svc("-d", "a");
    tree.wait_want("a", b'd');
    says("up (pid {P}) {S} seconds, want down");
    tree.write("a/down", "");
    says("up (pid {P}) {S} seconds, normally down, want down");
    tree.svc("-k", "a");
    process::wait_gone(pid);
    tree.wait_down("a");
    says("down {S} seconds");
    tree.remove("a/down");
    says("down {S} seconds, normally up");
    tree.svc("-x", "a");
    supervise.wait().is(0, "", "");
    says("supervise not running");
}

#[test]
fn a_service_never_supervised() {
    let tree = Tree::new();
    tree.idle_service("a");
    assert_eq!(tree.svstat("a"), "unable to open supervise/ok: file does not exist");
    assert!(!tree.exists("a/supervise"));
}
