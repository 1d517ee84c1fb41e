//! Files in a directory that other users may be able to write. Such a user could replace a file by
//! a symbolic link, and so choose which file we read, write or create elsewhere. Therefore every
//! open refuses a symbolic link with ELOOP, and a file that must be new is created with `O_EXCL`.
//!
//! This applies to the last part of a path only; for the directories before it see
//! [`crate::trusted_path`].

use crate::fs::{self, Opening};
use crate::proc_fd::own_path;
use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, ids};
use alloc::vec::Vec;
use core::ffi::CStr;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat};

/// Marks a file whose content this user has written for this place. The mark is the sticky bit: for
/// a file the kernel ignores it, programs do not set it by accident, and only the owner and root
/// can set it.
const MARK: u32 = 0o1000;

const TRUSTED: u32 = MARK | 0o644;

/// Flags that create a file and fail for an existing one.
const NEW: OFlags = OFlags::CREATE.union(OFlags::EXCL);

/// The write permissions of group and others.
const OTHERS_WRITE: u32 = 0o022;

/// Opens a file.
///
/// # Errors
/// ELOOP: a symbolic link. The others of open(2).
pub fn open(dir: BorrowedFd<'_>, path: &CStr, how: Opening) -> Result<OwnedFd> {
    how.open(dir, path, OFlags::NOFOLLOW)
}

/// Opens a file for reading and overwriting; creates a missing file with the mark of
/// [`is_trusted`].
///
/// # Errors
/// As for [`open`].
pub fn open_trusted(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open(dir, path, Opening::of(OFlags::RDWR | OFlags::CREATE, TRUSTED))
}

/// Creates a file with the mark of [`is_trusted`], for reading and overwriting. Removes an existing
/// file first.
///
/// # Errors
/// EISDIR: a directory has the name. The others of unlink(2) and open(2).
pub fn replace_trusted(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    make(dir, path, Opening::of(NEW | OFlags::RDWR, TRUSTED))
}

/// Creates a file with mode 0644, for writing. Removes an existing file first.
///
/// # Errors
/// As for [`replace_trusted`].
pub fn create(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    make(dir, path, Opening::of(NEW | OFlags::WRONLY, 0o644))
}

fn make(dir: BorrowedFd<'_>, path: &CStr, how: Opening) -> Result<OwnedFd> {
    match open(dir, path, how) {
        Err(Errno::EXIST) => {
            fs::unlink(dir, path)?;
            open(dir, path, how)
        }
        other => other,
    }
}

/// Reads the start of a file, as [`fs::read_start`] does.
///
/// # Errors
/// As for [`open`], and those of read(2).
pub fn read_start<'a>(dir: BorrowedFd<'_>, path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8]> {
    fs::start_of(&open(dir, path, Opening::READ)?, room)
}

/// Reads the start of a regular file, as [`fs::read_start`] does; returns it with the owner of the file.
/// Opens no file of another kind: to open a device has effects, and to read a FIFO takes what another
/// process waits for.
///
/// # Errors
/// ELOOP: a symbolic link. EINVAL: another kind of file. Those of open(2) and read(2); ENOENT also
/// without /proc.
pub fn read_regular<'a>(
    dir: BorrowedFd<'_>,
    path: &CStr,
    room: &'a mut [u8],
) -> Result<(&'a [u8], u32)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = openat(dir, path, flags, Mode::empty())?;
    let found = fstat(&held)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Errno::LOOP),
        _ => return Err(Errno::INVAL),
    }
    // Our own descriptor: the name may lead to another file by now.
    let text = fs::read_start(fs::HERE, own_path(fd::number(held.as_fd())).as_c_str()?, room)?;
    Ok((text, found.st_uid))
}

/// Reads a whole regular file, as [`fs::read_whole`] does.
///
/// # Errors
/// As for [`open`] and [`fs::read_whole`].
pub fn read_whole(dir: BorrowedFd<'_>, path: &CStr, limit: usize) -> Result<Vec<u8>> {
    fs::whole_of(&open(dir, path, Opening::READ)?, limit)
}

