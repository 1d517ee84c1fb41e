//! The work on the file before `current`: the processor, the final name, and the removal of old
//! files.

use super::state::{BackgroundState, FinishStep, Finishing, ProcessorStep};
use crate::multilog::file_name::{Code, FileName, OldFileName};
use crate::multilog::file_operations::{FailedOperation, FileOperations, Operation};
use crate::multilog::retention::Retention;
use crate::multilog::script::DirectorySettings;
use crate::time::tai::Tai64n;

/// The next step for a full file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FullFile {
    /// It gets its final name.
    Finish,
    /// The processor converts it.
    Process,
    /// It gets the name of a file that no processor has read.
    FinishUnprocessed,
}

/// The background part of an output directory.
#[derive(Clone, Debug)]
pub(super) struct BackgroundWork {
    pub(super) state: BackgroundState,
    full_file: FullFile,
    files: u64,
    total: Option<u64>,
    /// The moment in the latest old file's name. Names never repeat and never go back.
    latest: Tai64n,
}

impl BackgroundWork {
    pub(super) const fn new(settings: &DirectorySettings<'_>) -> Self {
        Self {
            state: BackgroundState::Idle,
            full_file: match settings.processor {
                Some(_) => FullFile::Process,
                None => FullFile::Finish,
            },
            files: settings.files,
            total: settings.total,
            latest: Tai64n { seconds: 0, nanoseconds: 0 },
        }
    }

    /// Starts the work on a complete `previous`.
    pub(super) const fn start_on_previous(&mut self) {
        self.state = match self.full_file {
            FullFile::Finish => BackgroundState::finish(FileName::Previous, Code::Safe),
            FullFile::Process => BackgroundState::Processing(ProcessorStep::Start),
            FullFile::FinishUnprocessed => {
                BackgroundState::finish(FileName::Previous, Code::Unfinished)
            }
        };
    }

    /// Starts no processor any more.
    pub(super) const fn disable_processor(&mut self) {
        if matches!(self.full_file, FullFile::Process) {
            self.full_file = FullFile::FinishUnprocessed;
        }
    }

    /// Performs the pending operation, if there is one.
    pub(super) fn step<F: FileOperations>(
        &mut self,
        files: &mut F,
        now: Tai64n,
    ) -> Result<(), FailedOperation<F::Error>> {
        self.state = match self.state {
            BackgroundState::Idle => BackgroundState::Idle,
            BackgroundState::Processing(step) => processor_step(step, files)?,
            BackgroundState::Finishing(finishing) => self.finish_step(finishing, files, now)?,
        };
        Ok(())
    }

    fn finish_step<F: FileOperations>(
        &mut self,
        finishing: Finishing,
        files: &mut F,
        now: Tai64n,
    ) -> Result<BackgroundState, FailedOperation<F::Error>> {
        let Finishing { file, code, step } = finishing;
        let next = match step {
            FinishStep::CountNames => {
                match files.stat(file).map_err(Operation::Stat(file).failed())? {
                    // A KILL may have interrupted an earlier logger before it pruned.
                    None => FinishStep::Prune(None),
                    // A KILL came after the link: the file has its final name.
                    Some(info) if info.links != 1 => FinishStep::Remove(None),
                    Some(_) if self.latest == Tai64n::default() => FinishStep::FindLatest,
                    Some(_) => FinishStep::Link,
                }
            }
            FinishStep::FindLatest => {
                self.state = BackgroundState::finish(file, code);
                let latest = files.latest_old_file();
                // The clock may have been ahead of the present time for these names.
                self.latest =
                    latest.map_err(Operation::ReadDirectory.failed())?.unwrap_or_default();
                FinishStep::Link
            }
            FinishStep::Link => {
                self.state = BackgroundState::finish(file, code);
                self.latest = if now > self.latest { now } else { self.latest.next_microsecond() };
                let name = OldFileName { moment: self.latest, code };
                files.link(file, &name).map_err(Operation::Link(name).failed())?;
                FinishStep::Remove(Some(name))
            }
            FinishStep::Remove(name) => {
                files.remove(file).map_err(Operation::Remove(file).failed())?;
                FinishStep::Prune(name)
            }
            FinishStep::Prune(newest) => {
                let retention = Retention { files: self.files, total: self.total, newest };
                files.prune(&retention).map_err(Operation::ReadDirectory.failed())?;
                return Ok(BackgroundState::Idle);
            }
        };
        Ok(BackgroundState::Finishing(Finishing { step: next, ..finishing }))
    }
}

fn processor_step<F: FileOperations>(
    step: ProcessorStep,
    files: &mut F,
) -> Result<BackgroundState, FailedOperation<F::Error>> {
    let next = match step {
        ProcessorStep::FindInput => {
            const PREVIOUS: FileName = FileName::Previous;
            if files.stat(PREVIOUS).map_err(Operation::Stat(PREVIOUS).failed())?.is_none() {
                files.report_missing(PREVIOUS);
                return Ok(BackgroundState::finish(PREVIOUS, Code::Safe));
            }
            ProcessorStep::Start
        }
        ProcessorStep::Start => {
            files.start_processor().map_err(Operation::StartProcessor.failed())?;
            ProcessorStep::Running
        }
        ProcessorStep::Running => ProcessorStep::Running,
        ProcessorStep::CompleteProcessed => {
            files.make_durable(FileName::Processed, true)?;
            ProcessorStep::SyncNewState
        }
        ProcessorStep::SyncNewState => {
            files.make_durable(FileName::NewState, false)?;
            ProcessorStep::RemovePrevious
        }
        ProcessorStep::RemovePrevious => {
            let removed = files.remove(FileName::Previous);
            removed.map_err(Operation::Remove(FileName::Previous).failed())?;
            ProcessorStep::RenameNewState
        }
        ProcessorStep::RenameNewState => {
            let renamed = files.rename(FileName::NewState, FileName::State);
            // Without `newstate`, the next processor reads the same state again.
            renamed.map_err(Operation::Rename(FileName::NewState).failed())?;
            return Ok(BackgroundState::finish(FileName::Processed, Code::Safe));
        }
    };
    Ok(BackgroundState::Processing(next))
}
