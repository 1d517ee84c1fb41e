//! Programs of the scenarios: they use the same system calls as the product.

use crate::multilog::input::{Input, Piece};
use crate::random::Random;
use daemontools_sys::process::arg;
use daemontools_sys::{clock, fd, poll};
use std::time::Duration;

/// A failure that a script expects.
const FAILED: i32 = 1;

fn number(n: usize) -> u64 {
    arg(n).and_then(|text| text.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// Writes the lines of an [`Input`]: argument 1 is its seed, argument 2 the number of lines.
pub fn writer() -> i32 {
    let input = Input::new(number(1), usize::try_from(number(2)).unwrap_or(0));
    for piece in input.pieces() {
        match piece {
            Piece::Text(text) => {
                if fd::write_all(fd::stdout(), text).is_err() {
                    return FAILED;
                }
            }
            Piece::Pause(time) => poll::pause(time),
        }
    }
    0
}

/// `sh -c COMMAND` for the commands that the scenarios use as processors.
pub fn shell() -> i32 {
    let command = arg(2).map(std::ffi::CStr::to_bytes).unwrap_or_default();
    match command {
        b"cat" => copy(),
        b"slow" => {
            poll::pause(Duration::from_secs(3));
            let code = copy();
            poll::pause(Duration::from_secs(1));
            code
        }
        // Two of three times.
        b"fails" => {
            let code = copy();
            let (seconds, nanoseconds) = clock::realtime();
            let seed = seconds.unsigned_abs() ^ u64::from(nanoseconds) << 32;
            if Random::new(seed).one_in(3) { code } else { FAILED }
        }
        _ => 127,
    }
}

/// Copies standard input to standard output.
fn copy() -> i32 {
    let mut buffer = [0; 3000];
    loop {
        match fd::read(fd::stdin(), &mut buffer) {
            Ok(0) => return 0,
            Ok(n) if fd::write_all(fd::stdout(), &buffer[..n]).is_ok() => {}
            _ => return FAILED,
        }
    }
}
