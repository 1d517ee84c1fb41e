//! What a scrape knows of a scan directory and its services.

use servicedir::{Counters, End, State, Usage, Want};
use std::num::NonZeroU32;
use std::time::SystemTime;

/// A scan directory at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScanFacts {
    /// Whether an svscan holds the scan directory; `None` if its processes cannot be seen.
    pub(crate) scanner_up: Option<bool>,
    /// The services, each with another name.
    pub(crate) services: Vec<ServiceFacts>,
}

/// A service at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServiceFacts {
    /// Its name: any bytes.
    pub(crate) name: Vec<u8>,
    pub(crate) supervision: Supervision,
}

/// What can be read of a service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Supervision {
    /// What its supervise publishes, and what was measured.
    Supervised(Box<SupervisedFacts>),
    /// No supervise runs, or it publishes nothing yet.
    Unsupervised,
    /// This user may not look, or the files are damaged.
    Unknown,
}

/// A supervised service at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SupervisedFacts {
    pub(crate) state: State,
    pub(crate) pid: Option<NonZeroU32>,
    /// The time of the last start or end.
    pub(crate) since: SystemTime,
    pub(crate) want: Want,
    pub(crate) paused: bool,
    /// Whether it is ready, or up if it does not report readiness.
    pub(crate) is_ready: bool,
    /// Its `finish` or `stop` script runs.
    pub(crate) is_finishing: bool,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) next_start: Option<SystemTime>,
    pub(crate) last_end: Option<End>,
    /// `None` if its supervise does not count.
    pub(crate) counters: Option<Counters>,
    /// What the process and its descendants use; `None` without a process.
    pub(crate) usage: Option<Usage>,
    /// The process of its logger.
    pub(crate) logger: Option<NonZeroU32>,
    /// `None` without a logger.
    pub(crate) log: Option<LogFacts>,
}

/// The log directories of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogFacts {
    /// The size of all log files.
    pub(crate) bytes: u64,
    /// The last write to `current`.
    pub(crate) last_write: Option<SystemTime>,
}

impl ServiceFacts {
    pub(crate) fn supervised(&self) -> Option<&SupervisedFacts> {
        match &self.supervision {
            Supervision::Supervised(facts) => Some(facts),
            Supervision::Unsupervised | Supervision::Unknown => None,
        }
    }
}

impl SupervisedFacts {
    /// Whether it is up. A service of encore may be up without a process.
    pub(crate) const fn is_up(&self) -> bool {
        self.pid.is_some() || matches!(self.state, State::Up | State::Ready)
    }
}
