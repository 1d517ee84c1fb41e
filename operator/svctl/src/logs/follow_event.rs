//! What a followed directory tells.

use daemontools_core::time::tai::Tai64n;
use std::ffi::OsStr;
use std::io;

/// The next thing in a followed directory.
#[derive(Debug)]
pub(crate) enum FollowEvent<'a> {
    /// The begin or the middle of a very long line. Its end comes as a line.
    Part(&'a [u8]),
    /// A line, without its newline.
    Line(&'a [u8]),
    /// Lines are missing here.
    Missing(MissingLines<'a>),
    /// The directory is no longer at its path. What was written to it has been told.
    Gone,
    /// There is a directory again, or for the first time. Its lines follow.
    Back,
}

/// Why lines are missing, and how many, as far as that is known.
#[derive(Debug)]
pub(crate) enum MissingLines<'a> {
    /// The logger has removed so many files before they could be read. The last one of them was
    /// finished at the moment of the label.
    Removed { files: usize, last: Option<Tai64n> },
    /// Files may have been removed unread: so much has happened that the kernel's events were lost.
    Unknown,
    /// Another program has truncated `current`.
    Truncated,
    /// A file cannot be read.
    Unreadable { name: &'a OsStr, error: io::Error },
}
