//! The errors that a system call can have in a supervise.

use linux_raw_sys::errno::{EAGAIN, EINTR, EIO, EMFILE, ENOLCK, ENOMEM, ENOSPC, EPERM};
use linux_raw_sys::general as nr;

/// The errors of a call, by its number.
#[must_use]
pub fn errors(number: usize) -> &'static [u32] {
    match u32::try_from(number).unwrap_or(u32::MAX) {
        nr::__NR_openat => &[EMFILE, ENOMEM, EIO],
        nr::__NR_read => &[EIO, EINTR],
        nr::__NR_pread64 | nr::__NR_getdents64 | nr::__NR_readlinkat | nr::__NR_unlinkat => &[EIO],
        nr::__NR_write | nr::__NR_pwrite64 => &[ENOSPC, EIO],
        nr::__NR_writev => &[EIO],
        nr::__NR_mkdirat | nr::__NR_mknodat | nr::__NR_renameat => &[ENOSPC, EIO],
        nr::__NR_newfstatat | nr::__NR_statx => &[EIO, ENOMEM],
        nr::__NR_fstat | nr::__NR_chdir => &[EIO],
        nr::__NR_flock => &[ENOLCK],
        nr::__NR_clone => &[EAGAIN, ENOMEM],
        nr::__NR_execve => &[ENOMEM, EIO],
        // ENOMEM is for more than 30 descriptors.
        nr::__NR_ppoll => &[EINTR],
        nr::__NR_wait4 => &[EINTR],
        nr::__NR_signalfd4 => &[EMFILE],
        nr::__NR_pidfd_open => &[EMFILE, ENOMEM],
        nr::__NR_kill | nr::__NR_pidfd_send_signal => &[EPERM],
        _ => &[],
    }
}
