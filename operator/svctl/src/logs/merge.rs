//! Several directories in the order of time. Lines of one directory stay in their order, also where
//! its stamps go back.

use super::directory_reader::DirectoryReader;
use super::file_scan::LineHead;
use super::stamp::Moment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

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
    // The first one stays in the heap while its line is printed, and then gets the place of its next line.
    while let Some(mut first) = waiting.peek_mut() {
        let Reverse((moment, index)) = &mut *first;
        let (Some(reader), Some(place)) = (readers.get_mut(*index), heads.get_mut(*index)) else {
            PeekMut::pop(first);
            continue;
        };
        if let Some(head) = place.take() {
            each(*index, reader, &head)?;
            *place = reader.next_line();
        }
        match place {
            Some(following) => *moment = following.moment,
            None => {
                PeekMut::pop(first);
            }
        }
    }
    Ok(())
}
