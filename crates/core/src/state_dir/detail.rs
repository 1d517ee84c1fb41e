//! The state file, `supervise/state`: what a supervisor publishes beyond the status record.
//!
//! It is a text of `key=value` lines for services that use more than `run`. The supervisor replaces
//! it before it replaces the status. The file and the status with the same label belong together;
//! with different labels, the reader sees an old file or one whose status is still to come.

use crate::state_dir::parse_pid;
use crate::state_dir::phase::{Phase, Reason};
use crate::state_dir::status::StatusRecord;
use crate::text::decimal::{self, Decimal};
use crate::time::tai::{DIGITS, Tai64n};
use crate::{Ended, Pid};
use alloc::vec::Vec;

/// The longest text.
pub const LEN: usize = 4096;

/// The longest message of a service, in bytes; the rest is cut off.
pub const MESSAGE_LEN: usize = 200;

/// The longest other value. A longer one is left out: a part of a name finds nothing.
pub(super) const VALUE_LEN: usize = 1024;

/// What a supervisor publishes beyond the status. An empty value is unknown, or does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail<'a> {
    /// The label of the status it belongs to.
    pub since: Tai64n,
    /// The phase of the service.
    pub phase: Phase,
    /// Why supervise last restarted it, or does not start it.
    pub reason: Option<Reason>,
    /// When it became ready.
    pub ready: Option<Tai64n>,
    /// Deaths in a row, as the back-off counts them.
    pub failures: u32,
    /// When its next start is due.
    pub next: Option<Tai64n>,
    /// The dependency that it waits for.
    pub waiting_for: &'a [u8],
    /// The service's own `STATUS=` message.
    pub message: &'a [u8],
    /// The `start`, `stop` or `finish` process that runs now.
    pub script: Option<Pid>,
    /// The abstract name of the notify socket, without its leading NUL; or the path of the directory
    /// of the socket, which begins with a slash.
    pub socket: &'a [u8],
    /// The service's cgroup.
    pub cgroup: &'a [u8],
    /// How `run` last ended, for a service whose other scripts end as well.
    pub run_end: Option<Ended>,
    /// Before that end, the kernel killed a process of the service because the memory of its control
    /// group was used up.
    pub out_of_memory: bool,
}

impl<'a> Detail<'a> {
    /// A detail of nothing but a label and a phase.
    #[must_use]
    pub const fn new(since: Tai64n, phase: Phase) -> Self {
        Self {
            since,
            phase,
            reason: None,
            ready: None,
            failures: 0,
            next: None,
            waiting_for: b"",
            message: b"",
            script: None,
            socket: b"",
            cgroup: b"",
            run_end: None,
            out_of_memory: false,
        }
    }

    /// Appends the text. Control characters and bytes that are not UTF-8 become `?`.
    pub fn to_text(&self, out: &mut Vec<u8>) {
        let mut line = |key: &str, value: &[u8], limit: usize| {
            if !value.is_empty() {
                out.extend_from_slice(key.as_bytes());
                out.push(b'=');
                push_safe(value, limit, out);
                out.push(b'\n');
            }
        };
        line("since", &label_text(self.since), VALUE_LEN);
        line("phase", self.phase.word().as_bytes(), VALUE_LEN);
        line("reason", self.reason.map_or("", Reason::word).as_bytes(), VALUE_LEN);
        for (key, label) in [("ready", self.ready), ("next", self.next)] {
            if let Some(label) = label {
                line(key, &label_text(label), VALUE_LEN);
            }
        }
        let script = self.script.map_or(0, |pid| pid.get().cast_unsigned());
        for (key, number) in [("failures", self.failures), ("script", script)] {
            if number != 0 {
                line(key, Decimal::new(number.into()).as_bytes(), VALUE_LEN);
            }
        }
        if let Some(how) = self.run_end {
            let (word, number): (&[u8], u8) = match how {
                Ended::Exited(code) => (b"exit ", code),
                Ended::Killed(signal) => (b"signal ", signal),
                Ended::Unknown => (b"unknown ", 0),
            };
            let number = Decimal::new(number.into());
            line("run-end", &[word, number.as_bytes()].concat(), VALUE_LEN);
        }
        line("out-of-memory", if self.out_of_memory { b"1" } else { b"" }, VALUE_LEN);
        for (key, value) in
            [("waiting-for", self.waiting_for), ("socket", self.socket), ("cgroup", self.cgroup)]
        {
            if value.len() <= VALUE_LEN {
                line(key, value, VALUE_LEN);
            }
        }
        line("message", self.message, MESSAGE_LEN);
    }

