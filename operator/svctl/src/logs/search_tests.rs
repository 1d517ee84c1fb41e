use super::*;
use crate::logs::local_zone::LocalZone;
use crate::logs::stamp::Tai;
use harness::Tree;

fn reader() -> StampReader {
    StampReader::new(Tai::Djb, LocalZone::utc())
}

/// A line of a second, with a message of any length.
fn line(second: i64, length: usize) -> String {
    format!("{}.000000 {}\n", 1_700_000_000 + second, "x".repeat(length))
}

fn moment(second: i64) -> Moment {
    Moment::new(1_700_000_000 + second, 0).unwrap()
}

#[test]
fn no_line_is_skipped() {
    let tree = Tree::new();
    // Every tenth line has no stamp, and some are longer than a probe.
    let mut text = String::new();
    let mut places = Vec::new();
    for second in 0..3000 {
        places.push(text.len() as u64);
        text += &line(second, if second % 500 == 7 { 20_000 } else { 100 });
        if second % 10 == 0 {
            text += &format!("{}\n", "y".repeat(300));
        }
    }
    tree.write("f", &text);
    let file = File::open(tree.path("f")).unwrap();
    let size = text.len() as u64;
    for second in [0, 1, 7, 8, 1499, 1500, 1507, 2998, 2999] {
        let from = lower_bound(&file, size, &mut reader(), |it| it >= moment(second)).unwrap();
        let place = places[usize::try_from(second).unwrap()];
        assert!(from <= place && place - from <= 2 * READ_SIZE, "{second}: {from} {place}");
        assert!(from == 0 || text.as_bytes()[usize::try_from(from).unwrap() - 1] == b'\n');
        let to = upper_bound(&file, size, &mut reader(), |it| it > moment(second)).unwrap();
        assert!(to > place, "{second}: {to} {place}");
    }
}

#[test]
fn plain_text_is_read_as_a_whole() {
    let tree = Tree::new();
    tree.write("f", "no stamp\n".repeat(100_000));
    let file = File::open(tree.path("f")).unwrap();
    let size = 900_000;
    assert_eq!(lower_bound(&file, size, &mut reader(), |it| it >= moment(0)).unwrap(), 0);
}
