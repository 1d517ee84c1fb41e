//! The batch mark: the record of how much of a batch an output directory contains.
//!
//! A mark names one pipe of one boot, and the `current` that the logger was writing. It is void
//! for another pipe, and after another logger has left another `current`.

use super::batch::Batch;
use super::file_name::FileInfo;
use crate::time::tai::Tai64n;
use alloc::vec::Vec;

/// The state of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStage {
    /// The batch is written and consumed.
    Done,
    /// The logger writes the held text and the batch, and consumes the batch afterwards.
    Writing,
    /// The batch is the end of the held text, and the logger is about to consume it.
    Holding,
    /// The batch is the end of the held text, and is consumed.
    Held,
}

/// The record of a batch in an output directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMark {
    /// The pipe: see [`super::batch::pipe_id`].
    pub pipe: u64,
    /// The batch.
    pub batch: Batch,
    /// The state of the batch.
    pub stage: BatchStage,
    /// Number of output bytes of the batch in the files before `file_id`.
    pub before: u64,
    /// The [`FileInfo::file_id`] of `current`, which receives the rest of the output.
    pub file_id: u64,
    /// A new file is about to replace `current`, and `before` counts all output bytes.
    pub replaced: bool,
    /// Size of `current` before the first of these bytes.
    pub start: u64,
    /// Length of the held text in bytes.
    pub held: u64,
}

/// Length of a mark in its file. The held text follows.
pub const MARK_LEN: usize = 104;

const MAGIC: [u8; 16] = *b"multilog batch 2";

impl BatchMark {
    /// Encodes the mark: the magic text, and eleven 64-bit numbers, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; MARK_LEN] {
        let Self { batch: Batch { length, digest, moment }, stage, .. } = *self;
        let mut bytes = [0; MARK_LEN];
        let (magic, words) = bytes.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        let nanoseconds = u64::from(moment.nanoseconds);
        let stage = match stage {
            BatchStage::Done => 0,
            BatchStage::Writing => 1,
            BatchStage::Holding => 2,
            BatchStage::Held => 3,
        };
        let replaced = u64::from(self.replaced);
        let rest = [stage, self.before, self.file_id, replaced, self.start, self.held, self.pipe];
        let numbers = [length, digest, moment.seconds, nanoseconds].into_iter().chain(rest);
        for (place, number) in words.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Decodes a mark and the held text after it; `None` if `bytes` have another format.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (mark, rest) = bytes.split_at_checked(MARK_LEN)?;
        let words = mark.strip_prefix(&MAGIC)?;
        let mut numbers = [0; 11];
        for (number, word) in numbers.iter_mut().zip(words.chunks_exact(8)) {
            *number = u64::from_le_bytes(word.try_into().ok()?);
        }
        let [length, digest, seconds, nanoseconds, directory @ ..] = numbers;
        let [stage, before, file_id, replaced, start, held, pipe] = directory;
        let moment = Tai64n { seconds, nanoseconds: u32::try_from(nanoseconds).ok()? };
        let batch = Batch { length, digest, moment };
        let stage = match stage {
            0 => BatchStage::Done,
            1 => BatchStage::Writing,
            2 => BatchStage::Holding,
            3 => BatchStage::Held,
            _ => return None,
        };
        let text = rest.get(..usize::try_from(held).ok()?)?;
        let replaced = replaced != 0;
        Some((Self { pipe, batch, stage, before, file_id, replaced, start, held }, text))
    }

    /// Whether the mark describes an open batch of this pipe and of a directory with this
    /// `current`.
    ///
    /// A logger that ran since then has left another `current`, or a complete one.
    #[must_use]
    pub fn is_valid(&self, pipe: Option<u64>, current: Option<FileInfo>) -> bool {
        let is_new_file = |size: u64| self.replaced && size == 0;
        self.stage != BatchStage::Done
            && pipe == Some(self.pipe)
            && current.map_or(self.replaced, |current| {
                !current.complete && (current.file_id == self.file_id || is_new_file(current.size))
            })
    }

    /// The number of output bytes of the batch in a directory with this `current`.
    #[must_use]
    pub fn written(&self, current: Option<FileInfo>) -> u64 {
        let marked = current.filter(|current| current.file_id == self.file_id);
        let in_current = marked.map_or(0, |current| current.size.saturating_sub(self.start));
        self.before.saturating_add(in_current)
    }
}

/// The batch that a killed logger did not finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedBatch {
    /// The batch.
    pub batch: Batch,
    /// The state of the batch.
    pub stage: BatchStage,
    /// Number of output bytes of the batch in this directory.
    pub written: u64,
    /// The held text.
    pub held: Vec<u8>,
}

impl UnfinishedBatch {
    /// The text before the batch, if the batch is still in the pipe.
    #[must_use]
    pub fn held_before(&self) -> &[u8] {
        let length = usize::try_from(self.batch.length).unwrap_or(usize::MAX);
        let before = match self.stage {
            BatchStage::Holding => self.held.len().saturating_sub(length),
            BatchStage::Held | BatchStage::Writing | BatchStage::Done => self.held.len(),
        };
        self.held.get(..before).unwrap_or_default()
    }

    /// The text before the content of the pipe, if the batch is no longer there.
    #[must_use]
    pub fn held_after(&self) -> &[u8] {
        match self.stage {
            BatchStage::Holding | BatchStage::Held => &self.held,
            BatchStage::Writing | BatchStage::Done => &[],
        }
    }
}

#[cfg(test)]
#[path = "batch_mark_tests.rs"]
mod tests;
