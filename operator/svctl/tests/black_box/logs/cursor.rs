//! `--cursor`: nothing is shown twice, and nothing is left out.

use super::{label, logs, numbered, numbers};
use harness::process::wait_asleep;
use harness::{DEADLINE, Process, Signal, Tree, wait_until};
use std::fs::OpenOptions;
use std::io::Write as _;

fn append(tree: &Tree, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(tree.path("d/current"));
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("append");
}

#[test]
fn the_next_run_goes_on() {
    let tree = Tree::new();
    tree.mkdir("d");
    let cursor = ["--cursor", "c"];
    append(&tree, &numbered(0..5));
    // The logger has written a part of a line.
    append(&tree, &format!("{} ", label(5)));
    assert_eq!(numbers(&tree, &cursor), [0, 1, 2, 3, 4]);
    assert_eq!(numbers(&tree, &cursor), [0; 0]);
    append(&tree, "5\n");
    append(&tree, &numbered(6..8));
    assert_eq!(numbers(&tree, &cursor), [5, 6, 7]);
    // The text of the file is a token, which stays where it is.
    append(&tree, &numbered(8..10));
    let token = tree.text("c");
    for _ in 0..2 {
        assert_eq!(numbers(&tree, &["--cursor", token.trim_end()]), [8, 9]);
    }
    // Two rotations.
    tree.rename("d/current", format!("d/{}.s", label(10)));
    tree.write(format!("d/{}.s", label(13)), numbered(10..13));
    append(&tree, &numbered(13..15));
    assert_eq!(numbers(&tree, &cursor), [8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(numbers(&tree, &cursor), [0; 0]);
    // Another directory begins at its beginning.
    tree.mkdir("e");
    tree.write("e/current", numbered(2..3));
    append(&tree, &numbered(15..16));
    let output = logs(&tree, &["--log-dir", "d", "--log-dir", "e", "-o", "cat"]).args(cursor).run();
    assert_eq!(output.out(), "2\n15\n");
    assert!(!tree.exists(format!("c.new.{}", std::process::id())));
}

#[test]
fn a_cursor_that_is_no_small_file_is_refused() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, &numbered(0..2));
    tree.fifo("fifo", 0o600);
    tree.symlink("/dev/zero", "zero");
    tree.write("target", "c1\n");
    tree.symlink("target", "link");
    tree.symlink("missing", "dangling");
    std::fs::File::create(tree.path("huge")).unwrap().set_len(1 << 40).unwrap();
    for (name, why) in [
        ("fifo", "it is not a regular file"),
        ("d", "it is not a regular file"),
        ("zero", "it is a symbolic link"),
        ("link", "it is a symbolic link"),
        ("dangling", "it is a symbolic link"),
        ("huge", "it is too large for a cursor"),
    ] {
        let output = logs(&tree, &["--log-dir", "d", "--cursor", name]).run();
        output.is(111, "", format!("svctl: fatal: unable to read {name}: {why}\n"));
    }
    assert!(!tree.exists("missing"));
    // The device of the terminal, which a reader would wait for.
    let output = logs(&tree, &["--log-dir", "d", "--cursor", "/dev/null"]).run();
    output.is(111, "", "svctl: fatal: unable to read /dev/null: it is not a regular file\n");
}

#[test]
fn a_cursor_is_not_written_through_a_link_of_another_user() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, &numbered(0..2));
    for directory in ["secret", "shared/real"] {
        tree.mkdir(directory);
    }
    tree.symlink(tree.path("secret"), "shared/link");
    tree.chmod("shared", 0o777);
    let output = logs(&tree, &["--log-dir", "d", "--cursor", "shared/link/c"]).run();
    let why = "another user can change a symbolic link on its path";
    output.is(111, "", format!("svctl: fatal: unable to read shared/link/c: {why}\n"));
    assert!(!tree.exists("secret/c"));
    // Our own link, and a directory of another user without one.
    tree.symlink("secret", "ours");
    for path in ["ours/c", "shared/real/c"] {
        assert_eq!(numbers(&tree, &["--cursor", path]), [0, 1]);
        assert_eq!(numbers(&tree, &["--cursor", path]), [0; 0]);
        assert!(tree.exists(path), "{path}");
    }
    // A link in the place of the new file, by a user who knows the number of the process.
    let script = format!(
        "ln -s ../../secret/new shared/real/e.new.$$; exec {} logs --log-dir d -o cat --cursor shared/real/e",
        env!("CARGO_BIN_EXE_svctl")
    );
    tree.sh(&script).run().is(0, "0\n1\n", "");
    assert!(tree.exists("shared/real/e") && !tree.exists("secret/new"));
}

fn follow(tree: &Tree) -> Process {
    logs(tree, &["--log-dir", "d", "-o", "cat", "-f", "--cursor", "c"]).start()
}

/// Waits until it has printed these numbers, and ends it.
#[track_caller]
fn wait_and_stop(process: Process, numbers: std::ops::Range<u64>, signal: Signal) {
    let expected: String = numbers.map(|number| format!("{number}\n")).collect();
    wait_until(&format!("it prints {expected}"), DEADLINE, || process.stdout() == expected);
    process.signal(signal);
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn following_goes_on_where_it_ended() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, &numbered(0..20));
    let process = follow(&tree);
    wait_until("the lines", DEADLINE, || process.stdout().ends_with("19\n"));
    append(&tree, &numbered(20..22));
    // The logger has written a part of a line.
    append(&tree, &format!("{} ", label(22)));
    // It is also written meanwhile: a KILL ends it later.
    wait_until("lines and a cursor", DEADLINE, || {
        process.stdout().ends_with("21\n") && tree.exists("c")
    });
    wait_and_stop(process, 0..22, Signal::INT);
    assert_eq!(numbers(&tree, &["--cursor", "c"]), [0; 0]);
    append(&tree, "22\n");
    // Rotations, while it does not run and while it does.
    tree.rename("d/current", format!("d/{}.s", label(23)));
    append(&tree, &numbered(23..25));
    let process = follow(&tree);
    wait_until("the lines", DEADLINE, || process.stdout().ends_with("24\n"));
    tree.rename("d/current", format!("d/{}.s", label(25)));
    append(&tree, &numbered(25..26));
    wait_and_stop(process, 22..26, Signal::TERM);
    append(&tree, &numbered(26..27));
    assert_eq!(numbers(&tree, &["--cursor", "c"]), [26]);
    let process = follow(&tree);
    append(&tree, &numbered(27..28));
    wait_and_stop(process, 27..28, Signal::TERM);
}

#[test]
fn lines_that_no_reader_got_come_again() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, &numbered(0..1));
    let (mut reader, writer) = std::io::pipe().unwrap();
    let words = ["--log-dir", "d", "-o", "cat", "-f", "--cursor", "c"];
    let process = logs(&tree, &words).stdout_to(writer).start();
    let mut first = [0; 2];
    std::io::Read::read_exact(&mut reader, &mut first).unwrap();
    append(&tree, &numbered(1..100_000));
    wait_until("the pipe is full", DEADLINE, || {
        rustix::io::ioctl_fionread(&reader).unwrap() > 60_000
    });
    wait_asleep(process.pid(), env!("CARGO_BIN_EXE_svctl"));
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code, Some(0));
    drop(reader);
    let again = numbers(&tree, &["--cursor", "c"]);
    assert_eq!(again.last(), Some(&99_999));
    // What is in the pipe can come twice, and nothing is left out.
    assert!(again[0] < 30_000, "{}", again[0]);
}
