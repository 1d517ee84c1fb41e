//! The messages of a program that never waits for standard error.
//!
//! A supervisor must not stop because a terminal is stopped, a log disk is full or a collector hangs.
//! What standard error does not take waits in a buffer. When the buffer is full, messages are dropped and
//! counted; a later message says how many.

use crate::common::clock::instant;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};
use core::time::Duration;
use daemontools_core::copier;
use daemontools_core::programs::Program;
use daemontools_core::text::decimal::Decimal;
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::{BorrowedFd, Errno, clock, fd, poll, stderr};

/// The programs that never wait.
const PROGRAMS: [Program; 4] =
    [Program::Multilog, Program::Supervise, Program::Svscan, Program::Svscanboot];

/// Size of the buffer: PIPE_BUF, so that a pipe takes all of it in one piece or nothing.
const ROOM: usize = 4096;

/// How long the last messages of a program wait before it exits.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The index of the program in [`PROGRAMS`]; another value if it waits for standard error. Not zero at
/// the start: with zero it would be on a page that no program writes otherwise.
static PROGRAM: AtomicU8 = AtomicU8::new(u8::MAX);

/// Messages are JSON objects. Not zero at the start, for the same reason as [`PROGRAM`].
static FORM: AtomicU8 = AtomicU8::new(PLAIN);

const PLAIN: u8 = 1;
const JSON: u8 = 2;

/// The waiting text. The kernel provides its page at the first use.
static TEXT: [AtomicU8; ROOM] = [const { AtomicU8::new(0) }; ROOM];

/// The length of the waiting text.
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// The number of messages that were dropped and not reported.
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// The last try wrote nothing although poll promised room: try again only with the next message.
static STUCK: AtomicBool = AtomicBool::new(false);

/// From now on, messages of this program do not wait for standard error.
pub(crate) fn never_wait(program: Program) {
    let index = PROGRAMS.iter().position(|it| *it == program);
    PROGRAM.store(index.and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX), Relaxed);
}

/// From now on, messages are JSON objects, a line each.
pub(crate) fn use_json() {
    FORM.store(JSON, Relaxed);
}

/// The message as a JSON object without a newline, if messages have that form.
fn json(pieces: &[&[u8]]) -> Option<Vec<u8>> {
    if FORM.load(Relaxed) != JSON {
        return None;
    }
    let (seconds, nanoseconds) = clock::realtime();
    let mut message = copier::message_as_json(pieces, Tai64n::from_unix(seconds, nanoseconds));
    message.pop();
    Some(message)
}

/// The program that never waits; `None` if this one does.
fn program() -> Option<Program> {
    PROGRAMS.get(usize::from(PROGRAM.load(Relaxed))).copied()
}

/// Whether text waits, or dropped messages are to be reported.
fn is_pending() -> bool {
    LENGTH.load(Relaxed) > 0 || DROPPED.load(Relaxed) > 0
}

/// Writes a message and a newline to standard error.
pub(crate) fn say(pieces: &[&[u8]]) {
    match json(pieces) {
        Some(message) => say_pieces(&[&message]),
        None => say_pieces(pieces),
    }
}

fn say_pieces(pieces: &[&[u8]]) {
    if program().is_none() {
        return fd::write_pieces(fd::stderr(), pieces, b"\n");
    }
    if is_pending() {
        flush();
        STUCK.store(false, Relaxed);
    }
    if is_pending() || !write_or_keep(pieces) {
        keep(pieces, 0);
    }
}

/// Writes a message as [`say`] does, but first waits for up to `patience` until standard error takes it.
/// Returns whether it does.
pub(crate) fn say_within(pieces: &[&[u8]], patience: Duration) -> bool {
    let mut until = None;
    loop {
        if is_pending() {
            flush();
        }
        if !is_pending() && write_or_keep(pieces) {
            return true;
        }
        let now = instant();
        let left = until.get_or_insert(now + patience).duration_since(now);
        if left.is_zero() || !poll::writable(fd::stderr(), left) {
            STUCK.store(false, Relaxed);
            keep(pieces, 0);
            return false;
        }
    }
}

