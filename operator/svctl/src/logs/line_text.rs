//! The text of lines, made safe for a terminal or for JSON. A line may come in pieces.

use crate::escape::{escape, is_unsafe, push_json};
use daemontools_core::text::printable::{is_plain_in_json, is_printable};

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextTarget {
    /// The bytes as they are.
    Raw,
    /// A terminal: control characters are escaped, except for tabs.
    Terminal,
    /// A string of JSON. Bytes that are not UTF-8 become U+FFFD. Control characters are escaped, also
    /// those that JSON allows.
    Json,
}

/// Writes lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineText {
    target: TextTarget,
    /// The beginning of a character whose end is in the next piece.
    pending: [u8; 4],
    pending_length: usize,
}

impl LineText {
    pub(crate) const fn new(target: TextTarget) -> Self {
        Self { target, pending: [0; 4], pending_length: 0 }
    }

    /// Appends a whole line.
    pub(crate) fn line(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.piece(bytes, out);
        self.end(out);
    }

    /// Appends a piece of a line.
    pub(crate) fn piece(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.target == TextTarget::Raw || (self.pending_length == 0 && self.are_plain(bytes)) {
            out.extend_from_slice(bytes);
        } else if self.pending_length > 0 {
            let pending = self.pending.get(..self.pending_length).unwrap_or_default();
            let joined = [pending, bytes].concat();
            self.pending_length = 0;
            self.characters(&joined, out);
        } else {
            self.characters(bytes, out);
        }
    }

    /// Ends a line.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        if self.pending_length == 0 {
            return;
        }
        let pending = self.pending;
        self.invalid(pending.get(..self.pending_length).unwrap_or_default(), out);
        self.pending_length = 0;
    }

    /// Whether no byte needs an escape.
    fn are_plain(&self, bytes: &[u8]) -> bool {
        match self.target {
            TextTarget::Json => is_plain_in_json(bytes),
            _ => is_printable(bytes),
        }
    }

    fn characters(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        loop {
            let (valid, length) = match std::str::from_utf8(bytes) {
                Ok(text) => return self.valid(text, out),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            let (text, rest) = bytes.split_at(valid);
            self.valid(std::str::from_utf8(text).unwrap_or_default(), out);
            let Some(length) = length else {
                // The beginning of a character.
                if let Some(room) = self.pending.get_mut(..rest.len()) {
                    room.copy_from_slice(rest);
                    self.pending_length = rest.len();
                }
                return;
            };
            let (wrong, rest) = rest.split_at(length);
            self.invalid(wrong, out);
            bytes = rest;
        }
    }

    fn valid(&self, text: &str, out: &mut Vec<u8>) {
        let mut room = [0; 4];
        for character in text.chars() {
            let encoded = character.encode_utf8(&mut room);
            if let [byte] = encoded.as_bytes()
                && self.are_plain(&[*byte])
            {
                out.push(*byte);
                continue;
            }
            match self.target {
                TextTarget::Json => match character {
                    '"' | '\\' => out.extend_from_slice(&[b'\\', encoded.as_bytes()[0]]),
                    '\t' => out.extend_from_slice(b"\\t"),
                    '\r' => out.extend_from_slice(b"\\r"),
                    _ if is_unsafe(character) => {
                        let mut escaped = String::new();
                        push_json(character, &mut escaped);
                        out.extend_from_slice(escaped.as_bytes());
                    }
                    _ => out.extend_from_slice(encoded.as_bytes()),
                },
                // Most characters are letters.
                _ if character.is_alphanumeric() => out.extend_from_slice(encoded.as_bytes()),
                _ => out.extend_from_slice(escape(encoded).as_bytes()),
            }
        }
    }

    fn invalid(&self, bytes: &[u8], out: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        if self.target == TextTarget::Json {
            out.extend_from_slice("\u{fffd}".as_bytes());
            return;
        }
        for byte in bytes {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, in all ways of cutting it once.
    #[track_caller]
    fn becomes(target: TextTarget, line: &[u8], expected: &str) {
        for cut in 0..=line.len() {
            let mut text = LineText::new(target);
            let mut out = Vec::new();
            text.piece(&line[..cut], &mut out);
            text.piece(&line[cut..], &mut out);
            text.end(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{cut}");
        }
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let line = b"a\tb \x1b[2J\0\x7f \xc3\xa9 \xe2\x80\xae \xc2\x9b \xff\xe2\x82";
        let shown = "a\tb \\u{1b}[2J\\u{0}\\u{7f} \u{e9} \\u{202e} \\u{9b} \\xff\\xe2\\x82";
        becomes(TextTarget::Terminal, line, shown);
        becomes(TextTarget::Terminal, b"plain \\ \"text\"", "plain \\ \"text\"");
    }

    #[test]
    fn letters_are_safe() {
        // The shortcut for letters depends on it.
        assert!(('\0'..=char::MAX).all(|it| !(it.is_alphanumeric() && is_unsafe(it))));
    }

    #[test]
    fn json_strings_are_read_back() {
        let line = "a\tb\r\"\\ \u{1b}\u{0}\u{7f}\u{9b}\u{202e}\u{e0041} \u{e9}\u{1f600}";
        let mut out = b"\"".to_vec();
        LineText::new(TextTarget::Json).line(line.as_bytes(), &mut out);
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), line);
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains(is_unsafe), "{text}");
        becomes(TextTarget::Json, b"\xff\"\xc3", "\u{fffd}\\\"\u{fffd}");
    }
}
