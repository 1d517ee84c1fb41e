//! envini: runs a program with the variables of an ini file.

use crate::chain;
use crate::diag::{self, TEMPORARY};
use crate::environment::{Environment, read_whole};
use crate::options::prefix;
use daemontools_core::envini;
use daemontools_sys::{Errno, process};

/// Exit code: 111 for everything, bad usage included; else that of the program.
pub(crate) fn main() -> i32 {
    let Some((prefix, first)) = prefix() else {
        return usage();
    };
    let (Some(file), Some(_)) = (process::arg(first), process::arg(first + 1)) else {
        return usage();
    };
    let mut environment = Environment::own();
    match read_whole(file) {
        Ok(text) => envini::settings(&text, prefix, |name, value| environment.set(name, value)),
        // As in encore, a file that is not there has nothing in it.
        Err(Errno::NOENT) => {}
        Err(error) => {
            return diag::fatal("envini", &[b"unable to read ", file.to_bytes()], error);
        }
    }
    chain::run_with("envini", first + 1, &environment.strings())
}

fn usage() -> i32 {
    diag::usage("envini", "envini [ -p prefix ] inifile child");
    TEMPORARY
}
