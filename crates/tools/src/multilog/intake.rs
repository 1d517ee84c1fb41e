//! Where the lines come from.
//!
//! What was read and is not yet written is lost if we are killed. So little is read at once,
//! until more comes than that: then, if the input is a pipe, nothing is taken out of it before it
//! is written. See `daemontools_core::multilog::batch` for the other half of it, which the original
//! does not know: it would write a batch once more. So a batch is small, or has an heir: see `heir`.

use alloc::vec;
use alloc::vec::Vec;
use daemontools_core::lines;
use daemontools_core::multilog::batch::{self, LONGEST_HELD};
use daemontools_sys::peek::Peek;
use daemontools_sys::{Errno, fd, fs};

/// How much is read at once, and so about as much as can be lost by a KILL.
const PIECE: usize = 2048;

/// How much is looked at in the pipe at once.
pub(super) const SIGHT: usize = 256 * 1024;

/// How much of that is written before it is taken out, if it is more than a line and there is
/// nobody who would take it out in our place.
pub(super) const BATCH: usize = 8 * 1024;

/// The input, if it is a pipe that can be told from others: what is marked is marked of that one.
pub(super) fn source() -> Option<u64> {
    let mut boot = [0; 64];
    let boot = fs::read_start(fs::HERE, c"/proc/sys/kernel/random/boot_id", &mut boot).ok()?;
    let pipe = fs::open_inode(fd::stdin()).ok().filter(|_| fs::is_fifo(fd::stdin()))?;
    Some(batch::source(boot, pipe))
}

/// What has come. The lengths are those of the text that is there to be dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The end.
    End,
    /// Not yet anything.
    Nothing,
    /// Text that nobody else has.
    Piece(usize),
    /// Whole lines, which are still in the pipe but for what is held: see [`Intake::next_batch`].
    Batches,
    /// The beginning of a line, of which the same is true.
    Beginning(usize),
    /// The beginning of a line that was held.
    Held(usize),
}

/// The standard input.
pub(super) struct Intake {
    /// What is held, and behind it what was read or seen.
    buffer: Vec<u8>,
    /// Where in it that begins: before it, everything has been dealt with.
    begin: usize,
    /// Where it ends, as far as it was seen in the pipe.
    end: usize,
    /// How much is held.
    held: usize,
    /// It is such a pipe, and batches are wanted.
    may_peek: bool,
    /// The last read took as much as it could.
    much: bool,
    /// While much comes.
    peek: Option<Peek<'static>>,
}

impl Intake {
    /// The input; with `batches`, it may come in such.
    pub(super) fn new(batches: bool) -> Self {
        Self {
            buffer: vec![0; PIECE],
            begin: 0,
            end: 0,
            held: 0,
            may_peek: batches,
            much: false,
            peek: None,
        }
    }

    /// Begins to look before it takes. Without it, for want of descriptors perhaps, it reads on.
    pub(super) fn begin_to_peek(&mut self) {
        if self.may_peek && self.peek.is_none() {
            self.peek = Peek::new(fd::stdin()).ok();
            if self.peek.is_some() {
                self.buffer.resize(LONGEST_HELD + SIGHT, 0);
            }
        }
    }

    /// Whether memory and descriptors are in use that little input does not need.
    pub(super) const fn is_peeking(&self) -> bool {
        self.peek.is_some()
    }

    /// Gives them back, and what was held.
    pub(super) fn end_to_peek(&mut self) -> Input {
        self.peek = None;
        match core::mem::take(&mut self.held) {
            0 => {
                self.buffer = vec![0; PIECE];
                self.begin = 0;
                Input::Nothing
            }
            held => Input::Held(held),
        }
    }

