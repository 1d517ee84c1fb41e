//! What the programs say on stderr: one line, one write, in the original's words.

use daemontools_core::errno;
use daemontools_sys::fd::write_pieces;
use daemontools_sys::{Errno, fd};

/// Exit code for bad usage and everything else that will not be better next time.
pub(crate) const PERMANENT: i32 = 100;
/// Exit code for what the system refused.
pub(crate) const TEMPORARY: i32 = 111;

/// An error in the original's words.
pub(crate) const fn why(error: Errno) -> &'static str {
    errno::text(error.raw_os_error())
}

/// Writes the pieces and a newline. That nobody listens is no reason to fail.
pub(crate) fn say(pieces: &[&[u8]]) {
    write_pieces(fd::stderr(), pieces, b"\n");
}

fn say_error(program: &str, kind: &str, what: &[&[u8]], reason: &str) {
    let mut pieces: [&[u8]; 12] = [b""; 12];
    let head: [&[u8]; 2] = [program.as_bytes(), kind.as_bytes()];
    let tail: [&[u8]; 2] = [b": ", reason.as_bytes()];
    let all = head.iter().chain(what).chain(&tail);
    for (place, piece) in pieces.iter_mut().zip(all) {
        *place = piece;
    }
    say(&pieces);
}

/// `PROGRAM: fatal: WHAT: ERROR`; gives the exit code.
pub(crate) fn fatal(program: &str, what: &[&[u8]], error: Errno) -> i32 {
    fatal_because(program, what, why(error))
}

/// The same, for a reason in other words than the system's.
pub(crate) fn fatal_because(program: &str, what: &[&[u8]], reason: &str) -> i32 {
    say_error(program, ": fatal: ", what, reason);
    TEMPORARY
}

/// `PROGRAM: warning: WHAT: ERROR`.
pub(crate) fn warning(program: &str, what: &[&[u8]], error: Errno) {
    warning_because(program, what, why(error));
}

/// The same, for a reason in other words than the system's.
pub(crate) fn warning_because(program: &str, what: &[&[u8]], reason: &str) {
    say_error(program, ": warning: ", what, reason);
}

/// `PROGRAM: usage: SYNOPSIS`; gives the exit code.
pub(crate) fn usage(program: &str, synopsis: &str) -> i32 {
    say(&[program.as_bytes(), b": usage: ", synopsis.as_bytes()]);
    PERMANENT
}
