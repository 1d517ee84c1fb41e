//! Locks of flock(2). The original uses the same, so both respect each other's locks. And marks, by which
//! a process is found that has a file open.

use crate::process::Pid;
use crate::{BorrowedFd, Result};
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

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

/// Marks an open file as that of this process (a read lock of fcntl(2), which has nothing to do with the
/// locks above). The mark lasts until the process closes a descriptor of the same file.
///
/// # Errors
/// EBADF: not open for reading. ENOLCK.
pub fn mark(fd: BorrowedFd<'_>) -> Result<()> {
    fcntl_lock(fd, FlockOperation::NonBlockingLockShared)
}

/// A process that has marked an open file; `None` if no other process has, or if it is outside the PID
/// namespace.
#[must_use]
pub fn marker(fd: BorrowedFd<'_>) -> Option<Pid> {
    let question = Flock {
        start: 0,
        length: 0,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    let found = fcntl_getlk(fd, &question).ok()??;
    Pid::new(found.pid?.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{self, Forked, wait_for};
    use crate::{AsFd as _, fd};

    #[test]
    fn a_mark_names_its_process() {
        let (read_end, write_end) = fd::pipe().unwrap();
        let (ready, from_child) = fd::pipe().unwrap();
        let (until, to_child) = fd::pipe().unwrap();
        assert_eq!(marker(write_end.as_fd()), None);
        match process::fork().unwrap() {
            Forked::Child => {
                drop(to_child);
                let marked = mark(read_end.as_fd());
                let _ = fd::write_all(from_child.as_fd(), b"x");
                let _ = fd::read(until.as_fd(), &mut [0; 1]);
                process::exit(i32::from(marked.is_err()));
            }
            Forked::Parent(child) => {
                drop(until);
                assert_eq!(fd::read(ready.as_fd(), &mut [0; 1]), Ok(1));
                assert_eq!(marker(write_end.as_fd()), Some(child));
                drop(to_child);
                wait_for(child).unwrap();
                assert_eq!(marker(write_end.as_fd()), None);
            }
        }
    }
}
