//! The log directories of a service: where its logger writes.

use crate::{ServiceDir, regular_file};
use daemontools_core::sorting::sort;
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The longest part of `log/run` that is read.
const SCRIPT_LIMIT: u64 = 64 * 1024;

/// The most log directories of a service. The user of a logger decides which files it has open.
const MOST_DIRS: usize = 64;

/// The most open files of a logger that are looked at.
const MOST_OPEN_FILES: usize = 4096;

impl ServiceDir {
    /// The service directory of its logger, if it has one, with the same base for state directories.
    #[must_use]
    pub fn logger(&self) -> Option<Self> {
        let log = self.path().join("log");
        if !log.is_dir() {
            return None;
        }
        Some(match self.base() {
            Some(base) => Self::with_base(log, base),
            None => Self::new(log),
        })
    }

    /// The directories that the logger writes to: those whose `lock` it has open for writing, or else those that
    /// `log/run` or `log/command` names. At most 64; empty without a logger.
    ///
    /// # Errors
    /// The errors of reading `log/run`.
    pub fn log_dirs(&self) -> io::Result<Vec<PathBuf>> {
        let Some(logger) = self.logger() else { return Ok(Vec::new()) };
        let pid = logger.status().ok().flatten().and_then(|status| status.pid);
        let mut found = pid.map(|pid| of_process(pid.get())).unwrap_or_default();
        if found.is_empty() {
            found = self.log_dir_candidates()?;
            found.retain(|dir| dir.join("current").is_file());
        }
        sort(&mut found);
        found.dedup();
        found.truncate(MOST_DIRS);
        Ok(found)
    }

    /// The paths that `log/run` or `log/command` names, relative to `log`. The logger may make a log directory there;
    /// some are other files. Empty without a logger.
    ///
    /// # Errors
    /// The errors of reading `log/run`.
    pub fn log_dir_candidates(&self) -> io::Result<Vec<PathBuf>> {
        self.logger().map_or_else(|| Ok(Vec::new()), |logger| of_script(logger.path()))
    }
}

/// The directories of the files `lock` and `current` that a process has open for writing.
///
/// To open a file without the right to write it, the user of a logger could choose a directory of another
/// service, and a reader with more rights would show that one in the place of its own.
fn of_process(pid: u32) -> Vec<PathBuf> {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let open = open.flatten().take(MOST_OPEN_FILES);
    let targets =
        open.filter_map(|entry| Some((fs::read_link(entry.path()).ok()?, entry.file_name())));
    targets
        .filter(|(path, _)| {
            matches!(path.file_name(), Some(name) if name == "lock" || name == "current")
        })
        .filter(|(_, number)| is_writable(pid, number))
        .filter_map(|(path, _)| path.parent().map(Path::to_owned))
        .filter(|dir| dir.join("current").exists())
        .collect()
}

/// Whether a descriptor of a process is open for writing.
fn is_writable(pid: u32, number: &OsStr) -> bool {
    let path = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(number);
    let Ok(text) = fs::read_to_string(path) else { return false };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & OFlags::RWMODE.bits() != OFlags::RDONLY.bits())
}

/// The words of `log/run`, or else of `log/command`, that are paths, relative to `log`.
fn of_script(logger: &Path) -> io::Result<Vec<PathBuf>> {
    let read = |name| regular_file::read(&logger.join(name), SCRIPT_LIMIT);
    let text = match read("run") {
        // The arguments of command have a line each: no word is divided that is a path without blanks.
        Err(error) if error.kind() == io::ErrorKind::NotFound => read("command").map_err(|_| error),
        read => read,
    }?;
    let text = text.unwrap_or_default();
    let words = text.split(|byte| byte.is_ascii_whitespace());
    let paths = words.map(|word| match word {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        word => word,
    });
    Ok(paths
        .filter(|word| word.starts_with(b"/") || word.starts_with(b"."))
        .map(|word| logger.join(OsStr::from_bytes(word)))
        .collect())
}
