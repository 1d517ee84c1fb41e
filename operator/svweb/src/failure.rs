//! Errors and messages in the form of daemontools.

use std::fmt::Display;
use std::io::{self, Write as _};
use svctl::{escape, reason};

/// Exit code: wrong usage.
pub(crate) const USAGE: u8 = 100;
/// Exit code: it cannot be done now.
pub(crate) const CANNOT: u8 = 111;

/// An error that ends svweb.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// The message without the program's name.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    /// An error of the system: `unable to WHAT: REASON`.
    pub(crate) fn system(what: impl Display, error: &io::Error) -> Self {
        Self { code: CANNOT, message: format!("unable to {what}: {}", reason(error)) }
    }
}

/// Prints a line to standard error with one write. Texts from outside come without control characters.
pub(crate) fn say(text: &str) {
    let line = format!("svweb: {}\n", escape(text));
    let _ = io::stderr().write_all(line.as_bytes());
}
