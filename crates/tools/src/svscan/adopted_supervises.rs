//! Supervise processes that an earlier svscan started: they are not our children.

use alloc::collections::BTreeMap;
use daemontools_core::Pid;
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::pidfd::{ExitSet, Handle};
use daemontools_sys::{BorrowedFd, Result};

/// The adopted supervise processes that run. svscan waits for the ends of all by one descriptor.
pub(super) struct AdoptedSupervises {
    handles: BTreeMap<Pid, Handle>,
    /// Present from the first adoption until no process is left.
    ends: Option<ExitSet>,
}

impl AdoptedSupervises {
    pub(super) const fn new() -> Self {
        Self { handles: BTreeMap::new(), ends: None }
    }

    /// The handle of an adopted process.
    pub(super) fn get(&self, pid: Pid) -> Option<&Handle> {
        self.handles.get(&pid)
    }

    /// Adopts a process. Raises the limit of open files first: each process needs a descriptor.
    ///
    /// # Errors
    /// Those of epoll_create(2) and epoll_ctl(2).
    pub(super) fn add(
        &mut self,
        pid: Pid,
        handle: Handle,
        open_files: &mut Option<OpenFiles>,
    ) -> Result<()> {
        let ends = match &self.ends {
            Some(ends) => ends,
            None => {
                let ends = ExitSet::new()?;
                *open_files = open_files.or_else(OpenFiles::raise);
                self.ends.insert(ends)
            }
        };
        ends.add(&handle, pid.get().cast_unsigned().into())?;
        self.handles.insert(pid, handle);
        Ok(())
    }

    /// Removes the process that had this pid, if it has ended.
    pub(super) fn remove_if_ended(&mut self, pid: Pid) -> Option<Handle> {
        if self.handles.get(&pid).is_some_and(Handle::has_ended) {
            self.handles.remove(&pid)
        } else {
            None
        }
    }

    /// Removes the next process that has ended.
    pub(super) fn remove_ended(&mut self) -> Option<(Pid, Handle)> {
        let key = self.ends.as_ref()?.next()?;
        let pid = i32::try_from(key).ok().and_then(Pid::new)?;
        self.handles.remove_entry(&pid)
    }

    /// Closes the descriptor for the ends when no process is left.
    pub(super) fn close_if_empty(&mut self) {
        if self.handles.is_empty() {
            self.ends = None;
        }
    }

    /// Readable when one of them has ended.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.ends.as_ref().map(ExitSet::fd)
    }
}