    /// Parses a text: `None` without a label and a phase, or with an impossible value. Unknown keys
    /// and unknown reasons are ignored.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let value = |key: &[u8]| {
            let mut lines = text.split(|&c| c == b'\n');
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(b"="))
        };
        let bytes = |key| value(key).unwrap_or_default();
        Some(Self {
            since: label(value(b"since")?)?,
            phase: Phase::from_word(value(b"phase")?)?,
            reason: value(b"reason").and_then(Reason::from_word),
            ready: optional(value(b"ready"), label)?,
            failures: optional(value(b"failures"), count)?.unwrap_or(0),
            next: optional(value(b"next"), label)?,
            waiting_for: bytes(b"waiting-for"),
            message: bytes(b"message"),
            script: optional(value(b"script"), parse_pid)?,
            socket: bytes(b"socket"),
            cgroup: bytes(b"cgroup"),
            run_end: optional(value(b"run-end"), end)?,
            out_of_memory: bytes(b"out-of-memory") == b"1",
        })
    }
}

/// The state file of a service, compared with the status that was read before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFile<'a> {
    /// There is no state file: the service has no options.
    Absent,
    /// It belongs to another status or is malformed: the detail is unknown for now.
    Stale,
    /// It belongs to the status.
    Current(Detail<'a>),
}

impl<'a> StateFile<'a> {
    /// Compares the text of the file, if there is a file, with a status.
    #[must_use]
    pub fn classify(text: Option<&'a [u8]>, status: &StatusRecord) -> Self {
        let Some(text) = text else {
            return Self::Absent;
        };
        match Detail::parse(text) {
            Some(detail) if detail.since == status.since => Self::Current(detail),
            _ => Self::Stale,
        }
    }

    /// The detail, if it belongs to the status.
    #[must_use]
    pub const fn detail(&self) -> Option<&Detail<'a>> {
        match self {
            Self::Current(detail) => Some(detail),
            Self::Absent | Self::Stale => None,
        }
    }

    /// Whether a service that is up is ready.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Stale => false,
            Self::Current(detail) => detail.phase.is_ready(),
        }
    }
}

/// Appends at most `limit` bytes of a value, as printable UTF-8: a terminal that shows it cannot be
/// controlled by it.
pub(super) fn push_safe(value: &[u8], limit: usize, out: &mut Vec<u8>) {
    let end = out.len() + limit;
    for chunk in value.utf8_chunks() {
        let invalid = (!chunk.invalid().is_empty()).then_some('?');
        for character in chunk.valid().chars().chain(invalid) {
            let shown = if character.is_control() { '?' } else { character };
            let mut room = [0; 4];
            let bytes = shown.encode_utf8(&mut room).as_bytes();
            if out.len() + bytes.len() > end {
                return;
            }
            out.extend_from_slice(bytes);
        }
    }
}

/// A label as `@` and its digits.
fn label_text(label: Tai64n) -> [u8; DIGITS + 1] {
    // A stamp ends with a space.
    let stamp = label.stamp();
    stamp.first_chunk().copied().unwrap_or_default()
}

fn label(text: &[u8]) -> Option<Tai64n> {
    Tai64n::from_digits(text.strip_prefix(b"@")?.try_into().ok()?)
}

fn count(digits: &[u8]) -> Option<u32> {
    u32::try_from(decimal::parse(digits)?).ok()
}

fn end(text: &[u8]) -> Option<Ended> {
    let at = text.iter().position(|&byte| byte == b' ')?;
    let (word, number) = text.split_at(at);
    let number = u8::try_from(decimal::parse(number.trim_ascii_start())?).ok()?;
    match word {
        b"exit" => Some(Ended::Exited(number)),
        b"signal" => Some(Ended::Killed(number)),
        b"unknown" => Some(Ended::Unknown),
        _ => None,
    }
}

/// `Some(None)` without a value, `None` for a value that `read` rejects.
fn optional<T>(value: Option<&[u8]>, read: impl Fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    value.map_or(Some(None), |value| read(value).map(Some))
}

#[cfg(test)]
#[path = "detail_tests.rs"]
pub(in crate::state_dir) mod tests;
