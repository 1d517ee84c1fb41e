//! What `svc -W` waits for, and when it has come.
//!
//! A status tells how a service was when it was published, which may be before a command that was
//! read since. Whoever asks here has seen to it that the status is later (see `svc`); here is what
//! is to be made of it. It takes three things into account: what the status says, what it said
//! before the commands went out, and what these make of the process that ran then.

use crate::command::{Command, Decoder, Signal, Target};
use crate::detail::{Found, Phase, Reason};
use crate::status::{Record, StateCode, Want};

/// How a service is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It runs.
    Up,
    /// It does not run, none of its scripts does, and it will not be started.
    Down,
    /// It runs, and if it can say so, it has said that it is ready.
    Ready,
}

impl Goal {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Ready => "ready",
        }
    }

    /// What a word means.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        [Self::Up, Self::Down, Self::Ready].into_iter().find(|it| it.word().as_bytes() == word)
    }
}

/// What was asked for before the wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The process that ran was told to end: what is waited for is another one.
    pub end: bool,
    /// It is to run once: it may have been up, and be down again.
    pub once: bool,
}

impl Asked {
    /// By the bytes that svc sends.
    #[must_use]
    pub fn by(message: &[u8]) -> Self {
        let mut asked = Self::default();
        let mut decoder = Decoder::default();
        for &byte in message {
            let Some((Target::Main, command, _)) = decoder.feed(byte) else {
                continue;
            };
            match command {
                Command::Down => asked = Self { end: true, once: false },
                Command::Up => asked.once = false,
                Command::Once => asked.once = true,
                Command::Signal(Signal::Term | Signal::Kill | Signal::Int | Signal::Quit) => {
                    asked.end = true;
                }
                // Services take the other signals as they like, mostly without ending.
                Command::Exit | Command::Pause | Command::Continue | Command::Signal(_) => {}
            }
        }
        asked
    }
}

/// Who keeps the status up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// A supervise.
    Supervise,
    /// Nobody: the last supervise has left in order, and the status is its last word.
    Left,
    /// Nobody: the last supervise was killed, and only the next one will know how things are.
    Killed,
}

/// How a service is.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its status.
    pub status: Record,
    /// What is beside it.
    pub found: Found<'a>,
    /// Who says so.
    pub keeper: Keeper,
}

/// What has become of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may still come.
    NotYet,
    /// It is so.
    So,
    /// It will not come: the service is not started any more until somebody asks for it.
    Failed(Option<Reason>),
    /// It will not come: the service has ended, and was only to run once.
    Ended,
}

impl Goal {
    /// Whether it is reached by a service that was as `before` says, if that could be read.
    #[must_use]
    pub fn judge(self, asked: Asked, before: Option<&Record>, seen: &Seen<'_>) -> Verdict {
        match self {
            Self::Down => down(asked, before, seen),
            Self::Up | Self::Ready => self.running(asked, before, seen),
        }
    }

    fn running(self, asked: Asked, before: Option<&Record>, seen: &Seen<'_>) -> Verdict {
        let Seen { status, found, keeper } = seen;
        if *keeper != Keeper::Supervise {
            return Verdict::NotYet;
        }
        let detail = found.detail();
        if let Some(detail) = detail.filter(|detail| detail.phase == Phase::Failed) {
            return Verdict::Failed(detail.reason);
        }
        if status.state == Some(StateCode::Failed) {
            return Verdict::Failed(None);
        }
        // One that was told to end before this is still to end.
        let ends = |before: &&Record| asked.end || before.want == Want::Down;
        let old = before.filter(ends).map_or(0, |before| before.pid);
        let is_old = old != 0 && old == status.pid;
        if status.is_up() && !is_old {
            return match self {
                Self::Ready if !found.is_ready() => Verdict::NotYet,
                _ => Verdict::So,
            };
        }
        // The label is that of the last start or end: it has run since, or ended since.
        let changed = before.is_some_and(|before| before.since != status.since);
        if asked.once && changed && status.want == Want::Once && !status.is_up() {
            return match (self, found) {
                _ if old != 0 => Verdict::Ended,
                (Self::Ready, Found::Detail(_)) => Verdict::Ended,
                (Self::Ready, Found::Unsettled) => Verdict::NotYet,
                _ => Verdict::So,
            };
        }
        Verdict::NotYet
    }
}

