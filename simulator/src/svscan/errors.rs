//! The errors that a system call can have in a svscan.

use linux_raw_sys::errno::{EIO, EMFILE, ENOMEM, ENOSPC};
use linux_raw_sys::general as nr;

/// The errors of a call, by its number.
#[must_use]
pub fn errors(number: usize) -> &'static [u32] {
    match u32::try_from(number).unwrap_or(u32::MAX) {
        nr::__NR_inotify_init1 | nr::__NR_epoll_create1 | nr::__NR_pipe2 => &[EMFILE],
        nr::__NR_inotify_add_watch | nr::__NR_epoll_ctl => &[ENOSPC, ENOMEM],
        nr::__NR_memfd_create => &[EMFILE, ENOMEM],
        nr::__NR_fchdir => &[EIO],
        // A directory that cannot be entered for a moment: see docs/proofs.md.
        nr::__NR_chdir => &[],
        _ => crate::supervise::errors::errors(number),
    }
}
