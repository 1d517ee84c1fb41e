//! How the files of an output directory are opened.
//!
//! The original follows symbolic links, and so do we in a directory that only its owner can write.
//! In a directory that other users can write, a symbolic or hard link could lead to a foreign file;
//! there, links are refused. On the way to a directory or a status file, only the links are refused
//! that another user can change: see `daemontools_sys::trusted_path`.

use crate::common::diag::{self, TEMPORARY};
use core::ffi::CStr;
use daemontools_sys::fs::Opening;
use daemontools_sys::trusted_path::{PathError, Place};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fs, guarded};

/// The way to open the files of one directory.
pub(super) struct FileAccess {
    /// Other users can write the directory.
    refuses_links: bool,
}

impl FileAccess {
    /// Inspects an open directory.
    pub(super) fn of(dir: BorrowedFd<'_>) -> Self {
        Self { refuses_links: guarded::others_can_write(dir) }
    }

    /// Opens a file.
    pub(super) fn open(&self, dir: BorrowedFd<'_>, path: &CStr, how: Opening) -> Result<OwnedFd> {
        if !self.refuses_links {
            return fs::open(dir, path, how);
        }
        self.accept(guarded::open(dir, path, how)?)
    }

    /// Opens the file at the end of a path.
    pub(super) fn open_at(&self, place: &Place, how: Opening) -> Result<OwnedFd> {
        self.accept(place.open(how)?)
    }

    /// Refuses a file that may be foreign.
    fn accept(&self, file: OwnedFd) -> Result<OwnedFd> {
        let accepted = !self.refuses_links || guarded::has_one_name(file.as_fd());
        if accepted { Ok(file) } else { Err(Errno::PERM) }
    }

    /// Whether only our user and root can write the directory.
    pub(super) const fn is_private(&self) -> bool {
        !self.refuses_links
    }

    /// Opens the file of the batch mark for overwriting. In a directory that other users can write,
    /// replaces a file that this program has not made.
    pub(super) fn open_mark(&self, dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
        if self.is_private() {
            return self.open(dir, path, Opening::UPDATE);
        }
        match guarded::open_trusted(dir, path) {
            Ok(file) if guarded::is_trusted(file.as_fd(), dir)? => Ok(file),
            _ => guarded::replace_trusted(dir, path),
        }
    }

    /// Whether only our user and root can have written a batch mark.
    pub(super) fn is_own_mark(&self, file: BorrowedFd<'_>, dir: BorrowedFd<'_>) -> bool {
        self.is_private() || guarded::is_trusted(file, dir) == Ok(true)
    }

    /// Opens a file for writing and empties it.
    pub(super) fn open_empty(&self, dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
        if self.refuses_links { guarded::create(dir, path) } else { fs::open_trunc(dir, path) }
    }

    /// Sets the mode of a file to complete.
    pub(super) fn complete(&self, dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
        if self.refuses_links {
            fs::fchmod(self.open(dir, path, Opening::READ)?.as_fd(), 0o744)
        } else {
            fs::chmod(dir, path, 0o744)
        }
    }
}

/// Prints why a path of the script is unusable; returns the exit code.
pub(super) fn path_failure(what: &[&[u8]], error: PathError) -> i32 {
    match error {
        PathError::Failed(error) => diag::fatal("multilog", what, error),
        PathError::ForeignLink => {
            let reason = b": another user can change a symbolic link in its path";
            diag::say(&[b"multilog: fatal: ", &what.concat(), reason]);
            TEMPORARY
        }
    }
}

/// Whether the error is a lack of descriptors or memory, which ends by itself.
pub(super) const fn is_temporary(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

/// A result, or a lack of descriptors or memory. `None` after another error, which does not end by itself.
pub(super) fn unless_short<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_temporary(error) => Err(error),
        Err(_) => Ok(None),
    }
}
