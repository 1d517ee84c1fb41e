//! The states that `svc -W` waits for, and when a service has reached them.
//!
//! svc makes sure that the status is newer than its commands (see `wait.rs` of the tools). The result
//! depends on three things: the status, the status before the commands, and the effect of the
//! commands on the process that ran before them.

use crate::state_dir::control::{Command, Decoder, Letters, Signal, Target};
use crate::state_dir::detail::StateFile;
use crate::state_dir::phase::{Phase, Reason};
use crate::state_dir::status::{StateCode, StatusRecord, Want};

/// The state that svc waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The service runs.
    Up,
    /// Neither the service nor a script of it runs, and it is not restarted.
    Down,
    /// The service runs, and is ready if it reports readiness.
    Ready,
}

impl Goal {
    /// The value of `-W`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Ready => "ready",
        }
    }

    /// The goal for a value of `-W`.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        [Self::Up, Self::Down, Self::Ready].into_iter().find(|it| it.word().as_bytes() == word)
    }
}

/// The effect of the commands that svc sends before it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentCommands {
    /// The running process is told to end, so svc waits for another one.
    pub end: bool,
    /// The service runs once: it may already be down again.
    pub once: bool,
}

impl SentCommands {
    /// The effect of a message to supervise.
    #[must_use]
    pub fn decode(message: &[u8]) -> Self {
        let mut sent = Self::default();
        let mut decoder = Decoder::default();
        for &byte in message {
            let Some((Target::Main, command, _)) = decoder.feed(byte, Letters::Common) else {
                continue;
            };
            match command {
                Command::Down => sent = Self { end: true, once: false },
                Command::Up => sent.once = false,
                Command::Once => sent.once = true,
                Command::Signal(Signal::Term | Signal::Kill | Signal::Int | Signal::Quit) => {
                    sent.end = true;
                }
                // Most services survive the other signals.
                Command::AtMostOnce | Command::Exit | Command::Pause => {}
                Command::Continue | Command::Signal(_) => {}
            }
        }
        sent
    }
}

/// Whether a supervise publishes the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupervisorState {
    /// A supervise runs.
    Running,
    /// The last supervise exited: its status is final.
    Exited,
    /// The last supervise was killed: the status may be outdated until the next one starts.
    Killed,
}

/// The state of a service as its files show it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The record of the service in `status`.
    pub status: StatusRecord,
    /// The file `state` beside it.
    pub found: StateFile<'a>,
    /// The process that wrote them.
    pub supervisor: SupervisorState,
}

/// The result of a comparison of goal and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The service may still reach the goal.
    Pending,
    /// The service has reached the goal.
    Reached,
    /// The service has failed: it is not restarted without a command.
    Failed(Option<Reason>),
    /// The service ran once and has ended.
    Ended,
}

impl Goal {
    /// Compares the goal with the state after the commands.
    ///
    /// `before` is the status before the commands, if it could be read.
    #[must_use]
    pub fn compare(
        self,
        sent: SentCommands,
        before: Option<&StatusRecord>,
        now: &Observed<'_>,
    ) -> Progress {
        match self {
            Self::Down => down(sent, before, now),
            Self::Up | Self::Ready => self.running(sent, before, now),
        }
    }

    fn running(
        self,
        sent: SentCommands,
        before: Option<&StatusRecord>,
        now: &Observed<'_>,
    ) -> Progress {
        let Observed { status, found, supervisor } = now;
        if *supervisor != SupervisorState::Running {
            return Progress::Pending;
        }
        let detail = found.detail();
        if let Some(detail) = detail.filter(|detail| detail.phase == Phase::Failed) {
            return Progress::Failed(detail.reason);
        }
        if status.state == Some(StateCode::Failed) {
            return Progress::Failed(None);
        }
        // A process with the wanted state down was told to end by an earlier command.
        let ends = |before: &&StatusRecord| sent.end || before.want == Want::Down;
        let old = before.filter(ends).map_or(0, |before| before.pid);
        let is_old = old != 0 && old == status.pid;
        if status.is_up() && !is_old {
            return match self {
                Self::Ready if !found.is_ready() => Progress::Pending,
                _ => Progress::Reached,
            };
        }
        // `since` is the last start or exit, so the service started or exited after the commands.
        let changed = before.is_some_and(|before| before.since != status.since);
        if sent.once && changed && status.want == Want::Once && !status.is_up() {
            return match (self, found) {
                _ if old != 0 => Progress::Ended,
                (Self::Ready, StateFile::Current(_)) => Progress::Ended,
                (Self::Ready, StateFile::Stale) => Progress::Pending,
                _ => Progress::Reached,
            };
        }
        Progress::Pending
    }
}

