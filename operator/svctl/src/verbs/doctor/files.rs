//! Files that another user may have arranged: no FIFO blocks, no device and no large file is read.

use servicedir::read_regular_file;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most that is read of a file.
const LIMIT: u64 = 256 * 1024;

/// The beginning of a regular file; `None` for other kinds of files.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_regular_file(path, LIMIT)
}

/// The text of a file, or nothing if it cannot be read.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    let bytes = read(path.as_ref()).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The number in a file, such as a limit in /proc/sys.
pub(crate) fn number(path: impl AsRef<Path>) -> Option<u64> {
    text(path).split_ascii_whitespace().next()?.parse().ok()
}

/// The text of a file of a process in /proc.
pub(crate) fn of_process(pid: u32, file: &str) -> String {
    // The sizes of these files are 0, and all of them are regular.
    let bytes = File::open(format!("/proc/{pid}/{file}")).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// A link of a process in /proc: `exe`, `cwd`, `fd/1`.
pub(crate) fn link(pid: u32, name: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/{name}")).ok()
}

/// A field of `/proc/PID/status`.
pub(crate) fn status_field(pid: u32, key: &str) -> Option<String> {
    let status = of_process(pid, "status");
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// A variable of a process.
pub(crate) fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = of_process(pid, "environ");
    let value = environment.split('\0').find_map(|it| it.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.to_owned())
}

/// The real user of a process, whose limits count.
pub(crate) fn real_user_of(pid: u32) -> Option<u32> {
    status_field(pid, "Uid")?.split_ascii_whitespace().next()?.parse().ok()
}

/// The effective user of a process.
pub(crate) fn user_of(pid: u32) -> Option<u32> {
    status_field(pid, "Uid")?.split_ascii_whitespace().nth(1)?.parse().ok()
}
