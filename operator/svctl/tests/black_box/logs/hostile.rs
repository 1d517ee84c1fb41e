//! Directories that another user arranged, and lines of every kind.

use super::{label, logs, numbered, print};
use harness::{Tree, is_root, requires};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn control_characters_are_escaped() {
    let tree = Tree::new();
    tree.mkdir("d");
    let line = [label(0).as_bytes(), b" \x1b[2J\0\x07\xff \xe2\x80\xae\n"].concat();
    tree.write("d/current", &line);
    let shown = "\\u{1b}[2J\\u{0}\\u{7}\\xff \\u{202e}\n";
    let output = print(&tree, &["-o", "iso"]);
    assert_eq!(output, format!("2026-11-30T14:41:32.000000+00:00 {shown}"));
    let output = print(&tree, &[]);
    assert_eq!(output, format!("-- 2026-11-30 --\n14:41:32.000 {shown}"));
    // Programs get the bytes of the file.
    let output = logs(&tree, &["--log-dir", "d", "-o", "tai"]).run();
    assert_eq!(output.stdout, line);
}

#[test]
fn links_fifos_and_devices_are_left_out() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("secret", numbered(1..2));
    tree.symlink("../secret", "d/current");
    tree.fifo("d/previous", 0o600);
    tree.fifo(format!("d/{}.s", label(1)), 0o600);
    tree.symlink("/dev/zero", format!("d/{}.s", label(2)));
    tree.mkdir(format!("d/{}.s", label(3)));
    tree.write(format!("d/{}.s", label(4)), numbered(4..5));
    assert_eq!(super::numbers(&tree, &[]), [4]);
    assert_eq!(super::numbers(&tree, &["-n", "5"]), [4]);
}

#[test]
fn an_empty_directory_has_no_lines() {
    let tree = Tree::new();
    tree.mkdir("d");
    assert_eq!(print(&tree, &[]), "");
    tree.write("d/current", "");
    assert_eq!(print(&tree, &["-n", "10"]), "");
}

#[test]
fn a_directory_without_permission_is_named_and_the_rest_is_shown() {
    let tree = Tree::new();
    for directory in ["d", "closed"] {
        tree.mkdir(directory);
        tree.write(format!("{directory}/current"), numbered(0..1));
    }
    tree.chmod("closed", 0o000);
    let command = logs(&tree, &["--log-dir", "closed", "--log-dir", "d", "-o", "cat"]);
    let output = if is_root() { command.unprivileged() } else { command }.run();
    tree.chmod("closed", 0o700);
    output.is(111, "0\n", "svctl: warning: unable to read closed: access denied\n");
    // A file alone.
    tree.write(format!("d/{}.s", label(0)), numbered(0..1));
    tree.chmod(format!("d/{}.s", label(0)), 0o000);
    let command = logs(&tree, &["--log-dir", "d", "-o", "cat"]);
    let output = if is_root() { command.unprivileged() } else { command }.run();
    let message = format!("svctl: warning: unable to read d/{}.s: access denied\n", label(0));
    output.is(111, "0\n", message);
}

#[test]
fn a_line_of_100_megabytes_streams() {
    if !requires("prlimit") {
        return;
    }
    const LENGTH: usize = 100 * 1024 * 1024;
    let tree = Tree::new();
    tree.mkdir("d");
    let mut file = File::create(tree.path("d/current")).unwrap();
    write!(file, "{} ", label(0)).unwrap();
    let block = vec![b'x'; 1024 * 1024];
    for _ in 0..100 {
        file.write_all(&block).unwrap();
    }
    write!(file, "\n{} 1\n", label(1)).unwrap();
    let limited = |arguments: &[&str]| {
        let out = File::create(tree.path("out")).unwrap();
        let command = logs(&tree, &["--log-dir", "d"]).args(arguments).stdout_to(out);
        let output = command.under(["prlimit", "--data=12582912"]).run();
        assert_eq!((output.code, output.err()), (Some(0), String::new()));
        std::fs::metadata(tree.path("out")).unwrap().len()
    };
    assert_eq!(limited(&["-o", "cat"]), LENGTH as u64 + 3);
    assert_eq!(limited(&["-o", "cat", "-n", "2"]), LENGTH as u64 + 3);
    assert_eq!(limited(&["-o", "cat", "-n", "1"]), 2);
    assert_eq!(limited(&["-o", "cat", "-g", "^1$"]), 2);
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("d/current", numbered(0..100_000));
    let script = format!("{} logs --log-dir d -o cat | head -n 1", env!("CARGO_BIN_EXE_svctl"));
    let output = tree.sh(&script).run();
    output.is(0, "0\n", "");
}

#[test]
fn the_logger_is_never_locked_out() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("d/current", numbered(0..1));
    for file in ["lock", "state"] {
        tree.write(format!("d/{file}"), "");
    }
    let before = std::fs::metadata(tree.path("d")).unwrap();
    if !harness::strace_works(&tree) {
        return;
    }
    let program = env!("CARGO_BIN_EXE_svctl");
    let output = tree
        .cmd("strace")
        .args(["-f", "-o", "trace", program, "logs", "--log-dir", "d", "-n", "1"])
        .run();
    assert_eq!(output.code, Some(0), "{output}");
    let trace = tree.text("trace");
    assert!(!trace.contains("flock(") && !trace.contains("F_SETLK"), "{trace}");
    let is_open = |line: &&str| line.contains("open") && line.contains("\"lock\"");
    assert_eq!(trace.lines().find(is_open), None);
    assert_eq!(
        before.permissions().mode(),
        std::fs::metadata(tree.path("d")).unwrap().permissions().mode()
    );
}
