//! svctl: shows, explains and controls the services of a scan directory.
//!
//! `verb_table` describes every verb once: the parser, the help and the completions use it. Each
//! verb is a file in `verbs`. `view` is what svctl knows of a service, and what its JSON says.
//!
//! The program is [`main`]. The rest that is public is for svweb, which shows the same in a browser.

#![forbid(unsafe_code)]

mod accounts;
mod arguments;
mod change_words;
mod command_line;
mod date_time;
mod escape;
mod failure;
mod feed;
mod folding;
mod guarded_path;
mod hosts;
mod interrupt;
mod logs;
#[cfg(test)]
mod manual;
pub mod metrics;
mod options;
mod output;
mod requester;
mod selection;
pub mod service_pages;
mod service_plan;
pub mod service_tree;
mod shell_words;
mod spelling;
mod symptoms;
mod times;
mod top;
mod usage;
mod verb_table;
mod verbs;
mod view;
mod watches;

pub use crate::escape::escape;
pub use crate::failure::reason;
pub use crate::selection::usual_scan_dir;
pub use crate::view::{View, symbol_of};

use crate::failure::Failure;
use std::process::ExitCode;

/// Runs the command line of this process, and returns its exit code.
pub fn main() -> ExitCode {
    let code = match run() {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.code
        }
    };
    ExitCode::from(code)
}

fn run() -> Result<u8, Failure> {
    let (verb, arguments) = command_line::parse(std::env::args_os().skip(1))?;
    (verb.run)(&arguments)
}
