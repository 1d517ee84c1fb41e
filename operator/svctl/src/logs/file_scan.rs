//! The lines of a file that a filter accepts, with their moments.

use super::compression::Compression;
use super::directory::written;
use super::filter::LineFilter;
use super::line_reader::{Extent, LineReader, LineStart};
use super::look_back::stamp_before;
use super::stamp::{Moment, StampReader, Stamped};
use rustix::fs::fstat;
use std::fs::File;
use std::io;
use std::ops::Range;

/// A line that was accepted: ranges of the reader's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineHead {
    pub(crate) moment: Moment,
    /// Whether `moment` is only the time at which the file ends.
    pub(crate) is_bound: bool,
    /// The whole line, or its beginning.
    pub(crate) line: Range<usize>,
    /// How much of `line` is the stamp.
    pub(crate) label_length: usize,
    /// The bytes of `line` before the message.
    pub(crate) message_at: usize,
    pub(crate) extent: Extent,
}

/// The moment of lines without a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    /// No line of the file was looked at.
    Unknown,
    /// That of the line before.
    Stamp(Moment),
    /// The file has no stamp here; its lines are not later than this.
    Bound(Moment),
}

/// A file that is opened, and which part of it is read.
pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) compression: Option<Compression>,
    pub(crate) from: u64,
    pub(crate) limit: u64,
    /// When the file was finished, if its name says so.
    pub(crate) finished: Option<Moment>,
    /// Whether a line without its end is left out: the logger still writes it.
    pub(crate) hides_unfinished: bool,
    /// Whether the next file continues a line without its end.
    pub(crate) is_continued: bool,
}

/// A line that was left out because it has no end yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnfinishedLine {
    /// Where it begins in the file.
    offset: u64,
    /// What there is of it, in the reader's buffer.
    pub(crate) range: Range<usize>,
    /// Whether it begins in a file before.
    pub(crate) is_joined: bool,
}

impl OpenFile {
    /// The moment that no line of the file is later than.
    fn bound(&self) -> io::Result<Moment> {
        Ok(match self.finished {
            Some(moment) => moment,
            None => written(&fstat(&self.file)?),
        })
    }
}

/// Reads the files of a directory, one after the other.
pub(crate) struct FileScan {
    pub(crate) lines: LineReader,
    pub(crate) stamps: StampReader,
    filter: LineFilter,
    /// For the stamp before the first line, until it is looked for.
    look_back: Option<(File, u64)>,
    carried: Carried,
    bound: Moment,
    /// The bound of the file that was joined, behind the line that continues there.
    next_bound: Option<Moment>,
    hides_unfinished: bool,
    /// A line that was left out.
    unfinished: Option<UnfinishedLine>,
    line_begin: Option<u64>,
    /// The moment of the last line that was read, of this file or of one before.
    last: Option<Moment>,
}

impl FileScan {
    pub(crate) fn new(buffer: usize, stamps: StampReader, filter: LineFilter) -> Self {
        Self {
            lines: LineReader::new(buffer),
            stamps,
            filter,
            look_back: None,
            carried: Carried::Unknown,
            bound: Moment::MAX,
            next_bound: None,
            hides_unfinished: false,
            unfinished: None,
            line_begin: None,
            last: None,
        }
    }

    pub(crate) const fn filter(&self) -> &LineFilter {
        &self.filter
    }

    pub(crate) const fn set_since(&mut self, since: Moment) {
        self.filter.since = since;
    }

    /// The moment of the last line that was read.
    pub(crate) const fn last(&self) -> Option<Moment> {
        self.last
    }

    /// Where the next line begins.
    pub(crate) fn offset(&self) -> u64 {
        self.unfinished.as_ref().map_or_else(|| self.lines.offset(), |line| line.offset)
    }

    /// The line that was left out, if any.
    pub(crate) const fn unfinished(&self) -> Option<&UnfinishedLine> {
        self.unfinished.as_ref()
    }

    /// Where the last line begins that was read; `None` if that is in a file before.
    pub(crate) const fn line_begin(&self) -> Option<u64> {
        self.line_begin
    }

    /// Forgets the file and the lines before.
    pub(crate) fn end(&mut self) {
        self.lines.end();
        self.last = None;
    }

