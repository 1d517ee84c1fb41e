//! The condition of a service in one word, from its status and its state file.
//!
//! svctl, its JSON and the metrics use these words. They cover services without a state file, those
//! of encore and those of the original as well.

use crate::state_dir::detail::StateFile;
use crate::state_dir::phase::Phase;
use crate::state_dir::status::{StateCode, StatusRecord, Want};

/// The condition of a service that a supervisor publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its `start` script runs, or it is up and not ready yet.
    Starting,
    /// It is up, and nothing reports its readiness.
    Up,
    /// It is ready.
    Ready,
    /// It was told to stop, or its `stop` or `finish` script runs.
    Stopping,
    /// It is down and stays down.
    Down,
    /// It is down and starts again later: after a delay, or with the first connection.
    Waiting,
    /// It is down until a dependency is ready.
    Blocked,
    /// It failed: only a command starts it again.
    Failed,
    /// It is stopped by a signal and keeps its process.
    Paused,
}

impl Condition {
    /// The condition for a status and the state file beside it.
    #[must_use]
    pub fn of(status: &StatusRecord, found: &StateFile<'_>) -> Self {
        if status.pid != 0 && status.paused {
            return Self::Paused;
        }
        match found {
            StateFile::Current(detail) => Self::of_phase(detail.phase),
            StateFile::Absent | StateFile::Stale => Self::of_status(status),
        }
    }

    const fn of_phase(phase: Phase) -> Self {
        match phase {
            Phase::Down => Self::Down,
            Phase::Waiting | Phase::Listening => Self::Waiting,
            Phase::Blocked => Self::Blocked,
            Phase::Starting => Self::Starting,
            Phase::Up => Self::Up,
            Phase::Ready | Phase::Reloading => Self::Ready,
            Phase::Stopping | Phase::Finishing => Self::Stopping,
            Phase::Failed => Self::Failed,
        }
    }

    fn of_status(status: &StatusRecord) -> Self {
        match status.state {
            Some(StateCode::Failed) => Self::Failed,
            Some(StateCode::Stopping) => Self::Stopping,
            Some(StateCode::Starting) => Self::Starting,
            _ if status.is_up() && status.want == Want::Down => Self::Stopping,
            _ if status.is_up() => Self::Up,
            _ if status.want == Want::Up => Self::Waiting,
            _ => Self::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_dir::detail::Detail;
    use crate::time::tai::Tai64n;

    fn record(pid: u32, want: Want) -> StatusRecord {
        StatusRecord { since: Tai64n::from_unix(0, 0), pid, paused: false, want, state: None }
    }

    #[test]
    fn a_service_without_a_state_file_is_judged_by_its_status() {
        let of = |status: StatusRecord| Condition::of(&status, &StateFile::Absent);
        assert_eq!(of(record(7, Want::Up)), Condition::Up);
        assert_eq!(of(record(7, Want::Once)), Condition::Up);
        assert_eq!(of(record(7, Want::Down)), Condition::Stopping);
        assert_eq!(of(record(0, Want::Up)), Condition::Waiting);
        assert_eq!(of(record(0, Want::Once)), Condition::Down);
        assert_eq!(of(record(0, Want::Down)), Condition::Down);
        assert_eq!(of(StatusRecord { paused: true, ..record(7, Want::Up) }), Condition::Paused);
        let coded = |pid, code| of(StatusRecord { state: Some(code), ..record(pid, Want::Up) });
        assert_eq!(coded(0, StateCode::Failed), Condition::Failed);
        assert_eq!(coded(0, StateCode::Started), Condition::Up);
        assert_eq!(coded(7, StateCode::Stopping), Condition::Stopping);
        assert_eq!(coded(0, StateCode::Starting), Condition::Starting);
    }

    #[test]
    fn a_phase_of_the_state_file_comes_first() {
        for (phase, condition) in [
            (Phase::Listening, Condition::Waiting),
            (Phase::Reloading, Condition::Ready),
            (Phase::Finishing, Condition::Stopping),
            (Phase::Failed, Condition::Failed),
        ] {
            let status = record(7, Want::Up);
            let found = StateFile::Current(Detail::new(status.since, phase));
            assert_eq!(Condition::of(&status, &found), condition);
            let paused = StatusRecord { paused: true, ..status };
            assert_eq!(Condition::of(&paused, &found), Condition::Paused);
        }
    }
}
