//! Signals: TERM and ALRM.

use crate::{finished, multilog, only, start, start_command, wait_finished};
use harness::{DEADLINE, Signal, Tree, process, wait_until, whole_log};
use std::fmt::Write as _;
use std::io::{Read, Write, pipe};

#[test]
fn alrm_finishes_the_files_which_are_not_empty() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d", "-*", "./empty"]);
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!((tree.text(&name), tree.mode(&name)), ("one\n".into(), 0o744));
    assert!(name.ends_with(".s"));
    assert_eq!(tree.text("d/current"), "");
    // `current` is empty now, so ALRM has no effect.
    logger.signal(Signal::ALARM);
    logger.log("two\n");
    assert_eq!(only(&tree, "d"), name);
    logger.signal(Signal::ALARM);
    let files = wait_finished(&tree, "d", 2);
    assert_eq!(tree.text(&files[1]), "two\n");
    assert_eq!(finished(&tree, "empty"), [""; 0]);
    logger.end().is(0, "", "");
    assert_eq!(finished(&tree, "d"), files);
}

#[test]
fn alrm_in_a_line_leaves_the_line_whole() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.send("one\ntw");
    tree.wait_text("d/current", "one\n");
    logger.signal(Signal::ALARM);
    wait_finished(&tree, "d", 1);
    logger.send("o\n");
    wait_until("the line is there", DEADLINE, || tree.text("d/current") == "two\n");
    assert_eq!(tree.text(only(&tree, "d")), "one\n");
    logger.end().is(0, "", "");
}

#[test]
fn term_ends_it_at_once_at_the_end_of_a_line() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("one\n");
    logger.wait_idle();
    logger.process.signal(Signal::TERM);
    logger.process.wait().is(0, "", "");
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\n".into(), 0o744));
}

#[test]
fn term_before_any_input_ends_it() {
    let tree = Tree::new();
    let logger = start(&tree, &["./d"]);
    wait_until("it has begun", DEADLINE, || tree.exists("d/current"));
    logger.wait_idle();
    process::wait_asleep(logger.process.pid(), "multilog");
    logger.process.signal(Signal::TERM);
    logger.process.wait().is(0, "", "");
    assert_eq!(tree.mode("d/current"), 0o744);
}

#[test]
fn term_in_a_line_takes_the_rest_of_it_and_not_a_byte_more() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.send("one\ntw");
    tree.wait_text("d/current", "one\n");
    logger.signal(Signal::TERM);
    assert!(!logger.process.has_ended());
    logger.send("o\nthree\nfour");
    drop(logger.input);
    logger.process.wait().is(0, "", "");
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), ("one\ntwo\n".into(), 0o744));
    let mut rest = String::new();
    logger.reader.read_to_string(&mut rest).expect("read the rest");
    assert_eq!(rest, "three\nfour");
}

#[test]
fn term_in_a_long_line_takes_the_rest_of_it_and_not_a_byte_more() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("x".repeat(2000));
    logger.signal(Signal::TERM);
    let rest = "y".repeat(3000);
    logger.send(format!("{rest}\nnext\n"));
    drop(logger.input);
    logger.process.wait().is(0, "", "");
    assert_eq!(tree.text("d/current"), format!("{}{rest}\n", "x".repeat(2000)));
    let mut left = String::new();
    logger.reader.read_to_string(&mut left).expect("read the rest");
    assert_eq!(left, "next\n");
}

#[test]
fn term_in_a_line_which_ends_with_the_input() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.send("one\ntw");
    tree.wait_text("d/current", "one\n");
    logger.signal(Signal::TERM);
    logger.end().is(0, "", "");
    assert_eq!(tree.text("d/current"), "one\ntw\n");
}

#[test]
fn the_next_multilog_reads_what_the_last_left_in_the_pipe() {
    let tree = Tree::new();
    let (mut reader, input) = pipe().expect("a pipe");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let writer = std::thread::spawn(move || {
        let (mut input, mut number) = (input, 0);
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            // Pieces of all sizes, so that a piece may end anywhere in a line.
            let text = numbered_from(number, 7);
            for piece in text.as_bytes().chunks(61 + number % 50) {
                input.write_all(piece).expect("write");
            }
            number += 7;
        }
        number
    });
    for round in 0..20 {
        let dir = format!("./{round:02}");
        let own = reader.try_clone().expect("another reader");
        let logger = multilog(&tree, &["s16000000", "n1000", &dir]).stdin_from(own).start();
        wait_until("it logs", DEADLINE, || !tree.read(format!("{dir}/current")).is_empty());
        logger.signal(Signal::TERM);
        logger.wait().is(0, "", "");
        assert_eq!(tree.mode(format!("{dir}/current")), 0o744);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("read the rest");
    let count = writer.join().expect("the writer");
    let mut all: String = (0..20).map(|round| whole_log(&tree, format!("{round:02}"))).collect();
    all += &rest;
    assert!(all == numbered_from(0, count), "{} and {count} lines", all.lines().count());
}

/// Lines with consecutive numbers.
fn numbered_from(first: usize, count: usize) -> String {
    (first..first + count).fold(String::new(), |mut text, number| {
        writeln!(text, "{number} {}", "x".repeat(number % 83)).expect("text");
        text
    })
}

#[test]
fn signals_which_were_blocked_or_ignored_at_the_start_are_obeyed() {
    let tree = Tree::new();
    let wrapper = ["env", "--block-signal=TERM,ALRM", "--ignore-signal=TERM,ALRM"];
    let mut logger = start_command(&tree, multilog(&tree, &["./d"]).under(wrapper));
    logger.log("one\n");
    logger.signal(Signal::ALARM);
    wait_finished(&tree, "d", 1);
    logger.log("two\n");
    logger.wait_idle();
    logger.process.signal(Signal::TERM);
    logger.process.wait().is(0, "", "");
}
