//! Programs of the scenarios: they use the same system calls as the product.

use crate::multilog::input::{Input, Piece};
use crate::random::Random;
use daemontools_sys::process::{Forked, arg};
use daemontools_sys::{AsFd as _, clock, fd, poll, process, signal};
use std::time::Duration;

/// A failure that a script expects.
const FAILED: i32 = 1;

fn number(n: usize) -> u64 {
    arg(n).and_then(|text| text.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// Writes the lines of an [`Input`]: argument 1 is its seed, argument 2 the number of lines, argument 3 the
/// place where it begins. If argument 4 is 1, it leaves out the last newline.
pub fn writer() -> i32 {
    let size = |n| usize::try_from(number(n)).unwrap_or(0);
    let input = Input::new(number(1), size(2));
    let end = input.text.len().saturating_sub(size(4));
    for piece in input.pieces(size(3), end) {
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
        // Longer than the loggers of a scenario usually live.
        b"hangs" => {
            poll::pause(Duration::from_secs(1000));
            copy()
        }
        // Two of three times, in the middle of its output.
        b"fails" => {
            if !is_lucky() {
                let mut buffer = [0; 1000];
                let length = fd::read(fd::stdin(), &mut buffer).unwrap_or(0);
                let _ = fd::write_all(fd::stdout(), &buffer[..length]);
                return FAILED;
            }
            copy()
        }
        // In the middle of its output.
        b"crashes" => {
            let mut buffer = [0; 3000];
            if !is_lucky() {
                let _ = fd::read(fd::stdin(), &mut buffer);
                let _ = fd::write_all(fd::stdout(), &buffer);
                let _ = process::kill(process::id(), signal::KILL);
            }
            copy()
        }
        // Its child keeps all descriptors for a while.
        b"forks" => {
            if let Ok(Forked::Child) = process::fork() {
                poll::pause(Duration::from_secs(5));
                return 0;
            }
            copy()
        }
        b"counts" => count(),
        _ => 127,
    }
}

/// True once in three times.
fn is_lucky() -> bool {
    let (seconds, nanoseconds) = clock::realtime();
    let seed = seconds.unsigned_abs() ^ u64::from(nanoseconds) << 32;
    Random::new(seed).one_in(3)
}

/// Copies standard input, and increases the number in the state.
fn count() -> i32 {
    let (Some(state), Some(new_state)) = (fd::take_inherited(4), fd::take_inherited(5)) else {
        return FAILED;
    };
    let mut room = [0; 20];
    let Ok(length) = fd::read(state.as_fd(), &mut room) else { return FAILED };
    let digits = std::str::from_utf8(&room[..length]).unwrap_or_default().trim_end();
    let number = digits.parse::<u64>().unwrap_or(0) + 1;
    let text = format!("{number}\n");
    match fd::write_all(new_state.as_fd(), text.as_bytes()) {
        Ok(()) => copy(),
        Err(_) => FAILED,
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
