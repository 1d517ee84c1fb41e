//! What the chain loaders without arguments of their own have in common.

use harness::Tree;

/// Asserts that the program without arguments prints its synopsis under its own name and exits 100.
#[track_caller]
pub fn needs_a_program(program: &str) {
    let tree = Tree::new();
    let line = format!("{program}: usage: {program} child\n");
    tree.cmd(program).run().is(100, "", &line);
    tree.cmd(program).arg0("x/other").run().is(100, "", &line);
}

/// Asserts that the program takes its first argument for a program's name, whatever it looks like.
#[track_caller]
pub fn has_no_options(program: &str) {
    let tree = Tree::new();
    for name in ["-", "--", "--help", "-x"] {
        let line = format!("{program}: fatal: unable to run {name}: file does not exist\n");
        tree.cmd(program).args([name, "true"]).run().is(111, "", line);
    }
    tree.cmd(program).args(["echo", "-x", "--"]).run().is(0, "-x --\n", "");
}
