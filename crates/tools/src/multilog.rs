//! multilog: reads lines, selects, and keeps them in rotated logs.
//!
//! Input is read in small pieces, and all lines of a piece are written before the next is read:
//! what is read and not yet written is what a KILL can lose, a piece and the beginning of a line.

mod store;

use crate::diag;
use crate::time::{instant, label};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::multilog::directory::{Directory, Progress, Trouble};
use daemontools_core::multilog::pattern;
use daemontools_core::multilog::script::{Action, Script, Settings};
use daemontools_core::time::Instant;
use daemontools_sys::process::{self, Ended};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, fd, fs, poll};
use store::LogDir;

/// How much is read at once, and so about as much as can be lost by a KILL.
const PIECE: usize = 2048;

/// How much of a line patterns, `e` and `=` see.
const HEAD: usize = 1000;

/// Between two tries of what failed.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two runs of a processor that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Exit code: 0 at the end of the input and after TERM, 111 if it cannot begin.
pub(crate) fn main() -> i32 {
    let script = Script::parse(process::args(1).map(core::ffi::CStr::to_bytes));
    fd::fill_missing(fd::Missing::ClosedForChildren);
    match Multilog::begin(&script) {
        Ok(mut multilog) => {
            multilog.run();
            0
        }
        Err(code) => code,
    }
}

/// A log directory at work.
struct Log<'a> {
    settings: Settings<'a>,
    directory: Directory,
    store: LogDir<'a>,
    /// Whether the line at hand is selected for it.
    selected: bool,
    /// What was said of it last, and is not repeated.
    said: Option<Trouble<Errno>>,
    /// When a processor that failed is run again, and after what pause.
    retry: Option<Instant>,
    pause: Duration,
}

/// A file that shows the last line.
struct StatusFile<'a> {
    name: &'a [u8],
    file: OwnedFd,
}

struct Multilog<'a> {
    script: &'a Script<'a>,
    signals: Signals,
    statuses: Vec<StatusFile<'a>>,
    logs: Vec<Log<'a>>,
    /// The line so far, until it is known how it goes on.
    head: Vec<u8>,
    /// A line has begun.
    in_line: bool,
    /// The script has run on the head of this line; the rest follows the head.
    dispatched: bool,
    /// TERM has come.
    ending: bool,
    /// ALRM has come.
    rotation_asked: bool,
}

impl<'a> Multilog<'a> {
    fn begin(script: &'a Script<'a>) -> Result<Self, i32> {
        let fatal = |what: &[&[u8]], error| diag::fatal("multilog", what, error);
        fs::set_umask(0o022);
        let home = fs::open_read(fs::HERE, c".")
            .map_err(|e| fatal(&[b"unable to switch to current directory"], e))?;
        let signals = Signals::take_over(&[signal::TERM, signal::ALRM])
            .map_err(|e| fatal(&[b"unable to take signals"], e))?;
        let mut statuses = Vec::new();
        for &name in &script.statuses {
            let path = CString::new(name).unwrap_or_default();
            fs::open_append(home.as_fd(), &path)
                .map_err(|e| fatal(&[b"unable to create ", name], e))?;
            let file = fs::open_write(home.as_fd(), &path)
                .map_err(|e| fatal(&[b"unable to write ", name], e))?;
            statuses.push(StatusFile { name, file });
        }
        let mut logs = Vec::new();
        for settings in &script.directories {
            logs.push(Log::open(settings)?);
        }
        Ok(Self {
            script,
            signals,
            statuses,
            logs,
            head: Vec::new(),
            in_line: false,
            dispatched: false,
            ending: false,
            rotation_asked: false,
        })
    }

