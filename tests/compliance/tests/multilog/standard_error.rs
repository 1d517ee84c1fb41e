//! The action `e`: lines on standard error.

use crate::{multilog, start};
use harness::{DEADLINE, Tree, wait_until};
use std::fmt::Write as _;

#[test]
fn e_shows_at_most_200_bytes_of_a_line() {
    let tree = Tree::new();
    for (length, shown) in [
        (0, String::new()),
        (199, "y".repeat(199)),
        (200, "y".repeat(200)),
        (201, format!("{}...", "y".repeat(200))),
        (1000, format!("{}...", "y".repeat(200))),
        (1001, format!("{}...", "y".repeat(200))),
        (100_000, format!("{}...", "y".repeat(200))),
    ] {
        let input = format!("{}\nnext\n", "y".repeat(length));
        multilog(&tree, &["e"]).stdin(input).run().is(0, "", format!("{shown}\nnext\n"));
    }
}

#[test]
fn e_shows_selected_lines_byte_for_byte() {
    let tree = Tree::new();
    let every: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').take(200).collect();
    let input = [&every[..], b"\nhidden\nlast"].concat();
    let output = multilog(&tree, &["-hidden", "e"]).stdin(input).run();
    output.is(0, "", [&every[..], b"\nlast\n"].concat());
}

#[test]
fn e_with_a_rest_is_e_and_each_one_shows_the_line() {
    let tree = Tree::new();
    let script = ["error", "-b", "e1", "exec"];
    multilog(&tree, &script).stdin("a\nb\n").run().is(0, "", "a\na\na\nb\n");
}

#[test]
fn e_shows_the_stamp_which_counts() {
    let tree = Tree::new();
    let (short, long) = ("y".repeat(174), "y".repeat(175));
    let output = multilog(&tree, &["t", "e", "./d"]).stdin(format!("{short}\n{long}\n")).run();
    let (shown, kept) = (output.err(), tree.text("d/current"));
    let (shown, kept): (Vec<_>, Vec<_>) = (shown.lines().collect(), kept.lines().collect());
    assert_eq!(shown, [kept[0], &format!("{}...", &kept[1][..200])]);
}

#[test]
fn a_standard_error_which_takes_nothing_does_not_matter() {
    let tree = Tree::new();
    tree.sh("printf 'a\\nb\\n' | exec multilog e ./d 2>/dev/full").run().is(0, "", "");
    assert_eq!(tree.text("d/current"), "a\nb\n");
}

#[test]
fn e_shows_a_line_at_once() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["e"]);
    let mut shown = String::new();
    for number in 0..20 {
        writeln!(shown, "line {number}").expect("text");
        logger.send(format!("line {number}\n"));
        wait_until("it is shown", DEADLINE, || logger.process.stderr() == shown);
    }
    logger.end().is(0, "", shown);
}
