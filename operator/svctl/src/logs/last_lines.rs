//! `-n`: where the last lines of a directory begin. Files are read backwards in blocks; a compressed
//! file is read forward and counted.

use super::compression::Compression;
use super::directory::FileRole;
use super::directory_reader::{CountedLines, DirectoryReader, LinePlace};
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
        let (mut counted, offset) = found
            .as_ref()
            .map_or_else(|_| (CountedLines::default(), 0), |(counted, offset)| (*counted, *offset));
        // The rest of a line counts where the line begins. How the file before ends matters only if that
        // line is wanted: the file may be compressed.
        if counted.has_first && counted.lines <= missing && reader.begins_with_rest(index) {
            counted.lines -= 1;
        }
        if found.is_ok()
            && let Some(skip) = counted.lines.checked_sub(missing)
        {
            reader.start_at(LinePlace { file: index, offset, skip });
            return wanted;
        }
        missing -= counted.lines;
        if reader.budget().is_spent() {
            // What comes before was not found.
            let is_found = found.is_ok() && counted.lines > 0;
            let (file, offset) = if is_found { (index, offset) } else { (index + 1, 0) };
            reader.start_at(LinePlace { file, offset, skip: 0 });
            return wanted - missing;
        }
        // An error: the pass forward comes to the same file, and reports it.
    }
    reader.start_at(first);
    wanted - missing
}

/// Counts the last lines of a file from a place on, until there are enough. Returns them, and where the
/// first of them begins. Lines that the budget has cut do not count.
fn last_of_file(
    reader: &mut DirectoryReader,
    index: usize,
    from: u64,
    wanted: usize,
) -> io::Result<(CountedLines, u64)> {
    let mut found = CountedLines::default();
    let Some(log_file) = reader.directory.files.get(index).cloned() else {
        return Ok((found, from));
    };
    let Some(file) = reader.directory.open_file(&log_file)? else { return Ok((found, from)) };
    if log_file.role != FileRole::Current && Compression::of(&file)?.is_some() {
        return Ok((reader.count(index, from, u64::MAX)?.unwrap_or_default(), from));
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
    let mut block = BLOCK;
    loop {
        let end = limit.min(size);
        let begin = block_begin(&file, from, end, block, reader.budget())?;
        let Some(counted) = reader.count(index, begin, limit)? else { return Ok((found, limit)) };
        found.lines += counted.lines;
        found.has_first = counted.has_first;
        if found.lines >= wanted || begin <= from {
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
