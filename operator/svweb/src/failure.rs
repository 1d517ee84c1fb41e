//! Errors and messages in the form of daemontools.

use std::fmt::Display;
use std::io::{self, Write as _};

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

/// The reason of an error, in lower case and without the number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match text {
        "No such file or directory" => "file does not exist".to_owned(),
        "Permission denied" => "access denied".to_owned(),
        _ => text.to_ascii_lowercase(),
    }
}

/// Prints a line to standard error with one write. Texts from outside come without control characters.
pub(crate) fn say(text: &str) {
    let line = format!("svweb: {}\n", printable(text));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// A text with escape sequences in the place of control characters.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control()
            || matches!(character, '\u{200b}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
