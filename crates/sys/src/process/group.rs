//! Signals to processes and groups; process groups and sessions.

use super::pid::{Pid, id, rustix_pid};
use crate::{BorrowedFd, Errno, Result, fd, kernel};

/// Converts a signal number to that of `rustix`.
///
/// # Errors
/// EINVAL: not one of the standard signals.
pub(crate) fn rustix_signal(signal: i32) -> Result<rustix::process::Signal> {
    rustix::process::Signal::from_named_raw(signal).ok_or(Errno::INVAL)
}

/// Sends a signal to a process.
///
/// # Errors
/// ESRCH: no such process. EPERM: not permitted.
pub fn kill(pid: Pid, signal: i32) -> Result<()> {
    rustix::process::kill_process(rustix_pid(pid)?, rustix_signal(signal)?)
}

/// Sends a signal to a process group.
///
/// # Errors
/// ESRCH: no such group. EPERM: not permitted.
pub fn kill_group(group: Pid, signal: i32) -> Result<()> {
    rustix::process::kill_process_group(rustix_pid(group)?, rustix_signal(signal)?)
}

/// Moves this process into a new process group, as its leader.
///
/// # Errors
/// EPERM: this process leads a session.
pub fn lead_new_group() -> Result<()> {
    rustix::process::setpgid(None, None)
}

/// Moves this process into a new session without a terminal, as its leader.
///
/// # Errors
/// EPERM: this process leads a process group.
pub fn lead_new_session() -> Result<()> {
    rustix::process::setsid().map(drop)
}

/// The process group of a process, also of one that is not yet reaped.
///
/// # Errors
/// ESRCH: no such process, or the leader of its group is outside the PID namespace.
pub fn group_of(pid: Pid) -> Result<Pid> {
    Pid::new(kernel::group_of(pid.get())?).ok_or(Errno::SRCH)
}

/// The session of a process, also of one that is not yet reaped.
///
/// # Errors
/// ESRCH: no such process, or the leader of its session is outside the PID namespace.
pub fn session_of(pid: Pid) -> Result<Pid> {
    Pid::new(kernel::session_of(pid.get())?).ok_or(Errno::SRCH)
}

/// Whether this process is in the foreground group of a terminal. The terminal then sends Ctrl-C to
/// the whole group.
#[must_use]
pub fn in_foreground() -> bool {
    let Ok(group) = group_of(id()) else { return false };
    [fd::stdin(), fd::stdout(), fd::stderr()].iter().any(|fd| is_foreground(*fd, group))
}

/// Whether this group is in the foreground of a terminal.
fn is_foreground(terminal: BorrowedFd<'_>, group: Pid) -> bool {
    let foreground = rustix::termios::tcgetpgrp(terminal);
    foreground.is_ok_and(|foreground| foreground.as_raw_nonzero() == group)
}

/// Brings the group of this process into the foreground of the terminal that is its standard input,
/// if there is one. All signals must be blocked: TTOU would stop a process in the background.
pub fn take_foreground() {
    // Fails without a terminal, and for one of another session.
    let _ = rustix::termios::tcsetpgrp(fd::stdin(), rustix::process::getpid());
}

/// Sends a signal to every other process of the PID namespace. Only process 1 can do that without
/// hitting processes that are not below it.
///
/// # Errors
/// EPERM: this is not process 1. ESRCH: there is no other process.
pub fn signal_all(signal: i32) -> Result<()> {
    if id().get() != 1 {
        return Err(Errno::PERM);
    }
    kernel::signal_all(signal)
}
