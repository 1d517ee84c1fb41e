//! Reading the status and state files of a service, for svstat, svup and `svc -W`.

use daemontools_core::state_dir::status::{self, StatusRecord};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fd};

/// encore's options `-l` and `-L`, which select one of the two records. The last option counts.
#[derive(Default)]
pub(crate) struct OnlyRecord {
    pub(crate) main: bool,
    pub(crate) log: bool,
}

impl OnlyRecord {
    /// For `-l`.
    pub(crate) const MAIN: Self = Self { main: true, log: false };
    /// For `-L`.
    pub(crate) const LOG: Self = Self { main: false, log: true };
}

/// Reads an open status file: the record of the service, and that of its log script if there is one.
///
/// `None` if the file is too short.
///
/// # Errors
/// The error of reading.
pub(crate) fn read(status: &OwnedFd) -> Result<Option<(StatusRecord, Option<StatusRecord>)>> {
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

/// The text of the state file, from the result of reading it; `None` if there is no such file.
///
/// A file that cannot be read counts as empty: it exists, but its content is unknown.
pub(crate) fn state_text(read: Result<&[u8]>) -> Option<&[u8]> {
    match read {
        Ok(text) => Some(text),
        Err(Errno::NOENT) => None,
        Err(_) => Some(b""),
    }
}
