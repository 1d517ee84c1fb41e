//! The writer of an output directory: performs its work, reports failures once, and pauses before
//! it starts a failed processor again.

use super::directory_files::DirectoryFiles;
use super::wall_clock::WallClock;
use crate::common::clock::instant;
use crate::common::diag::{self, TEMPORARY};
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::multilog::batch::Batch;
use daemontools_core::multilog::batch_mark::{BatchStage, UnfinishedBatch};
use daemontools_core::multilog::file_operations::{FailedOperation, Operation, RecoveryError};
use daemontools_core::multilog::output_directory::recovery::has_open_mark;
use daemontools_core::multilog::output_directory::{OutputDirectory, WriteProgress};
use daemontools_core::multilog::script::DirectorySettings;
use daemontools_core::time::Instant;
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::Errno;
use daemontools_sys::process::ExitStatus;

/// Pause before a failed operation is tried again.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// Longest pause between two runs of a failing processor.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The result of a call that works on the directory: a [`WriteProgress`], or a reported failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    /// All text is written.
    Done,
    /// The rotation waits for the end of the processor.
    WaitingForProcessor,
    /// An operation failed and is reported; try again after [`PAUSE`].
    Failed,
}

/// The writer of one output directory.
pub(super) struct DirectoryWriter<'a> {
    name: &'a [u8],
    directory: OutputDirectory,
    files: DirectoryFiles<'a>,
    clock: WallClock,
    /// The failure that was reported last; it is not reported again.
    reported: Option<FailedOperation<Errno>>,
    /// Suppresses all reports.
    silent: bool,
    /// The time when a failed processor runs again.
    retry: Option<Instant>,
    /// The pause after the next failure of the processor.
    pause: Duration,
}

impl<'a> DirectoryWriter<'a> {
    /// Opens, locks and recovers a directory. While the recovery fails temporarily, calls `wait`,
    /// which returns the exit code if the logger must end.
    ///
    /// # Errors
    /// The exit code; after a message, unless it comes from `wait`.
    pub(super) fn open(
        settings: &DirectorySettings<'a>,
        pipe: Option<u64>,
        mut wait: impl FnMut() -> Result<(), i32>,
    ) -> Result<Self, i32> {
        let mut writer = Self {
            name: settings.name,
            directory: OutputDirectory::new(settings, pipe),
            files: DirectoryFiles::open(settings)?,
            clock: WallClock::new(),
            reported: None,
            silent: false,
            retry: None,
            pause: PAUSE,
        };
        loop {
            match writer.directory.recover(&mut writer.files, writer.clock.label()) {
                Ok(()) => return Ok(writer),
                Err(RecoveryError::Fatal(failure)) => return Err(writer.files.fatal(failure)),
                Err(RecoveryError::Temporary(failure)) => {
                    writer.report(failure);
                    wait()?;
                }
            }
        }
    }

    /// Whether a killed logger has left an open batch mark.
    pub(super) fn has_open_mark(&mut self) -> bool {
        has_open_mark(&mut self.files).unwrap_or(false)
    }

    /// Continues as the standby process of a killed logger, under the same lock.
    ///
    /// # Errors
    /// The operation that failed, without a report.
    pub(super) fn continue_for_killed_logger(
        &mut self,
        settings: &DirectorySettings<'a>,
        pipe: Option<u64>,
    ) -> Result<(), Errno> {
        self.silent = true;
        // The next logger waits for this process, and a processor can take any time.
        self.directory = OutputDirectory::new(settings, pipe).for_standby();
        self.files.reset();
        if self.directory.continue_current(&mut self.files)? {
            return Ok(());
        }
        let recovered = self.directory.recover(&mut self.files, self.clock.label());
        recovered.map_err(|error| error.failure().error)
    }

    /// See [`OutputDirectory::add`].
    pub(super) fn add(&mut self, text: &[u8]) {
        self.directory.add(text);
    }

    /// Writes the added text.
    pub(super) fn work(&mut self) -> WriteOutcome {
        if self.directory.is_settled() {
            return WriteOutcome::Done;
        }
        let progress = self.directory.work(&mut self.files, self.clock.label());
        self.outcome(progress)
    }

    /// Writes the added text, then replaces `current` unless it is empty.
    pub(super) fn rotate(&mut self) -> WriteOutcome {
        let progress = self.directory.rotate(&mut self.files, self.clock.label());
        self.outcome(progress)
    }

    fn outcome(&mut self, progress: Result<WriteProgress, FailedOperation<Errno>>) -> WriteOutcome {
        match progress {
            Ok(progress) => {
                self.reported = None;
                match progress {
                    WriteProgress::Done => WriteOutcome::Done,
                    WriteProgress::WaitingForProcessor => WriteOutcome::WaitingForProcessor,
                }
            }
            Err(failure) => {
                self.report(failure);
                WriteOutcome::Failed
            }
        }
    }

