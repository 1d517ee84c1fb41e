//! `svctl logs -f`: the lines that come after those that were shown.

use crate::arguments::Arguments;
use crate::escape::escape;
use crate::failure::{CANNOT, DONE, Failure, reason, warn};
use crate::interrupt::{Interrupt, is_end_requested};
use crate::logs::cursor::{Cursor, CursorFile};
use crate::logs::directory_reader::DirectoryReader;
use crate::logs::filter::LineFilter;
use crate::logs::follow::{FollowFrom, FollowProgress, LogFollower};
use crate::logs::follow_event::{FollowEvent, MissingLines};
use crate::logs::line_printer::{LineName, LinePrinter};
use crate::logs::live_lines::LiveLines;
use crate::logs::local_zone::LocalZone;
use crate::logs::log_output::LogOutput;
use crate::logs::log_source::{LogSource, find, shown};
use crate::logs::source_watch::SourceWatch;
use crate::logs::stamp::Tai;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The shortest time between two writes of a cursor, but at the end.
const CURSOR_INTERVAL: Duration = Duration::from_secs(1);

/// What is followed.
pub(crate) struct LogSession<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) tai: Option<Tai>,
    pub(crate) printer: LinePrinter,
    pub(crate) out: LogOutput,
    /// The names of the services of the directories, in the order of their numbers.
    names: Vec<LineName>,
    paths: Vec<PathBuf>,
    /// The directory of each number of the follower.
    by_id: Vec<usize>,
    lines: LiveLines,
    follower: LogFollower,
    /// Where to go on later.
    pub(crate) cursor: Option<FollowedCursor>,
}

/// The file of `--cursor` while logs are followed.
pub(crate) struct FollowedCursor {
    pub(crate) cursor: Cursor,
    pub(crate) file: CursorFile,
    written: Instant,
    /// Lines were read since.
    is_old: bool,
}

impl FollowedCursor {
    pub(crate) fn new(cursor: Cursor, file: CursorFile) -> Self {
        Self { cursor, file, written: Instant::now(), is_old: true }
    }

    /// How long until it is written again; `None` if no line was read since.
    fn due(&self) -> Option<Duration> {
        self.is_old.then(|| CURSOR_INTERVAL.saturating_sub(self.written.elapsed()))
    }
}

impl<'a> LogSession<'a> {
    pub(crate) fn new(
        arguments: &'a Arguments,
        tai: Option<Tai>,
        filter: LineFilter,
        printer: LinePrinter,
        out: LogOutput,
    ) -> io::Result<Self> {
        Ok(Self {
            arguments,
            tai,
            printer,
            out,
            names: Vec::new(),
            paths: Vec::new(),
            by_id: Vec::new(),
            lines: LiveLines::new(filter, LocalZone::system()),
            follower: LogFollower::new()?,
            cursor: None,
        })
    }

    /// Follows a directory behind the lines that a reader has read.
    pub(crate) fn follow_reader(&mut self, name: LineName, reader: DirectoryReader) {
        let tai = reader.directory.tai;
        let path = reader.directory.path().to_owned();
        let (directory, offset, begun) = reader.into_followed();
        let from = FollowFrom::Behind(Box::new(directory), offset, begun);
        self.follow(name, &path, from, Some(tai));
    }

    /// Follows a directory from its next line on.
    pub(crate) fn follow_next(&mut self, source: LogSource) {
        self.follow(source.service.into(), &source.path, FollowFrom::Now, None);
    }

    fn follow(&mut self, name: LineName, path: &Path, from: FollowFrom, tai: Option<Tai>) {
        match self.follower.add(path, from, self.tai) {
            Ok(id) => {
                let index = self.names.len();
                self.names.push(name);
                self.paths.push(path.to_owned());
                self.by_id.resize(id + 1, usize::MAX);
                self.by_id[id] = index;
                let known = self.follower.directory(id).map(|directory| directory.tai);
                self.lines.set_tai(index, tai.or(known).unwrap_or_default());
                self.printer.set_names(&self.names);
            }
            Err(error) => warn(&format!("unable to follow {}: {}", shown(path), reason(&error))),
        }
    }

    /// Looks for directories that are new.
    fn look(&mut self) {
        let Ok((sources, _)) = find(self.arguments) else { return };
        for (id, index) in self.by_id.iter().enumerate() {
            let Some(path) = self.paths.get_mut(*index) else { continue };
            // A logger writes its last lines after its service was removed.
            let is_gone = self.follower.directory(id).is_none();
            if is_gone && sources.iter().all(|source| source.path != *path) {
                self.follower.remove(id);
                *path = PathBuf::new();
            }
        }
        for LogSource { service, path, .. } in sources {
            if !self.paths.contains(&path) {
                self.follow(service.into(), &path, FollowFrom::Beginning, None);
            }
        }
    }

    /// Whether the follower watches this directory, which is there.
    fn is_followed(&self, path: &Path) -> bool {
        let mut followed = self.by_id.iter().enumerate();
        followed.any(|(id, index)| {
            self.follower.directory(id).is_some()
                && self.paths.get(*index).is_some_and(|known| is_same(known, path))
        })
    }

