//! Paths that another user may be able to change.
//!
//! A symbolic link on the way to a file decides which file that is. [`locate`] follows only the
//! links that no other user can have placed there: those in a directory that only our user and root
//! can write, and our own and root's in a directory with the sticky bit, by the rule of
//! `fs.protected_symlinks` (proc_sys_fs(5)). In a directory that a group can write, our own and
//! root's count too, because a member of the group cannot make such a link.

use crate::fs::{self, HERE, Opening};
use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, ids};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use rustix::fs::{
    FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, openat, openat2, readlinkat,
};

/// The kernel's limit for links in one path.
const MOST_LINKS: usize = 40;

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The path contains a symbolic link that another user can change.
    ForeignLink,
    /// A system call has failed.
    Failed(Errno),
}

impl From<Errno> for PathError {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

/// The place where a path ends, after all links.
#[derive(Debug)]
pub struct Place {
    /// The directory that contains the file, as a base for paths.
    pub dir: OwnedFd,
    /// The name of the file in that directory.
    pub name: CString,
    /// The last part of the path is this name, and no link to it.
    pub is_last_part: bool,
    /// The path ends with a slash, so it can only be that of a directory.
    pub ends_with_slash: bool,
}

impl Place {
    /// Opens the directory at this place, which must be readable and searchable.
    ///
    /// # Errors
    /// ENOTDIR: a link or a file. The others of open(2).
    pub fn open_dir(&self) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | self.no_link();
        fs::open_dir(openat(&self.dir, &self.name, flags, Mode::empty())?.as_fd(), c".")
    }

    /// Opens the file at this place.
    ///
    /// # Errors
    /// ELOOP: a link. The others of open(2).
    pub fn open(&self, how: Opening) -> Result<OwnedFd> {
        if self.ends_with_slash {
            // The kernel tells what is wrong, as it does for the whole path.
            let name = [self.name.to_bytes(), b"/"].concat();
            let name = CString::new(name).map_err(|_| Errno::INVAL)?;
            return how.open(self.dir.as_fd(), &name, self.no_link());
        }
        how.open(self.dir.as_fd(), &self.name, self.no_link())
    }

    /// The flag that refuses a link. The links that are left are those of /proc to open files.
    fn no_link(&self) -> OFlags {
        if is_proc(self.dir.as_fd()) { OFlags::empty() } else { OFlags::NOFOLLOW }
    }
}

