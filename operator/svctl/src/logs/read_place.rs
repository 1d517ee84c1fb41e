//! Where the reading of a directory has come to, and what recognises that place later.

use super::compression::Compression;
use super::directory::{FileId, FileRole, LogFile};
use super::read_budget::ReadBudget;
use super::stamp::Moment;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

/// How much of the text before a place recognises it.
const COMPARED: u64 = 1024;

/// Where the reading of a directory has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadTo {
    /// The last file that was read.
    pub(crate) file: FileId,
    /// The bytes of it, decompressed, that were read.
    pub(crate) offset: u64,
    /// The moment of the last line that was read.
    pub(crate) moment: Option<Moment>,
    /// The hash of the text before, if it is known.
    pub(crate) text: Option<u64>,
    /// Which files are before, if that is known.
    pub(crate) behind: Option<FilesBefore>,
}

/// The files before one. A logger gives labels in the order of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilesBefore {
    /// The label of the last one with a final name; [`Moment::MIN`] if there is none.
    pub(crate) label: Moment,
    /// Whether one without a final name is between: `previous`.
    pub(crate) has_unnamed: bool,
}

impl FilesBefore {
    /// The files before one of a list.
    pub(crate) fn of(files: &[LogFile], index: usize) -> Option<Self> {
        let before = files.get(..index)?;
        let has_unnamed = before.last().is_some_and(|file| file.role == FileRole::Previous);
        let last = before.iter().rev().find_map(label_of);
        Some(Self { label: last.unwrap_or(Moment::MIN), has_unnamed })
    }

    /// The place in a list of the file behind them, if the list tells.
    pub(crate) fn next(self, files: &[LogFile]) -> Option<usize> {
        let behind = match self.label {
            Moment::MIN => 0,
            label => files.iter().rposition(|file| label_of(file) == Some(label))? + 1,
        };
        Some(behind + usize::from(self.has_unnamed))
    }
}

/// The label of a file with a final name.
pub(crate) const fn label_of(file: &LogFile) -> Option<Moment> {
    match file.role {
        FileRole::Finished(label) => Some(label),
        FileRole::Previous | FileRole::Current => None,
    }
}

/// The hash of the text before a place of a file that is not compressed.
pub(crate) fn hash_before(file: &File, offset: u64) -> io::Result<Option<u64>> {
    let text = text_before(file.try_clone()?, None, offset)?;
    Ok(text.map(|text| hash(&text)))
}

/// The last bytes before a place; `None` if the file is shorter.
pub(crate) fn text_before(
    file: File,
    compression: Option<Compression>,
    offset: u64,
) -> io::Result<Option<Vec<u8>>> {
    let begin = offset.saturating_sub(COMPARED);
    let mut text = Vec::new();
    match compression {
        Some(compression) => {
            let mut all = compression.read(file, &ReadBudget::unlimited())?;
            io::copy(&mut all.by_ref().take(begin), &mut io::sink())?;
            all.take(offset - begin).read_to_end(&mut text)?;
        }
        None => {
            text.resize(usize::try_from(offset - begin).unwrap_or(0), 0);
            let count = file.read_at(&mut text, begin)?;
            text.truncate(count);
        }
    }
    Ok((text.len() as u64 == offset - begin).then_some(text))
}

/// FNV-1a.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
