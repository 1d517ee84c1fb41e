//! `svctl logs`: the lines of all log directories, in the order of time.

use crate::arguments::Arguments;
use crate::escape::escape;
use crate::failure::{CANNOT, DONE, Failure, USAGE, reason, warn};
use crate::hosts;
use crate::interrupt::is_end_requested;
use crate::logs::cursor::{Cursor, CursorArgument, CursorFile};
use crate::logs::directory::LogDirectory;
use crate::logs::directory_reader::DirectoryReader;
use crate::logs::filter::{LineFilter, LinePattern};
use crate::logs::line_printer::{LineForm, LineName, LinePrinter};
use crate::logs::local_zone::LocalZone;
use crate::logs::log_output::LogOutput;
use crate::logs::log_source::{self, LogSource};
use crate::logs::merge::merge;
use crate::logs::stamp::{Moment, Tai};
use crate::logs::{buffer_size, start_with_last, time_argument};
use crate::options::{
    CURSOR, FOLLOW, GREP, HOST, LAST, LINE_FORM, NO_PAGER, SINCE, TAI, UNTIL, UTC,
};
use crate::verbs::follow_logs::{FollowedCursor, LogSession};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// How many lines `-f` shows at first.
const FOLLOW_LAST: usize = 10;

/// What the options ask for.
struct LogRequest {
    filter: LineFilter,
    last: Option<usize>,
    form: LineForm,
    tai: Option<Tai>,
    /// The zone of the times that are shown and of those in the arguments.
    zone: LocalZone,
    cursor: Option<(Cursor, CursorArgument)>,
    follows: bool,
}

impl LogRequest {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let text = |long: &str| arguments.value(long).map(OsStr::to_string_lossy);
        let zone = if arguments.has(&UTC) { LocalZone::utc() } else { LocalZone::system() };
        let time = |long: &str| {
            text(long).map(|text| time_argument::parse(&text, zone.clone())).transpose()
        };
        let filter = LineFilter {
            since: time(SINCE.long)?.unwrap_or(Moment::MIN),
            until: time(UNTIL.long)?.unwrap_or(Moment::MAX),
            pattern: text(GREP.long).map(|text| LinePattern::new(&text)).transpose()?,
        };
        let tai = text(TAI.long).map(|word| match &*word {
            "djb" => Ok(Tai::Djb),
            "s6" => Ok(Tai::S6),
            _ => {
                let message = format!("unable to use --tai {}: not djb or s6", escape(&word));
                Err(Failure::new(USAGE, message))
            }
        });
        let follows = arguments.has(&FOLLOW);
        if follows && arguments.has(&UNTIL) {
            let message = "unable to use --until with --follow: following has no end";
            return Err(Failure::new(USAGE, message));
        }
        let cursor = arguments.value(CURSOR.long).map(Path::new).map(Cursor::of_argument);
        let last = arguments.number(&LAST)?;
        let has_begin = filter.since > Moment::MIN || arguments.has(&CURSOR);
        Ok(Self {
            filter,
            last: last.or((follows && !has_begin).then_some(FOLLOW_LAST)),
            follows,
            form: text(LINE_FORM.long)
                .map(|it| LineForm::parse(&it))
                .transpose()?
                .unwrap_or_default(),
            tai: tai.transpose()?,
            zone,
            cursor: cursor.transpose()?,
        })
    }

    /// A reader for each directory; a directory that cannot be read is noted.
    fn open(
        &self,
        sources: Vec<LogSource>,
        troubles: &mut Vec<String>,
    ) -> (Vec<LineName>, Vec<DirectoryReader>) {
        let buffer = buffer_size(sources.len());
        let mut names = Vec::new();
        let mut readers = Vec::new();
        for source in sources {
            let directory = match LogDirectory::open(&source.path, self.tai, source.writer) {
                Ok(directory) => directory,
                Err(error) => {
                    let path = log_source::shown(&source.path);
                    troubles.push(format!("unable to read {path}: {}", reason(&error)));
                    continue;
                }
            };
            let filter = self.filter.clone();
            // Stamps in local time are those of the logger, whatever --utc says.
            let zone = LocalZone::system();
            let hides_unfinished = self.cursor.is_some() || self.follows;
            let mut reader =
                DirectoryReader::new(directory, filter, zone, buffer, hides_unfinished);
            if let Some((cursor, _)) = &self.cursor {
                troubles.extend(cursor.apply(&mut reader));
            }
            names.push(source.service.into());
            readers.push(reader);
        }
        (names, readers)
    }
}

