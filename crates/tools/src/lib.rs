//! The programs of daemontools-rs, and the code that they share.
//!
//! A program parses its arguments, opens its files, and waits for events. `daemontools-core` decides
//! what follows from an event, and the program performs it through `daemontools-sys`. No program has
//! a thread or a signal handler, and none uses `std`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod common;
mod control;
mod loaders;
mod logging;
mod package;
mod supervise;
mod survive;
mod svscan;

use common::unsent;
use daemontools_core::programs::Program;
use daemontools_sys::process;

/// The function that runs a program and returns its exit code.
///
/// A pointer keeps the programs out of one shared stack frame, which each of them would pay for.
fn entry(program: Program) -> fn() -> i32 {
    match program {
        Program::Envdir => loaders::envdir::main,
        Program::Envfile => loaders::envfile::main,
        Program::Envini => loaders::envini::main,
        Program::Envuidgid => loaders::envuidgid::main,
        Program::Fghack => loaders::fghack::main,
        Program::Multilog => logging::multilog::main,
        Program::Pgrphack => loaders::pgrphack::main,
        Program::Readproctitle => logging::readproctitle::main,
        Program::Setlock => loaders::setlock::main,
        Program::Setuidgid => loaders::setuidgid::main,
        Program::Setuser => loaders::setuser::main,
        Program::Softlimit => loaders::softlimit::main,
        Program::Supervise => supervise::main,
        Program::Svc => control::svc::main,
        Program::Svok => control::svok::main,
        Program::Svscan => svscan::main,
        Program::Svscanboot => svscan::svscanboot::main,
        Program::Svstat => control::svstat::main,
        Program::Svup => control::svup::main,
        Program::Tai64n => logging::tai64n::main,
        Program::Tai64nlocal => logging::tai64nlocal::main,
    }
}

/// Runs the program with our name, and returns its exit code.
///
/// Our name is the name of the link that was executed, because callers can set argument 0 to any
/// text. Argument 0 counts if the link is no program, as with `/proc/self/exe`.
#[must_use]
pub fn main() -> i32 {
    let executed =
        process::executed_path().map_or(&b""[..], |path| last_component(path.to_bytes()));
    let by_argument = || {
        let program = Program::named(program_name())?;
        // The kernel has named the process after the file, which ps, pgrep and killall would show.
        process::set_name(process::argument_c_str(program_name()).unwrap_or_default());
        Some(program)
    };
    match Program::named(executed).or_else(by_argument) {
        Some(program) => package::answer(program).unwrap_or_else(|| run(program)),
        None => package::main(),
    }
}

/// Runs a program, and returns its exit code.
fn run(program: Program) -> i32 {
    let code = entry(program)();
    unsent::finish();
    code
}

/// The last component of argument 0, which messages about options begin with.
fn program_name() -> &'static [u8] {
    last_component(process::arg(0).unwrap_or_default().to_bytes())
}

fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|&c| c == b'/').next().unwrap_or_default()
}
