//! The tests in `tests/` state what the original does and ours must do too. They pass on the original
//! first. Each file or folder there is the subject of one test binary. The fixtures here serve several
//! of them.

pub mod filter;
pub mod launcher;

use harness::Tree;

/// Makes `file`, `loop` and `closed`: three names that no unprivileged program can change its directory
/// to.
pub fn unusable_directories(tree: &Tree) {
    tree.write("file", "");
    tree.symlink("loop", "loop");
    tree.mkdir("closed");
    tree.chmod("closed", 0);
}
