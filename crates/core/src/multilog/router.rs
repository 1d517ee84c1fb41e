//! The router: cuts the input into lines, stamps each line, runs the script on its beginning, and
//! passes it to the outputs that the script selects.

use super::pattern::{SimpleMatcher, shell_matches};
use super::rate::RateLimiter;
use super::script::{LogScript, ScriptAction, Syntax};
use super::stamp::StampText;
use crate::text::decimal::Decimal;
use crate::text::lines;
use crate::time::tai::Tai64n;
use alloc::vec::Vec;

/// Length of the head of a line, stamp included, in bytes: patterns, `e` and `=` read only the
/// head.
pub const HEAD: usize = 1000;

/// The receivers of lines.
pub trait Outputs {
    /// Appends a part of a line, or of several lines, to the output directory with this number.
    fn directory(&mut self, number: usize, text: &[u8]);
    /// Copies the head of a line, without a newline, to standard error.
    fn stderr(&mut self, line: &[u8]);
    /// Shows the head of a line, without a newline, in the status file with this number.
    fn status(&mut self, number: usize, line: &[u8]);
}

/// The position of the input within a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Between two lines.
    BetweenLines,
    /// In a line whose head is not complete: the script has not yet run.
    InHead,
    /// In a line whose head the script has read.
    AfterHead,
}

/// The execution of a script.
pub struct Router<'a> {
    script: &'a LogScript<'a>,
    /// All lines go to all directories, and the script does nothing else.
    copies_all_lines: bool,
    position: Position,
    /// The stamp and the beginning of the present line, while the position is in the head.
    head: Vec<u8>,
    /// By number of the directory.
    directories: Vec<DirectorySelection>,
    /// By number of the action: the matcher of its simple pattern after the present stamp.
    after_stamp: Vec<SimpleMatcher<'a>>,
    /// Memory for [`join`].
    joined: Vec<u8>,
    moment: Tai64n,
    stamp: StampText,
}

/// The script's decisions about an output directory.
#[derive(Debug)]
struct DirectorySelection {
    /// The directory receives the present line.
    selected: bool,
    limiter: Option<RateLimiter>,
}

impl<'a> Router<'a> {
    /// Creates a router at the beginning of the input.
    #[must_use]
    pub fn new(script: &'a LogScript<'a>) -> Self {
        let directory = |rate: Option<u64>| DirectorySelection {
            selected: false,
            limiter: rate.map(RateLimiter::new),
        };
        let directories: Vec<_> = script.directories.iter().map(|d| directory(d.rate)).collect();
        let is_copy = |action: &ScriptAction<'_>| matches!(action, ScriptAction::Directory(_));
        let moment = Tai64n::default();
        Self {
            script,
            copies_all_lines: script.actions.iter().all(is_copy)
                && directories.iter().all(|directory| directory.limiter.is_none()),
            position: Position::BetweenLines,
            head: Vec::new(),
            directories,
            after_stamp: Vec::with_capacity(script.actions.len()),
            joined: Vec::new(),
            moment,
            stamp: StampText::new(script.stamp, moment),
        }
    }

    /// Whether a line has begun and not ended.
    #[must_use]
    pub fn is_in_line(&self) -> bool {
        self.position != Position::BetweenLines
    }

    /// Routes a piece of the input. `now` is the time in the stamps of lines that begin in it.
    pub fn route(&mut self, mut text: &[u8], now: Tai64n, outputs: &mut impl Outputs) {
        self.moment = now;
        self.stamp = StampText::new(self.script.stamp, now);
        if self.is_in_line() {
            text = self.continue_line(text, outputs);
        }
        if self.copies_all_lines {
            text = self.copy_lines(text, outputs);
        } else {
            self.match_stamp();
        }
        while !text.is_empty() {
            let (line, next) = lines::split_first(text);
            text = next;
            self.begin_line(line, outputs);
        }
    }

