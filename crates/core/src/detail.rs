//! `supervise/state`: what is known of a service beyond its status record, for people and for the
//! next supervise. It is there only if the service directory asks for more than the original gives.
//!
//! A text of `key=value` lines. It belongs to the status record with the same `since`, which is
//! written after it: a reader that finds another one has come between the two.

use crate::decimal::{self, Decimal};
use crate::status::Record;
use crate::tai::{DIGITS, Tai64n};
use crate::{Ended, Pid};
use alloc::vec::Vec;

/// How much of what a service says of itself is kept.
const LONGEST_MESSAGE: usize = 200;

/// Where a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Down, and to stay so.
    Down,
    /// Down until its next start.
    Waiting,
    /// Down until another service is there.
    Blocked,
    /// Down until somebody connects.
    Listening,
    /// Being started, or up and not yet ready.
    Starting,
    /// Up; nothing says more.
    Up,
    /// Up, and ready to serve.
    Ready,
    /// Up, and reading its configuration again.
    Reloading,
    /// Told to end, or ending by itself.
    Stopping,
    /// Down; what has to be done after that is being done.
    Finishing,
    /// Down, because it failed for good.
    Failed,
}

const PHASES: [(Phase, &str); 11] = [
    (Phase::Down, "down"),
    (Phase::Waiting, "waiting"),
    (Phase::Blocked, "blocked"),
    (Phase::Listening, "listening"),
    (Phase::Starting, "starting"),
    (Phase::Up, "up"),
    (Phase::Ready, "ready"),
    (Phase::Reloading, "reloading"),
    (Phase::Stopping, "stopping"),
    (Phase::Finishing, "finishing"),
    (Phase::Failed, "failed"),
];

impl Phase {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(&PHASES, self)
    }
}

/// Why a service was last ended by its supervise, or is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was silent for too long.
    Watchdog,
    /// Its check failed too often.
    Check,
    /// It was not ready in time.
    NotReady,
    /// It died too often.
    Deaths,
    /// One of its scripts ended with code 100.
    Code100,
    /// Its `finish` ended with code 125.
    Finish125,
    /// Its `start` failed.
    StartScript,
    /// What it needs has died.
    Needs,
    /// It needs itself.
    Cycle,
    /// There is a mistake in its directory.
    Options,
}

const REASONS: [(Reason, &str); 10] = [
    (Reason::Watchdog, "watchdog"),
    (Reason::Check, "check"),
    (Reason::NotReady, "not-ready"),
    (Reason::Deaths, "deaths"),
    (Reason::Code100, "code-100"),
    (Reason::Finish125, "finish-125"),
    (Reason::StartScript, "start-script"),
    (Reason::Needs, "needs"),
    (Reason::Cycle, "cycle"),
    (Reason::Options, "options"),
];

impl Reason {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        word(&REASONS, self)
    }
}

