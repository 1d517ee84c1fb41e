//! What multilog promises.

use super::input::Input;
use super::scenario::{Kind, PlannedFault, Scenario};
use crate::kernel::{Content, Ended, Inode, Kernel};
use std::collections::BTreeSet;
use std::fmt;

/// What one KILL may lose: a read, and the beginning of a line before it.
const LOST_BY_KILL: usize = 2048 + 4000;

/// A finished file ends with a line if a line ends in this many of its last bytes.
const END: usize = 2000;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Every process waits for ever.
    Stuck,
    /// The processes never come to rest.
    Endless,
    /// The last logger has ended in this way.
    Ended(Ended),
    /// A program has panicked.
    Panic,
    /// A program has made a system call that the simulated kernel does not know.
    UnknownCall(usize),
    /// A part of a log that is not the next part of the input.
    NotNext {
        /// The directory and the file.
        file: String,
        /// The text.
        text: String,
        /// The input contains it before.
        is_doubled: bool,
    },
    /// More of the input is missing than the KILLs explain.
    Lost {
        /// The directory.
        directory: String,
        /// The missing bytes.
        bytes: usize,
        /// The number of KILLs.
        kills: u64,
    },
    /// The standby process has ended, and text in the pipe is already in a log.
    NotConsumed {
        /// The directory.
        directory: String,
        /// The number of bytes.
        bytes: usize,
    },
    /// A finished file ends inside a line.
    Split(String),
    /// A file with a wrong name, mode or size.
    WrongFile(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck => f.write_str("every process waits for ever"),
            Self::Endless => f.write_str("the processes never come to rest"),
            Self::Ended(how) => write!(f, "the last logger has ended: {how:?}"),
            Self::Panic => f.write_str("a program has panicked"),
            Self::UnknownCall(number) => write!(f, "system call {number} is not simulated"),
            Self::NotNext { file, text, is_doubled } => {
                let why = if *is_doubled { "is there twice" } else { "is not in the input" };
                write!(f, "{file}: {text:?} {why}")
            }
            Self::Lost { directory, bytes, kills } => {
                write!(f, "{directory}: {bytes} bytes are missing after {kills} KILLs")
            }
            Self::NotConsumed { directory, bytes } => {
                write!(f, "{directory}: the next {bytes} bytes of the pipe are there already")
            }
            Self::Split(file) => write!(f, "{file} ends inside a line"),
            Self::WrongFile(file) => write!(f, "{file}: wrong name, mode or size"),
        }
    }
}

/// The log files of a directory in the order of their text.
fn log_files(kernel: &Kernel, directory: &str) -> Vec<(String, Vec<u8>)> {
    let files = kernel.list(directory);
    let is_whole = |wanted: &[u8]| {
        files.iter().any(|(name, _, inode)| name == wanted && inode.mode & 0o100 != 0)
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
        if let Content::File(bytes) = &inode.content
            && seen.insert(*number)
        {
            logs.push((String::from_utf8_lossy(name).into_owned(), bytes.clone()));
        }
    }
    logs
}