impl LogRequest {
    fn printer(&self, arguments: &Arguments, names: &[LineName]) -> LinePrinter {
        LinePrinter::new(self.form, self.zone.clone(), names, arguments.output)
    }

    /// Follows nothing yet.
    fn follow<'a>(
        &mut self,
        arguments: &'a Arguments,
        out: LogOutput,
        troubles: &[String],
    ) -> Result<LogSession<'a>, Failure> {
        troubles.iter().for_each(|trouble| warn(trouble));
        let printer = self.printer(arguments, &[]);
        let mut session = LogSession::new(arguments, self.tai, self.filter.clone(), printer, out)
            .map_err(|error| Failure::system("follow the logs", &error))?;
        if let Some((cursor, CursorArgument::File(file))) = self.cursor.take() {
            session.cursor = Some(FollowedCursor::new(cursor, file));
        }
        Ok(session)
    }
}

/// A directory takes three descriptors, and 1024 are the usual limit.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If it stays, the directories that cannot be opened are named.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.has(&HOST) {
        return hosts::logs(arguments);
    }
    let mut request = LogRequest::new(arguments)?;
    raise_descriptor_limit();
    let (sources, mut troubles) = log_source::find(arguments)?;
    if sources.is_empty() && troubles.is_empty() && !request.follows {
        let message = "unable to find a service with a log directory (--log-dir DIR names one)";
        return Err(Failure::new(USAGE, message));
    }
    let out = if arguments.output.terminal && !arguments.has(&NO_PAGER) && !request.follows {
        LogOutput::pager()
    } else {
        LogOutput::stdout()
    };
    let mut out = out.map_err(|error| Failure::system("write output", &error))?;
    let is_paged = out.is_paged();
    if request.follows && request.last == Some(0) {
        let mut session = request.follow(arguments, out, &troubles)?;
        sources.into_iter().for_each(|source| session.follow_next(source));
        return session.run();
    }
    let (names, mut readers) = request.open(sources, &mut troubles);
    let mut printer = request.printer(arguments, &names);
    let written = print_history(request.last, &mut readers, &mut printer, &mut out);
    troubles.extend(readers.iter_mut().flat_map(|reader| reader.troubles.drain(..)));
    if request.follows && written.is_ok() {
        let mut session = request.follow(arguments, out, &troubles)?;
        session.printer = printer;
        if let Some(followed) = &mut session.cursor {
            note_places(&mut followed.cursor, &readers);
        }
        for (name, reader) in names.into_iter().zip(readers) {
            session.follow_reader(name, reader);
        }
        return session.run();
    }
    let is_ended = is_end_requested();
    if let Err(error) = written.and_then(|()| out.finish()) {
        // The pager has ended: the user has seen enough. Without one, the reader of a pipe has gone.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Ok(if is_paged { DONE } else { CANNOT });
        }
        return Err(Failure::system("write output", &error));
    }
    if is_ended {
        // Ctrl-C in a pager: the lines behind it were not read.
        return Ok(DONE);
    }
    troubles.iter().for_each(|trouble| warn(trouble));
    if let Some((cursor, CursorArgument::File(file))) = request.cursor {
        write_cursor(cursor, &file, &readers)?;
    }
    Ok(if troubles.is_empty() { DONE } else { CANNOT })
}

/// Prints the lines that there are.
fn print_history(
    last: Option<usize>,
    readers: &mut [DirectoryReader],
    printer: &mut LinePrinter,
    out: &mut LogOutput,
) -> io::Result<()> {
    let mut surplus = last.map_or(0, |wanted| {
        let found: usize = readers.iter_mut().map(|reader| start_with_last(reader, wanted)).sum();
        found.saturating_sub(wanted)
    });
    merge(readers, |index, reader, head| {
        if surplus > 0 {
            surplus -= 1;
            return Ok(());
        }
        printer.print(index, reader, head, out)
    })
}

/// Remembers how far each directory was read.
fn write_cursor(
    mut cursor: Cursor,
    file: &CursorFile,
    readers: &[DirectoryReader],
) -> Result<(), Failure> {
    note_places(&mut cursor, readers);
    cursor.write(file)
}

fn note_places(cursor: &mut Cursor, readers: &[DirectoryReader]) {
    for reader in readers {
        if let Some(read_to) = reader.read_to() {
            cursor.set(reader.directory.path(), read_to);
        }
    }
}
