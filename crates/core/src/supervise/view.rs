//! What the machine shows: the status record, encore's state code, and the phase.

use super::health::Activity;
use super::{Machine, Script, State};
use crate::options::Personality;
use crate::state_dir::phase::{Phase, Reason};
use crate::state_dir::status::{StateCode, StatusRecord, Want};
use crate::time::tai::Tai64n;
use crate::time::{Instant, Now};
use crate::{Ended, Pid};
use core::time::Duration;

impl Machine {
    /// The state of the service.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The process that is not yet reaped, if there is one.
    #[must_use]
    pub const fn pid(&self) -> Option<Pid> {
        self.state.pid()
    }

    /// The script that the process runs, or that is being started.
    #[must_use]
    pub const fn script(&self) -> Script {
        self.state.script()
    }

    /// Whether the supervisor exits as soon as the service is down.
    #[must_use]
    pub const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Whether the process was told to stop.
    #[must_use]
    pub const fn is_ending(&self) -> bool {
        self.stopping.cause.is_some()
    }

    /// The time of the next [`Event::Tick`](super::Event::Tick), if one is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Up { .. } | State::RunningScript { .. } | State::Sweeping => {
                self.timers.deadline()
            }
            State::Down
            | State::Failed
            | State::Started
            | State::Blocked
            | State::Preparing
            | State::Spawning(_)
            | State::Gone => None,
        }
    }

    /// The time of the next start, for the state file.
    #[must_use]
    pub fn next_start(&self, now: Now) -> Option<Tai64n> {
        match self.state {
            State::Waiting { due } => Some(now.label.plus(due.duration_since(now.instant))),
            _ => None,
        }
    }

    /// The pause after the last failed fork.
    #[must_use]
    pub fn fork_pause(&self) -> Duration {
        self.backoff.fork_pause()
    }

    /// How the service ended: the arguments of `finish`.
    #[must_use]
    pub fn last_end(&self) -> Ended {
        self.scripts.last_end.unwrap_or(Ended::Unknown)
    }

    /// How `run` last ended, if the service has other scripts: the process record then holds the end
    /// of the last script.
    #[must_use]
    pub fn run_end(&self) -> Option<Ended> {
        let scripts = self.policy().scripts;
        self.run_end.filter(|_| scripts.start || scripts.stop || scripts.finish)
    }

    /// When the service became ready.
    #[must_use]
    pub const fn ready(&self) -> Option<Tai64n> {
        self.health.ready_since
    }

    /// Failures in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.backoff.failures
    }

    /// Why supervise last stopped the service by itself, or does not start it.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// The status record to publish.
    #[must_use]
    pub fn record(&self) -> StatusRecord {
        let (pid, paused) = match self.state {
            State::Up { pid, paused } => (pid.get().cast_unsigned(), paused),
            State::RunningScript { pid, script: Script::Start | Script::Stop } => {
                (pid.get().cast_unsigned(), false)
            }
            // While `finish` runs, the service is down.
            _ => (0, false),
        };
        let encore = self.policy().personality == Personality::Encore;
        let state = encore.then(|| self.state_code());
        StatusRecord { since: self.since, pid, paused, want: self.want, state }
    }

    /// encore's state code.
    pub(super) const fn state_code(&self) -> StateCode {
        match self.state {
            State::Failed => StateCode::Failed,
            State::Started => StateCode::Started,
            State::Up { .. } | State::RunningScript { script: Script::Start, .. }
                if self.is_ending() =>
            {
                StateCode::Stopping
            }
            State::Up { .. } => StateCode::Running,
            State::RunningScript { script: Script::Start, .. } => StateCode::Starting,
            State::Waiting { .. }
            | State::Blocked
            | State::Preparing
            | State::Spawning(Script::Start | Script::Run) => {
                if self.scripts.start_due {
                    StateCode::Starting
                } else {
                    StateCode::Running
                }
            }
            // The service was not told to go down: only its next start is left out.
            State::Gone if matches!(self.want, Want::Up) => StateCode::Running,
            State::Gone => self.final_code,
            State::Down | State::Spawning(_) | State::RunningScript { .. } | State::Sweeping => {
                StateCode::Stopped
            }
        }
    }

    /// The phase of the service.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Down | State::Gone => Phase::Down,
            State::Failed => Phase::Failed,
            State::Started => Phase::Ready,
            State::Waiting { .. } => Phase::Waiting,
            State::Blocked => Phase::Blocked,
            State::Preparing
            | State::Spawning(Script::Start | Script::Run)
            | State::RunningScript { script: Script::Start, .. } => Phase::Starting,
            State::Spawning(Script::Stop | Script::Finish) | State::RunningScript { .. } => {
                Phase::Finishing
            }
            State::Up { .. } if self.is_ending() => Phase::Stopping,
            State::Up { .. } => match self.health.activity {
                Some(Activity::Stopping) => Phase::Stopping,
                Some(Activity::Reloading) => Phase::Reloading,
                _ if self.health.ready_since.is_some() => Phase::Ready,
                _ if self.policy().reports_readiness() => Phase::Starting,
                _ => Phase::Up,
            },
            State::Sweeping => Phase::Stopping,
        }
    }
}
