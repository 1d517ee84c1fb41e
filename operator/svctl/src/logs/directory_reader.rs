//! The lines of a directory in the order in which they were written, from a place on.
//!
//! A line that a logger has split over two files, because the first one was full, is one line here. It
//! belongs to the file in which it begins.

use super::compression::Compression;
use super::directory::{FileId, FileRole, LogDirectory, LogFile, file_id, may_be_continued};
use super::file_scan::{FileScan, LineHead, OpenFile};
use super::filter::LineFilter;
use super::local_zone::LocalZone;
use super::read_budget::ReadBudget;
use super::read_place::{FilesBefore, ReadTo, hash_before};
use super::search::{SEARCHED_SIZE, lower_bound, upper_bound};
use super::stamp::{Moment, StampReader};
use crate::escape::escape;
use crate::failure::reason;
use std::io::{self, Read as _};
use std::ops::Range;
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

/// Accepted lines of a part of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CountedLines {
    pub(crate) lines: usize,
    /// Whether the first line of the file is among them.
    pub(crate) has_first: bool,
}

/// A line that has no end yet and begins in a file before `current`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BegunLine {
    /// What there is of it.
    pub(crate) text: Vec<u8>,
    pub(crate) file: FileId,
    /// Where it begins in that file.
    pub(crate) offset: u64,
}

/// How a file is read.
#[derive(Clone, Copy, Debug)]
enum OpenHow {
    /// From a place on, up to lines that begin at a limit. Without one, the period sets both.
    Part { offset: u64, limit: Option<u64> },
    /// Its first line continues the one that was cut.
    Continuation,
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
    /// The place of the open file in the list.
    open_index: usize,
    /// Where the last line begins that was cut.
    cut_at: (usize, u64),
    /// The first line of this file may be the rest of a line: nothing has shown how the file before ends.
    may_begin_with_rest: Option<usize>,
    /// Only lines that begin in the file that was opened are read.
    is_one_file: bool,
    /// Whether the first line of this file is the rest of a line.
    known_rest: Option<(usize, bool)>,
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
            open_index: 0,
            cut_at: (0, 0),
            may_begin_with_rest: None,
            is_one_file: false,
            known_rest: None,
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

    pub(crate) const fn start(&self) -> LinePlace {
        self.start
    }

    /// Where the next line is: the place of its file in the list, and where it begins there.
    fn next_place(&self) -> (usize, u64) {
        match self.scan.unfinished() {
            Some(line) if line.is_joined => self.cut_at,
            _ => (self.open_index, self.scan.offset()),
        }
    }

    /// Where the next line is.
    pub(crate) fn read_to(&self) -> Option<ReadTo> {
        self.open_id?;
        let (index, offset) = self.next_place();
        let log_file = self.directory.files.get(index)?;
        let file = self.directory.open_file(log_file).ok()??;
        let id = file_id(&file).ok()?;
        if index == self.open_index && self.open_id != Some(id) {
            // The logger has renamed it, and nothing else is known of it.
            let file = self.open_id?;
            let moment = self.scan.last();
            return Some(ReadTo { file, offset, moment, text: None, behind: None });
        }
        let is_compressed =
            log_file.role != FileRole::Current && Compression::of(&file).ok()?.is_some();
        Some(ReadTo {
            file: id,
            offset,
            moment: self.scan.last(),
            text: if is_compressed { None } else { hash_before(&file, offset).ok()? },
            behind: FilesBefore::of(&self.directory.files, index),
        })
    }

    /// The directory, how much of its `current` was read, and the line that begins before.
    pub(crate) fn into_followed(self) -> (LogDirectory, u64, Option<BegunLine>) {
        let current = self.directory.current().and_then(|file| file_id(file).ok());
        let is_current = current.is_some() && current == self.open_id;
        let unfinished = self.scan.unfinished().filter(|line| line.is_joined || !is_current);
        let begun = unfinished.zip(self.read_to()).map(|(line, place)| BegunLine {
            text: self.scan.lines.bytes(line.range.clone()).to_vec(),
            file: place.file,
            offset: place.offset,
        });
        let offset = match (is_current, &begun) {
            (false, _) => 0,
            (true, None) => self.scan.offset(),
            (true, Some(_)) => self.scan.lines.offset(),
        };
        (self.directory, offset, begun)
    }

