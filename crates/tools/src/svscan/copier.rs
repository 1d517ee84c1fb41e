//! The copier of `svscan -p`: a child of svscan that reads the output of all services and writes it, line
//! by line with the name of the service, to the output of svscan.
//!
//! It has the read end of a pipe for each output, and keeps nothing of what it reads: it looks at a pipe
//! without removing the bytes, writes the lines, and then removes them. So its death loses no line. That a
//! cut line continues is kept in the mode of the pipe.
//!
//! If svscan is killed, the copier goes on. The next svscan finds it by its mark on each pipe, claims the
//! pipe by a mark of its own, and sends USR1: the copier gives up the claimed pipes. It ends when it has
//! none.

use crate::common::diag;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::copier::pieces::{self, LONGEST, Piece, ROOM_FOR_LONGEST};
use daemontools_core::copier::{Form, Stream};
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::changes::{self, Change, ChangeSet, MOST_CHANGES};
use daemontools_sys::pass::{PassSocket, Passed};
use daemontools_sys::peek::{self, SecondPipe};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, clock, fd, fs, lock, poll};

/// The key of the socket to svscan.
const CONTROL: u64 = 0;

/// The key of the signals.
const SIGNALS: u64 = 1;

/// The key of the first stream.
const FIRST: u64 = 2;

/// How much of a pipe one look shows, unless a line is longer.
const LOOK: usize = 16 * 1024;

/// How many looks at one pipe before it is the turn of the next one.
const LOOKS: usize = 4;

/// As much as a pipe takes in one piece (PIPE_BUF): other writers do not mix with shorter lines.
const AT_ONCE: usize = 4096;

/// Time between two tries to write when a disk is full.
const PAUSE: Duration = Duration::from_secs(1);

/// Room for the name of a service, with `/log`.
const NAME_ROOM: usize = 512;

/// A bit of a pipe's mode: the beginning of the present line has been written. The bit (S_ISVTX) has no
/// effect on a pipe, and stays until the pipe is gone.
const CONTINUES: u32 = 0o1000;

/// The output of a service.
struct Copied {
    pipe: OwnedFd,
    name: Box<[u8]>,
    stream: Stream,
    /// The beginning of the present line has been written.
    continues: bool,
    /// The pipe has the mark [`CONTINUES`].
    is_marked: bool,
    /// The length of the unfinished line that the last look has left in the pipe.
    rest: usize,
    /// Each write sends IO.
    signals_arrivals: bool,
}

impl Copied {
    /// Sets or removes the mark in the pipe, for the copier that may come after this one.
    fn mark_continuation(&mut self) {
        if self.is_marked == self.continues {
            return;
        }
        let pipe = self.pipe.as_fd();
        if let Ok(stat) = fs::stat_open(pipe) {
            let mark = if self.continues { CONTINUES } else { 0 };
            let _ = fs::fchmod(pipe, stat.mode & !CONTINUES | mark);
        }
        self.is_marked = self.continues;
    }
}

struct Copier {
    form: Form,
    /// `None` once svscan has closed it: then the copier ends with the last writer.
    control: Option<PassSocket>,
    changes: ChangeSet,
    second: SecondPipe,
    /// By key.
    streams: Vec<Option<Copied>>,
    /// What a look shows.
    seen: Vec<u8>,
    out: Outlet,
}

/// The lines that are still to be written, and what they are in the pipe.
struct Outlet {
    text: Vec<u8>,
    /// Failures that were reported, by stream.
    warned: [bool; 2],
}

/// What a look at a pipe has led to.
#[derive(PartialEq, Eq)]
enum Looked {
    /// There may be more lines.
    More,
    /// Nothing is left but perhaps the beginning of a line.
    Done,
}

/// Copies until svscan has closed its socket and no process can write any more. Returns the exit code.
pub(super) fn run(form: Form, control: PassSocket) -> i32 {
    let prepared = ChangeSet::new().and_then(|changes| {
        changes.add(control.fd(), CONTROL)?;
        let signals = Signals::take_over(&[signal::USR1, signal::IO])?;
        changes.add(signals.fd(), SIGNALS)?;
        Ok((changes, signals, SecondPipe::new()?))
    });
    let (changes, signals, second) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            return diag::fatal("svscan", &[b"unable to copy the output of services"], error);
        }
    };
    let mut copier = Copier {
        form,
        control: Some(control),
        changes,
        second,
        streams: Vec::new(),
        seen: vec![0; LOOK],
        out: Outlet { text: Vec::new(), warned: [false; 2] },
    };
    let mut found = Vec::with_capacity(MOST_CHANGES);
    while copier.control.is_some() || copier.streams.iter().any(Option::is_some) {
        copier.changes.wait(|change| found.push(change));
        for change in found.drain(..) {
            match change.key {
                CONTROL => copier.take_streams(),
                SIGNALS => {
                    for number in signals.pending() {
                        match number {
                            signal::USR1 => copier.give_up_claimed(),
                            signal::IO => copier.continue_lines(),
                            _ => {}
                        }
                    }
                }
                _ => copier.copy(change),
            }
        }
    }
    0
}

