//! What the programs that copy standard input to standard output have in common.

use harness::{Tree, wait_without_reader};
use std::io::pipe;

/// Asserts that the program exits 111 without a message when it cannot read its input.
#[track_caller]
pub fn fails_silently_without_input(program: &str) {
    let tree = Tree::new();
    for redirection in ["<&-", "</", "0>out"] {
        tree.sh(&format!("exec {program} {redirection}")).run().is(111, "", "");
    }
}

/// Asserts that the program exits 111 without a message when it cannot write its output, and 0 when it
/// has no output to write.
#[track_caller]
pub fn fails_silently_without_output(program: &str) {
    let tree = Tree::new();
    for redirection in [">/dev/full", ">&-", ">&0"] {
        let script = format!("echo a | {{ {program} {redirection}; echo $?; }}");
        tree.sh(&script).run().is(0, "111\n", "");
    }
    for redirection in [">/dev/full </dev/null", ">&- </dev/null"] {
        tree.sh(&format!("exec {program} {redirection}")).run().is(0, "", "");
    }
}

/// Asserts that a pipe without a reader kills the program by PIPE, and that it exits 111 if it ignores
/// PIPE.
///
/// # Panics
///
/// If it ends in another way, or prints a message.
#[track_caller]
pub fn ends_without_reader(program: &str) {
    let tree = Tree::new();
    for (wrapper, code, signal) in
        [("--default-signal=PIPE", None, Some(13)), ("--ignore-signal=PIPE", Some(111), None)]
    {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        wait_without_reader(&writer);
        let command = tree.cmd(program).stdin("a\n").stdout_to(writer);
        let output = command.under(["env", wrapper]).run();
        assert_eq!((output.code, output.signal, output.err().as_str()), (code, signal, ""));
    }
}
