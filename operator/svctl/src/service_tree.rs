//! The services of a scan directory for a program that stays: what is known of each, and what changes.

use crate::feed::{Event, Feed};
use crate::selection::{Target, all, select};
use crate::view::{Found, View};
use daemontools_core::sorting::sort;
use servicedir::{EntryKind, ScanDir, ServiceDir};
use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The service directory of a name in a scan directory; `None` if there is no such name.
#[must_use]
pub fn service_dir(scan: &Path, name: &OsStr) -> Option<ServiceDir> {
    find_target(&ScanDir::new(scan), name).map(|target| target.dir)
}

/// The service of a name. Unlike the words of a command line, a name is no pattern and no path.
pub(crate) fn find_target(scan: &ScanDir, name: &OsStr) -> Option<Target> {
    let bytes = name.as_bytes();
    let is_name = !bytes.is_empty() && !bytes.starts_with(b".") && !bytes.contains(&b'/');
    if !is_name || bytes.contains(&0) {
        return None;
    }
    if bytes.iter().any(|byte| b"*?[".contains(byte)) {
        return all(scan).ok()?.into_iter().find(|target| target.name == name);
    }
    select(scan, &[name.to_owned()]).ok()?.pop()
}

/// The most directories that are watched because a log may begin there. A script can name many paths.
const MOST_CANDIDATES: usize = 64;

/// How often to look for log directories at once: one can come between a look and its watch.
const MOST_LOOKS: usize = 3;

/// What has changed in a [`ServiceTree`].
#[derive(Clone, Debug)]
pub enum TreeChange {
    /// A service is new, or differs from what was known.
    Service(View),
    /// This name has gone from the scan directory.
    Removed(OsString),
    /// The log of this service has more lines.
    Log(OsString),
}

/// A service, and whether it was read.
#[derive(Debug)]
struct KnownService {
    view: View,
    is_read: bool,
}

/// The services of a scan directory, through one inotify descriptor.
#[derive(Debug)]
pub struct ServiceTree {
    scan: ScanDir,
    feed: Feed,
    /// In the order of their names.
    services: Vec<KnownService>,
    /// The services whose logs are followed, by the number of their watches.
    logs: Vec<OsString>,
    /// Those of them whose logger has not begun.
    without_log_dir: BTreeSet<usize>,
}

impl ServiceTree {
    /// Reads and watches all services.
    ///
    /// # Errors
    /// Why the directory cannot be read or watched.
    pub fn open(scan: &Path) -> Result<Self, String> {
        let feed = Feed::new(scan).map_err(|error| {
            let path = crate::escape::escape(&scan.to_string_lossy());
            format!("unable to watch {path}: {}", crate::failure::reason(&error))
        })?;
        let scan = ScanDir::new(scan);
        let (services, logs) = (Vec::new(), Vec::new());
        let mut tree = Self { scan, feed, services, logs, without_log_dir: BTreeSet::new() };
        tree.read_names(&mut Vec::new())?;
        Ok(tree)
    }

    /// What is known of the services, in the order of their names.
    pub fn services(&self) -> impl Iterator<Item = &View> {
        self.services.iter().map(|service| &service.view)
    }

