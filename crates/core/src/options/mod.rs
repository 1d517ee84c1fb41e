//! What a service directory asks for beyond `run`: the small files in it.
//!
//! Each of them is optional, and each holds one thing: a number, a word, a list of lines. They are
//! read before every start; what they say holds from that start on. Without any, all is as under
//! daemontools 0.76.

mod background;
mod duration;
mod file;
mod listen;
mod mistake;
mod needs;
mod resources;
mod restart;
mod text;

pub use background::Background;
pub use file::File;
pub use listen::{Address, Listen};
pub use mistake::Mistake;
pub use needs::{Death, Need, find_cycle};
pub use resources::{CpuShare, Priority, Resources, Rlimit};
pub use restart::{Limit, Restart};

use crate::command::Signal;
use crate::decimal;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use core::time::Duration;

/// Whose customs a service directory follows, where names may be there by accident or where the
/// members of the family disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Personality {
    /// The original: `run`, `down`, `log/`.
    #[default]
    Daemontools,
    /// daemontools-encore: `start`, `stop`, `notify`, a file `log`, exit code 100, sessions.
    Encore,
    /// s6: `finish` with s6's arguments, exit code 125, sessions.
    S6,
    /// runit: `finish` with runit's arguments, `check`, `control/`.
    Runit,
}

impl Personality {
    /// The personality of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"daemontools" => Self::Daemontools,
            b"encore" => Self::Encore,
            b"s6" => Self::S6,
            b"runit" => Self::Runit,
            _ => return None,
        })
    }
}

/// How a service is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What it is sent first, before CONT.
    pub signal: Signal,
    /// After what time KILL follows, if it does.
    pub timeout: Option<Duration>,
    /// Who gets the signals.
    pub reach: Reach,
    /// Whether KILL goes to the process group, although the first signal may not (s6).
    pub kill_group: bool,
}

/// Who is meant when a service is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The process alone.
    #[default]
    Process,
    /// Its process group.
    Group,
    /// The process, and, when it has ended, whatever it has left behind.
    Tree,
}

/// How a service says that it is ready to serve. All of these may be there; the first word counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// By a newline on this descriptor.
    pub descriptor: Option<u16>,
    /// By `READY=1` on a socket, as under systemd.
    pub socket: bool,
    /// How long it may take; then the service is started again.
    pub timeout: Option<Duration>,
}

/// How often `./check` is run, and what follows from it. Its first success says that the service
/// is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// From the end of one check to the next.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// After how many failures, one after the other, the service is started again.
    pub failures: u32,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `personality`.
    pub personality: Option<Personality>,
    /// `down-signal`, `timeout-kill`, `stop-scope`, `flag-timeout-killpg`.
    pub stop: Stop,
    /// `timeout-finish`: after what time `finish` is killed, if it is.
    pub finish_timeout: Option<Duration>,
    /// `notification-fd`, `notify-socket`, `timeout-ready`.
    pub ready: Ready,
    /// `timeout-watchdog`: how long the service may be silent on the socket.
    pub watchdog: Option<Duration>,
    /// `check-interval`: none without that file.
    pub check_interval: Option<Duration>,
    /// `timeout-check`.
    pub check_timeout: Duration,
    /// `check-failures`.
    pub check_failures: u32,
    /// `restart-delay`, if there is one.
    pub restart: Option<Restart>,
    /// `restart-limit`.
    pub limit: Option<Limit>,
    /// `max-death-tally`: how many deaths are kept in the list.
    pub tally: Option<u16>,
    /// `lock-fd`: on which descriptor the service holds a lock.
    pub lock_descriptor: Option<u16>,
    /// `background`.
    pub background: Option<Background>,
    /// `needs`.
    pub needs: Vec<Need>,
    /// `listen`.
    pub listen: Vec<Listen>,
    /// `listen-on-demand`: the service is started by the first connection.
    pub on_demand: bool,
    /// `resource-limits`.
    pub resources: Resources,
    /// `no-setsid` (encore), `nosetsid` (s6): no session of its own, where the personality
    /// would give one.
    pub no_session: bool,
}

impl Default for Options {
    /// As under daemontools 0.76.
    fn default() -> Self {
        Self {
            personality: None,
            stop: Stop {
                signal: Signal::Term,
                timeout: None,
                reach: Reach::Process,
                kill_group: false,
            },
            finish_timeout: Some(Duration::from_secs(5)),
            ready: Ready::default(),
            watchdog: None,
            check_interval: None,
            check_timeout: Duration::from_secs(5),
            check_failures: 3,
            restart: None,
            limit: None,
            tally: None,
            lock_descriptor: None,
            background: None,
            needs: Vec::new(),
            listen: Vec::new(),
            on_demand: false,
            resources: Resources::default(),
            no_session: false,
        }
    }
}

