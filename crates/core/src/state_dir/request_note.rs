//! `supervise/requests`: notes of the clients that send commands. supervise does not read the file.
//!
//! A client such as svctl writes a note right before it sends a command, with the user, the terminal
//! and the command line. A reader of the [history](super::history) finds the note of a command by its
//! letter and its time. A note proves nothing: its writer is a client that cooperates, and each user
//! who may send commands may write notes.
//!
//! The file is a ring of [`RING`] lines, as the history is:
//!
//! ```text
//! @4000000065a1b2c30ee6b280 5 d user=root login=ann tty=pts/3 command=svctl%20down%20web
//! ```
//!
//! `%` and two hexadecimal digits stand for each byte that is not a visible ASCII character.

use crate::sorting::sort_by_key;
use crate::state_dir::control::{Command, Decoder, Letters, Scope, Target};
use crate::state_dir::history::{ServiceChange, Trigger};
use crate::state_dir::padded_line::PaddedLine;
use crate::text::decimal::{self, Decimal};
use crate::time::tai::{DIGITS, Tai64n};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// The length of a line.
pub const LEN: usize = 256;

/// The number of lines.
pub const RING: usize = 64;

/// The largest length of the file.
pub const FILE_LEN: usize = RING * LEN;

/// The longest time from the note to the command. supervise reads commands at once, except while it
/// waits for a slow disk.
pub const LATEST: Duration = Duration::from_secs(5);

/// The most bytes of a message and of each value that a line holds. The command line gets the rest.
const SHORT: usize = 36;

/// A note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestNote {
    /// When it was written: before the message was sent.
    pub when: Tai64n,
    /// The number of the note.
    pub number: u32,
    /// The message to the control FIFO.
    pub message: Vec<u8>,
    /// The user whose process sent it.
    pub user: Vec<u8>,
    /// The user who logged in, if that is another one.
    pub login: Vec<u8>,
    /// The terminal; empty without one.
    pub terminal: Vec<u8>,
    /// The command line; its end may be missing.
    pub command: Vec<u8>,
}

impl RequestNote {
    /// The line of the note. What does not fit is left out.
    #[must_use]
    pub fn to_text(&self) -> [u8; LEN] {
        let mut line = PaddedLine::<LEN>::new();
        line.push(&self.when.stamp());
        line.push(Decimal::new(self.number.into()).as_bytes());
        line.push(b" ");
        line.push(&encoded(&self.message, SHORT));
        let mut left = LEN - 100 - SHORT;
        for (key, value) in
            [(&b"user"[..], &self.user), (b"login", &self.login), (b"tty", &self.terminal)]
        {
            if !value.is_empty() {
                let value = encoded(value, SHORT);
                left -= value.len();
                line.pair(key, &[&value]);
            }
        }
        if !self.command.is_empty() {
            line.pair(b"command", &[&encoded(&self.command, left)]);
        }
        line.finish()
    }

    /// Parses a line; `None` if it is no complete one.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line: &[u8; LEN] = line.try_into().ok()?;
        let mut words = line.strip_suffix(b"\n")?.split(|&c| c == b' ').filter(|it| !it.is_empty());
        let label = words.next().filter(|label| label.len() == 1 + DIGITS)?;
        let mut note = Self {
            when: Tai64n::from_label(label)?,
            number: u32::try_from(decimal::parse(words.next()?)?).ok()?,
            message: decoded(words.next()?)?,
            ..Self::default()
        };
        for word in words {
            let at = word.iter().position(|&c| c == b'=')?;
            let (key, value) = (word.get(..at)?, decoded(word.get(at + 1..)?)?);
            match key {
                b"user" => note.user = value,
                b"login" => note.login = value,
                b"tty" => note.terminal = value,
                b"command" => note.command = value,
                // Of a later version.
                _ => {}
            }
        }
        Some(note)
    }

    /// The commands of the message to the service itself.
    fn commands(&self) -> Vec<(Command, Scope)> {
        let mut decoder = Decoder::default();
        let decoded = self.message.iter().filter_map(|&byte| decoder.feed(byte, Letters::Common));
        let to_service = decoded
            .filter(|(target, command, _)| *target == Target::Main || *command == Command::Exit);
        to_service.map(|(_, command, scope)| (command, scope)).collect()
    }
}

/// All notes of a file, the oldest first. Lines that cannot be parsed are skipped.
#[must_use]
pub fn parse_notes(file: &[u8]) -> Vec<RequestNote> {
    let lines = file.chunks_exact(LEN).take(RING);
    let mut notes: Vec<RequestNote> = lines.filter_map(RequestNote::parse).collect();
    sort_by_key(&mut notes, |note| note.number);
    notes
}

/// The number of the next note, and the place of its line in the file, in bytes.
#[must_use]
pub fn next_place(file: &[u8]) -> (u32, usize) {
    let lines = file.chunks_exact(LEN).take(RING).enumerate();
    let known = lines.filter_map(|(index, line)| Some((RequestNote::parse(line)?.number, index)));
    match known.max() {
        Some((number, index)) => (number.saturating_add(1), (index + 1) % RING * LEN),
        None => (1, 0),
    }
}

/// For each change the index of the note that belongs to it, if there is one.
///
/// That is the first note with this command that is not older than [`LATEST`]. Each command of a note
/// counts once, so that a later command of a client without notes gets none.
#[must_use]
pub fn match_notes(changes: &[ServiceChange], notes: &[RequestNote]) -> Vec<Option<usize>> {
    let mut left: Vec<Vec<(Command, Scope)>> = notes.iter().map(RequestNote::commands).collect();
    let mut found = vec![None; changes.len()];
    for (place, change) in found.iter_mut().zip(changes) {
        let Some(Trigger::Command(command, scope)) = change.trigger else { continue };
        let is_near =
            |note: &RequestNote| note.when <= change.when && change.when <= note.when.plus(LATEST);
        for (index, (note, commands)) in notes.iter().zip(&mut left).enumerate() {
            let at = commands.iter().position(|it| *it == (command, scope));
            if let Some(at) = at.filter(|_| is_near(note)) {
                commands.remove(at);
                *place = Some(index);
                break;
            }
        }
    }
    found
}

/// A value with escapes, as long as it fits into `most` bytes.
fn encoded(value: &[u8], most: usize) -> Vec<u8> {
    const DIGIT: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGIT.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut text = Vec::new();
    for &byte in value {
        let is_plain = byte.is_ascii_graphic() && byte != b'%';
        if text.len() + if is_plain { 1 } else { 3 } > most {
            break;
        }
        match is_plain {
            true => text.push(byte),
            false => text.extend([b'%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    text
}

/// The value of a text with escapes; `None` for an escape without its digits.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        let mut digit = || {
            let digit = char::from(*bytes.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        value.push(if byte == b'%' { digit()? << 4 | digit()? } else { byte });
    }
    Some(value)
}

#[cfg(test)]
#[path = "request_note_tests.rs"]
mod tests;
