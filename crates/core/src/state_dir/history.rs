//! `supervise/history`: the last changes of a service.
//!
//! The file is a text of lines, each [`LEN`] bytes long and padded with spaces. A line begins with a
//! TAI64N label, so that `sort` and `tai64nlocal` work on the file:
//!
//! ```text
//! @4000000065a1b2c30ee6b280 17 up stopping pid=4711 command=d
//! ```
//!
//! After the label come the number of the change, the phase before and the phase after it, and what
//! is known about it. Readers skip keys that they do not know, and lines that they cannot parse. The last
//! word are the [counters](super::counters) of the service. A line without room for them has none: the
//! next line has them again, and readers take the latest that there are.
//!
//! The file has two rings of [`RING`] lines. The first keeps changes that the service or its supervisor
//! made; the second keeps received commands. So a service that dies once a second does not push out the
//! command before. The numbers, which grow with every change, order the lines of both rings: the clock
//! can be set back. Each line is overwritten in place by one write, for which a full disk has room.

use crate::sorting::sort_by_key;
use crate::state_dir::control::{Command, Scope, Signal};
use crate::state_dir::counters::Counters;
use crate::state_dir::padded_line::PaddedLine;
use crate::state_dir::parse_pid;
use crate::state_dir::phase::{Phase, Reason};
use crate::supervise::{Effect, Event, Report};
use crate::text::decimal::{self, Decimal};
use crate::time::tai::Tai64n;
use crate::{Ended, Pid};
use alloc::vec::Vec;

/// The length of a line. Lines do not cross the blocks of a disk, so a power failure tears none.
pub const LEN: usize = 128;

/// The number of lines in a ring.
pub const RING: usize = 64;

/// The largest length of the file.
pub const FILE_LEN: usize = 2 * RING * LEN;

/// Where a ring of the file begins, in bytes.
pub const RING_STARTS: [usize; 2] = [0, RING * LEN];

/// The cause of a change from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A supervisor began: the first one, one after a KILL or a reboot, or one after an upgrade.
    Begin,
    /// A command came through the control FIFO.
    Command(Command, Scope),
    /// The supervisor got a signal that means a command.
    Signal(Signal),
}

/// What changes of a service are seen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The phase.
    pub phase: Phase,
    /// The process, if there is one.
    pub pid: Option<Pid>,
}

/// A change of a service, or a command that it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceChange {
    /// The time of the change.
    pub when: Tai64n,
    /// The number of the change; [`Rings::place`] sets it.
    pub number: u32,
    /// The phase before.
    pub from: Phase,
    /// The phase afterwards.
    pub to: Phase,
    /// The process afterwards.
    pub pid: Option<Pid>,
    /// Why the supervisor decided on the change, if it did.
    pub reason: Option<Reason>,
    /// How `run` or `start` ended, if one of them did.
    pub end: Option<Ended>,
    /// The cause from outside, if there was one.
    pub trigger: Option<Trigger>,
    /// The counters of the service afterwards.
    pub counters: Option<Counters>,
}

/// What becomes known about an event while a supervisor handles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The time of the event.
    pub when: Tai64n,
    /// The service before the event.
    pub before: Moment,
    /// As in [`ServiceChange`].
    pub reason: Option<Reason>,
    /// As in [`ServiceChange`].
    pub end: Option<Ended>,
    /// As in [`ServiceChange`].
    pub trigger: Option<Trigger>,
}

impl Observation {
    /// Notes why the supervisor decides on the change, if this effect of an event tells.
    pub const fn note_reason(&mut self, event: Event, effect: &Effect) {
        match (event, effect) {
            (_, Effect::Report(Report::Stopped(reason) | Report::Failed(reason))) => {
                self.reason = Some(*reason);
            }
            (Event::Refused(reason), _) => self.reason = Some(reason),
            _ => {}
        }
    }

    /// The change to record; `None` if the phase and the process are the same as before, and nothing
    /// came from outside. A restart is one change: the phase is the same, the process is another.
    #[must_use]
    pub fn change(self, after: Moment) -> Option<ServiceChange> {
        let Self { when, before, reason, end, trigger } = self;
        let is_change = before != after || end.is_some() || trigger.is_some();
        is_change.then_some(ServiceChange {
            when,
            number: 0,
            from: before.phase,
            to: after.phase,
            pid: after.pid,
            reason,
            end,
            trigger,
            counters: None,
        })
    }
}

impl ServiceChange {
    /// The index of its ring: 1 for received commands, 0 for the others.
    const fn ring(&self) -> usize {
        matches!(self.trigger, Some(Trigger::Command(..) | Trigger::Signal(_))) as usize
    }

    /// The line of the change.
    #[must_use]
    pub fn to_text(&self) -> [u8; LEN] {
        let mut line = PaddedLine::<LEN>::new();
        line.push(&self.when.stamp());
        line.push(Decimal::new(self.number.into()).as_bytes());
        for phase in [self.from, self.to] {
            line.push(b" ");
            line.push(phase.word().as_bytes());
        }
        if let Some(pid) = self.pid {
            line.pair(b"pid", &[Decimal::new(pid.get().cast_unsigned().into()).as_bytes()]);
        }
        if let Some(reason) = self.reason {
            line.pair(b"reason", &[reason.word().as_bytes()]);
        }
        match self.end {
            None => {}
            Some(Ended::Exited(code)) => {
                line.pair(b"end", &[b"exit:", Decimal::new(code.into()).as_bytes()]);
            }
            Some(Ended::Killed(signal)) => {
                line.pair(b"end", &[b"signal:", Decimal::new(signal.into()).as_bytes()]);
            }
            Some(Ended::Unknown) => line.pair(b"end", &[b"unknown"]),
        }
        match self.trigger {
            None => {}
            Some(Trigger::Begin) => line.pair(b"supervise", &[b"begins"]),
            Some(Trigger::Command(command, scope)) => {
                let scope: &[u8] = if scope == Scope::Process { b"" } else { b"+" };
                line.pair(b"command", &[scope, &[command.byte()]]);
            }
            Some(Trigger::Signal(signal)) => line.pair(b"signal", &[signal.name()]),
        }
        if let Some(counters) = self.counters {
            line.push_if_fits(counters.to_word(&mut [0; Counters::MOST_BYTES]));
        }
        line.finish()
    }

