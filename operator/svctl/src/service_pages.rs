//! What a page about one service shows: its details, the findings of the doctor, the lines of its log.

use crate::logs::cursor::Cursor;
use crate::logs::directory::{LogDirectory, LogWriter};
use crate::logs::directory_reader::DirectoryReader;
use crate::logs::filter::LineFilter;
use crate::logs::line_reader::Extent;
use crate::logs::local_zone::LocalZone;
use crate::logs::merge::merge;
use crate::logs::read_budget::ReadBudget;
use crate::logs::stamp::Moment;
use crate::logs::{start_with_last, time_argument};
use crate::output::{ColourChoice, Output};
use crate::selection::all;
use crate::service_tree::find_target;
use crate::times::rfc3339;
use crate::verbs::status::Screen;
use crate::verbs::{doctor, why};
use crate::view::View;
use serde_json::{Map, Value, json};
use servicedir::{ProcessTable, ScanDir};
use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::Path;

/// The size of a buffer: a longer line is cut.
const BUFFER: usize = 16 * 1024;

/// The most bytes of a log that are searched.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// The names of a log directory that are looked at.
const MOST_NAMES: usize = 100_000;

/// The columns of the lines of `svctl why`: a page folds them itself.
const WIDE: usize = 10_000;

/// A service, and the object of `svctl status --json` without log lines, and with `why`: the lines of
/// `svctl why`. `None` if the scan directory has no such name.
#[must_use]
pub fn details(scan: &Path, name: &OsStr) -> Option<(View, Map<String, Value>)> {
    let scan = ScanDir::new(scan);
    let target = find_target(&scan, name)?;
    let output = Output { width: WIDE, terminal: false, ..Output::new(ColourChoice::Never) };
    let explained = why::shown(&scan, &target, output);
    let table = ProcessTable::read().unwrap_or_default();
    let screen = Screen { output, scan, table, lines: 0 };
    let view = View::read(&target);
    let mut object = screen.object(&view);
    object.remove("log_tail");
    object.remove("log_limit");
    object.insert("why".to_owned(), json!(explained));
    Some((view, object))
}

/// The findings of `svctl doctor --json`: of a service, or of everything. `None` if the scan directory has
/// no such name.
///
/// # Errors
/// Why the directory cannot be read.
pub fn findings(scan: &Path, name: Option<&OsStr>) -> Result<Option<Vec<Value>>, String> {
    let scan = ScanDir::new(scan);
    let found = match name {
        Some(name) => {
            let Some(target) = find_target(&scan, name) else { return Ok(None) };
            doctor::of_services(&scan, &[target])
        }
        None => {
            let targets = all(&scan).map_err(|failure| failure.message)?;
            doctor::of_everything(&scan, &targets).map_err(|failure| failure.message)?
        }
    };
    Ok(Some(found.iter().map(doctor::object).collect()))
}

/// The findings of `svctl doctor --json` that concern all services together: svscan, its unit, the limits of
/// the system.
///
/// # Errors
/// Why the directory or /proc cannot be read.
pub fn machine_findings(scan: &Path) -> Result<Vec<Value>, String> {
    let scan = ScanDir::new(scan);
    let found = all(&scan).and_then(|targets| doctor::of_machine(&scan, &targets));
    Ok(found.map_err(|failure| failure.message)?.iter().map(doctor::object).collect())
}

/// Lines of the log of a service, oldest first.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// An object for each line: `time` (RFC 3339 or null) and `message`.
    pub lines: Vec<Value>,
    /// The place behind the last line, for the next page.
    pub cursor: String,
    /// Whether there are more lines before the first one.
    pub has_earlier: bool,
    /// What could not be read, and why.
    pub troubles: Vec<String>,
}

/// Reads the last lines of a log, at most `count`: behind a cursor of an earlier page, from a time on as
/// `svctl logs --since` takes it, or of the whole log. `None` if the scan directory has no such name.
///
/// # Errors
/// Why `since` cannot be used.
pub fn log_lines(
    scan: &Path,
    name: &OsStr,
    since: Option<&str>,
    count: usize,
) -> Result<Option<LogPage>, String> {
    let Some(target) = find_target(&ScanDir::new(scan), name) else { return Ok(None) };
    let zone = LocalZone::system();
    let mut filter = LineFilter::all();
    let mut cursor = Cursor::default();
    match since {
        // Another text would be the name of a file.
        Some(text) if text == "c1" || text.starts_with("c1;") => {
            (cursor, _) = Cursor::of_argument(Path::new(text)).map_err(|it| it.message)?;
        }
        Some(text) => {
            filter.since = time_argument::parse(text, zone.clone()).map_err(|it| it.message)?;
        }
        None => {}
    }
    let is_limited_by_time = filter.since > Moment::MIN;
    let dir = &target.dir;
    let logger = dir.logger().and_then(|logger| logger.status().ok().flatten()?.pid);
    let writer = logger.and_then(|pid| LogWriter::of_process(pid.get()));
    let directories = dir.log_dirs().unwrap_or_default();
    let most = MOST_BYTES / directories.len().max(1) as u64;
    let mut troubles = Vec::new();
    let mut readers = Vec::new();
    for path in &directories {
        match LogDirectory::open_limited(path, None, writer, MOST_NAMES) {
            Ok(directory) => {
                let zone = zone.clone();
                let reader = DirectoryReader::new(directory, filter.clone(), zone, BUFFER, true);
                let mut reader = reader.with_budget(ReadBudget::of_bytes(most));
                troubles.extend(cursor.apply(&mut reader));
                readers.push(reader);
            }
            Err(error) => {
                let path = crate::escape::escape(&path.to_string_lossy());
                let why = crate::failure::reason(&error);
                troubles.push(format!("unable to read {path}: {why}"));
            }
        }
    }
    let found: usize = readers.iter_mut().map(|reader| start_with_last(reader, count)).sum();
    readers.iter().for_each(|reader| reader.budget().renew(most));
    let surplus = found.saturating_sub(count);
    let mut left_out = surplus;
    let mut lines = Vec::new();
    let Ok(()) = merge::<Infallible>(&mut readers, |_, reader, head| {
        if left_out > 0 {
            left_out -= 1;
            return Ok(());
        }
        let message = head.line.start + head.message_at..head.line.end;
        let text = String::from_utf8_lossy(reader.scan.lines.bytes(message)).into_owned();
        let more = if head.extent == Extent::Long { "..." } else { "" };
        let time = (head.label_length > 0).then(|| rfc3339(head.moment.to_system_time()));
        lines.push(json!({"time": time, "message": format!("{text}{more}")}));
        Ok(())
    });
    for reader in &mut readers {
        if let Some(read_to) = reader.read_to() {
            cursor.set(reader.directory.path(), read_to);
        }
        troubles.append(&mut reader.troubles);
    }
    let has_earlier = found >= count && !is_limited_by_time;
    Ok(Some(LogPage { lines, cursor: cursor.text(), has_earlier, troubles }))
}
