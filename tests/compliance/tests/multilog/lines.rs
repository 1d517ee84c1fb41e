//! Lines: when and how they reach `current`.

use crate::status_files::status;
use crate::{Random, finished, is_between, log, multilog, now, split, start, whole};
use harness::{DEADLINE, Tree, wait_until};

#[test]
fn a_line_is_in_current_before_the_next_one_comes() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    let mut wanted = String::new();
    for number in 0..50 {
        let line = format!("line {number} {}\n", "x".repeat(number * 37));
        logger.send(&line);
        wanted += &line;
        wait_until("it is there", DEADLINE, || tree.text("d/current") == wanted);
    }
    logger.end().is(0, "", "");
    assert_eq!(tree.text("d/current"), wanted);
}

#[test]
fn the_last_line_gets_its_newline() {
    for (input, kept) in
        [("", ""), ("x", "x\n"), ("a\nb", "a\nb\n"), ("\n", "\n"), ("\n\n", "\n\n")]
    {
        let tree = Tree::new();
        log(&tree, &["./d"], input);
        assert_eq!(tree.text("d/current"), kept);
    }
    for length in [999, 1000, 1001, 5000] {
        let tree = Tree::new();
        log(&tree, &["./d", "-*", "./none"], "y".repeat(length));
        assert_eq!(tree.text("d/current"), format!("{}\n", "y".repeat(length)));
        assert_eq!(tree.text("none/current"), "");
    }
}

#[test]
fn every_byte_is_kept() {
    let tree = Tree::new();
    let mut input: Vec<u8> = (0..=255).collect();
    input.extend(b"\r\n\0\n\0\0x\n\xff\xfe\n \t \n");
    log(&tree, &["./d"], &input);
    assert_eq!(tree.read("d/current"), input);
    let mut random = Random(3);
    let all: Vec<u8> = (0..=255).collect();
    input = (0..1000).flat_map(|_| random.bytes(&all, 300)).collect();
    input.push(b'\n');
    log(&tree, &["s16000000", "./e"], &input);
    assert_eq!(tree.read("e/current"), input);
}

#[test]
fn lines_of_every_length_are_kept() {
    let tree = Tree::new();
    let mut input = String::new();
    for length in (0..600).chain(990..1040).chain(2040..2060).chain([4096, 8192, 65_535, 65_536]) {
        input += &"z".repeat(length);
        input.push('\n');
    }
    log(&tree, &["s16000000", "./d"], &input);
    assert_eq!(tree.text("d/current"), input);
    log(&tree, &["s16000000", "", "./e"], &input);
    assert_eq!(tree.text("e/current"), input);
    log(&tree, &["t", "s16000000", "./f"], &input);
    let stamped = tree.text("f/current");
    let lines: String = stamped.split_inclusive('\n').map(|line| split(line).1).collect();
    assert_eq!(lines, input);
}

#[test]
fn a_line_of_a_megabyte_goes_through_several_files() {
    let tree = Tree::new();
    let line = format!("start {} end\n", "x".repeat(1_000_000));
    let input = format!("before\n{line}after\n");
    let script = ["n100", "./d", "e", "=status", "-*", "./none"];
    let output = multilog(&tree, &script).stdin(&input).run();
    output.is(0, "", format!("before\n{}...\nafter\n", &line[..200]));
    assert_eq!(whole(&tree, "d"), input.as_bytes());
    for name in finished(&tree, "d") {
        assert!(tree.read(name).len() <= 99_999);
    }
    assert_eq!(tree.read("status"), status("after"));
    assert_eq!(tree.text("none/current"), "");
}

#[test]
fn a_long_line_is_written_before_its_end_comes() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.send("x".repeat(3000));
    wait_until("it is there", DEADLINE, || tree.read("d/current").len() == 3000);
    logger.send("y");
    wait_until("it is there", DEADLINE, || tree.read("d/current").len() == 3001);
    logger.send("\n");
    wait_until("it is there", DEADLINE, || tree.read("d/current").len() == 3002);
    logger.end().is(0, "", "");
}

#[test]
fn a_line_is_written_when_all_that_the_script_sees_has_come() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./d"]);
    logger.log("x".repeat(1000));
    logger.send("\n");
    logger.end().is(0, "", "");
}

#[test]
fn part_of_a_short_line_waits_for_its_end() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["./a", "-no*", "./d"]);
    logger.log("first\n");
    logger.send("no");
    logger.wait_idle();
    assert_eq!(tree.text("a/current"), "first\n");
    logger.send(" line\nnext\n");
    tree.wait_text("d/current", "next");
    assert_eq!(tree.text("d/current"), "first\nnext\n");
    assert_eq!(tree.text("a/current"), "first\nno line\nnext\n");
    logger.end().is(0, "", "");
}

#[test]
fn a_stamp_is_the_moment_when_the_line_came() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["t", "./d"]);
    for count in 1..20 {
        let before = now();
        logger.send(format!("line {count}\n"));
        let line = tree.wait_lines("d/current", count).pop().expect("a line");
        is_between(&before, split(&line).0, &now());
    }
    // The label is the moment of the first byte.
    logger.send("whole\npar");
    tree.wait_text("d/current", "whole");
    let before_the_rest = now();
    logger.send("tial\n");
    let text = tree.wait_text("d/current", "partial");
    let (digits, line) = split(text.lines().next_back().expect("a line"));
    assert_eq!(line, "partial");
    assert!(digits <= &*before_the_rest, "{digits} {before_the_rest}");
    logger.end().is(0, "", "");
}
