//! What happens to a service: the events that the machine takes.

use crate::state_dir::control::{Command, Scope};
use crate::state_dir::phase::Reason;
use crate::{Ended, Pid};
use core::time::Duration;

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The supervision begins.
    Begin,
    /// The answer to [`Effect::Prepare`](super::Effect::Prepare): the service may start, with the
    /// policy that [`Machine::configure`](super::Machine::configure) got.
    Prepared,
    /// The answer to [`Effect::Prepare`](super::Effect::Prepare): the service directory has a
    /// mistake.
    Refused(Reason),
    /// The answer to [`Effect::Prepare`](super::Effect::Prepare): a dependency or the first
    /// connection is missing.
    Blocked,
    /// What blocked the start may be there now.
    Unblocked,
    /// The answer to [`Effect::Spawn`](super::Effect::Spawn): the process exists.
    Spawned(Pid),
    /// The answer to [`Effect::Spawn`](super::Effect::Spawn): the fork failed.
    SpawnFailed,
    /// The process has ended. It was reaped, or another process reaps it.
    Ended(Ended),
    /// The answer to [`Effect::Sweep`](super::Effect::Sweep): no process of the service is left.
    Swept,
    /// Another process is the service from now on: the service named it, or put itself into the
    /// background.
    MainPidChanged(Pid),
    /// The service sent a notification.
    Notified(Notification),
    /// The answer to [`Effect::StartCheck`](super::Effect::StartCheck).
    CheckEnded {
        /// Whether the service is healthy.
        passed: bool,
    },
    /// A dependency was lost without which the service must not go on.
    DependencyLost,
    /// The service is wanted down, and its stop signal is held back for the services that need it.
    /// The command follows when these have ended.
    StopHeld,
    /// Time has passed: [`Machine::deadline`](super::Machine::deadline) is reached. An early tick
    /// does nothing.
    Tick,
    /// A command came, from the control FIFO or as a signal to the supervisor.
    Command(Command, Scope),
}

/// A notification, in the terms of sd_notify(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// `READY=1`, or a line on the notification descriptor.
    Ready,
    /// `RELOADING=1`
    Reloading,
    /// `STOPPING=1`
    Stopping,
    /// `WATCHDOG=1`
    KeepAlive,
    /// `WATCHDOG=trigger`: the service asks for the restart that follows a missed watchdog.
    WatchdogTrigger,
    /// `WATCHDOG_USEC=`: the longest time between two keep-alives from now on.
    WatchdogTimeout(Duration),
    /// `EXTEND_TIMEOUT_USEC=`: the running start or stop takes at least this long from now on.
    ExtendTimeout(Duration),
}
