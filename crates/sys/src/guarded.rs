//! Files in a directory that others may be able to write, too. Who can put something else in the
//! place of a file is not to choose what we read, write or make elsewhere: a name that is a symbolic
//! link is refused with ELOOP, and what is to be new is new.
//!
//! Only the last part of a path is looked at so: how a directory is reached is its owner's business.

use crate::fs::{self, Opening};
use crate::{BorrowedFd, Errno, OwnedFd, Result, ids};
use alloc::vec::Vec;
use core::ffi::CStr;
use rustix::fs::{FileType, OFlags, Stat, fstat};

/// Marks a file that we vouch for: the sticky bit means nothing to the kernel, no program sets it by
/// accident, and nobody else can set it on a file of ours.
const MARK: u32 = 0o1000;

const VOUCHED: u32 = MARK | 0o644;

/// What makes a file, and opens none that is there.
const NEW: OFlags = OFlags::CREATE.union(OFlags::EXCL);

/// The bits that let others than the owner write.
const OTHERS_WRITE: u32 = 0o022;

/// Opens a file.
///
/// # Errors
/// What open says.
pub fn open(dir: BorrowedFd<'_>, path: &CStr, how: Opening) -> Result<OwnedFd> {
    how.open(dir, path, OFlags::NOFOLLOW)
}

/// Opens a file that we [vouch](is_vouched) for, for reading and overwriting; made if it is missing.
///
/// # Errors
/// What open says.
pub fn open_vouched(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    open(dir, path, Opening::of(OFlags::RDWR | OFlags::CREATE, VOUCHED))
}

/// The same, but what is there is removed, whatever it is.
///
/// # Errors
/// What unlink and open say: EISDIR for a directory.
pub fn replace_vouched(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    make(dir, path, Opening::of(NEW | OFlags::RDWR, VOUCHED))
}

/// Makes a file with mode 0644, to be written. What is there is removed, whatever it is.
///
/// # Errors
/// What unlink and open say: EISDIR for a directory.
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

/// Reads the beginning of a file, as [`fs::read_start`] does.
///
/// # Errors
/// What open and read say.
pub fn read_start<'a>(dir: BorrowedFd<'_>, path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8]> {
    fs::start_of(&open(dir, path, Opening::READ)?, room)
}

/// Reads a whole ordinary file, as [`fs::read_whole`] does.
///
/// # Errors
/// As there.
pub fn read_whole(dir: BorrowedFd<'_>, path: &CStr, limit: usize) -> Result<Vec<u8>> {
    fs::read_all(&open(dir, path, Opening::READ)?, limit)
}

/// Whether this is an ordinary file with one name, so that it is nothing else's.
#[must_use]
pub fn is_plain(file: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|s| is_ordinary(&s) && s.st_nlink == 1)
}

/// Whether this is an ordinary file that belongs where it was found, in this directory: if others
/// may write that, one of its names elsewhere may be what it was made for.
#[must_use]
pub fn belongs_to(file: BorrowedFd<'_>, dir: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|s| is_ordinary(&s) && (s.st_nlink == 1 || !others_can_write(dir)))
}

fn is_ordinary(s: &Stat) -> bool {
    FileType::from_raw_mode(s.st_mode) == FileType::RegularFile
}

/// Whether somebody else than we and root may put files into an open directory.
#[must_use]
pub fn others_can_write(dir: BorrowedFd<'_>) -> bool {
    fstat(dir).map_or(true, |s| {
        (s.st_uid != ids::effective_user() && s.st_uid != 0) || s.st_mode & OTHERS_WRITE != 0
    })
}

/// Whether what is in an open file, which was found in this directory, can only have been written
/// by us. Where others may write the directory they can move any file there, also one of ours
/// that has come from elsewhere: there it needs the mark that it was made for this, and no other
/// name.
#[must_use]
pub fn is_vouched(file: BorrowedFd<'_>, dir: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|s| {
        let is_ours = s.st_uid == ids::effective_user() && s.st_mode & OTHERS_WRITE == 0;
        let is_marked = s.st_mode & MARK != 0 && s.st_nlink == 1;
        is_ordinary(&s) && is_ours && (is_marked || !others_can_write(dir))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AsFd as _, fd};
    use std::fs::{self as files, Permissions};
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    /// Makes an empty directory, gives it to a test, and removes it.
    fn within(name: &str, test: impl FnOnce(&Path, BorrowedFd<'_>)) {
        let name = std::format!("daemontools-guarded-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        files::create_dir(&path).unwrap();
        let at = alloc::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        test(&path, fs::open_dir(fs::HERE, &at).unwrap().as_fd());
        files::remove_dir_all(path).unwrap();
    }

    fn set_mode(path: &Path, mode: u32) {
        files::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_link_is_refused_or_replaced_and_never_followed() {
        within("links", |path, dir| {
            files::write(path.join("treasure"), "treasure").unwrap();
            symlink("treasure", path.join("link")).unwrap();
            let refused = Err(Errno::LOOP);
            for how in [Opening::READ, Opening::WRITE, Opening::APPEND, Opening::UPDATE] {
                assert_eq!(open(dir, c"link", how).map(drop), refused, "{how:?}");
            }
            assert_eq!(open_vouched(dir, c"link").map(drop), refused);
            assert_eq!(read_start(dir, c"link", &mut [0; 8]).map(drop), refused);
            assert_eq!(read_whole(dir, c"link", 8).map(drop), refused);
            let file = create(dir, c"link").unwrap();
            assert!(is_plain(file.as_fd()));
            fd::write_all(file.as_fd(), b"new").unwrap();
            assert_eq!(files::read(path.join("link")).unwrap(), b"new");
            assert_eq!(files::read(path.join("treasure")).unwrap(), b"treasure");
            files::create_dir(path.join("directory")).unwrap();
            assert!(create(dir, c"directory").is_err());
        });
    }

    #[test]
    fn what_others_can_have_made_is_not_vouched_for() {
        within("vouched", |path, dir| {
            let judge = |mode| {
                set_mode(&path.join("file"), mode);
                is_vouched(open(dir, c"file", Opening::READ).unwrap().as_fd(), dir)
            };
            drop(open_vouched(dir, c"file").unwrap());
            set_mode(path, 0o755);
            assert!(!others_can_write(dir));
            assert!([0o644, 0o600, 0o1644].into_iter().all(judge));
            assert!(![0o664, 0o646, 0o1666].into_iter().any(judge));
            for mode in [0o775, 0o757, 0o1777] {
                set_mode(path, mode);
                assert!(others_can_write(dir));
                assert!(judge(0o1644) && judge(0o1600));
                assert!(!judge(0o644) && !judge(0o1664));
            }
            // Another name may be the one that it was made for.
            files::hard_link(path.join("file"), path.join("other")).unwrap();
            assert!(!judge(0o1644));
            let file = open(dir, c"file", Opening::READ).unwrap();
            assert!(!is_plain(file.as_fd()) && !belongs_to(file.as_fd(), dir));
            set_mode(path, 0o755);
            assert!(judge(0o1644) && belongs_to(file.as_fd(), dir));
            assert!(!is_vouched(dir, dir));
        });
    }
}
