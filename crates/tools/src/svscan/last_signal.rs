//! The last signal that svscan sends as process 1.

use core::time::Duration;
use daemontools_core::time::Instant;

/// The default time of a stop in order. Docker kills a container after 10 seconds; the steps here take
/// one or two.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// The last signal that every process got.
#[derive(Clone, Copy)]
pub(super) enum LastSignal {
    /// TERM, and the moment of KILL.
    Term(Instant),
    /// KILL, and the moment of the exit.
    Kill(Instant),
}
