//! Cleans up, however the benchmark ends.
//!
//! Two processes watch each other. The first one makes the directory and starts the second, which
//! measures. Both are subreapers, so they become the parents of orphaned descendants. If the second
//! process dies, the first ends its descendants and removes the directory. If the first dies
//! (Ctrl-C reaches only the first), the second sees the end of its standard input and does the
//! same.

use harness::{Signal, process};
use rustix::process::{Pid, WaitOptions, getpid, pidfd_open, set_child_subreaper, waitpid};
use std::io::{Read, pipe, stdin};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::Measured;

/// The first process: starts the second with these arguments and a fresh directory below `base`,
/// and cleans up after it. Returns its exit code.
///
/// # Errors
///
/// If the directory or the process cannot be made.
pub(crate) fn watch(base: &Path, arguments: &[String]) -> Measured<u8> {
    become_subreaper()?;
    let name = format!("bench.{}", getpid().as_raw_nonzero());
    let dir = fs::canonicalize(base)
        .map(|base| base.join(name))
        .and_then(|dir| fs::create_dir(&dir).map(|()| dir))
        .map_err(|error| format!("unable to make a directory in {}: {error}", base.display()))?;
    let status = measure(&dir, arguments);
    clean_up(&dir);
    let status = status.map_err(|error| format!("unable to start the second process: {error}"))?;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ok(u8::try_from(code).unwrap_or(111)),
        (None, signal) => Err(format!("ended by signal {}", signal.unwrap_or(0))),
    }
}

fn measure(dir: &Path, arguments: &[String]) -> std::io::Result<ExitStatus> {
    // The death of this process closes the writing end.
    let (reader, _writer) = pipe()?;
    Command::new(env::current_exe()?)
        .args(arguments)
        .arg("--inside")
        .arg(dir)
        // The trees of the test harness are temporary directories.
        .env("TMPDIR", dir)
        .stdin(reader)
        .process_group(0)
        .status()
}

/// The second process: cleans up and exits when the first one dies.
///
/// # Errors
///
/// If the kernel does not make this process a subreaper.
pub(crate) fn clean_up_after_first(dir: PathBuf) -> Measured<()> {
    become_subreaper()?;
    thread::spawn(move || {
        let _ = stdin().read(&mut [0]);
        // exec ends the measuring thread, which would start other processes meanwhile.
        let _ = env::current_exe().map(|me| Command::new(me).arg("--clean").arg(&dir).exec());
        clean_up(&dir);
        std::process::exit(111);
    });
    Ok(())
}

/// Ends all descendants of this process, and removes the directory.
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

fn become_subreaper() -> Measured<()> {
    set_child_subreaper(Some(getpid()))
        .map_err(|error| format!("unable to become a subreaper: {error}"))
}

/// Ends the descendants whose current directory is in `dir`, and reaps them. Those in `first` go
/// first, so that they start nothing again.
pub(crate) fn end_all(dir: &Path, first: &[u32]) {
    for &pid in first {
        process::signal(pid, Signal::KILL);
    }
    let me = std::process::id();
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let (zombies, living): (Vec<u32>, Vec<u32>) =
            process::descendants(me).into_iter().partition(|&pid| !process::is_alive(pid));
        let left: Vec<u32> = living
            .into_iter()
            .filter(|&pid| process::directory(pid).is_some_and(|at| at.starts_with(dir)))
            .collect();
        for &pid in &left {
            process::signal(pid, Signal::KILL);
        }
        for pid in zombies {
            // Other zombies stay: their parents wait for them.
            let _ = pid_of(pid).map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
        }
        if left.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a child, and kills it after the deadline.
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

/// Waits until a descriptor is readable; a pidfd is when its process has ended.
pub(crate) fn readable(fd: &impl std::os::fd::AsFd, deadline: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec::try_from(deadline).ok();
    poll(&mut [PollFd::new(fd, PollFlags::IN)], timeout.as_ref()).is_ok_and(|n| n > 0)
}

/// A process id as the type of the system calls.
#[must_use]
pub(crate) fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}
