//! The world outside of processes: services, links, faults, the handover of svscan.

use super::tables::{Open, SERVICES};
use daemontools_core::Pid;

/// A measure of the programs against a race. Without it, schedules fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// A supervise started by svscan keeps the lock of the scan directory until other processes can
    /// find it. So the next svscan starts after that, and finds every supervise.
    StartUpLock,
    /// If a new supervise has the process id of an adopted one, svscan first reports the end of the
    /// adopted one to the roster.
    PidReuse,
    /// If svscan looks for a pipe, and a process between fork and exec has no record yet, svscan tries
    /// again a second later. It looks again at once if the processes that it found have died.
    LookAgain,
    /// svscan upgrades only after all services that it is stopping have stopped.
    UpgradeAtRest,
    /// svscan passes its children to its next program image, which could not find them otherwise.
    HandoverChildren,
    /// A supervise writes the process record before it upgrades.
    RecordBeforeUpgrade,
    /// After an upgrade, svscan reaps before its first wait.
    ReapAfterUpgrade,
}

impl Protection {
    /// All protections.
    pub const ALL: [Self; 7] = [
        Self::StartUpLock,
        Self::PidReuse,
        Self::LookAgain,
        Self::UpgradeAtRest,
        Self::HandoverChildren,
        Self::RecordBeforeUpgrade,
        Self::ReapAfterUpgrade,
    ];
}

/// The part of svscan's handover that concerns one service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handed {
    /// Both ends of the pipe, if there is a logger.
    pub(crate) pipe: Option<(Open, Open)>,
    /// The supervises of the service and of the logger.
    pub(crate) supervises: [Option<Pid>; 2],
}

/// The world outside of processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// The protection that the programs leave out.
    pub(crate) without: Option<Protection>,
    /// init runs svscan; otherwise it starts every supervise itself.
    pub(crate) scanned: bool,
    /// The number of services.
    pub(crate) services: usize,
    /// The service has a logger.
    pub(crate) logged: [bool; SERVICES],
    /// The scan directory has a link to the service.
    pub(crate) linked: [bool; SERVICES],
    /// The current svscan has seen the link, or has the service from a handover.
    pub(crate) known: [bool; SERVICES],
    /// The link was missing at some time, or svscan received TERM.
    pub(crate) had_to_stop: [bool; SERVICES],
    /// A known defect: a supervise was killed while the link was missing. The roster does not start
    /// it again to stop the service.
    pub(crate) left_running: [bool; SERVICES],
    /// The pending events of the watch: service, and whether its link appeared.
    pub(crate) changes: Vec<(usize, bool)>,
    /// svscan has a watch on the scan directory.
    pub(super) watched: bool,
    /// The lock of the scan directory, as in `StateDir`.
    pub(super) scan_lock: Option<(Open, usize)>,
    /// The handover of svscan at a live upgrade.
    pub(crate) handed: [Option<Handed>; SERVICES],
    /// Every fork fails.
    pub(crate) forks_fail: bool,
    /// The start of the calm: from now on no process is killed and every process obeys.
    pub(crate) calm: Option<u64>,
    /// The kernel reports how a process ended to one that is not its parent.
    pub(crate) reports_exits: bool,
}
