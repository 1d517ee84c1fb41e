//! The clocks.

use crate::kernel;
use crate::process::Pid;
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

/// The processor time that all threads of another process have used, in nanoseconds. `None` if there is no
/// such process. The kernel tells it to every user, without a file (clock_getcpuclockid(3)).
#[must_use]
pub fn processor_time_of(pid: Pid) -> Option<u64> {
    // The id of the clock: the inverted process id, and 2 for the time as the scheduler counts it.
    let clock = !pid.get().cast_unsigned() << 3 | 2;
    // A process has used some time when it is there.
    Some(nanoseconds_of(clock)).filter(|time| *time > 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_has_a_clock() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pid = Pid::new(i32::try_from(child.id()).unwrap()).unwrap();
        let time = processor_time_of(pid);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(time.is_some_and(|time| time < 10_000_000_000), "{time:?}");
        assert_eq!(processor_time_of(pid), None);
        let own = Pid::new(i32::try_from(std::process::id()).unwrap()).unwrap();
        let before = processor_time();
        assert!(processor_time_of(own).is_some_and(|time| time >= before));
    }
}
