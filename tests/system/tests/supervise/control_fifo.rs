//! Commands, and the FIFOs `control` and `ok` through which they come.

use harness::{Signal, process, wait_until};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use system::{PROMPT, age, assert_calm, assert_idle, open_for_writing, stop_supervise, tree};

#[test]
fn the_last_command_wins() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let mut pid = tree.wait_up("a");
    for _ in 0..3 {
        tree.svc("-d", "a");
        tree.svc("-u", "a");
        let next = tree.wait_restart("a", pid);
        assert_eq!(tree.status("a").map(|s| s.want()), Some(b'u'));
        pid = next;
    }
    tree.svc("-u", "a");
    tree.svc("-d", "a");
    let down = tree.wait_down("a");
    assert_eq!(down.want(), b'd');
    assert!(!process::is_alive(pid));
    // The service stays down after the second between two starts.
    wait_until("a second has passed", PROMPT * 2, || age(&down) > Duration::from_millis(1200));
    assert_eq!(tree.status("a").as_ref(), Some(&down));
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn letters_of_one_svc_are_obeyed_in_their_order() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let first = tree.wait_up("a");
    tree.svc("-du", "a");
    let second = tree.wait_restart("a", first);
    assert_eq!(tree.status("a").map(|s| s.want()), Some(b'u'));
    tree.svc("-ud", "a");
    tree.wait_status("a", "down for good", |s| s.pid() == 0 && s.want() == b'd');
    assert!(!process::is_alive(second));
    // From down: the service starts, and ends at once.
    tree.svc("-ud", "a");
    tree.wait_status("a", "down for good", |s| s.pid() == 0 && s.want() == b'd');
    tree.svc("-du", "a");
    tree.wait_restart("a", second);
    assert_eq!(tree.status("a").map(|s| s.want()), Some(b'u'));
    stop_supervise(&tree, supervise, "a");
}

// One supervise for each directory

/// The identity and the contents of a file, and its last change.
fn fingerprint(path: &Path) -> (u64, i64, i64, u32, Vec<u8>) {
    let meta = fs::symlink_metadata(path).expect("the file is there");
    let content = if meta.is_file() { fs::read(path).expect("read it") } else { Vec::new() };
    (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.mode(), content)
}

#[test]
fn a_second_supervise_names_the_first_and_touches_nothing() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let files = ["", "control", "history", "lock", "ok", "process", "status"]
        .map(|file| tree.path("a/supervise/").join(file));
    let before = files.each_ref().map(|file| fingerprint(file));
    for _ in 0..2 {
        let line = format!(
            "supervise: fatal: unable to acquire a/supervise/lock: temporary failure (held by pid {})\n",
            first.pid()
        );
        tree.cmd("supervise").arg("a").run().is(111, "", line);
    }
    assert_eq!(files.each_ref().map(|file| fingerprint(file)), before);
    assert_eq!(fs::read_dir(&files[0]).expect("read supervise/").count(), 6);
    // The first supervise goes on, with its own FIFOs.
    assert_eq!(tree.wait_up("a"), pid);
    tree.svc("-d", "a");
    tree.wait_down("a");
    stop_supervise(&tree, first, "a");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

// control and ok that are no FIFOs

#[test]
fn a_control_or_ok_that_is_no_fifo_is_refused() {
    for name in ["control", "ok"] {
        let tree = tree();
        let line = |dir: &str| {
            format!(
                "supervise: fatal: unable to use {dir}/supervise/{name}: not a FIFO; remove it\n"
            )
        };
        tree.idle_service("file");
        tree.write(format!("file/supervise/{name}"), "dx");
        tree.cmd("supervise").arg("file").run().is(111, "", line("file"));
        assert_eq!(tree.text(format!("file/supervise/{name}")), "dx");
        tree.idle_service("dir");
        tree.mkdir(format!("dir/supervise/{name}"));
        tree.cmd("supervise").arg("dir").run().is(111, "", line("dir"));
        tree.idle_service("device");
        tree.symlink("/dev/null", format!("device/supervise/{name}"));
        // Opening a device can have effects.
        let link = format!(
            "supervise: fatal: unable to read device/supervise/{name}: symbolic link loop\n"
        );
        tree.cmd("supervise").arg("device").run().is(111, "", link);
        for dir in ["file", "dir", "device"] {
            assert!(!tree.exists(format!("{dir}/started")), "{dir}");
            assert!(!tree.is_supervised(dir) || name == "ok");
        }
    }
}

#[test]
fn a_control_that_is_replaced_later_has_no_reader() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.remove("a/supervise/control");
    tree.write("a/supervise/control", "");
    let line = "svc: warning: unable to control a: control is not a FIFO, so nobody reads it\n";
    tree.cmd("svc").args(["-d", "a"]).run().is(0, "", line);
    assert_eq!(tree.text("a/supervise/control"), "");
    tree.remove("a/supervise/control");
    let line = "svc: warning: unable to control a: file does not exist\n";
    tree.cmd("svc").args(["-d", "a"]).run().is(0, "", line);
    assert_calm(supervise.pid(), Duration::from_millis(500));
    assert_eq!(tree.wait_up("a"), pid);
    // Everything else works.
    process::signal(pid, Signal::KILL);
    tree.wait_restart("a", pid);
    supervise.signal(Signal::TERM);
    supervise.wait().is(0, "", "");
}

/// Bytes without a pattern, the same in each run.
struct Noise(u64);

impl Iterator for Noise {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0.to_be_bytes()[0])
    }
}

#[test]
fn a_megabyte_of_noise_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    let start = Instant::now();
    // Without `x`, which would rightly end supervise.
    let noise: Vec<u8> =
        Noise(0x9E37_79B9_7F4A_7C15).filter(|&b| b != b'x').take(1 << 20).collect();
    open_for_writing(&tree.path("a/supervise/control"))
        .write_all(&noise)
        .expect("write to control");
    tree.svc("-cu", "a");
    tree.wait_status("a", "up and wanted up", |s| s.want() == b'u' && process::is_alive(s.pid()));
    assert_eq!(supervise.stderr(), "");
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    wait_until("it is stopped", PROMPT, || process::is_stopped(pid));
    // However many starts the bytes ask for.
    let starts = u64::try_from(tree.wait_lines("a/started", 1).len()).expect("a number");
    assert!(starts <= start.elapsed().as_secs() + 2, "{starts} starts");
    stop_supervise(&tree, supervise, "a");
}

#[test]
fn a_writer_that_keeps_control_open_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let mut open = open_for_writing(&tree.path("a/supervise/control"));
    let other = open_for_writing(&tree.path("a/supervise/control"));
    assert_idle(&[supervise.pid()], Duration::from_secs(1));
    tree.svc("-d", "a");
    tree.wait_down("a");
    open.write_all(b"u").expect("write to control");
    tree.wait_restart("a", pid);
    drop(open);
    assert_idle(&[supervise.pid()], Duration::from_secs(1));
    drop(other);
    stop_supervise(&tree, supervise, "a");
}
