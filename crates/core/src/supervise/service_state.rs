//! The states of a service.

use crate::Pid;
use crate::state_dir::Script;
use crate::time::Instant;

/// The state of a service. Each holds exactly what is known in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    // Idle: no process, and no answer is due.
    /// No process, and no start is planned.
    Down,
    /// No process, and only a command starts one: the service failed.
    Failed,
    /// encore: `start` succeeded and there is no `run`, so no process is needed.
    Started,
    /// No process until the next start is due.
    Waiting {
        /// The time of the start.
        due: Instant,
    },
    /// No process until a dependency or the first connection is there.
    Blocked,

    // Pending: the program answers at once.
    /// The program reads the service directory before a start.
    Preparing,
    /// The program forks a process for this script.
    Spawning(Script),

    // Running: there is a process.
    /// The service runs.
    Up {
        /// Its process, not yet reaped.
        pid: Pid,
        /// Whether `p` was the last command that stops or continues it.
        paused: bool,
    },
    /// A helper script runs in place of the service.
    RunningScript {
        /// The script.
        script: Script,
        /// Its process, not yet reaped.
        pid: Pid,
    },

    /// The service has ended, and its leftovers are being killed.
    Sweeping,
    /// The supervision has ended.
    Gone,
}

impl State {
    /// The process that is not yet reaped, if there is one.
    #[must_use]
    pub const fn pid(self) -> Option<Pid> {
        match self {
            Self::Up { pid, .. } | Self::RunningScript { pid, .. } => Some(pid),
            Self::Down
            | Self::Failed
            | Self::Started
            | Self::Waiting { .. }
            | Self::Blocked
            | Self::Preparing
            | Self::Spawning(_)
            | Self::Sweeping
            | Self::Gone => None,
        }
    }

    /// The script that runs or is being started: `run` in all states without one.
    #[must_use]
    pub const fn script(self) -> Script {
        match self {
            Self::RunningScript { script, .. } | Self::Spawning(script) => script,
            Self::Down
            | Self::Failed
            | Self::Started
            | Self::Waiting { .. }
            | Self::Blocked
            | Self::Preparing
            | Self::Up { .. }
            | Self::Sweeping
            | Self::Gone => Script::Run,
        }
    }
}
