//! svc, svstat, svok and svup.

mod commands;
mod status;
mod wait;

use harness::{DEADLINE, Fifo, Process, Status, Tree, wait_until};
use rustix::fs::{Mode, OFlags, open};
use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use system::assert_idle;

/// A directory that looks supervised. The test takes the part of supervise.
struct FakeSupervisor<'t> {
    tree: &'t Tree,
    dir: &'static str,
    control: File,
    _ok: Fifo,
    /// The moment of the last change.
    since: i64,
}

impl<'t> FakeSupervisor<'t> {
    fn new(tree: &'t Tree, dir: &'static str) -> Self {
        let ok = format!("{dir}/supervise/ok");
        tree.fifo(&ok, 0o600);
        let ok = tree.open_fifo(&ok);
        let control = tree.fifo(format!("{dir}/supervise/control"), 0o600);
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let control = open(&control, flags, Mode::empty()).expect("open a FIFO").into();
        // In the future, so that the age is 0.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let since = i64::try_from(now.as_secs() + 1000).expect("it is not that late");
        let fake = Self { tree, dir, control, _ok: ok, since };
        fake.status(0, b'd');
        fake
    }

    /// The label of the status.
    fn label(&self) -> String {
        format!("@{:016x}000001f4", (1_i64 << 62) + 10 + self.since)
    }

    /// Replaces a file of the state directory atomically.
    fn replace(&self, file: &str, content: impl AsRef<[u8]>) {
        let state = format!("{}/supervise", self.dir);
        self.tree.write(format!("{state}/{file}.new"), content);
        self.tree.rename(format!("{state}/{file}.new"), format!("{state}/{file}"));
    }

    fn status(&self, pid: u32, want: u8) {
        self.replace("status", Status::record(self.since, pid, 0, want));
    }

    /// Publishes the state file with these lines, then the status.
    fn state(&self, pid: u32, want: u8, lines: &str) {
        self.replace("state", format!("since={}\n{lines}", self.label()));
        self.status(pid, want);
    }

    /// Waits until svc has sent these bytes, and reads no more than them.
    #[track_caller]
    fn assert_receives(&mut self, bytes: &[u8]) {
        let mut read = Vec::new();
        wait_until(&format!("svc sends {:?}", bytes.escape_ascii().to_string()), DEADLINE, || {
            let left = u64::try_from(bytes.len() - read.len()).expect("a small number");
            // Ends with "would block" if there are fewer.
            let _ = (&mut self.control).take(left).read_to_end(&mut read);
            read.len() == bytes.len()
        });
        assert_eq!(read.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }
}

fn svc<'t>(tree: &'t Tree, arguments: &str) -> harness::Cmd<'t> {
    tree.cmd("svc").args(arguments.split(' '))
}

/// The pid in the status, without waiting.
#[track_caller]
fn pid_of(tree: &Tree, dir: &str) -> u32 {
    tree.status(dir).expect("there is a status").pid()
}

/// Runs svc, and asserts success without output.
#[track_caller]
fn assert_svc_succeeds(tree: &Tree, arguments: &str) {
    svc(tree, arguments).run().is(0, "", "");
}

/// Asserts that svc still waits, and sleeps.
#[track_caller]
fn assert_still_waits(svc: &mut Process) {
    assert_idle(&[svc.pid()], Duration::from_millis(100));
    assert!(!svc.has_ended());
}

/// Makes a directory that looks supervised, with that status.
fn supervised_directory(tree: &Tree, dir: &str, status: impl AsRef<[u8]>) -> Fifo {
    let ok = format!("{dir}/supervise/ok");
    tree.fifo(&ok, 0o600);
    tree.write(format!("{dir}/supervise/status"), status);
    tree.open_fifo(&ok)
}

/// A record with a time in the future, so that its age is 0, and encore's state byte.
fn record(pid: u32, want: u8, state: u8) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let later = i64::try_from(now.as_secs() + 1000).expect("it is not that late");
    let mut record = Status::record(later, pid, 0, want);
    record.extend([state, 0]);
    record
}
