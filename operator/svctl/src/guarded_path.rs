//! Paths on which another user may have placed links.
//!
//! The rule is that of multilog: a link counts if it is in a directory that only root and our user can
//! write; or if it belongs to one of them, and the directory has the sticky bit or only a group can write
//! it. So no other user decides which file svctl writes.

use rustix::fs::{AtFlags, Mode, OFlags, Stat, fstat, open, openat, readlinkat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// The kernel's limit for links in one path.
const MOST_LINKS: usize = 40;

/// A name in a directory that is open.
#[derive(Debug)]
pub(crate) struct GuardedPlace {
    pub(crate) dir: OwnedFd,
    pub(crate) name: OsString,
}

impl GuardedPlace {
    /// Follows a path up to its last part, which may be missing or a link.
    pub(crate) fn locate(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::from(Errno::ISDIR))?.to_owned();
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok(Self { dir: open_dir(parent)?, name })
    }

    /// What has this name, without following a link.
    pub(crate) fn stat(&self) -> rustix::io::Result<Stat> {
        statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// Opens a directory.
fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let start = |path: &Path| {
        let start = if path.is_absolute() { "/" } else { "." };
        open(start, flags, Mode::empty())
    };
    let mut dir = start(path)?;
    // The parts that are still to come, the last one first.
    let mut parts: Vec<OsString> = reversed(path);
    let mut links = 0;
    while let Some(part) = parts.pop() {
        let entry =
            openat(&dir, &part, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let found = fstat(&entry)?;
        if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::Symlink {
            dir = openat(&entry, ".", flags, Mode::empty())?;
            continue;
        }
        if !is_trusted_link(&found, &fstat(&dir)?) {
            let why = "another user can change a symbolic link on its path";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = readlinkat(&entry, "", Vec::new())?;
        let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
        if target.is_absolute() {
            dir = start(&target)?;
        }
        parts.extend(reversed(&target));
    }
    Ok(dir)
}

/// The parts of a path that have to be followed, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().rev().filter_map(part).collect()
}

/// Whether only our user and root can have placed a link in a directory.
fn is_trusted_link(link: &Stat, dir: &Stat) -> bool {
    let user = geteuid().as_raw();
    let is_own = |file: &Stat| file.st_uid == user || file.st_uid == 0;
    let all_can_write = dir.st_mode & 0o002 != 0;
    let is_sticky = dir.st_mode & 0o1000 != 0;
    let others_can_write = dir.st_mode & 0o022 != 0;
    is_own(dir) && (!others_can_write || is_own(link) && (is_sticky || !all_can_write))
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::Tree;

    #[test]
    fn a_path_ends_where_the_kernel_ends_it() {
        let tree = Tree::new();
        tree.mkdir("a/b");
        tree.symlink("b", "a/link");
        tree.symlink(tree.path("a"), "absolute");
        tree.symlink("../a/link", "a/back");
        tree.symlink("loop", "loop");
        let id = |found: Stat| (found.st_dev, found.st_ino);
        let wanted = id(rustix::fs::stat(tree.path("a/b")).unwrap());
        for path in ["a/b/c", "a/link/c", "absolute/link/./c", "a/back/c", "a/b/../back//c"] {
            let place = GuardedPlace::locate(&tree.path(path)).unwrap();
            assert_eq!(
                (id(fstat(&place.dir).unwrap()), &*place.name),
                (wanted, OsStr::new("c")),
                "{path}"
            );
            assert_eq!(place.stat().unwrap_err(), Errno::NOENT);
        }
        assert_eq!(GuardedPlace::locate(Path::new("c")).unwrap().name, "c");
        for path in ["loop/c", "a/b/x/c", "..", "/"] {
            assert!(GuardedPlace::locate(&tree.path(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn a_link_that_another_user_can_change_is_refused() {
        let tree = Tree::new();
        tree.mkdir("open/real");
        tree.symlink("real", "open/link");
        let is_followed = |mode| {
            tree.chmod("open", mode);
            GuardedPlace::locate(&tree.path("open/link/c")).is_ok()
        };
        assert!(is_followed(0o755) && is_followed(0o775) && is_followed(0o1777));
        assert!(!is_followed(0o777));
    }
}
