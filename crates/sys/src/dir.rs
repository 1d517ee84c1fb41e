//! The names in a directory.

use crate::{AsFd as _, BorrowedFd, Result, fs};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fs::RawDir;

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
