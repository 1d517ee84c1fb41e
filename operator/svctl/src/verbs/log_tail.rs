//! The last lines of a service's log, with local times.

use crate::logs::directory::{LogDirectory, LogWriter};
use crate::logs::directory_reader::DirectoryReader;
use crate::logs::filter::LineFilter;
use crate::logs::line_reader::Extent;
use crate::logs::local_zone::LocalZone;
use crate::logs::merge::merge;
use crate::logs::start_with_last;
use crate::output::escape;
use crate::times::local;
use servicedir::ServiceDir;
use std::convert::Infallible;
use std::time::SystemTime;

/// The size of a buffer: a longer line is cut.
const BUFFER: usize = 16 * 1024;

/// A line of a log, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The time of its label, if it has one.
    pub(crate) time: Option<SystemTime>,
    /// The rest of the line, control characters escaped.
    pub(crate) text: String,
}

impl Record {
    /// For people: the local time and the text.
    fn shown(&self) -> String {
        match self.time {
            Some(time) => format!("{} {}", local(time), self.text),
            None => self.text.clone(),
        }
    }
}

/// The last lines of all log directories of a service, oldest first, ready to be shown.
pub(crate) fn last_lines(dir: &ServiceDir, count: usize) -> Vec<String> {
    last_records(dir, count).iter().map(Record::shown).collect()
}

/// The same, with the times apart from the texts.
pub(crate) fn last_records(dir: &ServiceDir, count: usize) -> Vec<Record> {
    let logger = dir.logger().and_then(|logger| logger.status().ok().flatten()?.pid);
    let writer = logger.and_then(|pid| LogWriter::of_process(pid.get()));
    let directories = dir.log_dirs().unwrap_or_default();
    let mut readers: Vec<DirectoryReader> = directories
        .iter()
        .filter_map(|path| LogDirectory::open(path, None, writer).ok())
        .map(|directory| {
            let zone = LocalZone::system();
            DirectoryReader::new(directory, LineFilter::all(), zone, BUFFER, false)
        })
        .collect();
    let found: usize = readers.iter_mut().map(|reader| start_with_last(reader, count)).sum();
    let mut surplus = found.saturating_sub(count);
    let mut records = Vec::new();
    let Ok(()) = merge::<Infallible>(&mut readers, |_, reader, head| {
        if surplus > 0 {
            surplus -= 1;
            return Ok(());
        }
        let message = head.line.start + head.message_at..head.line.end;
        let text = escape(&String::from_utf8_lossy(reader.scan.lines.bytes(message)));
        let more = if head.extent == Extent::Long { "..." } else { "" };
        records.push(Record {
            time: (head.label_length > 0).then(|| head.moment.to_system_time()),
            text: format!("{text}{more}"),
        });
        Ok(())
    });
    records
}