impl Copier {
    /// Takes the pipes that svscan sends, and answers each.
    fn take_streams(&mut self) {
        let mut room = [0; NAME_ROOM];
        while let Some(control) = &self.control {
            match control.receive(&mut room) {
                Passed::Message(length, pipe) => {
                    let message = room.get(..length).unwrap_or_default();
                    let pipe = pipe.ok_or(Errno::MFILE);
                    if let Err(error) = pipe.and_then(|pipe| self.add(message, pipe)) {
                        let name = message.get(1..).unwrap_or_default();
                        diag::warning("svscan", &[b"unable to copy the output of ", name], error);
                    }
                    if let Some(control) = &self.control {
                        // svscan counts the answers, so that there is always room for them.
                        let _ = control.send(b"+", None);
                    }
                }
                Passed::Nothing => return,
                Passed::End => self.control = None,
            }
        }
    }

    /// Adds a stream. The message is the number of the descriptor and the name.
    fn add(&mut self, message: &[u8], pipe: OwnedFd) -> Result<()> {
        let (&number, name) = message.split_first().ok_or(Errno::INVAL)?;
        let stream = Stream::of_number(number).ok_or(Errno::INVAL)?;
        let place = self.streams.iter().position(Option::is_none).unwrap_or(self.streams.len());
        if place == self.streams.len() {
            self.streams.push(None);
        }
        // Another svscan finds this copier by it.
        let _ = lock::mark(pipe.as_fd());
        let is_marked = fs::stat_open(pipe.as_fd()).is_ok_and(|stat| stat.mode & CONTINUES != 0);
        self.changes.add(pipe.as_fd(), key_of(place))?;
        if let Some(free) = self.streams.get_mut(place) {
            *free = Some(Copied {
                pipe,
                name: self.form.name(name),
                stream,
                continues: is_marked,
                is_marked,
                rest: 0,
                signals_arrivals: false,
            });
        }
        Ok(())
    }

    /// Copies the pipes that have more than the unfinished line of the last look.
    fn continue_lines(&mut self) {
        for place in 0..self.streams.len() {
            let copied = self.streams.get(place).and_then(Option::as_ref);
            if copied.is_some_and(|it| it.rest > 0 && unread(it.pipe.as_fd()) != it.rest) {
                self.copy(Change { key: key_of(place), hung_up: false });
            }
        }
    }

    /// Gives up the pipes that another svscan has claimed.
    fn give_up_claimed(&mut self) {
        for place in &mut self.streams {
            // The svscan that made the pipe has gone, and its mark with it.
            let is_claimed = |copied: &mut Copied| lock::marker(copied.pipe.as_fd()).is_some();
            if let Some(copied) = place.take_if(is_claimed) {
                self.changes.remove(copied.pipe.as_fd());
            }
        }
    }

    /// Copies what is new in a pipe. After its last writer has gone, drops it.
    fn copy(&mut self, Change { key, hung_up }: Change) {
        let place = place_of(key);
        let Some(mut copied) = self.streams.get_mut(place).and_then(Option::take) else { return };
        let mut looks = (0..LOOKS).map(|_| match self.look(&mut copied, hung_up) {
            // A write that waits for room is no change for the set while the line is in the pipe.
            Looked::Done if copied.rest > 0 && !copied.signals_arrivals => {
                copied.signals_arrivals = true;
                let _ = changes::signal_arrivals(copied.pipe.as_fd());
                // It may have come before.
                Looked::More
            }
            looked => looked,
        });
        if looks.all(|looked| looked == Looked::More) {
            self.changes.report_again(copied.pipe.as_fd(), key);
        } else if hung_up {
            // svscan may have the pipe open for reading, so that it would stay in the set.
            self.changes.remove(copied.pipe.as_fd());
            return;
        }
        if let Some(place) = self.streams.get_mut(place) {
            *place = Some(copied);
        }
    }

