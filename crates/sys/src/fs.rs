//! Files by name, relative to an open directory or to [`HERE`]. Every descriptor is closed on exec,
//! and no open waits for the other side of a FIFO.

use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, chmodat, fstat, linkat, mkdirat,
    mknodat, openat, readlinkat_raw, renameat, statat, statx, unlinkat,
};

/// The current directory, whichever it is at the time of the call.
pub const HERE: BorrowedFd<'static> = CWD;

const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// For what a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    flags: OFlags,
    /// Of a file that is made.
    mode: u32,
}

impl Opening {
    /// Reading.
    pub const READ: Self = Self::of(OFlags::RDONLY, 0);
    /// Writing what exists. A FIFO without a reader says ENXIO.
    pub const WRITE: Self = Self::of(OFlags::WRONLY, 0);
    /// Appending; made with mode 0600 if it is missing.
    pub const APPEND: Self =
        Self::of(OFlags::WRONLY.union(OFlags::APPEND).union(OFlags::CREATE), 0o600);
    /// Reading and overwriting; made with mode 0644 if it is missing.
    pub const UPDATE: Self = Self::of(OFlags::RDWR.union(OFlags::CREATE), 0o644);

    pub(crate) const fn of(flags: OFlags, mode: u32) -> Self {
        Self { flags, mode }
    }

    /// Opens it so; `more` are further flags.
    pub(crate) fn open(self, dir: BorrowedFd<'_>, path: &CStr, more: OFlags) -> Result<OwnedFd> {
        openat(dir, path, ALWAYS | self.flags | more, Mode::from_raw_mode(self.mode))
    }
}

/// Opens a file.
///
/// # Errors
/// What open says.
pub fn open(dir: BorrowedFd<'_>, path: &CStr, how: Opening) -> Result<OwnedFd> {
    how.open(dir, path, OFlags::empty())
}

/// Opens for reading.
///
/// # Errors
/// What open says.
pub fn open_read(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open(dir, path, Opening::READ)
}

/// Opens for writing what exists, as [`Opening::WRITE`] says.
///
/// # Errors
/// What open says.
pub fn open_write(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open(dir, path, Opening::WRITE)
}

/// Opens for appending, as [`Opening::APPEND`] says.
///
/// # Errors
/// What open says.
pub fn open_append(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open(dir, path, Opening::APPEND)
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

/// Removes a directory, which has to be empty.
///
/// # Errors
/// What rmdir says: ENOTEMPTY, and EBUSY for a cgroup with processes in it.
pub fn rmdir(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    unlinkat(dir, path, AtFlags::REMOVEDIR)
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
        Err(Errno::NOENT) => Ok(false),
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

/// Whether an open directory is in a cgroup2 file system, where what is in the files comes from the
/// kernel.
#[must_use]
pub fn is_cgroup(dir: BorrowedFd<'_>) -> bool {
    const MAGIC: i64 = 0x6367_7270;
    #[expect(clippy::useless_conversion, reason = "narrower on 32-bit architectures")]
    rustix::fs::fstatfs(dir).is_ok_and(|s| i64::from(s.f_type) == MAGIC)
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
    Ok(Found::Dir(DirId {
        device: (s.stx_dev_major, s.stx_dev_minor),
        inode: s.stx_ino,
        born: born(&s),
    }))
}

/// When the inode was made, in nanoseconds since 1970, or 0 where the file system does not keep it.
fn born(s: &Statx) -> i128 {
    let known = StatxFlags::from_bits_retain(s.stx_mask).contains(StatxFlags::BTIME);
    let born = i128::from(s.stx_btime.tv_sec) * 1_000_000_000 + i128::from(s.stx_btime.tv_nsec);
    if known { born } else { 0 }
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
    /// See [`DirId::born`].
    pub born: i128,
    /// When it was written to, in seconds since 1970.
    pub modified: i64,
}

/// Looks at a file, links followed.
///
/// # Errors
/// What stat says.
pub fn stat_file(dir: BorrowedFd<'_>, path: &CStr) -> Result<FileStat> {
    stat(dir, path, AtFlags::empty())
}

/// Looks at an open file.
///
/// # Errors
/// What stat says.
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
        born: born(&s),
        modified: s.stx_mtime.tv_sec,
    })
}

/// Whether a name leads to an ordinary file that its owner may execute.
#[must_use]
pub fn is_executable(dir: BorrowedFd<'_>, path: &CStr) -> bool {
    statat(dir, path, AtFlags::empty()).is_ok_and(|s| {
        FileType::from_raw_mode(s.st_mode) == FileType::RegularFile && s.st_mode & 0o100 != 0
    })
}

/// Whether a name is that of a socket.
#[must_use]
pub fn is_socket(dir: BorrowedFd<'_>, path: &CStr) -> bool {
    statat(dir, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Socket)
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

/// Reads from a part of a file, from this offset on; gives what was there, up to its size.
///
/// # Errors
/// What pread says.
pub fn read_at<'a>(fd: BorrowedFd<'_>, offset: u64, room: &'a mut [u8]) -> Result<&'a [u8]> {
    let n = rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut *room, offset))?;
    Ok(room.get(..n).unwrap_or_default())
}

/// Reads the beginning of a file, as much as there is room for and comes at once: all of a small
/// file, and of one in /proc.
///
/// # Errors
/// What open and read say.
pub fn read_start<'a>(dir: BorrowedFd<'_>, path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8]> {
    start_of(&open_read(dir, path)?, room)
}

