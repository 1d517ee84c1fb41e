//! Status files, which show the last selected line.

use super::file_access::{FileAccess, path_failure};
use crate::common::diag;
use alloc::ffi::CString;
use daemontools_core::multilog::router::HEAD;
use daemontools_sys::fs::Opening;
use daemontools_sys::trusted_path::{self, PathError};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, fs};

/// An open status file.
pub(super) struct StatusOutput<'a> {
    name: &'a [u8],
    file: OwnedFd,
}

impl<'a> StatusOutput<'a> {
    /// Creates a status file if it is missing, and opens it.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(super) fn open(dir: BorrowedFd<'_>, name: &'a [u8]) -> Result<Self, i32> {
        let fatal = |verb: &[u8], error| path_failure(&[verb, name], error);
        let path = CString::new(name).unwrap_or_default();
        let place = trusted_path::locate(dir, &path).map_err(|e| fatal(b"unable to create ", e))?;
        let access = FileAccess::of(place.dir.as_fd());
        let open = |how| access.open_at(&place, how).map_err(PathError::Failed);
        open(Opening::APPEND).map_err(|e| fatal(b"unable to create ", e))?;
        let file = open(Opening::WRITE).map_err(|e| fatal(b"unable to write ", e))?;
        Ok(Self { name, file })
    }

    /// Overwrites the file with a line, padded with newlines to a fixed size.
    ///
    /// # Errors
    /// Those of pwrite(2), and ENOSPC after a short write.
    pub(super) fn show(&self, line: &[u8]) -> Result<(), Errno> {
        let mut text = [b'\n'; HEAD + 1];
        for (place, &byte) in text.iter_mut().zip(line) {
            *place = byte;
        }
        match fs::write_at(self.file.as_fd(), 0, &text)? {
            n if n == text.len() => Ok(()),
            _ => Err(Errno::NOSPC),
        }
    }

    /// Prints a warning about a failed [`Self::show`].
    pub(super) fn warn(&self, error: Errno) {
        let verb: &[u8] = match error {
            Errno::SPIPE => b"unable to move to beginning of ",
            _ => b"unable to write ",
        };
        diag::warning("multilog", &[verb, self.name, b", pausing"], error);
    }
}
