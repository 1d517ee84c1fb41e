//! The batch mark of an output directory while the logger runs.

use super::current::Current;
use crate::multilog::batch::Batch;
use crate::multilog::batch_mark::{BatchMark, BatchStage, UnfinishedBatch};
use crate::multilog::file_name::FileInfo;
use crate::multilog::file_operations::{FailedOperation, FileOperations, Operation};

/// The writer of batch marks.
#[derive(Clone, Debug)]
pub(super) struct Marker {
    /// The pipe of the input, if the input is a pipe.
    pub(super) pipe: Option<u64>,
    /// The batch that is not done.
    open: Option<OpenBatch>,
}

/// A batch that is not done, and the place of its output.
#[derive(Clone, Copy, Debug)]
struct OpenBatch {
    batch: Batch,
    stage: BatchStage,
    /// Number of output bytes in earlier files.
    before: u64,
    /// Size of `current` before the first output byte.
    start: u64,
    /// Length of the held text.
    held: u64,
}

impl Marker {
    pub(super) const fn new(pipe: Option<u64>) -> Self {
        Self { pipe, open: None }
    }

    /// Marks a batch whose first `before` output bytes are written.
    pub(super) fn open<F: FileOperations>(
        &mut self,
        files: &mut F,
        current: Current,
        (batch, stage): (Batch, BatchStage),
        held: &[u8],
        before: u64,
    ) -> Result<(), F::Error> {
        let open = OpenBatch { batch, stage, before, start: current.size, held: held.len() as u64 };
        self.write(files, current, open, false, Some(held))
    }

    /// Marks the open batch as done.
    pub(super) fn close<F: FileOperations>(
        &mut self,
        files: &mut F,
        current: Current,
    ) -> Result<(), F::Error> {
        self.rewrite(files, current, false, |open| OpenBatch { stage: BatchStage::Done, ..open })
    }

    /// Forgets the open batch, whose mark the caller has removed.
    pub(super) const fn forget(&mut self) {
        self.open = None;
    }

    /// Counts the output in `current` as output in earlier files: the mark no longer depends on
    /// `current`.
    pub(super) fn detach<F: FileOperations>(
        &mut self,
        files: &mut F,
        current: Current,
    ) -> Result<(), F::Error> {
        self.rewrite(files, current, true, |open| OpenBatch {
            before: open.before + (current.size - open.start),
            start: current.size,
            ..open
        })
    }

    /// Lets the mark count the output in a new, empty `current`.
    pub(super) fn attach<F: FileOperations>(
        &mut self,
        files: &mut F,
        current: Current,
    ) -> Result<(), F::Error> {
        self.rewrite(files, current, false, |open| OpenBatch { start: 0, ..open })
    }

    /// Reads the mark of an earlier logger, and detaches it from `current`, which is about to be
    /// replaced. An unreadable mark counts as no mark, unless it will be readable again: the batch
    /// would be written twice.
    pub(super) fn recover<F: FileOperations>(
        &mut self,
        files: &mut F,
        current: Option<FileInfo>,
    ) -> Result<Option<UnfinishedBatch>, FailedOperation<F::Error>> {
        let mark = match files.read_mark() {
            Err(error) if F::is_temporary(&error) => {
                return Err(Operation::ReadMark.failed()(error));
            }
            read => read.ok().flatten(),
        };
        let Some((mark, held)) = mark.filter(|(mark, _)| mark.stage != BatchStage::Done) else {
            return Ok(None);
        };
        if !mark.is_valid(self.pipe, current) {
            // The next logger will not see the `current` that voids the mark.
            let done = BatchMark { stage: BatchStage::Done, ..mark };
            files.write_mark(&done, None).map_err(Operation::WriteMark.failed())?;
            return Ok(None);
        }
        let written = mark.written(current);
        let start = mark.start.max(current.map_or(0, |current| current.size));
        let mark = BatchMark { before: written, start, replaced: true, ..mark };
        files.write_mark(&mark, None).map_err(Operation::WriteMark.failed())?;
        let BatchMark { batch, stage, before, held: length, .. } = mark;
        self.open = Some(OpenBatch { batch, stage, before, start: 0, held: length });
        Ok(Some(UnfinishedBatch { batch, stage, written, held }))
    }

    /// Writes the mark of the open batch again, if there is one, after a change.
    fn rewrite<F: FileOperations>(
        &mut self,
        files: &mut F,
        current: Current,
        replaced: bool,
        change: impl FnOnce(OpenBatch) -> OpenBatch,
    ) -> Result<(), F::Error> {
        match self.open {
            Some(open) => self.write(files, current, change(open), replaced, None),
            None => Ok(()),
        }
    }

    fn write<F: FileOperations>(
        &mut self,
        files: &mut F,
        current: Current,
        open: OpenBatch,
        replaced: bool,
        text: Option<&[u8]>,
    ) -> Result<(), F::Error> {
        let OpenBatch { batch, stage, before, start, held } = open;
        let (pipe, file_id) = (self.pipe.unwrap_or_default(), current.file_id);
        let mark = BatchMark { pipe, batch, stage, before, file_id, replaced, start, held };
        files.write_mark(&mark, text)?;
        self.open = Some(open).filter(|open| open.stage != BatchStage::Done);
        Ok(())
    }
}
