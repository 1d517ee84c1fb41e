//! The metrics of a scan directory for a program that is scraped again and again.

use super::collect::{add_usage, counters_of, facts_of};
use super::exposition::Form;
use super::facts::{ScanFacts, Supervision};
use super::log_sizes::LogSizes;
use super::log_watches::LogWatches;
use super::process_usage::Processes;
use super::render::render;
use crate::service_tree::{ServiceTree, TreeChange};
use crate::view::View;
use servicedir::{EntryKind, ScanDir, ServiceDir};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long facts count without an event. Then everything is read again, in case something happened
/// without one: a directory above a service directory can be replaced.
const LONGEST: Duration = Duration::from_secs(600);

/// A scan directory whose metrics are wanted again and again.
///
/// It remembers what it has read. The kernel notes what changes meanwhile (inotify), and a scrape reads
/// that first, so that nothing is done between scrapes.
#[derive(Debug)]
pub struct Scraper {
    scan: ScanDir,
    memory: Option<Memory>,
}

/// What is remembered of a scan directory.
#[derive(Debug)]
struct Memory {
    tree: ServiceTree,
    begin: Instant,
    /// Device and inode of the directory.
    id: (u64, u64),
    /// The services in the order of their names.
    facts: ScanFacts,
    /// For each of them, what is read at each scrape.
    logs: Vec<(ServiceDir, LogSizes)>,
    watches: LogWatches,
    processes: Processes,
}

impl Scraper {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(scan: &Path) -> Self {
        Self { scan: ScanDir::new(scan), memory: None }
    }

    /// Reads the metrics of all services.
    ///
    /// # Errors
    /// Why the directory cannot be read.
    pub fn scrape(&mut self, form: Form) -> Result<String, String> {
        // Another directory can have the path by now.
        let id = fs::metadata(self.scan.path()).map(|it| (it.dev(), it.ino())).ok();
        let known = self.memory.take();
        let known = known.filter(|it| Some(it.id) == id && it.begin.elapsed() < LONGEST);
        let memory = match known {
            Some(mut memory) => {
                memory.take_changes()?;
                memory
            }
            None => Memory::open(self.scan.path(), id.unwrap_or_default())?,
        };
        let memory = self.memory.insert(memory);
        memory.measure(&self.scan);
        Ok(render(&memory.facts, form))
    }

    /// Forgets everything, and lets the kernel note nothing more.
    pub fn forget(&mut self) {
        self.memory = None;
    }
}

impl Memory {
    fn open(path: &Path, id: (u64, u64)) -> Result<Self, String> {
        let begin = Instant::now();
        let tree = ServiceTree::open(path)?;
        let views: Vec<View> = tree.services().cloned().collect();
        let (facts, logs, processes) = (ScanFacts::default(), Vec::new(), Processes::default());
        let watches = LogWatches::open();
        let mut memory = Self { tree, begin, id, facts, logs, watches, processes };
        views.iter().for_each(|view| memory.note(view));
        Ok(memory)
    }

    /// Reads what has changed since the last scrape.
    fn take_changes(&mut self) -> Result<(), String> {
        let mut changes = self.tree.take_changes()?;
        changes.extend(self.tree.read_unwatched()?);
        for change in changes {
            match change {
                TreeChange::Service(view) => self.note(&view),
                TreeChange::Removed(name) => self.remove(name.as_bytes()),
                TreeChange::Log(_) => {}
            }
        }
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.facts.services.binary_search_by(|service| service.name.as_slice().cmp(name))
    }

    fn remove(&mut self, name: &[u8]) {
        if let Ok(at) = self.find(name) {
            self.facts.services.remove(at);
            self.logs.remove(at).1.forget(&self.watches);
        }
    }

    /// Takes what is known of a service.
    fn note(&mut self, view: &View) {
        let target = &view.target;
        if target.kind == EntryKind::NotADirectory {
            return self.remove(target.name.as_bytes());
        }
        let mut facts = facts_of(view);
        if let Supervision::Supervised(facts) = &mut facts.supervision {
            // supervise writes the counters before the status.
            facts.counters = counters_of(&target.dir);
        }
        let log = (target.dir.clone(), LogSizes::default());
        match self.find(&facts.name) {
            Ok(at) => {
                if let (Some(old), Some(old_log)) =
                    (self.facts.services.get_mut(at), self.logs.get_mut(at))
                {
                    old_log.1.forget(&self.watches);
                    (*old, *old_log) = (facts, log);
                }
            }
            Err(at) => {
                self.facts.services.insert(at, facts);
                self.logs.insert(at, log);
            }
        }
    }

    /// Reads what changes without an event: processes and logs.
    fn measure(&mut self, scan: &ScanDir) {
        self.watches.read();
        for (service, (dir, log)) in self.facts.services.iter_mut().zip(&mut self.logs) {
            if let Supervision::Supervised(facts) = &mut service.supervision {
                facts.log = log.read(dir, &self.watches);
                facts.logger = log.logger();
            }
        }
        let dirs = self.logs.iter().map(|(dir, _)| dir);
        add_usage(scan, dirs, &mut self.facts, &mut self.processes);
    }
}
