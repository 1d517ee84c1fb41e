//! The two supervise processes of a slot, and when an absent one may start.

use crate::time::Instant;
use crate::{Ended, Pid};
use core::time::Duration;

/// Restart delay of a supervise that exited with code 0, as after `svc -x`.
///
/// The original scans every five seconds; scripts rely on that time to remove the link.
pub const EXIT_RESTART_DELAY: Duration = Duration::from_secs(5);

/// A supervise that ran for less than this died quickly: its restart delay grows.
pub const QUICK_DEATH: Duration = Duration::from_secs(1);

/// The longest restart delay, equal to the original's scan interval.
pub const MAX_RESTART_DELAY: Duration = Duration::from_secs(5);

/// Exit code of a supervise that svscan has started under a name that was gone before the start.
pub const NAME_GONE: u8 = 99;

/// Which of a service's two supervise processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuperviseRole {
    /// The supervise of the service.
    Main,
    /// The supervise of its logger.
    Log,
}

/// One supervise process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuperviseProcess {
    /// It does not run.
    Absent {
        /// The earliest moment of the next start.
        due: Instant,
        /// Number of quick deaths in a row.
        quick_deaths: u32,
    },
    /// Its start was requested; the answer is still to come.
    Spawning {
        /// Number of quick deaths in a row.
        quick_deaths: u32,
    },
    /// It runs.
    Running {
        /// Its process.
        pid: Pid,
        /// When it started, or was adopted.
        since: Instant,
        /// Number of quick deaths in a row.
        quick_deaths: u32,
    },
}

impl SuperviseProcess {
    /// It may start at once.
    pub(super) const NEW: Self = Self::Absent { due: Instant(0), quick_deaths: 0 };

    /// The process, if it runs.
    pub(super) const fn pid(self) -> Option<Pid> {
        match self {
            Self::Running { pid, .. } => Some(pid),
            Self::Absent { .. } | Self::Spawning { .. } => None,
        }
    }

    /// The earliest moment of the next start, if it is absent.
    pub(super) const fn due(self) -> Option<Instant> {
        match self {
            Self::Absent { due, .. } => Some(due),
            Self::Spawning { .. } | Self::Running { .. } => None,
        }
    }

    pub(super) const fn is_absent(self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// The number of quick deaths in a row.
    #[must_use]
    pub const fn quick_deaths(self) -> u32 {
        match self {
            Self::Absent { quick_deaths, .. }
            | Self::Spawning { quick_deaths }
            | Self::Running { quick_deaths, .. } => quick_deaths,
        }
    }

    /// Absent after a quick death or a failed start: delays of 1, 2, 4, 5, 5 ... seconds.
    fn delayed(self, now: Instant) -> Self {
        let quick_deaths = self.quick_deaths();
        let delay = (QUICK_DEATH * (1 << quick_deaths.min(3))).min(MAX_RESTART_DELAY);
        Self::Absent { due: now + delay, quick_deaths: quick_deaths.saturating_add(1) }
    }

    fn after_exit(self, how: Ended, now: Instant) -> Self {
        match (self, how) {
            (_, Ended::Exited(0)) => {
                Self::Absent { due: now + EXIT_RESTART_DELAY, quick_deaths: 0 }
            }
            // Its directory has another name by now, or none. At once only the first time, in case this
            // supervise alone does not find the name.
            (_, Ended::Exited(NAME_GONE)) if self.quick_deaths() == 0 => {
                Self::Absent { due: now, quick_deaths: 1 }
            }
            (Self::Running { since, .. }, _) if since + QUICK_DEATH <= now => {
                Self::Absent { due: now, quick_deaths: 0 }
            }
            _ => self.delayed(now),
        }
    }
}

/// A change of one supervise process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// The requested process runs.
    Spawned(Pid),
    /// The requested process could not be started.
    SpawnFailed,
    /// The requested process was not started, and may start at once.
    NotSpawned,
    /// The process has ended.
    Ended(Ended),
}

/// The supervise of a service and that of its logger.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessPair {
    pub(super) main: SuperviseProcess,
    pub(super) log: SuperviseProcess,
}

impl ProcessPair {
    pub(super) const NEW: Self = Self { main: SuperviseProcess::NEW, log: SuperviseProcess::NEW };

    pub(super) const fn get(&self, role: SuperviseRole) -> SuperviseProcess {
        match role {
            SuperviseRole::Main => self.main,
            SuperviseRole::Log => self.log,
        }
    }

    const fn get_mut(&mut self, role: SuperviseRole) -> &mut SuperviseProcess {
        match role {
            SuperviseRole::Main => &mut self.main,
            SuperviseRole::Log => &mut self.log,
        }
    }

    pub(super) const fn are_absent(&self) -> bool {
        self.main.is_absent() && self.log.is_absent()
    }

    /// Records a change of one process.
    pub(super) fn note(&mut self, role: SuperviseRole, event: ProcessEvent, now: Instant) {
        let process = self.get_mut(role);
        *process = match event {
            ProcessEvent::Spawned(pid) => {
                SuperviseProcess::Running { pid, since: now, quick_deaths: process.quick_deaths() }
            }
            ProcessEvent::SpawnFailed => process.delayed(now),
            ProcessEvent::NotSpawned => {
                SuperviseProcess::Absent { due: now, quick_deaths: process.quick_deaths() }
            }
            ProcessEvent::Ended(how) => process.after_exit(how, now),
        };
    }

    /// Marks a process as spawning, if it is absent and due; whether it is to be started now.
    pub(super) fn begin_start(&mut self, role: SuperviseRole, now: Instant) -> bool {
        let process = self.get_mut(role);
        let begins = process.due().is_some_and(|due| due <= now);
        if begins {
            *process = SuperviseProcess::Spawning { quick_deaths: process.quick_deaths() };
        }
        begins
    }

    /// Delays the next start of an absent process by the longest restart delay.
    pub(super) fn delay_starts(&mut self, now: Instant) {
        for process in [&mut self.main, &mut self.log] {
            if let SuperviseProcess::Absent { due, .. } = process {
                *due = now + MAX_RESTART_DELAY;
            }
        }
    }
}
