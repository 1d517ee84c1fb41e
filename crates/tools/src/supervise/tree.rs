//! Processes and all that they have started.

use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{Errno, tree};

/// Sends a signal to all descendants of a process, but not to it, nor to `others` and theirs. Gives
/// those that were there.
pub(super) fn signal_below(root: Pid, others: &[Pid], signal: i32) -> Vec<Pid> {
    let mut found: Vec<Pid> = Vec::new();
    let mut parents = Vec::from([root]);
    while let Some(parent) = parents.pop() {
        let mut children = Vec::new();
        // Without /proc nobody is found.
        let _ = tree::children_of(parent, |child| children.push(child));
        for child in children {
            // Who was found twice has got another parent meanwhile.
            if others.contains(&child) || found.contains(&child) {
                continue;
            }
            let Ok(Some(handle)) = Handle::open(child) else { continue };
            // Taken hold of first: if the number is a child's now, it was then.
            let is_ours = tree::parent_of(child).is_ok_and(|now| now == parent);
            if is_ours && !handle.has_ended() {
                let _ = handle.signal(signal);
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
    // A bound, since the tree changes while we climb.
    for _ in 0..64 {
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

/// Whether there is no process of this number, not even one that has ended and was not reaped.
pub(super) fn has_gone(pid: Pid) -> bool {
    tree::parent_of(pid) == Err(Errno::SRCH)
}
