//! The option parser on the arguments of this process.

use crate::common::diag;
use crate::program_name;
use daemontools_core::programs::Program;
use daemontools_core::text::getopt::{Getopt, Opt};
use daemontools_sys::process;

/// An iterator over the options. After its end `operand()` is the index of the first operand.
pub(crate) fn options(
    program: Program,
) -> Getopt<'static, impl Fn(usize) -> Option<&'static [u8]>> {
    Getopt::new(|n| process::arg(n).map(core::ffi::CStr::to_bytes), program.options().as_bytes())
}

/// Prints the message for a wrong option, which precedes the usage message.
pub(crate) fn print_error(option: Opt<'_>) {
    match option {
        Opt::Illegal(letter) => diag::say(&[program_name(), b": illegal option -- ", &[letter]]),
        Opt::NeedsValue(letter) => {
            diag::say(&[program_name(), b": option requires an argument -- ", &[letter]]);
        }
        Opt::Letter(_) | Opt::Value(..) => {}
    }
}

/// Parses the options of envdir and envini: `-p PREFIX`.
///
/// Returns the prefix and the index of the first operand, or `None` after a message.
pub(crate) fn prefix(program: Program) -> Option<(&'static [u8], usize)> {
    let mut prefix: &[u8] = b"";
    let mut options = options(program);
    for option in options.by_ref() {
        let Opt::Value(_, value) = option else {
            print_error(option);
            return None;
        };
        prefix = value;
    }
    Some((prefix, options.operand()))
}
