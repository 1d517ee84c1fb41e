//! Readiness and health: `notification-fd`, `notify-socket`, `timeout-ready`, and the checks.

use core::time::Duration;

/// How a service reports that it is ready. The first report counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadinessOptions {
    /// `notification-fd`: the service writes a newline to this descriptor.
    pub descriptor: Option<u16>,
    /// `notify-socket`: the service sends `READY=1` to a socket, as under systemd.
    pub socket: bool,
    /// `notify-socket` says `abstract`: the socket has an abstract name instead of a path.
    pub abstract_socket: bool,
    /// `timeout-ready`: a service that is not ready after this time is restarted.
    pub timeout: Option<Duration>,
}

/// How often `./check` runs, and when its failures restart the service.
///
/// The first success makes the service ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `check-interval`: the time from the end of one check to the start of the next.
    pub interval: Duration,
    /// `timeout-check`: a check that runs longer has failed.
    pub timeout: Duration,
    /// `check-failures`: the number of failures in a row that restarts the service.
    pub failures: u32,
}
