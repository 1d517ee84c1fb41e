//! flock(2), which the original uses, so that both respect each other's locks.

use crate::{BorrowedFd, Result};
use rustix::fs::{FlockOperation, flock};

/// Takes the lock, if nobody has it. It is held as long as the descriptor is open, here or in a
/// child that inherits it.
///
/// # Errors
/// EAGAIN when somebody has it; ENOLCK, and EBADF on some network file systems.
pub fn try_lock(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::retry_on_intr(|| flock(fd, FlockOperation::NonBlockingLockExclusive))
}

/// Takes the lock, waiting until nobody has it.
///
/// # Errors
/// ENOLCK, and EBADF on some network file systems.
pub fn wait(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::retry_on_intr(|| flock(fd, FlockOperation::LockExclusive))
}

/// The device and inode of an open file, as /proc/locks names them on most file systems.
#[must_use]
pub fn identity(fd: BorrowedFd<'_>) -> Option<(u32, u32, u64)> {
    let s = rustix::fs::fstat(fd).ok()?;
    let (major, minor) = (rustix::fs::major(s.st_dev), rustix::fs::minor(s.st_dev));
    Some((major, minor, s.st_ino))
}
