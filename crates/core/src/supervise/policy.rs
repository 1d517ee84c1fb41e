//! What a service directory asks for beyond the original.

use crate::options::{Essential, HealthCheck, Personality, RestartDelay, RestartLimit, StopPolicy};
use crate::state_dir::control::{Scope, Signal};
use core::time::Duration;

/// The scripts of a service directory, as far as its personality allows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// There is a `start`.
    pub start: bool,
    /// There is no `run`, which encore allows.
    pub runless: bool,
    /// There is a `stop`.
    pub stop: bool,
    /// There is a `finish`.
    pub finish: bool,
}

/// The part of the service options that the machine decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which member of the family the service directory is written for.
    pub personality: Personality,
    /// Its scripts.
    pub scripts: Scripts,
    /// How the service is stopped.
    pub stop: StopPolicy,
    /// The time after which `finish` is killed.
    pub finish_timeout: Option<Duration>,
    /// Whether the service notifies its readiness.
    pub notifies_readiness: bool,
    /// The time within which it must be ready.
    pub ready_timeout: Option<Duration>,
    /// The longest time between two keep-alives.
    pub watchdog: Option<Duration>,
    /// Its health check.
    pub check: Option<HealthCheck>,
    /// The delays between a death and the next start.
    pub restart: Option<RestartDelay>,
    /// The number of deaths that makes it fail.
    pub limit: Option<RestartLimit>,
    /// The end that ends its svscan.
    pub essential: Option<Essential>,
}

impl Policy {
    /// The policy of daemontools 0.76, and of a directory without option files.
    pub const ORIGINAL: Self = Self {
        personality: Personality::Daemontools,
        scripts: Scripts { start: false, runless: false, stop: false, finish: false },
        stop: StopPolicy {
            signal: Signal::Term,
            timeout: None,
            scope: Scope::Process,
            kill_group: false,
        },
        finish_timeout: None,
        notifies_readiness: false,
        ready_timeout: None,
        watchdog: None,
        check: None,
        restart: None,
        limit: None,
        essential: None,
    };

    /// Whether the service reports its readiness, itself or through a health check.
    pub(super) const fn reports_readiness(&self) -> bool {
        self.notifies_readiness || self.check.is_some()
    }
}
