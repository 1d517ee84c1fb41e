//! The machine of a supervisor whose predecessor was killed, or was replaced by an upgrade.

use super::{Machine, State};
use crate::state_dir::Script;
use crate::state_dir::phase::Reason;
use crate::state_dir::process_record::Record;
use crate::state_dir::status::{StateCode, StatusRecord, Want};
use crate::time::tai::Tai64n;
use crate::time::{Instant, Now};
use crate::{Ended, Pid};
use core::time::Duration;

/// What the state file keeps for the next supervisor, for services with option files only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// When the process became ready.
    pub ready_since: Option<Tai64n>,
    /// Failures in a row.
    pub failures: u32,
    /// Why supervise last stopped the service by itself, or does not start it.
    pub reason: Option<Reason>,
    /// Whether the service has failed.
    pub failed: bool,
    /// When the next start was due.
    pub next_start: Option<Tai64n>,
    /// How `run` last ended.
    pub run_end: Option<Ended>,
}

/// A process that the predecessor started and that still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningProcess {
    /// Its id.
    pub pid: Pid,
    /// What it runs.
    pub script: Script,
    /// Whether it is paused.
    pub paused: bool,
}

/// The state of a killed supervisor, as its files and the process table show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The process, if it still runs.
    pub process: Option<RunningProcess>,
    /// How `run` ended, if the predecessor may not have handled the end.
    pub last_end: Option<Ended>,
    /// Whether `run` ended after the predecessor, so that its end still has to be counted.
    pub end_uncounted: bool,
    /// encore: `start` comes next.
    pub start_due: bool,
    /// encore: the service was in [`State::Started`].
    pub started: bool,
    /// encore: `stop` was the last script.
    pub stop_done: bool,
    /// What is wanted.
    pub want: Want,
    /// When the process last started or ended.
    pub since: Tai64n,
    /// When the last process started.
    pub last_start: Option<Instant>,
    /// The values in the state file.
    pub saved: SavedState,
}

/// The machine of a supervisor whose predecessor did not exit in order: it continues in the
/// predecessor's state.
///
/// `record` is the predecessor's process record and `alive` says whether that process still runs.
/// `status` is its last status, `saved` comes from its state file. The boot was `since_boot` ago. A
/// predecessor that was leaving leaves no wanted state: then `normally_up` decides.
#[must_use]
pub fn resume(
    record: &Record,
    alive: bool,
    status: Option<StatusRecord>,
    saved: SavedState,
    normally_up: bool,
    now: Now,
    since_boot: Duration,
) -> Machine {
    let age = record.process.map(|process| process.age(since_boot));
    let live = record.process.filter(|_| alive).map(|process| process.pid);
    let dead = record.process.filter(|_| !alive);
    // A status without the process is older than its start, or newer than its end. While `finish`
    // runs, the status has no process.
    let finishing = record.script == Script::Finish;
    let current = status.filter(|status| {
        live.is_some_and(|pid| status.names(pid) || (finishing && status.pid == 0))
    });
    let since = match (live, current, status) {
        (_, Some(current), _) => current.since,
        (Some(_), None, _) => now.label.minus(age.unwrap_or_default()),
        (None, None, Some(status)) if status.pid == 0 => status.since,
        // It ended while no supervisor ran.
        (None, None, _) => now.label,
    };
    let end = dead.map(|process| {
        let end = record.end.filter(|(pid, _)| *pid == process.pid);
        end.map_or(Ended::Unknown, |(_, how)| how)
    });
    let last_end = end.filter(|_| record.script == Script::Run);
    let mut fresh = Machine::new(normally_up, now);
    if record.leaving && !alive {
        // Its sweep, and its `finish`, may be left to do.
        fresh.scripts.last_end = last_end;
        return fresh;
    }
    let end_uncounted = last_end.is_some()
        && status.zip(dead).is_some_and(|(status, process)| status.names(process.pid));
    let code = status.and_then(|status| status.state);
    let start_succeeded = record.script == Script::Start && end == Some(Ended::Exited(0));
    let recovered = Recovered {
        process: live.map(|pid| RunningProcess {
            pid,
            script: record.script,
            paused: current.is_some_and(|current| current.paused),
        }),
        last_end,
        end_uncounted,
        start_due: live.is_none()
            && !start_succeeded
            && (dead.is_none() || code == Some(StateCode::Starting)),
        started: (dead.is_none() || record.script != Script::Run)
            && code == Some(StateCode::Started),
        stop_done: record.script == Script::Stop,
        want: status.filter(|_| !record.leaving).map_or(fresh.want, |status| status.want),
        since,
        last_start: age.map(|age| now.instant.minus(age)),
        // The readiness of an earlier process says nothing about this one.
        saved: SavedState { ready_since: saved.ready_since.filter(|_| current.is_some()), ..saved },
    };
    Machine::from_recovered(recovered, now)
}

impl Machine {
    /// The predecessor was told to exit, and has become this program before it could.
    pub const fn resume_leaving(&mut self) {
        self.leaving = true;
    }

    /// A machine in a recovered state. Its first event is [`Event::Begin`](super::Event::Begin), as
    /// for a new one.
    #[must_use]
    pub fn from_recovered(recovered: Recovered, now: Now) -> Self {
        let Recovered { process, last_end, want, saved, .. } = recovered;
        let mut machine = Self::new(false, now);
        machine.state = match process {
            Some(RunningProcess { pid, script: Script::Run, paused }) => State::Up { pid, paused },
            Some(RunningProcess { pid, script, .. }) => State::RunningScript { script, pid },
            None if saved.failed => State::Failed,
            None if recovered.started => State::Started,
            None => State::Down,
        };
        // The state is written before the status: a failed service is wanted down.
        machine.want = if machine.state == State::Failed { Want::Down } else { want };
        machine.since = recovered.since;
        machine.reason = saved.reason;
        machine.scripts.start_due = recovered.start_due;
        machine.scripts.stop_done = recovered.stop_done;
        machine.scripts.last_end = last_end;
        machine.scripts.end_uncounted = recovered.end_uncounted;
        machine.run_end = last_end.or(saved.run_end);
        machine.health.ready_since = saved.ready_since;
        machine.backoff.last_start = recovered.last_start;
        machine.backoff.failures = saved.failures;
        if let Some(next) = saved.next_start {
            let delay = Duration::from_nanos(next.nanoseconds_after(now.label));
            machine.backoff.not_before = now.instant + delay;
        }
        // The predecessor was about to enter `Failed`, after its sweep and `finish`.
        let failed = matches!(saved.reason, Some(Reason::Deaths | Reason::Code100));
        let unfinished = process.is_some() || last_end.is_some();
        machine.fail_pending = failed && unfinished && want == Want::Down;
        machine
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