/// Opens a directory, which must be readable and searchable, if its path contains no link.
///
/// # Errors
/// ELOOP: the path contains a link. ENOSYS: a kernel before Linux 5.6. The others of open(2).
pub fn open_dir_without_links(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // `DIR/.` needs the right to search, as chdir(2) does.
    let inside = CString::new([path.to_bytes(), b"/."].concat()).map_err(|_| Errno::INVAL)?;
    openat2(dir, &inside, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

/// Follows a path to its last part, which may be missing.
///
/// # Errors
/// Those of open(2) and readlink(2); ENOENT for an empty path.
pub fn locate(from: BorrowedFd<'_>, path: &CStr) -> core::result::Result<Place, PathError> {
    let mut rest = path.to_bytes().to_vec();
    if rest.is_empty() {
        return Err(Errno::NOENT.into());
    }
    let ends_with_slash = rest.ends_with(b"/");
    let mut dir = fs::reach_dir(from, if rest.starts_with(b"/") { c"/" } else { c"." })?;
    let mut links = 0;
    let mut is_last_part = true;
    loop {
        let Some((name, after)) = split_first_part(&rest) else {
            return Ok(Place { dir, name: c".".into(), is_last_part, ends_with_slash });
        };
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let is_last = split_first_part(after).is_none();
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let entry = match openat(&dir, &name, flags, Mode::empty()) {
            Err(Errno::NOENT) if is_last => {
                return Ok(Place { dir, name, is_last_part, ends_with_slash });
            }
            other => other?,
        };
        let stat = fstat(&entry)?;
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if is_link && !is_trusted_link(&stat, &fstat(&dir)?) {
            return Err(PathError::ForeignLink);
        }
        // A link of /proc leads to an open file, whatever its text is.
        if is_link && !is_proc(dir.as_fd()) {
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            is_last_part &= !is_last;
            let target = readlinkat(&entry, c"", Vec::new())?.into_bytes();
            if target.starts_with(b"/") {
                dir = fs::reach_dir(HERE, c"/")?;
            }
            rest = [&target, after].concat();
        } else if is_last {
            return Ok(Place { dir, name, is_last_part, ends_with_slash });
        } else {
            dir = if is_link { fs::reach_dir(dir.as_fd(), &name)? } else { entry };
            rest = after.to_vec();
        }
    }
}

/// The first part of a path, and the rest after it; `None` if there is no part.
fn split_first_part(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|c| *c != b'/')?;
    let path = path.get(start..)?;
    path.split_at_checked(path.iter().position(|c| *c == b'/').unwrap_or(path.len()))
}

/// Whether only our user and root can have placed a link in a directory.
fn is_trusted_link(link: &Stat, dir: &Stat) -> bool {
    let is_own = |file: &Stat| file.st_uid == ids::effective_user() || file.st_uid == 0;
    let all_can_write = dir.st_mode & 0o002 != 0;
    let is_sticky = dir.st_mode & 0o1000 != 0;
    let others_can_write = dir.st_mode & 0o022 != 0;
    is_own(dir) && (!others_can_write || is_own(link) && (is_sticky || !all_can_write))
}

/// Whether an open directory is in the file system /proc.
fn is_proc(dir: BorrowedFd<'_>) -> bool {
    /// `PROC_SUPER_MAGIC`
    const MAGIC: i64 = 0x9fa0;
    #[expect(clippy::useless_conversion, reason = "narrower on 32-bit architectures")]
    fstatfs(dir).is_ok_and(|s| i64::from(s.f_type) == MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::with_dir;
    use std::fs::{self as files, Permissions};
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
    use std::path::Path;

    fn end_of(path: &Path) -> core::result::Result<(u64, CString, bool), PathError> {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let place = locate(HERE, &path)?;
        let inode = fs::open_inode(place.dir.as_fd()).unwrap();
        Ok((inode, place.name, place.is_last_part))
    }

    fn inode(path: &Path) -> u64 {
        std::os::unix::fs::MetadataExt::ino(&files::metadata(path).unwrap())
    }

    #[test]
    fn a_path_ends_where_the_kernel_ends_it() {
        with_dir("locate", |path, _| {
            files::create_dir_all(path.join("a/b")).unwrap();
            symlink("b", path.join("a/link")).unwrap();
            symlink(path.join("a"), path.join("absolute")).unwrap();
            symlink("link", path.join("a/twice")).unwrap();
            symlink("nowhere", path.join("a/dangling")).unwrap();
            symlink("loop", path.join("loop")).unwrap();
            let b = inode(&path.join("a/b"));
            let a = inode(&path.join("a"));
            for (given, dir, name, is_last) in [
                ("a/b", a, c"b", true),
                ("a/b/", a, c"b", true),
                ("a//b/new", b, c"new", true),
                ("a/link", a, c"b", false),
                ("a/link/new", b, c"new", true),
                ("absolute/twice/new", b, c"new", true),
                ("absolute/twice/../new", a, c"new", true),
                ("a/dangling", a, c"nowhere", false),
            ] {
                let end = end_of(&path.join(given)).unwrap();
                assert_eq!(end, (dir, name.into(), is_last), "{given}");
            }
            for (given, error) in
                [("loop", Errno::LOOP), ("none/new", Errno::NOENT), ("a/b/none/x", Errno::NOENT)]
            {
                assert_eq!(end_of(&path.join(given)), Err(error.into()), "{given}");
            }
            assert!(locate(HERE, c"/").unwrap().open_dir().is_ok());
            assert!(locate(HERE, c"/proc/self/fd/0").unwrap().is_last_part);
            let open = |name: &str| {
                let path = CString::new(path.join(name).as_os_str().as_bytes()).unwrap();
                open_dir_without_links(HERE, &path).map(drop)
            };
            assert_eq!(open("a/b"), Ok(()));
            assert_eq!(open("a/link"), Err(Errno::LOOP));
        });
    }

    #[test]
    fn a_file_with_a_slash_behind_it_is_refused_as_by_the_kernel() {
        with_dir("slash", |path, _| {
            files::write(path.join("file"), "").unwrap();
            let path = CString::new(path.as_os_str().as_bytes()).unwrap();
            let opened = |name: &[u8]| {
                let path = CString::new([path.to_bytes(), b"/", name].concat()).unwrap();
                locate(HERE, &path).unwrap().open(Opening::UPDATE).map(|_| ())
            };
            assert_eq!(opened(b"new/"), Err(Errno::ISDIR));
            assert_eq!(opened(b"file/"), Err(Errno::ISDIR));
            assert_eq!(opened(b"file"), Ok(()));
        });
    }

    #[test]
    fn a_link_that_another_user_can_change_is_refused() {
        if ids::effective_user() != 0 {
            return;
        }
        with_dir("foreign", |path, _| {
            const OTHER: Option<u32> = Some(65534);
            files::create_dir_all(path.join("to/dir")).unwrap();
            let at = path.join("dir");
            files::create_dir(&at).unwrap();
            symlink("../to", at.join("ours")).unwrap();
            symlink("../to", at.join("foreign")).unwrap();
            lchown(at.join("foreign"), OTHER, OTHER).unwrap();
            let judge = |mode, owner| {
                chown(&at, owner, None).unwrap();
                files::set_permissions(&at, Permissions::from_mode(mode)).unwrap();
                ["ours", "foreign"].map(|name| {
                    let last = end_of(&at.join(name)).is_ok();
                    assert_eq!(end_of(&at.join(name).join("dir")).is_ok(), last);
                    last
                })
            };
            assert_eq!(judge(0o755, Some(0)), [true, true]);
            assert_eq!(judge(0o1777, Some(0)), [true, false]);
            assert_eq!(judge(0o775, Some(0)), [true, false]);
            assert_eq!(judge(0o777, Some(0)), [false, false]);
            assert_eq!(judge(0o755, OTHER), [false, false]);
            assert_eq!(judge(0o1777, OTHER), [false, false]);
            assert_eq!(end_of(&at.join("ours")), Err(PathError::ForeignLink));
        });
    }
}
