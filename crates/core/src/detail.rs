//! `supervise/state`: what a supervise says of its service beyond the status record, and the words
//! that `svstat -x` makes of it.
//!
//! It is a text of `key=value` lines beside `supervise/status`, for services that use more than
//! `run`. It is replaced before the status is, and belongs to the status with the same label: with
//! another one, the status that it belongs to is still to come, or it was left behind.

use crate::decimal::{self, Decimal};
use crate::status;
use crate::tai::{DIGITS, Tai64n};
use crate::{Ended, Pid, identity};
use alloc::vec::Vec;

/// No text is longer.
pub const LEN: usize = 4096;

/// How much of the service's own message is kept, in bytes.
pub const MESSAGE_LEN: usize = 200;

/// A longer value is left out: with a part of a name nothing can be found.
const VALUE_LEN: usize = 1024;

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It does not run, and is not to.
    Down,
    /// For its next start.
    Waiting,
    /// It needs another service, which is not ready.
    Blocked,
    /// It is started by the first connection.
    Listening,
    /// Its start script runs; or it is up, and has yet to say that it is ready.
    Starting,
    /// It runs, and nothing says more.
    Up,
    /// It has said that it is ready, or its check has.
    Ready,
    /// It is ready, and reads its configuration anew.
    Reloading,
    /// It was asked to end, or says that it does.
    Stopping,
    /// It has ended, and its finish script runs.
    Finishing,
    /// It is not started any more until somebody asks for it.
    Failed,
}

impl Phase {
    const WORDS: [(Self, &'static str); 11] = [
        (Self::Down, "down"),
        (Self::Waiting, "waiting"),
        (Self::Blocked, "blocked"),
        (Self::Listening, "listening"),
        (Self::Starting, "starting"),
        (Self::Up, "up"),
        (Self::Ready, "ready"),
        (Self::Reloading, "reloading"),
        (Self::Stopping, "stopping"),
        (Self::Finishing, "finishing"),
        (Self::Failed, "failed"),
    ];

    /// Its word in the text.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(self, &Self::WORDS)
    }

    /// Whether others can use the service, as far as is known: one that cannot tell is ready when
    /// it is up.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Up | Self::Ready | Self::Reloading)
    }
}

/// Why supervise has ended a service last, or does not start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It did not say in time that it lives.
    Watchdog,
    /// Its check failed.
    Check,
    /// It was not ready in time.
    NotReady,
    /// It died too often.
    Deaths,
    /// It exited with code 100.
    Code100,
    /// Its finish script exited with code 125.
    Finish125,
    /// Its start script failed.
    StartScript,
    /// What it needs has died.
    Needs,
    /// It needs itself, by way of others.
    Cycle,
    /// A file in its directory has a mistake in it.
    Options,
}

impl Reason {
    const WORDS: [(Self, &'static str); 10] = [
        (Self::Watchdog, "watchdog"),
        (Self::Check, "check"),
        (Self::NotReady, "not-ready"),
        (Self::Deaths, "deaths"),
        (Self::Code100, "code-100"),
        (Self::Finish125, "finish-125"),
        (Self::StartScript, "start-script"),
        (Self::Needs, "needs"),
        (Self::Cycle, "cycle"),
        (Self::Options, "options"),
    ];

    /// Its word in the text.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(self, &Self::WORDS)
    }

    /// In words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Watchdog => "no sign of life",
            Self::Check => "check failed",
            Self::NotReady => "not ready in time",
            Self::Deaths => "too many deaths",
            Self::Code100 => "exit code 100",
            Self::Finish125 => "finish exit code 125",
            Self::StartScript => "start script failed",
            Self::Needs => "what it needs has died",
            Self::Cycle => "needs itself",
            Self::Options => "mistake in its directory",
        }
    }
}

