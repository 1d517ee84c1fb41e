//! A model of a disk with output directories, and of loggers that end after any operation.

pub(crate) mod disk;
mod disk_operations;
pub(crate) mod line_logger;

use daemontools_core::multilog::script::DirectorySettings;
use daemontools_core::time::tai::Tai64n;

/// Why an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The logger is dead.
    Dead,
    /// The next attempt may succeed: the disk was full, for example.
    Temporary,
}

/// A clock that never shows the same time twice.
pub(crate) struct Clock(pub(crate) i64);

impl Clock {
    pub(crate) fn now(&mut self) -> Tai64n {
        self.0 += 1;
        Tai64n::from_unix(self.0, 500)
    }
}

/// A generator of pseudo-random numbers, the same in each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The settings of a directory that keeps `files` files, with the processor `cat` or none.
pub(crate) fn settings(size: u64, files: u64, processor: bool) -> DirectorySettings<'static> {
    let processor: Option<&[u8]> = processor.then_some(b"cat");
    DirectorySettings { size, files, processor, ..DirectorySettings::default_for(b".") }
}

/// More files than any test produces: no old file is removed.
pub(crate) const ALL_FILES: u64 = 1000;
