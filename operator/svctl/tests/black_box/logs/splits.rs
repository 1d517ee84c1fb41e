//! Lines that a logger has split over several files, because a file was full within the line.

use super::{label, logs, print};
use harness::{Cmd, DEADLINE, Process, Signal, Tree, requires, wait_until};
use std::fs::OpenOptions;
use std::io::Write as _;

/// A message of so many digits, which tell their place.
fn digits(count: usize) -> String {
    (0..count.div_ceil(8)).map(|n| format!("{n:07} ")).collect::<String>()[..count].to_owned()
}

/// A directory `d` with five lines. The second is split over two files, the fourth over four, two of which
/// have no newline.
fn split_lines(tree: &Tree) -> [String; 5] {
    tree.mkdir("d");
    let messages =
        ["one".to_owned(), digits(90), "three".to_owned(), digits(3000), "five".to_owned()];
    let line = |at: usize| format!("{} {}\n", label(10 * at as u64), messages[at]);
    let (second, fourth) = (line(1), line(3));
    for (second_of_end, text) in [
        (10, format!("{}{}", line(0), &second[..70])),
        (30, format!("{}{}{}", &second[70..], line(2), &fourth[..1000])),
        (31, fourth[1000..2000].to_owned()),
        (32, String::new()),
        (33, fourth[2000..2001].to_owned()),
    ] {
        tree.write(format!("d/{}.s", label(second_of_end)), text);
    }
    tree.write("d/current", format!("{}{}", &fourth[2001..], line(4)));
    messages
}

/// Fails with what can be read if these are not the messages that svctl prints of `d`.
#[track_caller]
fn finds(tree: &Tree, arguments: &[&str], expected: &[String]) {
    let found = messages(tree, arguments);
    let short = |lines: &[String]| {
        let line = |line: &String| format!("{:.40}: {} bytes", line, line.len());
        lines.iter().map(line).collect::<Vec<_>>()
    };
    assert!(found == expected, "{arguments:?}: {:?} {:?}", short(&found), short(expected));
}

/// The messages that svctl prints of `d`.
#[track_caller]
fn messages(tree: &Tree, arguments: &[&str]) -> Vec<String> {
    let output = print(tree, &[arguments, &["-o", "cat"]].concat());
    output.lines().map(str::to_owned).collect()
}

/// Every option finds these lines.
#[track_caller]
fn all_find(tree: &Tree, expected: &[String; 5]) {
    finds(tree, &[], expected);
    for count in 0..7 {
        let last = &expected[5_usize.saturating_sub(count)..];
        finds(tree, &["-n", &count.to_string()], last);
    }
    for from in 1..6 {
        let since = label(10 * from as u64 - 1);
        let later = &expected[from..];
        finds(tree, &["--since", &since], later);
        finds(tree, &["--since", &since, "-n", "2"], &later[later.len().saturating_sub(2)..]);
        finds(tree, &["--until", &since], &expected[..from]);
        let last = &expected[from.saturating_sub(1)..from];
        finds(tree, &["--until", &since, "-n", "1"], last);
    }
    // The pattern is in both parts of the second line, or over the cut.
    let second = &expected[1..2];
    finds(tree, &["-g", "^0000000 .*0000010 $"], &[]);
    finds(tree, &["-g", "^0000000 .*0000010 00$"], second);
    finds(tree, &["-g", "^0000000 .*0000010 00$", "-n", "1"], second);
}

#[test]
fn a_split_line_is_one_line() {
    let tree = Tree::new();
    let expected = split_lines(&tree);
    all_find(&tree, &expected);
    let files = harness::finished_files(&tree, "d");
    // A file that a processor has compressed, and one that waits for its final name.
    if requires("gzip") {
        for name in &files {
            let script = format!("gzip -c <{name} >new && mv new {name}");
            assert_eq!(tree.sh(&script).cwd("d").run().code, Some(0));
            all_find(&tree, &expected);
        }
    }
    tree.rename(format!("d/{}", files[4]), "d/previous");
    all_find(&tree, &expected);
    // The older files are gone: what is left of a line is shown.
    tree.remove(format!("d/{}", files[0]));
    let rest = format!("{} {}", label(10), expected[1])[70..].to_owned();
    let left = [&[rest], &expected[2..]].concat();
    finds(&tree, &[], &left);
    finds(&tree, &["-n", "4"], &left);
}

#[test]
fn a_split_line_longer_than_the_buffer_is_one_line() {
    let tree = Tree::new();
    let expected = split_lines(&tree);
    let long = digits(3_000_000);
    let line = format!("{} {long}\n", label(35));
    let current = tree.text("d/current");
    let (rest, last) = current.split_at(current.find('\n').unwrap() + 1);
    tree.write(format!("d/{}.s", label(34)), format!("{rest}{}", &line[..1_000_000]));
    tree.write(format!("d/{}.s", label(35)), &line[1_000_000..2_999_000]);
    tree.write("d/current", format!("{}{last}", &line[2_999_000..]));
    let all = [&expected[..4], &[long], &expected[4..]].concat();
    for count in 0..8 {
        let last = &all[6_usize.saturating_sub(count)..];
        finds(&tree, &["-n", &count.to_string()], last);
    }
    finds(&tree, &[], &all);
    // A pattern is looked for in the beginning of a long line.
    finds(&tree, &["-g", "^0000000 .*0000011 ", "-n", "1"], &all[4..5]);
    finds(&tree, &["-g", "^(one|five)$"], &[&all[..1], &all[5..]].concat());
}

