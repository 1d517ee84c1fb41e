//! The operations on the files of an output directory, and their failures.

use super::batch_mark::BatchMark;
use super::file_name::{FileInfo, FileName, OldFileName};
use super::retention::Retention;
use crate::time::tai::Tai64n;
use alloc::vec::Vec;

/// The operations on the files of an output directory.
///
/// A file has mode 0744 if it is complete, else 0644.
pub trait FileOperations {
    /// The cause of a failure.
    type Error: Copy;

    /// Reads the attributes of a file; `None` if it is missing.
    ///
    /// # Errors
    /// Those of stat(2) except ENOENT.
    fn stat(&mut self, file: FileName) -> Result<Option<FileInfo>, Self::Error>;
    /// Opens `current` for appending, creates it if it is missing, and keeps it open. Returns its
    /// [`FileInfo::file_id`]. Creates and opens the directory again if it has been removed.
    ///
    /// # Errors
    /// Those of open(2) and fstat(2).
    fn open_current(&mut self) -> Result<u64, Self::Error>;
    /// Whether the last byte of `current` is a newline.
    ///
    /// # Errors
    /// Those of open(2) and pread(2).
    fn current_ends_line(&mut self) -> Result<bool, Self::Error>;
    /// Appends to `current`; returns the number of bytes written.
    ///
    /// # Errors
    /// Those of write(2).
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error>;
    /// Brings the content of `current` to disk.
    ///
    /// # Errors
    /// Those of fsync(2).
    fn sync_current(&mut self) -> Result<(), Self::Error>;
    /// Brings the names in the directory to disk.
    ///
    /// # Errors
    /// Those of fsync(2).
    fn sync_names(&mut self) -> Result<(), Self::Error>;
    /// Sets the mode of the open `current`.
    ///
    /// # Errors
    /// Those of fchmod(2).
    fn set_mode_of_current(&mut self, complete: bool) -> Result<(), Self::Error>;
    /// Sets the mode of `previous` to complete; returns `false` if it is missing.
    ///
    /// # Errors
    /// Those of chmod(2) except ENOENT.
    fn complete_previous(&mut self) -> Result<bool, Self::Error>;
    /// Renames a file; replaces an existing `to`. Returns `false` if `from` is missing.
    ///
    /// # Errors
    /// Those of rename(2) except ENOENT.
    fn rename(&mut self, from: FileName, to: FileName) -> Result<bool, Self::Error>;
    /// Reports that another program has removed or renamed a file.
    fn report_missing(&mut self, file: FileName);
    /// Gives a file a second name.
    ///
    /// # Errors
    /// Those of link(2).
    fn link(&mut self, file: FileName, name: &OldFileName) -> Result<(), Self::Error>;
    /// Removes a file; a missing file is no error.
    ///
    /// # Errors
    /// Those of unlink(2) except ENOENT.
    fn remove(&mut self, file: FileName) -> Result<(), Self::Error>;
    /// Empties a file, or creates it if it is missing.
    ///
    /// # Errors
    /// Those of open(2).
    fn truncate(&mut self, file: FileName) -> Result<(), Self::Error>;
    /// Creates a file if it is missing, brings it to disk, and sets its mode if it is `complete`.
    ///
    /// # Errors
    /// The first of open(2), fsync(2) and fchmod(2) that fails.
    fn make_durable(
        &mut self,
        file: FileName,
        complete: bool,
    ) -> Result<(), FailedOperation<Self::Error>>;
    /// Finds the latest moment in the names of the old files.
    ///
    /// # Errors
    /// Those of reading the directory.
    fn latest_old_file(&mut self) -> Result<Option<Tai64n>, Self::Error>;
    /// Removes the files that [`super::retention::Selection`] selects. A file that cannot be
    /// removed stays, and is no error.
    ///
    /// # Errors
    /// Those of reading the directory.
    fn prune(&mut self, retention: &Retention) -> Result<(), Self::Error>;
    /// Overwrites the batch mark, and the held text after it; `None` leaves that text as it is.
    ///
    /// # Errors
    /// Those of open(2) and write(2).
    fn write_mark(&mut self, mark: &BatchMark, held: Option<&[u8]>) -> Result<(), Self::Error>;
    /// Reads the batch mark and the held text; `None` if there is no valid mark.
    ///
    /// # Errors
    /// Those of open(2) and read(2) except ENOENT.
    fn read_mark(&mut self) -> Result<Option<(BatchMark, Vec<u8>)>, Self::Error>;
    /// Whether the error is a lack of descriptors or memory, which ends by itself.
    fn is_temporary(_error: &Self::Error) -> bool {
        false
    }
    /// Starts the processor on `previous`.
    ///
    /// # Errors
    /// Those of fork(2).
    fn start_processor(&mut self) -> Result<(), Self::Error>;
}

/// The name of an operation, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reading the attributes of a file.
    Stat(FileName),
    /// Opening or creating a file.
    Create(FileName),
    /// Opening `current` at the start.
    Append,
    /// Emptying `state` at the start.
    WriteState,
    /// Writing to `current`.
    Write,
    /// Bringing the content of a file to disk.
    Sync(FileName),
    /// Bringing the names in the directory to disk.
    SyncNames,
    /// Setting the mode of a file.
    Mode(FileName),
    /// Renaming `current` or `newstate`.
    Rename(FileName),
    /// Giving a finished file its final name.
    Link(OldFileName),
    /// Removing a file.
    Remove(FileName),
    /// Reading the directory.
    ReadDirectory,
    /// Starting the processor.
    StartProcessor,
    /// Reading the batch mark.
    ReadMark,
    /// Writing the batch mark.
    WriteMark,
}

impl Operation {
    /// The operation without the moment in an old file's name, which differs at each attempt.
    #[must_use]
    pub const fn without_moment(self) -> Self {
        match self {
            Self::Link(OldFileName { code, .. }) => {
                Self::Link(OldFileName { moment: Tai64n { seconds: 0, nanoseconds: 0 }, code })
            }
            other => other,
        }
    }

    /// Builds the failure of this operation; for `map_err`.
    pub const fn failed<E: Copy>(self) -> impl Fn(E) -> FailedOperation<E> {
        move |error| FailedOperation { operation: self, error }
    }
}

/// An operation that failed. The next call of the function that returned it tries it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedOperation<E> {
    /// The operation.
    pub operation: Operation,
    /// The cause.
    pub error: E,
}

/// A failure of the recovery at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryError<E> {
    /// The directory is unusable.
    Fatal(FailedOperation<E>),
    /// A later attempt may succeed.
    Temporary(FailedOperation<E>),
}

impl<E: Copy> RecoveryError<E> {
    /// The operation that failed.
    #[must_use]
    pub const fn failure(&self) -> FailedOperation<E> {
        match *self {
            Self::Fatal(failure) | Self::Temporary(failure) => failure,
        }
    }
}
