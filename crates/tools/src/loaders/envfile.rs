//! envfile: runs a program with variables from a file of `NAME=VALUE` lines.

use crate::common::diag::{self, PERMANENT};
use crate::common::environment::{Environment, read_whole};
use crate::loaders::chain;
use daemontools_core::loaders::envfile::{self, EnvfileError};
use daemontools_core::programs::Program;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::process;

/// Exit code: 100 for bad usage and a bad line, 111 for an unreadable file; else that of the
/// program.
pub(crate) fn main() -> i32 {
    let (Some(file), Some(_)) = (process::arg(1), process::arg(2)) else {
        return diag::usage(Program::Envfile);
    };
    let shown = file.to_bytes();
    let text = match read_whole(file) {
        Ok(text) => text,
        Err(error) => return diag::fatal("envfile", &[b"unable to read ", shown], error),
    };
    let mut environment = Environment::own();
    let read = envfile::settings(&text, |name, value| environment.set(name, value));
    if let Err(EnvfileError { line, message }) = read {
        let line = Decimal::new(line);
        let location = [shown, b", line ", line.as_bytes()].concat();
        diag::say(&[b"envfile: fatal: unable to read ", &location, b": ", message.as_bytes()]);
        return PERMANENT;
    }
    chain::run_with("envfile", 2, &environment.strings())
}
