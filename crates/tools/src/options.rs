//! The original's option parser on our own arguments.

use crate::{diag, program_name};
use daemontools_core::getopt::{Getopt, Opt};
use daemontools_sys::process;

/// The options, for programs to go through. Afterwards `operand()` is the number of the first
/// argument behind them.
pub(crate) fn options(
    letters: &'static [u8],
) -> Getopt<'static, impl Fn(usize) -> Option<&'static [u8]>> {
    Getopt::new(|n| process::arg(n).map(core::ffi::CStr::to_bytes), letters)
}

/// Says what is wrong with an option, before the program's usage; nothing for a good one.
pub(crate) fn complain(option: Opt<'_>) {
    match option {
        Opt::Illegal(letter) => diag::say(&[program_name(), b": illegal option -- ", &[letter]]),
        Opt::NeedsValue(letter) => {
            diag::say(&[program_name(), b": option requires an argument -- ", &[letter]]);
        }
        Opt::Letter(_) | Opt::Value(..) => {}
    }
}