    /// Reports the lines that rate limits dropped in a second that is over, unless the input is
    /// within a line.
    pub fn report_dropped(&mut self, now: Tai64n, outputs: &mut impl Outputs) {
        if self.is_in_line() {
            return;
        }
        let stamp = StampText::new(self.script.stamp, now);
        for (n, directory) in self.directories.iter_mut().enumerate() {
            let dropped = directory.limiter.as_mut().and_then(|limiter| limiter.take_dropped(now));
            write_dropped(dropped, stamp.as_bytes(), n, outputs);
        }
    }

    /// Reports all lines that rate limits dropped, at the end of the input.
    pub fn report_all_dropped(&mut self, now: Tai64n, outputs: &mut impl Outputs) {
        let stamp = StampText::new(self.script.stamp, now);
        for (n, directory) in self.directories.iter_mut().enumerate() {
            let dropped = directory.limiter.as_mut().and_then(RateLimiter::take_all_dropped);
            write_dropped(dropped, stamp.as_bytes(), n, outputs);
        }
    }

    /// Whether [`Self::report_dropped`] has lines to report in the next second.
    #[must_use]
    pub fn has_dropped(&self) -> bool {
        let mut limiters = self.directories.iter().filter_map(|directory| directory.limiter);
        limiters.any(|limiter| limiter.has_dropped())
    }

