//! One supervised program: the service, or encore's logger beside it.

use super::published_record::PublishedRecord;
use super::state_files::StateFiles;
use daemontools_core::Pid;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::state_dir::status::Want;
use daemontools_core::supervise::{Machine, Script};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{BorrowedFd, Errno, Result, process};

/// Which of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The service.
    Service,
    /// encore's file `log`.
    Logger,
}

/// A supervised program: its machine, its process, and what is published of it.
pub(super) struct Supervised {
    pub(super) machine: Machine,
    /// The process, if it is not a child of this supervisor: an earlier one started it.
    adopted: Option<Handle>,
    pub(super) record: PublishedRecord,
    /// The wanted state in the status file.
    published_want: Want,
    /// The phase that `notify` was last told.
    pub(super) notified_phase: Phase,
}

impl Supervised {
    pub(super) fn new(machine: Machine, adopted: Option<Handle>, record: PublishedRecord) -> Self {
        let (published_want, notified_phase) = (machine.record().want, machine.phase());
        Self { machine, adopted, record, published_want, notified_phase }
    }

    /// The adopted process, if there is one.
    pub(super) const fn adopted(&self) -> Option<&Handle> {
        self.adopted.as_ref()
    }

    /// Readable when the adopted process has ended.
    pub(super) fn end_fd(&self) -> Option<BorrowedFd<'_>> {
        self.adopted.as_ref().map(Handle::fd)
    }

    /// Takes the adopted process if it has ended.
    pub(super) fn take_ended(&mut self) -> Option<Handle> {
        self.adopted.take_if(|process| process.has_ended())
    }

    /// The process changes: to an adopted one, or to a child if `adopted` is `None`.
    pub(super) fn set_adopted(&mut self, adopted: Option<Handle>) {
        self.adopted = adopted;
    }

    /// Whether the wanted state has changed since the last status.
    pub(super) fn has_unpublished_want(&self) -> bool {
        self.published_want != self.machine.record().want
    }

    /// The status file holds the current wanted state.
    pub(super) fn note_published(&mut self) {
        self.published_want = self.machine.record().want;
    }

    /// Brings the process record up to date. `leaving` says whether the supervisor leaves.
    pub(super) fn update_record(&mut self, files: &StateFiles, leaving: bool) {
        let process = (self.machine.pid(), self.machine.script());
        self.record.update(files, leaving, process);
    }

    /// Makes sure that the next supervisor finds the process in the record. Returns the process if
    /// it would not.
    ///
    /// A new process may not have written itself into the record yet, so this one writes it.
    pub(super) fn missing_on_record(&self, files: &StateFiles) -> Option<Pid> {
        let pid = self.machine.pid()?;
        let script = self.machine.script();
        let on_record = self.record.is_reliable()
            && (self.adopted.is_some() || self.record.write_process(files, pid, script, false));
        (!on_record).then_some(pid)
    }

    /// Sends a signal to the process or its process group.
    ///
    /// A process that was started before the options asked for a process group leads none: then the
    /// process alone gets the signal.
    ///
    /// # Errors
    /// ESRCH if there is no such process, EPERM if it may not be signalled.
    pub(super) fn signal(&self, pid: Pid, number: i32, scope: Scope) -> Result<()> {
        match self.signal_scope(pid, number, scope) {
            Err(Errno::SRCH)
                if scope == Scope::Group && self.machine.policy().stop.scope == Scope::Group =>
            {
                self.signal_scope(pid, number, Scope::Process)
            }
            other => other,
        }
    }

    fn signal_scope(&self, pid: Pid, number: i32, scope: Scope) -> Result<()> {
        match (scope, &self.adopted) {
            // The child is not reaped, so the number is still its own. A process group that does not
            // exist gets nothing.
            (Scope::Process | Scope::Tree, None) => process::kill(pid, number),
            (Scope::Group, None) => process::kill_group(pid, number),
            (Scope::Process | Scope::Tree, Some(adopted)) => adopted.signal(number),
            // Another process reaps it. After that the number may belong to another group.
            (Scope::Group, Some(adopted)) if adopted.has_ended() => Ok(()),
            (Scope::Group, Some(_)) => process::kill_group(pid, number),
        }
    }

    /// The process, and what it runs.
    pub(super) const fn process(&self) -> (Option<Pid>, Script) {
        (self.machine.pid(), self.machine.script())
    }
}
