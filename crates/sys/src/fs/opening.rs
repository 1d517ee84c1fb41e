//! Opening files and directories.

use crate::{BorrowedFd, OwnedFd, Result};
use core::ffi::CStr;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// The current directory at the time of the call.
pub const HERE: BorrowedFd<'static> = CWD;

/// Flags of every open: close-on-exec, no waiting for a FIFO's other side, no controlling terminal.
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    flags: OFlags,
    /// Permission bits of a file that the open creates, before the umask.
    mode: u32,
}

impl Opening {
    /// For reading.
    pub const READ: Self = Self::of(OFlags::RDONLY, 0);
    /// For writing an existing file. ENXIO: a FIFO without a reader.
    pub const WRITE: Self = Self::of(OFlags::WRONLY, 0);
    /// For appending; creates a missing file with mode 0600.
    pub const APPEND: Self =
        Self::of(OFlags::WRONLY.union(OFlags::APPEND).union(OFlags::CREATE), 0o600);
    /// For reading and overwriting; creates a missing file with mode 0644.
    pub const UPDATE: Self = Self::of(OFlags::RDWR.union(OFlags::CREATE), 0o644);

    pub(crate) const fn of(flags: OFlags, mode: u32) -> Self {
        Self { flags, mode }
    }

    /// Opens `path` this way, with the flags `more` in addition.
    pub(crate) fn open(self, dir: BorrowedFd<'_>, path: &CStr, more: OFlags) -> Result<OwnedFd> {
        openat(dir, path, ALWAYS | self.flags | more, Mode::from_raw_mode(self.mode))
    }
}

/// Opens a file.
///
/// # Errors
/// Those of open(2).
pub fn open(dir: BorrowedFd<'_>, path: &CStr, how: Opening) -> Result<OwnedFd> {
    how.open(dir, path, OFlags::empty())
}

/// Opens a file for reading.
///
/// # Errors
/// Those of open(2).
pub fn open_read(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open(dir, path, Opening::READ)
}

/// Opens an existing file for writing; see [`Opening::WRITE`].
///
/// # Errors
/// Those of open(2).
pub fn open_write(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open(dir, path, Opening::WRITE)
}

/// Opens a file for appending; see [`Opening::APPEND`].
///
/// # Errors
/// Those of open(2).
pub fn open_append(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open(dir, path, Opening::APPEND)
}

/// Opens a file for appending, as [`open_append`] does, and leaves it open across exec.
///
/// # Errors
/// Those of open(2).
pub fn open_append_for_children(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | ALWAYS.difference(OFlags::CLOEXEC);
    openat(dir, path, flags, Mode::from_raw_mode(0o600))
}

/// Opens a file for writing and truncates it; creates a missing file with mode 0644.
///
/// # Errors
/// Those of open(2).
pub fn open_trunc(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = ALWAYS | OFlags::WRONLY | OFlags::TRUNC | OFlags::CREATE;
    openat(dir, path, flags, Mode::from_raw_mode(0o644))
}

/// Opens a directory for reading its names, locking it or returning to it.
///
/// # Errors
/// Those of open(2).
pub fn open_dir(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    openat(dir, path, ALWAYS | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// Opens a directory as a base for paths only (`O_PATH`), unless the last part of the path is a
/// symbolic link.
///
/// # Errors
/// ENOTDIR: a symbolic link. Those of open(2).
pub fn reach_real_dir(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, path, how, Mode::empty())
}

/// Opens a directory as a base for paths only (`O_PATH`); it need not be readable.
///
/// # Errors
/// Those of open(2).
pub fn reach_dir(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    openat(dir, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
