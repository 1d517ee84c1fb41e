//! multilog: reads lines, selects, and keeps them in rotated logs.
//!
//! The loop writes everything that has come before it waits for more. `intake` reads, the router
//! of `daemontools-core` says where each line goes, and `log` keeps a directory.

mod access;
mod heir;
mod intake;
mod log;
mod store;

use crate::diag::{self, PERMANENT, TEMPORARY};
use crate::time::{instant, label};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::decimal::Decimal;
use daemontools_core::lines;
use daemontools_core::multilog::batch::{Batch, Stage, digest};
use daemontools_core::multilog::router::{HEAD, Outputs, Router};
use daemontools_core::multilog::script::{Script, Stamp, Wrong};
use daemontools_core::tai::Tai64n;
use daemontools_sys::process;
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, fd, fs, poll};
use heir::Heir;
use intake::{BATCH, Input, Intake, SIGHT};
use log::{Log, PAUSE, Work};

/// How much of a batch is written at once.
const SLICE: usize = 64 * 1024;

/// So that a name fits: it has 26 bytes before the code, and 255 at most.
const LONGEST_CODE: usize = 229;

/// A day has so many seconds.
const DAY: i64 = 86_400;

/// How long nothing has to come until what is held for much input is given back.
const QUIET: Duration = Duration::from_secs(1);

/// Exit code: 0 at the end of the input and after TERM, 111 if it cannot begin, 100 if it never can.
pub(crate) fn main() -> i32 {
    let script = Script::parse(process::args(1).map(core::ffi::CStr::to_bytes));
    fd::fill_missing(fd::Missing::ClosedForChildren);
    for changed in &script.changed {
        let (letter, taken) = (changed.arg.get(..1), Decimal::new(changed.taken));
        let taken = [letter.unwrap_or_default(), taken.as_bytes()].concat();
        let why: &[u8] = match changed.why {
            Wrong::TooSmall => b" is too small, using ",
            Wrong::TooLarge => b" is too large, using ",
            Wrong::NoNumber => b" is not a number, using ",
        };
        diag::say(&[b"multilog: warning: ", changed.arg, why, &taken]);
    }
    let is_wrong = |code: &[u8]| code.contains(&b'/') || code.len() > LONGEST_CODE;
    if let Some(settings) = script.directories.iter().find(|s| is_wrong(s.code)) {
        diag::say(&[b"multilog: fatal: w", settings.code, b" is no end of a file's name"]);
        return PERMANENT;
    }
    match Multilog::begin(&script) {
        Ok(mut multilog) => {
            multilog.run();
            0
        }
        Err(code) => code,
    }
}

struct Multilog<'a> {
    script: &'a Script<'a>,
    /// What the input is, if it can come in batches.
    source: Option<u64>,
    intake: Intake,
    router: Router<'a>,
    sinks: Sinks<'a>,
    /// What has to be the same for a batch to be the same, besides its text.
    seed: u64,
    /// The moment in the last stamp.
    last: Tai64n,
}

/// Where lines go, and what may come while they have to wait there.
struct Sinks<'a> {
    signals: Signals,
    /// TERM has come.
    ending: bool,
    /// ALRM has come.
    rotation_asked: bool,
    statuses: Vec<StatusFile<'a>>,
    logs: Vec<Log<'a>>,
    /// While much comes.
    heir: Option<Heir>,
    /// This is the heir of a logger that is dead.
    is_heir: bool,
}

