//! Service processes whose supervise was killed: they have become our children.
//!
//! Before Linux 6.15 only the parent of a process learns how it ended. svscan writes that into the
//! process record, where the next supervise reads it.

use super::scan_dir::{ScanDir, ServiceDir};
use crate::survive::process_record;
use alloc::collections::BTreeMap;
use daemontools_core::{Ended, Pid};

/// The orphans, each with the directory of its process record.
pub(super) struct Orphans(BTreeMap<Pid, ServiceDir>);

impl Orphans {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Notes the service process of a killed supervise.
    pub(super) fn add(&mut self, scan_dir: &ScanDir, dir: ServiceDir) {
        if let Some(orphan) = scan_dir.in_state_dir(&dir, process_record::recorded) {
            self.0.insert(orphan, dir);
        }
    }

    /// Records how an orphan has ended. Other processes change nothing.
    pub(super) fn record_end(&mut self, scan_dir: &ScanDir, pid: Pid, how: Ended) {
        if let Some(dir) = self.0.remove(&pid) {
            scan_dir.in_state_dir(&dir, |state| process_record::note_end(state, pid, how));
        }
    }
}
