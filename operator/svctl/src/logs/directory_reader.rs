//! The lines of a directory in the order in which they were written, from a place on.

use super::compression::Compression;
use super::directory::{FileId, FileRole, LogDirectory, LogFile, file_id};
use super::file_scan::{FileScan, LineHead, OpenFile};
use super::filter::LineFilter;
use super::local_zone::LocalZone;
use super::read_budget::ReadBudget;
use super::search::{SEARCHED_SIZE, lower_bound, stamp_before, upper_bound};
use super::stamp::{Moment, StampReader};
use crate::escape::escape;
use crate::failure::reason;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

/// So many bytes contain every stamp.
const LONGEST_STAMP: u64 = 128;

/// A line of a directory: the place of its file in the list, the beginning of a line before it in the
/// file, and how many accepted lines are between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinePlace {
    pub(crate) file: usize,
    pub(crate) offset: u64,
    pub(crate) skip: usize,
}

/// Where the reading of a directory has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadTo {
    /// The last file that was read.
    pub(crate) file: FileId,
    /// The bytes of it, decompressed, that were read.
    pub(crate) offset: u64,
    /// The moment of the last line that was read.
    pub(crate) moment: Option<Moment>,
}

/// Reads a directory forward.
pub(crate) struct DirectoryReader {
    pub(crate) directory: LogDirectory,
    pub(crate) scan: FileScan,
    /// The next file to open.
    next_file: usize,
    /// Where the first file begins.
    start: LinePlace,
    /// Whether a line without its end is left out.
    hides_unfinished: bool,
    open_id: Option<FileId>,
    /// What could not be read, and why.
    pub(crate) troubles: Vec<String>,
}

impl DirectoryReader {
    /// `buffer` bounds the memory; a longer line comes in pieces.
    pub(crate) fn new(
        directory: LogDirectory,
        filter: LineFilter,
        zone: LocalZone,
        buffer: usize,
        hides_unfinished: bool,
    ) -> Self {
        let stamps = StampReader::new(directory.tai, zone);
        let first = first_file(&directory, filter.since);
        let start = LinePlace { file: first, ..LinePlace::default() };
        Self {
            directory,
            scan: FileScan::new(buffer, stamps, filter),
            next_file: first,
            start,
            hides_unfinished,
            open_id: None,
            troubles: Vec::new(),
        }
    }

    /// The same reader with a budget.
    pub(crate) fn with_budget(mut self, budget: ReadBudget) -> Self {
        self.scan.lines.budget = budget;
        self
    }

    pub(crate) const fn budget(&self) -> &ReadBudget {
        &self.scan.lines.budget
    }

    /// Begins with a later line.
    pub(crate) fn start_at(&mut self, place: LinePlace) {
        self.start = place;
        self.next_file = place.file;
        self.scan.end();
        self.open_id = None;
    }

    /// Begins with the first line that is later than a moment.
    pub(crate) fn only_behind(&mut self, moment: Moment) {
        let since = self.scan.filter().since.max(Moment(moment.0.saturating_add(1)));
        self.scan.set_since(since);
        self.start_at(LinePlace {
            file: first_file(&self.directory, since),
            ..LinePlace::default()
        });
    }

    /// Whether a place of a file still is the end of a line of a moment: the file may be another one
    /// that got the same inode.
    pub(crate) fn is_line_end(&mut self, index: usize, offset: u64, moment: Moment) -> bool {
        let mut is_it = || -> io::Result<bool> {
            let Some(log_file) = self.directory.files.get(index) else { return Ok(false) };
            let Some(file) = self.directory.open_file(log_file)? else { return Ok(false) };
            let is_compressed =
                log_file.role != FileRole::Current && Compression::of(&file)?.is_some();
            if offset == 0 || is_compressed {
                return Ok(true);
            }
            let mut before = [0];
            if file.read_at(&mut before, offset - 1)? == 0 || before != *b"\n" {
                return Ok(false);
            }
            let stamp = stamp_before(&file, offset, &mut self.scan.stamps)?;
            Ok(stamp.is_none_or(|stamp| stamp == moment))
        };
        is_it().unwrap_or(false)
    }

    pub(crate) const fn start(&self) -> LinePlace {
        self.start
    }

    /// Where the next line is.
    pub(crate) fn read_to(&self) -> Option<ReadTo> {
        Some(ReadTo { file: self.open_id?, offset: self.scan.offset(), moment: self.scan.last() })
    }

    /// The directory, and how much of its `current` was read.
    pub(crate) fn into_followed(self) -> (LogDirectory, u64) {
        let current = self.directory.current().and_then(|file| file_id(file).ok());
        let is_current = current.is_some() && current == self.open_id;
        let offset = if is_current { self.scan.offset() } else { 0 };
        (self.directory, offset)
    }

    /// The next line that the filter accepts. A file that cannot be read is noted, and the next one
    /// follows.
    pub(crate) fn next_line(&mut self) -> Option<LineHead> {
        loop {
            if self.open_id.is_some() {
                match self.scan.next_match() {
                    Ok(Some(head)) => return Some(head),
                    Ok(None) => {}
                    Err(error) => self.note(&error),
                }
            }
            if self.budget().is_spent() || !self.open_next() {
                return None;
            }
        }
    }

