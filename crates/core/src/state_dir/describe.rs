//! The words of `svstat -x`.

use crate::state_dir::detail::{Detail, MESSAGE_LEN, VALUE_LEN, push_safe};
use crate::state_dir::phase::Phase;
use crate::state_dir::status::StateCode;
use crate::text::decimal::{self, Decimal};
use crate::time::tai::Tai64n;
use crate::{Ended, Pid};
use alloc::vec::Vec;

/// What all processes of a service use together, as its cgroup reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory, in KiB.
    pub memory: Option<u64>,
    /// Processor time, in milliseconds.
    pub processor: Option<u64>,
}

impl Usage {
    /// Parses the texts of `memory.current` and `cpu.stat` (cgroups(7)); an empty one is unknown.
    #[must_use]
    pub fn parse(memory: &[u8], processor: &[u8]) -> Self {
        let mut lines = processor.split(|&c| c == b'\n');
        let micros = lines.find_map(|line| decimal::parse(line.strip_prefix(b"usage_usec ")?));
        Self {
            memory: decimal::parse(memory.trim_ascii()).map(|bytes| bytes / 1024),
            processor: micros.map(|micros| micros / 1000),
        }
    }
}

/// Appends what `svstat -x` adds to its line: remarks, each after a comma and a space, each at most
/// once, in this order:
///
/// | remark | when |
/// |---|---|
/// | `waiting for NAME` | it waits for this dependency |
/// | `listening`, `starting`, `reloading`, `stopping`, `finishing` | in that phase |
/// | `failed`, `failed: REASON` | only a command starts it again |
/// | `ready S seconds` | it has been ready for so long |
/// | `next start in S seconds` | its next start is due then |
/// | `N failures` | it died N times in a row |
/// | `reason: REASON` | supervise restarted it for that, and it has not failed |
/// | `script (pid N)` | its `start`, `stop` or `finish` script runs |
/// | `last exit N`, `last killed by signal N`, `last end unknown` | how `run` last ended, or its last process |
/// | `out of memory` | before that, the kernel killed a process of the service: its control group had no more memory |
/// | `memory N KiB`, `processor N ms` | all its processes together use it |
/// | `status "TEXT"` | its own message; TEXT may contain quotes, so it comes last |
///
/// Seconds are counted as in the rest of the line.
pub fn describe(
    detail: Option<&Detail<'_>>,
    end: Option<(Pid, Ended)>,
    usage: Usage,
    now: Tai64n,
    out: &mut Vec<u8>,
) {
    if let Some(detail) = detail {
        describe_detail(detail, now, out);
    }
    let end = end.map(|(_, how)| how);
    if let Some(how) = detail.and_then(|detail| detail.run_end).or(end) {
        let (words, number) = match how {
            Ended::Exited(code) => (", last exit ", Some(code)),
            Ended::Killed(signal) => (", last killed by signal ", Some(signal)),
            Ended::Unknown => (", last end unknown", None),
        };
        out.extend_from_slice(words.as_bytes());
        if let Some(number) = number {
            push_number(number.into(), out);
        }
    }
    if detail.is_some_and(|detail| detail.out_of_memory) {
        out.extend_from_slice(b", out of memory");
    }
    let numbers = [(", memory ", usage.memory, " KiB"), (", processor ", usage.processor, " ms")];
    for (words, number, unit) in numbers {
        if let Some(number) = number {
            out.extend_from_slice(words.as_bytes());
            push_number(number, out);
            out.extend_from_slice(unit.as_bytes());
        }
    }
    if let Some(message) = detail.map(|detail| detail.message).filter(|m| !m.is_empty()) {
        out.extend_from_slice(b", status \"");
        push_safe(message, MESSAGE_LEN, out);
        out.push(b'"');
    }
}

/// The detail without the phase, if the status line has the same word from encore's state code.
#[must_use]
pub fn without_repetition<'a>(detail: &Detail<'a>, state: Option<StateCode>) -> Detail<'a> {
    let is_repeated = matches!(
        (state, detail.phase),
        (Some(StateCode::Starting), Phase::Starting)
            | (Some(StateCode::Stopping), Phase::Stopping)
            | (Some(StateCode::Failed), Phase::Failed)
    );
    // A service that is down gets no word.
    let phase = if is_repeated { Phase::Down } else { detail.phase };
    Detail { phase, ..*detail }
}

/// Appends the remarks that come from the state file, except the message.
fn describe_detail(detail: &Detail<'_>, now: Tai64n, out: &mut Vec<u8>) {
    let seconds = |words: &str, from: Tai64n, to: Tai64n, out: &mut Vec<u8>| {
        out.extend_from_slice(words.as_bytes());
        push_number(to.seconds.saturating_sub(from.seconds), out);
        out.extend_from_slice(b" seconds");
    };
    match detail.phase {
        Phase::Down | Phase::Waiting | Phase::Up => {}
        Phase::Blocked => {
            out.extend_from_slice(b", waiting for ");
            push_safe(detail.waiting_for, VALUE_LEN, out);
        }
        Phase::Ready => seconds(", ready ", detail.ready.unwrap_or(detail.since), now, out),
        phase @ (Phase::Listening
        | Phase::Starting
        | Phase::Reloading
        | Phase::Stopping
        | Phase::Finishing
        | Phase::Failed) => {
            out.extend_from_slice(b", ");
            out.extend_from_slice(phase.word().as_bytes());
        }
    }
    let failed = detail.phase == Phase::Failed;
    if let Some(reason) = detail.reason.filter(|_| failed) {
        out.extend_from_slice(b": ");
        out.extend_from_slice(reason.words().as_bytes());
    }
    if let Some(next) = detail.next {
        seconds(", next start in ", now, next, out);
    }
    if detail.failures > 0 {
        out.extend_from_slice(b", ");
        push_number(detail.failures.into(), out);
        out.extend_from_slice(b" failures");
    }
    if let Some(reason) = detail.reason.filter(|_| !failed) {
        out.extend_from_slice(b", reason: ");
        out.extend_from_slice(reason.words().as_bytes());
    }
    if let Some(script) = detail.script {
        out.extend_from_slice(b", script (pid ");
        push_number(script.get().unsigned_abs().into(), out);
        out.push(b')');
    }
}

fn push_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(Decimal::new(number).as_bytes());
}

#[cfg(test)]
#[path = "describe_tests.rs"]
mod tests;
