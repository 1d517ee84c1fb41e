//! The process groups of a service, and those of its processes that are no descendants of the
//! supervisor: an earlier supervisor started them.
//!
//! A process id that was reaped can pass to a foreign process, but not while a process group or a
//! session has that number. So a group counts as the service's only right after the end of its
//! leader, and from then on while one of its processes is held by a descriptor. The service can name
//! many leaders one after the other: the number of an earlier one proves nothing.

use super::process_tree;
use crate::survive::process_record::identify;
use crate::survive::standing::is_here;
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::state_dir::process_record::ProcessIdentity;
use daemontools_sys::pidfd::{ExitSet, Handle};
use daemontools_sys::{BorrowedFd, process, tree};

/// The most orphans that are held at a time. The others follow when these have ended.
const MOST_HELD: usize = 256;

/// The most groups that are known: that of `run`, and those of the last processes that were named.
const MOST_GROUPS: usize = 8;

/// The groups of the last `run`, and the orphans of the service.
#[derive(Default)]
pub(super) struct ProcessGroups {
    /// The group of `run`, and that of the process which continued in the background.
    groups: Vec<Pid>,
    held: Vec<(Pid, Handle)>,
    /// Reports the ends of the held ones.
    ends: Option<ExitSet>,
}

impl ProcessGroups {
    /// `run` starts anew, as this leader of a process group if it leads one.
    pub(super) fn begin_run(&mut self, leader: Option<Pid>) {
        *self = Self { groups: leader.into_iter().collect(), ..Self::default() };
    }

    /// The process group of the last `run`, if it led one.
    pub(super) fn run_group(&self) -> Option<Pid> {
        self.groups.first().copied()
    }

    /// Another process is the service from now on. Its group belongs to the service, if it leads one.
    pub(super) fn add_group_of(&mut self, pid: Pid) {
        if process::group_of(pid) != Ok(pid) || self.groups.contains(&pid) {
            return;
        }
        if self.groups.len() >= MOST_GROUPS {
            // The first one is that of `run`.
            self.groups.remove(1);
        }
        self.groups.push(pid);
    }

    /// Whether a process is in a group of the service; for the tree, a session counts as well.
    pub(super) fn is_member(&self, pid: Pid, scope: Scope) -> bool {
        is_member_of(&self.groups, pid, scope)
    }

    /// Holds a process, if it still is what `is_right` asks for.
    pub(super) fn hold(&mut self, pid: Pid, is_right: impl FnOnce(&Self) -> bool) {
        let known = self.held.iter().any(|(held, _)| *held == pid);
        if known || pid == process::id() || self.held.len() >= MOST_HELD {
            return;
        }
        let Ok(Some(handle)) = Handle::open(pid) else { return };
        // Checked after the handle was opened: if the number belongs to such a process now, it did
        // then.
        if !is_right(self) || handle.has_ended() {
            return;
        }
        if self.ends.is_none() {
            self.ends = ExitSet::new().ok();
        }
        if let Some(ends) = &self.ends {
            // Without it the next sweep notices the end.
            let _ = ends.add(&handle, pid.get().unsigned_abs().into());
        }
        self.held.push((pid, handle));
    }

    /// Holds everything below an adopted process.
    pub(super) fn hold_below(&mut self, pid: Pid) {
        for below in process_tree::each_below(pid, &[], |_, _| {}) {
            self.hold(below, |_| process_tree::belongs_to(below, &[pid]));
        }
    }

    /// A process has just ended, and another process reaps it: holds the members of its group, if it led
    /// one.
    pub(super) fn hold_members(&mut self, ended: Pid, scope: Scope) {
        self.forget_taken_groups();
        if self.groups.contains(&ended) {
            self.hold_all(&[ended], scope, |_| true);
        }
    }

    /// Holds the members of the group of a process that ended while no supervisor ran. The group may
    /// have a new owner, so a member must also be in the service directory, and younger.
    pub(super) fn hold_earlier(&mut self, leader: ProcessIdentity, scope: Scope) {
        self.begin_run(Some(leader.pid));
        self.forget_taken_groups();
        if self.groups.is_empty() {
            return;
        }
        self.hold_all(&[leader.pid], scope, |pid| {
            is_here(pid) && identify(pid).is_ok_and(|found| found.start >= leader.start)
        });
    }

    /// The living orphans. While there is one in a group, all others of that group belong to the
    /// service too.
    pub(super) fn living(&mut self, scope: Scope) -> &[(Pid, Handle)] {
        self.held.retain(|(_, handle)| !handle.has_ended());
        let mut groups = self.groups.clone();
        groups
            .retain(|group| self.held.iter().any(|(pid, _)| is_member_of(&[*group], *pid, scope)));
        if !groups.is_empty() {
            self.hold_all(&groups, scope, |_| true);
        }
        &self.held
    }

    /// Readable when one of the orphans has ended.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.ends.as_ref().filter(|_| !self.held.is_empty()).map(ExitSet::fd)
    }

    /// Forgets the groups whose number a living process has: another group may have it by now.
    fn forget_taken_groups(&mut self) {
        self.groups.retain(
            |group| !matches!(Handle::open(*group), Ok(Some(process)) if !process.has_ended()),
        );
    }

    /// Holds the members of these groups.
    fn hold_all(&mut self, groups: &[Pid], scope: Scope, is_right: impl Fn(Pid) -> bool) {
        let mut members = Vec::new();
        // Without /proc none are found.
        let _ = tree::processes(|pid| {
            if is_member_of(groups, pid, scope) {
                members.push(pid);
            }
        });
        for pid in members {
            self.hold(pid, |_| is_member_of(groups, pid, scope) && is_right(pid));
        }
    }
}

/// Whether a process is in one of these groups; for the tree, a session counts as well.
fn is_member_of(groups: &[Pid], pid: Pid, scope: Scope) -> bool {
    let has = |group| groups.contains(&group);
    scope > Scope::Process && process::group_of(pid).is_ok_and(has)
        || scope == Scope::Tree && process::session_of(pid).is_ok_and(has)
}
