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

/// Goes through the options of envdir and envini: `-p PREFIX`, for all names that they set. Gives
/// the prefix and the number of the first operand, or `None` after saying what is wrong.
pub(crate) fn prefix() -> Option<(&'static [u8], usize)> {
    let mut prefix: &[u8] = b"";
    let mut options = options(b"p:");
    for option in options.by_ref() {
        let Opt::Value(_, value) = option else {
            complain(option);
            return None;
        };
        prefix = value;
    }
    Some((prefix, options.operand()))
}
