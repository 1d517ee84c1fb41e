//! envini: runs a program with variables from an ini file.

use crate::common::diag::{self, TEMPORARY};
use crate::common::environment::{Environment, read_whole};
use crate::common::getopt::prefix;
use crate::loaders::chain;
use daemontools_core::loaders::envini;
use daemontools_core::programs::Program;
use daemontools_sys::{Errno, process};

/// Exit code: 111 for all errors, bad usage as well; else that of the program.
pub(crate) fn main() -> i32 {
    let Some((prefix, first)) = prefix(Program::Envini) else {
        return usage();
    };
    let (Some(file), Some(_)) = (process::arg(first), process::arg(first + 1)) else {
        return usage();
    };
    let mut environment = Environment::own();
    match read_whole(file) {
        Ok(text) => envini::settings(&text, prefix, |name, value| environment.set(name, value)),
        // As in encore, a missing file is empty.
        Err(Errno::NOENT) => {}
        Err(error) => {
            return diag::fatal("envini", &[b"unable to read ", file.to_bytes()], error);
        }
    }
    chain::run_with("envini", first + 1, &environment.strings())
}

fn usage() -> i32 {
    diag::usage(Program::Envini);
    TEMPORARY
}
