//! Fixtures of the system tests, which state the behaviour that only our programs have. Each file or
//! folder in `tests/` is one subject.

pub use harness::process::{assert_idle, memory, sleeps, status_line};
pub use harness::{finished_files, whole_log};

pub mod counter;
pub use harness::random;
pub mod random_kills;

use harness::{
    Cmd, DEADLINE, Process, Status, Suite, Tree, original, process, skip, wait_for, wait_until,
};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, getrlimit};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Upper bound for an event that has no reason to wait, on a busy machine. The original would need
/// five seconds, or the rest of the second in which it ignores commands.
pub const PROMPT: Duration = Duration::from_secs(2);

/// A tree in which our programs run.
///
/// # Panics
///
/// If the original is under test: these tests state what only ours does.
#[must_use]
pub fn tree() -> Tree {
    assert!(
        !Suite::get().is_original(),
        "these tests state what only our programs do: unset DAEMONTOOLS_UNDER_TEST"
    );
    Tree::new()
}

/// A program of the original, to run in a tree of ours.
///
/// # Panics
///
/// As [`harness::original`].
pub fn original_program<'t>(tree: &'t Tree, name: &str) -> Cmd<'t> {
    let path = original().join(name);
    tree.cmd(path.to_str().expect("a name in ASCII")).arg0(name)
}

/// The time since the service of a status started or ended.
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
pub fn time_between(first: &Status, second: &Status) -> Duration {
    second.time().duration_since(first.time()).expect("the labels are in order")
}

/// Waits until the service has run for more than a second, so that its restart has no delay.
#[track_caller]
pub fn wait_settled(tree: &Tree, dir: impl AsRef<Path>) -> u32 {
    let old = |s: &Status| s.pid() != 0 && age(s) > Duration::from_millis(1100);
    tree.wait_status(dir, "has run for a second", old).pid()
}

/// Waits briefly until the process has ended and its parent has reaped it.
#[track_caller]
pub fn wait_reaped(pid: u32) {
    wait_until(&format!("process {pid} is reaped"), PROMPT, || process::state(pid).is_none());
}

/// Waits until all of these processes have ended.
#[track_caller]
pub fn wait_all_gone(pids: &[u32]) {
    for &pid in pids {
        process::wait_gone(pid);
    }
}

/// Waits for a descendant of `parent` with exactly these arguments, and returns it.
#[track_caller]
#[must_use]
pub fn wait_descendant(parent: u32, arguments: &[&str]) -> u32 {
    wait_for(&format!("a process {arguments:?}"), DEADLINE, || {
        process::descendants(parent).into_iter().find(|&pid| process::arguments(pid) == arguments)
    })
}

/// The processor time of the process, in ticks of a hundredth of a second.
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

/// Asserts that the process uses little processor time.
///
/// # Panics
///
/// If it uses a quarter of the given time or more.
#[track_caller]
pub fn assert_calm(pid: u32, time: Duration) {
    let before = ticks(pid);
    thread::sleep(time);
    let used = Duration::from_millis((ticks(pid) - before) * 10);
    assert!(used < time / 4, "process {pid} used {} ms", used.as_millis());
}

/// A wrapper that gives a program its own mount namespace, in which it is root. `None` where the
/// system refuses that; then a skip is reported.
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

/// A wrapper that makes a program process 1 of a namespace with its own /proc. `None` where the system
/// refuses that; then a skip is reported.
#[must_use]
pub fn container(tree: &Tree) -> Option<[&'static str; 6]> {
    let wrapper = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"];
    if tree.cmd("true").under(wrapper).run().code == Some(0) {
        return Some(wrapper);
    }
    skip("this test needs a namespace of process ids");
    None
}

/// The process 1 below such a wrapper.
#[must_use]
#[track_caller]
pub fn init_of(wrapper: &Process) -> u32 {
    wait_for("there is a process 1", DEADLINE, || {
        process::descendants(wrapper.pid())
            .into_iter()
            .find(|&pid| process::parent(pid) == Some(wrapper.pid()))
    })
}

/// The pipe behind a descriptor of a process, if it is one.
#[must_use]
pub fn pipe(pid: u32, number: i32) -> Option<PathBuf> {
    let found = process::descriptors(pid).into_iter().find(|&(n, _)| n == number);
    found.map(|(_, target)| target).filter(|target| target.to_string_lossy().starts_with("pipe:["))
}

/// The hard limit of processes.
#[must_use]
pub fn hard_process_limit() -> String {
    getrlimit(Resource::Nproc).maximum.map_or("unlimited".into(), |limit| limit.to_string())
}

/// How many lines contain a text.
#[must_use]
pub fn count(text: &str, needle: &str) -> usize {
    text.lines().filter(|line| line.contains(needle)).count()
}

