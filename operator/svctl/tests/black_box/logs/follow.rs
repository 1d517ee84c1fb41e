//! `-f`: history, then what comes.

use super::{label, logs, numbered};
use crate::Services;
use harness::{DEADLINE, Process, Signal, Tree, wait_until};
use std::fs::OpenOptions;
use std::io::Write as _;

pub(super) fn append(tree: &Tree, file: &str, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(tree.path(file));
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("append");
}

#[track_caller]
pub(super) fn wait_output(process: &Process, expected: &str) {
    let mut last = String::new();
    wait_until(&format!("it prints {expected}"), DEADLINE, || {
        last = process.stdout();
        last == expected
    });
}

#[track_caller]
pub(super) fn stop(process: Process) {
    process.signal(Signal::INT);
    let output = process.wait();
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
}

#[test]
fn the_last_lines_come_first_and_new_ones_follow() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, "d/current", &numbered(0..20));
    append(&tree, "d/current", &format!("{} 2", label(20)));
    let process = logs(&tree, &["--log-dir", "d", "-o", "cat", "-f"]).start();
    let mut expected: String = (10..20).map(|n| format!("{n}\n")).collect();
    wait_output(&process, &expected);
    append(&tree, "d/current", "0\n");
    expected += "20\n";
    wait_output(&process, &expected);
    // A rotation.
    append(&tree, "d/current", &numbered(21..22));
    tree.rename("d/current", format!("d/{}.s", label(22)));
    append(&tree, "d/current", &numbered(22..24));
    expected += "21\n22\n23\n";
    wait_output(&process, &expected);
    stop(process);
}

#[test]
fn no_line_is_lost_or_doubled_across_rotations() {
    let tree = Tree::new();
    tree.mkdir("d");
    let mut logger = tree
        .sh("i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done | multilog t s4096 n100 ./d; echo done >ended")
        .start();
    let process = logs(&tree, &["--log-dir", "d", "-o", "cat", "-f", "--since", "-1h"]).start();
    tree.wait_text("ended", "done");
    let expected: String = (0..3000).map(|n| format!("{n}\n")).collect();
    wait_output(&process, &expected);
    stop(process);
    wait_until("the logger has ended", DEADLINE, || logger.has_ended());
}

#[test]
fn a_directory_that_becomes_unreadable_does_not_end_the_others() {
    let tree = Tree::new();
    for directory in ["d", "e"] {
        tree.mkdir(directory);
        append(&tree, &format!("{directory}/current"), &numbered(0..1));
    }
    let words = ["--log-dir", "d", "--log-dir", "e", "-o", "cat", "-f"];
    let process = logs(&tree, &words).unprivileged().start();
    wait_output(&process, "0\n0\n");
    // A rotation, with a file that the reader may not read.
    tree.write("new", numbered(1..2));
    tree.chmod("new", 0o000);
    tree.rename("d/current", format!("d/{}.s", label(1)));
    tree.rename("new", "d/current");
    process.wait_stderr("d: unable to read d: access denied");
    append(&tree, "e/current", &numbered(2..3));
    wait_output(&process, "0\n0\n2\n");
    tree.chmod("d/current", 0o600);
    append(&tree, "d/current", &numbered(3..4));
    wait_output(&process, "0\n0\n2\n1\n3\n");
    process.signal(Signal::INT);
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn a_pattern_counts_for_new_lines() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, "d/current", &numbered(0..2));
    let process = logs(&tree, &["--log-dir", "d", "-o", "cat", "-f", "-g", "5$"]).start();
    append(&tree, "d/current", &numbered(2..30));
    wait_output(&process, "5\n15\n25\n");
    stop(process);
}

#[test]
fn a_long_line_is_followed() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, "d/current", "");
    let process = logs(&tree, &["--log-dir", "d", "-o", "json", "-f"]).start();
    let message = "x".repeat(300_000);
    append(&tree, "d/current", &format!("{} {message}\n{} end\n", label(0), label(1)));
    wait_until("the line is there", DEADLINE, || process.stdout().lines().count() == 2);
    let output = process.stdout();
    let first: serde_json::Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
    assert_eq!(first["message"], message);
    stop(process);
}

#[test]
fn services_that_are_added_are_followed() {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\necho from web\nexec sleep 1000\n");
        tree.service("s/web/log", "#!/bin/sh\nexec multilog t ./main\n");
    });
    services.tree.wait_text("s/web/log/main/current", "from web\n");
    let process = services.svctl().args(["logs", "-f", "-o", "tai"]).start();
    wait_until("the first line", DEADLINE, || process.stdout().ends_with("from web\n"));
    let tree = &services.tree;
    tree.mkdir("made");
    tree.service("made/db", "#!/bin/sh\necho from db\nexec sleep 1000\n");
    tree.service("made/db/log", "#!/bin/sh\nexec multilog t ./main\n");
    tree.symlink("../made/db", "s/db");
    wait_until("the line of the new service", DEADLINE, || {
        let output = process.stdout();
        output.lines().any(|line| line.starts_with("db | @") && line.ends_with("from db"))
    });
    // It is removed; the other one goes on.
    tree.remove("s/db");
    services.run(&["restart", "web"]);
    wait_until("another line", DEADLINE, || process.stdout().ends_with("from web\n"));
    stop(process);
}

#[test]
fn a_period_that_ends_is_refused() {
    let tree = Tree::new();
    tree.mkdir("d");
    let output = logs(&tree, &["--log-dir", "d", "-f", "--until", "now"]).run();
    let message = "svctl: fatal: unable to use --until with --follow: following has no end\n";
    output.is(100, "", message);
}

#[test]
fn without_history_it_begins_with_the_next_line() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, "d/current", &numbered(0..20));
    let process = logs(&tree, &["--log-dir", "d", "-o", "cat", "-f", "-n", "0"]).start();
    // It has begun when it has shown a line that came later.
    let mut next = 20;
    wait_until("a line", DEADLINE, || {
        append(&tree, "d/current", &numbered(next..next + 1));
        next += 1;
        !process.stdout().is_empty()
    });
    let first: u64 = process.stdout().lines().next().unwrap().parse().unwrap();
    assert!(first >= 20, "{first}");
    stop(process);
}

#[test]
fn it_ends_with_its_reader() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, "d/current", &numbered(0..2));
    let program = env!("CARGO_BIN_EXE_svctl");
    let script = format!("{program} logs --log-dir d -o cat -f | head -n 1");
    // No further line comes.
    tree.sh(&script).run().is(0, "0\n", "");
}
