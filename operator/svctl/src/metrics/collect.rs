//! Reads the facts of a scan directory: one pass over the services, and one over /proc.

use super::facts::{LogFacts, ScanFacts, ServiceFacts, SupervisedFacts, Supervision};
use crate::selection::Target;
use crate::view::{Found, View};
use servicedir::{EntryKind, Phase, Process, ProcessTable, ScanDir, ServiceDir, Snapshot};
use std::fs;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;

/// The most threads that read the files of services.
const MOST_THREADS: usize = 4;

/// So many services are worth a thread of their own.
const SERVICES_PER_THREAD: usize = 100;

/// The most files of a log directory that are looked at: the user of a logger decides how many there are.
const MOST_LOG_FILES: usize = 4096;

/// Which facts are read beyond the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    All,
    /// The states only.
    States,
}

/// Reads the facts of these services of a scan directory.
///
/// Nothing is fatal: a service that this user may not look at is [`Supervision::Unknown`].
#[must_use]
pub(crate) fn collect(scan: &ScanDir, targets: &[Target], scope: Scope) -> ScanFacts {
    let is_wanted = |target: &&Target| target.kind != EntryKind::NotADirectory;
    let targets: Vec<&Target> = targets.iter().filter(is_wanted).collect();
    let scanner = scan.svscan().ok().flatten();
    let pids = if scope == Scope::All { pids_of_services(scanner) } else { Vec::new() };
    let (mut services, processes) = in_threads(&targets, &pids, scope);
    let table: ProcessTable = processes.into_iter().collect();
    for service in &mut services {
        if let Supervision::Supervised(facts) = &mut service.supervision {
            let pid = facts.pid.filter(|pid| table.get(pid.get()).is_some());
            facts.usage = pid.map(|pid| table.usage(pid.get()));
        }
    }
    ScanFacts { scanner_up: scanner.is_some(), services }
}

/// The processes that can belong to services: all but the supervisors, which are half of them.
fn pids_of_services(scanner: Option<NonZeroU32>) -> Vec<u32> {
    let mut pids = ProcessTable::pids().unwrap_or_default();
    let supervisors = scanner.map(|pid| Process::child_ids(pid.get())).unwrap_or_default();
    pids.retain(|pid| supervisors.binary_search(pid).is_err());
    pids
}

/// Reads services and processes, each thread an equal part of both.
fn in_threads(
    targets: &[&Target],
    pids: &[u32],
    scope: Scope,
) -> (Vec<ServiceFacts>, Vec<Process>) {
    let most = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let count = targets.len().div_ceil(SERVICES_PER_THREAD).clamp(1, most);
    let part = |all: usize| all.div_ceil(count).max(1);
    let mut targets = targets.chunks(part(targets.len()));
    let mut pids = pids.chunks(part(pids.len()));
    let read = |targets: &[&Target], pids: &[u32]| {
        let services: Vec<_> = targets.iter().map(|target| facts_of(target, scope)).collect();
        (services, pids.iter().filter_map(|pid| Process::read(*pid)).collect::<Vec<_>>())
    };
    let mut next = || (targets.next().unwrap_or_default(), pids.next().unwrap_or_default());
    thread::scope(|threads| {
        let (own_targets, own_pids) = next();
        let others: Vec<_> = (1..count)
            .map(|_| {
                let (targets, pids) = next();
                threads.spawn(move || read(targets, pids))
            })
            .collect();
        let (mut services, mut processes) = read(own_targets, own_pids);
        for other in others {
            let (more_services, more_processes) = other.join().unwrap_or_default();
            services.extend(more_services);
            processes.extend(more_processes);
        }
        (services, processes)
    })
}

fn facts_of(target: &Target, scope: Scope) -> ServiceFacts {
    let supervision = match View::read(target).found {
        Found::Supervised(snapshot) => {
            Supervision::Supervised(Box::new(supervised(&target.dir, &snapshot, scope)))
        }
        Found::Starting | Found::Unsupervised(_) => Supervision::Unsupervised,
        Found::Unknown(_) => Supervision::Unknown,
    };
    ServiceFacts { name: target.name.as_bytes().to_vec(), supervision }
}

fn supervised(dir: &ServiceDir, snapshot: &Snapshot, scope: Scope) -> SupervisedFacts {
    let Snapshot { status, detail, .. } = snapshot;
    let detail = detail.as_ref();
    let is_all = scope == Scope::All;
    SupervisedFacts {
        state: snapshot.state,
        pid: status.pid,
        since: status.since,
        want: status.want,
        paused: status.paused,
        is_ready: snapshot.is_ready,
        is_finishing: detail.is_some_and(|detail| detail.phase == Phase::Finishing),
        failures: detail.map_or(0, |detail| detail.failures),
        next_start: detail.and_then(|detail| detail.next),
        last_end: snapshot.last_end,
        counters: if is_all { dir.counters().unwrap_or_default() } else { None },
        usage: None,
        log: if is_all { log_of(dir) } else { None },
    }
}

/// The log directories of a service; `None` without one.
fn log_of(dir: &ServiceDir) -> Option<LogFacts> {
    let mut log: Option<LogFacts> = None;
    for dir in dir.log_dirs().unwrap_or_default() {
        let log = log.get_or_insert(LogFacts { bytes: 0, last_write: None });
        add_directory(log, &dir);
    }
    log
}

/// Adds the sizes of the log files in a directory, and the time of its `current`.
fn add_directory(log: &mut LogFacts, dir: &Path) {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().take(MOST_LOG_FILES);
    for file in files {
        let name = file.file_name();
        let is_current = name == "current";
        if !is_current && name != "previous" && !name.as_bytes().starts_with(b"@") {
            continue;
        }
        let Ok(found) = file.metadata() else { continue };
        log.bytes = log.bytes.saturating_add(found.len());
        if is_current {
            log.last_write = log.last_write.max(found.modified().ok());
        }
    }
}