/// Waits until a program ends, and asserts exit code 0.
///
/// # Panics
///
/// If it ends in another way, or does not end.
#[track_caller]
pub fn assert_exit_0(process: Process) {
    let output = process.wait();
    assert_eq!(output.code, Some(0), "{output}");
}

/// The notify socket of a service, as its process has it in the environment.
#[must_use]
#[track_caller]
pub fn notify_socket(tree: &Tree, dir: &str) -> String {
    wait_for("the service has a notify socket", DEADLINE, || {
        let pid = tree.status(dir)?.pid();
        let found = process::environment(pid).into_iter().find_map(|variable| {
            Some(variable.to_str()?.strip_prefix("NOTIFY_SOCKET=")?.to_owned())
        });
        found.filter(|_| pid != 0)
    })
}

/// Ends a service and its supervise by `svc -dx`.
///
/// # Panics
///
/// If supervise does not exit 0.
#[track_caller]
pub fn stop_supervise(tree: &Tree, supervise: Process, dir: &str) {
    tree.svc("-dx", dir);
    assert_exit_0(supervise);
}

/// Sends HUP to a service that has begun, and waits in a `read` or a sleep after it has obeyed the
/// last one. A shell, and perl, that gets a signal just before such a call obeys it only afterwards.
#[track_caller]
pub fn hang_up(tree: &Tree, dir: &str) {
    let pid = tree.wait_up(dir);
    wait_until(&format!("{dir} waits"), DEADLINE, || process::state(pid) == Some('S'));
    tree.svc("-h", dir);
}

/// Opens a FIFO for writing.
///
/// # Panics
///
/// If the FIFO has no reader.
#[must_use]
#[track_caller]
pub fn open_for_writing(path: &Path) -> File {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).expect("open a FIFO for writing").into()
}

/// Kills a program, and waits until it is reaped. Its children survive.
#[track_caller]
pub fn kill(process: Process) {
    let output = process.kill();
    assert_eq!(output.signal, Some(9), "{output}");
}

/// Kills a supervise, and starts the next one.
#[track_caller]
#[must_use]
pub fn replace_supervise(tree: &Tree, supervise: Process, dir: &str) -> Process {
    supervise.kill();
    tree.wait_unsupervised(dir);
    tree.supervise(dir)
}

/// The value of a key in `supervise/state`.
#[must_use]
pub fn state(tree: &Tree, dir: &str, key: &str) -> Option<String> {
    let text = tree.text(format!("{dir}/supervise/state"));
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned()))
}

/// Waits until a key in `supervise/state` has this value.
///
/// # Panics
///
/// If it never has; the message shows the last value.
#[track_caller]
pub fn wait_state(tree: &Tree, dir: &str, key: &str, value: &str) {
    let mut last = None;
    let start = Instant::now();
    while last.as_deref() != Some(value) {
        assert!(
            start.elapsed() < DEADLINE,
            "waited for {dir}: {key} is {value}, but it is {last:?}"
        );
        thread::sleep(Duration::from_millis(5));
        last = state(tree, dir, key);
    }
}

/// Waits until the service is in this phase.
#[track_caller]
pub fn wait_phase(tree: &Tree, dir: &str, phase: &str) {
    wait_state(tree, dir, "phase", phase);
}

/// Shell commands that append the time at which their process was made to `times`, in hundredths of a
/// second.
pub const STAMP: &str =
    "read -r stat </proc/$$/stat\nset -- ${stat##*)}\nshift 19\necho \"$1\" >>times\n";

/// Makes a service that writes the numbers up to 500 at its start and those up to 1000 after TERM,
/// and a logger. Both write to the file `order` when they end.
pub fn thousand_lines_service(tree: &Tree, dir: &str) {
    tree.service(
        dir,
        "#!/bin/sh\ntrap 'seq 501 1000; echo stop >>order; exit' TERM\nmkfifo idle\n\
         exec 8<>idle\nseq 500\necho $$ >>started\nwhile :; do read -r line <&8; done\n",
    );
    tree.service(
        format!("{dir}/log"),
        "#!/bin/sh\necho $$ >>started\nwhile read -r line; do echo \"$line\"; done >>logged\n\
         echo end of log >>../order\n",
    );
}

/// Asserts that such a service ended before its logger, which ran once and got all lines.
///
/// # Panics
///
/// If not.
#[track_caller]
pub fn assert_thousand_lines(tree: &Tree, dir: &str) {
    assert_eq!(tree.text(format!("{dir}/order")), "stop\nend of log\n", "{dir}");
    let wanted: String = (1..=1000).map(|number: u32| format!("{number}\n")).collect();
    assert_eq!(tree.text(format!("{dir}/log/logged")), wanted, "{dir}");
    assert_eq!(tree.wait_lines(format!("{dir}/log/started"), 1).len(), 1, "{dir}");
}