fn word<T: Copy + PartialEq>(of: T, words: &[(T, &'static str)]) -> &'static str {
    words.iter().find(|(it, _)| *it == of).map_or("", |(_, word)| word)
}

fn meaning<T: Copy>(word: &[u8], words: &[(T, &'static str)]) -> Option<T> {
    words.iter().find(|(_, it)| it.as_bytes() == word).map(|(it, _)| *it)
}

/// What is known of a service beyond its status. What is empty is not known, or does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail<'a> {
    /// The label of the status it belongs to.
    pub since: Tai64n,
    /// Where the service is.
    pub phase: Phase,
    /// Why it was last restarted, or is not started.
    pub reason: Option<Reason>,
    /// When it became ready.
    pub ready: Option<Tai64n>,
    /// How many times in a row it has died, as far as these count for the next pause.
    pub failures: u32,
    /// When it is started next.
    pub next: Option<Tai64n>,
    /// The name of the service that it waits for.
    pub waiting_for: &'a [u8],
    /// What the service says of itself.
    pub message: &'a [u8],
    /// The start, stop or finish script that runs now.
    pub script: Option<Pid>,
    /// The abstract name of the socket on which the service is heard, without the NUL before it.
    pub socket: &'a [u8],
    /// The service's cgroup.
    pub cgroup: &'a [u8],
}

impl<'a> Detail<'a> {
    /// Of a service of which nothing more is known.
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
        }
    }

    /// The text. Control characters in a value become `?`, as does what is not UTF-8.
    pub fn to_text(&self, out: &mut Vec<u8>) {
        let mut line = |key: &str, value: &[u8], longest: usize| {
            if !value.is_empty() {
                out.extend_from_slice(key.as_bytes());
                out.push(b'=');
                push_safe(value, longest, out);
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
        for (key, value) in
            [("waiting-for", self.waiting_for), ("socket", self.socket), ("cgroup", self.cgroup)]
        {
            if value.len() <= VALUE_LEN {
                line(key, value, VALUE_LEN);
            }
        }
        line("message", self.message, MESSAGE_LEN);
    }

    /// What a text says; `None` if it has no label or phase, or a value that cannot be. Lines with
    /// other keys mean nothing, and neither does a reason that is not known here.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let value = |key: &[u8]| {
            let mut lines = text.split(|&c| c == b'\n');
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(b"="))
        };
        let bytes = |key| value(key).unwrap_or_default();
        Some(Self {
            since: label(value(b"since")?)?,
            phase: meaning(value(b"phase")?, &Phase::WORDS)?,
            reason: value(b"reason").and_then(|word| meaning(word, &Reason::WORDS)),
            ready: optional(value(b"ready"), label)?,
            failures: optional(value(b"failures"), count)?.unwrap_or(0),
            next: optional(value(b"next"), label)?,
            waiting_for: bytes(b"waiting-for"),
            message: bytes(b"message"),
            script: optional(value(b"script"), identity::pid)?,
            socket: bytes(b"socket"),
            cgroup: bytes(b"cgroup"),
        })
    }
}

/// What is found where a state file may be, beside a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Nothing: the service uses no more than `run`.
    Nothing,
    /// It does not belong to this status, or says nothing: what it should say is not known.
    Unsettled,
    /// What belongs to this status.
    Detail(Detail<'a>),
}

impl<'a> Found<'a> {
    /// What a text, if there is one, is to the one who has read this status before it.
    #[must_use]
    pub fn judge(text: Option<&'a [u8]>, status: &status::Record) -> Self {
        let Some(text) = text else {
            return Self::Nothing;
        };
        match Detail::parse(text) {
            Some(detail) if detail.since == status.since => Self::Detail(detail),
            _ => Self::Unsettled,
        }
    }

    /// What belongs to the status.
    #[must_use]
    pub const fn detail(&self) -> Option<&Detail<'a>> {
        match self {
            Self::Detail(detail) => Some(detail),
            Self::Nothing | Self::Unsettled => None,
        }
    }

    /// Whether a service which has this beside its status is ready, if it is up.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Unsettled => false,
            Self::Detail(detail) => detail.phase.is_ready(),
        }
    }
}

/// What all processes of a service take together, as its control group tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory, in KiB.
    pub memory: Option<u64>,
    /// Processor time, in milliseconds.
    pub processor: Option<u64>,
}

