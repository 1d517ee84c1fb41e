//! The stamp before a line: backwards from its place.

use super::stamp::{Moment, StampReader};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// How much is read at once.
const BLOCK: usize = 4096;

/// How many blocks are read.
const MOST_BLOCKS: u64 = 16;

/// The moment of the last line with a stamp before a place.
pub(crate) fn stamp_before(
    file: &File,
    place: u64,
    stamps: &mut StampReader,
) -> io::Result<Option<Moment>> {
    let mut block = [0; BLOCK];
    let mut to = place;
    for _ in 0..MOST_BLOCKS {
        if to == 0 {
            break;
        }
        let from = to.saturating_sub(BLOCK as u64);
        let length = usize::try_from(to - from).unwrap_or(BLOCK);
        let room = block.get_mut(..length).unwrap_or_default();
        let count = file.read_at(room, from)?;
        let text = block.get(..count).unwrap_or_default();
        let mut end = text.len();
        for newline in memchr::memrchr_iter(b'\n', text) {
            let line = text.get(newline + 1..end).unwrap_or_default();
            if let Some(stamped) = stamps.read(line) {
                return Ok(Some(stamped.moment));
            }
            end = newline;
        }
        if from == 0 {
            let first = stamps.read(text.get(..end).unwrap_or_default());
            return Ok(first.map(|stamped| stamped.moment));
        }
        // The first line of the block has its beginning in the one before.
        to = if end == text.len() { from } else { from + end as u64 };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::local_zone::LocalZone;
    use crate::logs::stamp::Tai;
    use harness::Tree;

    #[test]
    fn the_stamp_before_a_line() {
        let tree = Tree::new();
        let line = |second: i64, length: usize| {
            format!("{}.000000 {}\n", 1_700_000_000 + second, "x".repeat(length))
        };
        let moment = |second: i64| Moment::new(1_700_000_000 + second, 0);
        let first = line(1, 3);
        let text =
            format!("{first}{}{}{}end", "plain\n".repeat(2000), line(2, 9000), "z\n".repeat(5));
        tree.write("f", &text);
        let file = File::open(tree.path("f")).unwrap();
        let mut reader = StampReader::new(Tai::Djb, LocalZone::utc());
        let mut before = |place: usize| stamp_before(&file, place as u64, &mut reader).unwrap();
        assert_eq!(before(0), None);
        assert_eq!(before(first.len()), moment(1));
        assert_eq!(before(first.len() + 12_000), moment(1));
        assert_eq!(before(text.len() - 3), moment(2));
    }
}
