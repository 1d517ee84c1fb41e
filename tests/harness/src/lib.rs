//! Runs the programs under test in temporary trees and looks at what they do
//! from outside: output, exit codes, files, processes. Nothing in here knows
//! how they are written, so the same tests judge the original and ours.
//!
//! * [`Suite`]: which programs are under test.
//! * [`Tree`]: a temporary directory with service directories in it; whatever
//!   was started there is ended with it.
//! * [`Cmd`], [`Process`], [`Output`]: running a program, or a long-running one.
//! * [`Status`]: the record in `supervise/status`.
//! * [`wait_until`], [`wait_for`]: waiting with a deadline; tests never sleep.
//! * [`process`]: what `/proc` tells about a process.
//!
//! Tests are threads of one process, so the harness never changes anything
//! which belongs to that process: directory, umask, signals, environment. What
//! a program is to inherit is set up by a wrapper: [`Tree::sh`], [`Cmd::under`].

mod command;
pub mod process;
mod status;
mod suite;
mod tree;
mod wait;

pub use command::{Cmd, Output, Process};
pub use rustix::process::Signal;
pub use status::{PENDING, Status};
pub use suite::Suite;
pub use tree::{Fifo, Tree};
pub use wait::{DEADLINE, wait_for, wait_until};

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// An account of the machine, not root's, with its user and its group id. The
/// two differ, so that a test sees which is which.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn account() -> (String, u32, u32) {
    let passwd = std::fs::read_to_string("/etc/passwd").expect("there are accounts");
    passwd
        .lines()
        .find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let &[name, _, uid, gid, ..] = fields.as_slice() else { return None };
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            (uid != gid && uid != 0 && gid != 0).then(|| (name.to_owned(), uid, gid))
        })
        .expect("an account whose user and group ids differ")
}

/// Says on standard error why a test did only half of its work.
#[expect(clippy::print_stderr, reason = "the reader of a test's output is meant")]
pub fn note(text: &str) {
    eprintln!("note: {text}");
}

/// Says why a test cannot be done here. Where `DAEMONTOOLS_NO_SKIPS` is set, as in CI, that is a
/// failure.
///
/// # Panics
///
/// There.
#[track_caller]
pub fn skip(why: &str) {
    assert!(std::env::var_os("DAEMONTOOLS_NO_SKIPS").is_none(), "skipped: {why}");
    note(why);
}