fn down(asked: Asked, before: Option<&Record>, seen: &Seen<'_>) -> Verdict {
    let Seen { status, found, keeper } = seen;
    let settled = match (keeper, found) {
        _ if status.pid != 0 => false,
        (Keeper::Killed, _) => false,
        (Keeper::Left, _) => true,
        (Keeper::Supervise, Found::Detail(detail)) => {
            matches!(detail.phase, Phase::Down | Phase::Failed)
        }
        (Keeper::Supervise, Found::Nothing | Found::Unsettled) => match status.state {
            None => status.want != Want::Up,
            Some(state) => matches!(state, StateCode::Stopped | StateCode::Failed),
        },
    };
    // The second between two starts may not be over.
    let is_to_run = |before: &Record| before.pid == 0 && before.since == status.since;
    let still = asked.once && *keeper == Keeper::Supervise && before.is_some_and(is_to_run);
    if settled && !still { Verdict::So } else { Verdict::NotYet }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detail::Detail;
    use crate::tai::Tai64n;
    use Verdict::{Ended, Failed, NotYet, So};

    fn record(second: u64, pid: u32, want: Want) -> Record {
        let since = Tai64n { seconds: second, nanoseconds: 0 };
        Record { since, pid, paused: false, want, state: None }
    }

    fn seen(status: Record) -> Seen<'static> {
        Seen { status, found: Found::Nothing, keeper: Keeper::Supervise }
    }

    fn in_phase(status: Record, phase: Phase) -> Seen<'static> {
        let found = Found::Detail(Detail::new(status.since, phase));
        Seen { found, ..seen(status) }
    }

    #[track_caller]
    fn judged(goal: Goal, message: &str, before: Record, seen: &Seen<'_>, verdict: Verdict) {
        assert_eq!(goal.judge(Asked::by(message.as_bytes()), Some(&before), seen), verdict);
    }

    #[test]
    fn goals_have_words() {
        for goal in [Goal::Up, Goal::Down, Goal::Ready] {
            assert_eq!(Goal::from_word(goal.word().as_bytes()), Some(goal));
        }
        for word in ["", "UP", "up ", "dead"] {
            assert_eq!(Goal::from_word(word.as_bytes()), None);
        }
    }

    #[test]
    fn what_commands_do_to_the_process() {
        let asked = |end, once| Asked { end, once };
        for (message, expected) in [
            ("", asked(false, false)),
            ("u", asked(false, false)),
            ("o", asked(false, true)),
            ("ou", asked(false, false)),
            ("du", asked(true, false)),
            ("do", asked(true, true)),
            ("od", asked(true, false)),
            ("t", asked(true, false)),
            ("l+k", asked(true, false)),
            ("lq", asked(true, false)),
            ("i", asked(true, false)),
            ("hapcx", asked(false, false)),
            ("l12w", asked(false, false)),
            // The log script's are not the service's.
            ("lLdl", asked(false, false)),
        ] {
            assert_eq!(Asked::by(message.as_bytes()), expected, "{message}");
        }
    }

    #[test]
    fn up_is_what_is_up_and_was_not_told_to_end() {
        let up = record(5, 7, Want::Up);
        for message in ["", "u", "h"] {
            judged(Goal::Up, message, up, &seen(up), So);
            judged(Goal::Ready, message, up, &seen(up), So);
        }
        for message in ["t", "du", "k"] {
            judged(Goal::Up, message, up, &seen(up), NotYet);
            judged(Goal::Up, message, up, &seen(record(6, 0, Want::Up)), NotYet);
            judged(Goal::Up, message, up, &seen(record(7, 8, Want::Up)), So);
        }
        // What was down before had no process to end.
        judged(Goal::Up, "du", record(5, 0, Want::Down), &seen(up), So);
        // By an earlier command.
        judged(Goal::Up, "u", record(5, 7, Want::Down), &seen(up), NotYet);
        // Where nothing could be read before, what is there counts.
        assert_eq!(Goal::Up.judge(Asked::by(b"t"), None, &seen(up)), So);
    }

    #[test]
    fn ready_is_what_says_so_or_cannot() {
        let (down, up) = (record(5, 0, Want::Down), record(6, 7, Want::Up));
        for (phase, verdict) in [
            (Phase::Starting, NotYet),
            (Phase::Stopping, NotYet),
            (Phase::Up, So),
            (Phase::Ready, So),
            (Phase::Reloading, So),
        ] {
            judged(Goal::Ready, "u", down, &in_phase(up, phase), verdict);
            judged(Goal::Up, "u", down, &in_phase(up, phase), So);
        }
        let unsettled = Seen { found: Found::Unsettled, ..seen(up) };
        judged(Goal::Ready, "u", down, &unsettled, NotYet);
        judged(Goal::Up, "u", down, &unsettled, So);
    }

    #[test]
    fn a_service_that_failed_is_not_waited_for() {
        let down = record(5, 0, Want::Up);
        let mut detail = Detail::new(down.since, Phase::Failed);
        detail.reason = Some(Reason::Deaths);
        let failed = Seen { found: Found::Detail(detail), ..seen(down) };
        for goal in [Goal::Up, Goal::Ready] {
            judged(goal, "u", down, &failed, Failed(Some(Reason::Deaths)));
            let encore = Record { state: Some(StateCode::Failed), ..down };
            judged(goal, "u", down, &seen(encore), Failed(None));
            // The next supervise may see it in another way.
            let killed = Seen { keeper: Keeper::Killed, ..failed };
            judged(goal, "u", down, &killed, NotYet);
        }
        judged(Goal::Down, "", down, &failed, So);
    }

    #[test]
    fn what_runs_once_has_been_up() {
        let before = record(5, 0, Want::Down);
        let ended = record(7, 0, Want::Once);
        judged(Goal::Up, "o", before, &seen(ended), So);
        judged(Goal::Ready, "o", before, &seen(ended), So);
        judged(Goal::Ready, "o", before, &in_phase(ended, Phase::Down), Ended);
        judged(Goal::Down, "o", before, &seen(ended), So);
        // What ran before has only ended.
        let ran = record(5, 7, Want::Up);
        judged(Goal::Up, "do", ran, &seen(ended), Ended);
        judged(Goal::Up, "o", ran, &seen(ended), So);
        // It waits for its second.
        let waits = record(5, 0, Want::Once);
        judged(Goal::Up, "o", before, &seen(waits), NotYet);
        judged(Goal::Down, "o", before, &seen(waits), NotYet);
        judged(Goal::Down, "", before, &seen(waits), So);
    }

    #[test]
    fn down_is_what_will_not_be_started() {
        let up = record(5, 7, Want::Up);
        judged(Goal::Down, "d", up, &seen(record(5, 7, Want::Down)), NotYet);
        judged(Goal::Down, "d", up, &seen(record(6, 0, Want::Down)), So);
        judged(Goal::Down, "t", up, &seen(record(6, 0, Want::Up)), NotYet);
        let down = record(6, 0, Want::Down);
        judged(Goal::Down, "d", up, &in_phase(down, Phase::Finishing), NotYet);
        judged(Goal::Down, "d", up, &in_phase(down, Phase::Down), So);
        let encore = |state| seen(Record { state: Some(state), ..down });
        judged(Goal::Down, "d", up, &encore(StateCode::Stopping), NotYet);
        judged(Goal::Down, "d", up, &encore(StateCode::Started), NotYet);
        judged(Goal::Down, "d", up, &encore(StateCode::Stopped), So);
    }

    #[test]
    fn without_supervise_only_its_last_word_counts() {
        let up = record(5, 7, Want::Up);
        // After `x` the wish stays.
        let down = record(6, 0, Want::Up);
        for (keeper, verdict) in
            [(Keeper::Supervise, NotYet), (Keeper::Left, So), (Keeper::Killed, NotYet)]
        {
            judged(Goal::Down, "x", up, &Seen { keeper, ..seen(down) }, verdict);
        }
        let killed = Seen { keeper: Keeper::Killed, ..seen(record(6, 0, Want::Down)) };
        judged(Goal::Down, "d", up, &killed, NotYet);
        for keeper in [Keeper::Left, Keeper::Killed] {
            judged(Goal::Up, "", up, &Seen { keeper, ..seen(up) }, NotYet);
            judged(Goal::Down, "", up, &Seen { keeper, ..seen(up) }, NotYet);
        }
    }
}
