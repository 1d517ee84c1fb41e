use super::*;
use crate::logs::directory::LogDirectory;
use crate::logs::filter::{LineFilter, LinePattern};
use crate::logs::local_zone::LocalZone;
use daemontools_core::time::tai::Tai64n;
use harness::Tree;

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
