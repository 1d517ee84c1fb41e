//! Service directories made for encore, s6 and runit.

mod choice;
mod encore;
mod remarks;
mod runit;
mod s6;

use harness::{DEADLINE, Tree, wait_until};
use system::tree;

/// A `run` that names itself, and stays until a signal ends it.
const STAYS: &str = "#!/bin/sh\necho run >>order\nexec sleep 1000\n";

/// A `run` that copies a FIFO to its output.
const TALKS: &str = "#!/bin/sh\n[ -p talk ] || mkfifo talk\necho run $$\nexec cat <>talk\n";

/// A script that writes its name and its arguments.
fn saying(name: &str) -> String {
    format!("#!/bin/sh\necho {name} \"$@\" >>order\n")
}

/// A tree with a service of this personality and `run`.
fn service(personality: &str, run: &str) -> Tree {
    let tree = tree();
    tree.service("a", run);
    tree.write("a/personality", format!("{personality}\n"));
    tree
}

/// The line of svstat, with x for every number.
#[track_caller]
fn svstat(tree: &Tree) -> String {
    let line = tree.svstat("a");
    let parts = line.split_inclusive([' ', ')']).map(|part| {
        let number = part.trim_end_matches([' ', ')']);
        if number.parse::<u32>().is_ok() { part.replace(number, "x") } else { part.to_owned() }
    });
    parts.collect()
}

/// Waits until svstat prints this line.
#[track_caller]
fn wait_svstat(tree: &Tree, line: &str) {
    wait_until(&format!("svstat says {line:?}"), DEADLINE, || svstat(tree) == line);
}
