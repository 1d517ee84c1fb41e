//! Option files: the small files of a service directory that change supervise's behaviour.
//!
//! Every option file is optional, and holds one thing: a number, a word, or a list of lines.
//! supervise reads them before every start of the service. Without option files it behaves like
//! daemontools 0.76. Their parsed form is [`ServiceOptions`]; service-directory(5) describes them.

mod background;
mod command;
mod duration;
mod essential;
mod listen;
mod lookalike;
mod needs;
mod option_error;
mod option_file;
mod personality;
mod readiness;
mod resource_limits;
mod restart_delay;
mod restart_limit;
mod stop;
mod syntax;

pub use background::Background;
pub use essential::Essential;
pub use listen::{ListenAddress, ListenSocket};
pub use lookalike::Lookalike;
pub use needs::{Dependency, OnDeath, find_cycle};
pub use option_error::OptionError;
pub use option_file::OptionFile;
pub use personality::Personality;
pub use readiness::{HealthCheck, ReadinessOptions};
pub use resource_limits::{CpuQuota, IoPriority, ResourceLimits, Rlimit};
pub use restart_delay::RestartDelay;
pub use restart_limit::RestartLimit;
pub use stop::StopPolicy;

use crate::state_dir::control::{Scope, Signal};
use crate::text::decimal;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use core::time::Duration;

/// The service options: the parsed form of all option files of a service directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// `personality`
    pub personality: Option<Personality>,
    /// `down-signal`, `timeout-kill`, `stop-scope`, `flag-timeout-killpg`
    pub stop: StopPolicy,
    /// `timeout-finish`: the time after which `finish` is killed; `None` is never.
    pub finish_timeout: Option<Duration>,
    /// `notification-fd`, `notify-socket`, `timeout-ready`
    pub ready: ReadinessOptions,
    /// `timeout-watchdog`: the longest time between two messages of the service on the socket.
    pub watchdog: Option<Duration>,
    /// `check-interval`: `None` without that file.
    pub check_interval: Option<Duration>,
    /// `timeout-check`
    pub check_timeout: Duration,
    /// `check-failures`
    pub check_failures: u32,
    /// `restart-delay`: `None` without that file.
    pub restart_delay: Option<RestartDelay>,
    /// `restart-limit`
    pub restart_limit: Option<RestartLimit>,
    /// `max-death-tally`: how many deaths `death_tally` keeps.
    pub max_death_tally: Option<u16>,
    /// `lock-fd`: the descriptor on which the service holds a lock.
    pub lock_descriptor: Option<u16>,
    /// `background`
    pub background: Option<Background>,
    /// `command`: the program and its arguments in the place of `run`.
    pub command: Option<Vec<CString>>,
    /// `essential`: the end of the service ends its svscan.
    pub essential: Option<Essential>,
    /// `needs`
    pub needs: Vec<Dependency>,
    /// `listen`
    pub listen: Vec<ListenSocket>,
    /// `listen-on-demand`: the first connection starts the service.
    pub on_demand: bool,
    /// `resource-limits`
    pub resources: ResourceLimits,
    /// `no-setsid` (encore), `nosetsid` (s6): no session of its own, where the personality
    /// would start one.
    pub no_session: bool,
}

impl Default for ServiceOptions {
    /// The behaviour of daemontools 0.76.
    fn default() -> Self {
        Self {
            personality: None,
            stop: StopPolicy {
                signal: Signal::Term,
                timeout: None,
                scope: Scope::Process,
                kill_group: false,
            },
            finish_timeout: Some(Duration::from_secs(5)),
            ready: ReadinessOptions::default(),
            watchdog: None,
            check_interval: None,
            check_timeout: Duration::from_secs(5),
            check_failures: 3,
            restart_delay: None,
            restart_limit: None,
            max_death_tally: None,
            lock_descriptor: None,
            background: None,
            command: None,
            essential: None,
            needs: Vec::new(),
            listen: Vec::new(),
            on_demand: false,
            resources: ResourceLimits::default(),
            no_session: false,
        }
    }
}