/// Opens a directory that only our user can change, and makes it if it is missing. Other users can
/// reach its files, but cannot list them.
///
/// # Errors
/// EPERM: another user owns the directory, or can write it. ELOOP and ENOTDIR: it is a link or another
/// kind of file. Those of mkdir(2), open(2) and chmod(2).
pub fn own_directory(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    /// Every user may reach the files.
    const MODE: u32 = 0o711;
    match fs::mkdir(dir, path, MODE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(other) => return Err(other),
    }
    let own = Opening::READ.open(dir, path, OFlags::NOFOLLOW | OFlags::DIRECTORY)?;
    let s = fstat(&own)?;
    if s.st_uid != ids::effective_user() || s.st_mode & OTHERS_WRITE != 0 {
        return Err(Errno::PERM);
    }
    // The umask may have removed permissions.
    if s.st_mode & 0o777 != MODE {
        fs::fchmod(own.as_fd(), MODE)?;
    }
    Ok(own)
}

/// Whether this is a regular file with one name. Such a file is not a second name of a file
/// elsewhere.
#[must_use]
pub fn has_one_name(file: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|s| is_regular(&s) && s.st_nlink == 1)
}

/// Whether this is a regular file that was made for this directory, in which it was found. If other
/// users can write the directory, a second name shows that the file may be one from elsewhere.
#[must_use]
pub fn belongs_to(file: BorrowedFd<'_>, dir: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|s| is_regular(&s) && (s.st_nlink == 1 || !others_can_write(dir)))
}

fn is_regular(s: &Stat) -> bool {
    FileType::from_raw_mode(s.st_mode) == FileType::RegularFile
}

/// Whether a FIFO can be the one that `svctl grant` has made in the place of another one: it has the same
/// owner and one name.
#[must_use]
pub fn can_follow(fifo: BorrowedFd<'_>, old: BorrowedFd<'_>) -> bool {
    fstat(fifo).is_ok_and(|s| {
        FileType::from_raw_mode(s.st_mode) == FileType::Fifo
            && s.st_nlink == 1
            && fstat(old).is_ok_and(|old| old.st_uid == s.st_uid)
    })
}

/// Whether a user other than ours and root can put files into an open directory.
#[must_use]
pub fn others_can_write(dir: BorrowedFd<'_>) -> bool {
    fstat(dir).map_or(true, |s| is_writable_by_others(&s))
}

fn is_writable_by_others(dir: &Stat) -> bool {
    (dir.st_uid != ids::effective_user() && dir.st_uid != 0) || dir.st_mode & OTHERS_WRITE != 0
}

/// Whether a user other than ours and root can rename or remove the directories of ours in an open
/// directory. The sticky bit forbids that to users that may write the directory, as in /tmp.
#[must_use]
pub fn others_can_rename(dir: BorrowedFd<'_>) -> bool {
    /// The sticky bit.
    const STICKY: u32 = 0o1000;
    fstat(dir).map_or(true, |s| {
        (s.st_uid != ids::effective_user() && s.st_uid != 0)
            || (s.st_mode & OTHERS_WRITE != 0 && s.st_mode & STICKY == 0)
    })
}

/// Whether no other user can have opened this file, which was found in this directory: it is ours, only
/// we may read it, and no other user can put one of our files in its place.
#[must_use]
pub fn is_private(file: BorrowedFd<'_>, dir: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|s| {
        is_regular(&s) && s.st_uid == ids::effective_user() && s.st_mode & 0o077 == 0
    }) && !others_can_write(dir)
}

