//! A process and all its descendants.

use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{Errno, tree};

/// The most parents that are followed: the tree can change meanwhile.
const DEPTH_LIMIT: usize = 64;

/// Sends a signal to all descendants of a process, but not to the process, nor to the `excluded` ones
/// and their descendants, nor to the `members` of a group, which get it otherwise. Returns those that
/// got it.
pub(super) fn signal_others_below(
    root: Pid,
    excluded: &[Pid],
    members: &[Pid],
    signal: i32,
) -> Vec<Pid> {
    let mut found = each_below(root, excluded, |pid, handle| {
        if !members.contains(&pid) {
            let _ = handle.signal(signal);
        }
    });
    found.retain(|pid| !members.contains(pid));
    found
}

/// Calls `each` for all living descendants of a process, but not for the process, nor for the
/// `excluded` ones and their descendants. Returns them.
pub(super) fn each_below(
    root: Pid,
    excluded: &[Pid],
    mut each: impl FnMut(Pid, &Handle),
) -> Vec<Pid> {
    let mut found: Vec<Pid> = Vec::new();
    let mut parents = Vec::from([root]);
    while let Some(parent) = parents.pop() {
        let mut children = Vec::new();
        // Without /proc none are found.
        let _ = tree::children_of(parent, |child| children.push(child));
        for child in children {
            // A child that was found before has got another parent meanwhile.
            if excluded.contains(&child) || found.contains(&child) {
                continue;
            }
            let Ok(Some(handle)) = Handle::open(child) else { continue };
            // Checked after the handle was opened: if the number belongs to a child now, it did then.
            let is_child = tree::parent_of(child).is_ok_and(|now| now == parent);
            if is_child && !handle.has_ended() {
                each(child, &handle);
                found.push(child);
                parents.push(child);
            }
        }
    }
    found
}

/// Whether a process is one of these, or a descendant of one.
pub(super) fn belongs_to(pid: Pid, roots: &[Pid]) -> bool {
    let mut pid = pid;
    for _ in 0..DEPTH_LIMIT {
        if roots.contains(&pid) {
            return true;
        }
        match tree::parent_of(pid) {
            Ok(parent) => pid = parent,
            Err(_) => return false,
        }
    }
    false
}

/// Whether no process has this number, not even an ended one that was not reaped.
pub(super) fn has_gone(pid: Pid) -> bool {
    tree::parent_of(pid) == Err(Errno::SRCH)
}
