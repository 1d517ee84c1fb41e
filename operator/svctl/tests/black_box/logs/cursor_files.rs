//! `--cursor` after its file was replaced by a processor, or removed.

use super::{label, logs, numbered, print};
use harness::random::Random;
use harness::{DEADLINE, Signal, Tree, requires, wait_until};
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;

/// Lines without a stamp.
fn plain(numbers: Range<u64>) -> String {
    numbers.map(|number| format!("{number}\n")).collect()
}

/// Each of the forms of a line.
const FORMS: [fn(Range<u64>) -> String; 2] = [numbered, plain];

/// Replaces a file by one with the same text, as a processor does.
fn process(tree: &Tree, from: &str, to: &str, filter: &str) {
    let script = format!("{filter} <d/{from} >d/processed && rm d/{from} && mv d/processed d/{to}");
    assert_eq!(tree.sh(&script).run().code, Some(0));
}

#[track_caller]
fn reads(tree: &Tree, expected: Range<u64>) {
    assert_eq!(print(tree, &["-o", "cat", "--cursor", "c"]), plain(expected));
}

/// Adds lines to `current`.
fn append(tree: &Tree, text: &str) {
    let before = if tree.exists("d/current") { tree.text("d/current") } else { String::new() };
    let path = tree.path("d/current");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("append");
    assert_eq!(tree.text("d/current"), before + text);
}

#[test]
fn a_cursor_goes_on_in_a_file_that_a_processor_has_written() {
    for (form, filter) in FORMS.into_iter().flat_map(|form| [(form, "cat"), (form, "gzip -c")]) {
        for rotations in 1..4 {
            if filter != "cat" && !requires("gzip") {
                continue;
            }
            let tree = Tree::new();
            tree.mkdir("d");
            tree.write(format!("d/{}.s", label(1)), form(0..10));
            append(&tree, &form(10..20));
            reads(&tree, 0..20);
            append(&tree, &form(20..30));
            for at in 0..rotations {
                process(&tree, "current", &format!("{}.s", label(at + 2)), filter);
                append(&tree, &form(30 + 10 * at..40 + 10 * at));
            }
            reads(&tree, 20..30 + 10 * rotations);
            reads(&tree, 0..0);
        }
    }
}

#[test]
fn a_follower_leaves_a_cursor_for_a_file_that_is_replaced() {
    for form in FORMS {
        let tree = Tree::new();
        tree.mkdir("d");
        tree.write(format!("d/{}.s", label(1)), form(0..10));
        append(&tree, &form(10..20));
        let words = ["--log-dir", "d", "-o", "cat", "-f", "--cursor", "c"];
        let process_ = logs(&tree, &words).start();
        wait_until("the lines", DEADLINE, || process_.stdout().ends_with("19\n"));
        process(&tree, "current", &format!("{}.s", label(20)), "cat");
        append(&tree, &form(20..25));
        wait_until("the lines", DEADLINE, || process_.stdout().ends_with("24\n"));
        process_.signal(Signal::TERM);
        process_.wait().is(0, plain(0..25), "");
        append(&tree, &form(25..30));
        process(&tree, "current", &format!("{}.s", label(30)), "cat");
        append(&tree, &form(30..31));
        reads(&tree, 25..31);
    }
}

