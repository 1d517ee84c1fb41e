//! What `/proc` shows of another process: its arguments and its status.

use crate::common::paths::of_process;
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_sys::{Result, fs};

/// The most that is read of a file; a user decides how long the arguments of a process are.
const LIMIT: usize = 1 << 20;

/// A file of a process, such as `status`.
///
/// # Errors
/// ENOENT or ESRCH if the process has ended. EFBIG: longer than a mebibyte.
pub(crate) fn read(pid: Pid, file: &[u8]) -> Result<Vec<u8>> {
    let mut room = [0; 48];
    fs::read_whole(fs::HERE, of_process(&mut room, pid, file)?, LIMIT)
}

/// Whether a process was started under a name that ends so, by its first argument.
pub(crate) fn is_named(pid: Pid, name: &[u8]) -> bool {
    begins_with_name(&read(pid, b"cmdline").unwrap_or_default(), name)
}

/// Whether the first of these arguments, as in `cmdline`, ends so.
pub(crate) fn begins_with_name(arguments: &[u8], name: &[u8]) -> bool {
    arguments.split(|&c| c == 0).next().is_some_and(|program| program.ends_with(name))
}

/// The value of a field in the text of `status` (proc_pid_status(5)).
pub(crate) fn status_field<'a>(status: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut lines = status.split(|&c| c == b'\n');
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(b":\t"))
}
