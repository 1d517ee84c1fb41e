//! What a supervise says of its service, read from its state directory.

use daemontools_core::status::{self, Record};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fd};

/// encore's `-l` and `-L`: which of the two records is meant. The last one counts.
#[derive(Default)]
pub(crate) struct Only {
    pub(crate) main: bool,
    pub(crate) log: bool,
}

impl Only {
    /// For `-l`.
    pub(crate) const MAIN: Self = Self { main: true, log: false };
    /// For `-L`.
    pub(crate) const LOG: Self = Self { main: false, log: true };
}

/// Reads an open status: the record of the service, and of its log script if there is one. `None`
/// if the file is too short.
///
/// # Errors
/// What reading says.
pub(crate) fn read(status: &OwnedFd) -> Result<Option<(Record, Option<Record>)>> {
    let mut bytes = [0; 40];
    let mut length = 0;
    while let Some(room @ [_, ..]) = bytes.get_mut(length..) {
        match fd::read(status.as_fd(), room)? {
            0 => break,
            n => length += n,
        }
    }
    Ok(status::parse_file(bytes.get(..length).unwrap_or_default()))
}

/// The text of a state file that was tried to be read, if there is one. One that cannot be read
/// says nothing, but it is there.
pub(crate) fn beside(read: Result<&[u8]>) -> Option<&[u8]> {
    match read {
        Ok(text) => Some(text),
        Err(Errno::NOENT) => None,
        Err(_) => Some(b""),
    }
}