    /// Prints what comes, until Ctrl-C.
    pub(crate) fn run(mut self) -> Result<u8, Failure> {
        let failure = |error: &io::Error| Failure::system("follow the logs", error);
        let interrupt = Interrupt::new().map_err(|error| failure(&error))?;
        self.out.end_at(&interrupt).map_err(|error| failure(&error))?;
        let mut watch = SourceWatch::new().map_err(|error| failure(&error))?;
        watch.renew(self.arguments, |path| self.is_followed(path));
        self.look();
        loop {
            // Lines that come without a pause do not hold up a signal.
            loop {
                match self.read() {
                    Ok(FollowProgress::More) if !is_end_requested() => {}
                    Ok(_) => break,
                    // The lines that were lost come again with the cursor of before.
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(DONE),
                    Err(error) => return Err(failure(&error)),
                }
            }
            if let Err(error) = self.out.flush() {
                return match error.kind() {
                    io::ErrorKind::BrokenPipe => Ok(CANNOT),
                    // The lines that were lost come again with the cursor of before.
                    io::ErrorKind::Interrupted => Ok(DONE),
                    _ => Err(Failure::system("write output", &error)),
                };
            }
            let due = self.cursor.as_ref().and_then(FollowedCursor::due);
            if due.is_some_and(|due| due.is_zero()) {
                self.write_cursor()?;
            }
            let timeout = due.filter(|due| !due.is_zero()).map(Timespec::try_from);
            let timeout = timeout.transpose().map_err(|error| failure(&io::Error::other(error)))?;
            let mut polled = [
                PollFd::from_borrowed_fd(interrupt.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(watch.fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.follower.fd(), PollFlags::IN),
                // Without new lines, only a poll shows that the reader has gone.
                PollFd::from_borrowed_fd(self.out.fd(), PollFlags::empty()),
            ];
            match poll(&mut polled, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(failure(&error.into())),
            }
            let [interrupted, changed, _, gone] = polled.map(|fd| !fd.revents().is_empty());
            if interrupted {
                self.write_cursor()?;
                return Ok(DONE);
            }
            if gone {
                return Ok(CANNOT);
            }
            if changed && watch.drain() {
                watch.renew(self.arguments, |path| self.is_followed(path));
                self.look();
            }
        }
    }

    /// Writes down where each directory was read to. All lines before were printed.
    fn write_cursor(&mut self) -> Result<(), Failure> {
        let Some(followed) = &mut self.cursor else { return Ok(()) };
        for (id, &index) in self.by_id.iter().enumerate() {
            let Some(path) = self.paths.get(index).filter(|path| !path.as_os_str().is_empty())
            else {
                continue;
            };
            if let Some(read_to) = self.follower.place(id, self.lines.last(index)) {
                followed.cursor.set(path, read_to);
            }
        }
        followed.written = Instant::now();
        followed.is_old = false;
        followed.cursor.write(&followed.file)
    }

    /// Prints what there is now, in the order of time.
    fn read(&mut self) -> io::Result<FollowProgress> {
        let Self { follower, lines, printer, out, by_id, paths, cursor, .. } = self;
        let mut again = Vec::new();
        let progress = follower.read(&mut |id, event| {
            let Some(&index) = by_id.get(id) else { return };
            match event {
                FollowEvent::Line(line) => lines.line(index, line, printer, &mut out.buffer),
                FollowEvent::Part(part) => lines.part(index, part, printer, &mut out.buffer),
                FollowEvent::Missing(missing) => {
                    // The lines before come first. Without a reader, the next write reports it.
                    lines.flush(printer, &mut out.buffer);
                    let _ = out.flush();
                    let path = paths.get(index).map(|path| shown(path)).unwrap_or_default();
                    warn(&format!("{path}: {}", words(&missing)));
                }
                FollowEvent::Gone => {}
                FollowEvent::Back => again.push((id, index)),
            }
        })?;
        lines.flush(printer, &mut out.buffer);
        if let Some(cursor) = cursor {
            cursor.is_old = true;
        }
        for (id, index) in again {
            // Another logger may write there now.
            if let Some(directory) = follower.directory(id) {
                lines.set_tai(index, directory.tai);
            }
        }
        out.flush_if_large()?;
        Ok(progress)
    }
}

/// Whether two paths lead to one directory: that of a logger's process is absolute, and that of its
/// script has `.` in it.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|it| (it.dev(), it.ino()));
    one == other || identity(one).is_some_and(|found| identity(other) == Some(found))
}

fn words(missing: &MissingLines<'_>) -> String {
    match missing {
        MissingLines::Removed { files, last } => {
            let files = match files {
                1 => "a file before it was".to_owned(),
                files => format!("{files} files before they were"),
            };
            // The label is a part of the name of the last one.
            let last = last.map_or_else(String::new, |last| {
                format!(", up to {}", String::from_utf8_lossy(&last.stamp()).trim_end())
            });
            format!("lines are missing: the logger removed {files} read{last}")
        }
        MissingLines::Unknown => {
            "lines may be missing: more happened than the kernel reports".to_owned()
        }
        MissingLines::Truncated => {
            "lines may be missing: another program has truncated current".to_owned()
        }
        MissingLines::Unreadable { name, error } => {
            let name = escape(&name.to_string_lossy());
            format!("unable to read {name}: {}", reason(error))
        }
    }
}