impl ServiceOptions {
    /// Parses the content of an option file, and replaces what an earlier content set.
    ///
    /// `listen`, `needs`, `resource-limits` and `restart-delay` consist of lines; empty lines and
    /// lines that begin with `#` are skipped. Each line of `command` is an argument. A flag is set by the existence of its file; `notify-socket` is
    /// one that may contain a word. All other files hold one value: their first line without blanks at both ends.
    ///
    /// # Errors
    /// The first mistake in the file. Then the options are unchanged.
    pub fn read(&mut self, file: OptionFile, text: &[u8]) -> Result<(), OptionError> {
        let time =
            |parse: fn(&[u8]) -> Option<Duration>, expected| value(file, text, parse, expected);
        let limit = || time(duration::parse, duration::EXPECTED).map(duration::unless_zero);
        let number = |range, expected| value(file, text, |text| number(text, range), expected);
        match file {
            OptionFile::Background => {
                self.background = Some(value(file, text, background::parse, background::EXPECTED)?);
            }
            OptionFile::CheckFailures => {
                let failures = number(1..=u16::MAX, "a number from 1 to 65535, as in 3")?;
                self.check_failures = failures.into();
            }
            OptionFile::CheckInterval => {
                self.check_interval =
                    Some(time(duration::repeatable, "a time of at least 10 ms, as in 30s")?);
            }
            OptionFile::Command => self.command = Some(command::parse(text)?),
            OptionFile::DownSignal => {
                self.stop.signal = value(file, text, stop::signal, stop::SIGNAL_EXPECTED)?;
            }
            OptionFile::Essential => {
                self.essential = Some(value(file, text, essential::parse, essential::EXPECTED)?);
            }
            OptionFile::FlagTimeoutKillpg => self.stop.kill_group = true,
            OptionFile::Listen => self.listen = listen::parse(text)?,
            OptionFile::ListenOnDemand => self.on_demand = true,
            OptionFile::LockFd => {
                let expected = "the number of a descriptor from 3 to 65535, as in 9";
                self.lock_descriptor = Some(number(3..=u16::MAX, expected)?);
            }
            OptionFile::MaxDeathTally => {
                self.max_death_tally =
                    Some(number(0..=MOST_DEATHS, "a number from 0 to 4096, as in 100")?);
            }
            OptionFile::Needs => self.needs = needs::parse(text)?,
            OptionFile::NoSetsid | OptionFile::Nosetsid => self.no_session = true,
            OptionFile::NotificationFd => {
                let expected = "the number of a descriptor from 1 to 65535, as in 3";
                self.ready.descriptor = Some(number(1..=u16::MAX, expected)?);
            }
            OptionFile::NotifySocket => {
                self.ready.socket = true;
                self.ready.abstract_socket = syntax::value(text) == b"abstract";
            }
            OptionFile::Personality => {
                self.personality =
                    Some(value(file, text, Personality::named, personality::EXPECTED)?);
            }
            OptionFile::ResourceLimits => self.resources = resource_limits::parse(text)?,
            OptionFile::RestartDelay => self.restart_delay = Some(restart_delay::parse(text)?),
            OptionFile::RestartLimit => {
                self.restart_limit =
                    Some(value(file, text, RestartLimit::parse, restart_limit::EXPECTED)?);
            }
            OptionFile::StopScope => {
                self.stop.scope = value(file, text, stop::scope, stop::SCOPE_EXPECTED)?;
            }
            OptionFile::TimeoutCheck => {
                self.check_timeout =
                    time(duration::repeatable, "a time of at least 10 ms, as in 5s")?;
            }
            OptionFile::TimeoutFinish => self.finish_timeout = limit()?,
            OptionFile::TimeoutKill => self.stop.timeout = limit()?,
            OptionFile::TimeoutReady => self.ready.timeout = limit()?,
            OptionFile::TimeoutWatchdog => self.watchdog = limit()?,
        }
        Ok(())
    }

    /// The health check, if `check-interval` asks for one.
    #[must_use]
    pub fn check(&self) -> Option<HealthCheck> {
        let (timeout, failures) = (self.check_timeout, self.check_failures);
        self.check_interval.map(|interval| HealthCheck { interval, timeout, failures })
    }
}

/// The largest `max-death-tally`, and the largest number of deaths of a `restart-limit`.
const MOST_DEATHS: u16 = 4096;

/// Parses a file that holds one value.
fn value<T>(
    file: OptionFile,
    text: &[u8],
    parse: impl FnOnce(&[u8]) -> Option<T>,
    expected: &'static str,
) -> Result<T, OptionError> {
    let found = syntax::value(text);
    parse(found).ok_or_else(|| OptionError::new(file, 1, (found, expected)))
}

/// A decimal number in a range.
fn number(text: &[u8], range: RangeInclusive<u16>) -> Option<u16> {
    u16::try_from(decimal::parse(text)?).ok().filter(|n| range.contains(n))
}

#[cfg(test)]
mod tests;
