//! The standard input of multilog.
//!
//! A KILL loses the text that is read and not yet written. Therefore a read takes little text. When
//! more text arrives and the input is a pipe, the reader peeks: it copies the content of the pipe,
//! and consumes the text only after it is written. See `daemontools_core::multilog::batch`. Only our
//! own multilog recognises the batch after a KILL; the original would write it again. Therefore the
//! logger takes batches only while it has a standby process: see `standby`.

use super::file_access::unless_short;
use alloc::vec;
use alloc::vec::Vec;
use daemontools_core::multilog::batch::{self, HELD_LIMIT};
use daemontools_core::text::lines;
use daemontools_sys::peek::Peek;
use daemontools_sys::{Errno, Result, fd, fs};

/// Size of a read in bytes, and so about the largest loss by a KILL.
pub(super) const READ_SIZE: usize = 2048;

/// Number of bytes that the reader copies from the pipe at once.
pub(super) const PEEK_SIZE: usize = 256 * 1024;

/// The number that identifies the pipe on standard input in batch marks; `None` if the input is no
/// pipe, or if there is no /proc.
///
/// # Errors
/// A lack of descriptors or memory. Without the number, the batch of a killed logger would be written
/// again.
pub(super) fn pipe_id() -> Result<Option<u64>> {
    if !fs::is_fifo(fd::stdin()) {
        return Ok(None);
    }
    let mut room = [0; 64];
    let boot_id = fs::read_start(fs::HERE, c"/proc/sys/kernel/random/boot_id", &mut room);
    let Some(boot_id) = unless_short(boot_id)? else { return Ok(None) };
    Ok(Some(batch::pipe_id(boot_id, fs::open_inode(fd::stdin())?)))
}

/// The result of a read. Lengths count the bytes of [`InputReader::text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The end of the input.
    End,
    /// No text.
    Nothing,
    /// Text to write without a batch mark.
    Piece(usize),
    /// Whole lines in the pipe, after the held text: see [`InputReader::next_batch`].
    Batches,
    /// The beginning of a line: the held text, and text in the pipe.
    LineStart(usize),
    /// The held text.
    Held(usize),
}

/// The reader of the standard input.
pub(super) struct InputReader {
    /// The held text, and after it the text that was read or peeked.
    buffer: Vec<u8>,
    /// Start of the text in `buffer`; the bytes before it are done.
    begin: usize,
    /// End of the peeked text in `buffer`.
    end: usize,
    /// Length of the held text.
    held: usize,
    /// The input is a pipe that batch marks can identify.
    may_peek: bool,
    /// The last read filled the buffer.
    read_was_full: bool,
    /// Present while the reader peeks.
    peek: Option<Peek<'static>>,
}

impl InputReader {
    /// Creates a reader; with `may_peek`, it uses batches under load.
    pub(super) fn new(may_peek: bool) -> Self {
        Self {
            buffer: vec![0; READ_SIZE],
            begin: 0,
            end: 0,
            held: 0,
            may_peek,
            read_was_full: false,
            peek: None,
        }
    }

    /// Starts to peek, if possible. On failure, for example EMFILE, the reader reads as before.
    pub(super) fn start_peeking(&mut self) {
        let _ = self.try_to_peek();
    }

    fn try_to_peek(&mut self) -> Result<()> {
        if self.may_peek && self.peek.is_none() {
            self.peek = Some(Peek::new(fd::stdin())?);
            self.buffer.resize(HELD_LIMIT + PEEK_SIZE, 0);
        }
        Ok(())
    }

    /// Whether the reader peeks, with a large buffer and two more descriptors.
    pub(super) const fn is_peeking(&self) -> bool {
        self.peek.is_some()
    }

    /// Stops peeking; returns the held text, or nothing.
    pub(super) fn stop_peeking(&mut self) -> Input {
        self.peek = None;
        match core::mem::take(&mut self.held) {
            0 => {
                self.buffer = vec![0; READ_SIZE];
                self.begin = 0;
                Input::Nothing
            }
            held => Input::Held(held),
        }
    }

