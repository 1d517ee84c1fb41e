//! Programs of the scenarios: services of several kinds, and processes that have nothing to do with them.

use crate::random::Random;
use daemontools_sys::process::{self, arg};
use daemontools_sys::{clock, poll, signal};
use std::time::Duration;

/// `#!/bin/service KIND [MILLISECONDS [CODE]]`, a script of a service directory.
pub fn service() -> i32 {
    let text = arg(1).and_then(|text| text.to_str().ok()).unwrap_or_default();
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    match kind {
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

/// A process that only lives.
pub fn stranger() -> i32 {
    forever()
}

fn forever() -> ! {
    loop {
        let [] = poll::readable([], None);
    }
}
