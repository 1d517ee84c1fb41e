//! The names in a directory.

use crate::{AsFd as _, BorrowedFd, Result, fs};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fs::{FileType, RawDir};

/// Calls `each` for every name in an open directory, in the kernel's order. Skips names that begin
/// with a dot.
///
/// # Errors
/// Those of getdents64(2); `each` may have been called for some names.
pub fn names(dir: BorrowedFd<'_>, mut each: impl FnMut(&CStr)) -> Result<()> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 2048];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(b".") {
            each(name);
        }
    }
    Ok(())
}

/// Calls `each` for every name in the current directory, as [`names`] does.
///
/// # Errors
/// Those of open(2) and getdents64(2).
pub fn names_here(each: impl FnMut(&CStr)) -> Result<()> {
    names(fs::open_dir(fs::HERE, c".")?.as_fd(), each)
}

/// The kind of a directory entry, as the directory itself records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link; its target does not count.
    Link,
    /// A FIFO, a socket or a device.
    Other,
    /// This file system does not record kinds.
    Unknown,
}

/// Calls `each` for every name with its kind, as [`names`] does. Its buffer is a quarter as large:
/// for programs that must stay small, and small directories.
///
/// # Errors
/// As for [`names`].
pub fn entries(dir: BorrowedFd<'_>, mut each: impl FnMut(&CStr, EntryKind)) -> Result<()> {
    // An entry with the longest name, 255 bytes, takes 280.
    let mut buffer = [MaybeUninit::<u8>::uninit(); 512];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(b".") {
            each(
                name,
                match entry.file_type() {
                    FileType::RegularFile => EntryKind::File,
                    FileType::Directory => EntryKind::Dir,
                    FileType::Symlink => EntryKind::Link,
                    FileType::Unknown => EntryKind::Unknown,
                    _ => EntryKind::Other,
                },
            );
        }
    }
    Ok(())
}

/// Calls `each` for every name in the current directory, as [`entries`] does.
///
/// # Errors
/// Those of open(2) and getdents64(2).
pub fn entries_here(each: impl FnMut(&CStr, EntryKind)) -> Result<()> {
    entries(fs::open_dir(fs::HERE, c".")?.as_fd(), each)
}

/// Whether an open directory can change without an inotify event: in a network or user-space file
/// system, where other machines or programs change it, or in an overlay, whose layers can change
/// behind it.
#[must_use]
pub fn changes_silently(dir: BorrowedFd<'_>) -> bool {
    /// Magic numbers of NFS, SMB, CIFS, SMB2, FUSE, 9P, Ceph, AFS, Coda, OCFS2, GFS2 and overlayfs.
    const SILENT: [i64; 12] = [
        0x6969,
        0x517B,
        0xFF53_4D42,
        0xFE53_4D42,
        0x6573_5546,
        0x0102_1997,
        0x00C3_6400,
        0x5346_414F,
        0x7375_7245,
        0x7461_636F,
        0x0116_1970,
        0x794C_7630,
    ];
    #[expect(clippy::useless_conversion, reason = "narrower on 32-bit architectures")]
    rustix::fs::fstatfs(dir).is_ok_and(|s| SILENT.contains(&i64::from(s.f_type)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::ffi::CString;
    use std::os::unix::ffi::OsStrExt as _;
    use std::string::{String, ToString as _};
    use std::vec::Vec;

    #[test]
    fn entries_gives_visible_names_and_their_kinds() {
        let path =
            std::env::temp_dir().join(std::format!("daemontools-dir-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::create_dir(path.join("log")).unwrap();
        std::fs::write(path.join("run"), "").unwrap();
        std::fs::write(path.join(".hidden"), "").unwrap();
        std::fs::write(path.join("x".repeat(255)), "").unwrap();
        std::os::unix::fs::symlink("nowhere", path.join("link")).unwrap();
        let open = CString::new(path.as_os_str().as_bytes()).unwrap();
        let open = fs::open_dir(fs::HERE, &open).unwrap();
        fs::mkfifo(open.as_fd(), c"ok", 0o600).unwrap();

        let mut found: Vec<(String, EntryKind)> = Vec::new();
        entries(open.as_fd(), |name, kind| {
            found.push((name.to_str().unwrap().to_string(), kind));
        })
        .unwrap();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["link", "log", "ok", "run", &"x".repeat(255)]);
        let expected =
            [EntryKind::Link, EntryKind::Dir, EntryKind::Other, EntryKind::File, EntryKind::File];
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(&(_, kind), expected)| [expected, EntryKind::Unknown].contains(&kind))
        );
        std::fs::remove_dir_all(path).unwrap();
    }
}
