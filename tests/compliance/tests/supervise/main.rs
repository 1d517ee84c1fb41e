//! supervise: it runs one service and keeps its state in `supervise/`.

mod arguments;
mod control_letters;
mod down_file;
mod exit;
mod inheritance;
mod once;
mod restarts;
mod signals;
mod start_failures;
mod state_directory;
mod status;

use harness::{Process, Tree};

/// Asserts that supervise fails at once with this message.
#[track_caller]
fn fails(tree: &Tree, dir: &str, message: &str) {
    let line = format!("supervise: fatal: {message}\n");
    tree.cmd("supervise").arg(dir).run().is(111, "", line);
}

/// As [`fails`]. File modes apply to it, also for root.
#[track_caller]
fn fails_unprivileged(tree: &Tree, dir: &str, message: &str) {
    let line = format!("supervise: fatal: {message}\n");
    tree.cmd("supervise").arg(dir).unprivileged().run().is(111, "", line);
}

/// Stops the service and its supervise in order.
#[track_caller]
fn finish(tree: &Tree, supervise: Process, dir: &str) {
    tree.svc("-dx", dir);
    supervise.wait().is(0, "", "");
}
