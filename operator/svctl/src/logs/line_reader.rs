//! The lines of a file, in bounded memory: a line that is longer than the buffer comes in pieces.
//!
//! A logger that has filled a file to its last byte may have ended it within a line, which the next file
//! continues. The reader is then *cut*: the caller either lets it read on in the next file
//! ([`LineReader::join`]) or says that there is none ([`LineReader::end_line`]).

use super::compression::Compression;
use super::read_budget::ReadBudget;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// A line, or its beginning: a range of the buffer without the newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineStart {
    pub(crate) range: Range<usize>,
    /// Where the line begins in the file; 0 if it begins in a file before.
    pub(crate) offset: u64,
    pub(crate) extent: Extent,
    /// Whether the line begins in a file before.
    pub(crate) is_joined: bool,
}

/// How much of a line is in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// Its beginning. [`LineReader::next_piece`] has the rest.
    Long,
    /// The file ends without a newline: the logger may still be writing the line.
    Unfinished,
}

enum LineSource {
    Plain(File),
    Stream(Box<dyn Read>),
    Nothing,
}

/// Reads a file forward.
pub(crate) struct LineReader {
    source: LineSource,
    buffer: Box<[u8]>,
    /// The bytes of the buffer that are not consumed yet.
    unread: Range<usize>,
    /// Where the end of `unread` is in the file, decompressed.
    read_to: u64,
    /// No line begins here or later.
    limit: u64,
    is_at_end: bool,
    /// The rest of a long line comes next.
    is_in_line: bool,
    /// Whether the next file continues a line that has no end in this one.
    is_continued: bool,
    /// The file has ended within a line that is continued.
    is_cut: bool,
    /// How much of `unread` was read from the files before this one.
    joined: usize,
    pub(crate) budget: ReadBudget,
}

