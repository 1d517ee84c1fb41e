//! `background`: programs that put themselves there.

use super::text;
use alloc::ffi::CString;

/// How the process of a service is found that its `run` leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Background {
    /// `follow`: it is what is left of what `run` has started.
    Follow,
    /// `pid-file PATH`: its number is in this file, whose path is absolute or begins in the
    /// service directory.
    PidFile(CString),
}

pub(super) const RIGHT: &str = "follow, or pid-file and a path, as in pid-file /run/name.pid";

pub(super) fn parse(line: &[u8]) -> Option<Background> {
    match text::head(line) {
        (b"follow", b"") => Some(Background::Follow),
        // No path of the kernel's is longer than 4095 bytes.
        (b"pid-file", path) if !path.is_empty() && path.len() <= 4095 => {
            CString::new(path).ok().map(Background::PidFile)
        }
        _ => None,
    }
}
