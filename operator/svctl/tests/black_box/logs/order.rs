//! The order of lines: several directories, several writers, stamps that go back.

use super::{label, logs, numbered, numbers, print, succeeds};
use harness::{Tree, requires};

#[test]
fn lines_of_multilog_and_s6_log_come_in_true_order() {
    if !requires("s6-log") {
        return;
    }
    let tree = Tree::new();
    for _ in 0..2 {
        for (logger, directory) in [("multilog", "m"), ("s6-log", "s")] {
            let output = tree
                .sh(&format!("{logger} t n20 s4096 ./{directory}"))
                .stdin(format!("{directory}\n"))
                .run();
            assert_eq!(output.code, Some(0), "{output}");
        }
    }
    let both = ["--log-dir", "m", "--log-dir", "s", "-o", "cat"];
    let output = logs(&tree, &both).run();
    succeeds(&output);
    assert_eq!(output.out(), "m\ns\nm\ns\n");
    // s6-log's labels are ahead: taken as those of daemontools, they come last.
    let output = logs(&tree, &both).args(["--tai", "djb"]).run();
    assert_eq!(output.out(), "m\nm\ns\ns\n");
}

#[test]
fn a_copied_directory_of_s6_is_recognised_by_its_lock() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write("d/lock", "");
    tree.chmod("d/lock", 0o644);
    tree.write("d/state", "");
    tree.write("d/current", numbered(27..28));
    assert!(print(&tree, &["-o", "iso"]).starts_with("2026-11-30T14:41:32.0"));
    assert!(print(&tree, &["-o", "iso", "--tai", "djb"]).starts_with("2026-11-30T14:41:59.0"));
    tree.chmod("d/lock", 0o600);
    assert!(print(&tree, &["-o", "iso"]).starts_with("2026-11-30T14:41:59.0"));
    assert!(print(&tree, &["-o", "iso", "--tai", "s6"]).starts_with("2026-11-30T14:41:32.0"));
}

#[test]
fn files_are_read_in_the_order_of_their_names() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write(format!("d/{}.s", label(10)), numbered(0..10));
    tree.write(format!("d/{}.u", label(20)), numbered(10..20));
    tree.write("d/previous", numbered(20..30));
    tree.write("d/current", numbered(30..40));
    assert_eq!(numbers(&tree, &[]), (0..40).collect::<Vec<_>>());
}

#[test]
fn lines_of_one_moment_keep_the_order_of_the_directories() {
    let tree = Tree::new();
    for directory in ["a", "b", "c"] {
        tree.mkdir(directory);
        let text: String = (0..3).map(|n| format!("{} {directory}{n}\n", label(5))).collect();
        tree.write(format!("{directory}/current"), text);
    }
    let output =
        logs(&tree, &["--log-dir", "b", "--log-dir", "a", "--log-dir", "c", "-o", "cat"]).run();
    assert_eq!(output.out(), "b0\nb1\nb2\na0\na1\na2\nc0\nc1\nc2\n");
}

#[test]
fn lines_of_a_directory_stay_in_their_order_when_the_clock_is_set_back() {
    let tree = Tree::new();
    let day = 86_400;
    for (directory, seconds) in [
        ("a", [2 * day, 2 * day + 2, day, day + 4]),
        ("b", [2 * day + 1, 2 * day + 3, day + 2, day + 6]),
    ] {
        tree.mkdir(directory);
        let text: String =
            (0..4).map(|n| format!("{} {directory}{n}\n", label(seconds[n]))).collect();
        tree.write(format!("{directory}/current"), text);
    }
    let arguments = ["--log-dir", "a", "--log-dir", "b"];
    let output = logs(&tree, &arguments).args(["-o", "cat"]).run();
    succeeds(&output);
    let of = |name: &str| {
        output
            .out()
            .lines()
            .filter(|line| line.starts_with(name))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("a"), ["a0", "a1", "a2", "a3"]);
    assert_eq!(of("b"), ["b0", "b1", "b2", "b3"]);
    // The second day begins, and the first one again.
    let output = logs(&tree, &["--log-dir", "a"]).run().out();
    assert_eq!(output.matches("-- 2026-12-02 --").count(), 1, "{output}");
    assert_eq!(output.matches("-- 2026-12-01 --").count(), 1, "{output}");
}

#[test]
fn a_period_has_the_lines_whose_stamps_go_back_into_it() {
    let tree = Tree::new();
    tree.mkdir("d");
    let seconds = [10, 20, 30, 15, 25, 35];
    let text: String = seconds.iter().map(|n| format!("{} {n}\n", label(*n))).collect();
    tree.write("d/current", text);
    let (since, until) = (label(15), label(25));
    assert_eq!(numbers(&tree, &["--since", &since, "--until", &until]), [20, 15, 25]);
}

#[test]
fn lines_without_a_stamp_belong_to_the_line_before() {
    let tree = Tree::new();
    for (directory, text) in [
        ("a", format!("{} a0\n  at a1\n{} a2\n", label(0), label(10))),
        ("b", format!("b0\n{} b1\nb2\n", label(5))),
    ] {
        tree.mkdir(directory);
        tree.write(format!("{directory}/current"), text);
    }
    let output = logs(&tree, &["--log-dir", "a", "--log-dir", "b", "-o", "cat"]).run();
    assert_eq!(output.out(), "a0\n  at a1\nb0\nb1\nb2\na2\n");
    let output =
        logs(&tree, &["--log-dir", "a", "-o", "cat", "--since", &label(0), "-n", "2"]).run();
    assert_eq!(output.out(), "  at a1\na2\n");
}

#[test]
fn plain_files_have_the_times_of_their_names() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write(format!("d/{}.s", label(0)), "0\n1\n");
    tree.write(format!("d/{}.s", label(60)), "2\n3\n");
    let output = print(&tree, &[]);
    let expected =
        "-- 2026-11-30 --\n14:41:32 ~   0\n14:41:32 ~   1\n14:42:32 ~   2\n14:42:32 ~   3\n";
    assert_eq!(output, expected);
    assert_eq!(numbers(&tree, &["--since", &label(1)]), [2, 3]);
    assert_eq!(numbers(&tree, &["--until", &label(1)]), [0, 1]);
}

#[test]
fn more_directories_than_descriptors_are_merged() {
    if !requires("prlimit") {
        return;
    }
    let tree = Tree::new();
    let mut arguments = Vec::new();
    for n in 0..200 {
        let directory = format!("d{n}");
        tree.mkdir(&directory);
        tree.write(format!("{directory}/current"), format!("{} {n}\n", label(1000 - n)));
        arguments.extend(["--log-dir".to_owned(), directory]);
    }
    let command = logs(&tree, &["-o", "cat"]).args(&arguments);
    let output = command.under(["prlimit", "--nofile=256:4096"]).run();
    succeeds(&output);
    let expected: String = (0..200).rev().map(|n| format!("{n}\n")).collect();
    assert_eq!(output.out(), expected);
}
