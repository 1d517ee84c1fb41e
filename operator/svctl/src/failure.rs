//! The exit codes, and errors in the form of daemontools.

use crate::escape::escape;
use crate::folding::{fold, width_of};
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

/// Exit code: done.
pub(crate) const DONE: u8 = 0;
/// Exit code: a service does not reach the state.
pub(crate) const NOT_REACHED: u8 = 1;
/// Exit code of `status`: the service is not up.
pub(crate) const NOT_UP: u8 = 3;
/// Exit code of `status`: the service is unknown, or this user may not look.
pub(crate) const UNKNOWN: u8 = 4;
/// Exit code: the time is over.
pub(crate) const TIMED_OUT: u8 = 99;
/// Exit code: wrong usage.
pub(crate) const USAGE: u8 = 100;
/// Exit code: it cannot be done now.
pub(crate) const CANNOT: u8 = 111;

/// An error that ends svctl.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    /// The message without the program's name.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An error of the system: `unable to WHAT: REASON`.
    pub(crate) fn system(what: impl Display, error: &io::Error) -> Self {
        Self::new(CANNOT, format!("unable to {what}: {}", reason(error)))
    }

    pub(crate) fn print(&self) {
        eprint_line(&format!("svctl: fatal: {}", self.message));
    }
}

/// The reason of an error, in lower case and without the number.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match text {
        "No such file or directory" => "file does not exist".to_owned(),
        "Permission denied" => "access denied".to_owned(),
        _ => text.to_ascii_lowercase(),
    }
}

/// Prints a warning to standard error.
pub(crate) fn warn(message: &str) {
    eprint_line(&format!("svctl: warning: {message}"));
}

fn eprint_line(line: &str) {
    let text = escape(line);
    let mut error = io::stderr();
    let width = error.is_terminal().then(|| width_of(&error));
    let lines = fold("", 4, &text, width).join("\n");
    let _ = writeln!(error, "{lines}");
}