/// Whether only our user (or root) can have written the content of an open file, which was found in
/// this directory, for this place. If other users can write the directory, they can move or link
/// one of our files from elsewhere into it. Then the file needs the mark and may have no second
/// name.
///
/// # Errors
/// Those of fstat(2). Then nothing is known about the file: it may be ours.
pub fn is_trusted(file: BorrowedFd<'_>, dir: BorrowedFd<'_>) -> Result<bool> {
    let s = fstat(file)?;
    if !is_regular(&s) || s.st_uid != ids::effective_user() || s.st_mode & OTHERS_WRITE != 0 {
        return Ok(false);
    }
    let is_marked = s.st_mode & MARK != 0 && s.st_nlink == 1;
    Ok(is_marked || !is_writable_by_others(&fstat(dir)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd;
    use crate::test_support::with_dir;
    use std::fs::{self as files, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    fn set_mode(path: &Path, mode: u32) {
        files::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_symbolic_link_is_refused_or_replaced() {
        with_dir("links", |path, dir| {
            files::write(path.join("canary"), "canary").unwrap();
            symlink("canary", path.join("link")).unwrap();
            let refused = Err(Errno::LOOP);
            for how in [Opening::READ, Opening::WRITE, Opening::APPEND, Opening::UPDATE] {
                assert_eq!(open(dir, c"link", how).map(drop), refused, "{how:?}");
            }
            assert_eq!(open_trusted(dir, c"link").map(drop), refused);
            assert_eq!(read_start(dir, c"link", &mut [0; 8]).map(drop), refused);
            assert_eq!(read_whole(dir, c"link", 8).map(drop), refused);
            let file = create(dir, c"link").unwrap();
            assert!(has_one_name(file.as_fd()));
            fd::write_all(file.as_fd(), b"new").unwrap();
            assert_eq!(files::read(path.join("link")).unwrap(), b"new");
            assert_eq!(files::read(path.join("canary")).unwrap(), b"canary");
            files::create_dir(path.join("directory")).unwrap();
            assert!(create(dir, c"directory").is_err());
        });
    }

    #[test]
    fn a_file_that_another_user_could_have_made_is_not_trusted() {
        with_dir("trusted", |path, dir| {
            let judge = |mode| {
                set_mode(&path.join("file"), mode);
                is_trusted(open(dir, c"file", Opening::READ).unwrap().as_fd(), dir) == Ok(true)
            };
            drop(open_trusted(dir, c"file").unwrap());
            set_mode(path, 0o755);
            assert!(!others_can_write(dir));
            let is_private = |mode| {
                set_mode(&path.join("file"), mode);
                is_private(open(dir, c"file", Opening::READ).unwrap().as_fd(), dir)
            };
            assert!(is_private(0o600) && !is_private(0o640) && !is_private(0o604));
            assert!([0o644, 0o600, 0o1644].into_iter().all(judge));
            assert!(![0o664, 0o646, 0o1666].into_iter().any(judge));
            for mode in [0o775, 0o757, 0o1777] {
                set_mode(path, mode);
                assert!(others_can_write(dir));
                assert_eq!(others_can_rename(dir), mode != 0o1777);
                assert!(judge(0o1644) && judge(0o1600));
                assert!(!judge(0o644) && !judge(0o1664));
            }
            // The file may have been made for its other name.
            files::hard_link(path.join("file"), path.join("other")).unwrap();
            assert!(!judge(0o1644));
            let file = open(dir, c"file", Opening::READ).unwrap();
            assert!(!has_one_name(file.as_fd()) && !belongs_to(file.as_fd(), dir));
            set_mode(path, 0o755);
            assert!(judge(0o1644) && belongs_to(file.as_fd(), dir));
            assert_eq!(is_trusted(dir, dir), Ok(false));
        });
    }
    #[test]
    fn only_a_regular_file_is_opened() {
        with_dir("regular", |path, dir| {
            files::write(path.join("file"), "17\n").unwrap();
            symlink("file", path.join("link")).unwrap();
            fs::mkfifo(dir, c"fifo", 0o600).unwrap();
            let fifo = open(dir, c"fifo", Opening::UPDATE).unwrap();
            fd::write_all(fifo.as_fd(), b"1").unwrap();
            let mut room = [0; 8];
            let us = ids::effective_user();
            assert_eq!(read_regular(dir, c"file", &mut room), Ok((&b"17\n"[..], us)));
            assert_eq!(read_regular(dir, c"link", &mut room), Err(Errno::LOOP));
            assert_eq!(read_regular(dir, c"fifo", &mut room), Err(Errno::INVAL));
            assert_eq!(read_regular(dir, c".", &mut room), Err(Errno::INVAL));
            assert_eq!(read_regular(dir, c"none", &mut room), Err(Errno::NOENT));
            assert_eq!(fd::unread(fifo.as_fd()), Ok(1));
        });
    }

    #[test]
    fn an_own_directory_is_made_and_a_foreign_one_refused() {
        with_dir("own", |path, dir| {
            drop(own_directory(dir, c"new").unwrap());
            assert_eq!(path.join("new").metadata().unwrap().permissions().mode() & 0o777, 0o711);
            set_mode(&path.join("new"), 0o700);
            let own = own_directory(dir, c"new").unwrap();
            assert_eq!(fstat(&own).unwrap().st_mode & 0o777, 0o711);
            set_mode(&path.join("new"), 0o731);
            assert_eq!(own_directory(dir, c"new").map(drop), Err(Errno::PERM));
            symlink("new", path.join("link")).unwrap();
            assert!(own_directory(dir, c"link").is_err());
            files::write(path.join("file"), "").unwrap();
            assert_eq!(own_directory(dir, c"file").map(drop), Err(Errno::NOTDIR));
        });
    }
}
