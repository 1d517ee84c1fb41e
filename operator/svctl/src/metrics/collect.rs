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

/// The most threads that read files of services and of processes.
const MOST_THREADS: usize = 4;

/// So many services or processes are worth a thread of their own.
const ITEMS_PER_THREAD: usize = 100;

/// The services whose parents are looked at for svscan.
const MOST_PARENTS: usize = 8;

/// The most files of a log directory that are looked at: the user of a logger decides how many there are.
const MOST_LOG_FILES: usize = 4096;

/// Which facts are read beyond the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    All,
    /// The states of the services only.
    States,
}

/// Reads the facts of these services of a scan directory.
///
/// Nothing is fatal: a service that this user may not look at is [`Supervision::Unknown`].
#[must_use]
pub(crate) fn collect(scan: &ScanDir, targets: &[Target], scope: Scope) -> ScanFacts {
    let is_wanted = |target: &&Target| target.kind != EntryKind::NotADirectory;
    let targets: Vec<&Target> = targets.iter().filter(is_wanted).collect();
    let mut services = in_parts(&targets, |target| Some(facts_of(target, scope)));
    if scope == Scope::States {
        return ScanFacts { scanner_up: false, services };
    }
    let supervised = services.iter().filter_map(ServiceFacts::supervised);
    let services_pids = supervised.filter_map(|facts| facts.pid);
    let scanner = scanner_of(scan, services_pids).or_else(|| scan.svscan().ok().flatten());
    let pids = pids_of_services(scanner);
    let table: ProcessTable = in_parts(&pids, |pid| Process::read(*pid)).into_iter().collect();
    for service in &mut services {
        if let Supervision::Supervised(facts) = &mut service.supervision {
            let pid = facts.pid.filter(|pid| table.get(pid.get()).is_some());
            facts.usage = pid.map(|pid| table.usage(pid.get()));
        }
    }
    ScanFacts { scanner_up: scanner.is_some(), services }
}

/// The svscan whose supervise is the parent of one of these services. An adopted service has another
/// parent. `None` if this user may not see where the process stands.
fn scanner_of(scan: &ScanDir, services: impl Iterator<Item = NonZeroU32>) -> Option<NonZeroU32> {
    let scanner = |pid: NonZeroU32| {
        let supervise = Process::read(pid.get())?.parent;
        let parent = Process::read(Process::read(supervise)?.parent)?;
        scan.is_svscan(&parent).then(|| NonZeroU32::new(parent.pid))?
    };
    services.take(MOST_PARENTS).find_map(scanner)
}

/// The processes that can belong to services: all but the supervisors, which are half of them.
fn pids_of_services(scanner: Option<NonZeroU32>) -> Vec<u32> {
    let mut pids = ProcessTable::pids().unwrap_or_default();
    let supervisors = scanner.map(|pid| Process::child_ids(pid.get())).unwrap_or_default();
    pids.retain(|pid| supervisors.binary_search(pid).is_err());
    pids
}

/// Reads all items, in several threads if there are many. The results have the order of the items.
fn in_parts<T: Sync, R: Send>(items: &[T], read: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let most = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let count = items.len().div_ceil(ITEMS_PER_THREAD).clamp(1, most);
    let mut parts = items.chunks(items.len().div_ceil(count).max(1));
    let read_all = |part: &[T]| part.iter().filter_map(&read).collect::<Vec<_>>();
    thread::scope(|threads| {
        let own = parts.next().unwrap_or_default();
        let others: Vec<_> = parts.map(|part| threads.spawn(|| read_all(part))).collect();
        let mut all = read_all(own);
        for other in others {
            all.extend(other.join().unwrap_or_default());
        }
        all
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
