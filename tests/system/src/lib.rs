//! What only ours does. The tests say it, a file per program; here is what they share.

use harness::{Cmd, DEADLINE, Process, Status, Suite, Tree, process, skip, wait_for, wait_until};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Resource, getrlimit};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

/// What happens at once, happens within this time even if other tests have the processors. The
/// original would need five seconds, or the rest of its deaf second.
pub const PROMPT: Duration = Duration::from_secs(2);

/// A tree in which our programs are run.
///
/// # Panics
///
/// If the original's are to be tested: it does not do what is stated here.
#[must_use]
pub fn tree() -> Tree {
    assert!(
        !Suite::get().is_original(),
        "these tests state what only our programs do: build them, and let DAEMONTOOLS_UNDER_TEST \
         name the directory of the executables"
    );
    Tree::new()
}

/// The directory of the original's programs, beside which ours are tested.
///
/// # Panics
///
/// If they are not there. A test never passes because there was nothing to test with.
#[must_use]
pub fn original() -> PathBuf {
    let named = env::var_os("DAEMONTOOLS_ORIGINAL").filter(|dir| !dir.is_empty());
    let dir = named.map_or_else(|| PathBuf::from("target/original/usr/bin"), PathBuf::from);
    let dir = workspace().join(dir);
    assert!(
        dir.join("supervise").is_file(),
        "the original's programs are not in {}: run the script tests/original, or set \
         DAEMONTOOLS_ORIGINAL to a directory holding them",
        dir.display()
    );
    dir.canonicalize().expect("a directory which exists has a full name")
}

/// A program of the original's, to be run in a tree of ours.
///
/// # Panics
///
/// As [`original`].
pub fn theirs<'t>(tree: &'t Tree, name: &str) -> Cmd<'t> {
    let path = original().join(name);
    tree.cmd(path.to_str().expect("a name in ASCII")).arg0(name)
}

/// The top of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// How long ago the process of a status came or went.
#[must_use]
pub fn age(status: &Status) -> Duration {
    SystemTime::now().duration_since(status.time()).unwrap_or_default()
}

/// The time from one status to a later one, by their labels.
///
/// # Panics
///
/// If the second is not the later one.
#[must_use]
#[track_caller]
pub fn between(first: &Status, second: &Status) -> Duration {
    second.time().duration_since(first.time()).expect("the labels are in order")
}

/// Waits until the service runs for longer than a second, so that it may be started again at once.
#[track_caller]
pub fn wait_settled(tree: &Tree, dir: impl AsRef<Path>) -> u32 {
    let old = |s: &Status| s.pid() != 0 && age(s) > Duration::from_millis(1100);
    tree.wait_status(dir, "has run for a second", old).pid()
}

/// Waits, but not long, until the process has ended and its parent has taken note of that.
#[track_caller]
pub fn wait_reaped(pid: u32) {
    wait_until(&format!("process {pid} is reaped"), PROMPT, || process::state(pid).is_none());
}

/// Waits until all of these processes run no longer.
#[track_caller]
pub fn wait_all_gone(pids: &[u32]) {
    for &pid in pids {
        process::wait_gone(pid);
    }
}

/// The process below `parent` with exactly these arguments, once there is one.
#[track_caller]
#[must_use]
pub fn find_below(parent: u32, arguments: &[&str]) -> u32 {
    wait_for(&format!("a process {arguments:?}"), DEADLINE, || {
        process::descendants(parent).into_iter().find(|&pid| process::arguments(pid) == arguments)
    })
}

/// A line of `/proc/PID/status`, without its name.
#[must_use]
pub fn status_line(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// A line of `/proc/PID/smaps_rollup`, in KiB: what the process has of this kind of memory.
///
/// # Panics
///
/// If there is no such process, or no such line.
#[must_use]
#[track_caller]
pub fn memory(pid: u32, kind: &str) -> u32 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("its memory");
    let line = rollup.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(':'));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).expect("a number")
}

/// How often the process has gone to sleep, which is as often as it was woken.
///
/// # Panics
///
/// If there is no such process.
#[must_use]
#[track_caller]
pub fn sleeps(pid: u32) -> u64 {
    let line = status_line(pid, "voluntary_ctxt_switches").expect("the process is there");
    line.parse().expect("a number")
}

