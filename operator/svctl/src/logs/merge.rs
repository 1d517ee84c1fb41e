//! Several directories in the order of time. Lines of one directory stay in their order, also where
//! its stamps go back.

use super::directory_reader::DirectoryReader;
use super::file_scan::LineHead;
use super::stamp::Moment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Calls `each` with the lines of all readers in order, and with the place of the reader, until it
/// fails.
pub(crate) fn merge<E>(
    readers: &mut [DirectoryReader],
    mut each: impl FnMut(usize, &mut DirectoryReader, &LineHead) -> Result<(), E>,
) -> Result<(), E> {
    let mut heads: Vec<Option<LineHead>> =
        readers.iter_mut().map(DirectoryReader::next_line).collect();
    let mut waiting: BinaryHeap<Reverse<(Moment, usize)>> = heads
        .iter()
        .enumerate()
        .filter_map(|(index, head)| Some(Reverse((head.as_ref()?.moment, index))))
        .collect();
    while let Some(Reverse((_, index))) = waiting.pop() {
        let (Some(reader), Some(place)) = (readers.get_mut(index), heads.get_mut(index)) else {
            continue;
        };
        let next = waiting.peek().map(|Reverse(next)| *next);
        let Some(mut head) = place.take() else { continue };
        // Lines often come in bursts: this directory stays the first for a while.
        loop {
            each(index, reader, &head)?;
            let Some(following) = reader.next_line() else { break };
            head = following;
            let key = (head.moment, index);
            if next.is_some_and(|next| next < key) {
                waiting.push(Reverse(key));
                *place = Some(head);
                break;
            }
        }
    }
    Ok(())
}
