//! CPU and I/O priority.

use crate::{Errno, Result, kernel};
use rustix::process::setpriority_process;

/// Sets the nice value, from -20 (highest priority) to 19 (lowest). Values beyond are clamped.
///
/// # Errors
/// EACCES: a lower value than the limit permits, without privilege.
pub fn set_nice(nice: i32) -> Result<()> {
    setpriority_process(None, nice)
}

/// Sets the I/O priority. `class` is 0 (follows the nice value), 1 (real time), 2 (best effort) or
/// 3 (idle); `level` within it is from 0 (highest) to 7.
///
/// # Errors
/// EPERM: real time without privilege. EINVAL: another number.
pub fn set_io_priority(class: u8, level: u8) -> Result<()> {
    if class > 3 || level > 7 {
        return Err(Errno::INVAL);
    }
    kernel::set_io_priority(i32::from(class) << 13 | i32::from(level))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// Runs a test in its own thread, because the kernel keeps both priorities per thread.
    fn in_own_thread<T: Send>(test: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(test).join().unwrap())
    }

    fn nice() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(16).unwrap().parse().unwrap()
    }

    #[test]
    fn a_lower_cpu_priority_is_always_permitted() {
        in_own_thread(|| {
            let wanted = (nice() + 3).min(19);
            set_nice(wanted).unwrap();
            assert_eq!(nice(), wanted);
            set_nice(1000).unwrap();
            assert_eq!(nice(), 19);
        });
    }

    #[test]
    fn the_idle_class_is_always_permitted() {
        in_own_thread(|| {
            set_io_priority(2, 6).unwrap();
            set_io_priority(3, 0).unwrap();
            // ionice shows the priority that it inherits.
            if let Ok(shown) = std::process::Command::new("ionice").output() {
                assert_eq!(String::from_utf8(shown.stdout).unwrap().trim(), "idle");
            }
            assert_eq!(set_io_priority(4, 0), Err(Errno::INVAL));
            assert_eq!(set_io_priority(2, 8), Err(Errno::INVAL));
        });
    }
}