#[test]
fn a_file_of_a_killed_logger_ends_its_line() {
    let tree = Tree::new();
    tree.mkdir("d");
    let name = format!("d/{}.u", label(1));
    tree.write(&name, format!("{} one\n{} to", label(0), label(0)));
    tree.write("d/current", format!("{} two\n", label(2)));
    tree.chmod(&name, 0o644);
    assert_eq!(messages(&tree, &[]), ["one", "to", "two"]);
    assert_eq!(messages(&tree, &["-n", "2"]), ["to", "two"]);
    // Its logger has completed it.
    tree.chmod(&name, 0o744);
    assert_eq!(messages(&tree, &["-n", "1"]), [format!("to{} two", label(2))]);
}

fn append(tree: &Tree, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(tree.path("d/current"));
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("append");
}

/// A line that is begun in a full file, and whose rest is still to come.
fn begun(tree: &Tree) {
    tree.mkdir("d");
    tree.write(format!("d/{}.s", label(1)), format!("{} one\n{} t", label(0), label(1)));
    tree.write("d/current", "");
}

#[test]
fn a_cursor_stands_before_a_line_that_is_split() {
    for with_current in [false, true] {
        let tree = Tree::new();
        begun(&tree);
        if !with_current {
            tree.remove("d/current");
        }
        let cursor = ["--cursor", "c"];
        assert_eq!(messages(&tree, &cursor), ["one"]);
        append(&tree, "w");
        assert_eq!(messages(&tree, &cursor), [""; 0]);
        append(&tree, &format!("o\n{} three\n", label(3)));
        assert_eq!(messages(&tree, &cursor), ["two", "three"]);
        assert_eq!(messages(&tree, &cursor), [""; 0]);
        // Without a cursor, what there is of a line is shown.
        append(&tree, "x");
        assert_eq!(messages(&tree, &["-n", "1"]), ["x"]);
    }
}

fn follow<'t>(tree: &'t Tree, arguments: &[&str]) -> Cmd<'t> {
    logs(tree, &["--log-dir", "d", "-o", "cat", "-f"]).args(arguments)
}

#[track_caller]
fn wait_output(process: &Process, expected: &str) {
    wait_until(&format!("it prints {expected:?}"), DEADLINE, || {
        let output = process.stdout();
        assert!(expected.starts_with(&output), "{output:?}");
        output == expected
    });
}

#[test]
fn a_split_line_is_followed() {
    for (arguments, before) in
        [(&[][..], "one\n"), (&["-n", "1"], "one\n"), (&["--since", &label(1)], "")]
    {
        let tree = Tree::new();
        begun(&tree);
        let process = follow(&tree, arguments).start();
        wait_output(&process, before);
        append(&tree, &format!("wo\n{} th", label(2)));
        let before = format!("{before}two\n");
        wait_output(&process, &before);
        // The next file is full too.
        tree.rename("d/current", format!("d/{}.s", label(2)));
        append(&tree, &format!("ree\n{} four\n", label(3)));
        wait_output(&process, &format!("{before}three\nfour\n"));
        process.signal(Signal::TERM);
        assert_eq!(process.wait().code, Some(0));
    }
}

#[test]
fn following_from_now_on_begins_with_a_split_line() {
    let tree = Tree::new();
    begun(&tree);
    append(&tree, "w");
    let process = follow(&tree, &["-n", "0", "--cursor", "c"]).start();
    wait_until("a cursor", DEADLINE, || tree.exists("c"));
    process.signal(Signal::TERM);
    process.wait().is(0, "", "");
    let process = follow(&tree, &["-n", "0"]).start();
    harness::process::wait_asleep(process.pid(), env!("CARGO_BIN_EXE_svctl"));
    append(&tree, "o\n");
    wait_output(&process, "two\n");
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code, Some(0));
    // The cursor stands before that line.
    assert_eq!(messages(&tree, &["--cursor", "c"]), ["two"]);
}

#[test]
fn a_follower_that_ends_within_a_split_line_begins_with_it_again() {
    let tree = Tree::new();
    tree.mkdir("d");
    append(&tree, &format!("{} one\n{} t", label(0), label(1)));
    let process = follow(&tree, &["--cursor", "c"]).start();
    wait_output(&process, "one\n");
    tree.rename("d/current", format!("d/{}.s", label(1)));
    append(&tree, "w");
    // The file of before is known to be read when the line of the next one is there.
    harness::process::wait_asleep(process.pid(), env!("CARGO_BIN_EXE_svctl"));
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code, Some(0));
    append(&tree, "o\n");
    assert_eq!(messages(&tree, &["--cursor", "c"]), ["two"]);
}
