//! `background`: services that put themselves into the background.

use super::syntax;
use alloc::ffi::CString;

/// How supervise finds the process of a service whose `run` exits and leaves it running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Background {
    /// `follow`: the service is the process that remains of those that `run` started.
    Follow,
    /// `pid-file PATH`: the file holds the process id. The path is absolute, or relative to the
    /// service directory.
    PidFile(CString),
}

pub(super) const EXPECTED: &str = "follow, or pid-file and a path, as in pid-file /run/name.pid";

pub(super) fn parse(line: &[u8]) -> Option<Background> {
    match syntax::first_word(line) {
        (b"follow", b"") => Some(Background::Follow),
        // PATH_MAX is 4096 bytes with the NUL.
        (b"pid-file", path) if !path.is_empty() && path.len() <= 4095 => {
            CString::new(path).ok().map(Background::PidFile)
        }
        _ => None,
    }
}
