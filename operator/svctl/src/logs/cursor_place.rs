//! A place in a log directory, which is found again after its file was replaced.
//!
//! A logger's processor writes a full file anew: it has another inode then, and is mostly compressed. Its
//! text is the same, so the text before the place recognises it.

use super::compression::Compression;
use super::directory::{FileRole, LogDirectory, LogFile};
use super::directory_reader::DirectoryReader;
use super::read_place::{FilesBefore, ReadTo, hash, label_of, text_before};
use super::stamp::{Moment, StampReader};
use crate::escape::escape;
use crate::times::local;
use std::fs::File;
use std::io;

/// A place in a directory, and what its file is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CursorPlace {
    pub(crate) inode: u64,
    /// In the text of the file, decompressed.
    pub(crate) offset: u64,
    /// The moment of the last line before the place.
    pub(crate) moment: Moment,
    /// The hash of the text before the place, if it is known.
    pub(crate) text: Option<u64>,
    /// Which files were before, if that is known.
    pub(crate) behind: Option<FilesBefore>,
}

impl CursorPlace {
    /// The place that a reader has come to. Without a line in this run, the last one is that of the run
    /// before.
    pub(crate) fn of(read_to: ReadTo, before: Option<Self>) -> Self {
        let ReadTo { file: (_, inode), offset, moment, text, behind } = read_to;
        let moment = moment.or(before.map(|place| place.moment)).unwrap_or(Moment::MIN);
        Self { inode, offset, moment, text, behind }
    }

    /// The file of the place, by its number in the list.
    pub(crate) fn find(&self, reader: &mut DirectoryReader) -> Option<usize> {
        let directory = &reader.directory;
        let files = &directory.files;
        let stamps = &mut reader.scan.stamps;
        let mut recognise = |index: usize| self.recognise(directory, index, stamps);
        let next = self.behind.and_then(|behind| behind.next(files));
        if let Some(next) = next
            && recognise(next).is_some()
        {
            return Some(next);
        }
        let has_inode = |index: &usize| {
            let id = files.get(*index).and_then(|file| directory.id_of(&file.name));
            id.is_some_and(|(_, inode)| inode == self.inode)
        };
        let same = (0..files.len()).rev().find(has_inode);
        // The inode of a removed file may be that of another one now.
        if let Some(index) = same
            && let Some(recognised) = recognise(index)
            && (recognised == Recognised::ByStamp || self.is_old_enough(directory, index))
        {
            return same;
        }
        self.text?;
        let later = |index: &usize| match (files.get(*index).and_then(label_of), self.behind) {
            (Some(label), Some(behind)) => label > behind.label,
            (Some(label), None) => label >= self.moment,
            (None, _) => true,
        };
        let mut found =
            (0..files.len()).filter(later).filter_map(|index| Some((index, recognise(index)?)));
        let (index, recognised) = found.next()?;
        // Files with the same lines again and again have the same text before the place, too.
        let is_sure = recognised == Recognised::ByStamp
            || (next.is_none() && self.offset > 0 && found.next().is_none());
        is_sure.then_some(index)
    }

    /// Whether a file may have been there when the last line was written.
    fn is_old_enough(&self, directory: &LogDirectory, index: usize) -> bool {
        let born = || {
            directory.open_file(directory.files.get(index)?).ok()??.metadata().ok()?.created().ok()
        };
        born().is_none_or(|born| Moment::of_system_time(born) <= self.moment)
    }

    /// Whether a file has the text before the place, and how well that recognises it.
    fn recognise(
        &self,
        directory: &LogDirectory,
        index: usize,
        stamps: &mut StampReader,
    ) -> Option<Recognised> {
        let log_file = directory.files.get(index)?;
        let file = directory.open_file(log_file).ok()??;
        let compression = compression_of(log_file, &file).ok()?;
        let text = text_before(file, compression, self.offset).ok()??;
        let is_it = match self.text {
            Some(known) => hash(&text) == known,
            None => text.last().is_none_or(|last| *last == b'\n'),
        };
        let has_stamp = |line: &[u8]| stamps.read(line).is_some();
        let is_stamped = text.split(|byte| *byte == b'\n').any(has_stamp);
        is_it.then_some(if is_stamped { Recognised::ByStamp } else { Recognised::ByText })
    }

    /// What to say if the file is gone, and the lines later than the last one follow.
    pub(crate) fn missing_words(&self, reader: &DirectoryReader) -> String {
        let path = escape(&reader.directory.path().to_string_lossy());
        let gone = format!("{path}: the file of the cursor is gone or was changed");
        let oldest = reader.directory.files.first();
        let first = oldest.map(|file| reader.first_stamp(file).ok().flatten());
        match first {
            _ if self.moment == Moment::MIN => format!("{gone}; all lines follow"),
            Some(Some(first)) if first <= self.moment => {
                format!("{gone}; lines with later stamps follow")
            }
            Some(None) => {
                format!("{gone}; lines without a stamp may be missing or come again")
            }
            Some(Some(first)) => {
                let [from, to] = [self.moment, first].map(|at| local(at.to_system_time()));
                format!("{gone}; lines between {from} and {to} may be missing")
            }
            None => {
                let from = local(self.moment.to_system_time());
                format!("{gone}; lines after {from} may be missing")
            }
        }
    }
}

/// What shows that a file is that of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recognised {
    /// The text before the place has a stamp: no other file has it.
    ByStamp,
    ByText,
}

/// The compression of a file of a directory. `current` has none.
fn compression_of(log_file: &LogFile, file: &File) -> io::Result<Option<Compression>> {
    match log_file.role {
        FileRole::Current => Ok(None),
        _ => Compression::of(file),
    }
}