fn word<T: Copy + PartialEq>(words: &[(T, &'static str)], wanted: T) -> &'static str {
    words.iter().find(|(it, _)| *it == wanted).map_or("", |(_, word)| word)
}

fn meaning<T: Copy>(words: &[(T, &'static str)], read: &[u8]) -> Option<T> {
    words.iter().find(|(_, word)| word.as_bytes() == read).map(|(it, _)| *it)
}

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail<'a> {
    /// The moment in the status record to which this belongs.
    pub since: Tai64n,
    /// Where the service is.
    pub phase: Phase,
    /// Why it was last ended by us, or is not started.
    pub reason: Option<Reason>,
    /// When it became ready.
    pub ready: Option<Tai64n>,
    /// How often it has died, one time after the other.
    pub failures: u32,
    /// When it is started next.
    pub next: Option<Tai64n>,
    /// The service that it waits for.
    pub waiting_for: &'a [u8],
    /// What it says of itself.
    pub message: &'a [u8],
    /// Another of its scripts, which runs.
    pub script: Option<Pid>,
    /// The abstract name of its notify socket.
    pub socket: &'a [u8],
    /// The path of its control group.
    pub cgroup: &'a [u8],
}

impl<'a> Detail<'a> {
    /// Appends the text.
    pub fn to_text(&self, out: &mut Vec<u8>) {
        let mut line = |key: &str, value: &[u8]| {
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            // Nothing that is said can begin a line of its own.
            let safe = |c: &u8| if c.is_ascii_control() { b'?' } else { *c };
            out.extend(value.iter().map(safe));
            out.push(b'\n');
        };
        line("since", label(self.since).as_slice());
        line("phase", self.phase.word().as_bytes());
        if let Some(reason) = self.reason {
            line("reason", reason.word().as_bytes());
        }
        if let Some(ready) = self.ready {
            line("ready", label(ready).as_slice());
        }
        if self.failures > 0 {
            line("failures", Decimal::new(self.failures.into()).as_bytes());
        }
        if let Some(next) = self.next {
            line("next", label(next).as_slice());
        }
        if let Some(script) = self.script {
            line("script", Decimal::new(script.get().cast_unsigned().into()).as_bytes());
        }
        let message = self.message.get(..LONGEST_MESSAGE).unwrap_or(self.message);
        for (key, value) in [
            ("waiting-for", self.waiting_for),
            ("message", message),
            ("socket", self.socket),
            ("cgroup", self.cgroup),
        ] {
            if !value.is_empty() {
                line(key, value);
            }
        }
    }

    /// What a text says; `None` if it is none. Lines with other keys mean nothing.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.split(|&c| c == b'\n');
            lines.find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
        };
        let moment = |key: &str| value(key).and_then(moment);
        let number = |key: &str| value(key).and_then(decimal::parse);
        Some(Self {
            since: moment("since")?,
            phase: meaning(&PHASES, value("phase")?)?,
            reason: value("reason").and_then(|word| meaning(&REASONS, word)),
            ready: moment("ready"),
            failures: number("failures").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            next: moment("next"),
            waiting_for: value("waiting-for").unwrap_or_default(),
            message: value("message").unwrap_or_default(),
            script: number("script").and_then(|n| Pid::new(i32::try_from(n).ok()?)),
            socket: value("socket").unwrap_or_default(),
            cgroup: value("cgroup").unwrap_or_default(),
        })
    }
}

/// `@` and the digits of a label.
fn label(moment: Tai64n) -> Vec<u8> {
    moment.stamp().get(..=DIGITS).unwrap_or_default().to_vec()
}

fn moment(text: &[u8]) -> Option<Tai64n> {
    Tai64n::from_digits(text.strip_prefix(b"@")?.try_into().ok()?)
}

/// What `svstat -x` says behind its usual line: comma, blank and words, for everything that is
/// known. `end` is how a process of the service has last ended.
pub fn describe(
    detail: Option<&Detail<'_>>,
    record: &Record,
    end: Option<Ended>,
    now: Tai64n,
    out: &mut Vec<u8>,
) {
    let mut say = |words: &[&[u8]]| {
        out.extend_from_slice(b", ");
        words.iter().for_each(|word| out.extend_from_slice(word));
    };
    let seconds = |from: Tai64n, to: Tai64n| Decimal::new(to.seconds.saturating_sub(from.seconds));
    if let Some(detail) = detail {
        let phase = detail.phase.word().as_bytes();
        match (detail.phase, detail.ready, detail.next) {
            (Phase::Ready, Some(ready), _) => {
                say(&[phase, b" ", seconds(ready, now).as_bytes(), b" seconds"]);
            }
            (Phase::Waiting, _, Some(next)) => {
                say(&[b"next start in ", seconds(now, next).as_bytes(), b" seconds"]);
            }
            (Phase::Blocked, ..) => say(&[b"waiting for ", detail.waiting_for]),
            // The line itself says no less.
            (Phase::Down | Phase::Up | Phase::Waiting, ..) => {}
            _ => say(&[phase]),
        }
        if let Some(reason) = detail.reason {
            say(&[b"because of ", reason.word().as_bytes()]);
        }
        if detail.failures > 0 {
            let number = Decimal::new(detail.failures.into());
            let noun: &[u8] = if detail.failures == 1 { b" failure" } else { b" failures" };
            say(&[number.as_bytes(), noun]);
        }
        if !detail.message.is_empty() {
            say(&[b"status \"", detail.message, b"\""]);
        }
    }
    let ended: &[u8] = if record.pid == 0 { b"ended by " } else { b"before ended by " };
    match end {
        Some(Ended::Exited(code)) => {
            say(&[ended, b"exit ", Decimal::new(code.into()).as_bytes()]);
        }
        Some(Ended::Killed(signal)) => {
            say(&[ended, b"signal ", Decimal::new(signal.into()).as_bytes()]);
        }
        Some(Ended::Unknown) => say(&[ended, b"unknown"]),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Want;
    use alloc::string::String;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Tai64n {
        Tai64n::from_unix(1_700_000_000 + seconds, 500)
    }

    const PLAIN: Detail<'static> = Detail {
        since: Tai64n { seconds: 0, nanoseconds: 0 },
        phase: Phase::Up,
        reason: None,
        ready: None,
        failures: 0,
        next: None,
        waiting_for: b"",
        message: b"",
        script: None,
        socket: b"",
        cgroup: b"",
    };

    fn said(detail: &Detail<'_>, end: Option<Ended>) -> String {
        let mut out = Vec::new();
        let pid = u32::from(detail.ready.is_some());
        let record =
            Record { since: detail.since, pid, paused: false, want: Want::Up, state: None };
        describe(Some(detail), &record, end, at(10), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_said_of_a_service() {
        let ready = Detail { phase: Phase::Ready, ready: Some(at(3)), message: b"busy", ..PLAIN };
        assert_eq!(said(&ready, None), ", ready 7 seconds, status \"busy\"");
        let waiting = Detail {
            phase: Phase::Waiting,
            next: Some(at(14)),
            failures: 3,
            reason: Some(Reason::Watchdog),
            ..PLAIN
        };
        assert_eq!(
            said(&waiting, Some(Ended::Killed(9))),
            ", next start in 4 seconds, because of watchdog, 3 failures, ended by signal 9"
        );
        let blocked = Detail { phase: Phase::Blocked, waiting_for: b"db", ..PLAIN };
        assert_eq!(said(&blocked, None), ", waiting for db");
        let failed = Detail { phase: Phase::Failed, reason: Some(Reason::Deaths), ..PLAIN };
        assert_eq!(
            said(&failed, Some(Ended::Exited(1))),
            ", failed, because of deaths, ended by exit 1"
        );
        assert_eq!(said(&PLAIN, Some(Ended::Unknown)), ", ended by unknown");
        assert_eq!(said(&PLAIN, None), "");
    }

    #[test]
    fn nothing_that_a_service_says_becomes_a_line() {
        let mut text = Vec::new();
        Detail { message: b"a\nphase=failed\x07", ..PLAIN }.to_text(&mut text);
        let read = Detail::parse(&text).unwrap();
        assert_eq!((read.phase, read.message), (Phase::Up, &b"a?phase=failed?"[..]));
    }

    #[test]
    fn every_word_has_one_meaning() {
        for (phase, word) in PHASES {
            assert_eq!((phase.word(), meaning(&PHASES, word.as_bytes())), (word, Some(phase)));
        }
        for (reason, word) in REASONS {
            assert_eq!((reason.word(), meaning(&REASONS, word.as_bytes())), (word, Some(reason)));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            phase in 0..PHASES.len(),
            reason in proptest::option::of(0..REASONS.len()),
            seconds in any::<u64>(),
            failures in any::<u32>(),
            ready in any::<bool>(),
            script in 0..i32::MAX,
            name in "[!-~]{0,40}",
        ) {
            let since = Tai64n { seconds, nanoseconds: 5 };
            let detail = Detail {
                since,
                phase: PHASES[phase].0,
                reason: reason.map(|n| REASONS[n].0),
                ready: ready.then_some(since),
                failures,
                next: (!ready).then_some(since),
                waiting_for: name.as_bytes(),
                message: name.as_bytes(),
                script: Pid::new(script),
                socket: name.as_bytes(),
                cgroup: name.as_bytes(),
            };
            let mut text = Vec::new();
            detail.to_text(&mut text);
            prop_assert_eq!(Detail::parse(&text), Some(detail));
        }

        #[test]
        fn any_bytes_are_read_in_peace(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Detail::parse(&text);
        }
    }
}
