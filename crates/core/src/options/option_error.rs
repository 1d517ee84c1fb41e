//! The error of a mistake in an option file.

use super::OptionFile;
use crate::text::decimal::Decimal;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// The most bytes of the file that a message shows.
const SHOWN: usize = 60;

/// The text that is wrong, and a description of correct text.
pub(super) type Mismatch<'a> = (&'a [u8], &'static str);

/// A mistake in an option file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// The name of the file.
    pub file: &'static str,
    /// The line, counted from 1.
    pub line: usize,
    /// The text that is wrong; at most its first 60 bytes.
    pub found: Box<[u8]>,
    /// A description of correct text, with an example.
    pub expected: &'static str,
}

impl OptionError {
    pub(super) fn new(file: OptionFile, line: usize, (found, expected): Mismatch<'_>) -> Self {
        let found = found.get(..SHOWN).unwrap_or(found).into();
        Self { file: file.name(), line, found, expected }
    }

    /// The message `FILE line N: "FOUND": want EXPECTED`.
    ///
    /// Control characters are shown as `?`, so that a terminal does not obey them.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let line = Decimal::new(u64::try_from(self.line).unwrap_or(u64::MAX));
        let shown = |&c: &u8| if c.is_ascii_control() { b'?' } else { c };
        let found: Vec<u8> = self.found.iter().take(SHOWN).map(shown).collect();
        let file = self.file.as_bytes();
        let expected = self.expected.as_bytes();
        [file, b" line ", line.as_bytes(), b": \"", &found, b"\": want ", expected].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_60_bytes_without_control_characters() {
        let found = [b"\x1b[2J\0\r\x7f\xc3\xa4", &[b'x'; 100][..]].concat();
        let error = OptionError::new(OptionFile::StopScope, 12, (&found, "group, as in group"));
        let shown = [b"?[2J???\xc3\xa4", &[b'x'; 51][..]].concat();
        let message = [b"stop-scope line 12: \"", &shown[..], b"\": want group, as in group"];
        assert_eq!(error.message(), message.concat());
    }
}
