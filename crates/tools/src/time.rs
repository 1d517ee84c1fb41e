//! The clocks, in the types of `daemontools-core`.

use core::time::Duration;
use daemontools_core::tai::Tai64n;
use daemontools_core::time::{Instant, Now};
use daemontools_sys::clock;

/// Now, to reckon with.
pub(crate) fn instant() -> Instant {
    Instant(clock::monotonic())
}

/// Now, to show: to the microsecond, with 500 nanoseconds, as the original writes labels.
pub(crate) fn label() -> Tai64n {
    let (seconds, nanoseconds) = clock::realtime();
    Tai64n::from_unix(seconds, nanoseconds / 1000 * 1000 + 500)
}

/// How long ago the boot was.
pub(crate) fn since_boot() -> Duration {
    Duration::from_nanos(clock::since_boot())
}

/// Now, to reckon with and to show.
pub(crate) fn now() -> Now {
    Now { instant: instant(), label: label() }
}