    /// Reads or peeks, without waiting if the input was readable.
    ///
    /// `in_line` tells whether a line has begun, apart from the held text. With `last_line`, the
    /// reader consumes no text after the end of the present line.
    pub(super) fn next(&mut self, in_line: bool, last_line: bool) -> Input {
        if core::mem::take(&mut self.read_was_full) {
            self.start_peeking();
        }
        let Some(peek) = &self.peek else {
            return self.read(if last_line { 1 } else { READ_SIZE });
        };
        self.buffer.copy_within(self.begin..self.begin + self.held, 0);
        self.begin = 0;
        match peek.look(self.buffer.get_mut(self.held..).unwrap_or_default()) {
            Ok(seen @ 1..) if !last_line => {
                self.end = self.held + seen;
                self.classify(in_line)
            }
            // No text, or the end: the next read tells which.
            Ok(_) | Err(_) => self.stop_peeking(),
        }
    }

    fn read(&mut self, limit: usize) -> Input {
        if self.buffer.len() > READ_SIZE {
            self.buffer = vec![0; READ_SIZE];
        }
        self.begin = 0;
        match fd::read(fd::stdin(), self.buffer.get_mut(..limit).unwrap_or_default()) {
            Ok(n @ 1..) => {
                self.read_was_full = n == READ_SIZE;
                Input::Piece(n)
            }
            Err(Errno::AGAIN) => Input::Nothing,
            Ok(0) | Err(_) => Input::End,
        }
    }

    /// The number of peeked bytes that are not done.
    pub(super) const fn peeked(&self) -> usize {
        self.end.saturating_sub(self.begin)
    }

    /// The length of the next batch in the peeked text: the whole lines within `limit` bytes, or
    /// one longer line. `None` if there is no whole line.
    pub(super) fn next_batch(&self, limit: usize) -> Option<usize> {
        let peeked = self.text(0, self.peeked());
        let (first, rest) = peeked.split_at_checked(limit).unwrap_or((peeked, &[]));
        match lines::complete(first).len() {
            0 => {
                let (line, _) = lines::split_first(rest);
                line.ends_with(b"\n").then_some(first.len() + line.len())
            }
            whole => Some(whole),
        }
    }

    /// Decides how to write the peeked text.
    fn classify(&self, in_line: bool) -> Input {
        let length = self.end;
        let text = self.text(0, length);
        if in_line {
            return Input::Piece(lines::split_first(text).0.len());
        }
        match self.next_batch(READ_SIZE) {
            Some(_) => Input::Batches,
            None if length < HELD_LIMIT => Input::LineStart(length),
            None => Input::Piece(length),
        }
    }

    /// A part of the text that is not done: the held text and the text after it.
    pub(super) fn text(&self, from: usize, end: usize) -> &[u8] {
        self.buffer.get(self.begin + from..self.begin + end).unwrap_or_default()
    }

    /// The held text.
    pub(super) fn held(&self) -> &[u8] {
        self.text(0, self.held)
    }

    /// Removes the first `length` bytes of the text from the pipe, except the held text, which is
    /// no longer there.
    pub(super) fn consume(&mut self, length: usize) {
        if let Some(peek) = &self.peek {
            peek.consume(length.saturating_sub(self.held));
        }
        self.held = 0;
    }

    /// Marks the first `length` bytes of the text as done.
    pub(super) fn advance(&mut self, length: usize) {
        self.begin += length;
    }

    /// Removes the first `length` bytes of the text from the pipe, and holds them.
    pub(super) fn hold(&mut self, length: usize) {
        self.consume(length);
        self.held = length;
    }

    /// Whether the last read filled its buffer, so that the reader starts to peek, if possible.
    pub(super) const fn more_follows(&self) -> bool {
        self.read_was_full && self.may_peek && self.peek.is_none()
    }

    /// Holds the first `length` bytes of the text, which a read has taken out of the pipe.
    pub(super) const fn keep(&mut self, length: usize) {
        self.held = length;
    }

    /// Restores the held text of an earlier logger.
    pub(super) fn restore_held(&mut self, text: &[u8]) {
        if let Some(room) = self.buffer.get_mut(..text.len()) {
            room.copy_from_slice(text);
            self.held = text.len();
        }
    }

    /// Looks for a batch of `length` bytes at the beginning of the pipe. If `is_batch` accepts the
    /// text, returns the length of the held text and the batch.
    ///
    /// # Errors
    /// Those of [`Peek::new`] and [`Peek::look`].
    pub(super) fn find_batch(
        &mut self,
        length: u64,
        is_batch: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Option<usize>> {
        self.try_to_peek()?;
        let (Some(peek), Some(place)) = (&self.peek, self.buffer.get_mut(self.held..)) else {
            return Ok(None);
        };
        let seen = peek.look(place)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let text = place.get(..seen).and_then(|text| text.get(..length));
        Ok(text.filter(|text| is_batch(text)).map(|text| self.held + text.len()))
    }
}
