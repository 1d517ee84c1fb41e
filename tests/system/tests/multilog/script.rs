//! Words of the script that only ours has: stamps, patterns and limits.

use crate::{multilog, start};
use harness::{DEADLINE, Signal, wait_until};
use std::fs;
use std::io::Write as _;
use std::io::pipe;
use system::{PROMPT, assert_calm, finished_files, tree, whole_log};

/// Runs multilog on an input, and returns the contents of `d`.
#[track_caller]
fn logged(script: &[&str], input: &str) -> String {
    let tree = tree();
    multilog(&tree, script).stdin(input).run().is(0, "", "");
    whole_log(&tree, "d")
}

// Arguments that have no effect

#[test]
fn arguments_that_are_no_action_are_reported_once() {
    for (script, said, dirs) in [
        (&["d", "./d"][..], "d is no action, ignored\n", &["d"][..]),
        (&["t", "main"], "main is no action, ignored\n", &[]),
        (&["./d", "t"], "t is not the first argument, ignored\n", &["d"]),
        (&["./d", "I"], "I is not the first argument, ignored\n", &["d"]),
        (&["~/d", "./d"], "~/d is no action, ignored\n", &["d"]),
    ] {
        let tree = tree();
        let said = format!("multilog: warning: {said}");
        multilog(&tree, script).stdin("one\ntwo\n").run().is(0, "", said);
        for dir in dirs {
            assert_eq!(whole_log(&tree, dir), "one\ntwo\n");
        }
    }
    let tree = tree();
    multilog(&tree, &["", "./d", ""]).stdin("one\n").run().is(0, "", "");
}

// Stamps

#[test]
fn i_puts_dates_before_the_lines() {
    let text = logged(&["I", "./d"], "one\n");
    let (stamp, line) = text.split_once(' ').expect("a stamp");
    assert_eq!(line, "one\n");
    let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
}

/// A label so many seconds from now.
fn label_in(seconds: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.expect("a clock").as_secs()).expect("a clock");
    let seconds = u64::try_from(now + seconds).expect("later than 1970");
    format!("@{:016x}00000001", (1 << 62) + 10 + seconds)
}

#[test]
fn labels_in_a_file_do_not_go_back_with_the_clock() {
    for (ahead, stays) in [(3600, true), (-10, false), (1_000_000_000, false)] {
        let tree = tree();
        let before = label_in(ahead);
        tree.mkdir("d");
        tree.write("d/current", format!("{before} one\n"));
        tree.chmod("d/current", 0o744);
        multilog(&tree, &["t", "./d"]).stdin("two\n").run().is(0, "", "");
        let text = tree.text("d/current");
        let (label, line) = text.lines().nth(1).expect("a line").split_at(25);
        assert_eq!(line, " two");
        assert_eq!(label == before, stays, "{label} after {before}");
    }
}

#[test]
fn old_files_with_future_names_are_removed_before_newer_ones() {
    let tree = tree();
    tree.mkdir("d");
    let ahead: Vec<String> = (0..4).map(|n| format!("{}.s", label_in(1_000_000 + n))).collect();
    for name in &ahead {
        tree.write(format!("d/{name}"), "of the future\n");
    }
    let input: String = (0..400).map(|n| format!("{n:063}\n")).collect();
    multilog(&tree, &["s4096", "n4", "./d"]).stdin(&input).run().is(0, "", "");
    let left = finished_files(&tree, "d");
    assert!(left.len() == 3 && left.iter().all(|name| *name > ahead[3]), "{left:?}");
    assert!(input.ends_with(&whole_log(&tree, "d")));
}

#[test]
fn upper_t_puts_seconds_before_the_lines() {
    let text = logged(&["T", "./d"], "one\n");
    let (stamp, line) = text.split_once(' ').expect("a stamp");
    assert_eq!(line, "one\n");
    let (seconds, micro) = stamp.split_once('.').expect("a fraction");
    assert!(seconds.parse::<u64>().expect("a number") > 1_700_000_000);
    assert_eq!(micro.len(), 6);
}

// Patterns

#[test]
fn f_and_s_choose_shell_patterns_or_simple_ones() {
    let input = "aab\nxb\nab\naab\n";
    // The pattern before F stays a simple one.
    assert_eq!(logged(&["-*", "+*ab", "F", "+x[a-c]", "./d"], input), "xb\nab\n");
    assert_eq!(logged(&["F", "-*", "+*ab", "./d"], input), "aab\nab\naab\n");
    assert_eq!(logged(&["F", "-*", "S", "+*ab", "./d"], input), "ab\n");
}

// Limits

#[test]
fn numbers_that_are_too_small_are_reported() {
    let tree = tree();
    let said = multilog(&tree, &["s10", "n1", "R", "a0", "./d", "s5k"]).stdin("x\n").run();
    let expected = "\
        multilog: warning: s10 is too small, using s4096\n\
        multilog: warning: n1 is too small, using n2\n\
        multilog: warning: R is too small, using R1\n\
        multilog: warning: a0 is too small, using a1\n\
        multilog: warning: s5k is too small, using s4096\n";
    said.is(0, "", expected);
}

#[test]
fn malformed_numbers_are_reported() {
    let tree = tree();
    let script = ["s5000k", "n99999999999999999999", "./d"];
    let expected = "\
        multilog: warning: s5000k is not a number, using s5000\n\
        multilog: warning: n99999999999999999999 is too large, using n18446744073709551615\n";
    multilog(&tree, &script).stdin("x\n").run().is(0, "", expected);
}

