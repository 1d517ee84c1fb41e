//! What a program gets from its caller: variables, and the files of the system at their usual paths.

use crate::{Cmd, Tree, is_root, skip};
use std::path::Path;

/// A program that prints its environment, for [`variables`].
pub const ENVIRON: [&str; 2] = ["cat", "/proc/self/environ"];

/// The variables that [`ENVIRON`] prints at the end of a chain of programs, sorted, without those that
/// the harness sets.
///
/// # Panics
///
/// If the command fails, or prints a message.
#[must_use]
#[track_caller]
pub fn variables(command: Cmd<'_>) -> Vec<String> {
    let output = command.run();
    assert!(output.code == Some(0) && output.stderr.is_empty(), "{output}");
    let text = output.out();
    let mut found: Vec<_> = text
        .split_terminator('\0')
        .filter(|variable| !variable.starts_with("PATH=") && !variable.starts_with("HARNESS_TREE="))
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

/// Gives a program its own mounts. root keeps all ids; another user becomes root there.
pub fn in_mount_namespace(command: Cmd<'_>) -> Cmd<'_> {
    if is_root() {
        command.under(["unshare", "--mount"])
    } else {
        command.under(["unshare", "--map-root-user", "--mount"])
    }
}

/// Runs a program in a mount namespace. There, each first path, one of the tree, is mounted over the
/// second, one of the system.
pub fn with_mounts<'t>(
    tree: &'t Tree,
    mounts: &[(impl AsRef<Path>, &str)],
    program: &str,
) -> Cmd<'t> {
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && ".repeat(mounts.len());
    let mut command = tree.sh(&format!("{script}exec \"$@\"")).arg("sh");
    for (from, over) in mounts {
        command = command.arg(tree.path(from)).arg(over);
    }
    in_mount_namespace(command.arg(program))
}

/// Whether [`with_mounts`] can replace a file of the system. A test that needs it returns if not: it
/// is skipped.
#[must_use]
#[track_caller]
pub fn mounts_work(tree: &Tree) -> bool {
    tree.write("trial", "");
    let trial = with_mounts(tree, &[("trial", "/etc/passwd")], "true").run();
    if trial.code != Some(0) {
        skip(&format!("a namespace is needed for another /etc: {trial}"));
    }
    trial.code == Some(0)
}
