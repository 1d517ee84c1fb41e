//! The states of an output directory.
//!
//! The foreground writes lines and replaces a full `current`. The background moves the replaced
//! file to its final name, through the processor if there is one. Each state that is not a wait
//! performs one operation; a failed operation leaves the state unchanged, unless the state says
//! otherwise.

use crate::multilog::file_name::{Code, FileName, OldFileName};

/// The state of both parts of an output directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputState {
    /// The writing of lines.
    pub foreground: ForegroundState,
    /// The work on the file that was `current` before.
    pub background: BackgroundState,
}

/// The state of the writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForegroundState {
    /// `current` receives lines.
    Writing,
    /// A new file replaces `current`.
    Rotating(RotationStep),
}

/// The next operation of a rotation, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// Bring the content of `current` to disk.
    SyncCurrent,
    /// Bring the name `current` to disk, which may be newer than the last sync of the names.
    SyncNames,
    /// Look for a `previous` that a rename would overwrite.
    LookForPrevious,
    /// Make the batch mark independent of `current`.
    DetachMark,
    /// Rename `current` to `previous`.
    RenameCurrent,
    /// Create a new `current`.
    OpenCurrent,
    /// Set its mode to incomplete.
    SetMode,
    /// Let the batch mark count the bytes of the new `current`.
    AttachMark,
    /// Set the mode of `previous` to complete.
    CompletePrevious,
}

/// The state of the work on the file before `current`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundState {
    /// No work.
    Idle,
    /// The processor converts `previous` to `processed`.
    Processing(ProcessorStep),
    /// A file gets its final name.
    Finishing(Finishing),
}

/// The next operation of the processing, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessorStep {
    /// Look whether `previous` still exists, after a failure of the processor.
    FindInput,
    /// Start the processor.
    Start,
    /// Wait for the end of the processor, which the caller reports.
    Running,
    /// Bring `processed` to disk and set its mode to complete.
    CompleteProcessed,
    /// Bring `newstate` to disk.
    SyncNewState,
    /// Remove `previous`, whose lines `processed` contains.
    RemovePrevious,
    /// Rename `newstate` to `state`.
    RenameNewState,
}

/// A file on the way to its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finishing {
    /// The file.
    pub file: FileName,
    /// The code in the final name.
    pub code: Code,
    /// The next operation.
    pub step: FinishStep,
}

/// The next operation on a file that gets its final name, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishStep {
    /// Look whether the file exists and has one name.
    CountNames,
    /// Find the latest old file, once per life of the logger. A failure goes back to
    /// [`Self::CountNames`].
    FindLatest,
    /// Link the file to its final name. A failure goes back to [`Self::CountNames`].
    Link,
    /// Remove the fixed name of the file, which has this final name, if it is known.
    Remove(Option<OldFileName>),
    /// Remove old files beyond the limits, except this one.
    Prune(Option<OldFileName>),
}

impl BackgroundState {
    /// The begin of the work on a file that gets its final name.
    #[must_use]
    pub const fn finish(file: FileName, code: Code) -> Self {
        Self::Finishing(Finishing { file, code, step: FinishStep::CountNames })
    }

    /// Whether an operation is pending: neither idle nor waiting for the processor.
    #[must_use]
    pub const fn has_work(self) -> bool {
        !matches!(self, Self::Idle) && !self.is_processor_running()
    }

    /// Whether the processor runs.
    #[must_use]
    pub const fn is_processor_running(self) -> bool {
        matches!(self, Self::Processing(ProcessorStep::Running))
    }
}