/// A file that shows the last line.
struct StatusFile<'a> {
    name: &'a [u8],
    file: OwnedFd,
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
        // What a limit of lines a second lets pass cannot be found again by the next logger.
        let repeatable = script.directories.iter().all(|settings| settings.rate.is_none());
        let source = if repeatable { intake::source() } else { None };
        for settings in &script.directories {
            logs.push(Log::open(settings, source)?);
        }
        // A clock that was set back must not make the labels of a file go back, but nobody wants to
        // wait for the moment of one that was quite wrong.
        let latest = Tai64n::from_unix(label().to_unix() + DAY, 0);
        let labels = logs.iter().filter(|_| script.stamp == Stamp::Tai64n);
        let last = labels.filter_map(Log::last_label).filter(|label| *label < latest).max();
        let last = last.unwrap_or_default();
        let source = source.filter(|_| !logs.is_empty());
        Ok(Self {
            script,
            source,
            intake: Intake::new(source.is_some()),
            router: Router::new(script),
            sinks: Sinks {
                signals,
                ending: false,
                rotation_asked: false,
                statuses,
                logs,
                heir: None,
                is_heir: false,
            },
            seed: process::args(1).fold(0, |seed, arg| digest(seed, arg.to_bytes())),
            last,
        })
    }

    fn run(&mut self) {
        self.take_up_what_was_left();
        loop {
            self.flush();
            // Asked for by now, or while a processor was waited for.
            if core::mem::take(&mut self.sinks.rotation_asked) {
                self.rotate();
            }
            if self.sinks.ending && !self.is_in_line() {
                break;
            }
            if !self.wait_for_input() {
                continue;
            }
            // What follows the line at hand is left for the next logger.
            let input = self.intake.next(self.router.is_in_line(), self.sinks.ending);
            if input == Input::End {
                break;
            }
            self.take(input);
        }
        if self.router.is_in_line() {
            self.end_marks();
            let now = self.now();
            self.router.take(b"\n", now, &mut self.sinks);
        }
        let now = self.now();
        self.router.tell_rest(now, &mut self.sinks);
        self.end();
    }

    /// Whether the beginning of a line was taken out of the pipe.
    fn is_in_line(&self) -> bool {
        self.router.is_in_line() || !self.intake.held().is_empty()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::End | Input::Nothing => {}
            Input::Piece(length) => self.take_piece(length),
            Input::Held(length) => {
                // Not enough for anything to come of it, so that its mark stays true.
                let now = self.now();
                self.route(length, now);
            }
            Input::Batches => {
                let most = self.largest_batch();
                let now = self.now();
                while let Some(length) = self.intake.next_batch(most) {
                    self.take_batch(length, now, |_| 0);
                }
                self.end_marks();
            }
            Input::Beginning(length) => self.hold(length),
        }
    }

    /// The moment for stamps, which never go back: when the clock does, they stand still until it
    /// has caught up.
    fn now(&mut self) -> Tai64n {
        self.last = self.last.max(label());
        self.last
    }

    /// Waits for input, a signal or something that is due, and does what the last two ask for.
    /// Whether there is input, and it is to be taken.
    fn wait_for_input(&mut self) -> bool {
        let due = self.sinks.logs.iter().filter_map(Log::due).min();
        let is_roomy = self.intake.is_peeking() || self.sinks.logs.iter().any(Log::is_roomy);
        let quiet = is_roomy.then_some(QUIET);
        let dropped = self.router.has_dropped().then_some(QUIET);
        let due = due.map(|due| due.after(instant()));
        let timeout = due.into_iter().chain(quiet).chain(dropped).min();
        let [input, signalled] = poll::readable([fd::stdin(), self.sinks.signals.fd()], timeout);
        if signalled {
            self.sinks.take_signals();
        }
        if !input {
            if quiet.is_some() && !signalled {
                if self.intake.is_peeking() {
                    let held = self.intake.end_to_peek();
                    self.take(held);
                    self.sinks.heir = None;
                }
                self.sinks.logs.iter_mut().for_each(Log::shrink);
            }
            let now = self.now();
            self.router.tell_dropped(now, &mut self.sinks);
        }
        self.sinks.logs.iter_mut().for_each(Log::retry_processor);
        input && !self.sinks.rotation_asked && (!self.sinks.ending || self.is_in_line())
    }

    /// Gives so much of the input to those who write it, and writes all but the last of it.
    fn route(&mut self, length: usize, now: Tai64n) {
        let mut done = 0;
        while done < length {
            if done > 0 {
                self.flush();
            }
            let text = self.intake.text(done, length.min(done + SLICE));
            // Cut where a line ends, if one does.
            let text = match lines::whole(text) {
                [] => text,
                whole => whole,
            };
            self.router.take(text, now, &mut self.sinks);
            done += text.len();
        }
    }

    /// Takes text that is not protected. It is rather lost by a KILL than doubled, and so is the
    /// beginning of a line which it may end.
    fn take_piece(&mut self, length: usize) {
        self.end_marks();
        let now = self.now();
        self.intake.consume(length);
        self.route(length, now);
        self.intake.pass(length);
    }

    /// How much of what was seen can be written before it is consumed: much, if there is an heir.
    fn largest_batch(&mut self) -> usize {
        if self.sinks.heir.is_none() && self.intake.seen() > BATCH {
            self.sinks.heir = Heir::leave(|| self.inherit()).ok();
        }
        if self.sinks.heir.is_some() { SIGHT } else { BATCH }
    }

    /// In the heir, once the logger is dead: finishes what it was doing, and leaves everything else as
    /// a KILL does. What cannot be done at once is left as it is to the next logger, which shall not
    /// have to wait.
    fn inherit(&mut self) {
        self.sinks.is_heir = true;
        // Nothing is worth waiting for.
        self.sinks.ending = true;
        if !self.sinks.logs.iter_mut().any(Log::is_marked) {
            return;
        }
        for (log, settings) in self.sinks.logs.iter_mut().zip(&self.script.directories) {
            if log.inherit(settings, self.source).is_err() {
                return;
            }
        }
        self.router = Router::new(self.script);
        self.intake = Intake::new(true);
        self.take_up_what_was_left();
        self.flush();
    }

    /// Writes whole lines that are in the pipe, behind what is held, and consumes them. `written`
    /// says how much of what comes of them is in a directory. The marks stay for the next batch.
    fn take_batch(&mut self, length: usize, moment: Tai64n, written: impl Fn(&Log<'_>) -> u64) {
        let held = self.intake.held();
        let batch = self.batch(held.len(), length, moment);
        let marked = self.sinks.logs.iter_mut().all(|log| {
            let written = written(log);
            log.begin_batch(batch, held, written)
        });
        if !marked {
            return self.take_piece(length);
        }
        self.route(length, moment);
        self.flush();
        self.intake.consume(length);
        self.intake.pass(length);
    }

    /// What is marked is over.
    fn end_marks(&mut self) {
        self.sinks.logs.iter_mut().for_each(Log::end_batch);
    }

    /// Holds the beginning of a line, whose end is not in the pipe.
    fn hold(&mut self, length: usize) {
        let now = self.now();
        let batch = self.batch(self.intake.held().len(), length, now);
        // One directory is enough: a batch marks all.
        let Some(log) = self.sinks.logs.first_mut() else {
            return self.take_piece(length);
        };
        if !log.hold(batch, self.intake.text(0, length), Stage::Holding) {
            return self.take_piece(length);
        }
        self.intake.hold(length);
        // If this fails, the next logger compares it with the pipe.
        let _ = log.hold(batch, self.intake.held(), Stage::Held);
    }

    /// What is in the pipe of the text that was seen.
    fn batch(&self, from: usize, end: usize, moment: Tai64n) -> Batch {
        let text = self.intake.text(from, end);
        Batch { length: text.len() as u64, digest: digest(self.seed, text), moment }
    }

    /// Goes on where an earlier logger was killed.
    fn take_up_what_was_left(&mut self) {
        let Some(left) = self.sinks.logs.iter().find_map(Log::left).cloned() else {
            return;
        };
        let Batch { length, digest: wanted, moment } = left.batch;
        let seed = self.seed;
        let seen = (left.stage != Stage::Held).then(|| {
            self.intake.hold_again(left.held_before());
            self.intake.sees(length, |text| digest(seed, text) == wanted)
        });
        match (left.stage, seen.flatten()) {
            (Stage::Writing, Some(length)) => {
                self.last = moment;
                self.take_batch(length, moment, |log| {
                    let same = log.left().filter(|other| other.batch == left.batch);
                    same.map_or(0, |left| left.written)
                });
                self.end_marks();
            }
            (_, Some(_)) => {}
            (Stage::Writing, None) => {
                self.intake.hold_again(&[]);
                self.end_marks();
            }
            (_, None) => self.intake.hold_again(left.held_after()),
        }
        if !self.intake.is_peeking() {
            let held = self.intake.end_to_peek();
            self.take(held);
        }
    }

    /// Writes everything that was taken, however long that lasts.
    fn flush(&mut self) {
        self.work(Log::work);
    }

    /// ALRM: begins new files.
    fn rotate(&mut self) {
        self.work(Log::begin_new_file);
    }

    /// Does the same to all directories, waiting for whatever it takes.
    fn work(&mut self, step: impl Fn(&mut Log<'a>) -> Work) {
        for n in 0..self.sinks.logs.len() {
            while let Some(log) = self.sinks.logs.get_mut(n) {
                match step(log) {
                    Work::Done => break,
                    Work::Waiting | Work::Failed if self.sinks.is_heir => process::exit(TEMPORARY),
                    Work::Waiting => self.wait_for_processors(None),
                    Work::Failed => self.wait_for_processors(Some(PAUSE)),
                }
            }
        }
    }

    /// Sleeps until a signal comes, a processor is to be run again, or `most` has passed.
    fn wait_for_processors(&mut self, most: Option<Duration>) {
        let retry = self.sinks.logs.iter().filter_map(Log::retry).min();
        let retry = retry.map(|due| due.after(instant()));
        let [signalled] =
            poll::readable([self.sinks.signals.fd()], retry.into_iter().chain(most).min());
        if signalled {
            self.sinks.take_signals();
        }
        self.sinks.logs.iter_mut().for_each(Log::retry_processor);
    }

    /// The end: everything is written, and marked as complete.
    fn end(&mut self) {
        self.flush();
        while self.sinks.logs.iter().any(Log::is_processing) {
            self.wait_for_processors(None);
            self.flush();
        }
        self.work(Log::close);
    }
}

impl Sinks<'_> {
    fn take_signals(&mut self) {
        for signal in self.signals.pending() {
            self.ending |= signal == signal::TERM;
            self.rotation_asked |= signal == signal::ALRM;
        }
        while let Some((pid, how)) = process::reap() {
            if self.heir.as_mut().is_some_and(|heir| heir.has_ended(pid)) {
                self.heir = None;
            }
            let mut logs = self.logs.iter_mut();
            if let Some(log) = logs.find(|log| log.processor() == Some(pid)) {
                log.processor_ended(how);
            }
        }
    }
}

