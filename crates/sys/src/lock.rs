//! Locks of flock(2). The original uses the same, so both respect each other's locks.

use crate::{BorrowedFd, Result};
use rustix::fs::{FlockOperation, flock};

/// Takes the lock if it is free. The lock lasts until all copies of the descriptor are closed,
/// including those that children inherit.
///
/// # Errors
/// EAGAIN: the lock is taken. ENOLCK; EBADF on some network file systems.
pub fn try_lock(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::retry_on_intr(|| flock(fd, FlockOperation::NonBlockingLockExclusive))
}

/// Takes a share of the lock, unless one descriptor has it alone.
///
/// # Errors
/// As for [`try_lock`].
pub fn try_share(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::retry_on_intr(|| flock(fd, FlockOperation::NonBlockingLockShared))
}

/// Gives the lock or the share back.
///
/// # Errors
/// ENOLCK.
pub fn unlock(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::retry_on_intr(|| flock(fd, FlockOperation::Unlock))
}

/// Takes the lock; waits until it is free.
///
/// # Errors
/// ENOLCK; EBADF on some network file systems.
pub fn wait(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::retry_on_intr(|| flock(fd, FlockOperation::LockExclusive))
}

/// Major and minor device number and inode of an open file. On most file systems, /proc/locks has
/// the same numbers.
#[must_use]
pub fn identity(fd: BorrowedFd<'_>) -> Option<(u32, u32, u64)> {
    let s = rustix::fs::fstat(fd).ok()?;
    let (major, minor) = (rustix::fs::major(s.st_dev), rustix::fs::minor(s.st_dev));
    Some((major, minor, s.st_ino))
}