    /// Prints a failure, unless it is the one that was printed last.
    fn report(&mut self, failure: FailedOperation<Errno>) {
        let key = |it: FailedOperation<Errno>| (it.operation.without_moment(), it.error);
        if !self.silent && self.reported.map(key) != Some(key(failure)) {
            self.files.warn(failure);
        }
        self.reported = Some(failure);
    }

    /// Whether the last operation failed with an error that stays until a person removes its cause.
    pub(super) fn needs_help(&self) -> bool {
        self.reported.is_some_and(|failure| {
            matches!(
                failure.error,
                Errno::ACCESS
                    | Errno::BADF
                    | Errno::INVAL
                    | Errno::ISDIR
                    | Errno::LOOP
                    | Errno::NAMETOOLONG
                    | Errno::NOENT
                    | Errno::NOTDIR
                    | Errno::NOTSUP
                    | Errno::PERM
                    | Errno::ROFS
                    | Errno::XDEV
            )
        })
    }

    /// Reports that the logger ends because of the last failure; returns the exit code.
    pub(super) fn give_up(&self) -> i32 {
        self.reported.map_or(TEMPORARY, |failure| self.files.fatal(failure))
    }

    /// See [`DirectoryFiles::last_label`].
    pub(super) fn last_label(&self) -> Result<Option<Tai64n>, Errno> {
        self.files.last_label()
    }

    /// See [`DirectoryFiles::is_private`].
    pub(super) const fn is_private(&self) -> bool {
        self.files.is_private()
    }

    /// See [`OutputDirectory::unfinished`].
    pub(super) const fn unfinished(&self) -> Option<&UnfinishedBatch> {
        self.directory.unfinished()
    }

    /// See [`OutputDirectory::hold_batch`]; returns whether the mark is written.
    pub(super) fn hold_batch(&mut self, batch: Batch, held: &[u8], stage: BatchStage) -> bool {
        self.directory.hold_batch(&mut self.files, batch, held, stage).is_ok()
    }

    /// See [`OutputDirectory::begin_batch`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn begin_batch(
        &mut self,
        batch: Batch,
        held: &[u8],
        written: u64,
    ) -> Result<(), Errno> {
        self.directory.begin_batch(&mut self.files, batch, held, written)
    }

    /// Prints that a batch mark could not be written, unless that was printed last.
    pub(super) fn report_mark(&mut self, error: Errno) {
        self.report(Operation::WriteMark.failed()(error));
    }

    /// See [`OutputDirectory::end_batch`].
    pub(super) fn end_batch(&mut self) {
        // The next logger would write held text again. A removal needs no room on the disk.
        if self.directory.end_batch(&mut self.files).is_err() {
            self.files.remove_mark();
            self.directory.forget_batch();
        }
    }

    /// See [`OutputDirectory::has_large_buffer`].
    pub(super) const fn has_large_buffer(&self) -> bool {
        self.directory.has_large_buffer()
    }

    /// See [`OutputDirectory::shrink`].
    pub(super) fn shrink(&mut self) {
        self.directory.shrink();
    }

    /// The time when the directory has work without input.
    pub(super) fn due(&self) -> Option<Instant> {
        let seconds = self.directory.seconds_left(|| self.clock.label());
        let period_ends = seconds.map(|seconds| instant() + Duration::from_secs(seconds));
        [self.retry, period_ends].into_iter().flatten().min()
    }

    /// The time when a failed processor runs again.
    pub(super) const fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// See [`OutputDirectory::is_processor_running`]; a failed processor counts as running.
    pub(super) const fn is_processor_running(&self) -> bool {
        self.directory.is_processor_running()
    }

    /// The process of the processor.
    pub(super) const fn processor(&self) -> Option<Pid> {
        self.files.processor
    }

    /// Notes the end of the processor. After a failure it runs again after a pause that grows.
    pub(super) fn processor_ended(&mut self, how: ExitStatus) {
        self.files.processor = None;
        if how == ExitStatus::Exited(0) {
            self.pause = PAUSE;
            self.directory.processor_ended(true);
            return;
        }
        if self.pause == PAUSE {
            let what: &[u8] = match how {
                ExitStatus::Exited(_) => b"processor failed in ",
                ExitStatus::Killed(_) => b"processor crashed in ",
            };
            diag::say(&[b"multilog: warning: ", what, self.name, b", pausing"]);
        }
        self.retry = Some(instant() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Lets a failed processor run again if its pause is over.
    pub(super) fn retry_processor(&mut self) {
        if self.retry.is_some_and(|due| due <= instant()) {
            self.retry = None;
            self.directory.processor_ended(false);
        }
    }

    /// Completes `current` at the end of the input.
    pub(super) fn close(&mut self) -> WriteOutcome {
        // Before `current` is complete: a later logger could not check the mark.
        self.end_batch();
        let closed = self.files.close_complete();
        self.outcome(closed.map(|()| WriteProgress::Done))
    }
}