impl Outputs for Sinks<'_> {
    fn directory(&mut self, number: usize, text: &[u8]) {
        if let Some(log) = self.logs.get_mut(number) {
            log.add(text);
        }
    }

    /// `e`: a line, or what there is room for.
    fn stderr(&mut self, line: &[u8]) {
        const MOST: usize = 200;
        match line.get(..MOST) {
            Some(first) if line.len() > MOST => diag::say(&[first, b"..."]),
            _ => diag::say(&[line]),
        }
    }

    fn status(&mut self, number: usize, line: &[u8]) {
        let mut said = false;
        while let Some(status) = self.statuses.get(number)
            && let Err(error) = status.show(line)
        {
            if !said {
                status.warn(error);
            }
            said = true;
            // The file shows the last line and keeps none: that is not worth waiting for.
            if self.ending {
                return;
            }
            let [signalled] = poll::readable([self.signals.fd()], Some(PAUSE));
            if signalled {
                self.take_signals();
            }
        }
    }
}

impl StatusFile<'_> {
    /// Overwrites the file with a line, filled up with newlines to a fixed size.
    fn show(&self, line: &[u8]) -> Result<(), Errno> {
        let mut text = [b'\n'; HEAD + 1];
        for (place, &byte) in text.iter_mut().zip(line) {
            *place = byte;
        }
        match fs::write_at(self.file.as_fd(), 0, &text)? {
            n if n == text.len() => Ok(()),
            _ => Err(Errno::NOSPC),
        }
    }

    fn warn(&self, error: Errno) {
        let verb: &[u8] = match error {
            Errno::SPIPE => b"unable to move to beginning of ",
            _ => b"unable to write ",
        };
        diag::warning("multilog", &[verb, self.name, b", pausing"], error);
    }
}
