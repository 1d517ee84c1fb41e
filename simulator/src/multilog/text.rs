//! Which parts of the input are in a log.

use super::check::Violation;
use super::input::Input;
use super::outputs::Directory;
use crate::kernel::{Content, Inode, InodeNumber, Kernel};
use std::collections::BTreeSet;
use std::iter::once;
use std::ops::Range;

/// The owner's execute permission marks a complete file.
pub const COMPLETE: u32 = 0o100;

/// A log file.
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Its inode.
    pub inode: InodeNumber,
    /// It is complete, so multilog has brought it to disk.
    pub is_complete: bool,
    /// Its content.
    pub text: Vec<u8>,
}

/// A part of the input that is in a log.
pub struct Part {
    /// The number of its file.
    pub file: usize,
    /// Its place in the input.
    pub range: Range<usize>,
}

/// The log files of a directory in the order of their text.
#[must_use]
pub fn log_files(kernel: &Kernel, directory: &str) -> Vec<LogFile> {
    let files = kernel.list(directory);
    let is_whole = |wanted: &[u8]| {
        files.iter().any(|(name, _, inode)| name == wanted && inode.mode & COMPLETE != 0)
    };
    let previous: &[u8] = if is_whole(b"processed") { b"processed" } else { b"previous" };
    let mut order: Vec<&(Vec<u8>, u64, &Inode)> =
        files.iter().filter(|it| it.0.starts_with(b"@")).collect();
    for last in [previous, b"current"] {
        order.extend(files.iter().filter(|it| it.0 == last));
    }
    let mut seen = BTreeSet::new();
    let mut logs = Vec::new();
    for (name, number, inode) in order {
        if let Content::File(text) = &inode.content
            && seen.insert(*number)
        {
            let is_complete = name.ends_with(b".s") || inode.mode & COMPLETE != 0;
            let name = String::from_utf8_lossy(name).into_owned();
            logs.push(LogFile { name, inode: *number, is_complete, text: text.clone() });
        }
    }
    logs
}

/// Removes stamps: `@`, up to 24 digits and a space. The input has no `@`. Removes zeros too, which a loss of
/// power can leave.
#[must_use]
pub fn without_stamps(text: &[u8]) -> Vec<u8> {
    let mut rest = text;
    let mut kept = Vec::new();
    while let Some((&first, others)) = rest.split_first() {
        rest = others;
        if first == b'@' {
            let digits = rest.iter().take(24).take_while(|c| c.is_ascii_hexdigit()).count();
            rest = &rest[digits..];
            if digits == 24 {
                rest = rest.strip_prefix(b" ").unwrap_or(rest);
            }
        } else if first != 0 {
            kept.push(first);
        }
    }
    kept
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

/// The longest beginning of `part` in `text`: its place and its length.
fn longest_start(text: &[u8], part: &[u8]) -> (usize, usize) {
    let (mut best, mut limit) = ((0, 0), part.len());
    while best.1 + 1 < limit {
        let length = usize::midpoint(best.1, limit);
        match find(text, &part[..length]) {
            Some(found) => best = (found, length),
            None => limit = length,
        }
    }
    best
}

/// The longest beginning of `part` at the start of a line behind `at`: its place and its length.
fn longest_start_of_line(text: &[u8], at: usize, part: &[u8]) -> (usize, usize) {
    let starts = memchr::memchr_iter(b'\n', &text[at..]).map(|end| at + end + 1);
    let starts = [at].into_iter().filter(|at| *at == 0 || text[at - 1] == b'\n').chain(starts);
    let length = |start: usize| text[start..].iter().zip(part).take_while(|(a, b)| a == b).count();
    let longest = starts
        .map(|start| (start, length(start)))
        .reduce(|best, other| if other.1 > best.1 { other } else { best });
    longest.unwrap_or((at, 0))
}

/// The places of a text that is cut at most so many times, in order and behind `at`. `None` if there are none.
fn places(text: &[u8], at: usize, part: &[u8], cuts: u64) -> Option<Vec<Range<usize>>> {
    if let Some(found) = find(&text[at..], part) {
        return Some(once(at + found..at + found + part.len()).collect());
    }
    // A KILL can cut a line; the next logger appends to it. What is appended can look like the text that was
    // there before, so two beginnings are tried.
    let cuts = cuts.checked_sub(1)?;
    let (found, length) = longest_start(&text[at..], part);
    let beginnings = [(at + found, length), longest_start_of_line(text, at, part)];
    beginnings.into_iter().filter(|(_, length)| *length > 0).find_map(|(start, length)| {
        let rest = places(text, start + length, &part[length..], cuts)?;
        Some(once(start..start + length).chain(rest).collect())
    })
}

/// The parts of the input in a directory: each once, and in order. At most `cuts` times a line ends early
/// and another one follows it.
///
/// # Errors
/// Text that is not the next part of the input.
pub fn parts(
    files: &[LogFile],
    directory: &Directory,
    input: &Input,
    mut cuts: u64,
) -> Result<Vec<Part>, Violation> {
    let mut at = 0;
    let mut parts = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let text = without_stamps(&file.text);
        for part in text.split_inclusive(|c| *c == b'\n') {
            let Some(places) = places(&input.text, at, part, cuts) else {
                let text = String::from_utf8_lossy(&part[..part.len().min(80)]).into_owned();
                let is_doubled = find(&input.text, part).is_some();
                let file = format!("{}/{}", directory.path, file.name);
                return Err(Violation::NotNext { file, text, is_doubled });
            };
            cuts -= places.len() as u64 - 1;
            at = places.last().map_or(at, |range| range.end);
            parts.extend(places.into_iter().map(|range| Part { file: number, range }));
        }
    }
    Ok(parts)
}

/// Compares the parts with the lines that the directory gets: returns how many bytes are missing of those
/// that begin at `from` or later.
///
/// # Errors
/// A line that the directory does not get.
pub fn missing(
    parts: &[Part],
    directory: &Directory,
    input: &Input,
    from: usize,
) -> Result<usize, Violation> {
    let mut rest = parts.iter().peekable();
    let (mut start, mut missing) = (0, 0);
    for line in input.text.split_inclusive(|c| *c == b'\n') {
        let end = start + line.len();
        let mut bytes = 0;
        let mut has_start = false;
        while let Some(part) = rest.peek() {
            let range = part.range.start.max(start)..part.range.end.min(end);
            bytes += range.len();
            has_start |= part.range.start <= start && part.range.end > start;
            if part.range.end > end {
                break;
            }
            rest.next();
        }
        let is_selected = directory.selection.selects(line.strip_suffix(b"\n").unwrap_or(line));
        if !is_selected && has_start && bytes == line.len() {
            let line = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
            return Err(Violation::NotSelected { directory: directory.path.clone(), line });
        }
        if is_selected && start >= from {
            missing += line.len() - bytes;
        }
        start = end;
    }
    Ok(missing)
}
