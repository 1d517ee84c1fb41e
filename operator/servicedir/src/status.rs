//! The status of a service, and the words for it.

use crate::time;
use daemontools_core::state_dir::condition::Condition;
use daemontools_core::state_dir::phase;
use daemontools_core::state_dir::status::{self, StatusRecord};
use std::fmt;
use std::num::NonZeroU32;
use std::time::SystemTime;

/// Defines an enum that mirrors one of `daemontools-core`, with the word for each variant.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident = $core:path { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl From<$core> for $name {
            fn from(value: $core) -> Self {
                match value {
                    $(<$core>::$variant => Self::$variant,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

mirror! {
    /// The wanted state of a service.
    Want = status::Want {
        /// It runs, and is restarted when it exits.
        Up = "up",
        /// It stays down.
        Down = "down",
        /// It was started once, and is not restarted.
        Once = "once",
    }
}

mirror! {
    /// The state of a supervised service in one word.
    State = Condition {
        /// Its `start` script runs, or it is up and not ready yet.
        Starting = "starting",
        /// It is up, and nothing reports its readiness.
        Up = "up",
        /// It is ready.
        Ready = "ready",
        /// It was told to stop, or its `stop` or `finish` script runs.
        Stopping = "stopping",
        /// It is down and stays down.
        Down = "down",
        /// It is down and starts again later: after a delay, or with the first connection.
        Waiting = "waiting",
        /// It is down until a dependency is ready.
        Blocked = "blocked",
        /// It failed: only a command starts it again.
        Failed = "failed",
        /// It is stopped by a signal and keeps its process.
        Paused = "paused",
    }
}

mirror! {
    /// The phase of a service, as `supervise/state` names it. [`State`] has fewer words.
    Phase = phase::Phase {
        /// It is down and stays down.
        Down = "down",
        /// It waits for its next start.
        Waiting = "waiting",
        /// It waits until a dependency is ready.
        Blocked = "blocked",
        /// It starts with the first connection.
        Listening = "listening",
        /// Its `start` script runs, or it is up and not ready yet.
        Starting = "starting",
        /// It is up, and nothing reports its readiness.
        Up = "up",
        /// It is ready: it said so, or a health check passed.
        Ready = "ready",
        /// It is ready, and reloads its configuration.
        Reloading = "reloading",
        /// It was told to stop, or says that it stops.
        Stopping = "stopping",
        /// It has ended, and its `finish` or `stop` script runs.
        Finishing = "finishing",
        /// It failed: only a command starts it again.
        Failed = "failed",
    }
}

mirror! {
    /// Why supervise last restarted the service by itself, or does not start it.
    Reason = phase::Reason {
        /// It missed its watchdog, or asked for that restart.
        Watchdog = "watchdog",
        /// Its health check failed.
        Check = "check",
        /// It was not ready in time.
        NotReady = "not-ready",
        /// It died too often.
        Deaths = "deaths",
        /// It exited with code 100.
        Code100 = "code-100",
        /// Its finish script exited with code 125.
        Finish125 = "finish-125",
        /// Its start script failed.
        StartScript = "start-script",
        /// A dependency was lost.
        Needs = "needs",
        /// Its dependencies form a cycle.
        Cycle = "cycle",
        /// An option file has a mistake.
        Options = "options",
        /// What an option file asks for cannot be set up.
        Setup = "setup",
    }
}

impl State {
    /// Whether the service runs and other services can use it.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Up | Self::Ready)
    }
}

impl Reason {
    /// A description for messages, as `svstat -x` has it.
    #[must_use]
    pub fn words(self) -> &'static str {
        phase::Reason::from_word(self.word().as_bytes()).map_or("", phase::Reason::words)
    }
}

/// The status of a service, as supervise publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The process id, if the service is up.
    pub pid: Option<NonZeroU32>,
    /// The time of its last start or exit.
    pub since: SystemTime,
    /// Whether [`Command::Pause`](crate::Command::Pause) stopped the process.
    pub paused: bool,
    /// The wanted state.
    pub want: Want,
}

impl From<StatusRecord> for Status {
    fn from(record: StatusRecord) -> Self {
        Self {
            pid: NonZeroU32::new(record.pid),
            since: time(record.since),
            paused: record.paused,
            want: record.want.into(),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(u8),
    /// supervise did not see how: it was dead at that time.
    Unknown,
}

impl From<daemontools_core::Ended> for End {
    fn from(ended: daemontools_core::Ended) -> Self {
        match ended {
            daemontools_core::Ended::Exited(code) => Self::Exited(code),
            daemontools_core::Ended::Killed(signal) => Self::Killed(signal),
            daemontools_core::Ended::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn a_service_is_usable_once_it_is_ready() {
        assert!(State::Ready.is_usable() && !State::Starting.is_usable());
    }
}
