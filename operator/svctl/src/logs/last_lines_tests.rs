use super::*;
use crate::logs::directory::LogDirectory;
use crate::logs::filter::{LineFilter, LinePattern};
use crate::logs::local_zone::LocalZone;
use daemontools_core::time::tai::Tai64n;
use harness::Tree;
use std::fs::File;

const AT: i64 = 1_796_049_692;

/// Writes a file with the lines of these seconds; the line of each seventh is long.
fn write(tree: &Tree, name: &str, seconds: std::ops::Range<i64>) {
    let line = |second: i64| {
        let message = if second % 7 == 0 { "x".repeat(40_000) } else { "y".repeat(20) };
        format!("{}.000000 {second} {message}\n", AT + second)
    };
    tree.write(format!("d/{name}"), seconds.map(line).collect::<String>());
}

fn finished(second: i64) -> String {
    let stamp = Tai64n::from_unix(AT + second, 0).stamp();
    format!("{}.s", String::from_utf8_lossy(&stamp).trim_end())
}

/// The numbers of the last lines.
fn last(tree: &Tree, filter: LineFilter, wanted: usize) -> (usize, Vec<i64>) {
    let directory = LogDirectory::open(&tree.path("d"), None, None).unwrap();
    let mut reader = DirectoryReader::new(directory, filter, LocalZone::utc(), 4096, false);
    let found = start_with_last(&mut reader, wanted);
    let mut numbers = Vec::new();
    while let Some(head) = reader.next_line() {
        let message = reader.scan.lines.bytes(head.line.start + head.message_at..head.line.end);
        let number = message.split(|byte| *byte == b' ').next().unwrap();
        numbers.push(std::str::from_utf8(number).unwrap().parse().unwrap());
    }
    assert_eq!(reader.troubles, [""; 0]);
    (found, numbers)
}

#[test]
fn the_last_lines_of_several_files() {
    let tree = Tree::new();
    tree.mkdir("d");
    write(&tree, &finished(10), 0..10);
    write(&tree, &finished(50), 10..50);
    write(&tree, "current", 50..60);
    for wanted in 0..70 {
        let first = (60 - i64::try_from(wanted).unwrap()).max(0);
        let expected: Vec<i64> = (first..60).collect();
        assert_eq!(last(&tree, LineFilter::all(), wanted), (expected.len(), expected), "{wanted}");
    }
}

#[test]
fn lines_are_counted_behind_the_filter() {
    let tree = Tree::new();
    tree.mkdir("d");
    write(&tree, &finished(500), 0..500);
    write(&tree, "current", 500..1000);
    let at = |second: i64| Moment::new(AT + second, 0).unwrap();
    let pattern = Some(LinePattern::new("^[0-9]*5 ").unwrap());
    let filter = LineFilter { since: at(300), until: at(900), pattern };
    let all: Vec<i64> = (300..=900).filter(|second| second % 10 == 5).collect();
    for wanted in [1, 2, 39, 40, 41, 59, 60, 61, 1000] {
        let expected = all[all.len().saturating_sub(wanted)..].to_vec();
        assert_eq!(last(&tree, filter.clone(), wanted), (expected.len(), expected), "{wanted}");
    }
}

/// What a budget finds, and the lines that follow.
fn last_within(tree: &Tree, wanted: usize, bytes: u64) -> (usize, Vec<String>) {
    let directory = LogDirectory::open(&tree.path("d"), None, None).unwrap();
    let reader = DirectoryReader::new(directory, LineFilter::all(), LocalZone::utc(), 4096, false);
    let mut reader = reader.with_budget(ReadBudget::of_bytes(bytes));
    let found = start_with_last(&mut reader, wanted);
    reader.budget().renew(bytes);
    let mut lines = Vec::new();
    while let Some(head) = reader.next_line() {
        lines.push(String::from_utf8_lossy(reader.scan.lines.bytes(head.line)).into_owned());
    }
    (found, lines)
}

#[test]
fn a_budget_finds_the_newest_lines_or_none() {
    let tree = Tree::new();
    tree.mkdir("d");
    let text: Vec<String> = (0..20_000).map(|n| format!("line {n}")).collect();
    let begin = 12_000;
    tree.write(format!("d/{}", finished(10)), text[..begin].join("\n") + "\n");
    tree.write("d/current", text[begin..].join("\n") + "\n");
    for bytes in [0, 1, 5000, 40_000, 70_000, 200_000, 300_000, 10_000_000] {
        for wanted in [1, 500, 20_000] {
            let (found, lines) = last_within(&tree, wanted, bytes);
            assert!(found <= wanted && lines.len() == found, "{bytes} {wanted}: {found}");
            assert_eq!(lines, text[text.len() - found..], "{bytes} {wanted}");
            assert!(found == wanted || bytes < 1_000_000, "{bytes} {wanted}: {found}");
            assert!(found > 0 || bytes < 70_000, "{bytes} {wanted}");
        }
    }
    // A line without an end, which is longer than the budget.
    let file = File::options().write(true).open(tree.path("d/current")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(last_within(&tree, 5, 1_000_000), (0, Vec::new()));
}
