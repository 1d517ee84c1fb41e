//! Files by name, relative to an open directory or to [`HERE`]. Every descriptor is closed on exec,
//! and no open waits for the other side of a FIFO.

use crate::{AsFd as _, BorrowedFd, OwnedFd, Result};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, StatxFlags, chmodat, fstat, linkat, mkdirat, mknodat,
    openat, readlinkat_raw, renameat, statat, statx, unlinkat,
};

/// The current directory, whichever it is at the time of the call.
pub const HERE: BorrowedFd<'static> = CWD;

const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens for reading.
///
/// # Errors
/// What open says.
pub fn open_read(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    openat(dir, path, ALWAYS | OFlags::RDONLY, Mode::empty())
}

/// Opens for writing what exists. A FIFO without a reader says ENXIO.
///
/// # Errors
/// What open says.
pub fn open_write(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    openat(dir, path, ALWAYS | OFlags::WRONLY, Mode::empty())
}

/// Opens for appending; made with mode 0600 if it is missing.
///
/// # Errors
/// What open says.
pub fn open_append(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = ALWAYS | OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    openat(dir, path, flags, Mode::from_raw_mode(0o600))
}

/// The same, but it stays open in a program that we become.
///
/// # Errors
/// What open says.
pub fn open_append_for_children(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | ALWAYS.difference(OFlags::CLOEXEC);
    openat(dir, path, flags, Mode::from_raw_mode(0o600))
}

/// Opens for writing, empty; made with mode 0644 if it is missing.
///
/// # Errors
/// What open says.
pub fn open_trunc(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = ALWAYS | OFlags::WRONLY | OFlags::TRUNC | OFlags::CREATE;
    openat(dir, path, flags, Mode::from_raw_mode(0o644))
}

/// Opens for reading and overwriting; made with mode 0644 if it is missing.
///
/// # Errors
/// What open says.
pub fn open_update(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = ALWAYS | OFlags::RDWR | OFlags::CREATE;
    openat(dir, path, flags, Mode::from_raw_mode(0o644))
}

