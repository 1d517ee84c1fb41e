//! The clocks, in the types of `daemontools-core`.

use core::time::Duration;
use daemontools_core::time::tai::Tai64n;
use daemontools_core::time::{Instant, Now};
use daemontools_sys::clock;

/// The current time on the monotonic clock.
pub(crate) fn instant() -> Instant {
    Instant(clock::monotonic())
}

/// The current time of day as a label.
///
/// Like the original's labels it has microseconds, and 500 more nanoseconds.
pub(crate) fn label() -> Tai64n {
    let (seconds, nanoseconds) = clock::realtime();
    Tai64n::from_unix(seconds, nanoseconds / 1000 * 1000 + 500)
}

/// The current time of day in nanoseconds since 1970.
pub(crate) fn realtime_nanoseconds() -> i128 {
    let (seconds, nanoseconds) = clock::realtime();
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

/// The time since the boot, with suspended time.
pub(crate) fn since_boot() -> Duration {
    Duration::from_nanos(clock::since_boot())
}

/// The processor time that this process has used.
pub(crate) fn processor_time() -> Duration {
    Duration::from_nanos(clock::processor_time())
}

/// The current time on both clocks.
pub(crate) fn now() -> Now {
    Now { instant: instant(), label: label() }
}