    /// The next line that the filter accepts. A file that cannot be read is noted, and the next one
    /// follows.
    pub(crate) fn next_line(&mut self) -> Option<LineHead> {
        loop {
            if self.open_id.is_some() {
                match self.next_in_file() {
                    Ok(Some(_)) if self.is_rest() => continue,
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

    /// The next line of the open file that the filter accepts. Its end may be in another file, which is
    /// then the open one.
    fn next_in_file(&mut self) -> io::Result<Option<LineHead>> {
        loop {
            let found = self.scan.next_match()?;
            if found.is_some() || !self.scan.lines.is_cut() {
                return Ok(found);
            }
            self.continue_line();
        }
    }

    /// The next piece of a long line, as a range of the reader's buffer.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Range<usize>>> {
        loop {
            let piece = self.scan.lines.next_piece()?;
            if piece.is_some() || !self.scan.lines.is_cut() {
                return Ok(piece);
            }
            self.continue_line();
        }
    }

    /// Counts the lines that begin in a part of a file and that the filter accepts; `None` if the budget
    /// ended the count.
    pub(crate) fn count(
        &mut self,
        index: usize,
        offset: u64,
        limit: u64,
    ) -> io::Result<Option<CountedLines>> {
        let mut counted = CountedLines::default();
        if !self.open(index, OpenHow::Part { offset, limit: Some(limit) })? {
            return Ok(Some(counted));
        }
        self.is_one_file = true;
        let end = loop {
            match self.next_in_file() {
                Ok(Some(_)) => {
                    counted.has_first |= self.line_place() == (index, 0);
                    counted.lines += 1;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.is_one_file = false;
        end?;
        Ok((!self.budget().is_spent()).then_some(counted))
    }

    /// Lets the line that was cut continue in the next file.
    fn continue_line(&mut self) {
        if self.scan.lines.has_begun_line() && !self.scan.lines.is_joined() {
            self.cut_at = (self.open_index, self.scan.lines.offset());
        }
        // A file that is gone or cannot be read is reported when it is its turn.
        if !self.open(self.open_index + 1, OpenHow::Continuation).unwrap_or(false) {
            let is_last = self.open_index + 1 == self.directory.files.len();
            self.scan.end_line(is_last);
        }
        self.next_file = self.open_index + 1;
    }

    /// Whether the line that was just read is no line, but the rest of one that begins in a file that was
    /// not read to its end.
    fn is_rest(&mut self) -> bool {
        self.may_begin_with_rest
            .take()
            .is_some_and(|index| self.line_place() == (index, 0) && self.begins_with_rest(index))
    }

    /// The file in which the last line begins that was read, and where.
    const fn line_place(&self) -> (usize, u64) {
        match self.scan.line_begin() {
            Some(offset) => (self.open_index, offset),
            None => self.cut_at,
        }
    }

    /// Whether a file begins with the rest of a line.
    pub(crate) fn begins_with_rest(&mut self, index: usize) -> bool {
        if let Some((known, is_rest)) = self.known_rest
            && known == index
        {
            return is_rest;
        }
        let files = self.directory.files.get(..index).unwrap_or_default();
        // A file that cannot be read shows no beginning of the line.
        let ends =
            files.iter().rev().map(|file| self.ends_within_line(file).unwrap_or(Some(false)));
        let is_rest = ends.flatten().next().unwrap_or(false);
        self.known_rest = Some((index, is_rest));
        is_rest
    }

    /// Whether a file ends within a line that the next one continues; `None` if it is empty.
    fn ends_within_line(&self, log_file: &LogFile) -> io::Result<Option<bool>> {
        let Some(file) = self.directory.open_file(log_file)? else { return Ok(Some(false)) };
        if !may_be_continued(&log_file.name, &file)? {
            return Ok(Some(false));
        }
        let mut last = [0];
        let count = match Compression::of(&file)? {
            Some(compression) => {
                let mut text = compression.read(file, self.budget())?;
                let mut block = [0; 4096];
                let mut found = 0;
                loop {
                    match text.read(&mut block)? {
                        0 => break found,
                        count => {
                            last = [block.get(count - 1).copied().unwrap_or_default()];
                            found = 1;
                        }
                    }
                }
            }
            None => match file.metadata()?.len().checked_sub(1) {
                Some(at) => file.read_at(&mut last, at)?,
                None => 0,
            },
        };
        Ok((count > 0).then_some(last != *b"\n"))
    }

    /// Opens the next file; returns `false` behind the last one.
    fn open_next(&mut self) -> bool {
        let index = self.next_file;
        if index >= self.directory.files.len() || self.begins_later(index) {
            self.scan.lines.close();
            return false;
        }
        self.next_file += 1;
        // The reader has joined what continues the file before, if that was read to its end.
        let is_before_read =
            self.open_id.is_some() && self.open_index + 1 == index && self.scan.lines.is_at_end();
        let place = if index == self.start.file { self.start } else { LinePlace::default() };
        match self.open(index, OpenHow::Part { offset: place.offset, limit: None }) {
            Ok(true) => {
                self.may_begin_with_rest = (index > 0 && !is_before_read).then_some(index);
                for _ in 0..place.skip {
                    if !matches!(self.next_in_file(), Ok(Some(_))) {
                        break;
                    }
                    self.may_begin_with_rest = None;
                }
            }
            Ok(false) => {}
            Err(error) => self.trouble(index, &error),
        }
        true
    }

    /// Whether all lines of a file are later than the period.
    pub(crate) fn begins_later(&mut self, index: usize) -> bool {
        let until = self.scan.filter().until;
        let before = index.checked_sub(1).and_then(|before| self.directory.files.get(before));
        if !matches!(before.map(|file| file.role), Some(FileRole::Finished(moment)) if moment > until)
        {
            return false;
        }
        // The file before was finished later. But a logger stamps many lines at once, and the last
        // of them can come behind the end of a file: the first stamp of the next one tells.
        let first = self.directory.files.get(index).map(|file| self.first_stamp(file));
        match first {
            Some(Ok(Some(moment))) => moment > until,
            // The lines behind the rest of a line may have stamps.
            _ => !self.begins_with_rest(index),
        }
    }

    /// The stamp of the first line of a file, if it has one.
    pub(crate) fn first_stamp(&self, log_file: &LogFile) -> io::Result<Option<Moment>> {
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

    /// Opens a file of the list. Its place is moved behind the lines before the period. Returns `false`,
    /// and notes it, if the file is gone.
    fn open(&mut self, index: usize, how: OpenHow) -> io::Result<bool> {
        let Some(log_file) = self.directory.files.get(index).cloned() else { return Ok(false) };
        let Some(file) = self.directory.open_file(&log_file)? else {
            if matches!(how, OpenHow::Part { .. }) {
                let path = self.directory.path().join(&log_file.name);
                let path = escape(&path.to_string_lossy());
                self.troubles.push(format!("{path} was removed before it was read"));
            }
            return Ok(false);
        };
        let id = file_id(&file)?;
        let finished = match log_file.role {
            FileRole::Finished(moment) => Some(moment),
            FileRole::Previous | FileRole::Current => None,
        };
        let is_current = log_file.role == FileRole::Current;
        let compression = if is_current { None } else { Compression::of(&file)? };
        let is_continued = !is_current && may_be_continued(&log_file.name, &file)?;
        let (from, limit) = match how {
            OpenHow::Part { offset, limit } => (offset, limit),
            OpenHow::Continuation => (0, self.is_one_file.then_some(0)),
        };
        let mut open = OpenFile {
            file,
            compression,
            from,
            limit: limit.unwrap_or(u64::MAX),
            finished,
            hides_unfinished: self.hides_unfinished && (is_current || is_continued),
            is_continued,
        };
        let size = open.file.metadata()?.len();
        if compression.is_none() && size > SEARCHED_SIZE && limit.is_none() {
            let (since, until) = (self.scan.filter().since, self.scan.filter().until);
            let stamps = &mut self.scan.stamps;
            if since > Moment::MIN && matches!(how, OpenHow::Part { .. }) {
                let from = lower_bound(&open.file, size, stamps, |moment| moment >= since)?;
                open.from = open.from.max(from);
            }
            if until < Moment::MAX {
                open.limit = upper_bound(&open.file, size, stamps, |moment| moment > until)?;
            }
        }
        match how {
            OpenHow::Part { .. } => {
                self.may_begin_with_rest = None;
                self.scan.begin(open)?;
            }
            OpenHow::Continuation => self.scan.join(open)?,
        }
        (self.open_id, self.open_index) = (Some(id), index);
        Ok(true)
    }

    /// Notes an error of the file that is open.
    pub(crate) fn note(&mut self, error: &io::Error) {
        self.trouble(self.open_index, error);
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