/// The same with an open file.
pub(crate) fn start_of<'a>(file: &OwnedFd, room: &'a mut [u8]) -> Result<&'a [u8]> {
    let n = crate::fd::read(file.as_fd(), room)?;
    Ok(room.get(..n).unwrap_or_default())
}

/// Reads a whole ordinary file of at most `limit` bytes; also one in /proc or of a cgroup, whose
/// size is not known before. Never waits for the other side of something else.
///
/// # Errors
/// EFBIG if it is longer, EISDIR for a directory and EINVAL for anything else that is no ordinary
/// file; what open and read say.
pub fn read_whole(dir: BorrowedFd<'_>, path: &CStr, limit: usize) -> Result<Vec<u8>> {
    read_all(&open_read(dir, path)?, limit)
}

/// The same with an open file.
pub(crate) fn read_all(file: &OwnedFd, limit: usize) -> Result<Vec<u8>> {
    let s = fstat(file)?;
    match FileType::from_raw_mode(s.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Errno::ISDIR),
        _ => return Err(Errno::INVAL),
    }
    // One byte more tells whether it has grown meanwhile, or did not say its size.
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

/// Writes to a file that exists, with a single call: as the kernel wants it for its own files, in
/// /proc or of a cgroup.
///
/// # Errors
/// What open and write say, which is the kernel's opinion of the bytes then; EIO if only a part was
/// written.
pub fn write_file(dir: BorrowedFd<'_>, path: &CStr, bytes: &[u8]) -> Result<()> {
    let file = open_write(dir, path)?;
    let written = crate::fd::write(file.as_fd(), bytes)?;
    if written == bytes.len() { Ok(()) } else { Err(Errno::IO) }
}

/// The inode that a name leads to.
///
/// # Errors
/// What stat says.
pub fn inode(dir: BorrowedFd<'_>, path: &CStr) -> Result<u64> {
    statat(dir, path, AtFlags::empty()).map(|s| s.st_ino)
}

/// Sets which permission bits new files do not get; gives those that they did not get before.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask)).as_raw_mode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::PathBuf;

    /// A directory that goes when the test ends.
    struct Scratch(PathBuf, OwnedFd);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = std::format!("daemontools-fs-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            let at = CString::new(path.as_os_str().as_bytes()).unwrap();
            Self(path, open_dir(HERE, &at).unwrap())
        }

        fn fd(&self) -> BorrowedFd<'_> {
            self.1.as_fd()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_file_is_read_whole_up_to_the_limit() {
        let here = Scratch::new("whole");
        for length in [0, 1, 63, 64, 65, 4096, 100_000] {
            let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            std::fs::write(here.0.join("file"), &content).unwrap();
            assert_eq!(read_whole(here.fd(), c"file", length).as_ref(), Ok(&content));
            assert_eq!(read_whole(here.fd(), c"file", 200_000).as_ref(), Ok(&content));
            if let Some(less) = length.checked_sub(1) {
                assert_eq!(read_whole(here.fd(), c"file", less), Err(Errno::FBIG));
            }
        }
        assert_eq!(read_whole(here.fd(), c"missing", 10), Err(Errno::NOENT));
        assert_eq!(read_whole(here.fd(), c"file", usize::MAX).map(|all| all.len()), Ok(100_000));
    }

    #[test]
    fn a_file_of_the_kernel_is_read_whole_though_it_has_no_size() {
        let seen = read_whole(HERE, c"/proc/self/mountinfo", 1 << 20).unwrap();
        assert_eq!(seen, std::fs::read("/proc/self/mountinfo").unwrap());
        assert_eq!(read_whole(HERE, c"/proc/self/mountinfo", 10), Err(Errno::FBIG));
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let here = Scratch::new("kinds");
        mkfifo(here.fd(), c"fifo", 0o600).unwrap();
        assert_eq!(read_whole(here.fd(), c"fifo", 10), Err(Errno::INVAL));
        assert_eq!(read_whole(here.fd(), c".", 10), Err(Errno::ISDIR));
        assert_eq!(read_whole(HERE, c"/dev/zero", 10), Err(Errno::INVAL));
    }

    #[test]
    fn what_exists_is_written_to() {
        let here = Scratch::new("write");
        assert_eq!(write_file(here.fd(), c"file", b"new"), Err(Errno::NOENT));
        std::fs::write(here.0.join("file"), "longer").unwrap();
        write_file(here.fd(), c"file", b"new").unwrap();
        assert_eq!(std::fs::read(here.0.join("file")).unwrap(), b"newger");
        assert_eq!(write_file(HERE, c"/proc/self/oom_score_adj", b"nonsense"), Err(Errno::INVAL));
    }

    #[test]
    fn directories_come_and_go() {
        let here = Scratch::new("dirs");
        mkdir(here.fd(), c"new", 0o700).unwrap();
        mkdir(here.fd(), c"new/inner", 0o700).unwrap();
        assert_eq!(rmdir(here.fd(), c"new"), Err(Errno::NOTEMPTY));
        rmdir(here.fd(), c"new/inner").unwrap();
        rmdir(here.fd(), c"new").unwrap();
        assert_eq!(rmdir(here.fd(), c"new"), Err(Errno::NOENT));
    }
}
