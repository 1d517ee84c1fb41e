//! The files of a log directory. Links are followed, as the original does, unless others can write
//! the directory: then a link, or another name of a file, is not to lead us to what is not theirs.

use core::ffi::CStr;
use daemontools_sys::fs::Opening;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fs, guarded};

/// How the files of a directory are opened.
pub(super) struct Access {
    guarded: bool,
}

impl Access {
    /// That of an open directory.
    pub(super) fn of(dir: BorrowedFd<'_>) -> Self {
        Self { guarded: guarded::others_can_write(dir) }
    }

    /// Opens a file.
    pub(super) fn open(&self, dir: BorrowedFd<'_>, path: &CStr, how: Opening) -> Result<OwnedFd> {
        if !self.guarded {
            return fs::open(dir, path, how);
        }
        let file = guarded::open(dir, path, how)?;
        // One that has another name may be somebody else's.
        if guarded::is_plain(file.as_fd()) { Ok(file) } else { Err(Errno::PERM) }
    }

    /// Opens a file for writing that is empty.
    pub(super) fn empty(&self, dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
        if self.guarded { guarded::create(dir, path) } else { fs::open_trunc(dir, path) }
    }

    /// Sets the mode of a file that is complete.
    pub(super) fn complete(&self, dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
        if self.guarded {
            fs::fchmod(self.open(dir, path, Opening::READ)?.as_fd(), 0o744)
        } else {
            fs::chmod(dir, path, 0o744)
        }
    }
}