fn down(sent: SentCommands, before: Option<&StatusRecord>, now: &Observed<'_>) -> Progress {
    let Observed { status, found, supervisor } = now;
    let settled = match (supervisor, found) {
        _ if status.pid != 0 => false,
        (SupervisorState::Killed, _) => false,
        (SupervisorState::Exited, _) => true,
        (SupervisorState::Running, StateFile::Current(detail)) => {
            matches!(detail.phase, Phase::Down | Phase::Failed)
        }
        (SupervisorState::Running, StateFile::Absent | StateFile::Stale) => match status.state {
            None => status.want != Want::Up,
            Some(state) => matches!(state, StateCode::Stopped | StateCode::Failed),
        },
    };
    // supervise waits a second between two starts, so the service may be about to run once.
    let starts_later = |before: &StatusRecord| before.pid == 0 && before.since == status.since;
    let pending =
        sent.once && *supervisor == SupervisorState::Running && before.is_some_and(starts_later);
    if settled && !pending { Progress::Reached } else { Progress::Pending }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_dir::detail::Detail;
    use crate::time::tai::Tai64n;
    use Progress::{Ended, Failed, Pending, Reached};

    fn record(second: u64, pid: u32, want: Want) -> StatusRecord {
        let since = Tai64n { seconds: second, nanoseconds: 0 };
        StatusRecord { since, pid, paused: false, want, state: None }
    }

    fn observed(status: StatusRecord) -> Observed<'static> {
        Observed { status, found: StateFile::Absent, supervisor: SupervisorState::Running }
    }

    fn in_phase(status: StatusRecord, phase: Phase) -> Observed<'static> {
        let found = StateFile::Current(Detail::new(status.since, phase));
        Observed { found, ..observed(status) }
    }

    #[track_caller]
    fn expect(
        goal: Goal,
        message: &str,
        before: StatusRecord,
        now: &Observed<'_>,
        progress: Progress,
    ) {
        assert_eq!(
            goal.compare(SentCommands::decode(message.as_bytes()), Some(&before), now),
            progress
        );
    }

    #[test]
    fn words_are_read_back() {
        for goal in [Goal::Up, Goal::Down, Goal::Ready] {
            assert_eq!(Goal::from_word(goal.word().as_bytes()), Some(goal));
        }
        for word in ["", "UP", "up ", "dead"] {
            assert_eq!(Goal::from_word(word.as_bytes()), None);
        }
    }

    #[test]
    fn effects_of_messages() {
        let sent = |end, once| SentCommands { end, once };
        for (message, expected) in [
            ("", sent(false, false)),
            ("u", sent(false, false)),
            ("o", sent(false, true)),
            ("ou", sent(false, false)),
            ("du", sent(true, false)),
            ("do", sent(true, true)),
            ("od", sent(true, false)),
            ("t", sent(true, false)),
            ("l+k", sent(true, false)),
            ("lq", sent(true, false)),
            ("i", sent(true, false)),
            ("hapcx", sent(false, false)),
            ("l12w", sent(false, false)),
            // Commands to the log script do not change the service.
            ("lLdl", sent(false, false)),
        ] {
            assert_eq!(SentCommands::decode(message.as_bytes()), expected, "{message}");
        }
    }

    #[test]
    fn up_is_a_process_that_was_not_told_to_end() {
        let up = record(5, 7, Want::Up);
        for message in ["", "u", "h"] {
            expect(Goal::Up, message, up, &observed(up), Reached);
            expect(Goal::Ready, message, up, &observed(up), Reached);
        }
        for message in ["t", "du", "k"] {
            expect(Goal::Up, message, up, &observed(up), Pending);
            expect(Goal::Up, message, up, &observed(record(6, 0, Want::Up)), Pending);
            expect(Goal::Up, message, up, &observed(record(7, 8, Want::Up)), Reached);
        }
        // Without a process before the commands, none is told to end.
        expect(Goal::Up, "du", record(5, 0, Want::Down), &observed(up), Reached);
        // An earlier command told the process to end.
        expect(Goal::Up, "u", record(5, 7, Want::Down), &observed(up), Pending);
        // Without a status before the commands, every process counts.
        assert_eq!(Goal::Up.compare(SentCommands::decode(b"t"), None, &observed(up)), Reached);
    }

    #[test]
    fn ready_needs_a_report_if_the_service_reports() {
        let (down, up) = (record(5, 0, Want::Down), record(6, 7, Want::Up));
        for (phase, progress) in [
            (Phase::Starting, Pending),
            (Phase::Stopping, Pending),
            (Phase::Up, Reached),
            (Phase::Ready, Reached),
            (Phase::Reloading, Reached),
        ] {
            expect(Goal::Ready, "u", down, &in_phase(up, phase), progress);
            expect(Goal::Up, "u", down, &in_phase(up, phase), Reached);
        }
        let unsettled = Observed { found: StateFile::Stale, ..observed(up) };
        expect(Goal::Ready, "u", down, &unsettled, Pending);
        expect(Goal::Up, "u", down, &unsettled, Reached);
    }

    #[test]
    fn a_failed_service_ends_the_wait() {
        let down = record(5, 0, Want::Up);
        let mut detail = Detail::new(down.since, Phase::Failed);
        detail.reason = Some(Reason::Deaths);
        let failed = Observed { found: StateFile::Current(detail), ..observed(down) };
        for goal in [Goal::Up, Goal::Ready] {
            expect(goal, "u", down, &failed, Failed(Some(Reason::Deaths)));
            let encore = StatusRecord { state: Some(StateCode::Failed), ..down };
            expect(goal, "u", down, &observed(encore), Failed(None));
            // The next supervise may start the service.
            let killed = Observed { supervisor: SupervisorState::Killed, ..failed };
            expect(goal, "u", down, &killed, Pending);
        }
        expect(Goal::Down, "", down, &failed, Reached);
    }

    #[test]
    fn once_counts_as_up_after_the_exit() {
        let before = record(5, 0, Want::Down);
        let ended = record(7, 0, Want::Once);
        expect(Goal::Up, "o", before, &observed(ended), Reached);
        expect(Goal::Ready, "o", before, &observed(ended), Reached);
        expect(Goal::Ready, "o", before, &in_phase(ended, Phase::Down), Ended);
        expect(Goal::Down, "o", before, &observed(ended), Reached);
        // The process from before the commands has ended, and no other has started.
        let ran = record(5, 7, Want::Up);
        expect(Goal::Up, "do", ran, &observed(ended), Ended);
        expect(Goal::Up, "o", ran, &observed(ended), Reached);
        // The second between two starts is not over.
        let waits = record(5, 0, Want::Once);
        expect(Goal::Up, "o", before, &observed(waits), Pending);
        expect(Goal::Down, "o", before, &observed(waits), Pending);
        expect(Goal::Down, "", before, &observed(waits), Reached);
    }

    #[test]
    fn down_is_a_service_that_is_not_restarted() {
        let up = record(5, 7, Want::Up);
        expect(Goal::Down, "d", up, &observed(record(5, 7, Want::Down)), Pending);
        expect(Goal::Down, "d", up, &observed(record(6, 0, Want::Down)), Reached);
        expect(Goal::Down, "t", up, &observed(record(6, 0, Want::Up)), Pending);
        let down = record(6, 0, Want::Down);
        expect(Goal::Down, "d", up, &in_phase(down, Phase::Finishing), Pending);
        expect(Goal::Down, "d", up, &in_phase(down, Phase::Down), Reached);
        let encore = |state| observed(StatusRecord { state: Some(state), ..down });
        expect(Goal::Down, "d", up, &encore(StateCode::Stopping), Pending);
        expect(Goal::Down, "d", up, &encore(StateCode::Started), Pending);
        expect(Goal::Down, "d", up, &encore(StateCode::Stopped), Reached);
    }

    #[test]
    fn without_supervise_only_a_final_status_counts() {
        let up = record(5, 7, Want::Up);
        // `x` does not change the wanted state.
        let down = record(6, 0, Want::Up);
        for (supervisor, progress) in [
            (SupervisorState::Running, Pending),
            (SupervisorState::Exited, Reached),
            (SupervisorState::Killed, Pending),
        ] {
            expect(Goal::Down, "x", up, &Observed { supervisor, ..observed(down) }, progress);
        }
        let killed =
            Observed { supervisor: SupervisorState::Killed, ..observed(record(6, 0, Want::Down)) };
        expect(Goal::Down, "d", up, &killed, Pending);
        for supervisor in [SupervisorState::Exited, SupervisorState::Killed] {
            expect(Goal::Up, "", up, &Observed { supervisor, ..observed(up) }, Pending);
            expect(Goal::Down, "", up, &Observed { supervisor, ..observed(up) }, Pending);
        }
    }
}
