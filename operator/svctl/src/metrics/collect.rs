//! Reads the facts of a scan directory: one pass over the services, and one over /proc.

use super::facts::{ScanFacts, ServiceFacts, SupervisedFacts, Supervision};
use super::in_parts::in_parts;
use super::log_sizes::LogSizes;
use super::log_watches::LogWatches;
use super::process_usage::Processes;
use crate::selection::Target;
use crate::view::{Found, View};
use servicedir::{
    Counters, EntryKind, Phase, Process, ProcessTable, ScanDir, ServiceDir, Snapshot,
};
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;

/// The parent of the threads of the kernel.
const KTHREADD: u32 = 2;

/// The services whose parents are looked at for svscan.
const MOST_PARENTS: usize = 8;

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
    let read = |target: &&Target| {
        let mut service = facts_of(&View::read(target));
        if let (Scope::All, Supervision::Supervised(facts)) = (scope, &mut service.supervision) {
            facts.counters = counters_of(&target.dir);
            let mut log = LogSizes::default();
            facts.log = log.read(&target.dir, &LogWatches::default());
            facts.logger = log.logger();
        }
        Some(service)
    };
    let mut facts = ScanFacts { scanner_up: None, services: in_parts(&targets, read) };
    if scope == Scope::All {
        let dirs = targets.iter().map(|target| &target.dir);
        add_usage(scan, dirs, &mut facts, &mut Processes::default());
    }
    facts
}

/// Looks for svscan, and adds what the processes of the services use.
pub(super) fn add_usage<'a>(
    scan: &ScanDir,
    dirs: impl Iterator<Item = &'a ServiceDir>,
    facts: &mut ScanFacts,
    processes: &mut Processes,
) {
    let supervised = || facts.services.iter().filter_map(ServiceFacts::supervised);
    let roots = || supervised().filter_map(|facts| facts.pid);
    let scanner = scanner_of(scan, roots()).or_else(|| scan.svscan().ok().flatten());
    // Without a process of a service no other process matters.
    let pids = roots().next().map(|_| {
        let loggers = supervised().filter_map(|facts| facts.logger).map(NonZeroU32::get);
        pids_of_services(scanner, loggers.collect())
    });
    processes.read(&pids.unwrap_or_default());
    let usage = processes.usage_of(roots());
    facts.scanner_up = match scanner {
        Some(_) => Some(true),
        None => (!ScanDir::are_supervisors_hidden(dirs)).then_some(false),
    };
    for service in &mut facts.services {
        if let Supervision::Supervised(facts) = &mut service.supervision {
            facts.usage = facts.pid.and_then(|pid| usage.get(&pid.get()).copied());
        }
    }
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

/// The processes that can belong to services. Most of the others have a parent that says so, or are
/// known as loggers.
fn pids_of_services(scanner: Option<NonZeroU32>, mut others: Vec<u32>) -> Vec<u32> {
    let kernel = Process::read(KTHREADD).filter(|it| it.name == "kthreadd" && it.parent == 0);
    let parents = [scanner.map(NonZeroU32::get), kernel.map(|it| it.pid)];
    others.extend(parents.into_iter().flatten().flat_map(Process::child_ids));
    others.sort_unstable();
    let mut pids = ProcessTable::pids().unwrap_or_default();
    pids.retain(|pid| others.binary_search(pid).is_err());
    pids
}

/// What a look at a service tells: all but its counters, its log and what its processes use.
pub(super) fn facts_of(view: &View) -> ServiceFacts {
    let supervision = match &view.found {
        Found::Supervised(snapshot) => Supervision::Supervised(Box::new(supervised(snapshot))),
        Found::Starting | Found::Unsupervised(_) => Supervision::Unsupervised,
        Found::Unknown(_) => Supervision::Unknown,
    };
    ServiceFacts { name: view.target.name.as_bytes().to_vec(), supervision }
}

/// The counters of a service, as far as this user may read them.
pub(super) fn counters_of(dir: &ServiceDir) -> Option<Counters> {
    dir.counters().unwrap_or_default()
}

fn supervised(snapshot: &Snapshot) -> SupervisedFacts {
    let Snapshot { status, detail, .. } = snapshot;
    let detail = detail.as_ref();
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
        counters: None,
        usage: None,
        logger: None,
        log: None,
    }
}
