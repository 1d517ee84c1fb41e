//! That nothing is left behind, however the benchmark ends.
//!
//! Two processes watch each other. The first one makes the directory and starts the second, which
//! measures. Both are reapers of their descendants, so that a process whose parent has gone comes
//! back to them. If the second dies, the first ends what is left and removes the directory; if the
//! first dies (it is the one that gets Ctrl-C), the second notices by its standard input, and does
//! the same.

use harness::{Signal, process};
use rustix::process::{Pid, WaitOptions, getpid, pidfd_open, set_child_subreaper, waitpid};
use std::io::{Read, pipe, stdin};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::Outcome;

/// The first process: starts the measuring one with these arguments and a fresh directory below
/// `base`, and cleans up behind it. Gives its exit code.
///
/// # Errors
///
/// If the directory or the process cannot be made.
pub(crate) fn watch(base: &Path, arguments: &[String]) -> Outcome<u8> {
    become_reaper()?;
    let name = format!("bench.{}", getpid().as_raw_nonzero());
    let dir = fs::canonicalize(base)
        .map(|base| base.join(name))
        .and_then(|dir| fs::create_dir(&dir).map(|()| dir))
        .map_err(|error| format!("unable to make a directory in {}: {error}", base.display()))?;
    let status = measure(&dir, arguments);
    clean_up(&dir);
    let status = status.map_err(|error| format!("unable to start myself: {error}"))?;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ok(u8::try_from(code).unwrap_or(111)),
        (None, signal) => Err(format!("ended by signal {}", signal.unwrap_or(0))),
    }
}

fn measure(dir: &Path, arguments: &[String]) -> std::io::Result<ExitStatus> {
    // The writing end is ours alone, and closed by our death.
    let (theirs, _ours) = pipe()?;
    Command::new(env::current_exe()?)
        .args(arguments)
        .arg("--inside")
        .arg(dir)
        .stdin(theirs)
        .process_group(0)
        .status()
}

/// The second process: cleans up and leaves when the first one dies.
///
/// # Errors
///
/// If the kernel does not make us the reaper.
pub(crate) fn obey(dir: PathBuf) -> Outcome<()> {
    become_reaper()?;
    thread::spawn(move || {
        let _ = stdin().read(&mut [0]);
        // By exec, which ends the thread that measures and would start something else meanwhile.
        let _ = env::current_exe().map(|me| Command::new(me).arg("--clean").arg(&dir).exec());
        clean_up(&dir);
        std::process::exit(111);
    });
    Ok(())
}

/// The second process when it has been told so: ends what there is below it, and removes the
/// directory.
pub(crate) fn clean_up(dir: &Path) {
    let me = std::process::id();
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let left = process::descendants(me);
        if left.is_empty() {
            break;
        }
        for &pid in &left {
            process::signal(pid, Signal::KILL);
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        thread::sleep(Duration::from_millis(20));
    }
    let _ = fs::remove_dir_all(dir);
}

fn become_reaper() -> Outcome<()> {
    set_child_subreaper(Some(getpid()))
        .map_err(|error| format!("unable to become the reaper of my descendants: {error}"))
}

/// Ends the processes below this one that stand in `dir`, and takes their zombies. Those in
/// `first` go first, so that nothing is started again meanwhile.
pub(crate) fn end_all(dir: &Path, first: &[u32]) {
    for &pid in first {
        process::signal(pid, Signal::KILL);
    }
    let me = std::process::id();
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let (zombies, living): (Vec<u32>, Vec<u32>) =
            process::descendants(me).into_iter().partition(|&pid| !process::is_alive(pid));
        let ours: Vec<u32> = living
            .into_iter()
            .filter(|&pid| process::directory(pid).is_some_and(|at| at.starts_with(dir)))
            .collect();
        for &pid in &ours {
            process::signal(pid, Signal::KILL);
        }
        for pid in zombies {
            // Not those of others: their parents wait for them.
            let _ = pid_of(pid).map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
        }
        if ours.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a child, and kills it when that takes too long.
pub(crate) fn wait(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let ended = pid_of(child.id())
        .and_then(|pid| pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok())
        .is_some_and(|fd| readable(&fd, deadline));
    if !ended {
        let _ = child.kill();
    }
    let status = child.wait().ok();
    status.filter(|_| ended)
}

/// Waits until there is something to read, or for a process that it has ended.
pub(crate) fn readable(fd: &impl std::os::fd::AsFd, deadline: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec::try_from(deadline).ok();
    poll(&mut [PollFd::new(fd, PollFlags::IN)], timeout.as_ref()).is_ok_and(|n| n > 0)
}

/// A number as a process.
#[must_use]
pub(crate) fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}
