//! The counters of a service: its starts, and its deaths by cause.

use crate::ServiceDir;
use daemontools_core::state_dir::{counters, history};
use rustix::fs::OFlags;
use std::io;

/// Why a process of a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeathCause {
    /// It exited by itself.
    Exit,
    /// A signal killed it that no command has sent.
    Signal,
    /// A command ended it, or a lost dependency.
    Stop,
    /// Its watchdog, its health check or its readiness timeout ended it.
    Unhealthy,
    /// Its end was not seen.
    Unknown,
}

impl DeathCause {
    /// All causes, in a fixed order.
    pub const ALL: [Self; 5] =
        [Self::Exit, Self::Signal, Self::Stop, Self::Unhealthy, Self::Unknown];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exit => counters::DeathCause::Exit.word(),
            Self::Signal => counters::DeathCause::Signal.word(),
            Self::Stop => counters::DeathCause::Stop.word(),
            Self::Unhealthy => counters::DeathCause::Unhealthy.word(),
            Self::Unknown => counters::DeathCause::Unknown.word(),
        }
    }
}

/// How often a service was started, and how often it died.
///
/// supervise counts from the first history on, through kills, upgrades and reboots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// The starts of `run`.
    pub starts: u32,
    /// The deaths of `run`, in the order of [`DeathCause::ALL`].
    pub deaths: [u32; 5],
}

impl Counters {
    /// The deaths with this cause.
    #[must_use]
    pub fn deaths_by(&self, cause: DeathCause) -> u32 {
        self.deaths.get(cause as usize).copied().unwrap_or(0)
    }
}

impl ServiceDir {
    /// The counters of the service. `None` if no supervise has counted: daemontools and the versions of
    /// ours before 0.2.0 do not.
    ///
    /// # Errors
    /// As for [`ServiceDir::history`].
    pub fn counters(&self) -> io::Result<Option<Counters>> {
        let file = match self.open("history", OFlags::RDONLY) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut room = [0; history::FILE_LEN];
        let count = rustix::io::read(&file, &mut room)?;
        let found = history::latest_counters(room.get(..count).unwrap_or_default());
        Ok(found.map(|found| Counters { starts: found.starts, deaths: found.deaths }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_are_those_of_supervise() {
        let words = DeathCause::ALL.map(DeathCause::word);
        assert_eq!(words, counters::DeathCause::ALL.map(counters::DeathCause::word));
        let counters = Counters { starts: 1, deaths: [1, 2, 3, 4, 5] };
        assert_eq!(DeathCause::ALL.map(|cause| counters.deaths_by(cause)), counters.deaths);
    }
}
