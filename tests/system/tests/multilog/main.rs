//! multilog: what the original does not do.

mod failures;
mod kills;
mod script;

use harness::{Cmd, Process, Tree};
use std::io::{PipeWriter, pipe};

fn multilog<'t>(tree: &'t Tree, script: &[&str]) -> Cmd<'t> {
    tree.cmd("multilog").args(script)
}

/// Starts multilog with a pipe as its input. Returns the writing end.
#[track_caller]
fn start(command: Cmd<'_>) -> (Process, PipeWriter) {
    let (reader, input) = pipe().expect("a pipe");
    (command.stdin_from(reader).start(), input)
}
