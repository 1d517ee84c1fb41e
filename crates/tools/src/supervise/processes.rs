//! The processes of a service with options: the main process, its descendants, and the leftovers
//! after its end. The control group lists them; without one, supervise follows the parents in /proc.

use super::cgroup::Cgroup;
use super::process_tree;
use super::runtime::ServiceRuntime;
use crate::common::diag;
use crate::survive::process_user;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::options::Background;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::state_dir::process_record::ProcessIdentity;
use daemontools_core::text::decimal::{self, Decimal};
use daemontools_sys::signal::KILL;
use daemontools_sys::{BorrowedFd, Errno, fs, guarded, process, tree};

impl ServiceRuntime {
    /// Whether a process belongs to the service, whose main process is `main`. The supervisor and the
    /// helpers do not.
    pub(super) fn owns(&self, pid: Pid, main: Option<Pid>) -> bool {
        let supervisor = process::id();
        let in_group =
            || self.cgroup.as_ref().is_some_and(|group| group.processes().contains(&pid));
        let below = || {
            let roots: Vec<Pid> = main.into_iter().chain([supervisor]).collect();
            process_tree::belongs_to(pid, &roots)
        };
        pid != supervisor
            && !process_tree::belongs_to(pid, &self.helpers.pids())
            && (in_group() || below())
    }

    /// The next main process of a service that puts itself into the background, when its process
    /// `before` has ended: the one in its pid file, and the owner of the file; or the oldest one that
    /// is left.
    pub(super) fn successor(&mut self, dir: &CStr, before: Pid) -> Option<(Pid, Option<u32>)> {
        let named = match self.config.options.background.as_ref()? {
            Background::PidFile(path) => pid_in(path),
            Background::Follow => None,
        };
        if let Some((pid, owner)) = named {
            // The service itself has ended.
            if pid == before {
                return None;
            }
            if self.owns(pid, None) && self.may_name(dir, pid, owner) {
                return Some((pid, Some(owner)));
            }
        }
        // A process that an earlier supervisor started is in the group, but no descendant.
        let group = self.cgroup.as_ref().map(Cgroup::processes).unwrap_or_default();
        let oldest = self.leftover_children().first().or(group.first()).copied();
        oldest.map(|pid| (pid, None))
    }

    /// Whether a user may name a process as the main process of the service. The supervisor signals the
    /// main process, so the user must have the right to do that. Prints a warning if not, once for each
    /// start.
    pub(super) fn may_name(&mut self, dir: &CStr, pid: Pid, user: u32) -> bool {
        let may = process_user::may_signal(user, pid);
        if !may && !core::mem::replace(&mut self.warned_of_name, true) {
            diag::say(&[
                b"supervise: warning: process ",
                Decimal::new(pid.get().cast_unsigned().into()).as_bytes(),
                b" does not become the main process of ",
                dir.to_bytes(),
                b": user ",
                Decimal::new(user.into()).as_bytes(),
                b" has named it, and may not signal it",
            ]);
        }
        may
    }

    /// Sends a signal to everything that a process of the service has started, but not to the
    /// process.
    pub(super) fn signal_below(&mut self, pid: Pid, signal: i32) {
        if self.cgroup.is_none() && !process::is_child(pid) {
            self.orphans.hold_below(pid);
        }
        let mut members = Vec::new();
        if let Some(cgroup) = &self.cgroup {
            cgroup.signal_each(pid, signal);
            members = cgroup.processes();
        }
        process_tree::signal_others_below(pid, &[], &members, signal);
        // Orphans are children of the supervisor.
        let mut excluded = self.helpers.pids();
        excluded.push(pid);
        process_tree::signal_others_below(process::id(), &excluded, &members, signal);
    }

    /// Kills what the service left behind while no supervisor ran. `last` is its last process.
    pub(super) fn kill_earlier_leftovers(
        &mut self,
        dir: &CStr,
        state_dir: BorrowedFd<'_>,
        last: Option<ProcessIdentity>,
    ) {
        let shown = dir.to_bytes();
        let scope = self.config.options.stop.scope;
        if scope == Scope::Process {
            return;
        }
        // Not all of them are descendants.
        if self.set_up_cgroup(shown, state_dir).is_ok()
            && scope == Scope::Tree
            && self.cgroup.is_some()
        {
            print_killed(shown, &self.signal_leftovers(KILL));
        } else if let Some(last) = last.filter(|_| self.config.leads_group()) {
            self.orphans.hold_earlier(last, scope);
        }
        if self.follows_processes() {
            process::become_subreaper();
        }
    }