    /// Parses a line; `None` if it is no complete one.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line: &[u8; LEN] = line.try_into().ok()?;
        let text = line.strip_suffix(b"\n")?;
        let mut words = text.split(|&c| c == b' ').filter(|word| !word.is_empty());
        let label = words.next().filter(|label| label.len() == 1 + crate::time::tai::DIGITS)?;
        let mut change = Self {
            when: Tai64n::from_label(label)?,
            number: u32::try_from(decimal::parse(words.next()?)?).ok()?,
            from: Phase::from_word(words.next()?)?,
            to: Phase::from_word(words.next()?)?,
            pid: None,
            reason: None,
            end: None,
            trigger: None,
            counters: None,
        };
        for word in words {
            let at = word.iter().position(|&c| c == b'=')?;
            let (key, value) = (word.get(..at)?, word.get(at + 1..)?);
            match key {
                b"pid" => change.pid = Some(parse_pid(value)?),
                b"reason" => change.reason = Some(Reason::from_word(value)?),
                b"end" => change.end = Some(parse_end(value)?),
                b"supervise" => change.trigger = Some(Trigger::Begin),
                b"command" => change.trigger = Some(parse_command(value)?),
                b"signal" => change.trigger = Some(Trigger::Signal(Signal::from_name(value)?)),
                b"n" => change.counters = Some(Counters::parse(value)?),
                // Of a later version.
                _ => {}
            }
        }
        Some(change)
    }
}

/// Parses the value of `end=`.
fn parse_end(value: &[u8]) -> Option<Ended> {
    if value == b"unknown" {
        return Some(Ended::Unknown);
    }
    let number = |digits| u8::try_from(decimal::parse(digits)?).ok();
    match value.strip_prefix(b"exit:") {
        Some(code) => number(code).map(Ended::Exited),
        None => number(value.strip_prefix(b"signal:")?).map(Ended::Killed),
    }
}

/// Parses the value of `command=`.
fn parse_command(value: &[u8]) -> Option<Trigger> {
    let (letter, scope) = match *value {
        [b'+', letter] => (letter, Scope::Group),
        [letter] => (letter, Scope::Process),
        _ => return None,
    };
    Some(Trigger::Command(Command::from_byte(letter)?, scope))
}

/// All changes of a file, the oldest first. Lines that cannot be parsed are skipped.
#[must_use]
pub fn parse_file(file: &[u8]) -> Vec<ServiceChange> {
    let lines = file.chunks_exact(LEN).take(2 * RING);
    let mut changes: Vec<ServiceChange> = lines.filter_map(ServiceChange::parse).collect();
    sort_by_key(&mut changes, |change| change.number);
    changes
}

/// The latest counters of a file; `None` if no supervisor has counted yet.
///
/// This parses two lines of most files, and so is quicker than [`parse_file`].
#[must_use]
pub fn latest_counters(file: &[u8]) -> Option<Counters> {
    let lines = file.chunks_exact(LEN).take(2 * RING);
    let mut lines: Vec<(u32, &[u8])> =
        lines.filter_map(|line| Some((number_of(line)?, line))).collect();
    while let Some((at, _)) = lines.iter().enumerate().max_by_key(|(_, (number, _))| *number) {
        let (_, line) = lines.swap_remove(at);
        if let Some(ServiceChange { counters: Some(counters), .. }) = ServiceChange::parse(line) {
            return Some(counters);
        }
    }
    None
}

/// The number in a line.
fn number_of(line: &[u8]) -> Option<u32> {
    let word = line.get(1 + crate::time::tai::DIGITS + 1..)?;
    let end = word.iter().position(|&c| c == b' ')?;
    u32::try_from(decimal::parse(word.get(..end)?)?).ok()
}

/// The places of the next changes in the file, and the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rings {
    /// The number of the last change of each ring, and the index of the line after it.
    last: [(u32, usize); 2],
    /// The counters of the service.
    pub counters: Counters,
    /// The number of the change from which they are.
    counters_from: u32,
}

impl Rings {
    /// Takes note of lines that were found in a file: of the ring with this index, from the line
    /// `first` on.
    pub fn find(&mut self, ring: usize, first: usize, lines: &[u8]) {
        let Some((last, next)) = self.last.get_mut(ring) else { return };
        for (index, line) in (first..RING).zip(lines.chunks_exact(LEN)) {
            let Some(change) = ServiceChange::parse(line) else { continue };
            if change.number >= *last {
                (*last, *next) = (change.number, index + 1);
            }
            if let Some(counters) = change.counters
                && change.number >= self.counters_from
            {
                (self.counters, self.counters_from) = (counters, change.number);
            }
        }
    }

    /// Gives a change its number and the counters. Returns the place of its line in the file, in bytes.
    pub fn place(&mut self, change: &mut ServiceChange) -> usize {
        change.counters = Some(self.counters);
        let [(a, _), (b, _)] = self.last;
        change.number = a.max(b).saturating_add(1);
        let ring = change.ring();
        let Some((last, next)) = self.last.get_mut(ring) else { return 0 };
        let index = *next % RING;
        (*last, *next) = (change.number, index + 1);
        ring * RING * LEN + index * LEN
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