    /// Opens the next file; returns `false` behind the last one.
    fn open_next(&mut self) -> bool {
        let index = self.next_file;
        if index >= self.directory.files.len() || self.begins_later(index) {
            self.scan.lines.close();
            return false;
        }
        self.next_file += 1;
        let place = if index == self.start.file { self.start } else { LinePlace::default() };
        match self.open_at(index, place.offset, None) {
            Ok(true) => {
                for _ in 0..place.skip {
                    if !matches!(self.scan.next_match(), Ok(Some(_))) {
                        break;
                    }
                }
            }
            Ok(false) => {}
            Err(error) => self.trouble(index, &error),
        }
        true
    }

    /// Whether all lines of a file are later than the period.
    pub(crate) fn begins_later(&self, index: usize) -> bool {
        let until = self.scan.filter().until;
        let before = index.checked_sub(1).and_then(|before| self.directory.files.get(before));
        if !matches!(before.map(|file| file.role), Some(FileRole::Finished(moment)) if moment > until)
        {
            return false;
        }
        // The file before was finished later. But a logger stamps many lines at once, and the last
        // of them can come behind the end of a file: the first stamp of the next one tells.
        let first = self.directory.files.get(index).map(|file| self.first_stamp(file));
        first.is_none_or(|first| first.ok().flatten().is_none_or(|moment| moment > until))
    }

    /// The stamp of the first line of a file, if it has one.
    fn first_stamp(&self, log_file: &LogFile) -> io::Result<Option<Moment>> {
        let Some(file) = self.directory.open_file(log_file)? else { return Ok(None) };
        let mut start = Vec::new();
        match Compression::of(&file)? {
            Some(compression) => {
                compression
                    .read(file, &self.scan.lines.budget)?
                    .take(LONGEST_STAMP)
                    .read_to_end(&mut start)?;
            }
            None => {
                start.resize(usize::try_from(LONGEST_STAMP).unwrap_or(0), 0);
                let count = file.read_at(&mut start, 0)?;
                start.truncate(count);
            }
        }
        let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(self.scan.stamps.clone().read(line).map(|stamped| stamped.moment))
    }

    /// Opens a file of the list from a place on, which is moved behind the lines before the period.
    /// Returns `false`, and notes it, if the file is gone.
    pub(crate) fn open_at(
        &mut self,
        index: usize,
        offset: u64,
        limit: Option<u64>,
    ) -> io::Result<bool> {
        let Some(log_file) = self.directory.files.get(index).cloned() else { return Ok(false) };
        let Some(file) = self.directory.open_file(&log_file)? else {
            let path = self.directory.path().join(&log_file.name);
            let path = escape(&path.to_string_lossy());
            self.troubles.push(format!("{path} was removed before it was read"));
            return Ok(false);
        };
        self.open_id = Some(file_id(&file)?);
        let finished = match log_file.role {
            FileRole::Finished(moment) => Some(moment),
            FileRole::Previous | FileRole::Current => None,
        };
        let compression = match log_file.role {
            FileRole::Current => None,
            _ => Compression::of(&file)?,
        };
        let mut open = OpenFile {
            file,
            compression,
            from: offset,
            limit: limit.unwrap_or(u64::MAX),
            finished,
            hides_unfinished: self.hides_unfinished && log_file.role == FileRole::Current,
        };
        let size = open.file.metadata()?.len();
        if compression.is_none() && size > SEARCHED_SIZE && limit.is_none() {
            let (since, until) = (self.scan.filter().since, self.scan.filter().until);
            let stamps = &mut self.scan.stamps;
            if since > Moment::MIN {
                let from = lower_bound(&open.file, size, stamps, |moment| moment >= since)?;
                open.from = open.from.max(from);
            }
            if until < Moment::MAX {
                open.limit = upper_bound(&open.file, size, stamps, |moment| moment > until)?;
            }
        }
        self.scan.begin(open)?;
        Ok(true)
    }

    /// Notes an error of the file that is open.
    pub(crate) fn note(&mut self, error: &io::Error) {
        self.trouble(self.next_file.saturating_sub(1), error);
    }

    fn trouble(&mut self, index: usize, error: &io::Error) {
        let name = self.directory.files.get(index).map(|file| file.name.clone());
        let path = self.directory.path().join(name.unwrap_or_default());
        let path = escape(&path.to_string_lossy());
        self.troubles.push(format!("unable to read {path}: {}", reason(error)));
    }
}

/// The first file that can have lines of a period: the first that was not finished before.
fn first_file(directory: &LogDirectory, since: Moment) -> usize {
    let is_in_period = |role: FileRole| match role {
        FileRole::Finished(moment) => moment >= since,
        FileRole::Previous | FileRole::Current => true,
    };
    let files = &directory.files;
    files.iter().position(|file| is_in_period(file.role)).unwrap_or(files.len())
}
