//! Programs of the scenarios: services of several kinds, and processes that have nothing to do with them.

use crate::random::Random;
use daemontools_sys::process::{self, Forked, Strings, arg};
use daemontools_sys::{AsFd as _, clock, fd, poll, signal};
use std::time::Duration;

/// `#!/bin/service KIND [MILLISECONDS [CODE]]`, a script of a service directory.
pub fn service() -> i32 {
    let text = arg(1).and_then(|text| text.to_str().ok()).unwrap_or_default();
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    match kind {
        // Its children stay: in a session of their own, or without an end by TERM.
        "forks" => {
            let (leaves, stays) = (number() != 0, number() != 0);
            for _ in 0..2 {
                if let Ok(Forked::Child) = process::fork() {
                    return become_part(leaves, stays);
                }
            }
            forever()
        }
        // It says that it is ready.
        "readies" => {
            poll::pause(Duration::from_millis(number()));
            if let Some(pipe) = fd::take_inherited(READY) {
                let _ = fd::write_all(pipe.as_fd(), b"\n");
            }
            forever()
        }
        "ignores" => {
            signal::ignore(signal::TERM);
            forever()
        }
        "exits" => {
            poll::pause(Duration::from_millis(number()));
            i32::try_from(number()).unwrap_or(1)
        }
        "dies" => {
            poll::pause(Duration::from_millis(number()));
            let _ = process::kill(process::id(), signal::ALRM);
            1
        }
        // Another one each time.
        "moody" => {
            let (seconds, nanoseconds) = clock::realtime();
            let seed = seconds.unsigned_abs() ^ u64::from(nanoseconds) << 32;
            match Random::new(seed).below(4) {
                0 => 0,
                1 => 111,
                2 => {
                    poll::pause(Duration::from_millis(1500));
                    3
                }
                _ => forever(),
            }
        }
        _ => forever(),
    }
}

/// The descriptor of `notification-fd`.
pub const READY: i32 = 3;

/// Becomes a process that a service has started, and that stays.
fn become_part(leaves: bool, stays: bool) -> i32 {
    if leaves {
        let _ = process::lead_new_session();
    }
    if stays {
        signal::ignore(signal::TERM);
    }
    let path = c"/bin/part";
    let _ = process::exec(path, &Strings::of([path]), &Strings::own_environment());
    1
}

/// `#!/bin/script NAME MILLISECONDS CODE`, a script beside `run`. Code 2 means any code.
pub fn script() -> i32 {
    let text = arg(1).and_then(|text| text.to_str().ok()).unwrap_or_default();
    let mut words = text.split_whitespace().skip(1);
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    poll::pause(Duration::from_millis(number()));
    match number() {
        2 => {
            let (seconds, nanoseconds) = clock::realtime();
            let seed = seconds.unsigned_abs() ^ u64::from(nanoseconds) << 32;
            i32::from(Random::new(seed).one_in(2))
        }
        code => i32::try_from(code).unwrap_or(1),
    }
}

/// A process that a service has started.
pub fn part() -> i32 {
    poll::pause(Duration::from_secs(10));
    0
}

/// A process that only lives.
pub fn stranger() -> i32 {
    forever()
}

fn forever() -> ! {
    loop {
        let [] = poll::readable([], None);
    }
}
