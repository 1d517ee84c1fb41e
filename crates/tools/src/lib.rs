//! The programs, one file each, and what they share.
//!
//! A program parses its arguments, opens what it needs, and then waits for events, asks
//! `daemontools-core` what they mean, and performs the answer through `daemontools-sys`.
//! None of them has a thread or a signal handler, and none names `std`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod boot_log;
mod chain;
mod diag;
mod environment;
mod holder;
mod options;
mod readproctitle;
mod state_dir;
mod supervise;
mod svc;
mod svok;
mod svscan;
mod svscanboot;
mod svstat;
mod time;

use daemontools_sys::process;

/// A program: the name it is called by, and what it does; the result is its exit code.
type Program = (&'static [u8], fn() -> i32);

/// The programs by name.
const PROGRAMS: &[Program] = &[
    (b"readproctitle", readproctitle::main),
    (b"supervise", supervise::main),
    (b"svc", svc::main),
    (b"svok", svok::main),
    (b"svscan", svscan::main),
    (b"svscanboot", svscanboot::main),
    (b"svstat", svstat::main),
];

/// Runs the program that we were called as, and returns its exit code.
#[must_use]
pub fn main() -> i32 {
    let name = program_name();
    match PROGRAMS.iter().find(|(program, _)| *program == name) {
        Some((_, run)) => run(),
        None => list(),
    }
}

/// The last component of argument 0.
fn program_name() -> &'static [u8] {
    let name = process::arg(0).unwrap_or_default().to_bytes();
    name.rsplit(|&c| c == b'/').next().unwrap_or_default()
}

/// Called as something else: prints the names which an installation links to this file, for
/// `install` to read.
fn list() -> i32 {
    for (name, _) in PROGRAMS {
        let line = [name, &b"\n"[..]].concat();
        if daemontools_sys::fd::write_all(daemontools_sys::fd::stdout(), &line).is_err() {
            return 111;
        }
    }
    0
}
