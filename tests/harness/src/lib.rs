//! Runs the programs under test in temporary trees and looks at what they do
//! from outside: output, exit codes, files, processes. Nothing in here knows
//! how they are written, so the same tests judge the original and ours.
//!
//! * [`Suite`]: which programs are under test.
//! * [`Tree`]: a temporary directory with service directories in it; whatever
//!   was started there is ended with it.
//! * [`Cmd`], [`Process`], [`Output`]: running a program, or a long-running one.
//! * [`Terminal`]: a program in a terminal, with its screen and its keys; [`Pty`]: one without a screen.
//! * [`Status`]: the record in `supervise/status`.
//! * [`wait_until`], [`wait_for`]: waiting with a deadline; tests never sleep.
//! * [`variables`], [`with_mounts`]: what a program sees of its environment and of the system.
//! * [`process`]: what `/proc` tells about a process.
//!
//! Tests are threads of one process, so they never change what belongs to that
//! process: directory, umask, signals, environment. What a program is to
//! inherit is set up by a wrapper: [`Tree::sh`], [`Cmd::under`]. Without one it
//! inherits the same from every caller of the tests: the harness replaces what
//! the process has inherited, once, before the first program starts.

mod caller;
mod command;
mod environment;
mod output_directory;
pub mod process;
mod pty;
pub mod random;
mod status;
mod suite;
mod terminal;
mod tree;
mod wait;

use std::path::PathBuf;

pub use command::{Cmd, Output, Process};
pub use environment::{ENVIRON, in_mount_namespace, mounts_work, variables, with_mounts};
pub use output_directory::{finished_files, whole_log};
pub use pty::Pty;
pub use rustix::process::Signal;
pub use status::{PENDING, Status};
pub use suite::{Suite, checkout, original};
pub use terminal::Terminal;
pub use tree::{Fifo, Tree};
pub use wait::{DEADLINE, wait_for, wait_until, wait_without_reader};

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether root is missing; then reports a skip.
#[must_use]
#[track_caller]
pub fn without_root() -> bool {
    if !is_root() {
        skip("only root can change ids");
    }
    !is_root()
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
/// failure; except the value `programs`, for which only a missing program is one.
///
/// # Panics
///
/// There.
#[track_caller]
pub fn skip(why: &str) {
    let strict = std::env::var_os("DAEMONTOOLS_NO_SKIPS").is_some_and(|value| value != "programs");
    assert!(!strict, "skipped: {why}");
    note(why);
}

/// Whether there is a program, the machine's or one that the script `tests/programs` has fetched. A
/// test that needs it returns if not: it is skipped.
///
/// # Panics
///
/// If there is none and `DAEMONTOOLS_NO_SKIPS` is set.
#[must_use]
#[track_caller]
pub fn requires(program: &str) -> bool {
    let found = Suite::get().find(program).is_some();
    if !found {
        let strict = std::env::var_os("DAEMONTOOLS_NO_SKIPS").is_some();
        assert!(!strict, "skipped: {program} is missing: run tests/programs");
        note(&format!("{program} is missing: run tests/programs"));
    }
    found
}

/// Whether programs can run under strace. A test that needs it returns if not: it is skipped.
///
/// # Panics
///
/// If they cannot and `DAEMONTOOLS_NO_SKIPS` is set.
#[must_use]
#[track_caller]
pub fn strace_works(tree: &Tree) -> bool {
    if !requires("strace") {
        return false;
    }
    let works = tree.cmd("true").under(["strace", "-o", "/dev/null"]).run().code == Some(0);
    if !works {
        skip("strace may not trace here");
    }
    works
}

/// The directory of the time zones: the machine's, or that of `tests/programs` where the machine has
/// none with leap seconds.
#[must_use]
pub fn zoneinfo() -> PathBuf {
    suite::fetched("zoneinfo").unwrap_or_else(|| "/usr/share/zoneinfo".into())
}
