//! What a name or an open file is: its kind, its identity, its size.

use crate::{BorrowedFd, Errno, Result};
use core::ffi::CStr;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, fstat, statat, statx};

/// Whether a name exists. Links are followed, so a dangling link does not exist.
///
/// # Errors
/// Those of stat(2), except ENOENT.
pub fn exists(dir: BorrowedFd<'_>, path: &CStr) -> Result<bool> {
    match statat(dir, path, AtFlags::empty()) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Whether the descriptor is a FIFO.
#[must_use]
pub fn is_fifo(fd: BorrowedFd<'_>) -> bool {
    kind(fd) == Some(FileType::Fifo)
}

/// Whether the descriptor is a pipe, a socket or a file: output that another program reads or a
/// file keeps. A terminal and /dev/null are neither.
#[must_use]
pub fn is_collected(fd: BorrowedFd<'_>) -> bool {
    matches!(kind(fd), Some(FileType::Fifo | FileType::Socket | FileType::RegularFile))
}

fn kind(fd: BorrowedFd<'_>) -> Option<FileType> {
    fstat(fd).ok().map(|s| FileType::from_raw_mode(s.st_mode))
}

/// Whether an open directory is in a cgroup2 file system, whose file contents come from the kernel.
#[must_use]
pub fn is_cgroup(dir: BorrowedFd<'_>) -> bool {
    /// `CGROUP2_SUPER_MAGIC`
    const MAGIC: i64 = 0x6367_7270;
    #[expect(clippy::useless_conversion, reason = "narrower on 32-bit architectures")]
    rustix::fs::fstatfs(dir).is_ok_and(|s| i64::from(s.f_type) == MAGIC)
}

/// Whether an open file belongs to our user.
#[must_use]
pub fn is_own(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|s| s.st_uid == crate::ids::effective_user())
}

/// The identity of a directory, independent of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirId {
    /// Major and minor device number.
    pub device: (u32, u32),
    /// The inode.
    pub inode: u64,
    /// Birth time of the inode in nanoseconds since 1970; 0 if the file system does not keep it.
    /// Distinguishes a directory from a later one with the same inode number.
    pub born: i128,
}

/// The identity of the directory that a name leads to; `None` if it is another kind of file. Links
/// are followed.
///
/// # Errors
/// Those of stat(2). ENOENT: no such name, or a dangling link.
pub fn dir_id(dir: BorrowedFd<'_>, path: &CStr) -> Result<Option<DirId>> {
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::BTIME;
    let s = statx(dir, path, AtFlags::empty(), wanted)?;
    if FileType::from_raw_mode(s.stx_mode.into()) != FileType::Directory {
        return Ok(None);
    }
    Ok(Some(DirId {
        device: (s.stx_dev_major, s.stx_dev_minor),
        inode: s.stx_ino,
        born: birth_time(&s),
    }))
}

/// The device and inode of what a name leads to, or of the open file `dir` if the name is empty, as the
/// kernel knows them.
///
/// Asks no file system for newer values: the file of another user may be in one that never answers.
///
/// # Errors
/// Those of stat(2).
pub fn cached_identity(dir: BorrowedFd<'_>, path: &CStr) -> Result<((u32, u32), u64)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let s = statx(dir, path, flags, StatxFlags::INO)?;
    Ok(((s.stx_dev_major, s.stx_dev_minor), s.stx_ino))
}

/// The same for a name that may be a link: then the link itself, so that no file system is asked where it
/// leads.
///
/// # Errors
/// Those of stat(2).
pub fn cached_identity_of_name(dir: BorrowedFd<'_>, name: &CStr) -> Result<((u32, u32), u64)> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    let s = statx(dir, name, flags, StatxFlags::INO)?;
    Ok(((s.stx_dev_major, s.stx_dev_minor), s.stx_ino))
}

/// When the inode of a name, or of the open file `dir` if the name is empty, last changed, in
/// nanoseconds since 1970. A new entry changes a directory, and a rename changes what it renames. A
/// link counts as its target.
///
/// # Errors
/// Those of stat(2).
pub fn last_change(dir: BorrowedFd<'_>, path: &CStr) -> Result<i128> {
    let s = statx(dir, path, AtFlags::EMPTY_PATH, StatxFlags::CTIME)?;
    Ok(i128::from(s.stx_ctime.tv_sec) * 1_000_000_000 + i128::from(s.stx_ctime.tv_nsec))
}

/// The inode's birth time in nanoseconds since 1970; 0 if the file system does not keep it.
fn birth_time(s: &Statx) -> i128 {
    let known = StatxFlags::from_bits_retain(s.stx_mask).contains(StatxFlags::BTIME);
    let born = i128::from(s.stx_btime.tv_sec) * 1_000_000_000 + i128::from(s.stx_btime.tv_nsec);
    if known { born } else { 0 }
}

/// The size of an open file in bytes.
///
/// # Errors
/// Those of fstat(2).
pub fn size(fd: BorrowedFd<'_>) -> Result<u64> {
    fstat(fd).map(|s| s.st_size.unsigned_abs())
}

/// The inode of an open file.
///
/// # Errors
/// Those of fstat(2).
pub fn open_inode(fd: BorrowedFd<'_>) -> Result<u64> {
    fstat(fd).map(|s| s.st_ino)
}

/// The inode that a name leads to.
///
/// # Errors
/// Those of stat(2).
pub fn inode(dir: BorrowedFd<'_>, path: &CStr) -> Result<u64> {
    statat(dir, path, AtFlags::empty()).map(|s| s.st_ino)
}

/// The attributes of a log file that multilog uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// The permission bits.
    pub mode: u32,
    /// The number of names (hard links).
    pub links: u64,
    /// The size in bytes.
    pub size: u64,
    /// The inode.
    pub inode: u64,
    /// See [`DirId::born`].
    pub born: i128,
    /// Time of the last modification, in seconds since 1970.
    pub modified: i64,
}

/// The attributes of the file that a name leads to. Links are followed.
///
/// # Errors
/// Those of stat(2).
pub fn stat_file(dir: BorrowedFd<'_>, path: &CStr) -> Result<FileStat> {
    stat(dir, path, AtFlags::empty())
}

/// The attributes of an open file.
///
/// # Errors
/// Those of fstat(2).
pub fn stat_open(fd: BorrowedFd<'_>) -> Result<FileStat> {
    stat(fd, c"", AtFlags::EMPTY_PATH)
}

fn stat(dir: BorrowedFd<'_>, path: &CStr, flags: AtFlags) -> Result<FileStat> {
    let s = statx(dir, path, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    Ok(FileStat {
        mode: u32::from(s.stx_mode) & 0o7777,
        links: s.stx_nlink.into(),
        size: s.stx_size,
        inode: s.stx_ino,
        born: birth_time(&s),
        modified: s.stx_mtime.tv_sec,
    })
}

/// Whether a name leads to a regular file that its owner may execute.
#[must_use]
pub fn is_executable(dir: BorrowedFd<'_>, path: &CStr) -> bool {
    statat(dir, path, AtFlags::empty()).is_ok_and(|s| {
        FileType::from_raw_mode(s.st_mode) == FileType::RegularFile && s.st_mode & 0o100 != 0
    })
}

/// Whether a name is a socket. Links are not followed.
#[must_use]
pub fn is_socket(dir: BorrowedFd<'_>, path: &CStr) -> bool {
    statat(dir, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Socket)
}
