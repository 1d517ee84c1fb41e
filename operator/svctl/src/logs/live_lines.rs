//! Lines that loggers write now: those of one moment of reading are put in order and printed.

use super::file_scan::LineHead;
use super::filter::LineFilter;
use super::line_printer::LinePrinter;
use super::line_reader::Extent;
use super::local_zone::LocalZone;
use super::stamp::{Moment, StampReader, Tai};
use daemontools_core::sorting::sort_by_key;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// So much is kept before it is printed.
const LARGEST_BATCH: usize = 256 * 1024;

/// A line that waits for the others of its batch.
struct LiveLine {
    /// Its moment, or a later one of its directory.
    key: Moment,
    directory: usize,
    head: LineHead,
    bytes: Vec<u8>,
}

/// What is known of a directory.
struct LiveDirectory {
    stamps: StampReader,
    /// The moment of its last line.
    last: Moment,
    /// Whether a line has come.
    has_lines: bool,
    /// The latest moment of the batch.
    latest: Moment,
    /// Its last line is not complete: whether the filter accepts it.
    long_line: Option<bool>,
}

/// Collects lines and prints them.
pub(crate) struct LiveLines {
    filter: LineFilter,
    zone: LocalZone,
    directories: BTreeMap<usize, LiveDirectory>,
    batch: Vec<LiveLine>,
    batch_size: usize,
    /// The directory whose long line is being printed.
    printing: Option<usize>,
}

impl LiveLines {
    /// `zone` is that of stamps in local time.
    pub(crate) const fn new(filter: LineFilter, zone: LocalZone) -> Self {
        Self {
            filter,
            zone,
            directories: BTreeMap::new(),
            batch: Vec::new(),
            batch_size: 0,
            printing: None,
        }
    }

    /// Says how the labels of a directory count.
    pub(crate) fn set_tai(&mut self, directory: usize, tai: Tai) {
        let stamps = StampReader::new(tai, self.zone.clone());
        let last = Moment::of_system_time(SystemTime::now());
        let latest = Moment::MIN;
        let new = LiveDirectory { stamps, last, has_lines: false, latest, long_line: None };
        self.directories.insert(directory, new);
    }

    /// The moment of the last line of a directory that was taken.
    pub(crate) fn last(&self, directory: usize) -> Option<Moment> {
        self.directories.get(&directory).filter(|of| of.has_lines).map(|of| of.last)
    }

    /// Takes a line, or the end of a long one.
    pub(crate) fn line(
        &mut self,
        directory: usize,
        bytes: &[u8],
        printer: &mut LinePrinter,
        out: &mut Vec<u8>,
    ) {
        let Some(of) = self.directories.get_mut(&directory) else { return };
        if let Some(is_accepted) = of.long_line.take() {
            if is_accepted {
                self.print_piece(directory, bytes, false, printer, out);
                printer.end_line(out);
                self.printing = None;
            }
            return;
        }
        let head = head(of, bytes, Extent::Whole);
        if !self.filter.accepts(head.moment, bytes.get(head.message_at..).unwrap_or_default()) {
            return;
        }
        of.latest = of.latest.max(head.moment);
        let key = of.latest;
        self.batch.push(LiveLine { key, directory, head, bytes: bytes.to_vec() });
        self.batch_size += bytes.len();
        if self.batch_size > LARGEST_BATCH {
            self.flush(printer, out);
        }
    }

    /// Takes the beginning or the middle of a long line.
    pub(crate) fn part(
        &mut self,
        directory: usize,
        bytes: &[u8],
        printer: &mut LinePrinter,
        out: &mut Vec<u8>,
    ) {
        let Some(of) = self.directories.get_mut(&directory) else { return };
        let is_begin = of.long_line.is_none();
        if is_begin {
            let head = head(of, bytes, Extent::Long);
            let message = bytes.get(head.message_at..).unwrap_or_default();
            of.long_line = Some(self.filter.accepts(head.moment, message));
        }
        if of.long_line == Some(true) {
            self.flush(printer, out);
            self.print_piece(directory, bytes, is_begin, printer, out);
        }
    }

    /// Prints a piece of a long line. If other lines came between, a new line begins.
    fn print_piece(
        &mut self,
        directory: usize,
        bytes: &[u8],
        is_begin: bool,
        printer: &mut LinePrinter,
        out: &mut Vec<u8>,
    ) {
        if self.printing == Some(directory) {
            printer.piece(bytes, out);
            return;
        }
        self.interrupt(printer, out);
        let Some(of) = self.directories.get_mut(&directory) else { return };
        let head = if is_begin {
            head(of, bytes, Extent::Long)
        } else {
            head_without_stamp(of.last, bytes, Extent::Long)
        };
        printer.begin_line(directory, &head, bytes, out);
        self.printing = Some(directory);
    }

    /// Ends the long line that is being printed, for other lines.
    fn interrupt(&mut self, printer: &mut LinePrinter, out: &mut Vec<u8>) {
        if self.printing.take().is_some() {
            printer.end_line(out);
        }
    }

    /// Prints the batch in the order of time. Lines of one directory stay in their order.
    pub(crate) fn flush(&mut self, printer: &mut LinePrinter, out: &mut Vec<u8>) {
        if self.batch.is_empty() {
            return;
        }
        self.interrupt(printer, out);
        sort_by_key(&mut self.batch, |line| line.key);
        for line in self.batch.drain(..) {
            printer.begin_line(line.directory, &line.head, &line.bytes, out);
            printer.end_line(out);
        }
        self.batch_size = 0;
        for of in self.directories.values_mut() {
            of.latest = Moment::MIN;
        }
    }
}

/// Reads the stamp of a line; without one it has the moment of the line before.
fn head(of: &mut LiveDirectory, bytes: &[u8], extent: Extent) -> LineHead {
    let mut head = head_without_stamp(of.last, bytes, extent);
    of.has_lines = true;
    if let Some(stamped) = of.stamps.read(bytes) {
        head.moment = stamped.moment;
        head.label_length = stamped.label.len();
        head.message_at = bytes.len() - stamped.message.len();
        of.last = head.moment;
    }
    head
}

const fn head_without_stamp(moment: Moment, bytes: &[u8], extent: Extent) -> LineHead {
    LineHead {
        moment,
        is_bound: false,
        line: 0..bytes.len(),
        label_length: 0,
        message_at: 0,
        extent,
    }
}