#[test]
fn a_cursor_loses_and_doubles_nothing_beside_a_logger_with_a_processor() {
    if !requires("gzip") {
        return;
    }
    for (seed, stamp) in [(1, "t"), (2, ""), (3, "t"), (4, "")] {
        let mut random = Random::new(seed);
        let tree = Tree::new();
        let command = format!("exec multilog {stamp} s4096 n1000 '!gzip' ./d");
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let logger = tree.sh(&command).stdin_from(reader).start();
        wait_until("the logger has begun", DEADLINE, || tree.exists("d/current"));
        let mut found = String::new();
        let mut next = 0;
        for _ in 0..30 {
            let mut text = String::new();
            for _ in 0..random.between(0, 150) {
                let length = random.below(50);
                writeln!(text, "{next} {}", "x".repeat(length)).expect("a text");
                next += 1;
            }
            writer.write_all(text.as_bytes()).expect("the logger reads");
            found += &print(&tree, &["-o", "cat", "--cursor", "c"]);
        }
        drop(writer);
        assert_eq!(logger.wait().code, Some(0));
        found += &print(&tree, &["-o", "cat", "--cursor", "c"]);
        let numbers = found.lines().map(|line| line.split(' ').next().expect("a number"));
        let expected: Vec<String> = (0..next).map(|number| number.to_string()).collect();
        assert_eq!(numbers.collect::<Vec<_>>(), expected, "seed {seed}");
    }
}

/// What svctl prints with the cursor, whose file is gone.
#[track_caller]
fn warns(tree: &Tree, expected: Range<u64>, words: &str) {
    let output = logs(tree, &["--log-dir", "d", "-o", "cat", "--cursor", "c"]).run();
    let words =
        format!("svctl: warning: d: the file of the cursor is gone or was changed; {words}\n");
    output.is(111, plain(expected), words);
}

#[test]
fn what_may_be_missing_is_said() {
    for form in FORMS {
        let tree = Tree::new();
        tree.mkdir("d");
        tree.write(format!("d/{}.s", label(10)), form(0..10));
        append(&tree, &form(10..20));
        reads(&tree, 0..20);
        // The logger has removed the file of the cursor, and perhaps more.
        tree.remove(format!("d/{}.s", label(10)));
        tree.remove("d/current");
        append(&tree, &form(40..50));
        let is_stamped = form(0..1) != plain(0..1);
        let words = if is_stamped {
            "lines between Nov 30 14:41:51 and Nov 30 14:42:12 may be missing"
        } else {
            "lines without a stamp may be missing or come again"
        };
        warns(&tree, 40..50, words);
        reads(&tree, 0..0);
    }
}

#[test]
fn a_file_with_another_text_is_not_that_of_the_cursor() {
    let tree = Tree::new();
    tree.mkdir("d");
    tree.write(format!("d/{}.s", label(10)), numbered(0..10));
    append(&tree, &numbered(10..20));
    reads(&tree, 0..20);
    append(&tree, &numbered(20..25));
    // The processor leaves lines out.
    process(&tree, "current", &format!("{}.s", label(25)), "grep -v 5");
    append(&tree, &numbered(25..30));
    warns(&tree, 20..30, "lines with later stamps follow");
    // The place is in the file, but another program has written it anew.
    tree.write("d/current", numbered(130..135));
    let words = "lines with later stamps follow";
    warns(&tree, 130..135, words);
}

#[test]
fn files_with_the_same_line_again_and_again_are_not_mistaken() {
    let tree = Tree::new();
    tree.mkdir("d");
    let same = |count: usize| "0\n".repeat(count);
    tree.write(format!("d/{}.s", label(1)), same(1000));
    append(&tree, &same(500));
    let print = || print(&tree, &["-o", "cat", "--cursor", "c"]).lines().count();
    assert_eq!(print(), 1500);
    append(&tree, &same(500));
    process(&tree, "current", &format!("{}.s", label(2)), "cat");
    append(&tree, &same(700));
    process(&tree, "current", &format!("{}.s", label(3)), "cat");
    append(&tree, &same(600));
    assert_eq!(print(), 500 + 700 + 600);
    // Without the file before, none of them is known to be that of the cursor.
    process(&tree, "current", &format!("{}.s", label(4)), "cat");
    append(&tree, &same(800));
    for second in 1..4 {
        tree.remove(format!("d/{}.s", label(second)));
    }
    let output = logs(&tree, &["--log-dir", "d", "-o", "cat", "--cursor", "c"]).run();
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.err().contains("may be missing or come again"), "{output}");
    assert!(output.out().lines().count() >= 800, "{output}");
}
