//! svctl logs: what it reads, and what it prints.

mod compressed;
mod cursor;
mod cursor_files;
mod equality;
mod follow;
mod forms;
mod hostile;
mod limits;
mod order;
mod period;
mod rotations;
mod services;
mod splits;

use harness::{Cmd, Output, Tree};

/// A second of 2026-11-30 14:41:32 UTC.
const AT: u64 = 1_796_049_692;

/// The TAI64N label of a second behind [`AT`].
fn label(second: u64) -> String {
    format!("@{:016x}{:08x}", 0x4000_0000_0000_000a + AT + second, 0)
}

/// A line with a label for each second, whose message is the number.
fn numbered(seconds: std::ops::Range<u64>) -> String {
    seconds.map(|second| format!("{} {second}\n", label(second))).collect()
}

/// svctl logs with local time in UTC.
fn logs<'t>(tree: &'t Tree, arguments: &[&str]) -> Cmd<'t> {
    tree.cmd(env!("CARGO_BIN_EXE_svctl"))
        .arg("logs")
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .env_remove("SVDIR")
}

/// What svctl logs prints of the directory `d`.
#[track_caller]
fn print(tree: &Tree, arguments: &[&str]) -> String {
    let output = logs(tree, &["--log-dir", "d"]).args(arguments).run();
    succeeds(&output);
    output.out()
}

#[track_caller]
fn succeeds(output: &Output) {
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
}

/// The messages that are numbers.
#[track_caller]
fn numbers(tree: &Tree, arguments: &[&str]) -> Vec<u64> {
    let output = print(tree, &[arguments, &["-o", "cat"]].concat());
    output.lines().map(|line| line.parse().expect("a number")).collect()
}
