//! multilog: selects lines and writes them to rotated logs.
//!
//! The loop in `logger` writes all text that has arrived before it waits for more. `input` reads,
//! the router of `daemontools-core` runs the script, and `directory_writer` writes to an output
//! directory.

mod batches;
mod directory_files;
mod directory_writer;
mod file_access;
mod input;
mod last_label;
mod logger;
mod outputs;
mod standby;
mod status_output;
mod wall_clock;

use crate::common::diag::{self, PERMANENT};
use crate::common::unsent;
use daemontools_core::multilog::script::{Ignored, LogScript, NumberError, ReplacedNumber};
use daemontools_core::programs::Program;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::{fd, process};
use logger::Logger;

/// Longest code: with the 26 bytes before it, the name of an old file has 255 bytes at most.
const LONGEST_CODE: usize = 229;

/// Exit code: 0 at the end of the input and after TERM, 111 if an error prevents the start, 100 if
/// the script is unusable.
pub(crate) fn main() -> i32 {
    unsent::never_wait(Program::Multilog);
    let script = LogScript::parse(process::args(1).map(core::ffi::CStr::to_bytes));
    fd::fill_missing(fd::Missing::ClosedForChildren);
    script.replaced_numbers.iter().for_each(warn_of_replaced_number);
    script.ignored.iter().for_each(warn_of_ignored_argument);
    let is_unusable = |code: &[u8]| code.contains(&b'/') || code.len() > LONGEST_CODE;
    if let Some(settings) = script.directories.iter().find(|s| is_unusable(s.code)) {
        diag::say(&[b"multilog: fatal: w", settings.code, b" is no end of a file's name"]);
        return PERMANENT;
    }
    match Logger::start(&script) {
        Ok(mut logger) => {
            logger.run();
            0
        }
        Err(code) => code,
    }
}

fn warn_of_replaced_number(number: &ReplacedNumber<'_>) {
    let (letter, used) = (number.arg.get(..1), Decimal::new(number.used));
    let used = [letter.unwrap_or_default(), used.as_bytes()].concat();
    let reason: &[u8] = match number.error {
        NumberError::TooSmall => b" is too small, using ",
        NumberError::TooLarge => b" is too large, using ",
        NumberError::NotANumber => b" is not a number, using ",
    };
    diag::say(&[b"multilog: warning: ", number.arg, reason, &used]);
}

fn warn_of_ignored_argument((arg, reason): &(&[u8], Ignored)) {
    let reason: &[u8] = match reason {
        Ignored::Unknown => b" is no action, ignored",
        Ignored::LateStamp => b" is not the first argument, ignored",
    };
    diag::say(&[b"multilog: warning: ", arg, reason]);
}
