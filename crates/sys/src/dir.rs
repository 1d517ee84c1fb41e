//! The names in a directory.

use crate::{AsFd as _, BorrowedFd, Result, fs};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fs::{FileType, RawDir};

/// Calls `each` for every name in an open directory, except those beginning with a dot, in the
/// kernel's order.
///
/// # Errors
/// What reading the directory says; some names may have been given before.
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

/// What a name is, as far as the directory itself tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ordinary file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link, whatever it leads to.
    Link,
    /// A FIFO, a socket or a device.
    Other,
    /// Not told by this file system.
    Untold,
}

/// The same with the kind of each name, and with little memory on the stack: for programs that are
/// small, and directories that are.
///
/// # Errors
/// As above.
pub fn entries(dir: BorrowedFd<'_>, mut each: impl FnMut(&CStr, Kind)) -> Result<()> {
    // The longest name takes 280.
    let mut buffer = [MaybeUninit::<u8>::uninit(); 512];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(b".") {
            each(
                name,
                match entry.file_type() {
                    FileType::RegularFile => Kind::File,
                    FileType::Directory => Kind::Dir,
                    FileType::Symlink => Kind::Link,
                    FileType::Unknown => Kind::Untold,
                    _ => Kind::Other,
                },
            );
        }
    }
    Ok(())
}

/// The same for the current directory.
///
/// # Errors
/// What opening or reading the directory says.
pub fn entries_here(each: impl FnMut(&CStr, Kind)) -> Result<()> {
    entries(fs::open_dir(fs::HERE, c".")?.as_fd(), each)
}

/// Whether changes in the directory may go unannounced, because others make them: a network or
/// user-space file system.
#[must_use]
pub fn changes_unseen(dir: BorrowedFd<'_>) -> bool {
    /// Magic numbers of NFS, SMB, CIFS, SMB2, FUSE, 9P, Ceph, AFS, Coda, OCFS2 and GFS2.
    const REMOTE: [i64; 11] = [
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
    ];
    #[expect(clippy::useless_conversion, reason = "narrower on 32-bit architectures")]
    rustix::fs::fstatfs(dir).is_ok_and(|s| REMOTE.contains(&i64::from(s.f_type)))
}

/// The same for the current directory.
///
/// # Errors
/// What opening or reading the directory says.
pub fn names_here(each: impl FnMut(&CStr)) -> Result<()> {
    names(fs::open_dir(fs::HERE, c".")?.as_fd(), each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::ffi::CString;
    use std::os::unix::ffi::OsStrExt as _;
    use std::string::{String, ToString as _};
    use std::vec::Vec;

    #[test]
    fn names_come_with_their_kinds() {
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

        let mut found: Vec<(String, Kind)> = Vec::new();
        entries(open.as_fd(), |name, kind| {
            found.push((name.to_str().unwrap().to_string(), kind));
        })
        .unwrap();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["link", "log", "ok", "run", &"x".repeat(255)]);
        let told = [Kind::Link, Kind::Dir, Kind::Other, Kind::File, Kind::File];
        assert!(
            found.iter().zip(told).all(|(&(_, kind), told)| [told, Kind::Untold].contains(&kind))
        );
        std::fs::remove_dir_all(path).unwrap();
    }
}
