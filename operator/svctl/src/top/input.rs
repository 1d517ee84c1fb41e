//! Keys, from the bytes that a terminal sends.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character, Space among them.
    Char(char),
    /// A letter with Ctrl.
    Ctrl(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Backspace,
    Esc,
    /// So many notches of the mouse's wheel down, or up if negative.
    Wheel(isize),
    /// A press of the left button in this row of the screen, from 0.
    Click(u16),
}

/// A longer sequence is no key.
const LONGEST: usize = 32;

/// The bytes behind a pasted text: the terminal marks it (bracketed paste).
const PASTE_END: &[u8] = b"\x1b[201~";

/// Splits bytes into keys. A sequence may come in pieces.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    pending: Vec<u8>,
    /// Inside a pasted text. It is no command, so it is skipped.
    is_pasting: bool,
}

/// What the beginning of the pending bytes is.
enum Parsed {
    /// A key of so many bytes.
    Key(Key, usize),
    /// So many bytes that are no key.
    Nothing(usize),
    /// A pasted text begins behind so many bytes.
    Paste(usize),
    /// More bytes have to come.
    Incomplete,
}

impl Decoder {
    /// The keys that are complete with these bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while !self.pending.is_empty() {
            if self.is_pasting {
                let found =
                    self.pending.windows(PASTE_END.len()).position(|part| part == PASTE_END);
                self.is_pasting = found.is_none();
                let done = found.map_or_else(
                    || self.pending.len().saturating_sub(PASTE_END.len() - 1),
                    |at| at + PASTE_END.len(),
                );
                self.pending.drain(..done);
                if self.is_pasting {
                    break;
                }
                continue;
            }
            let done = match parse(&self.pending) {
                Parsed::Key(key, done) => {
                    keys.push(key);
                    done
                }
                Parsed::Nothing(done) => done,
                Parsed::Paste(done) => {
                    self.is_pasting = true;
                    done
                }
                Parsed::Incomplete if self.pending.len() > LONGEST => self.pending.len(),
                Parsed::Incomplete => break,
            };
            self.pending.drain(..done.min(self.pending.len()));
        }
        keys
    }

    /// Whether a key has begun and may be complete already, as Esc is.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.pending.is_empty() && !self.is_pasting
    }

    /// The key of an incomplete sequence when nothing has followed for a while.
    pub(crate) fn give_up(&mut self) -> Option<Key> {
        let pending = std::mem::take(&mut self.pending);
        (pending.first() == Some(&0x1b)).then_some(Key::Esc)
    }
}

fn parse(bytes: &[u8]) -> Parsed {
    match bytes {
        [0x1b] => Parsed::Incomplete,
        [0x1b, b'[', rest @ ..] => parse_csi(rest),
        [0x1b, b'O'] => Parsed::Incomplete,
        [0x1b, b'O', last, ..] => {
            parse_final(*last, b"").map_or(Parsed::Nothing(3), |key| Parsed::Key(key, 3))
        }
        // Esc, and then the next key at once. Alt and a key is the same.
        [0x1b, ..] => Parsed::Key(Key::Esc, 1),
        [b'\r' | b'\n', ..] => Parsed::Key(Key::Enter, 1),
        [0x7f | 0x08, ..] => Parsed::Key(Key::Backspace, 1),
        [b'\t', ..] => Parsed::Nothing(1),
        [byte @ 1..=0x1a, ..] => Parsed::Key(Key::Ctrl(char::from(byte + b'a' - 1)), 1),
        [byte, ..] if *byte < 0x20 => Parsed::Nothing(1),
        [byte, ..] if byte.is_ascii() => Parsed::Key(Key::Char(char::from(*byte)), 1),
        _ => parse_utf8(bytes),
    }
}

fn parse_utf8(bytes: &[u8]) -> Parsed {
    let start = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(start.get(..error.valid_up_to()).unwrap_or_default())
                .unwrap_or_default()
        }
        Err(error) => return error.error_len().map_or(Parsed::Incomplete, Parsed::Nothing),
    };
    match valid.chars().next() {
        Some(c) if c.is_control() => Parsed::Nothing(c.len_utf8()),
        Some(c) => Parsed::Key(Key::Char(c), c.len_utf8()),
        None => Parsed::Nothing(1),
    }
}

