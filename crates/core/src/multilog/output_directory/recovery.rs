//! The start of a logger on the files that an earlier logger has left.

use super::OutputDirectory;
use super::state::BackgroundState;
use crate::multilog::batch_mark::{BatchStage, UnfinishedBatch};
use crate::multilog::file_name::{Code, FileInfo, FileName};
use crate::multilog::file_operations::{FailedOperation, FileOperations, Operation, RecoveryError};
use crate::time::tai::Tai64n;

/// Whether the batch mark of a killed logger describes an open batch.
///
/// # Errors
/// Those of [`FileOperations::read_mark`].
pub fn has_open_mark<F: FileOperations>(files: &mut F) -> Result<bool, F::Error> {
    Ok(files.read_mark()?.is_some_and(|(mark, _)| mark.stage != BatchStage::Done))
}

impl OutputDirectory {
    /// Prepares the directory for writing, in whatever state an earlier logger has left it.
    ///
    /// # Errors
    /// After [`RecoveryError::Temporary`], the caller waits and calls this again.
    pub fn recover<F: FileOperations>(
        &mut self,
        files: &mut F,
        now: Tai64n,
    ) -> Result<(), RecoveryError<F::Error>> {
        let current =
            files.stat(FileName::Current).map_err(fatal(Operation::Stat(FileName::Current)))?;
        if self.unfinished.is_none() {
            let found = self.marker.recover(files, current);
            self.unfinished = found.map_err(RecoveryError::Temporary)?;
        }
        if let Some(current) = current.filter(|current| current.complete) {
            self.open_current(files)?;
            self.resume(files, current);
            return Ok(());
        }
        // The next processor must not continue from an interrupted one.
        let _ = files.remove(FileName::State);
        let _ = files.remove(FileName::NewState);
        let processed =
            files.stat(FileName::Processed).map_err(fatal(Operation::Stat(FileName::Processed)))?;
        if processed.is_some_and(|processed| processed.complete) {
            // `previous` contains the same lines.
            files
                .remove(FileName::Previous)
                .map_err(Operation::Remove(FileName::Previous).failed())
                .map_err(RecoveryError::Temporary)?;
            self.finish_file(files, FileName::Processed, Code::Safe, now)?;
        } else {
            // The next processor overwrites a file that cannot be removed.
            let _ = files.remove(FileName::Processed);
            self.finish_file(files, FileName::Previous, Code::Unfinished, now)?;
        }
        self.finish_file(files, FileName::Current, Code::Unfinished, now)?;
        files.truncate(FileName::State).map_err(fatal(Operation::WriteState))?;
        self.open_current(files)?;
        self.current.size = 0;
        Ok(())
    }

    /// Continues in the `current` of a killed logger, whose lock this process shares. Returns
    /// `false` if a new file was replacing `current`, or if `processed` must replace `previous`, so
    /// that [`Self::recover`] is necessary.
    ///
    /// # Errors
    /// Those of the first operation that fails.
    pub fn continue_current<F: FileOperations>(&mut self, files: &mut F) -> Result<bool, F::Error> {
        let current = files.stat(FileName::Current)?.filter(|current| !current.complete);
        let processed = files.stat(FileName::Processed)?.filter(|processed| processed.complete);
        let (Some(current), None) = (current, processed) else {
            return Ok(false);
        };
        if let Some((mark, held)) = files.read_mark()?
            && mark.is_valid(self.marker.pipe, Some(current))
        {
            if mark.replaced || mark.file_id != current.file_id {
                return Ok(false);
            }
            let written = mark.written(Some(current));
            let (batch, stage) = (mark.batch, mark.stage);
            self.unfinished = Some(UnfinishedBatch { batch, stage, written, held });
        }
        self.current.file_id = files.open_current()?;
        self.resume(files, current);
        Ok(true)
    }

    /// Takes size and period from a `current` that stays in use.
    fn resume<F: FileOperations>(&mut self, files: &mut F, current: FileInfo) {
        self.current.size = current.size;
        self.current.may_end =
            self.is_nearly_full(current.size) && files.current_ends_line().unwrap_or(false);
        self.period.resume(current.modified);
    }

    fn open_current<F: FileOperations>(
        &mut self,
        files: &mut F,
    ) -> Result<(), RecoveryError<F::Error>> {
        self.current.file_id = files.open_current().map_err(fatal(Operation::Append))?;
        files.set_mode_of_current(false).map_err(fatal(Operation::Mode(FileName::Current)))
    }

    /// Gives a file its final name. An attempt after a failure repeats all steps, which is
    /// harmless.
    fn finish_file<F: FileOperations>(
        &mut self,
        files: &mut F,
        file: FileName,
        code: Code,
        now: Tai64n,
    ) -> Result<(), RecoveryError<F::Error>> {
        self.background.state = BackgroundState::finish(file, code);
        while self.background.state.has_work() {
            self.background.step(files, now).map_err(RecoveryError::Temporary)?;
        }
        Ok(())
    }
}

/// Builds the fatal failure of an operation; for `map_err`.
fn fatal<E>(operation: Operation) -> impl Fn(E) -> RecoveryError<E> {
    move |error| RecoveryError::Fatal(FailedOperation { operation, error })
}
