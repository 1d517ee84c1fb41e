//! What is said of a file that is not right.

use super::File;
use crate::decimal::Decimal;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// As much as is shown of what was read.
const SHOWN: usize = 60;

/// What was read, and what would be right.
pub(super) type Wrong<'a> = (&'a [u8], &'static str);

/// What is wrong with an option file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file's name.
    pub file: &'static str,
    /// The line, from 1 on.
    pub line: usize,
    /// What was read there, the first 60 bytes of it.
    pub read: Box<[u8]>,
    /// What would be right, in words and with an example.
    pub right: &'static str,
}

impl Mistake {
    pub(super) fn new(file: File, line: usize, (read, right): Wrong<'_>) -> Self {
        let read = read.get(..SHOWN).unwrap_or(read).into();
        Self { file: file.name(), line, read, right }
    }

    /// `FILE line N: "READ": want RIGHT`, without anything that a terminal would obey.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let line = Decimal::new(u64::try_from(self.line).unwrap_or(u64::MAX));
        let shown = |&c: &u8| if c.is_ascii_control() { b'?' } else { c };
        let read: Vec<u8> = self.read.iter().take(SHOWN).map(shown).collect();
        let file = self.file.as_bytes();
        let right = self.right.as_bytes();
        [file, b" line ", line.as_bytes(), b": \"", &read, b"\": want ", right].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_shown_in_part_and_harmless() {
        let read = [b"\x1b[2J\0\r\x7f\xc3\xa4", &[b'x'; 100][..]].concat();
        let mistake = Mistake::new(File::StopScope, 12, (&read, "group, as in group"));
        let shown = [b"?[2J???\xc3\xa4", &[b'x'; 51][..]].concat();
        let message = [b"stop-scope line 12: \"", &shown[..], b"\": want group, as in group"];
        assert_eq!(mistake.message(), message.concat());
    }
}