    fn run(&mut self) {
        let mut piece = [0; PIECE];
        loop {
            self.flush();
            // Asked for while a processor was waited for.
            if core::mem::take(&mut self.rotation_asked) {
                self.rotate();
            }
            if self.ending && !self.in_line {
                break;
            }
            let due = self.logs.iter().filter_map(|log| log.retry).min();
            let [readable, signalled] = poll::readable(
                [fd::stdin(), self.signals.fd()],
                due.map(|due| due.after(instant())),
            );
            if signalled {
                self.take_signals();
            }
            self.retry_processors();
            if core::mem::take(&mut self.rotation_asked) {
                self.rotate();
            }
            if !readable || (self.ending && !self.in_line) {
                continue;
            }
            // What follows the line at hand is left for the next logger.
            let most = if self.ending { 1 } else { PIECE };
            match fd::read(fd::stdin(), piece.get_mut(..most).unwrap_or_default()) {
                Ok(n @ 1..) => self.take(piece.get(..n).unwrap_or_default()),
                Err(Errno::AGAIN) => {}
                Ok(0) | Err(_) => break,
            }
        }
        if self.in_line {
            self.take(b"\n");
        }
        self.end();
    }

    /// Takes a piece of the input.
    fn take(&mut self, mut text: &[u8]) {
        let stamp = self.script.stamp.then(|| label().stamp());
        while !text.is_empty() {
            let newline = text.iter().position(|&c| c == b'\n');
            if self.dispatched {
                let (rest, next) = text.split_at(newline.map_or(text.len(), |at| at + 1));
                self.logs
                    .iter_mut()
                    .filter(|log| log.selected)
                    .for_each(|log| log.directory.add(rest));
                text = next;
                if newline.is_some() {
                    self.end_line();
                }
                continue;
            }
            if !self.in_line {
                self.in_line = true;
                self.head.extend_from_slice(stamp.as_ref().map_or(&[], |s| &s[..]));
            }
            let room = HEAD.saturating_sub(self.head.len());
            let end = newline.unwrap_or(text.len());
            let (part, next) = text.split_at(end.min(room));
            self.head.extend_from_slice(part);
            text = next;
            if !text.is_empty() {
                // Its end has come, or it is longer than the script sees.
                self.dispatch();
            }
        }
    }

    fn end_line(&mut self) {
        self.head.clear();
        self.in_line = false;
        self.dispatched = false;
    }

    /// Runs the script on the head of a line.
    fn dispatch(&mut self) {
        self.dispatched = true;
        let line = core::mem::take(&mut self.head);
        let mut selected = true;
        for action in &self.script.actions {
            match *action {
                Action::Deselect(pattern) => {
                    selected = selected && !pattern::matches(pattern, &line);
                }
                Action::Select(pattern) => {
                    selected = selected || pattern::matches(pattern, &line);
                }
                Action::Stderr if selected => show_on_stderr(&line),
                Action::Status(n) if selected => {
                    if let Some(status) = self.statuses.get(n) {
                        status.show(&line);
                    }
                }
                Action::Directory(n) => {
                    if let Some(log) = self.logs.get_mut(n) {
                        log.selected = selected;
                        if selected {
                            log.directory.add(&line);
                        }
                    }
                }
                Action::Stderr | Action::Status(_) => {}
            }
        }
        // Given back for its room.
        self.head = line;
    }

    /// Writes everything that was taken, however long that lasts.
    fn flush(&mut self) {
        for n in 0..self.logs.len() {
            while !self.logs.get_mut(n).is_none_or(Log::work) {
                self.wait_for_processors();
            }
        }
    }

    /// ALRM: begins new files.
    fn rotate(&mut self) {
        self.flush();
        for n in 0..self.logs.len() {
            while !self.logs.get_mut(n).is_none_or(Log::begin_new_file) {
                self.wait_for_processors();
            }
        }
    }

    fn wait_for_processors(&mut self) {
        let due = self.logs.iter().filter_map(|log| log.retry).min();
        let [_] = poll::readable([self.signals.fd()], due.map(|due| due.after(instant())));
        self.take_signals();
        self.retry_processors();
    }

    fn take_signals(&mut self) {
        for signal in self.signals.pending() {
            self.ending |= signal == signal::TERM;
            self.rotation_asked |= signal == signal::ALRM;
        }
        self.reap();
    }

    fn reap(&mut self) {
        while let Some((pid, how)) = process::reap() {
            let child = Some(pid);
            if let Some(log) = self.logs.iter_mut().find(|log| log.store.processor == child) {
                log.store.processor = None;
                log.processor_ended(how);
            }
        }
    }

