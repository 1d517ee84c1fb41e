//! Making, renaming and removing names; permission bits; the current directory.

use crate::{BorrowedFd, Result};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use rustix::fs::{
    AtFlags, FileType, Mode, chmodat, linkat, mkdirat, mknodat, readlinkat_raw, renameat,
    symlinkat, unlinkat,
};

/// Makes a directory.
///
/// # Errors
/// Those of mkdir(2).
pub fn mkdir(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    mkdirat(dir, path, Mode::from_raw_mode(mode))
}

/// Removes an empty directory.
///
/// # Errors
/// Those of rmdir(2): ENOTEMPTY, and EBUSY for a cgroup with processes.
pub fn rmdir(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    unlinkat(dir, path, AtFlags::REMOVEDIR)
}

/// Makes a FIFO.
///
/// # Errors
/// Those of mknod(2).
pub fn mkfifo(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    mknodat(dir, path, FileType::Fifo, Mode::from_raw_mode(mode), 0)
}

/// Renames a file and replaces one that has the new name.
///
/// # Errors
/// Those of rename(2).
pub fn rename(dir: BorrowedFd<'_>, from: &CStr, to: &CStr) -> Result<()> {
    renameat(dir, from, dir, to)
}

/// Makes a symbolic link.
///
/// # Errors
/// Those of symlink(2). EEXIST: the name exists.
pub fn symlink(dir: BorrowedFd<'_>, target: &CStr, name: &CStr) -> Result<()> {
    symlinkat(target, dir, name)
}

/// The target of a symbolic link, cut to the length of `room`.
///
/// # Errors
/// Those of readlink(2). EINVAL: not a link.
pub fn readlink<'a>(dir: BorrowedFd<'_>, path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8]> {
    let length = readlinkat_raw(dir, path, &mut *room)?;
    Ok(room.get(..length).unwrap_or_default())
}

/// Removes a name.
///
/// # Errors
/// Those of unlink(2).
pub fn unlink(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    unlinkat(dir, path, AtFlags::empty())
}

/// Gives a file a second name in the same directory.
///
/// # Errors
/// Those of link(2).
pub fn link(dir: BorrowedFd<'_>, path: &CStr, name: &CStr) -> Result<()> {
    linkat(dir, path, dir, name, AtFlags::empty())
}

/// Sets the permission bits of a file.
///
/// # Errors
/// Those of chmod(2).
pub fn chmod(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    chmodat(dir, path, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// Sets the permission bits of an open file.
///
/// # Errors
/// Those of fchmod(2).
pub fn fchmod(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
}

/// Sets the permission bits that new files do not get; returns the previous mask.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask)).as_raw_mode()
}

/// Changes the current directory.
///
/// # Errors
/// Those of chdir(2).
pub fn chdir(path: &CStr) -> Result<()> {
    rustix::process::chdir(path)
}

/// Changes the current directory to an open directory.
///
/// # Errors
/// Those of fchdir(2).
pub fn fchdir(dir: BorrowedFd<'_>) -> Result<()> {
    rustix::process::fchdir(dir)
}

/// The path of the current directory, with all links resolved.
///
/// # Errors
/// ENOENT: the directory was removed.
pub fn current_dir() -> Result<CString> {
    rustix::process::getcwd(Vec::new())
}
