//! Batches of input that survive a KILL.
//!
//! Under load, input is not taken out of the pipe before it is written: a copy is looked at,
//! written, and only then is the input consumed. A logger that is killed in between leaves the
//! whole batch to the next one, which must not write again what was written. So every log
//! directory has a [`Mark`] for the batch that is being written: by it the next logger recognises
//! the batch in its pipe and knows how many bytes of what comes of it are in the directory.
//!
//! A mark tells of one pipe, in one boot, and of the log as it stood; where another pipe is read, or
//! another logger was there in between, it says nothing.
//!
//! A batch is whole lines. When the pipe holds only the beginning of a line, that has to be taken
//! out, as one cannot wait for more in a pipe that is not empty. It is held in memory, and in the
//! file behind the mark, until its end comes.

use super::directory::Stat;
use crate::tai::Tai64n;
use alloc::vec::Vec;

/// What is in the pipe, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How many bytes.
    pub length: u64,
    /// What tells them from others: see [`digest`].
    pub digest: u64,
    /// When they were looked at; the moment in their stamps.
    pub moment: Tai64n,
}

/// What is being done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing more: it was written and consumed.
    Done,
    /// It is being written, behind what was held, and then consumed.
    Writing,
    /// It is the end of what is to be held, and is being consumed.
    Holding,
    /// It was consumed, and is the end of what is held.
    Held,
}

/// How much of a batch is written in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The pipe: see [`source`].
    pub source: u64,
    /// The batch.
    pub batch: Batch,
    /// What is being done with it.
    pub stage: Stage,
    /// How many bytes of what came of it were written before they went to `inode`.
    pub before: u64,
    /// The file that was `current` then.
    pub inode: u64,
    /// It is being replaced, and all that was written is counted in `before`.
    pub replaced: bool,
    /// That file's size then.
    pub start: u64,
    /// How many bytes are held.
    pub held: u64,
}

/// The length of a mark in its file, in front of what is held.
pub const MARK_LEN: usize = 104;

/// Beginnings of lines are held if they are shorter. The script has then not seen enough of them,
/// a stamp included, and nothing is written of them.
pub const LONGEST_HELD: usize = super::router::HEAD - 40;

const MAGIC: [u8; 16] = *b"multilog batch 2";

impl Mark {
    /// As it is in its file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; MARK_LEN] {
        let Self { batch: Batch { length, digest, moment }, stage, .. } = *self;
        let mut bytes = [0; MARK_LEN];
        let (magic, words) = bytes.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        let nanoseconds = u64::from(moment.nanoseconds);
        let stage = match stage {
            Stage::Done => 0,
            Stage::Writing => 1,
            Stage::Holding => 2,
            Stage::Held => 3,
        };
        let replaced = u64::from(self.replaced);
        let rest = [stage, self.before, self.inode, replaced, self.start, self.held, self.source];
        let numbers = [length, digest, moment.seconds, nanoseconds].into_iter().chain(rest);
        for (place, number) in words.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// The mark in a file, and what is held; `None` if it has another form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (mark, rest) = bytes.split_at_checked(MARK_LEN)?;
        let words = mark.strip_prefix(&MAGIC)?;
        let mut numbers = [0; 11];
        for (number, word) in numbers.iter_mut().zip(words.chunks_exact(8)) {
            *number = u64::from_le_bytes(word.try_into().ok()?);
        }
        let [length, digest, seconds, nanoseconds, log @ ..] = numbers;
        let [stage, before, inode, replaced, start, held, source] = log;
        let moment = Tai64n { seconds, nanoseconds: u32::try_from(nanoseconds).ok()? };
        let batch = Batch { length, digest, moment };
        let stage = match stage {
            0 => Stage::Done,
            1 => Stage::Writing,
            2 => Stage::Holding,
            3 => Stage::Held,
            _ => return None,
        };
        let text = rest.get(..usize::try_from(held).ok()?)?;
        let replaced = replaced != 0;
        Some((Self { source, batch, stage, before, inode, replaced, start, held }, text))
    }

    /// Whether what it says is true of this pipe and a log with this `current`. A logger that was
    /// there in between has left another `current`, or a complete one.
    #[must_use]
    pub fn holds(&self, source: Option<u64>, current: Option<Stat>) -> bool {
        let begun_anew = |size: u64| self.replaced && size == 0;
        self.stage != Stage::Done
            && source == Some(self.source)
            && current.map_or(self.replaced, |current| {
                !current.complete && (current.inode == self.inode || begun_anew(current.size))
            })
    }

    /// How many bytes of what comes of the batch are written, if this is `current`.
    #[must_use]
    pub fn written(&self, current: Option<Stat>) -> u64 {
        let here = current.filter(|current| current.inode == self.inode);
        let behind = here.map_or(0, |current| current.size.saturating_sub(self.start));
        self.before.saturating_add(behind)
    }
}

/// What an earlier logger was doing when it was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// With which batch.
    pub batch: Batch,
    /// What.
    pub stage: Stage,
    /// How many bytes of what comes of it are written in this directory.
    pub written: u64,
    /// What was held.
    pub held: Vec<u8>,
}

impl Left {
    /// What stands in front of the batch, if the batch is still in the pipe.
    #[must_use]
    pub fn held_before(&self) -> &[u8] {
        let length = usize::try_from(self.batch.length).unwrap_or(usize::MAX);
        let before = match self.stage {
            Stage::Holding => self.held.len().saturating_sub(length),
            Stage::Held | Stage::Writing | Stage::Done => self.held.len(),
        };
        self.held.get(..before).unwrap_or_default()
    }

