//! The files `process` and `status` of a state directory.

use super::state::{Kernel, trace};
use super::tables::{Part, Program, number};
use core::ops::Range;
use daemontools_core::state_dir::process_record::{self, DirectoryId, Place, RecordFile};
use daemontools_core::state_dir::status;
use daemontools_core::supervise::Script;

impl Kernel {
    /// The boot, the PID namespace and the directory that a record names.
    pub(crate) const fn place(dir: usize) -> Place {
        let directory = DirectoryId { device: (8, 1), inode: 1000 + dir as u64, born: 77 };
        let boot = *b"6c9670b8-664d-44a1-bfc1-84a24eb4494f";
        Place { boot, namespace: 4_026_531_836, init: 1, directory }
    }

    /// Reads the process record.
    pub(crate) fn read_record(&self, dir: usize) -> RecordFile {
        // The open has created the file.
        match &self.dirs[dir].record {
            Some(text) => RecordFile::classify(text, &Self::place(dir)),
            None => RecordFile::Absent,
        }
    }

    /// The supervise that dies was the original's: it leaves no process record, and its status names
    /// the service. A known limit: the original's service cannot be told before that status.
    pub(crate) fn forget_record(&mut self, dir: usize) {
        let RecordFile::Valid(record) = self.read_record(dir) else { return };
        let starting =
            self.find(|program| matches!(program, Program::NewService { dir: d } if d == dir));
        let Some(status) = self.status(dir).filter(|_| starting.is_none() && !record.leaving)
        else {
            return;
        };
        let named = record.process.filter(|process| {
            let (clock, since_boot) = (self.clock().label, self.since_boot());
            status.names(process.pid)
                && self.identify(number(process.pid)) == Some(*process)
                && process.was_started_at(status.since, clock, since_boot)
        });
        if named.is_some() {
            trace!(self, "{dir} has no process record, as of the original");
            self.dirs[dir].record = None;
            self.stats.records_forgotten += 1;
        }
    }

    /// Overwrites a part of the process record.
    pub(crate) fn write_record(&mut self, dir: usize, content: Part, part: Range<usize>) {
        let Part { leaving, process, end } = content;
        let (place, script) = (Self::place(dir), Script::Run);
        let record = process_record::Record { place, leaving, process, script, end };
        let whole = part == (0..process_record::LEN);
        let old = &mut self.dirs[dir].record;
        assert!(whole || old.is_some(), "a part of nothing");
        let old = old.get_or_insert([0; process_record::LEN]);
        old[part.clone()].copy_from_slice(&record.to_text()[part]);
    }

    /// Reads the status.
    pub(crate) fn status(&self, dir: usize) -> Option<status::StatusRecord> {
        status::StatusRecord::from_bytes(self.dirs[dir].status.as_ref()?)
    }
}