#[test]
fn a_bad_suffix_of_file_names_is_refused_at_the_start() {
    let tree = tree();
    let long = format!("w{}", "x".repeat(230));
    for word in ["wa/b", "w/", &long] {
        let expected = format!("multilog: fatal: {word} is no end of a file's name\n");
        multilog(&tree, &[word, "./d"]).stdin("x\n").run().is(100, "", expected);
    }
    assert!(!tree.exists("d"));
    multilog(&tree, &["wa/b", "w", "./d"]).stdin("x\n").run().is(0, "", "");
}

#[test]
fn no_size_is_too_large() {
    let tree = tree();
    let line = "x".repeat(99) + "\n";
    for size in ["s16777216", "s99999999999", "s99999999999999999999999"] {
        let dir = format!("./{size}");
        // Only a size that no file can have is changed.
        let said = match size.len() {
            20.. => {
                format!("multilog: warning: {size} is too large, using s18446744073709551615\n")
            }
            _ => String::new(),
        };
        multilog(&tree, &[size, &dir]).stdin(line.repeat(170_000)).run().is(0, "", &said);
        assert!(finished_files(&tree, size).len() <= 1);
        assert_eq!(finished_files(&tree, size).is_empty(), size.len() > 9);
    }
}

#[test]
fn old_files_take_no_more_room_than_they_may() {
    let tree = tree();
    let line = "x".repeat(99) + "\n";
    let script = ["s4096", "n100", "c10000", "./d"];
    multilog(&tree, &script).stdin(line.repeat(500)).run().is(0, "", "");
    let size = |name: &String| fs::metadata(tree.path("d").join(name)).expect("a file").len();
    let old = finished_files(&tree, "d");
    let total: u64 = old.iter().map(size).sum();
    assert!(total <= 10_000 && old.len() >= 2, "{total} in {} files", old.len());
}

#[test]
fn w_chooses_the_suffix_of_finished_files() {
    let tree = tree();
    let input = ("x".repeat(99) + "\n").repeat(100);
    multilog(&tree, &["s4096", "wdone", "./d"]).stdin(&input).run().is(0, "", "");
    let old = finished_files(&tree, "d");
    assert!(!old.is_empty() && old.iter().all(|name| name.ends_with(".done") && name.len() == 30));
    let script = ["s4096", "w", "!cat", "./e"];
    multilog(&tree, &script).stdin(&input).run().is(0, "", "");
    assert!(finished_files(&tree, "e").iter().all(|name| name.ends_with('.')));
}

#[test]
fn a_starts_a_new_file_when_the_period_is_over_without_input() {
    let tree = tree();
    let (reader, mut input) = pipe().expect("a pipe");
    let logger = multilog(&tree, &["t", "a1", "./d"]).stdin_from(reader).start();
    input.write_all(b"one\n").expect("write");
    wait_until("a finished file", DEADLINE, || {
        tree.exists("d") && finished_files(&tree, "d").len() == 1 && !tree.exists("d/previous")
    });
    // multilog does not finish an empty file, and does not wake up for it.
    assert_calm(logger.pid(), PROMPT);
    assert_eq!(finished_files(&tree, "d").len(), 1);
    assert_eq!(tree.text("d/current"), "");
    drop(input);
    logger.wait().is(0, "", "");
}

#[test]
fn r_counts_the_lines_beyond_the_rate() {
    let tree = tree();
    let (reader, mut input) = pipe().expect("a pipe");
    let logger = multilog(&tree, &["R10", "./d"]).stdin_from(reader).start();
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    input.write_all(lines.as_bytes()).expect("write");
    // The report comes without further input, in the second after the last line.
    let text = tree.wait_text("d/current", " lines\n");
    let mut dropped = 0;
    let mut kept = 0;
    for line in text.lines() {
        match line.strip_prefix("multilog: dropped ").and_then(|rest| rest.strip_suffix(" lines")) {
            Some(count) => dropped += count.parse::<usize>().expect("a number"),
            None => kept += 1,
        }
    }
    // Twenty if a second ended in the middle.
    assert!(kept == 10 || kept == 20, "{kept}");
    assert!(dropped + kept <= 1000);
    drop(input);
    logger.wait().is(0, "", "");
}

#[test]
fn r_reports_the_dropped_lines_before_the_end() {
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    for term in [false, true] {
        let tree = tree();
        let (logger, mut input) = start(multilog(&tree, &["R10", "./d"]));
        input.write_all(lines.as_bytes()).expect("write");
        tree.wait_text("d/current", "9\n");
        if term {
            logger.signal(Signal::TERM);
            assert_eq!(logger.wait().code, Some(0));
        } else {
            drop(input);
            logger.wait().is(0, "", "");
        }
        let text = tree.text("d/current");
        let dropped = |line: &str| {
            line.strip_prefix("multilog: dropped ")?.strip_suffix(" lines")?.parse::<usize>().ok()
        };
        let reported: usize = text.lines().filter_map(dropped).sum();
        let kept = text.lines().filter(|line| dropped(line).is_none()).count();
        assert!(reported > 0 && kept + reported <= 1000, "{kept} {reported}");
        assert!(term || kept + reported == 1000, "{kept} {reported}");
    }
}