/// A sequence behind `ESC [`: parameters, and a final byte from `@` to `~` (ECMA-48).
fn parse_csi(rest: &[u8]) -> Parsed {
    let Some(end) = rest.iter().position(|byte| !matches!(byte, 0x20..=0x3f)) else {
        return Parsed::Incomplete;
    };
    let parameters = rest.get(..end).unwrap_or_default();
    let last = rest.get(end).copied().unwrap_or_default();
    let length = end + 3;
    if last == b'~' && parameters == b"200" {
        return Parsed::Paste(length);
    }
    let key = match parameters.split_first() {
        Some((b'<', report)) => parse_mouse(last, report),
        _ => parse_final(last, parameters),
    };
    key.map_or(Parsed::Nothing(length), |key| Parsed::Key(key, length))
}

/// A report of the mouse, in the SGR form of xterm: `BUTTON;COLUMN;ROW` from 1, and `M` for a press.
fn parse_mouse(last: u8, report: &[u8]) -> Option<Key> {
    let mut numbers = std::str::from_utf8(report).ok()?.split(';').map(str::parse::<u16>);
    let (button, _, row) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    match (button, last) {
        (0, b'M') => Some(Key::Click(row.checked_sub(1)?)),
        (64, b'M') => Some(Key::Wheel(-1)),
        (65, b'M') => Some(Key::Wheel(1)),
        _ => None,
    }
}

fn parse_final(last: u8, parameters: &[u8]) -> Option<Key> {
    let number = parameters.split(|&byte| byte == b';').next().unwrap_or_default();
    Some(match (last, number) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        (b'M', b"") => Key::Enter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_keys() {
        let mut decoder = Decoder::default();
        let keys = decoder.feed(b"j \r\x7f\x03\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[1;5H\x1b[4~\xc3\xa9");
        assert_eq!(
            keys,
            [
                Key::Char('j'),
                Key::Char(' '),
                Key::Enter,
                Key::Backspace,
                Key::Ctrl('c'),
                Key::Up,
                Key::Down,
                Key::PageUp,
                Key::PageDown,
                Key::Home,
                Key::End,
                Key::Char('é'),
            ]
        );
        assert!(!decoder.is_waiting());
    }

    #[test]
    fn a_sequence_may_come_in_pieces() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert_eq!(decoder.feed(b"["), []);
        assert_eq!(decoder.feed(b"B\xc3"), [Key::Down]);
        assert_eq!(decoder.feed(b"\xa9"), [Key::Char('é')]);
        assert_eq!(decoder.feed(b"\x1bl"), [Key::Esc, Key::Char('l')]);
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert!(decoder.is_waiting());
        assert_eq!(decoder.give_up(), Some(Key::Esc));
        assert_eq!(decoder.give_up(), None);
    }

    #[test]
    fn the_wheel_and_the_left_button_are_keys() {
        let mut decoder = Decoder::default();
        let reports = b"\x1b[<64;10;5M\x1b[<65;10;5M\x1b[<0;3;7M\x1b[<0;3;7m\x1b[<2;3;7M";
        assert_eq!(decoder.feed(reports), [Key::Wheel(-1), Key::Wheel(1), Key::Click(6)]);
        assert_eq!(
            decoder.feed(b"\x1b[<0;1;0M\x1b[<0;1M\x1b[<;;M\x1b[<0;1;99999Mk"),
            [Key::Char('k')]
        );
    }

    #[test]
    fn pasted_text_is_no_command() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"a\x1b[200~!dy\x1b[2"), [Key::Char('a')]);
        assert!(!decoder.is_waiting());
        assert_eq!(decoder.feed(b"01~b"), [Key::Char('b')]);
    }

    #[test]
    fn unknown_and_endless_sequences_are_skipped() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b[99~\x1b[<0;1;1X\x00\x1f\xff\xfek"), [Key::Char('k')]);
        let mut endless = b"\x1b[".to_vec();
        endless.resize(100, b'1');
        assert_eq!(decoder.feed(&endless), []);
        assert!(!decoder.is_waiting());
        let mut random = 7u32;
        for _ in 0..20_000 {
            random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let [_, byte, ..] = random.to_be_bytes();
            let _ = decoder.feed(&[byte]);
            assert!(decoder.pending.len() <= LONGEST + 1);
        }
    }
}