    /// Reads or looks, which does not wait if the input was readable. `in_line` is whether a line
    /// has begun that is not held; with `last`, nothing behind the end of the line at hand is to be
    /// taken.
    pub(super) fn next(&mut self, in_line: bool, last: bool) -> Input {
        if core::mem::take(&mut self.much) {
            self.begin_to_peek();
        }
        let Some(peek) = &self.peek else {
            return self.read(if last { 1 } else { PIECE });
        };
        self.buffer.copy_within(self.begin..self.begin + self.held, 0);
        self.begin = 0;
        match peek.look(self.buffer.get_mut(self.held..).unwrap_or_default()) {
            Ok(seen @ 1..) if !last => {
                self.end = self.held + seen;
                self.sort(in_line)
            }
            // Nothing, or the end: reading tells, as soon as nothing is held.
            Ok(_) | Err(_) => self.end_to_peek(),
        }
    }

    fn read(&mut self, most: usize) -> Input {
        if self.buffer.len() > PIECE {
            self.buffer = vec![0; PIECE];
        }
        self.begin = 0;
        match fd::read(fd::stdin(), self.buffer.get_mut(..most).unwrap_or_default()) {
            Ok(n @ 1..) => {
                self.much = n == PIECE;
                Input::Piece(n)
            }
            Err(Errno::AGAIN) => Input::Nothing,
            Ok(0) | Err(_) => Input::End,
        }
    }

    /// How much was seen and not yet dealt with.
    pub(super) const fn seen(&self) -> usize {
        self.end.saturating_sub(self.begin)
    }

    /// The next batch of what was seen, if there are more whole lines: as many of them as there are
    /// in so many bytes, but one at least.
    pub(super) fn next_batch(&self, most: usize) -> Option<usize> {
        let seen = self.text(0, self.seen());
        let (first, rest) = seen.split_at_checked(most).unwrap_or((seen, &[]));
        match lines::whole(first).len() {
            0 => {
                // A line that is longer.
                let (line, _) = lines::cut(rest);
                line.ends_with(b"\n").then_some(first.len() + line.len())
            }
            whole => Some(whole),
        }
    }

    /// What is to be done with what was seen.
    fn sort(&self, in_line: bool) -> Input {
        let length = self.end;
        let text = self.text(0, length);
        if in_line {
            // The end of a line whose beginning has been dealt with.
            return Input::Piece(lines::cut(text).0.len());
        }
        match self.next_batch(BATCH) {
            Some(_) => Input::Batches,
            None if length < LONGEST_HELD => Input::Beginning(length),
            None => Input::Piece(length),
        }
    }

    /// What was read, seen or is held, from one place to another.
    pub(super) fn text(&self, from: usize, end: usize) -> &[u8] {
        self.buffer.get(self.begin + from..self.begin + end).unwrap_or_default()
    }

    /// What is held.
    pub(super) fn held(&self) -> &[u8] {
        self.text(0, self.held)
    }

    /// Takes out of the pipe what is still there of so much text.
    pub(super) fn consume(&mut self, length: usize) {
        if let Some(peek) = &self.peek {
            peek.consume(length.saturating_sub(self.held));
        }
        self.held = 0;
    }

    /// Lets what follows so much text be the next.
    pub(super) fn pass(&mut self, length: usize) {
        self.begin += length;
    }

    /// The same, but it is held.
    pub(super) fn hold(&mut self, length: usize) {
        self.consume(length);
        self.held = length;
    }

    /// Holds what an earlier logger held.
    pub(super) fn hold_again(&mut self, text: &[u8]) {
        if let Some(room) = self.buffer.get_mut(..text.len()) {
            room.copy_from_slice(text);
            self.held = text.len();
        }
    }

    /// Whether the pipe begins with so much text of which `is_the_same` holds; if so, that and what
    /// is held can be dealt with, of the length given.
    pub(super) fn sees(
        &mut self,
        length: u64,
        is_the_same: impl FnOnce(&[u8]) -> bool,
    ) -> Option<usize> {
        self.begin_to_peek();
        let peek = self.peek.as_ref()?;
        let place = self.buffer.get_mut(self.held..)?;
        let seen = peek.look(place).ok()?;
        let text = place.get(..seen)?.get(..usize::try_from(length).ok()?)?;
        is_the_same(text).then_some(self.held + text.len())
    }
}