/// Opens a directory, to read its names, to lock it or to come back to it.
///
/// # Errors
/// What open says.
pub fn open_dir(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    openat(dir, path, ALWAYS | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// Opens a directory only to reach the files in it, for which it need not be readable.
///
/// # Errors
/// What open says.
pub fn reach_dir(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    openat(dir, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Makes a directory.
///
/// # Errors
/// What mkdir says.
pub fn mkdir(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    mkdirat(dir, path, Mode::from_raw_mode(mode))
}

/// Makes a FIFO.
///
/// # Errors
/// What mknod says.
pub fn mkfifo(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    mknodat(dir, path, FileType::Fifo, Mode::from_raw_mode(mode), 0)
}

/// Renames a file over another.
///
/// # Errors
/// What rename says.
pub fn rename(dir: BorrowedFd<'_>, from: &CStr, to: &CStr) -> Result<()> {
    renameat(dir, from, dir, to)
}

/// Where a symbolic link leads, as much of it as there is room for.
///
/// # Errors
/// What readlink says: EINVAL if it is no link.
pub fn readlink<'a>(dir: BorrowedFd<'_>, path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8]> {
    let length = readlinkat_raw(dir, path, &mut *room)?;
    Ok(room.get(..length).unwrap_or_default())
}

/// Whether a name exists, links followed: a dangling link does not.
///
/// # Errors
/// Everything but ENOENT that stat says.
pub fn exists(dir: BorrowedFd<'_>, path: &CStr) -> Result<bool> {
    match statat(dir, path, AtFlags::empty()) {
        Ok(_) => Ok(true),
        Err(crate::Errno::NOENT) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Goes to a directory.
///
/// # Errors
/// What chdir says.
pub fn chdir(path: &CStr) -> Result<()> {
    rustix::process::chdir(path)
}

/// Goes to an open directory.
///
/// # Errors
/// What fchdir says.
pub fn fchdir(dir: BorrowedFd<'_>) -> Result<()> {
    rustix::process::fchdir(dir)
}

/// The path of the current directory, links resolved.
///
/// # Errors
/// ENOENT when it was removed.
pub fn current_dir() -> Result<CString> {
    rustix::process::getcwd(Vec::new())
}

/// Whether the descriptor is a FIFO.
#[must_use]
pub fn is_fifo(fd: BorrowedFd<'_>) -> bool {
    kind(fd) == Some(FileType::Fifo)
}

/// Whether somebody collects what is written to the descriptor: a pipe, a socket or a file, but
/// no terminal and no /dev/null.
#[must_use]
pub fn is_collected(fd: BorrowedFd<'_>) -> bool {
    matches!(kind(fd), Some(FileType::Fifo | FileType::Socket | FileType::RegularFile))
}

fn kind(fd: BorrowedFd<'_>) -> Option<FileType> {
    fstat(fd).ok().map(|s| FileType::from_raw_mode(s.st_mode))
}

/// What a directory is, whatever name or link it was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirId {
    /// The device.
    pub device: (u32, u32),
    /// The inode.
    pub inode: u64,
    /// When the inode was made, in nanoseconds since 1970, or 0 where the file system does not
    /// keep it: tells a directory from a later one with the same number.
    pub born: i128,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A directory.
    Dir(DirId),
    /// Something else.
    Other,
}

/// Looks where a name leads, links followed.
///
/// # Errors
/// What stat says: ENOENT also for a dangling link.
pub fn look(dir: BorrowedFd<'_>, path: &CStr) -> Result<Found> {
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::BTIME;
    let s = statx(dir, path, AtFlags::empty(), wanted)?;
    if FileType::from_raw_mode(s.stx_mode.into()) != FileType::Directory {
        return Ok(Found::Other);
    }
    let known = StatxFlags::from_bits_retain(s.stx_mask).contains(StatxFlags::BTIME);
    let born = i128::from(s.stx_btime.tv_sec) * 1_000_000_000 + i128::from(s.stx_btime.tv_nsec);
    Ok(Found::Dir(DirId {
        device: (s.stx_dev_major, s.stx_dev_minor),
        inode: s.stx_ino,
        born: if known { born } else { 0 },
    }))
}

/// The size of an open file.
///
/// # Errors
/// What fstat says.
pub fn size(fd: BorrowedFd<'_>) -> Result<u64> {
    fstat(fd).map(|s| s.st_size.unsigned_abs())
}

/// The inode of an open file.
///
/// # Errors
/// What fstat says.
pub fn open_inode(fd: BorrowedFd<'_>) -> Result<u64> {
    fstat(fd).map(|s| s.st_ino)
}

/// What multilog wants to know of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// The permission bits.
    pub mode: u32,
    /// The number of its names.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its inode.
    pub inode: u64,
    /// When it was written to, in seconds since 1970.
    pub modified: i64,
}

/// Looks at a file, links followed.
///
/// # Errors
/// What stat says.
pub fn stat_file(dir: BorrowedFd<'_>, path: &CStr) -> Result<FileStat> {
    let s = statat(dir, path, AtFlags::empty())?;
    #[expect(clippy::useless_conversion, reason = "narrower on other architectures")]
    Ok(FileStat {
        mode: s.st_mode & 0o7777,
        links: u64::from(s.st_nlink),
        size: s.st_size.unsigned_abs(),
        inode: s.st_ino,
        modified: i64::try_from(s.st_mtime).unwrap_or(0),
    })
}

/// Removes a name.
///
/// # Errors
/// What unlink says.
pub fn unlink(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    unlinkat(dir, path, AtFlags::empty())
}

/// Gives a file a second name in the same directory.
///
/// # Errors
/// What link says.
pub fn link(dir: BorrowedFd<'_>, path: &CStr, name: &CStr) -> Result<()> {
    linkat(dir, path, dir, name, AtFlags::empty())
}

/// Sets a file's permission bits.
///
/// # Errors
/// What chmod says.
pub fn chmod(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    chmodat(dir, path, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// Sets an open file's permission bits.
///
/// # Errors
/// What fchmod says.
pub fn fchmod(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
}

/// Waits until what was written to a file is on disk.
///
/// # Errors
/// What fsync says: EIO if it cannot be.
pub fn sync(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fsync(fd)
}

/// Overwrites a part of a file, from this offset on; gives how many bytes.
///
/// # Errors
/// What pwrite says.
pub fn write_at(fd: BorrowedFd<'_>, offset: u64, bytes: &[u8]) -> Result<usize> {
    rustix::io::retry_on_intr(|| rustix::io::pwrite(fd, bytes, offset))
}

/// Reads the beginning of a file, as much as there is room for and comes at once: all of a small
/// file, and of one in /proc.
///
/// # Errors
/// What open and read say.
pub fn read_start<'a>(dir: BorrowedFd<'_>, path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8]> {
    let file = open_read(dir, path)?;
    let n = crate::fd::read(file.as_fd(), room)?;
    Ok(room.get(..n).unwrap_or_default())
}

/// The inode that a name leads to.
///
/// # Errors
/// What stat says.
pub fn inode(dir: BorrowedFd<'_>, path: &CStr) -> Result<u64> {
    statat(dir, path, AtFlags::empty()).map(|s| s.st_ino)
}

/// Sets which permission bits new files do not get.
pub fn set_umask(mask: u32) {
    rustix::process::umask(Mode::from_raw_mode(mask));
}
