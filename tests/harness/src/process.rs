//! What `/proc` tells about processes.

use crate::DEADLINE;
use crate::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

fn file(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// Every process there is.
pub(crate) fn all() -> Vec<u32> {
    fs::read_dir("/proc")
        .expect("/proc can be read")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The fields of `stat` after the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read(file(pid, "stat")).ok()?;
    let after = text.iter().rposition(|&b| b == b')')?;
    Some(
        String::from_utf8_lossy(&text[after + 1..]).split_whitespace().map(str::to_owned).collect(),
    )
}

/// The state letter as in `ps`: `R`, `S`, `T`, `Z`, ...
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// The parent's pid.
#[must_use]
pub fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// The process group.
#[must_use]
pub fn group(pid: u32) -> Option<u32> {
    stat(pid)?.get(2)?.parse().ok()
}

/// The session.
#[must_use]
pub fn session(pid: u32) -> Option<u32> {
    stat(pid)?.get(3)?.parse().ok()
}

/// Whether the process runs. A zombie does not.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// Whether the process is stopped.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// Waits until the process is that program and sleeps, so that its start is
/// over: while being loaded a program has files open which are not its own.
///
/// # Panics
///
/// If that takes too long.
#[track_caller]
pub fn wait_asleep(pid: u32, program: &str) {
    wait_until(&format!("process {pid} sleeps as {program}"), DEADLINE, || {
        arguments(pid).first().is_some_and(|name| name == program) && state(pid) == Some('S')
    });
}

/// Waits until the process runs no longer (it may be a zombie).
///
/// # Panics
///
/// If that takes too long.
#[track_caller]
pub fn wait_gone(pid: u32) {
    wait_until(&format!("process {pid} is gone"), DEADLINE, || !is_alive(pid));
}

/// The arguments, `argv[0]` first.
#[must_use]
pub fn arguments(pid: u32) -> Vec<OsString> {
    let mut text = fs::read(file(pid, "cmdline")).unwrap_or_default();
    if text.pop().is_none() {
        return Vec::new();
    }
    text.split(|&b| b == 0).map(|arg| OsString::from_vec(arg.to_vec())).collect()
}

/// The environment the program was started with, as `NAME=VALUE`.
#[must_use]
pub fn environment(pid: u32) -> Vec<OsString> {
    let text = fs::read(file(pid, "environ")).unwrap_or_default();
    text.split(|&b| b == 0)
        .filter(|variable| !variable.is_empty())
        .map(|variable| OsString::from_vec(variable.to_vec()))
        .collect()
}

/// Where the process stands.
#[must_use]
pub fn directory(pid: u32) -> Option<PathBuf> {
    fs::read_link(file(pid, "cwd")).ok()
}

/// Whether the process has that file open.
#[must_use]
pub fn has_open(pid: u32, path: &Path) -> bool {
    descriptors(pid).iter().any(|(_, target)| target == path)
}

/// The open descriptors and what they refer to, by number.
#[must_use]
pub fn descriptors(pid: u32) -> Vec<(i32, PathBuf)> {
    let Ok(entries) = fs::read_dir(file(pid, "fd")) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?))
        })
        .collect();
    found.sort();
    found
}

/// The children, and their children, and so on.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for child in all() {
        if let Some(parent) = parent(child) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(ancestor) = found.get(next) {
        found.extend(children.remove(ancestor).unwrap_or_default());
        next += 1;
    }
    found.remove(0);
    found
}

/// Sends a signal; it does not matter if the process is gone.
///
/// # Panics
///
/// If the pid is no pid at all.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    // The only other error is a lack of permission, and then the test's own
    // condition will not come true.
    let _ = kill_process(pid, signal);
}

/// A line of `/proc/PID/status`, without its name.
#[must_use]
pub fn status_line(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The number of sockets of the process.
#[must_use]
pub fn sockets(pid: u32) -> usize {
    let all = descriptors(pid);
    all.iter().filter(|(_, to)| to.to_string_lossy().starts_with("socket:")).count()
}

/// The number of inotify watches of the process.
///
/// # Panics
///
/// If there is no such process.
#[must_use]
#[track_caller]
pub fn watches(pid: u32) -> usize {
    let infos = fs::read_dir(file(pid, "fdinfo")).expect("its descriptors");
    let texts = infos.flatten().filter_map(|info| fs::read_to_string(info.path()).ok());
    texts.map(|text| text.lines().filter(|line| line.starts_with("inotify ")).count()).sum()
}

/// A line of `/proc/PID/smaps_rollup`: the memory of this kind that the process has, in KiB.
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

/// How often the process has gone to sleep; it was woken as often.
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

/// Asserts that none of the processes wakes up in the given time. First waits until they have
/// finished earlier work.
///
/// # Panics
///
/// If one wakes up.
#[track_caller]
pub fn assert_idle(pids: &[u32], time: Duration) {
    let counts = || pids.iter().map(|&pid| sleeps(pid)).collect::<Vec<_>>();
    // A command may still be in a FIFO, and the kernel counts a sleep when it ends.
    let mut before = counts();
    wait_until("earlier work is done", DEADLINE, || {
        thread::sleep(Duration::from_millis(100));
        let settled = before == counts();
        before = counts();
        settled
    });
    // The absence of wake-ups has no condition to wait for.
    thread::sleep(time);
    assert_eq!(counts(), before, "wake-ups of {pids:?}");
}
