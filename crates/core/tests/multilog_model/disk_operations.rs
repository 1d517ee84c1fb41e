//! The operations on the files of an output directory, on the model of a disk.

use super::Fault;
use super::disk::{Byte, Disk};
use daemontools_core::multilog::batch_mark::BatchMark;
use daemontools_core::multilog::file_name::{Code, FileInfo, FileName, OldFileName};
use daemontools_core::multilog::file_operations::{FailedOperation, FileOperations, Operation};
use daemontools_core::multilog::retention::{Retention, Selection};
use daemontools_core::time::tai::Tai64n;

/// Longest write: short writes are normal.
const MAX_WRITE: usize = 700;

impl FileOperations for Disk {
    type Error = Fault;

    fn stat(&mut self, file: FileName) -> Result<Option<FileInfo>, Fault> {
        self.operation()?;
        Ok(self.find(file).map(|n| FileInfo {
            complete: self.is_complete(n),
            links: self.journal().names.values().filter(|other| **other == n).count() as u64,
            size: self.files[n].data.len() as u64,
            file_id: n as u64 + 1,
            modified: 0,
        }))
    }

    fn open_current(&mut self) -> Result<u64, Fault> {
        self.operation()?;
        let current = self.create(FileName::Current);
        self.current = Some(current);
        Ok(current as u64 + 1)
    }

    fn current_ends_line(&mut self) -> Result<bool, Fault> {
        self.operation()?;
        let current = self.find(FileName::Current).expect("current exists");
        Ok(self.files[current].data.last().is_some_and(|byte| byte.value == b'\n'))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.operation()?;
        let n = bytes.len().min(MAX_WRITE);
        let current = self.current.expect("current is open");
        let numbered = bytes[..n].iter().zip(self.written.len()..);
        let data = numbered.map(|(&value, number)| Byte { number, value });
        self.files[current].data.extend(data);
        self.written.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn sync_current(&mut self) -> Result<(), Fault> {
        self.operation()?;
        let current = self.current.expect("current is open");
        self.sync(current);
        if self.names_follow_files {
            self.promise();
        }
        Ok(())
    }

    fn sync_names(&mut self) -> Result<(), Fault> {
        self.operation()?;
        self.sync_directory();
        self.promise();
        Ok(())
    }

    fn set_mode_of_current(&mut self, complete: bool) -> Result<(), Fault> {
        self.operation()?;
        let current = self.current.expect("current is open");
        self.set_mode(current, complete);
        Ok(())
    }

    fn complete_previous(&mut self) -> Result<bool, Fault> {
        self.operation()?;
        let previous = self.find(FileName::Previous).expect("previous exists");
        self.set_mode(previous, true);
        Ok(true)
    }

    fn rename(&mut self, from: FileName, to: FileName) -> Result<bool, Fault> {
        self.operation()?;
        self.change(|journal| {
            let file = journal.names.remove(from.as_str().as_bytes()).expect("the file exists");
            let replaced = journal.names.insert(to.as_str().into(), file);
            assert!(to == FileName::State || replaced.is_none(), "{to:?} was overwritten");
        });
        Ok(true)
    }

    fn report_missing(&mut self, file: FileName) {
        panic!("{file:?} is missing");
    }

    fn link(&mut self, file: FileName, name: &OldFileName) -> Result<(), Fault> {
        self.operation()?;
        let n = self.find(file).expect("the file exists");
        let on_disk = self.files[n].synced == self.files[n].data;
        assert!(on_disk || name.code == Code::Unfinished, "a safe {file:?} is not on disk");
        self.change(|journal| {
            assert_eq!(journal.names.insert(name.text(b"s"), n), None, "the name is new");
        });
        Ok(())
    }

    fn remove(&mut self, file: FileName) -> Result<(), Fault> {
        self.operation()?;
        self.unlink(file.as_str().as_bytes());
        Ok(())
    }

    fn truncate(&mut self, file: FileName) -> Result<(), Fault> {
        self.operation()?;
        let n = self.create(file);
        self.files[n].data.clear();
        Ok(())
    }

    fn make_durable(
        &mut self,
        file: FileName,
        complete: bool,
    ) -> Result<(), FailedOperation<Fault>> {
        // Three operations; the logger may die before each of them.
        self.operation().map_err(Operation::Create(file).failed())?;
        let n = self.create(file);
        self.operation().map_err(Operation::Sync(file).failed())?;
        self.sync(n);
        if complete {
            self.operation().map_err(Operation::Mode(file).failed())?;
            self.set_mode(n, true);
        }
        Ok(())
    }

    fn latest_old_file(&mut self) -> Result<Option<Tai64n>, Fault> {
        self.operation()?;
        Ok(self.journal().names.keys().filter_map(|name| Tai64n::from_label(name)).max())
    }

    fn prune(&mut self, retention: &Retention) -> Result<(), Fault> {
        self.operation()?;
        let newest = retention.newest.map(|name| name.text(b"s"));
        let mut selection = Selection::new(retention, newest.as_deref());
        while !selection.is_complete() {
            let names = self.journal().names.clone();
            for (name, &n) in &names {
                selection.add(name, || self.files[n].data.len() as u64);
            }
            selection.end_pass().iter().for_each(|name| self.unlink(name));
        }
        Ok(())
    }

    fn write_mark(&mut self, mark: &BatchMark, held: Option<&[u8]>) -> Result<(), Fault> {
        self.operation()?;
        let mut bytes = [&mark.to_bytes()[..], held.unwrap_or_default()].concat();
        if let Some(rest) = self.marks.last().and_then(|before| before.get(bytes.len()..)) {
            bytes.extend_from_slice(rest);
        }
        self.marks.push(bytes);
        Ok(())
    }

    fn read_mark(&mut self) -> Result<Option<(BatchMark, Vec<u8>)>, Fault> {
        self.operation()?;
        let mark = self.marks.last().and_then(|bytes| BatchMark::from_bytes(bytes));
        Ok(mark.map(|(mark, held)| (mark, held.to_vec())))
    }

    fn start_processor(&mut self) -> Result<(), Fault> {
        self.operation()?;
        self.processing = true;
        Ok(())
    }
}
