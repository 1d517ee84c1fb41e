//! Reading and writing the content of files.

use super::opening::{open_read, open_write};
use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd};
use alloc::vec::Vec;
use core::ffi::CStr;
use rustix::fs::{FileType, fstat};

/// Waits until the content of a file is on disk.
///
/// # Errors
/// Those of fsync(2). EIO: the disk did not take it.
pub fn sync(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fsync(fd)
}

/// Overwrites a file from `offset` on; returns the number of bytes written.
///
/// # Errors
/// Those of pwrite(2).
pub fn write_at(fd: BorrowedFd<'_>, offset: u64, bytes: &[u8]) -> Result<usize> {
    rustix::io::retry_on_intr(|| rustix::io::pwrite(fd, bytes, offset))
}

/// Reads a file from `offset` on, up to the length of `room`; returns the bytes read.
///
/// # Errors
/// Those of pread(2).
pub fn read_at<'a>(fd: BorrowedFd<'_>, offset: u64, room: &'a mut [u8]) -> Result<&'a [u8]> {
    let n = rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut *room, offset))?;
    Ok(room.get(..n).unwrap_or_default())
}

/// Reads the start of a file with one read, up to the length of `room`. That is all of a small file
/// and of a file in /proc.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn read_start<'a>(dir: BorrowedFd<'_>, path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8]> {
    start_of(&open_read(dir, path)?, room)
}

/// Reads the start of an open file; see [`read_start`].
pub(crate) fn start_of<'a>(file: &OwnedFd, room: &'a mut [u8]) -> Result<&'a [u8]> {
    let n = fd::read(file.as_fd(), room)?;
    Ok(room.get(..n).unwrap_or_default())
}

/// Reads a whole regular file of at most `limit` bytes. Works for files in /proc and of a cgroup,
/// which do not state their size. Never waits for the other side of a FIFO or a device.
///
/// # Errors
/// EFBIG: longer than `limit`. EISDIR: a directory. EINVAL: another kind of file. Those of open(2)
/// and read(2).
pub fn read_whole(dir: BorrowedFd<'_>, path: &CStr, limit: usize) -> Result<Vec<u8>> {
    whole_of(&open_read(dir, path)?, limit)
}

/// Reads a whole open file; see [`read_whole`].
pub(crate) fn whole_of(file: &OwnedFd, limit: usize) -> Result<Vec<u8>> {
    let s = fstat(file)?;
    match FileType::from_raw_mode(s.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Errno::ISDIR),
        _ => return Err(Errno::INVAL),
    }
    // One byte more shows that the file has grown since, or did not state its size.
    let known = usize::try_from(s.st_size).unwrap_or(usize::MAX);
    let mut content = Vec::new();
    let mut wanted = known.min(limit).saturating_add(1);
    loop {
        content.try_reserve(wanted).map_err(|_| Errno::NOMEM)?;
        let room = rustix::buffer::spare_capacity(&mut content);
        match rustix::io::read(file, room) {
            Err(Errno::INTR) => {}
            Err(other) => return Err(other),
            Ok(0) => return Ok(content),
            Ok(_) if content.len() > limit => return Err(Errno::FBIG),
            Ok(_) => wanted = 64,
        }
    }
}

/// Writes to an existing file with a single write, as files in /proc and of a cgroup need it.
///
/// # Errors
/// EIO: only a part was written. Those of open(2) and write(2); write reports what the kernel
/// thinks of the bytes.
pub fn write_file(dir: BorrowedFd<'_>, path: &CStr, bytes: &[u8]) -> Result<()> {
    let file = open_write(dir, path)?;
    let written = fd::write(file.as_fd(), bytes)?;
    if written == bytes.len() { Ok(()) } else { Err(Errno::IO) }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
