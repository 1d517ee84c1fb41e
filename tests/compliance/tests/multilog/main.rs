//! multilog: it selects lines and keeps logs.

mod directories;
mod failures;
mod lines;
mod patterns;
mod processors;
mod recovery;
mod rotation;
mod script;
mod signals;
mod standard_error;
mod status_files;

use harness::{Cmd, DEADLINE, Output, Process, Signal, Tree, process, wait_until};
use std::fmt::Write as _;
use std::fs;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::time::{SystemTime, UNIX_EPOCH};

/// The length of a label before a line: `@`, 24 digits, a space.
const STAMP: usize = 26;

fn multilog<'t>(tree: &'t Tree, script: &[&str]) -> Cmd<'t> {
    tree.cmd("multilog").args(script)
}

/// Asserts that multilog succeeds silently on this input.
#[track_caller]
fn log(tree: &Tree, script: &[&str], input: impl AsRef<[u8]>) {
    multilog(tree, script).stdin(input).run().is(0, "", "");
}

/// A multilog with its input open.
struct Logger<'t> {
    tree: &'t Tree,
    process: Process,
    input: PipeWriter,
    /// A second reader of the same pipe.
    reader: PipeReader,
}

/// Starts multilog with a pipe as its input.
#[track_caller]
fn start<'t>(tree: &'t Tree, script: &[&str]) -> Logger<'t> {
    start_command(tree, multilog(tree, script))
}

#[track_caller]
fn start_command<'t>(tree: &'t Tree, command: Cmd<'t>) -> Logger<'t> {
    let (reader, input) = pipe().expect("a pipe");
    let own = reader.try_clone().expect("another reader");
    Logger { tree, process: command.stdin_from(own).start(), input, reader }
}

impl Logger<'_> {
    #[track_caller]
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.write_all(bytes.as_ref()).expect("write to multilog");
    }

    /// Sends the bytes and waits until `d/current` ends with them.
    #[track_caller]
    fn log(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.send(bytes);
        wait_until("it is in d/current", DEADLINE, || self.tree.read("d/current").ends_with(bytes));
    }

    /// Waits until multilog sleeps and has no pending TERM or ALRM.
    #[track_caller]
    fn wait_idle(&self) {
        let pid = self.process.pid();
        wait_until("it waits", DEADLINE, || {
            process::state(pid) == Some('S') && pending(pid) & (TERM | ALRM) == 0
        });
    }

    /// Sends a signal while multilog waits, and waits until it has handled the signal.
    #[track_caller]
    fn signal(&self, signal: Signal) {
        self.wait_idle();
        self.process.signal(signal);
        self.wait_idle();
    }

    /// Closes the input and waits for the exit.
    #[track_caller]
    fn end(self) -> Output {
        drop(self.input);
        self.process.wait()
    }
}

const ALRM: u64 = 1 << 13;
const TERM: u64 = 1 << 14;

/// The pending signals of a process.
fn pending(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).map_or(0, bits)
}

fn bits(text: &str) -> u64 {
    u64::from_str_radix(text.trim(), 16).expect("a set of signals")
}

/// The names in a directory, in order.
#[track_caller]
fn names(tree: &Tree, dir: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(tree.path(dir))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    names
}

/// The finished files of a log, in order.
#[track_caller]
fn finished(tree: &Tree, dir: &str) -> Vec<String> {
    let names = names(tree, dir);
    names.into_iter().filter(|n| n.starts_with('@')).map(|n| format!("{dir}/{n}")).collect()
}

/// The only finished file of a log.
#[track_caller]
fn only(tree: &Tree, dir: &str) -> String {
    let [name] = finished(tree, dir).try_into().expect("one finished file");
    name
}

#[track_caller]
fn wait_finished(tree: &Tree, dir: &str, count: usize) -> Vec<String> {
    wait_until(&format!("{count} finished files"), DEADLINE, || {
        finished(tree, dir).len() == count && !tree.exists(format!("{dir}/previous"))
    });
    finished(tree, dir)
}

/// The contents of a log, in order.
#[track_caller]
fn whole(tree: &Tree, dir: &str) -> Vec<u8> {
    let mut all: Vec<u8> = finished(tree, dir).iter().flat_map(|name| tree.read(name)).collect();
    all.extend(tree.read(format!("{dir}/current")));
    all
}

/// The current time as the digits of a label. They sort by time.
fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    format!("{:016x}{:08x}", (1_u64 << 62) + 10 + now.as_secs(), now.subsec_nanos())
}

/// Asserts that these are the digits of a label between the two moments.
#[track_caller]
fn is_between(before: &str, digits: &str, after: &str) {
    assert!(digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{digits:?}");
    assert_eq!(digits.len(), 24, "{digits:?}");
    let nano = u32::from_str_radix(&digits[16..], 16).expect("digits");
    assert!(nano < 1_000_000_000 && nano % 1000 == 500, "{digits:?}");
    // A label holds the microsecond of its creation and 500 nanoseconds.
    let micro = |digits: &str| {
        let nano = u32::from_str_radix(&digits[16..], 16).expect("digits");
        (digits[..16].to_owned(), nano / 1000)
    };
    assert!(micro(before) <= micro(digits), "{digits} is before {before}");
    assert!(micro(digits) <= micro(after), "{digits} is after {after}");
}

/// The digits of the label before a line, and the line.
#[track_caller]
fn split(line: &str) -> (&str, &str) {
    let (stamp, rest) = line.split_at_checked(STAMP).expect("a line with a stamp");
    let digits = stamp.strip_prefix('@').and_then(|stamp| stamp.strip_suffix(' '));
    (digits.expect("a stamp"), rest)
}

/// A generator of the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).expect("small") % limit
    }

    fn bytes(&mut self, alphabet: &[u8], longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

/// `count` numbered lines, each of `length` bytes with its newline.
fn numbered(count: usize, length: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        writeln!(text, "{number:0width$}", width = length - 1).expect("text");
        text
    })
}