    /// Whether the kernel has refused a watch (fs.inotify.max_user_watches): changes are missing then.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.feed.is_full()
    }

    /// Follows the logs of these services in place of those before.
    pub fn follow_logs(&mut self, names: &BTreeSet<OsString>) {
        self.logs = names.iter().cloned().collect();
        self.watch_logs();
    }

    /// Looks again for the log directories that were not there.
    pub fn find_missing_logs(&mut self) {
        if !self.without_log_dir.is_empty() {
            self.watch_logs();
        }
    }

    /// Watches the log directories of the services that are followed. Where there is none yet, watches
    /// the directories that it may become, and those of the logger: their next change may show it.
    fn watch_logs(&mut self) {
        for _ in 0..MOST_LOOKS {
            self.without_log_dir.clear();
            let mut dirs: Vec<(usize, PathBuf)> = Vec::new();
            for (number, name) in self.logs.iter().enumerate() {
                let Some(target) = find_target(&self.scan, name) else { continue };
                let mut found = target.dir.log_dirs().unwrap_or_default();
                if found.is_empty() {
                    let logger = target.dir.path().join("log");
                    found = target.dir.log_dir_candidates().unwrap_or_default();
                    found.truncate(MOST_CANDIDATES);
                    found.extend([logger.join("supervise"), logger]);
                    self.without_log_dir.insert(number);
                }
                dirs.extend(found.into_iter().map(|dir| (number, dir)));
            }
            self.feed.watch_logs(&dirs);
            // A directory may have come before the watch.
            let has_come = |number: &usize| {
                let target = self.logs.get(*number).and_then(|name| find_target(&self.scan, name));
                target.is_some_and(|it| it.dir.log_dirs().is_ok_and(|dirs| !dirs.is_empty()))
            };
            if !self.without_log_dir.iter().any(has_come) {
                return;
            }
        }
    }

    /// Reads what the descriptor reports. It never waits.
    ///
    /// # Errors
    /// Why the directory cannot be read any more.
    pub fn take_changes(&mut self) -> Result<Vec<TreeChange>, String> {
        let mut changes = Vec::new();
        let (mut has_names, mut has_logger_changed) = (false, false);
        let mut unread = BTreeSet::new();
        for event in self.feed.read() {
            match event {
                Event::Name(name) => {
                    // It may be another directory now.
                    if let Ok(at) = self.find(&name) {
                        self.feed.forget(at);
                        unread.insert(at);
                    }
                    has_names = true;
                }
                Event::Service(at) => {
                    unread.insert(at);
                }
                Event::Log(number) => {
                    has_logger_changed |= self.without_log_dir.contains(&number);
                    let name = self.logs.get(number);
                    changes.extend(name.cloned().map(TreeChange::Log));
                }
                Event::Lost => {
                    unread.extend(0..self.services.len());
                    has_names = true;
                }
            }
        }
        if has_logger_changed {
            // Before the clients read the log, so that no line comes between.
            self.watch_logs();
        }
        for at in unread {
            changes.extend(self.read(at).map(TreeChange::Service));
        }
        if has_names {
            self.read_names(&mut changes)?;
        }
        Ok(changes)
    }

    /// Reads what the kernel reports no change of: names that lead nowhere, and services that it does not
    /// watch.
    ///
    /// # Errors
    /// Why the directory cannot be read any more.
    pub(crate) fn read_unwatched(&mut self) -> Result<Vec<TreeChange>, String> {
        let mut changes = Vec::new();
        let is_known = |it: &KnownService| {
            matches!(it.view.target.kind, EntryKind::Service | EntryKind::NotADirectory)
        };
        if !self.services.iter().all(is_known) {
            self.read_names(&mut changes)?;
        }
        for at in 0..self.services.len() {
            if !self.feed.is_watched(at) {
                changes.extend(self.read(at).map(TreeChange::Service));
            }
        }
        Ok(changes)
    }

    fn find(&self, name: &OsStr) -> Result<usize, usize> {
        self.services.binary_search_by(|it| it.view.target.name.as_os_str().cmp(name))
    }

    /// Reads which services there are, and those that are new.
    fn read_names(&mut self, changes: &mut Vec<TreeChange>) -> Result<(), String> {
        // The watch comes before the look, so that no change is missed.
        let watched = self.feed.watch_names(self.scan.path());
        let targets = all(&self.scan).map_err(|failure| failure.message)?;
        watched.map_err(|error| format!("unable to watch the scan directory: {error}"))?;
        let before = std::mem::take(&mut self.services);
        let mut known: HashMap<OsString, (usize, KnownService)> = before
            .into_iter()
            .enumerate()
            .map(|(at, it)| (it.view.target.name.clone(), (at, it)))
            .collect();
        let mut places = Vec::with_capacity(targets.len());
        for target in targets {
            let before = known.remove(&target.name);
            let before = before.filter(|(_, it)| it.view.target.kind == target.kind);
            places.push(before.as_ref().map(|(at, _)| *at));
            self.services.push(before.map_or_else(
                || {
                    let found = Found::Unknown("not read yet".to_owned());
                    KnownService { view: View { target, found }, is_read: false }
                },
                |(_, service)| service,
            ));
        }
        self.feed.rearrange(&places);
        let mut gone: Vec<OsString> = known.into_keys().collect();
        sort(&mut gone);
        changes.extend(gone.into_iter().map(TreeChange::Removed));
        for at in 0..self.services.len() {
            if self.services.get(at).is_some_and(|service| !service.is_read) {
                changes.extend(self.read(at).map(TreeChange::Service));
            }
        }
        Ok(())
    }

    /// Reads and watches a service. Returns it if it differs from what was known.
    fn read(&mut self, at: usize) -> Option<View> {
        let service = self.services.get_mut(at)?;
        let target = service.view.target.clone();
        let before = service.is_read.then_some(&service.view.found);
        let found = self.feed.read_service(at, &target, before);
        let is_new = !std::mem::replace(&mut service.is_read, true);
        if !is_new && service.view.found == found {
            return None;
        }
        service.view.found = found;
        Some(service.view.clone())
    }
}

impl AsFd for ServiceTree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.feed.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::{Signal, Tree, process, wait_until};
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    #[test]
    fn an_end_that_follows_the_status_is_a_change() {
        let tree = Tree::new();
        tree.idle_service("s/a");
        let supervise = tree.supervise("s/a");
        process::signal(tree.wait_up("s/a"), Signal::KILL);
        wait_until("the service runs again", harness::DEADLINE, || {
            tree.text("s/a/supervise/process").contains("signal 9") && tree.status("s/a").is_some()
        });
        let mut services = ServiceTree::open(&tree.path("s")).unwrap();
        wait_until("no change", harness::DEADLINE, || services.take_changes().unwrap().is_empty());
        let text = tree.text("s/a/supervise/process");
        let at = text.find("signal 9").unwrap() as u64;
        let record = File::options().write(true).open(tree.path("s/a/supervise/process")).unwrap();
        record.write_all_at(b"signal 5", at).unwrap();
        let changes = services.take_changes().unwrap();
        assert!(matches!(changes.as_slice(), [TreeChange::Service(_)]), "{changes:?}");
        drop(supervise);
    }
}
