//! The files of an output directory: their names and what their attributes mean.
//!
//! Names and meanings are those of the original multilog. The owner's execute permission marks a
//! complete file.

use crate::time::tai::Tai64n;
use alloc::vec::Vec;

/// A file with a fixed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileName {
    /// The file that receives new lines.
    Current,
    /// A full file that waits for the processor or for its final name.
    Previous,
    /// The processor's output.
    Processed,
    /// The state that the last run of the processor wrote.
    State,
    /// The state that this run of the processor writes.
    NewState,
}

impl FileName {
    /// The name as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Processed => "processed",
            Self::State => "state",
            Self::NewState => "newstate",
        }
    }
}

/// The attributes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// The owner may execute the file: its writer completed it.
    pub complete: bool,
    /// Number of hard links.
    pub links: u64,
    /// Size in bytes.
    pub size: u64,
    /// A number that no other file of this directory has or had.
    pub file_id: u64,
    /// Time of the last write, in seconds since 1970.
    pub modified: i64,
}

/// The end of an old file's name: how the file was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The file is complete and on disk: `s`, or the text of `DirectorySettings::code`.
    Safe,
    /// An interruption ended the file: `u`.
    Unfinished,
}

/// The name of an old file: `@`, 24 digits, a period and the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldFileName {
    /// The time when the file was finished.
    pub moment: Tai64n,
    /// How the file was finished.
    pub code: Code,
}

/// Length of the part of an old file's name that sorts it by age: `@` and 24 digits.
pub(super) const AGE_LEN: usize = 25;

impl OldFileName {
    /// The name as text; `safe` is the text for [`Code::Safe`].
    #[must_use]
    pub fn text(&self, safe: &[u8]) -> Vec<u8> {
        let stamp = self.moment.stamp();
        let code = match self.code {
            Code::Safe => safe,
            Code::Unfinished => b"u",
        };
        [stamp.get(..AGE_LEN).unwrap_or_default(), b".", code].concat()
    }
}
