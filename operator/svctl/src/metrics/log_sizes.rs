//! The sizes of the logs of a service. What cannot have changed since the last scrape is not read again.

use super::facts::LogFacts;
use super::log_watches::LogWatches;
use servicedir::ServiceDir;
use std::fs::{self, Metadata};
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The most files of a log directory that are looked at: the user of a logger decides how many there are.
const MOST_LOG_FILES: usize = 4096;

/// A logger opens its directories within this time after its start.
const START_TIME: Duration = Duration::from_secs(10);

/// Two changes of a file within this time can have the same time: the clock of the kernel for files goes
/// on every few milliseconds.
const CLOCK_STEP: Duration = Duration::from_millis(100);

/// The logs of a service.
#[derive(Debug, Default)]
pub(super) struct LogSizes {
    /// The logger; `None` if nothing has been read.
    logger: Option<KnownLogger>,
}

#[derive(Debug)]
struct KnownLogger {
    /// Its state directory; `None` for a service without a logger.
    state_dir: Option<PathBuf>,
    /// The watch of that directory.
    watch: Option<i32>,
    /// The status when the directories were looked up; `None` to look again.
    version: Option<Version>,
    pid: Option<NonZeroU32>,
    dirs: Vec<LogDir>,
}

/// A log directory.
#[derive(Debug)]
struct LogDir {
    path: PathBuf,
    current: PathBuf,
    watch: Option<i32>,
    /// The directory when the old files were read; `None` to read them again.
    version: Option<Version>,
    /// The size of all files but `current`.
    old: u64,
}

/// Distinguishes a file from another at the same path, and from itself before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    id: (u64, u64),
    changed: (i64, i64),
}

impl Version {
    fn of(found: &Metadata) -> Self {
        Self { id: (found.dev(), found.ino()), changed: (found.ctime(), found.ctime_nsec()) }
    }

    /// This version, if the change lies at least so far back. A time in the future never does.
    fn if_older_than(self, age: Duration) -> Option<Self> {
        let seconds = u64::try_from(self.changed.0).ok()?;
        let nanoseconds = u32::try_from(self.changed.1).ok()?;
        let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))?;
        (SystemTime::now().duration_since(changed).ok()? >= age).then_some(self)
    }
}

impl LogSizes {
    /// Reads the sizes; `None` without a logger.
    pub(super) fn read(&mut self, service: &ServiceDir, watches: &LogWatches) -> Option<LogFacts> {
        let logger = self.logger.get_or_insert_with(|| KnownLogger {
            state_dir: service.logger().map(|logger| logger.state_dir().to_owned()),
            watch: None,
            version: None,
            pid: None,
            dirs: Vec::new(),
        });
        let state_dir = logger.state_dir.as_ref()?;
        // supervise replaces the status at each start of the logger.
        if logger.version.is_none() || !watches.is_unchanged(logger.watch) {
            logger.watch = watches.add(state_dir);
            let version = fs::symlink_metadata(state_dir.join("status")).ok();
            let version = version.map(|found| Version::of(&found));
            if version.is_none() || logger.version != version {
                let dirs = service.log_dirs().unwrap_or_default();
                logger.pid = service.logger().and_then(|it| it.status().ok()??.pid);
                logger.dirs.iter().for_each(|dir| watches.remove(dir.watch));
                logger.dirs = dirs.into_iter().map(LogDir::new).collect();
                logger.version = version.and_then(|version| version.if_older_than(START_TIME));
            }
        }
        let mut log: Option<LogFacts> = None;
        for dir in &mut logger.dirs {
            dir.add_to(log.get_or_insert(LogFacts { bytes: 0, last_write: None }), watches);
        }
        log
    }

    /// Removes the watches.
    pub(super) fn forget(&self, watches: &LogWatches) {
        if let Some(logger) = &self.logger {
            watches.remove(logger.watch);
            logger.dirs.iter().for_each(|dir| watches.remove(dir.watch));
        }
    }

    /// The process of the logger, as it was read last.
    pub(super) fn logger(&self) -> Option<NonZeroU32> {
        self.logger.as_ref()?.pid
    }
}

impl LogDir {
    fn new(path: PathBuf) -> Self {
        Self { current: path.join("current"), path, watch: None, version: None, old: 0 }
    }

    fn add_to(&mut self, log: &mut LogFacts, watches: &LogWatches) {
        // A rotation changes the directory; only `current` grows.
        if self.version.is_none() || !watches.is_unchanged(self.watch) {
            self.watch = watches.add(&self.path);
            let version = fs::metadata(&self.path).ok().map(|found| Version::of(&found));
            if version.is_none() || self.version != version {
                self.old = size_of_old_files(&self.path);
                self.version = version.and_then(|version| version.if_older_than(CLOCK_STEP));
            }
        }
        log.bytes = log.bytes.saturating_add(self.old);
        if let Ok(current) = fs::symlink_metadata(&self.current) {
            log.bytes = log.bytes.saturating_add(current.len());
            log.last_write = log.last_write.max(current.modified().ok());
        }
    }
}

fn size_of_old_files(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().take(MOST_LOG_FILES);
    let is_old = |name: &[u8]| name == b"previous" || name.starts_with(b"@");
    let old = files.filter(|file| is_old(file.file_name().as_bytes()));
    old.filter_map(|file| file.metadata().ok())
        .fold(0, |sum, found| sum.saturating_add(found.len()))
}