    /// Begins with a file, or with a part of it.
    pub(crate) fn begin(&mut self, open: OpenFile) -> io::Result<()> {
        self.carried = Carried::Unknown;
        self.hides_unfinished = open.hides_unfinished;
        self.unfinished = None;
        self.next_bound = None;
        self.bound = open.bound()?;
        self.look_back = None;
        if open.compression.is_none() && open.from > 0 {
            self.look_back = Some((open.file.try_clone()?, open.from));
        }
        self.lines.begin(open.file, open.compression, open.from, open.limit, open.is_continued)
    }

    /// Lets the line that was cut continue in the next file, from its beginning on.
    pub(crate) fn join(&mut self, open: OpenFile) -> io::Result<()> {
        self.next_bound = Some(open.bound()?);
        self.hides_unfinished = open.hides_unfinished;
        if !self.lines.has_begun_line() {
            self.pass_to_joined();
        }
        self.lines.join(open.file, open.compression, open.limit, open.is_continued)
    }

    /// Ends the line that was cut: no file continues it. The logger may do so later if the file is the
    /// last one.
    pub(crate) const fn end_line(&mut self, is_last: bool) {
        self.hides_unfinished &= is_last;
        self.lines.end_line();
    }

    /// The lines from now on begin in the file that was joined.
    fn pass_to_joined(&mut self) {
        if let Some(bound) = self.next_bound.take() {
            self.bound = bound;
            self.carried = Carried::Unknown;
            self.look_back = None;
        }
    }

    /// The next line that the filter accepts; `None` at the end of the file, or if the line is cut.
    pub(crate) fn next_match(&mut self) -> io::Result<Option<LineHead>> {
        while let Some(line) = self.lines.next_line()? {
            let LineStart { range, offset, is_joined, .. } = line;
            if line.extent == Extent::Unfinished && self.hides_unfinished {
                self.unfinished = Some(UnfinishedLine { offset, range, is_joined });
                return Ok(None);
            }
            self.line_begin = (!is_joined).then_some(offset);
            let bytes = self.lines.bytes(range.clone());
            let mut head = LineHead {
                moment: Moment::MAX,
                is_bound: false,
                line: range,
                label_length: 0,
                message_at: 0,
                extent: line.extent,
            };
            match self.stamps.read(bytes) {
                Some(Stamped { moment, label, message }) => {
                    self.carried = Carried::Stamp(moment);
                    head.moment = moment;
                    head.label_length = label.len();
                    head.message_at = bytes.len() - message.len();
                }
                None => (head.moment, head.is_bound) = self.moment_without_stamp()?,
            }
            if is_joined {
                self.pass_to_joined();
            }
            self.last = Some(head.moment);
            let message = self.lines.bytes(head.line.start + head.message_at..head.line.end);
            if self.filter.accepts(head.moment, message) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// The moment of a line without a stamp, and whether it is only a bound.
    fn moment_without_stamp(&mut self) -> io::Result<(Moment, bool)> {
        if self.carried == Carried::Unknown {
            self.carried = self.carry()?;
        }
        Ok(match self.carried {
            Carried::Stamp(moment) => (moment, false),
            Carried::Bound(moment) => (moment, true),
            Carried::Unknown => (self.bound, true),
        })
    }

    fn carry(&mut self) -> io::Result<Carried> {
        if let Some((file, place)) = self.look_back.take()
            && let Some(moment) = stamp_before(&file, place, &mut self.stamps)?
        {
            return Ok(Carried::Stamp(moment));
        }
        let ahead = self.lines.ahead();
        let mut begin = 0;
        // The last piece may be cut within its stamp.
        for end in memchr::memchr_iter(b'\n', ahead) {
            let line = ahead.get(begin..end).unwrap_or_default();
            if let Some(stamped) = self.stamps.read(line) {
                // These lines continue the file before, or come before the first stamp of all.
                let before = self.last.filter(|&last| last <= stamped.moment);
                return Ok(Carried::Stamp(before.unwrap_or(stamped.moment)));
            }
            begin = end + 1;
        }
        Ok(Carried::Bound(self.bound))
    }
}