impl Usage {
    /// From the texts of `memory.current` and `cpu.stat`, as far as there are any.
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

/// What `svstat -x` adds to its line: remarks, each after a comma and a space, each at most once,
/// and always in this order:
///
/// | remark | when |
/// |---|---|
/// | `waiting for NAME` | it needs that service |
/// | `listening`, `starting`, `reloading`, `stopping`, `finishing` | in that phase |
/// | `failed`, `failed: REASON` | it is not started any more |
/// | `ready S seconds` | it is ready, since then |
/// | `next start in S seconds` | it is started then |
/// | `N failures` | it has died so often |
/// | `reason: REASON` | it was restarted for that, if it has not failed |
/// | `script (pid N)` | its start, stop or finish script runs |
/// | `last exit N`, `last killed by signal N`, `last end unknown` | so its last process ended |
/// | `memory N KiB`, `processor N ms` | all its processes together have so much, or have used it |
/// | `status "TEXT"` | it says so; TEXT may have anything in it, but nothing follows |
///
/// Seconds are counted as in the line itself.
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
    if let Some((_, how)) = end {
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

/// Adds as much of a value as there may be, with nothing in it that does more than to be seen.
fn push_safe(value: &[u8], longest: usize, out: &mut Vec<u8>) {
    let end = out.len() + longest;
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

fn push_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(Decimal::new(number).as_bytes());
}

/// A label as `@` and its digits.
fn label_text(label: Tai64n) -> [u8; DIGITS + 1] {
    // What is left out is the space.
    let stamp = label.stamp();
    stamp.first_chunk().copied().unwrap_or_default()
}

fn label(text: &[u8]) -> Option<Tai64n> {
    Tai64n::from_digits(text.strip_prefix(b"@")?.try_into().ok()?)
}

fn count(digits: &[u8]) -> Option<u32> {
    u32::try_from(decimal::parse(digits)?).ok()
}

/// Nothing for a value that is not there; `None` for one that is, and cannot be read.
fn optional<T>(value: Option<&[u8]>, read: impl Fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    value.map_or(Some(None), |value| read(value).map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Record, Want};
    use alloc::string::String;
    use proptest::prelude::*;
    use proptest::{option, sample};

    const SINCE: Tai64n = Tai64n::from_unix(1_795_233_999, 749_913_500);

    fn full() -> Detail<'static> {
        Detail {
            since: SINCE,
            phase: Phase::Ready,
            reason: Some(Reason::NotReady),
            ready: Some(Tai64n::from_unix(1_795_234_000, 500)),
            failures: 3,
            next: Some(Tai64n::from_unix(1_795_234_007, 0)),
            waiting_for: b"db",
            message: "3 \u{fc}bers\u{e4}tze, \"all\" well = good".as_bytes(),
            script: Pid::new(4711),
            socket: b"supervise/17/notify",
            cgroup: b"/sys/fs/cgroup/daemontools/web",
        }
    }

    fn text(detail: &Detail<'_>) -> String {
        let mut out = Vec::new();
        detail.to_text(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn said(detail: Option<&Detail<'_>>, end: Option<Ended>) -> String {
        let mut out = Vec::new();
        let end = end.map(|how| (Pid::MAX, how));
        let usage = Usage::default();
        describe(detail, end, usage, Tai64n::from_unix(1_795_234_003, 0), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_group_takes_is_told_as_far_as_it_is_known() {
        let usage = Usage::parse(b"1048576\n", b"usage_usec 2500999\nuser_usec 1\n");
        assert_eq!(usage, Usage { memory: Some(1024), processor: Some(2500) });
        assert_eq!(Usage::parse(b"", b"nr_periods 0\n"), Usage::default());
        let mut out = Vec::new();
        describe(None, None, usage, Tai64n::from_unix(0, 0), &mut out);
        assert_eq!(out, b", memory 1024 KiB, processor 2500 ms");
    }

    #[test]
    fn the_text_is_for_people_too() {
        assert_eq!(
            text(&full()),
            "since=@400000006b0118d92cb2c59c\n\
             phase=ready\n\
             reason=not-ready\n\
             ready=@400000006b0118da000001f4\n\
             next=@400000006b0118e100000000\n\
             failures=3\n\
             script=4711\n\
             waiting-for=db\n\
             socket=supervise/17/notify\n\
             cgroup=/sys/fs/cgroup/daemontools/web\n\
             message=3 \u{fc}bers\u{e4}tze, \"all\" well = good\n"
        );
        let least = Detail::new(SINCE, Phase::Down);
        assert_eq!(text(&least), "since=@400000006b0118d92cb2c59c\nphase=down\n");
    }

    #[test]
    fn words_are_as_many_as_there_are_meanings() {
        for (phase, word) in Phase::WORDS {
            assert_eq!(phase.word(), word);
            assert_eq!(meaning(word.as_bytes(), &Phase::WORDS), Some(phase));
        }
        for (reason, word) in Reason::WORDS {
            assert_eq!(reason.word(), word);
            assert_eq!(meaning(word.as_bytes(), &Reason::WORDS), Some(reason));
        }
    }

    #[test]
    fn other_lines_mean_nothing_and_wrong_ones_are_refused() {
        let other = b"new=1\nphase=up\nsince=@400000006b0118d92cb2c59c\nreason=weather\n\nx";
        assert_eq!(Detail::parse(other), Some(Detail::new(SINCE, Phase::Up)));
        for wrong in [
            "ready=now",
            "ready=@400000006b0118d92cb2c59",
            "next=400000006b0118d92cb2c59c",
            "failures=-1",
            "failures=4294967296",
            "script=0",
            "script=2147483648",
            "script=",
        ] {
            let text = alloc::format!("{wrong}\nsince=@400000006b0118d92cb2c59c\nphase=up\n");
            assert_eq!(Detail::parse(text.as_bytes()), None, "{wrong}");
        }
        for text in ["", "phase=up", "since=@400000006b0118d92cb2c59c", "phase=new\nsince=@"] {
            assert_eq!(Detail::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn values_are_harmless() {
        let message = b"\x1b[2J\nphase=failed\x7f \xff \xc2\x9b";
        let name = [b'x'; VALUE_LEN + 1];
        let detail =
            Detail { message, cgroup: &name, socket: &name[1..], ..Detail::new(SINCE, Phase::Up) };
        let text = text(&detail);
        let read = Detail::parse(text.as_bytes()).unwrap();
        assert_eq!(read.message, b"?[2J?phase=failed? ? ?");
        assert_eq!((read.cgroup, read.socket), (&b""[..], &name[1..]));
        // Whoever wrote it.
        assert_eq!(said(Some(&detail), None), ", status \"?[2J?phase=failed? ? ?\"");
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let long = "\u{fc}".repeat(1000);
        let with = |skip: usize| {
            let message = &long.as_bytes()[skip..];
            let detail = Detail { message, ..Detail::new(SINCE, Phase::Up) };
            let text = text(&detail);
            Detail::parse(text.as_bytes()).unwrap().message.len()
        };
        assert_eq!(with(0), MESSAGE_LEN);
        // The half of a character becomes a whole one of a single byte.
        assert_eq!(with(1), MESSAGE_LEN - 1);
    }

    #[test]
    fn it_belongs_to_the_status_with_its_label() {
        let status = |since| Record { since, pid: 7, paused: false, want: Want::Up, state: None };
        let text = text(&full());
        let text = Some(text.as_bytes());
        assert_eq!(Found::judge(text, &status(SINCE)), Found::Detail(full()));
        assert!(Found::judge(text, &status(SINCE)).is_ready());
        let later = Tai64n { nanoseconds: SINCE.nanoseconds + 1000, ..SINCE };
        assert_eq!(Found::judge(text, &status(later)), Found::Unsettled);
        assert_eq!(Found::judge(Some(b""), &status(SINCE)), Found::Unsettled);
        assert!(!Found::Unsettled.is_ready());
        assert_eq!(Found::judge(None, &status(SINCE)), Found::Nothing);
        assert!(Found::Nothing.is_ready());
    }

    #[test]
    fn every_phase_in_words() {
        let words = |phase| said(Some(&Detail::new(SINCE, phase)), None);
        for (phase, word) in Phase::WORDS {
            let expected = match phase {
                Phase::Down | Phase::Waiting | Phase::Up => String::new(),
                Phase::Ready => ", ready 4 seconds".into(),
                Phase::Blocked => ", waiting for ".into(),
                _ => alloc::format!(", {word}"),
            };
            assert_eq!(words(phase), expected);
        }
    }

    #[test]
    fn every_remark_in_its_order() {
        assert_eq!(
            said(Some(&full()), Some(Ended::Exited(1))),
            ", ready 3 seconds, next start in 4 seconds, 3 failures, reason: not ready in time, \
             script (pid 4711), last exit 1, status \"3 \u{fc}bers\u{e4}tze, \"all\" well = good\""
        );
        let failed = Detail { reason: Some(Reason::Deaths), ..Detail::new(SINCE, Phase::Failed) };
        let killed = Some(Ended::Killed(9));
        assert_eq!(
            said(Some(&failed), killed),
            ", failed: too many deaths, last killed by signal 9"
        );
        let blocked = Detail { waiting_for: b"db", ..Detail::new(SINCE, Phase::Blocked) };
        assert_eq!(said(Some(&blocked), None), ", waiting for db");
        assert_eq!(said(None, Some(Ended::Unknown)), ", last end unknown");
        assert_eq!(said(None, None), "");
        // What should have been by now is at once.
        let next = Some(SINCE);
        let late = Detail { next, ..Detail::new(SINCE, Phase::Waiting) };
        assert_eq!(said(Some(&late), None), ", next start in 0 seconds");
    }

    fn labels() -> impl Strategy<Value = Tai64n> {
        any::<(u64, u32)>().prop_map(|(seconds, nanoseconds)| Tai64n { seconds, nanoseconds })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(
            (since, ready, next) in (labels(), option::of(labels()), option::of(labels())),
            phase in sample::select(&Phase::WORDS[..]),
            reason in option::of(sample::select(&Reason::WORDS[..])),
            (failures, script) in (any::<u32>(), option::of(1..i32::MAX)),
            [waiting_for, message, socket, cgroup] in [(); 4].map(|()| "\\PC{0,50}"),
        ) {
            let detail = Detail {
                since,
                phase: phase.0,
                reason: reason.map(|reason| reason.0),
                ready,
                failures,
                next,
                waiting_for: waiting_for.as_bytes(),
                message: message.as_bytes(),
                script: script.and_then(Pid::new),
                socket: socket.as_bytes(),
                cgroup: cgroup.as_bytes(),
            };
            let text = text(&detail);
            prop_assert_eq!(Detail::parse(text.as_bytes()), Some(detail));
        }

        #[test]
        fn any_values_make_a_text_that_is_read_and_not_too_long(
            values in prop::array::uniform4(prop::collection::vec(any::<u8>(), 0..2000)),
        ) {
            let [waiting_for, message, socket, cgroup] = &values;
            let detail = Detail { waiting_for, message, socket, cgroup, ..full() };
            let once = text(&detail);
            prop_assert!(once.len() <= LEN);
            let read = Detail::parse(once.as_bytes()).unwrap();
            prop_assert_eq!(read.phase, Phase::Ready);
            // Nothing is left to be made harmless.
            prop_assert_eq!(text(&read), &*once);
            let words = said(Some(&read), None);
            prop_assert!(!words.contains(|c: char| c.is_control()));
        }

        #[test]
        fn any_bytes_are_a_detail_or_none(
            bytes in any::<Vec<u8>>(),
            line in "(since|phase|ready|script|failures)=\\PC{0,30}",
        ) {
            for prefix in ["", "since=@400000006b0118d92cb2c59c\nphase=blocked\n"] {
                let bytes = [prefix.as_bytes(), line.as_bytes(), b"\n", &bytes].concat();
                if let Some(detail) = Detail::parse(&bytes) {
                    let words = said(Some(&detail), None);
                    prop_assert!(!words.contains(|c: char| c.is_control()));
                }
            }
        }
    }
}
