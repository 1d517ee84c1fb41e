//! The ends of processes: of children and of adopted ones.

use super::helpers::HelperEnd;
use super::performer::Performer;
use super::supervised::Role;
use crate::survive::process_record;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::supervise::{Event, Script, State};
use daemontools_core::{Ended, Pid};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process;

impl Performer {
    /// A child was reaped.
    ///
    /// It may be unknown: exec keeps children, so the program that became this supervisor can have
    /// left some.
    pub(super) fn child_ended(&mut self, pid: Pid, how: Ended) {
        for role in [Role::Service, Role::Logger] {
            if let Some(supervised) = self.supervised_mut(role)
                && supervised.machine.pid() == Some(pid)
            {
                // An adopted process can have become a child: this process adopts orphans.
                supervised.set_adopted(None);
                return self.ended(role, how);
            }
        }
        // Before the end of a reaper comes its report.
        self.take_reports();
        let Some(runtime) = &mut self.runtime else { return };
        let end = runtime.helpers.ended(pid, how);
        self.helper_ended(end);
    }

    /// Takes the ends of helper scripts that have left orphans.
    pub(super) fn take_reports(&mut self) {
        let runtime = self.runtime.as_ref();
        let reports = runtime.map(|runtime| runtime.helpers.take_reports()).unwrap_or_default();
        for (reaper, how) in reports {
            let Some(runtime) = &mut self.runtime else { return };
            let end = runtime.helpers.reported(reaper, how);
            self.helper_ended(end);
        }
    }

    fn helper_ended(&mut self, end: Option<HelperEnd>) {
        match end {
            Some(HelperEnd::Checked(passed)) => {
                self.step(Role::Service, Event::CheckEnded { passed });
            }
            Some(HelperEnd::Control { declined, next }) => self.control_ended(declined, next),
            None => {}
        }
    }

    /// Tells the machine of the service when nothing is left to sweep.
    pub(super) fn check_swept(&mut self) {
        if self.service.machine.state() == State::Sweeping
            && self.runtime.as_mut().is_none_or(|runtime| !runtime.has_leftovers())
        {
            self.step(Role::Service, Event::Swept);
        }
    }

    /// The handle of an adopted process is readable: the process has ended.
    pub(super) fn adopted_ended(&mut self, role: Role) {
        let Some(supervised) = self.supervised_mut(role) else { return };
        let Some(process) = supervised.take_ended() else { return };
        let scope = supervised.machine.policy().stop.scope;
        let ended = supervised.machine.pid();
        let how = match (role, process_record::end_of(&process), ended) {
            (Role::Service, Ended::Unknown, Some(pid)) => self.files.recorded_end(pid),
            (_, how, _) => how,
        };
        if let (Role::Service, Some(runtime), Some(ended)) = (role, &mut self.runtime, ended)
            && (scope == Scope::Group || scope == Scope::Tree && runtime.cgroup.is_none())
        {
            runtime.orphans.hold_members(ended, scope);
        }
        self.ended(role, how);
    }

    /// Passes an end to the machine, unless the service continues in the background.
    fn ended(&mut self, role: Role, how: Ended) {
        if role == Role::Service && self.follow_background(how) {
            return;
        }
        if let (Role::Service, Some(runtime)) = (role, &mut self.runtime)
            && !matches!(self.service.machine.state(), State::RunningScript { .. })
        {
            if runtime.note_out_of_memory() {
                let what = b" was out of memory: the kernel killed a process of it";
                self.report_limit.print_limit(self.dir, what);
            }
            if runtime.note_refused_processes() {
                let what = b" has tried to start more processes than its control group permits";
                self.report_limit.print_limit(self.dir, what);
            }
        }
        self.step(role, Event::Ended(how));
    }

    /// Follows a service that puts itself into the background: its first process ends, and another
    /// one continues. Returns whether there is such a process.
    fn follow_background(&mut self, how: Ended) -> bool {
        let machine = &self.service.machine;
        let (State::Up { pid, .. }, Some(runtime)) = (machine.state(), &mut self.runtime) else {
            return false;
        };
        // A process that gets TERM while it goes into the background may exit in any way.
        if how != Ended::Exited(0) && !machine.is_ending() {
            return false;
        }
        let successor = runtime.successor(self.dir, pid);
        successor.is_some_and(|(successor, user)| self.set_main_process(successor, user))
    }

    /// Makes another process the main process of the service. `user` is the one who names it, unless the
    /// supervisor has found it. Returns false if the process does not belong to the service, the user
    /// may not signal it, or its end cannot be watched.
    pub(super) fn set_main_process(&mut self, pid: Pid, user: Option<u32>) -> bool {
        let adopted = if process::is_child(pid) {
            None
        } else {
            let Ok(Some(handle)) = Handle::open(pid) else {
                return false;
            };
            Some(handle)
        };
        // Checked after the handle was opened: if the number belongs to the service now, it did then.
        let main = self.service.machine.pid();
        let dir = self.dir;
        let may_be_main = self.runtime.as_mut().is_some_and(|runtime| {
            runtime.owns(pid, main) && user.is_none_or(|user| runtime.may_name(dir, pid, user))
        });
        if !may_be_main {
            return false;
        }
        self.service.set_adopted(adopted);
        if let Some(runtime) = &mut self.runtime {
            runtime.orphans.add_group_of(pid);
        }
        self.service.record.write_process(&self.files, pid, Script::Run, true);
        self.step(Role::Service, Event::MainPidChanged(pid));
        true
    }
}
