//! An output directory: the state machine that writes lines, rotates files and recovers after a
//! KILL.
//!
//! The machine performs all its work through [`FileOperations`], one operation a step. A failed
//! operation leaves the state so that the next call of [`OutputDirectory::work`] tries it again.
//! Therefore a full disk is a pause.
//! `docs/state-table-multilog.md` shows all states.

mod background_work;
mod buffer;
mod current;
mod marker;
mod period;
pub mod recovery;
mod rotation;
pub mod state;

use super::batch::Batch;
use super::batch_mark::{BatchStage, UnfinishedBatch};
use super::file_operations::{FailedOperation, FileOperations, Operation};
use super::script::DirectorySettings;
use crate::time::tai::Tai64n;
use background_work::BackgroundWork;
use buffer::Buffer;
use current::Current;
use marker::Marker;
use period::Period;
use state::{BackgroundState, ForegroundState, OutputState, ProcessorStep, RotationStep};

/// The result of [`OutputDirectory::work`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteProgress {
    /// All text is written.
    Done,
    /// The rotation waits for the end of the processor.
    WaitingForProcessor,
}

/// An output directory.
#[derive(Clone, Debug)]
pub struct OutputDirectory {
    /// The maximum size of a file in bytes.
    max_size: u64,
    period: Period,
    buffer: Buffer,
    current: Current,
    marker: Marker,
    /// The batch that an earlier logger did not finish.
    unfinished: Option<UnfinishedBatch>,
    foreground: ForegroundState,
    background: BackgroundWork,
    /// The standby process of a killed logger does the work.
    is_standby: bool,
}

/// A file may end with a line this many bytes before its maximum size.
const SLACK: u64 = 2000;

impl OutputDirectory {
    /// Creates a directory that [`Self::recover`] prepares for writing.
    ///
    /// `pipe` is the [`super::batch::pipe_id`] of the input, if the input is a pipe.
    #[must_use]
    pub const fn new(settings: &DirectorySettings<'_>, pipe: Option<u64>) -> Self {
        Self {
            max_size: settings.size,
            period: Period::new(settings.period),
            buffer: Buffer::new(),
            current: Current { size: 0, file_id: 0, may_end: false },
            marker: Marker::new(pipe),
            unfinished: None,
            foreground: ForegroundState::Writing,
            background: BackgroundWork::new(settings),
            is_standby: false,
        }
    }

    /// Lets the standby process of a killed logger do the work. Files that the processor would read
    /// become `.u` files, so the work never waits for a processor. A full `current` stays, unless
    /// more text needs the room.
    #[must_use]
    pub const fn for_standby(mut self) -> Self {
        self.background.disable_processor();
        self.is_standby = true;
        self
    }

    /// The present state.
    #[must_use]
    pub const fn state(&self) -> OutputState {
        OutputState { foreground: self.foreground, background: self.background.state }
    }

    /// The batch that an earlier logger did not finish.
    #[must_use]
    pub const fn unfinished(&self) -> Option<&UnfinishedBatch> {
        self.unfinished.as_ref()
    }

    /// Marks that the logger moves a batch from the pipe to the end of the held text, or has
    /// moved it. `held` is the held text with the batch. The mark is valid until
    /// [`Self::end_batch`] or the next mark.
    ///
    /// # Errors
    /// Those of [`FileOperations::write_mark`].
    pub fn hold_batch<F: FileOperations>(
        &mut self,
        files: &mut F,
        batch: Batch,
        held: &[u8],
        stage: BatchStage,
    ) -> Result<(), F::Error> {
        self.marker.open(files, self.current, (batch, stage), held, 0)
    }

    /// Begins a batch: the text added until [`Self::end_batch`] is the output of the held text
    /// and the batch. The directory already contains the first `written` bytes of that output.
    ///
    /// # Errors
    /// Those of [`FileOperations::write_mark`]; then no batch has begun.
    pub fn begin_batch<F: FileOperations>(
        &mut self,
        files: &mut F,
        batch: Batch,
        held: &[u8],
        written: u64,
    ) -> Result<(), F::Error> {
        self.marker.open(files, self.current, (batch, BatchStage::Writing), held, written)?;
        self.buffer.skip(written);
        Ok(())
    }

    /// Ends the open batch: the batch is written and consumed, or the held text is about to be
    /// written without a mark.
    ///
    /// # Errors
    /// Those of [`FileOperations::write_mark`]; the next mark ends the batch at the latest.
    pub fn end_batch<F: FileOperations>(&mut self, files: &mut F) -> Result<(), F::Error> {
        self.buffer.skip(0);
        self.marker.close(files, self.current)
    }

    /// Forgets the open batch, whose mark the caller has removed because [`Self::end_batch`] failed.
    pub const fn forget_batch(&mut self) {
        self.marker.forget();
    }

    /// Adds text, which [`Self::work`] writes.
    pub fn add(&mut self, text: &[u8]) {
        self.buffer.add(text);
    }

