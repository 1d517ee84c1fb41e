//! Binary search in a file whose stamps go up.

use super::stamp::{Moment, StampReader};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// How much is read at a place to find a stamp.
const PROBE: usize = 4096;

/// How far a stamp may be from the place.
const MOST_PROBES: u64 = 16;

/// Smaller files are read: that costs a millisecond, and then the order of their stamps does not
/// matter.
pub(crate) const SEARCHED_SIZE: u64 = 1024 * 1024;

/// Below this size a part is read and not divided further.
const READ_SIZE: u64 = 64 * 1024;

/// The beginning of a line before which all lines fail `is_behind` and after which all hold, if the
/// stamps of the file go up. It is early by at most 64 KiB. Where they go back, the result is a place
/// at which they do both.
pub(crate) fn lower_bound(
    file: &File,
    size: u64,
    stamps: &mut StampReader,
    is_behind: impl Fn(Moment) -> bool,
) -> io::Result<u64> {
    // `low` is the beginning of a line, and a stamp before it fails.
    let (mut low, mut high) = (0, size);
    while high - low > READ_SIZE {
        let middle = low + (high - low) / 2;
        match first_stamp(file, middle, high, stamps)? {
            Some((at, moment)) if !is_behind(moment) => low = at,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// A place at which a line begins whose stamp holds, as do those behind it if the stamps of the file
/// go up. It is late by at most 64 KiB, and `u64::MAX` near the end of the file.
pub(crate) fn upper_bound(
    file: &File,
    size: u64,
    stamps: &mut StampReader,
    is_behind: impl Fn(Moment) -> bool,
) -> io::Result<u64> {
    let (mut low, mut high) = (0, size);
    while high - low > READ_SIZE {
        let middle = low + (high - low) / 2;
        match first_stamp(file, middle, high, stamps)? {
            Some((at, moment)) if is_behind(moment) => high = at,
            Some((at, _)) => low = at,
            // Lines without a stamp belong to the stamp before them.
            None => low = middle,
        }
    }
    Ok(if high == size { u64::MAX } else { high })
}

/// The first line with a stamp that begins behind `from` and before `to`: its place and its moment.
fn first_stamp(
    file: &File,
    from: u64,
    to: u64,
    stamps: &mut StampReader,
) -> io::Result<Option<(u64, Moment)>> {
    let mut block = [0; PROBE];
    let mut at = from;
    for _ in 0..MOST_PROBES {
        if at >= to {
            break;
        }
        let count = file.read_at(&mut block, at)?;
        let text = block.get(..count).unwrap_or_default();
        let mut ends = memchr::memchr_iter(b'\n', text).peekable();
        let mut last_end = 0;
        while let Some(end) = ends.next() {
            let begin = end + 1;
            last_end = begin;
            let place = at + begin as u64;
            if place >= to {
                return Ok(None);
            }
            let line_end = ends.peek().copied().unwrap_or(text.len());
            let line = text.get(begin..line_end).unwrap_or_default();
            if let Some(stamped) = stamps.read(line) {
                return Ok(Some((place, stamped.moment)));
            }
        }
        if count < PROBE {
            break;
        }
        // The last line of the block is looked at once more, with its end. `at` stays on a newline.
        at += if last_end > 1 { last_end as u64 - 1 } else { PROBE as u64 };
    }
    Ok(None)
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