    /// What stands in front of what is in the pipe, if that does not begin with the batch.
    #[must_use]
    pub fn held_after(&self) -> &[u8] {
        match self.stage {
            Stage::Holding | Stage::Held => &self.held,
            Stage::Writing | Stage::Done => &[],
        }
    }
}

/// A pipe, by what tells the boot from others and the pipe from others in that boot.
#[must_use]
pub fn source(boot: &[u8], pipe: u64) -> u64 {
    digest(pipe, boot)
}

/// How much of either end of a text its digest is made of.
const END: usize = 512;

/// A number that tells a text from others; `seed` is another for what else has to be the same.
/// Of a long text both ends are enough: lines that repeat themselves to the byte for that long are
/// not told apart by more.
#[must_use]
pub fn digest(seed: u64, text: &[u8]) -> u64 {
    let first = text.get(..END).unwrap_or(text);
    let last = text.get(text.len().saturating_sub(END)..).unwrap_or_default();
    let mut digest = seed ^ text.len() as u64;
    for end in [first, last] {
        let mut words = end.chunks_exact(8);
        for word in words.by_ref() {
            digest = mix(digest ^ u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        for &byte in words.remainder() {
            digest = mix(digest ^ u64::from(byte));
        }
    }
    digest
}

/// One round of a hash: every bit of the argument has its part in the upper half of the result.
const fn mix(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        source: 42,
        batch: Batch {
            length: 65432,
            digest: u64::MAX - 7,
            moment: Tai64n { seconds: 1 << 62, nanoseconds: 999_999_500 },
        },
        stage: Stage::Writing,
        before: 100,
        inode: 77,
        replaced: true,
        start: 5000,
        held: 3,
    };

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let bytes = [&MARK.to_bytes()[..], b"abc"].concat();
        assert_eq!(Mark::from_bytes(&bytes), Some((MARK, &b"abc"[..])));
        // Left there by a longer one.
        let longer = [&bytes[..], b"xyz"].concat();
        assert_eq!(Mark::from_bytes(&longer), Some((MARK, &b"abc"[..])));
        for short in 0..bytes.len() {
            assert_eq!(Mark::from_bytes(&bytes[..short]), None);
        }
        assert_eq!(Mark::from_bytes(&[0; MARK_LEN]), None);
    }

    #[test]
    fn what_is_written_is_told_from_the_file() {
        let stat = |inode, size| Some(Stat { complete: false, links: 1, size, inode, modified: 0 });
        assert_eq!(MARK.written(stat(77, 5000)), 100);
        assert_eq!(MARK.written(stat(77, 5300)), 400);
        assert_eq!(MARK.written(stat(78, 5300)), 100);
        assert_eq!(MARK.written(stat(77, 4000)), 100);
        assert_eq!(MARK.written(None), 100);
        // The file is not ours alone: any number may be in it.
        let most = Mark { before: u64::MAX, ..MARK };
        assert_eq!(most.written(stat(77, 5300)), u64::MAX);
    }

    #[test]
    fn a_mark_is_of_one_pipe_and_one_log() {
        let stat = |inode, size, complete| Stat { complete, links: 1, size, inode, modified: 0 };
        let mark = Mark { replaced: false, ..MARK };
        let full = Some(stat(77, 6000, false));
        assert!(mark.holds(Some(42), full));
        assert!(!mark.holds(Some(43), full) && !mark.holds(None, full));
        assert!(!mark.holds(Some(42), None) && !mark.holds(Some(42), Some(stat(78, 0, false))));
        assert!(!mark.holds(Some(42), Some(stat(77, 6000, true))));
        assert!(!Mark { stage: Stage::Done, ..mark }.holds(Some(42), full));
        // Between the old file and the new one.
        assert!(MARK.holds(Some(42), full) && MARK.holds(Some(42), None));
        assert!(MARK.holds(Some(42), Some(stat(78, 0, false))));
        assert!(!MARK.holds(Some(42), Some(stat(78, 1, false))));
        assert_ne!(source(b"boot", 1), source(b"boot", 2));
        assert_ne!(source(b"boot", 1), source(b"toob", 1));
    }

    #[test]
    fn what_is_in_the_pipe_again_was_not_held() {
        let batch = Batch { length: 2, ..MARK.batch };
        let mut left = Left { batch, stage: Stage::Holding, written: 0, held: b"abc".to_vec() };
        assert_eq!((left.held_before(), left.held_after()), (&b"a"[..], &b"abc"[..]));
        left.stage = Stage::Held;
        assert_eq!(left.held_after(), b"abc");
        left.stage = Stage::Writing;
        assert_eq!((left.held_before(), left.held_after()), (&b"abc"[..], &b""[..]));
    }

    #[test]
    fn other_texts_have_other_digests() {
        let text: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        let same = digest(1, &text);
        assert_eq!(digest(1, &text), same);
        assert_ne!(digest(2, &text), same);
        assert_ne!(digest(1, &text[1..]), same);
        assert_ne!(digest(1, &text[..9999]), same);
        for at in [0, 7, 511, 9488, 9999] {
            let mut other = text.clone();
            other[at] ^= 1;
            assert_ne!(digest(1, &other), same, "{at}");
        }
        assert_ne!(digest(0, b"a\n"), digest(0, b"b\n"));
    }
}