/// The processor time the process has used, in ticks of a hundredth of a second.
///
/// # Panics
///
/// If there is no such process.
#[must_use]
#[track_caller]
pub fn ticks(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let (_, after) = text.rsplit_once(')').expect("the name is in parentheses");
    // utime and stime are fields 14 and 15; the first after the name is number 3.
    after.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum()
}

/// Asserts that none of the processes wakes up in the given time, once they have done what they
/// were told before.
///
/// # Panics
///
/// If one does.
#[track_caller]
pub fn assert_idle(pids: &[u32], time: Duration) {
    let look = || pids.iter().map(|&pid| sleeps(pid)).collect::<Vec<_>>();
    // What they were just told may still be on its way, and a sleep is counted when it ends.
    let mut before = look();
    wait_until("what was asked for is done", DEADLINE, || {
        thread::sleep(Duration::from_millis(100));
        let settled = before == look();
        before = look();
        settled
    });
    // The only way to see that nothing happens.
    thread::sleep(time);
    assert_eq!(look(), before, "wake-ups of {pids:?}");
}

/// Asserts that the process hardly uses the processor in the given time.
///
/// # Panics
///
/// If it uses a quarter of it or more.
#[track_caller]
pub fn assert_calm(pid: u32, time: Duration) {
    let before = ticks(pid);
    thread::sleep(time);
    let used = Duration::from_millis((ticks(pid) - before) * 10);
    assert!(used < time / 4, "process {pid} used {} ms", used.as_millis());
}

/// Whether programs can be run under strace, which is said where they cannot.
#[must_use]
#[track_caller]
pub fn strace_works(tree: &Tree) -> bool {
    let works = tree.sh("exec strace -o trial true").run().code == Some(0);
    if !works {
        skip("strace is needed, and does not work here");
    }
    works
}

/// The wrapper which gives a program a namespace for mounts of its own, in which it is root. `None`
/// where that is not to be had, which is said.
#[must_use]
pub fn namespace(tree: &Tree) -> Option<[&'static str; 3]> {
    let wrapper = ["unshare", "--map-root-user", "--mount"];
    tree.mkdir("trial");
    let trial = tree.sh("mount -t tmpfs none trial").under(wrapper).run();
    if trial.code == Some(0) {
        return Some(wrapper);
    }
    skip(&format!("half of this test needs a namespace: {trial}"));
    None
}

/// The limit of processes which an ordinary user may go up to.
#[must_use]
pub fn most_processes() -> String {
    getrlimit(Resource::Nproc).maximum.map_or("unlimited".into(), |limit| limit.to_string())
}

/// How many lines contain a text.
#[must_use]
pub fn count(text: &str, needle: &str) -> usize {
    text.lines().filter(|line| line.contains(needle)).count()
}

/// Asserts that a program ended with exit code 0.
///
/// # Panics
///
/// If it ended otherwise, or does not end.
#[track_caller]
pub fn leaves(process: Process) {
    let output = process.wait();
    assert_eq!(output.code, Some(0), "{output}");
}

/// Ends the service and its supervise in the orderly way.
///
/// # Panics
///
/// If they do not end so.
#[track_caller]
pub fn finish(tree: &Tree, supervise: Process, dir: &str) {
    tree.svc("-dx", dir);
    leaves(supervise);
}

/// The user's side of a terminal.
#[derive(Debug)]
pub struct Terminal(File);

impl Terminal {
    /// Makes one, and the program's side of it.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    pub fn open() -> (Self, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let user = openpt(flags).expect("open a pseudo-terminal");
        grantpt(&user).expect("grant it");
        unlockpt(&user).expect("unlock it");
        let program = ioctl_tiocgptpeer(&user, flags).expect("open its other side");
        let flags = fcntl_getfl(&user).expect("read its flags");
        fcntl_setfl(&user, flags | OFlags::NONBLOCK).expect("set its flags");
        (Self(user.into()), program)
    }

    /// Types something.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn types(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("write to the terminal");
    }

    /// What has appeared since the last call.
    pub fn shows(&mut self) -> String {
        let mut found = Vec::new();
        // It ends with "would block", or with an error when nobody is left at the other side.
        let _ = self.0.read_to_end(&mut found);
        String::from_utf8_lossy(&found).into_owned()
    }
}

/// Opens a FIFO for writing, as an `echo` that never ends.
///
/// # Panics
///
/// If nobody reads it.
#[must_use]
#[track_caller]
pub fn writer(path: &Path) -> File {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).expect("open a FIFO for writing").into()
}
