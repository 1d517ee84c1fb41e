//! `-n`: where the last lines of a directory begin. Files are read backwards in blocks; a compressed
//! file is read forward and counted.

use super::compression::Compression;
use super::directory::FileRole;
use super::directory_reader::{DirectoryReader, LinePlace};
use super::read_budget::ReadBudget;
use super::search::{SEARCHED_SIZE, lower_bound, upper_bound};
use super::stamp::Moment;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// The size of the last block. Each block before it is twice as large.
const BLOCK: u64 = 32 * 1024;

/// The largest block.
const LARGEST_BLOCK: u64 = 2 * 1024 * 1024;

/// Lets the reader begin with the last `wanted` lines that its filter accepts. Returns how many there
/// are, at most `wanted`. If the budget of the reader ends the search, these are fewer.
pub(crate) fn start_with_last(reader: &mut DirectoryReader, wanted: usize) -> usize {
    let first = reader.start();
    let mut missing = wanted;
    let files = first.file..reader.directory.files.len();
    let end = files.clone().find(|&index| reader.begins_later(index)).unwrap_or(files.end);
    for index in (first.file..end).rev() {
        let from = if index == first.file { first.offset } else { 0 };
        let found = last_of_file(reader, index, from, missing);
        if let Ok((count, offset)) = found
            && let Some(skip) = count.checked_sub(missing)
        {
            reader.start_at(LinePlace { file: index, offset, skip });
            return wanted;
        }
        let count = found.as_ref().map_or(0, |(count, _)| *count);
        missing -= count;
        if reader.budget().is_spent() {
            // What comes before was not found.
            let begin = found.ok().filter(|_| count > 0).map(|(_, offset)| (index, offset));
            let (file, offset) = begin.unwrap_or((index + 1, 0));
            reader.start_at(LinePlace { file, offset, skip: 0 });
            return wanted - missing;
        }
        // An error: the pass forward comes to the same file, and reports it.
    }
    reader.start_at(first);
    wanted - missing
}

/// Counts the last lines of a file from a place on, until there are enough. Returns how many there
/// are, and where the first of them begins. Lines that the budget has cut do not count.
fn last_of_file(
    reader: &mut DirectoryReader,
    index: usize,
    from: u64,
    wanted: usize,
) -> io::Result<(usize, u64)> {
    let Some(log_file) = reader.directory.files.get(index).cloned() else { return Ok((0, from)) };
    let Some(file) = reader.directory.open_file(&log_file)? else { return Ok((0, from)) };
    if log_file.role != FileRole::Current && Compression::of(&file)?.is_some() {
        return Ok((count(reader, index, from, u64::MAX)?.unwrap_or(0), from));
    }
    let size = file.metadata()?.len();
    let (mut from, mut limit) = (from, u64::MAX);
    if size > SEARCHED_SIZE {
        let (since, until) = (reader.scan.filter().since, reader.scan.filter().until);
        let stamps = &mut reader.scan.stamps;
        if since > Moment::MIN {
            from = from.max(lower_bound(&file, size, stamps, |moment| moment >= since)?);
        }
        if until < Moment::MAX {
            limit = upper_bound(&file, size, stamps, |moment| moment > until)?;
        }
    }
    let mut found = 0;
    let mut block = BLOCK;
    loop {
        let end = limit.min(size);
        let begin = block_begin(&file, from, end, block, reader.budget())?;
        let Some(counted) = count(reader, index, begin, limit)? else { return Ok((found, limit)) };
        found += counted;
        if found >= wanted || begin <= from {
            return Ok((found, begin));
        }
        limit = begin;
        block = (block * 2).min(LARGEST_BLOCK);
    }
}

/// The beginning of a line about `block` bytes before `end`, or earlier if a line is longer. Any place if
/// the budget is spent.
fn block_begin(
    file: &File,
    from: u64,
    end: u64,
    block: u64,
    budget: &ReadBudget,
) -> io::Result<u64> {
    let mut distance = block;
    let mut to = end;
    loop {
        let at = end.saturating_sub(distance);
        if at <= from || budget.is_spent() {
            return Ok(from);
        }
        if let Some(begin) = line_begin(file, at, to, budget)? {
            return Ok(begin);
        }
        to = at;
        distance = distance.saturating_mul(2);
    }
}

/// The accepted lines that begin in a part of a file; `None` if the budget ended the count.
fn count(
    reader: &mut DirectoryReader,
    index: usize,
    from: u64,
    limit: u64,
) -> io::Result<Option<usize>> {
    if !reader.open_at(index, from, Some(limit))? {
        return Ok(Some(0));
    }
    let mut found = 0;
    while reader.scan.next_match()?.is_some() {
        found += 1;
    }
    Ok((!reader.budget().is_spent()).then_some(found))
}

/// The first line that begins at `from` or later, and before `to`.
fn line_begin(file: &File, from: u64, to: u64, budget: &ReadBudget) -> io::Result<Option<u64>> {
    let mut room = [0; 4096];
    let mut at = from.saturating_sub(1);
    while at < to && !budget.is_spent() {
        let count = file.read_at(&mut room, at)?;
        budget.spend(count as u64);
        let text = room.get(..count).unwrap_or_default();
        if let Some(newline) = memchr::memchr(b'\n', text) {
            let begin = at + newline as u64 + 1;
            return Ok((begin < to).then_some(begin));
        }
        if count == 0 {
            break;
        }
        at += count as u64;
    }
    Ok(None)
}

#[cfg(test)]
#[path = "last_lines_tests.rs"]
mod tests;
