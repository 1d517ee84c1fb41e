//! `--since`, `--until`, `-n` and `-g`.

use super::{label, logs, numbered, numbers, succeeds};
use harness::{Tree, strace_works};

/// A directory of finished files of 100 lines, a line a second.
fn ten_files(tree: &Tree, directory: &str) {
    tree.mkdir(directory);
    for file in 1..10 {
        let name = format!("{directory}/{}.s", label(file * 100 - 1));
        tree.write(name, numbered((file - 1) * 100..file * 100));
    }
    tree.write(format!("{directory}/current"), numbered(900..1000));
}

#[test]
fn a_period_has_both_its_ends() {
    let tree = Tree::new();
    ten_files(&tree, "d");
    for (since, until) in [(0, 999), (0, 0), (99, 100), (250, 250), (100, 899), (999, 2000)] {
        let found = numbers(&tree, &["--since", &label(since), "--until", &label(until)]);
        assert_eq!(found, (since..=until.min(999)).collect::<Vec<_>>());
    }
    assert_eq!(numbers(&tree, &["--since", "2026-11-30 14:58:10"]), [998, 999]);
    assert_eq!(numbers(&tree, &["--until", "2026-11-30T14:41:33Z"]), [0, 1]);
    assert_eq!(numbers(&tree, &["--since", "today", "--until", "yesterday"]), [0; 0]);
}

#[test]
fn the_last_lines_are_counted_behind_the_pattern() {
    let tree = Tree::new();
    ten_files(&tree, "d");
    assert_eq!(numbers(&tree, &["-n", "3"]), [997, 998, 999]);
    assert_eq!(numbers(&tree, &["-n", "0"]), [0; 0]);
    assert_eq!(numbers(&tree, &["-n", "150"]), (850..1000).collect::<Vec<_>>());
    assert_eq!(numbers(&tree, &["-n", "5000"]).len(), 1000);
    assert_eq!(numbers(&tree, &["-n", "3", "-g", "^.?50$"]), [750, 850, 950]);
    let until = label(250);
    assert_eq!(numbers(&tree, &["-n", "2", "--until", &until]), [249, 250]);
    // The stamp is not a part of the message.
    assert_eq!(numbers(&tree, &["-g", "@4"]), [0; 0]);
}

#[test]
fn the_last_lines_are_those_of_all_directories() {
    let tree = Tree::new();
    for (directory, seconds) in [("a", [1, 2, 9]), ("b", [3, 7, 8]), ("c", [4, 5, 6])] {
        tree.mkdir(directory);
        let text: String = seconds.iter().map(|n| format!("{} {n}\n", label(*n))).collect();
        tree.write(format!("{directory}/current"), text);
    }
    for wanted in 0..11 {
        let number = wanted.to_string();
        let arguments = ["--log-dir", "a", "--log-dir", "b", "--log-dir", "c", "-n", &number];
        let output = logs(&tree, &arguments).args(["-o", "cat"]).run();
        let first = 10_usize.saturating_sub(wanted).max(1);
        let expected: String = (first..10).map(|n| format!("{n}\n")).collect();
        assert_eq!(output.out(), expected, "{wanted}");
    }
}

#[test]
fn a_large_file_is_searched() {
    let tree = Tree::new();
    tree.mkdir("d");
    let line = |second: u64| format!("{} {second} {}\n", label(second), "x".repeat(100));
    tree.write("d/current", (0..20_000).map(line).collect::<String>());
    for (since, until) in [(0, 10), (9_999, 10_001), (19_990, 19_999), (1, 19_998)] {
        let arguments =
            ["--log-dir", "d", "-o", "cat", "--since", &label(since), "--until", &label(until)];
        let output = logs(&tree, &arguments).run();
        succeeds(&output);
        let found: Vec<u64> = output
            .out()
            .lines()
            .map(|line| line.split(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(found, (since..=until).collect::<Vec<_>>());
    }
}

#[test]
fn a_recent_period_opens_two_files_a_directory() {
    let tree = Tree::new();
    if !strace_works(&tree) {
        return;
    }
    let mut arguments = Vec::new();
    for n in 0..10 {
        let directory = format!("d{n}");
        ten_files(&tree, &directory);
        arguments.extend(["--log-dir".to_owned(), directory]);
    }
    let since = label(870);
    let program = env!("CARGO_BIN_EXE_svctl");
    let strace = ["strace", "-f", "-e", "trace=open,openat,openat2", "-o", "trace"];
    let output = tree
        .cmd(strace[0])
        .args(&strace[1..])
        .args([program, "logs", "-o", "cat", "--since", &since])
        .args(&arguments)
        .run();
    assert_eq!(output.out().lines().count(), 1300, "{output}");
    let trace = tree.text("trace");
    let opened = trace.lines().filter(|line| line.contains("\"@4") || line.contains("\"current\""));
    assert_eq!(opened.count(), 20, "{trace}");
}