/// Removes stamps: `@`, up to 24 digits and a space. The input has no `@`.
fn without_stamps(text: &[u8]) -> Vec<u8> {
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
        } else {
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

/// Checks the directories at the end of a scenario.
///
/// # Errors
/// The first broken promise.
pub fn logs(
    kernel: &Kernel,
    scenario: &Scenario,
    input: &Input,
    kills: u64,
    standby_faults: u64,
) -> Result<(), Violation> {
    let directories = scenario.script.iter().filter(|argument| argument.starts_with("./"));
    let sizes = scenario.script.iter().filter_map(|argument| argument.strip_prefix('s'));
    // A rotation by ALRM does not wait for the end of a line.
    let is_alarm = |fault: &PlannedFault| fault.kind == Kind::Alarm;
    let may_split = scenario.loggers.iter().flatten().any(is_alarm);
    for (directory, size) in directories.zip(sizes) {
        let directory = &directory[1..];
        let size = size.parse().unwrap_or(0);
        names(kernel, directory, size, may_split)?;
        text(kernel, directory, input, kills, kills + standby_faults)?;
    }
    Ok(())
}

fn names(kernel: &Kernel, directory: &str, size: usize, may_split: bool) -> Result<(), Violation> {
    const OTHERS: [&[u8]; 7] =
        [b"current", b"lock", b"state", b"newstate", b"previous", b"processed", b".multilog-batch"];
    for (name, _, inode) in kernel.list(directory) {
        let file = format!("{directory}/{}", String::from_utf8_lossy(&name));
        let Content::File(bytes) = &inode.content else { return Err(Violation::WrongFile(file)) };
        if let Some(label) = name.strip_prefix(b"@") {
            let (digits, end) = label.split_at(label.len().min(24));
            let is_label = digits.iter().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c));
            let is_named = is_label && digits.len() == 24 && (end == b".s" || end == b".u");
            if !is_named || inode.mode != 0o744 && end == b".s" || bytes.len() > size {
                return Err(Violation::WrongFile(format!(
                    "{file} {:o} {}",
                    inode.mode,
                    bytes.len()
                )));
            }
            let last = &bytes[bytes.len().saturating_sub(END)..];
            if may_split {
                continue;
            }
            if end == b".s" && !last.ends_with(b"\n") && last.contains(&b'\n') {
                return Err(Violation::Split(file));
            }
        } else if !OTHERS.contains(&&name[..]) {
            return Err(Violation::WrongFile(file));
        }
    }
    Ok(())
}

/// What a directory contains of the input.
struct Logged {
    /// Where in the input the last part ends.
    end: usize,
    /// The number of bytes.
    bytes: usize,
}

fn logged(
    kernel: &Kernel,
    directory: &str,
    input: &Input,
    mut cuts: u64,
) -> Result<Logged, Violation> {
    let (mut at, mut bytes) = (0, 0);
    for (name, text) in log_files(kernel, directory) {
        let text = without_stamps(&text);
        for mut part in text.split_inclusive(|c| *c == b'\n') {
            while !part.is_empty() {
                let rest = &input.text[at..];
                let (found, length) = match find(rest, part) {
                    Some(found) => (found, part.len()),
                    // A KILL can cut a line; the next logger appends to it.
                    None if cuts > 0 => {
                        cuts -= 1;
                        longest_start(rest, part)
                    }
                    None => (0, 0),
                };
                if length == 0 {
                    let text = String::from_utf8_lossy(&part[..part.len().min(80)]).into_owned();
                    let is_doubled = find(&input.text, part).is_some();
                    let file = format!("{directory}/{name}");
                    return Err(Violation::NotNext { file, text, is_doubled });
                }
                at += found + length;
                bytes += length;
                part = &part[length..];
            }
        }
    }
    Ok(Logged { end: at, bytes })
}

fn text(
    kernel: &Kernel,
    directory: &str,
    input: &Input,
    kills: u64,
    cuts: u64,
) -> Result<(), Violation> {
    let bytes = input.text.len() - logged(kernel, directory, input, cuts)?.bytes;
    if bytes > usize::try_from(kills).unwrap_or(0) * LOST_BY_KILL {
        return Err(Violation::Lost { directory: directory.into(), bytes, kills });
    }
    Ok(())
}

/// Checks the directories after the end of a killed logger's standby process: the pipe begins behind
/// everything that is in a log, so that a logger that ignores the mark, as the original, writes nothing
/// again. `taken` bytes of the input are no longer in the pipe.
///
/// # Errors
/// The first broken promise.
pub fn pipe(
    kernel: &Kernel,
    scenario: &Scenario,
    input: &Input,
    taken: usize,
    cuts: u64,
) -> Result<(), Violation> {
    for directory in scenario.script.iter().filter_map(|argument| argument.strip_prefix('.')) {
        let end = logged(kernel, directory, input, cuts)?.end;
        if end > taken {
            return Err(Violation::NotConsumed { directory: directory.into(), bytes: end - taken });
        }
    }
    Ok(())
}
