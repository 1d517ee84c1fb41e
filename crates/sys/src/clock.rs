//! The clocks.

use crate::kernel;
use linux_raw_sys::general::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME,
};

/// The monotonic clock in nanoseconds. Setting the time of day does not change it.
#[must_use]
pub fn monotonic() -> u64 {
    nanoseconds_of(CLOCK_MONOTONIC)
}

/// Nanoseconds since boot, including suspended time. The start times of processes in /proc use this
/// clock.
#[must_use]
pub fn since_boot() -> u64 {
    nanoseconds_of(CLOCK_BOOTTIME)
}

/// The processor time that this process has used, in nanoseconds.
#[must_use]
pub fn processor_time() -> u64 {
    nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID)
}

fn nanoseconds_of(clock: u32) -> u64 {
    let (seconds, nanoseconds) = kernel::clock(clock);
    seconds.unsigned_abs().wrapping_mul(1_000_000_000).wrapping_add(nanoseconds.unsigned_abs())
}

/// The time of day: seconds since 1970, and nanoseconds.
#[must_use]
pub fn realtime() -> (i64, u32) {
    let (seconds, nanoseconds) = kernel::clock(CLOCK_REALTIME);
    (seconds, u32::try_from(nanoseconds).unwrap_or(0))
}