    /// Sends a signal to the processes that the service left behind. Returns them.
    pub(super) fn signal_leftovers(&mut self, signal: i32) -> Vec<Pid> {
        if self.config.options.stop.scope == Scope::Group {
            return self.signal_group(signal);
        }
        let helpers = self.helpers.pids();
        let Some(cgroup) = &self.cgroup else {
            let mut left = process_tree::signal_others_below(process::id(), &helpers, &[], signal);
            self.signal_orphans(Scope::Tree, signal, &mut left);
            return left;
        };
        let mut left = cgroup.processes();
        // The supervisor notices the ends of its children by itself.
        for &pid in left.iter().filter(|pid| !process::is_child(**pid)) {
            self.orphans.hold(pid, |_| cgroup.processes().contains(&pid));
        }
        if signal != KILL || cgroup.kill().is_err() {
            cgroup.signal_each(process::id(), signal);
        }
        // A process that may write another group below the same directory can leave this one.
        let others = process_tree::signal_others_below(process::id(), &helpers, &left, signal);
        left.extend(others);
        left
    }

    /// Sends a signal to all processes in the groups of the service, whose leader has ended. Returns
    /// them.
    fn signal_group(&mut self, signal: i32) -> Vec<Pid> {
        let orphans = &self.orphans;
        let mut left = Vec::new();
        process_tree::each_below(process::id(), &self.helpers.pids(), |pid, handle| {
            if orphans.is_member(pid, Scope::Group) {
                let _ = handle.signal(signal);
                left.push(pid);
            }
        });
        self.signal_orphans(Scope::Group, signal, &mut left);
        left
    }

    /// Sends a signal to the orphans, and adds them to `left`. Those that are in it have got it.
    fn signal_orphans(&mut self, scope: Scope, signal: i32, left: &mut Vec<Pid>) {
        for (pid, handle) in self.orphans.living(scope) {
            if !left.contains(pid) {
                let _ = handle.signal(signal);
                left.push(*pid);
            }
        }
    }

    /// Whether the service left processes behind.
    pub(super) fn has_leftovers(&mut self) -> bool {
        let scope = self.config.options.stop.scope;
        if scope == Scope::Group {
            let below = process_tree::each_below(process::id(), &self.helpers.pids(), |_, _| {});
            return below.iter().any(|pid| self.orphans.is_member(*pid, scope))
                || !self.orphans.living(scope).is_empty();
        }
        match &self.cgroup {
            Some(cgroup) => !cgroup.processes().is_empty() || !self.leftover_children().is_empty(),
            None => !self.leftover_children().is_empty() || !self.orphans.living(scope).is_empty(),
        }
    }

    /// The processes of the service that are children of the supervisor, the oldest first.
    fn leftover_children(&self) -> Vec<Pid> {
        let helpers = self.helpers.pids();
        let mut children = Vec::new();
        // Without /proc none are found.
        let _ = tree::children_of(process::id(), |child| {
            if !helpers.contains(&child) {
                children.push(child);
            }
        });
        children
    }
}

/// Names the processes that are killed, if there are any.
pub(super) fn print_killed(shown: &[u8], left: &[Pid]) {
    if left.is_empty() {
        return;
    }
    let numbers: Vec<Decimal> =
        left.iter().map(|pid| Decimal::new(pid.get().cast_unsigned().into())).collect();
    let numbers: Vec<&[u8]> = numbers.iter().map(Decimal::as_bytes).collect();
    diag::say(&[
        b"supervise: warning: ",
        shown,
        b" has left processes that are being killed: ",
        &numbers.join(&b' '),
    ]);
}

/// The process that a pid file names, and the owner of the file. The user of the service may write the
/// file and its directory.
fn pid_in(path: &CStr) -> Option<(Pid, u32)> {
    let mut room = [0; 32];
    let (text, owner) = match guarded::read_regular(fs::HERE, path, &mut room) {
        Ok(text) => text,
        Err(error @ (Errno::LOOP | Errno::INVAL)) => {
            let reason =
                if error == Errno::LOOP { "a symbolic link" } else { "not a regular file" };
            let what = [b"ignoring pid file ", path.to_bytes()];
            diag::warning_because("supervise", &what, reason);
            return None;
        }
        Err(_) => return None,
    };
    let number = decimal::parse(text.trim_ascii())?;
    Some((Pid::new(i32::try_from(number).ok()?)?, owner))
}
