//! Watches every system call of a run: makes the planned faults happen, and checks what must always hold.

use super::check::{MOST_CALLS, Violation, services};
use super::errors::errors;
use super::scenario::{PlannedFault, Role};
use crate::call_rate::CallRate;
use crate::fault::DueFaults;
use crate::kernel::{Content, InodeNumber, Kernel, Pid};
use crate::story::{self, Story};
use crate::world::{Fate, Fault};
use linux_raw_sys::general::{__NR_execve, __NR_write, SIGTERM};
use machine::{Call, copy_in};
use std::collections::{BTreeMap, BTreeSet};

/// The faults of the svscan that runs, and what has happened.
pub(super) struct Watch {
    /// The svscan that runs.
    svscan: Pid,
    faults: DueFaults<Role>,
    child_calls: u64,
    supervise_calls: u64,
    /// A call of this svscan has failed.
    pub(super) had_error: bool,
    /// A call of any svscan has failed.
    pub(super) any_error: bool,
    /// The directories whose supervise was killed, perhaps before it was in it (0), and those of ended loggers.
    pub(super) killed_in: BTreeSet<InodeNumber>,
    /// This svscan has got TERM.
    pub(super) terminated: bool,
    /// What the service of each directory has written into a pipe.
    pub(super) written: BTreeMap<InodeNumber, Vec<u8>>,
    rate: CallRate,
    pub(super) violation: Option<Violation>,
    pub(super) story: Story,
}

impl Watch {
    pub(super) fn new(trace: bool) -> Self {
        Self {
            svscan: 0,
            faults: DueFaults::none(),
            child_calls: 0,
            supervise_calls: 0,
            had_error: false,
            any_error: false,
            killed_in: BTreeSet::new(),
            terminated: false,
            written: BTreeMap::new(),
            rate: CallRate::default(),
            violation: None,
            story: Story::new(trace),
        }
    }

    /// The next svscan begins.
    pub(super) fn begin(&mut self, svscan: Pid, faults: Vec<PlannedFault>) {
        (self.svscan, self.faults) = (svscan, DueFaults::new(faults));
        (self.child_calls, self.supervise_calls) = (0, 0);
        (self.had_error, self.terminated) = (false, false);
    }

    fn service_starts(&mut self, kernel: &Kernel, pid: Pid) {
        self.story.tell(kernel, &format!("the service runs as process {pid}"));
        let running = services(kernel, kernel.directory_of_process(pid));
        let inherited = kernel.descriptors_of(pid);
        let violation = if running.len() > 1 {
            Violation::Doubled("a service".into(), running)
        } else if inherited != [0, 1, 2] {
            Violation::Inherited(inherited)
        } else {
            return;
        };
        self.violation.get_or_insert(violation);
    }

    fn note_line(&mut self, kernel: &Kernel, pid: Pid, call: Call, length: usize) {
        let output = kernel.file_of(pid, 1).and_then(|it| kernel.inode(it));
        if !output.is_some_and(|it| matches!(it.content, Content::Pipe(_))) {
            return;
        }
        let text = copy_in(call.arguments[1], length).unwrap_or_default();
        self.written.entry(kernel.directory_of_process(pid)).or_default().extend(text);
    }
}

impl Fate for Watch {
    fn fault(&mut self, kernel: &Kernel, pid: Pid, count: u64, call: Call) -> Option<Fault> {
        let process = kernel.process(pid)?;
        let (role, count, who) = if pid == self.svscan {
            (Role::Svscan, count, "svscan")
        } else if process.parent == self.svscan && process.arguments[0] == b"/bin/svscan" {
            self.child_calls += 1;
            (Role::Child, self.child_calls - 1, "a child of svscan")
        } else if process.arguments[0] == b"supervise" {
            self.supervise_calls += 1;
            (Role::Supervise, self.supervise_calls - 1, "supervise")
        } else {
            return None;
        };
        let fault = self.faults.take(role, count, |kind| kind.at(call, errors(call.number)))?;
        // A killed child is a start that failed.
        if matches!(fault, Fault::Error(_) | Fault::Short(_)) || role == Role::Child {
            (self.had_error, self.any_error) = (true, true);
        }
        match role {
            Role::Svscan => {}
            Role::Child => drop(self.killed_in.insert(0)),
            Role::Supervise => {
                // Before it has changed its directory, it may be any.
                let place = if process.calls < 30 { 0 } else { kernel.directory_of_process(pid) };
                self.killed_in.insert(place);
            }
        }
        self.terminated |= fault == Fault::Signal(SIGTERM) && role == Role::Svscan;
        let event = story::fault(kernel, (who, pid), (count, call), fault);
        self.story.tell(kernel, &event);
        Some(fault)
    }

    fn performed(&mut self, kernel: &Kernel, pid: Pid, call: Call, result: Option<isize>) {
        self.story.performed(kernel, pid, call, result);
        if pid == self.svscan && self.rate.is_busy(kernel.now, MOST_CALLS) {
            self.violation.get_or_insert(Violation::Busy);
        }
        let is_service =
            || kernel.process(pid).is_some_and(|it| it.arguments[0] == b"/bin/speaker");
        match (call.number, result) {
            (number, None) if number == __NR_execve as usize && is_service() => {
                self.service_starts(kernel, pid);
            }
            (number, Some(length @ 1..))
                if number == __NR_write as usize && call.arguments[0] == 1 && is_service() =>
            {
                self.note_line(kernel, pid, call, length.unsigned_abs());
            }
            _ => {}
        }
    }
}
