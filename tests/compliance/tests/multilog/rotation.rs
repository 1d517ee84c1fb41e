//! Rotation: when a file is full, and which files are removed.

use crate::patterns::matches;
use crate::{
    Random, finished, is_between, log, names, now, numbered, only, start, wait_finished, whole,
};
use harness::{DEADLINE, Tree, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Sends single lines of this length. Asserts that the first file ends exactly at `full` bytes.
#[track_caller]
fn is_full_with_single_lines(length: usize, full: usize) {
    let tree = Tree::new();
    let mut logger = start(&tree, &["s4096", "./d"]);
    let line = format!("{}\n", "x".repeat(length - 1));
    for sent in (length..full).step_by(length) {
        logger.send(&line);
        wait_until("the line is there", DEADLINE, || tree.read("d/current").len() == sent);
    }
    logger.wait_idle();
    assert_eq!(names(&tree, "d"), ["current", "lock", "state"]);
    logger.send(&line);
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    assert_eq!((tree.read(name).len(), tree.read("d/current").len()), (full, 0));
    logger.end().is(0, "", "");
}

#[test]
fn a_file_is_full_at_the_end_of_a_line_less_than_2000_bytes_before_its_size() {
    is_full_with_single_lines(16, 2096);
    is_full_with_single_lines(15, 2100);
    is_full_with_single_lines(2096, 2096);
    // A line that ends one byte earlier does not end the file.
    let tree = Tree::new();
    let line = format!("{}\n", "x".repeat(2094));
    log(&tree, &["s4096", "./d"], line.repeat(2));
    assert_eq!(tree.read(only(&tree, "d")).len(), 4096);
    assert_eq!(tree.read("d/current").len(), 2 * 2095 - 4096);
}

#[test]
fn without_newlines_a_file_is_exactly_full_and_stays_until_more_comes() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["s4096", "./d"]);
    logger.send("x".repeat(4096));
    wait_until("it is there", DEADLINE, || tree.read("d/current").len() == 4096);
    logger.wait_idle();
    assert_eq!(finished(&tree, "d"), [""; 0]);
    logger.send("y");
    wait_until("it is there", DEADLINE, || tree.text("d/current") == "y");
    assert_eq!(tree.text(only(&tree, "d")), "x".repeat(4096));
    logger.end().is(0, "", "");
    assert_eq!(tree.text("d/current"), "y\n");
}

#[test]
fn a_finished_file_has_its_name_and_mode_and_was_current() {
    let tree = Tree::new();
    let mut logger = start(&tree, &["s4096", "./d"]);
    logger.log("first\n");
    let inode = fs::metadata(tree.path("d/current")).expect("a file").ino();
    let before = now();
    logger.send(format!("{}\n", "x".repeat(3000)));
    let name = wait_finished(&tree, "d", 1).pop().expect("a file");
    let after = now();
    let digits = name.strip_prefix("d/@").and_then(|name| name.strip_suffix(".s"));
    is_between(&before, digits.expect("a name"), &after);
    assert_eq!(tree.mode(&name), 0o744);
    assert_eq!(fs::metadata(tree.path(&name)).expect("a file").ino(), inode);
    assert_eq!(names(&tree, "d")[1..], ["current", "lock", "state"]);
    assert_eq!((tree.text("d/current"), tree.mode("d/current")), (String::new(), 0o644));
    logger.end().is(0, "", "");
}

#[test]
fn no_line_is_lost_or_doubled_and_no_file_is_too_long() {
    let mut random = Random(4);
    for (size, longest) in [(4096, 40), (4096, 300), (5000, 1500), (4096, 6000), (20_000, 9000)] {
        let tree = Tree::new();
        let mut input = Vec::new();
        while input.len() < 40 * size {
            input.extend(random.bytes(b"abcdefgh ", longest));
            input.push(b'\n');
        }
        log(&tree, &[&format!("s{size}"), "n1000", "./d"], &input);
        assert!(whole(&tree, "d") == input, "{size} {longest}");
        for name in finished(&tree, "d") {
            let file = tree.read(&name);
            // A file ends at a newline in its last 2000 bytes, or is exactly full.
            let at_newline = file.ends_with(b"\n") && file.len() >= size - 2000;
            assert!(file.len() <= size && (at_newline || file.len() == size), "{}", file.len());
            let tail = &file[size - 2000..];
            assert!(at_newline || !tail.contains(&b'\n'), "{size} {longest}");
        }
        assert!(tree.read("d/current").len() <= size);
    }
}

#[test]
fn the_oldest_files_go() {
    let tree = Tree::new();
    let lines = numbered(2000, 16);
    log(&tree, &["s4096", "n4", "./d"], &lines);
    let kept = whole(&tree, "d");
    assert_eq!(finished(&tree, "d").len(), 3);
    assert!(lines.as_bytes().ends_with(&kept));
    assert!(kept.len() >= 3 * 2096 && kept.len() <= 4 * 4096);
}

#[test]
fn only_long_names_with_an_at_sign_count_and_go() {
    let tree = Tree::new();
    let others = ["@short", "@00000000000000000000000", "other", ".@000000000000000000000000.s"];
    let counted =
        ["@000000000000000000000000", "@00000000000000000000000zyx", "@1 has no digits at all..."];
    for name in others.iter().chain(&counted) {
        tree.write(format!("d/{name}"), "x");
    }
    log(&tree, &["s4096", "n4", "./d"], format!("{}\n", "x".repeat(3000)));
    let names = names(&tree, "d");
    for name in others {
        assert!(names.contains(&name.to_owned()), "{name} {names:?}");
    }
    let left: Vec<bool> = counted.iter().map(|name| names.contains(&(*name).to_owned())).collect();
    assert_eq!(left, [false, true, true]);
}

#[test]
fn directories_may_have_different_lines_and_sizes() {
    let tree = Tree::new();
    let script = ["s4096", "n50", "./a", "-*5", "s8192", "./b", "-*", "./c"];
    let lines = numbered(3000, 16);
    log(&tree, &script, &lines);
    assert_eq!(whole(&tree, "a"), lines.as_bytes());
    let selected = |line: &&str| !matches(b"*5", line.trim_end().as_bytes());
    let selected: String = lines.split_inclusive('\n').filter(selected).collect();
    assert_eq!(whole(&tree, "b"), selected.as_bytes());
    assert_eq!(whole(&tree, "c"), b"");
    assert!(finished(&tree, "a").len() > finished(&tree, "b").len());
}
