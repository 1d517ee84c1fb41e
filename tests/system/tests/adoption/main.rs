//! A killed supervise, and the next one that adopts its service.

mod every_step;
mod identity;
mod service;
mod start_lock;

use harness::Tree;
use std::path::Path;

/// The processes of the tree except these.
fn others(tree: &Tree, known: &[u32]) -> Vec<u32> {
    tree.processes().into_iter().filter(|pid| !known.contains(pid)).collect()
}

fn record(tree: &Tree, dir: &str) -> String {
    tree.text(Path::new(dir).join("supervise/process"))
}

/// Sends commands, with or without a supervise that reads them.
fn svc(tree: &Tree, options: &str) {
    assert_eq!(tree.cmd("svc").args([options, "a"]).run().code, Some(0));
}
