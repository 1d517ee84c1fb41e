//! The scripts of a service.

/// A script that supervise runs as the process of a service, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// encore's `start`, before the first `run`.
    Start,
    /// The service itself.
    Run,
    /// encore's `stop`, once the service is down.
    Stop,
    /// `finish` of s6 and runit, after each `run`.
    Finish,
}