    /// Copies all whole lines to all directories; returns the text after the last one.
    fn copy_lines<'t>(&self, text: &'t [u8], outputs: &mut impl Outputs) -> &'t [u8] {
        let mut whole = lines::complete(text);
        let rest = text.get(whole.len()..).unwrap_or_default();
        let directories = 0..self.directories.len();
        let stamp = self.stamp.as_bytes();
        if stamp.is_empty() {
            if !whole.is_empty() {
                directories.for_each(|n| outputs.directory(n, whole));
            }
            return rest;
        }
        while !whole.is_empty() {
            let (line, next) = lines::split_first(whole);
            for n in directories.clone() {
                outputs.directory(n, stamp);
                outputs.directory(n, line);
            }
            whole = next;
        }
        rest
    }

    /// Continues a line that began in an earlier piece; returns the text after it.
    fn continue_line<'t>(&mut self, text: &'t [u8], outputs: &mut impl Outputs) -> &'t [u8] {
        let (line, next) = lines::split_first(text);
        let mut rest = line;
        if self.position == Position::InHead {
            let (body, _) = without_newline(line);
            let room = HEAD.saturating_sub(self.head.len());
            let (part, after_head) = line.split_at(body.len().min(room));
            self.head.extend_from_slice(part);
            if after_head.is_empty() && self.head.len() < HEAD {
                return next;
            }
            rest = after_head;
            let head = core::mem::take(&mut self.head);
            self.after_stamp.clear();
            self.run_script(&[], &head, outputs);
            self.write_to_selected(&head, outputs);
            // Keeps the memory.
            self.head = head;
            self.position = Position::AfterHead;
        }
        self.write_to_selected(rest, outputs);
        if rest.ends_with(b"\n") {
            self.head.clear();
            self.position = Position::BetweenLines;
        }
        next
    }

    /// Routes the beginning of a line, and its end if it is there.
    fn begin_line(&mut self, line: &[u8], outputs: &mut impl Outputs) {
        let stamp = self.stamp;
        let stamp = stamp.as_bytes();
        let (body, ended) = without_newline(line);
        let room = HEAD.saturating_sub(stamp.len());
        let in_head = body.len().min(room);
        if !ended && in_head < room {
            self.head.extend_from_slice(stamp);
            self.head.extend_from_slice(line);
            self.position = Position::InHead;
            return;
        }
        self.run_script(stamp, body.get(..in_head).unwrap_or_default(), outputs);
        self.write_to_selected(stamp, outputs);
        self.write_to_selected(line, outputs);
        if !ended {
            self.position = Position::AfterHead;
        }
    }

    fn write_to_selected(&self, text: &[u8], outputs: &mut impl Outputs) {
        let directories = self.directories.iter().enumerate();
        for (n, _) in directories.filter(|(_, directory)| directory.selected) {
            outputs.directory(n, text);
        }
    }

    /// Matches the simple patterns with a new stamp.
    fn match_stamp(&mut self) {
        let stamp = self.stamp.as_bytes();
        self.after_stamp.clear();
        self.after_stamp.extend(self.script.actions.iter().map(|action| match action {
            ScriptAction::Deselect(Syntax::Simple, pattern)
            | ScriptAction::Select(Syntax::Simple, pattern) => {
                SimpleMatcher::new(pattern).feed(stamp)
            }
            _ => SimpleMatcher::Failed,
        }));
    }

    /// Runs the script on the head of a line: `stamp`, which `after_stamp` has passed unless it is
    /// empty, and `text`.
    fn run_script(&mut self, stamp: &[u8], text: &[u8], outputs: &mut impl Outputs) {
        let mut joined = core::mem::take(&mut self.joined);
        joined.clear();
        let mut selected = true;
        for (n, action) in self.script.actions.iter().enumerate() {
            match *action {
                ScriptAction::Deselect(syntax, pattern) if selected => {
                    selected = !self.matches(n, syntax, pattern, stamp, text, &mut joined);
                }
                ScriptAction::Select(syntax, pattern) if !selected => {
                    selected = self.matches(n, syntax, pattern, stamp, text, &mut joined);
                }
                ScriptAction::Stderr if selected => outputs.stderr(join(&mut joined, stamp, text)),
                ScriptAction::Status(n) if selected => {
                    outputs.status(n, join(&mut joined, stamp, text));
                }
                ScriptAction::Directory(n) => {
                    if let Some(directory) = self.directories.get_mut(n) {
                        directory.selected = selected;
                        if selected && let Some(limiter) = &mut directory.limiter {
                            let dropped = limiter.take_dropped(self.moment);
                            write_dropped(dropped, self.stamp.as_bytes(), n, outputs);
                            directory.selected = limiter.admits(self.moment);
                        }
                    }
                }
                ScriptAction::Deselect(..)
                | ScriptAction::Select(..)
                | ScriptAction::Stderr
                | ScriptAction::Status(_) => {}
            }
        }
        // Keeps the memory.
        self.joined = joined;
    }

    fn matches(
        &self,
        action: usize,
        syntax: Syntax,
        pattern: &'a [u8],
        stamp: &[u8],
        text: &[u8],
        joined: &mut Vec<u8>,
    ) -> bool {
        match syntax {
            Syntax::Simple => {
                let after_stamp = self.after_stamp.get(action).copied();
                after_stamp.unwrap_or_else(|| SimpleMatcher::new(pattern)).feed(text).matches()
            }
            Syntax::Shell => shell_matches(pattern, join(joined, stamp, text)),
        }
    }
}

/// Writes the number of lines that a rate limit dropped, if there are any.
fn write_dropped(dropped: Option<u64>, stamp: &[u8], n: usize, outputs: &mut impl Outputs) {
    if let Some(dropped) = dropped {
        outputs.directory(n, stamp);
        outputs.directory(n, b"multilog: dropped ");
        outputs.directory(n, Decimal::new(dropped).as_bytes());
        outputs.directory(n, b" lines\n");
    }
}

/// Removes the newline at the end of a line; returns whether there was one.
fn without_newline(line: &[u8]) -> (&[u8], bool) {
    line.strip_suffix(b"\n").map_or((line, false), |body| (body, true))
}

/// Joins stamp and text. `memory` is empty, or contains the result of an earlier call.
fn join<'b>(memory: &'b mut Vec<u8>, stamp: &[u8], text: &'b [u8]) -> &'b [u8] {
    if stamp.is_empty() {
        return text;
    }
    if memory.is_empty() {
        memory.extend_from_slice(stamp);
        memory.extend_from_slice(text);
    }
    memory
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
