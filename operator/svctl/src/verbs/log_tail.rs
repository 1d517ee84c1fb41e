//! The last lines of a service's log, with local times.
//!
//! The owner of the log decides how long its files are. So the search for the last lines has a limit,
//! and says when it has ended there.

use crate::logs::directory::{LogDirectory, LogWriter};
use crate::logs::directory_reader::DirectoryReader;
use crate::logs::filter::LineFilter;
use crate::logs::line_reader::Extent;
use crate::logs::local_zone::LocalZone;
use crate::logs::merge::merge;
use crate::logs::read_budget::ReadBudget;
use crate::logs::start_with_last;
use crate::output::escape;
use crate::times::local;
use servicedir::ServiceDir;
use std::convert::Infallible;
use std::time::SystemTime;

/// The size of a buffer: a longer line is cut.
const BUFFER: usize = 16 * 1024;

/// The most bytes of a log that are searched for a few lines. For many lines it is [`FOR_A_LINE`] each.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// The bytes that are searched for each line.
const FOR_A_LINE: u64 = 4 * 1024;

/// The least bytes of each directory, if a service has many.
const LEAST_BYTES: u64 = 256 * 1024;

/// The names of a log directory that are looked at.
const MOST_NAMES: usize = 100_000;

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

/// The command that shows what a service has written; without a log, its status is all there is.
pub(crate) fn log_command(dir: &ServiceDir, name: &str) -> String {
    match dir.log_dirs() {
        Ok(found) if found.is_empty() => format!("svctl status {name}"),
        _ => format!("svctl logs -n 50 {name}"),
    }
}

/// The last lines of a log, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogTail {
    pub(crate) records: Vec<Record>,
    /// What was not looked at, if the search has ended at its limit.
    pub(crate) limit: Option<String>,
}

impl LogTail {
    /// The lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.records.iter().map(Record::shown).collect()
    }

    /// The lines for people, and what was not looked at.
    pub(crate) fn shown(&self) -> Vec<String> {
        let limit = self.limit.iter().map(|limit| format!("({limit})"));
        self.lines().into_iter().chain(limit).collect()
    }
}

/// The last lines of all log directories of a service.
pub(crate) fn last_lines(dir: &ServiceDir, count: usize) -> LogTail {
    let most = (count as u64).saturating_mul(FOR_A_LINE).max(MOST_BYTES);
    last_lines_within(dir, count, most)
}

/// The same, within so many bytes.
pub(crate) fn last_lines_within(dir: &ServiceDir, count: usize, most: u64) -> LogTail {
    let logger = dir.logger().and_then(|logger| logger.status().ok().flatten()?.pid);
    let writer = logger.and_then(|pid| LogWriter::of_process(pid.get()));
    let directories = dir.log_dirs().unwrap_or_default();
    let most = (most / directories.len().max(1) as u64).max(LEAST_BYTES);
    let mut readers: Vec<DirectoryReader> = directories
        .iter()
        .filter_map(|path| LogDirectory::open_limited(path, None, writer, MOST_NAMES).ok())
        .map(|directory| {
            let zone = LocalZone::system();
            DirectoryReader::new(directory, LineFilter::all(), zone, BUFFER, false)
                .with_budget(ReadBudget::of_bytes(most))
        })
        .collect();
    let found: usize = readers.iter_mut().map(|reader| start_with_last(reader, count)).sum();
    let spent = |readers: &[DirectoryReader]| readers.iter().any(|it| it.budget().is_spent());
    let mut is_limited = spent(&readers);
    // The lines that were found are read now, and the files may have grown.
    readers.iter().for_each(|reader| reader.budget().renew(most));
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
    is_limited |= spent(&readers);
    let has_more_names = readers.iter().any(|reader| reader.directory.has_more_names);
    let limit = if count == 0 || (records.len() >= count && !has_more_names) {
        None
    } else if has_more_names {
        Some(format!("only {MOST_NAMES} names of the log directory were looked at"))
    } else {
        is_limited.then(|| limit_words(most, records.is_empty()))
    };
    LogTail { records, limit }
}

fn limit_words(most: u64, is_empty: bool) -> String {
    let most = crate::usage::bytes(most);
    if is_empty {
        format!("the newest line was not found in the last {most} of the log")
    } else {
        format!("earlier lines were not found in the last {most} of the log")
    }
}