impl Options {
    /// Takes what `file` says, in place of what an earlier reading of it said.
    ///
    /// `listen`, `needs`, `resource-limits` and `restart-delay` have lines, of which empty ones
    /// and those that begin with `#` mean nothing. Of flags it counts that they are there. All
    /// others hold one value, which is the first line without blanks at both ends.
    ///
    /// # Errors
    /// The first mistake in it. Then nothing of it is taken.
    pub fn read(&mut self, file: File, text: &[u8]) -> Result<(), Mistake> {
        let time = |parse: fn(&[u8]) -> Option<Duration>, right| value(file, text, parse, right);
        let limit = || time(duration::parse, duration::RIGHT).map(duration::unless_zero);
        let number = |range, right| value(file, text, |text| number(text, range), right);
        match file {
            File::Background => {
                self.background = Some(value(file, text, background::parse, background::RIGHT)?);
            }
            File::CheckFailures => {
                let failures = number(1..=u16::MAX, "a number from 1 to 65535, as in 3")?;
                self.check_failures = failures.into();
            }
            File::CheckInterval => {
                self.check_interval =
                    Some(time(duration::noticeable, "a time of at least 10 ms, as in 30s")?);
            }
            File::DownSignal => {
                let right = "the name or number of a signal, as in HUP or 1";
                self.stop.signal = value(file, text, signal, right)?;
            }
            File::FlagTimeoutKillpg => self.stop.kill_group = true,
            File::Listen => self.listen = listen::parse(text)?,
            File::ListenOnDemand => self.on_demand = true,
            File::LockFd => {
                let right = "the number of a descriptor from 3 to 65535, as in 9";
                self.lock_descriptor = Some(number(3..=u16::MAX, right)?);
            }
            File::MaxDeathTally => {
                self.tally = Some(number(0..=MOST_DEATHS, "a number from 0 to 4096, as in 100")?);
            }
            File::Needs => self.needs = needs::parse(text)?,
            File::NoSetsid => self.no_session = true,
            File::NotificationFd => {
                let right = "the number of a descriptor from 1 to 65535, as in 3";
                self.ready.descriptor = Some(number(1..=u16::MAX, right)?);
            }
            File::NotifySocket => self.ready.socket = true,
            File::Personality => {
                let right = "daemontools, encore, s6 or runit, as in s6";
                self.personality = Some(value(file, text, Personality::named, right)?);
            }
            File::ResourceLimits => self.resources = resources::parse(text)?,
            File::RestartDelay => self.restart = Some(restart::parse(text)?),
            File::RestartLimit => {
                self.limit = Some(value(file, text, Limit::parse, restart::LIMIT_RIGHT)?);
            }
            File::StopScope => {
                let right = "process, group or tree, as in group";
                self.stop.reach = value(file, text, reach, right)?;
            }
            File::TimeoutCheck => {
                self.check_timeout =
                    time(duration::noticeable, "a time of at least 10 ms, as in 5s")?;
            }
            File::TimeoutFinish => self.finish_timeout = limit()?,
            File::TimeoutKill => self.stop.timeout = limit()?,
            File::TimeoutReady => self.ready.timeout = limit()?,
            File::TimeoutWatchdog => self.watchdog = limit()?,
        }
        Ok(())
    }

    /// How `./check` is to be run, if it is.
    #[must_use]
    pub fn check(&self) -> Option<Check> {
        let (timeout, failures) = (self.check_timeout, self.check_failures);
        self.check_interval.map(|interval| Check { interval, timeout, failures })
    }
}

/// How many deaths can be remembered.
const MOST_DEATHS: u16 = 4096;

/// The value of a file that holds one.
fn value<T>(
    file: File,
    text: &[u8],
    parse: impl FnOnce(&[u8]) -> Option<T>,
    right: &'static str,
) -> Result<T, Mistake> {
    let line = text::first(text);
    parse(line).ok_or_else(|| Mistake::new(file, 1, (line, right)))
}

fn number(text: &[u8], range: RangeInclusive<u16>) -> Option<u16> {
    u16::try_from(decimal::parse(text)?).ok().filter(|n| range.contains(n))
}

fn signal(text: &[u8]) -> Option<Signal> {
    match decimal::parse(text) {
        Some(number) => Signal::from_number(u8::try_from(number).ok()?),
        None => Signal::from_name(text),
    }
}

fn reach(text: &[u8]) -> Option<Reach> {
    Some(match text {
        b"process" => Reach::Process,
        b"group" => Reach::Group,
        b"tree" => Reach::Tree,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
