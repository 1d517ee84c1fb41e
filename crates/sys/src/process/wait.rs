//! The ends of children.

use super::pid::{Pid, rustix_pid};
use crate::{Errno, Result};
use rustix::process::{WaitId, WaitIdOptions, WaitOptions, wait, waitid, waitpid};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(u8),
}

impl ExitStatus {
    /// Converts the status word of wait(2).
    pub(crate) fn from_wait(status: i32) -> Self {
        let [low, code, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self::Exited(code),
            signal => Self::Killed(signal),
        }
    }
}

/// Reaps one ended child, if there is one; returns its id and how it ended. Never waits.
#[must_use]
pub fn reap() -> Option<(Pid, ExitStatus)> {
    let ended = rustix::io::retry_on_intr(|| wait(WaitOptions::NOHANG));
    let (pid, status) = ended.ok()??;
    Some((pid.as_raw_nonzero(), ExitStatus::from_wait(status.as_raw())))
}

/// Whether this process is our child: running, or ended and not reaped.
#[must_use]
pub fn is_child(pid: Pid) -> bool {
    let looking = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    rustix_pid(pid).is_ok_and(|pid| waitid(WaitId::Pid(pid), looking).is_ok())
}

/// Whether this process has children: running, or ended and not reaped.
#[must_use]
pub fn has_children() -> bool {
    let looking = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::All, looking).is_ok()
}

/// Waits until this child has ended, and reaps it.
///
/// # Errors
/// ECHILD: not our child, or SIGCHLD is ignored and the kernel reaped it.
pub fn wait_for(child: Pid) -> Result<ExitStatus> {
    let child = rustix_pid(child)?;
    let ended = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()))?;
    // Without NOHANG there is always an answer.
    ended.map(|(_, status)| ExitStatus::from_wait(status.as_raw())).ok_or(Errno::CHILD)
}

/// Makes this process a child subreaper: it becomes the parent of descendants whose parent ends.
pub fn become_subreaper() {
    // Any id means "yes" to the kernel. Cannot fail.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Whether this process is a child subreaper.
#[must_use]
pub fn is_subreaper() -> bool {
    rustix::process::child_subreaper().is_ok_and(|reaper| reaper.is_some())
}

/// Orphans become children of the next reaper above again. Those that are children stay.
pub fn resign_as_subreaper() {
    // Cannot fail.
    let _ = rustix::process::set_child_subreaper(None);
}
