//! Naming the process that holds a lock.

use alloc::vec::Vec;
use daemontools_core::{Pid, locks};
use daemontools_sys::AsFd as _;
use daemontools_sys::{BorrowedFd, fd, fs, lock};

/// The process that took the lock on this file, if the kernel tells us.
pub(crate) fn of(file: BorrowedFd<'_>) -> Option<Pid> {
    let (major, minor, inode) = lock::identity(file)?;
    let table = fs::open_read(fs::HERE, c"/proc/locks").ok()?;
    let mut text = Vec::new();
    let mut part = [0; 1024];
    while let Ok(n @ 1..) = fd::read(table.as_fd(), &mut part) {
        text.extend_from_slice(part.get(..n)?);
    }
    locks::holder(&text, (major, minor), inode)
}