    /// Looks at a pipe, writes the lines in it, and removes them.
    fn look(&mut self, copied: &mut Copied, at_end: bool) -> Looked {
        copied.rest = 0;
        let length = self.second.look(copied.pipe.as_fd(), &mut self.seen).unwrap_or(0);
        if length == 0 {
            return Looked::Done;
        }
        let now = now();
        let seen = self.seen.get(..length).unwrap_or_default();
        let mut done = 0;
        let mut batch = Batch { out: &mut self.out, second: &self.second, length: 0 };
        while let Some(piece) =
            pieces::first(seen.get(done..).unwrap_or_default(), usize::MAX, false)
        {
            batch.add(self.form, copied, piece, now);
            done += piece.length;
        }
        batch.write(copied);
        let rest = length - done;
        let unread = unread(copied.pipe.as_fd());
        if done > 0 && (unread > rest || at_end && rest > 0) {
            return Looked::More;
        }
        copied.rest = rest;
        if done > 0 || rest == 0 {
            return Looked::Done;
        }
        let pipe = copied.pipe.as_fd();
        // A line without an end. It stays in the pipe, unless it is too long or nothing will follow.
        if length == self.seen.len() && length <= LONGEST {
            self.seen.resize((2 * length).min(LONGEST + 1), 0);
            return Looked::More;
        }
        let mut limit = pieces::limit(self.second.capacity(pipe));
        if rest >= limit && limit < LONGEST {
            let capacity = self.second.enlarge(pipe, ROOM_FOR_LONGEST);
            limit = pieces::limit(capacity);
        }
        // The limit is for the smallest writes. Most often the pipe has room for more of the line.
        if (limit..LONGEST).contains(&rest) && self.second.shows_all(pipe) {
            let is_full = peek::is_full(pipe).unwrap_or(true);
            if self::unread(pipe) != rest {
                return Looked::More;
            }
            if !is_full {
                limit = LONGEST;
            }
        }
        let at_end = at_end && unread == rest;
        let seen = self.seen.get(..length).unwrap_or_default();
        let Some(piece) = pieces::first(seen, limit, at_end) else {
            return Looked::Done;
        };
        copied.rest = 0;
        let mut batch = Batch { out: &mut self.out, second: &self.second, length: 0 };
        batch.add(self.form, copied, piece, now);
        batch.write(copied);
        // A long line is rare.
        self.out.text.shrink_to(AT_ONCE);
        Looked::More
    }
}

/// Lines of one pipe that are to be written, and then removed from the pipe.
struct Batch<'a> {
    out: &'a mut Outlet,
    second: &'a SecondPipe,
    /// The bytes in the pipe that the text stands for.
    length: usize,
}

impl Batch<'_> {
    /// Adds a piece of a line. Writes the ones before it if they do not fit into one write together.
    fn add(&mut self, form: Form, copied: &mut Copied, piece: Piece<'_>, now: Tai64n) {
        let before = self.out.text.len();
        let (text, continues) = (&mut self.out.text, copied.continues);
        form.append(&copied.name, copied.stream, piece, continues, now, text);
        copied.continues = piece.is_cut;
        if before > 0 && self.out.text.len() > AT_ONCE {
            self.write_start(copied, before);
        }
        self.length += piece.length;
    }

    /// Writes everything.
    fn write(&mut self, copied: &mut Copied) {
        if self.length > 0 {
            self.write_start(copied, self.out.text.len());
        }
    }

    /// Writes the text up to `end`, and removes its lines from the pipe.
    fn write_start(&mut self, copied: &mut Copied, end: usize) {
        self.out.write(copied.stream, end);
        self.out.text.drain(..end);
        // Before the removal: a copier that is killed in between doubles the lines anyway.
        copied.mark_continuation();
        self.second.consume(copied.pipe.as_fd(), self.length);
        self.length = 0;
    }
}

impl Outlet {
    /// Writes the text up to `end`. Waits until svscan's output takes it. Drops it if there is no
    /// output any more.
    fn write(&mut self, stream: Stream, end: usize) {
        let output = output_of(stream);
        let mut done = 0;
        while let Some(rest @ [_, ..]) = self.text.get(done..end) {
            match fd::write(output, rest) {
                Ok(written) => {
                    done += written;
                    self.warned = [false; 2];
                }
                // Another process has made the open file non-blocking.
                Err(Errno::AGAIN) => drop(poll::writable(output, Duration::from_secs(3600))),
                Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::NOBUFS)) => {
                    self.warn(stream, b", trying again", error);
                    poll::pause(PAUSE);
                }
                Err(error) => {
                    self.warn(stream, b", dropping the output of services", error);
                    return;
                }
            }
        }
    }

    fn warn(&mut self, stream: Stream, consequence: &[u8], error: Errno) {
        let number = usize::from(stream.number() - 1);
        if let Some(warned) = self.warned.get_mut(number)
            && !core::mem::replace(warned, true)
        {
            let output: &[u8] = match stream {
                Stream::Out => b"standard output",
                Stream::Err => b"standard error",
            };
            diag::warning("svscan", &[b"unable to write to ", output, consequence], error);
        }
    }
}

fn output_of(stream: Stream) -> BorrowedFd<'static> {
    match stream {
        Stream::Out => fd::stdout(),
        Stream::Err => fd::stderr(),
    }
}

fn now() -> Tai64n {
    let (seconds, nanoseconds) = clock::realtime();
    Tai64n::from_unix(seconds, nanoseconds)
}

/// The number of bytes in a pipe.
fn unread(pipe: BorrowedFd<'_>) -> usize {
    fd::unread(pipe).map_or(0, |unread| usize::try_from(unread).unwrap_or(0))
}

const fn key_of(place: usize) -> u64 {
    place as u64 + FIRST
}

fn place_of(key: u64) -> usize {
    usize::try_from(key.saturating_sub(FIRST)).unwrap_or(usize::MAX)
}
