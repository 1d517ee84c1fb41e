//! The takeover of a svscan whose svscanboot was killed.

use super::message_pipe;
use crate::survive::adoption;
use crate::survive::lock_holder;
use crate::survive::process_user;
use crate::survive::standing;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, fd, fs};

/// A running svscan, and the pipe of its messages.
pub(super) struct LeftSvscan {
    pub(super) pid: Pid,
    pub(super) process: Handle,
    /// Read end first.
    pub(super) messages: (OwnedFd, OwnedFd),
}

/// The svscan that an earlier svscanboot has left on the scan directory, which is the current one;
/// `shown` is its name. `None` without a svscan, or if it is not one of svscanboot's.
///
/// # Errors
/// The exit code, after a message, if another svscanboot serves it.
pub(super) fn find(shown: &[u8]) -> Result<Option<LeftSvscan>, i32> {
    let Ok(dir) = fs::open_dir(fs::HERE, c".") else { return Ok(None) };
    let Some((pid, process)) = lock_holder::open_svscan(dir.as_fd()) else { return Ok(None) };
    // It does not open in a process that this one may not trace.
    let Ok(Some(messages)) = adoption::pipe_ends_of((pid, &process), 2) else { return Ok(None) };
    let read_end = messages.0.as_fd();
    if !message_pipe::is_kept_by(pid, read_end) || fd::set_blocking(read_end, false).is_err() {
        return Ok(None);
    }
    // Asked after all the looks by pid: they have looked at this process.
    if process.has_ended() {
        return Ok(None);
    }
    if is_served(read_end) {
        let what = [b"unable to lock ", shown];
        return Err(lock_holder::refuse("svscanboot", &what, &dir, Errno::AGAIN));
    }
    Ok(Some(LeftSvscan { pid, process, messages }))
}

/// Takes the lock of the pipe, which the svscanboot that reads it has. Returns whether another
/// svscanboot has it.
///
/// Every process with the pipe can lock it. A lock of another user's process does not count, nor does
/// one whose process has ended, or which another program took before in the same process.
fn is_served(read_end: BorrowedFd<'_>) -> bool {
    let is_own = |pid| process_user::is_own(pid) && standing::has_taken(pid, read_end);
    lock_holder::take(read_end) == Err(Errno::AGAIN)
        && match lock_holder::taker_of(read_end) {
            Some(pid) => is_own(pid),
            // The kernel shows its list of locks in parts, and one that moves between two parts is missing.
            None => standing::any_process(is_own),
        }
}