impl LineReader {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            source: LineSource::Nothing,
            buffer: vec![0; size.max(64)].into_boxed_slice(),
            unread: 0..0,
            read_to: 0,
            limit: u64::MAX,
            is_at_end: true,
            is_in_line: false,
            is_continued: false,
            is_cut: false,
            joined: 0,
            budget: ReadBudget::unlimited(),
        }
    }

    /// Begins with the line at `from`. Lines that begin at `limit` or later are left out.
    /// `is_continued` says whether the next file continues a line without its end.
    pub(crate) fn begin(
        &mut self,
        file: File,
        compression: Option<Compression>,
        from: u64,
        limit: u64,
        is_continued: bool,
    ) -> io::Result<()> {
        self.unread = 0..0;
        self.joined = 0;
        self.read_to = from;
        self.limit = limit;
        self.is_at_end = false;
        self.is_in_line = false;
        self.is_continued = is_continued;
        self.is_cut = false;
        self.source = match compression {
            None => LineSource::Plain(file),
            Some(compression) => {
                let mut text = compression.read(file, &self.budget)?;
                io::copy(&mut text.by_ref().take(from), &mut io::sink())?;
                LineSource::Stream(text)
            }
        };
        Ok(())
    }

    /// Whether the file has ended within a line that the next file continues.
    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether a part of the line that was cut is in the buffer. Otherwise its beginning was passed on.
    pub(crate) fn has_begun_line(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Whether that part begins in a file before this one.
    pub(crate) const fn is_joined(&self) -> bool {
        self.joined > 0
    }

    /// Whether the file was read to its end.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Lets the line that was cut continue with the beginning of the next file. Lines that begin at
    /// `limit` or later in that file are left out.
    pub(crate) fn join(
        &mut self,
        file: File,
        compression: Option<Compression>,
        limit: u64,
        is_continued: bool,
    ) -> io::Result<()> {
        self.source = match compression {
            None => LineSource::Plain(file),
            Some(compression) => LineSource::Stream(compression.read(file, &self.budget)?),
        };
        self.is_in_line = self.unread.is_empty();
        self.joined = self.unread.len();
        self.read_to = 0;
        self.limit = limit;
        self.is_at_end = false;
        self.is_continued = is_continued;
        self.is_cut = false;
        Ok(())
    }

    /// Ends the line that was cut: there is no next file.
    pub(crate) const fn end_line(&mut self) {
        self.is_continued = false;
        self.is_cut = false;
    }

    /// Closes the file behind its last line. The offset stays.
    pub(crate) fn close(&mut self) {
        self.source = LineSource::Nothing;
    }

    /// Forgets the file.
    pub(crate) fn end(&mut self) {
        self.source = LineSource::Nothing;
        self.is_at_end = true;
        self.is_in_line = false;
        self.is_cut = false;
        self.unread = 0..0;
        self.joined = 0;
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// What is in the buffer behind the last line.
    pub(crate) fn ahead(&self) -> &[u8] {
        self.bytes(self.unread.clone())
    }

    /// Where the next line begins.
    pub(crate) fn offset(&self) -> u64 {
        // The end of `unread` is at `read_to`, and its first bytes may be those of a file before.
        self.read_to.saturating_sub((self.unread.len() - self.joined) as u64)
    }

    /// The next line; the rest of a long line before it is skipped. `None` at the end of the file, or if
    /// the file has ended within a line that the next one continues.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<LineStart>> {
        while self.is_in_line {
            self.next_piece()?;
        }
        let mut searched = 0;
        while !self.is_cut {
            let begin = self.unread.start;
            let offset = self.offset();
            let is_joined = self.joined > 0;
            if offset >= self.limit && !is_joined {
                return Ok(None);
            }
            let from = begin + searched;
            if let Some(at) = memchr::memchr(b'\n', self.bytes(from..self.unread.end)) {
                let end = from + at;
                self.unread.start = end + 1;
                self.joined = 0;
                let extent = Extent::Whole;
                return Ok(Some(LineStart { range: begin..end, offset, extent, is_joined }));
            }
            searched = self.unread.len();
            if self.is_at_end && (searched == 0 || self.is_continued) {
                self.is_cut = searched > 0;
                return Ok(None);
            }
            if searched == self.buffer.len() || self.is_at_end {
                let range = self.unread.clone();
                self.unread.start = range.end;
                self.joined = 0;
                self.is_in_line = !self.is_at_end;
                let extent = if self.is_at_end { Extent::Unfinished } else { Extent::Long };
                return Ok(Some(LineStart { range, offset, extent, is_joined }));
            }
            self.fill()?;
        }
        Ok(None)
    }

    /// The next piece of a long line; `None` behind its last one, or if the file has ended within the
    /// line and the next file continues it.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Range<usize>>> {
        if !self.is_in_line {
            return Ok(None);
        }
        if self.unread.is_empty() {
            self.fill()?;
        }
        let begin = self.unread.start;
        match memchr::memchr(b'\n', self.ahead()) {
            Some(at) => {
                self.is_in_line = false;
                self.unread.start = begin + at + 1;
                Ok(Some(begin..begin + at))
            }
            None => {
                let range = self.unread.clone();
                self.unread.start = range.end;
                self.is_in_line = !range.is_empty();
                self.is_cut = range.is_empty() && self.is_continued;
                Ok((!range.is_empty()).then_some(range))
            }
        }
    }

    /// Reads behind the unread bytes, which move to the beginning of the buffer. The budget can end the
    /// file early.
    fn fill(&mut self) -> io::Result<()> {
        if self.budget.is_spent() {
            self.is_at_end = true;
            self.is_continued = false;
            return Ok(());
        }
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let room = self.buffer.get_mut(self.unread.end..).unwrap_or_default();
        let read = loop {
            let read = match &mut self.source {
                LineSource::Plain(file) => file.read_at(room, self.read_to).inspect(|count| {
                    self.budget.spend(*count as u64);
                }),
                LineSource::Stream(stream) => stream.read(room),
                LineSource::Nothing => Ok(0),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let count = read.inspect_err(|_| {
            // The rest of the file cannot be read, and the next call must not try again.
            self.is_at_end = true;
            self.is_in_line = false;
            self.is_continued = false;
        })?;
        self.is_at_end = count == 0;
        self.read_to += count as u64;
        self.unread.end += count;
        Ok(())
    }
}

#[cfg(test)]
#[path = "line_reader_tests.rs"]
mod tests;
