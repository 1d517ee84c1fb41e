//! The programs, one file each, and what they share.
//!
//! A program parses its arguments, opens what it needs, and then waits for events, asks
//! `daemontools-core` what they mean, and performs the answer through `daemontools-sys`.
//! None of them has a thread or a signal handler, and none names `std`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod accounts;
mod boot_log;
mod chain;
mod children;
mod diag;
mod envdir;
mod envfile;
mod envini;
mod environment;
mod envuidgid;
mod fghack;
mod gate;
mod holder;
mod identity;
mod multilog;
mod options;
mod paths;
mod pgrphack;
mod readproctitle;
mod records;
mod setlock;
mod setuidgid;
mod setuser;
mod softlimit;
mod state_dir;
mod supervise;
mod svc;
mod svok;
mod svscan;
mod svscanboot;
mod svstat;
mod svup;
mod tai64n;
mod tai64nlocal;
mod takeover;
mod time;
mod upgrade;
mod wait;

use daemontools_sys::process;

/// A program: the name it is called by, and what it does; the result is its exit code.
type Program = (&'static [u8], fn() -> i32);

/// The programs by name.
const PROGRAMS: &[Program] = &[
    (b"envdir", envdir::main),
    (b"envfile", envfile::main),
    (b"envini", envini::main),
    (b"envuidgid", envuidgid::main),
    (b"fghack", fghack::main),
    (b"multilog", multilog::main),
    (b"pgrphack", pgrphack::main),
    (b"readproctitle", readproctitle::main),
    (b"setlock", setlock::main),
    (b"setuidgid", setuidgid::main),
    (b"setuser", setuser::main),
    (b"softlimit", softlimit::main),
    (b"supervise", supervise::main),
    (b"svc", svc::main),
    (b"svok", svok::main),
    (b"svscan", svscan::main),
    (b"svscanboot", svscanboot::main),
    (b"svstat", svstat::main),
    (b"svup", svup::main),
    (b"tai64n", tai64n::main),
    (b"tai64nlocal", tai64nlocal::main),
];

/// Runs the program that we were called as, and returns its exit code.
///
/// That is the name of the link which was executed: argument 0 can be anything. It counts where
/// the link's name says nothing, as behind `/proc/self/exe`.
#[must_use]
pub fn main() -> i32 {
    let executed =
        process::executed_path().map_or(&b""[..], |path| last_component(path.to_bytes()));
    let named = |name: &[u8]| PROGRAMS.iter().find(|(program, _)| *program == name);
    match named(executed).or_else(|| named(program_name())) {
        Some((_, run)) => run(),
        None => list(),
    }
}

/// The last component of argument 0, as the option parser shows it.
fn program_name() -> &'static [u8] {
    last_component(process::arg(0).unwrap_or_default().to_bytes())
}

fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|&c| c == b'/').next().unwrap_or_default()
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
