//! Messages on stderr: one line in one write, in the original's words.

use crate::common::unsent;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::programs::Program;
use daemontools_core::text::{errno, interpreter};
use daemontools_sys::{Errno, fs};

/// Exit code for errors that a repetition does not cure, like bad usage.
pub(crate) const PERMANENT: i32 = 100;
/// Exit code for errors of the system.
pub(crate) const TEMPORARY: i32 = 111;

/// The text of an error, in the original's words.
pub(crate) const fn why(error: Errno) -> &'static str {
    errno::text(error.raw_os_error())
}

/// Writes the pieces and a newline to stderr. An error of stderr is ignored.
///
/// A supervisor does not wait for stderr: see [`unsent`].
pub(crate) fn say(pieces: &[&[u8]]) {
    unsent::say(pieces);
}

fn say_error(program: &str, kind: &str, what: &[&[u8]], reason: &str) {
    let mut pieces: [&[u8]; 12] = [b""; 12];
    let head: [&[u8]; 2] = [program.as_bytes(), kind.as_bytes()];
    let tail: [&[u8]; 2] = [b": ", reason.as_bytes()];
    let all = head.iter().chain(what).chain(&tail);
    for (out, piece) in pieces.iter_mut().zip(all) {
        *out = piece;
    }
    say(&pieces);
}

/// Prints `PROGRAM: fatal: WHAT: ERROR`, and returns the exit code.
pub(crate) fn fatal(program: &str, what: &[&[u8]], error: Errno) -> i32 {
    fatal_because(program, what, why(error))
}

/// Prints `PROGRAM: fatal: WHAT: ERROR` for a program that could not be executed, and returns the exit
/// code.
///
/// The kernel reports ENOENT also for a file that exists, if its interpreter is missing. The message
/// then names the interpreter. It ends with `place`, the directory of the program, if that is not
/// empty.
#[cold]
#[inline(never)]
pub(crate) fn not_executed(
    program: &str,
    what: &[&[u8]],
    path: &CStr,
    error: Errno,
    place: &[u8],
) -> i32 {
    let mut room = [0; 256];
    let missing = match fs::read_start(fs::HERE, path, &mut room) {
        Ok(start) if error == Errno::NOENT => interpreter::explain_missing(start),
        _ => Vec::new(),
    };
    // Without further words the message needs no memory, which a limit may refuse.
    if missing.is_empty() && place.is_empty() {
        return fatal(program, what, error);
    }
    let head: [&[u8]; 2] = [program.as_bytes(), b": fatal: "];
    let mut pieces = [&head, what, &[b": ", why(error).as_bytes()]].concat();
    if !missing.is_empty() {
        pieces.extend_from_slice(&[b": ", &missing]);
    }
    if !place.is_empty() {
        pieces.extend_from_slice(&[b": in ", place]);
    }
    say(&pieces);
    TEMPORARY
}

/// Prints `PROGRAM: fatal: WHAT: REASON`, and returns the exit code.
pub(crate) fn fatal_because(program: &str, what: &[&[u8]], reason: &str) -> i32 {
    say_error(program, ": fatal: ", what, reason);
    TEMPORARY
}

/// Prints `PROGRAM: warning: WHAT: ERROR`.
pub(crate) fn warning(program: &str, what: &[&[u8]], error: Errno) {
    warning_because(program, what, why(error));
}

/// Prints `PROGRAM: warning: WHAT: REASON`.
pub(crate) fn warning_because(program: &str, what: &[&[u8]], reason: &str) {
    say_error(program, ": warning: ", what, reason);
}

/// Prints the usage message of a program, and returns the exit code.
#[inline]
pub(crate) fn usage(program: Program) -> i32 {
    say(&[program.usage().as_bytes()]);
    PERMANENT
}