/// Writes a message, or keeps what standard error does not take of it. Returns `false` if it takes
/// nothing.
fn write_or_keep(pieces: &[&[u8]]) -> bool {
    match stderr::write_now(pieces, b"\n") {
        Ok(written) => {
            if written <= pieces.iter().map(|piece| piece.len()).sum() {
                keep(pieces, written);
            }
            true
        }
        Err(Errno::AGAIN) => false,
        // As when it waits: standard error was the place for messages.
        Err(_) => true,
    }
}

/// Keeps a message from byte `written` on, or drops and counts it.
#[cold]
#[inline(never)]
fn keep(pieces: &[&[u8]], written: usize) {
    let rest = pieces.iter().copied().chain([&b"\n"[..]]).flatten().skip(written);
    let length = LENGTH.load(Relaxed);
    let Some(room) = TEXT.get(length..).filter(|room| rest.clone().count() <= room.len()) else {
        DROPPED.fetch_add(1, Relaxed);
        return;
    };
    let kept = room.iter().zip(rest).map(|(place, &byte)| place.store(byte, Relaxed)).count();
    LENGTH.store(length + kept, Relaxed);
}

/// Writes what waits, as far as standard error takes it, and then the number of dropped messages.
#[cold]
#[inline(never)]
fn flush() {
    // While nothing reads, each message costs this one call.
    if !poll::writable(fd::stderr(), Duration::ZERO) {
        return;
    }
    let length = LENGTH.load(Relaxed);
    if length > 0 {
        let mut copy = [0; ROOM];
        copy.iter_mut().zip(&TEXT).for_each(|(place, byte)| *place = byte.load(Relaxed));
        let written = match stderr::write_now(&[copy.get(..length).unwrap_or_default()], b"") {
            Ok(written) => written.min(length),
            Err(Errno::AGAIN) => 0,
            Err(_) => length,
        };
        let rest = copy.get(written..length).unwrap_or_default();
        TEXT.iter().zip(rest).for_each(|(place, &byte)| place.store(byte, Relaxed));
        LENGTH.store(rest.len(), Relaxed);
    }
    let dropped = DROPPED.load(Relaxed);
    if dropped > 0
        && LENGTH.load(Relaxed) == 0
        && let Some(program) = program()
    {
        let number = Decimal::new(u64::try_from(dropped).unwrap_or(u64::MAX));
        let what = if dropped == 1 { " message" } else { " messages" };
        let pieces: [&[u8]; 5] = [
            program.name().as_bytes(),
            b": warning: ",
            number.as_bytes(),
            what.as_bytes(),
            b" dropped: standard error took no more text",
        ];
        let written = match json(&pieces) {
            Some(message) => write_or_keep(&[&message]),
            None => write_or_keep(&pieces),
        };
        if written {
            DROPPED.store(0, Relaxed);
        }
    }
}

/// Waits as [`poll::readable_if`] does. If text waits for standard error, writes it as soon as that is
/// possible.
pub(crate) fn wait<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> [bool; N] {
    if !is_pending() || STUCK.load(Relaxed) {
        return poll::readable_if(fds, timeout);
    }
    let (readable, writable) = poll::readable_if_or_writable(fds, fd::stderr(), timeout);
    if writable {
        let before = (LENGTH.load(Relaxed), DROPPED.load(Relaxed));
        flush();
        STUCK.store(before == (LENGTH.load(Relaxed), DROPPED.load(Relaxed)), Relaxed);
    }
    readable
}

/// Before the exit of the program: waits for up to a second until the last messages are written.
pub(crate) fn finish() {
    if !is_pending() {
        return;
    }
    let until = instant() + LAST_WAIT;
    while is_pending() && poll::writable(fd::stderr(), until.duration_since(instant())) {
        let before = (LENGTH.load(Relaxed), DROPPED.load(Relaxed));
        flush();
        if before == (LENGTH.load(Relaxed), DROPPED.load(Relaxed)) {
            return;
        }
    }
}

/// In a forked child: forgets the text, which the parent keeps.
pub(crate) fn forget() {
    LENGTH.store(0, Relaxed);
    DROPPED.store(0, Relaxed);
}