    fn retry_processors(&mut self) {
        for log in &mut self.logs {
            if log.retry.is_some_and(|due| due <= instant()) {
                log.retry = None;
                log.directory.processor_ended(false);
            }
        }
    }

    /// The end: everything is written, and marked as complete.
    fn end(&mut self) {
        self.flush();
        while self.logs.iter().any(|log| log.directory.is_processing()) {
            self.wait_for_processors();
            self.flush();
        }
        for log in &mut self.logs {
            log.store.close_complete();
        }
    }
}

impl<'a> Log<'a> {
    /// Opens, locks and recovers a directory.
    fn open(settings: &Settings<'a>) -> Result<Self, i32> {
        let store = LogDir::open(settings)?;
        let mut log = Self {
            settings: *settings,
            directory: Directory::new(settings),
            store,
            selected: false,
            said: None,
            retry: None,
            pause: PAUSE,
        };
        loop {
            match log.directory.recover(&mut log.store, label()) {
                Ok(()) => return Ok(log),
                Err((true, trouble)) => return Err(log.store.fatal(trouble)),
                Err((false, trouble)) => log.bear(trouble),
            }
        }
    }

    /// Writes what there is, waiting out what fails. `false` if the processor has to end first.
    fn work(&mut self) -> bool {
        loop {
            match self.directory.work(&mut self.store, label()) {
                Ok(progress) => return self.went_well(progress),
                Err(trouble) => self.bear(trouble),
            }
        }
    }

    /// The same, and a new file if the one in use is not empty.
    fn begin_new_file(&mut self) -> bool {
        loop {
            match self.directory.ask_rotation(&mut self.store, label()) {
                Ok(progress) => return self.went_well(progress),
                Err(trouble) => self.bear(trouble),
            }
        }
    }

    fn went_well(&mut self, progress: Progress) -> bool {
        self.said = None;
        progress == Progress::Done
    }

    /// Says what is wrong, once, and waits.
    fn bear(&mut self, trouble: Trouble<Errno>) {
        if self.said.map(|said| (said.step.kind(), said.error))
            != Some((trouble.step.kind(), trouble.error))
        {
            self.store.warn(trouble);
        }
        self.said = Some(trouble);
        poll::pause(PAUSE);
    }

    /// The processor has ended: well, or to be run again after a pause that grows.
    fn processor_ended(&mut self, how: Ended) {
        if how == Ended::Exited(0) {
            self.pause = PAUSE;
            self.directory.processor_ended(true);
            return;
        }
        if self.pause == PAUSE {
            let what: &[u8] = match how {
                Ended::Exited(_) => b"processor failed in ",
                Ended::Killed(_) => b"processor crashed in ",
            };
            diag::say(&[b"multilog: warning: ", what, self.settings.name, b", pausing"]);
        }
        self.retry = Some(instant() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

impl StatusFile<'_> {
    /// Overwrites the file with a line, filled up with newlines to a fixed size.
    fn show(&self, line: &[u8]) {
        let mut text = [b'\n'; HEAD + 1];
        for (place, &byte) in text.iter_mut().zip(line) {
            *place = byte;
        }
        let mut said = false;
        loop {
            let error = match fs::write_at_start(self.file.as_fd(), &text) {
                Ok(n) if n == text.len() => return,
                Ok(_) => Errno::NOSPC,
                Err(error) => error,
            };
            if !said {
                let verb: &[u8] = match error {
                    Errno::SPIPE => b"unable to move to beginning of ",
                    _ => b"unable to write ",
                };
                diag::warning("multilog", &[verb, self.name, b", pausing"], error);
            }
            said = true;
            poll::pause(PAUSE);
        }
    }
}

/// `e`: a line, or what there is room for.
fn show_on_stderr(line: &[u8]) {
    const MOST: usize = 200;
    match line.get(..MOST) {
        Some(first) if line.len() > MOST => diag::say(&[first, b"..."]),
        _ => diag::say(&[line]),
    }
}