    /// The number of bytes that are added and not written.
    #[must_use]
    pub const fn unwritten(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the buffer has memory that [`Self::shrink`] frees.
    #[must_use]
    pub const fn has_large_buffer(&self) -> bool {
        self.buffer.is_large()
    }

    /// Frees the memory of a large buffer that is empty.
    pub fn shrink(&mut self) {
        self.buffer.shrink();
    }

    /// The number of seconds until the period of `current` is over; `None` if there is no period
    /// or `current` is empty.
    #[must_use]
    pub fn seconds_left(&self, now: impl FnOnce() -> Tai64n) -> Option<u64> {
        self.period.seconds_left(self.current, now)
    }

    /// Whether the processor runs.
    #[must_use]
    pub const fn is_processor_running(&self) -> bool {
        self.background.state.is_processor_running()
    }

    /// Reports the end of the processor. After a failure, [`Self::work`] starts it again.
    pub const fn processor_ended(&mut self, succeeded: bool) {
        if self.is_processor_running() {
            let next =
                if succeeded { ProcessorStep::CompleteProcessed } else { ProcessorStep::FindInput };
            self.background.state = BackgroundState::Processing(next);
        }
    }

    /// Whether [`Self::work`] has no operation to perform, at any time.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.buffer.len() == 0
            && !self.period.is_set()
            && self.foreground == ForegroundState::Writing
            && self.background.state == BackgroundState::Idle
    }

    /// Writes the added text, then replaces `current` unless it is empty.
    ///
    /// # Errors
    /// Those of [`Self::work`].
    pub fn rotate<F: FileOperations>(
        &mut self,
        files: &mut F,
        now: Tai64n,
    ) -> Result<WriteProgress, FailedOperation<F::Error>> {
        let progress = self.work(files, now)?;
        if progress == WriteProgress::Done && self.current.size > 0 {
            self.begin_rotation();
            return self.work(files, now);
        }
        Ok(progress)
    }

    /// Writes the added text and rotates where necessary.
    ///
    /// # Errors
    /// The operation that failed; the next call tries it again.
    pub fn work<F: FileOperations>(
        &mut self,
        files: &mut F,
        now: Tai64n,
    ) -> Result<WriteProgress, FailedOperation<F::Error>> {
        loop {
            if let Some(progress) = self.step(files, now)? {
                return Ok(progress);
            }
        }
    }

    /// Performs at most one operation; returns `None` if [`Self::work`] continues.
    ///
    /// # Errors
    /// The operation that failed; the next call tries it again.
    pub fn step<F: FileOperations>(
        &mut self,
        files: &mut F,
        now: Tai64n,
    ) -> Result<Option<WriteProgress>, FailedOperation<F::Error>> {
        if self.background.state.has_work() {
            self.background.step(files, now)?;
            return Ok(None);
        }
        match self.foreground {
            ForegroundState::Writing => self.write_step(files, now),
            // The background needs the name `previous`.
            ForegroundState::Rotating(_) if self.is_processor_running() => {
                Ok(Some(WriteProgress::WaitingForProcessor))
            }
            ForegroundState::Rotating(step) => {
                let (current, marker) = (&mut self.current, &mut self.marker);
                let next = rotation::step(step, files, current, marker, &mut self.background)?;
                self.foreground = next.map_or(ForegroundState::Writing, ForegroundState::Rotating);
                Ok(None)
            }
        }
    }

    fn write_step<F: FileOperations>(
        &mut self,
        files: &mut F,
        now: Tai64n,
    ) -> Result<Option<WriteProgress>, FailedOperation<F::Error>> {
        let is_over = self.period.is_over(self.current, now);
        let rest = self.buffer.rest();
        if rest.is_empty() {
            self.buffer.clear();
            if is_over && !self.is_standby {
                self.begin_rotation();
                return Ok(None);
            }
            return Ok(Some(WriteProgress::Done));
        }
        if self.current.size >= self.max_size || is_over {
            self.begin_rotation();
            return Ok(None);
        }
        let room = usize::try_from(self.max_size - self.current.size).unwrap_or(usize::MAX);
        let mut chunk = rest.get(..room.min(rest.len())).unwrap_or_default();
        let end = self.current.size + chunk.len() as u64;
        if self.is_nearly_full(end) {
            match memchr::memrchr(b'\n', chunk) {
                Some(newline) => chunk = chunk.get(..=newline).unwrap_or_default(),
                None if self.current.may_end => {
                    self.begin_rotation();
                    return Ok(None);
                }
                None => {}
            }
        }
        let written = files.write(chunk).map_err(Operation::Write.failed())?.min(chunk.len());
        let ends_line = chunk.get(..written).is_some_and(|text| text.ends_with(b"\n"));
        self.current.size += written as u64;
        self.current.may_end = false;
        self.buffer.advance(written);
        self.period.written(now);
        if ends_line && self.is_nearly_full(self.current.size) {
            match self.is_standby {
                true => self.current.may_end = true,
                false => self.begin_rotation(),
            }
        }
        Ok(None)
    }

    /// Whether a file of this size ends at the next end of a line.
    const fn is_nearly_full(&self, size: u64) -> bool {
        size >= self.max_size.saturating_sub(SLACK)
    }

    const fn begin_rotation(&mut self) {
        self.foreground = ForegroundState::Rotating(RotationStep::SyncCurrent);
    }
}
