//! How much of the machine we get when others want it too.

use crate::{Errno, Result, kernel};
use rustix::process::setpriority_process;

/// Sets the nice value, from -20 (first) to 19 (last); what is beyond becomes one of these.
///
/// # Errors
/// EACCES for less than it is (or than the limit allows) without privilege.
pub fn set_nice(nice: i32) -> Result<()> {
    setpriority_process(None, nice)
}

/// Sets the priority for input and output: the class is 1 for real time, 2 for best effort, 3 for
/// idle, or 0 for what follows from the nice value; the level in it is from 0 (first) to 7 (last).
///
/// # Errors
/// EPERM for real time without privilege, EINVAL for other numbers.
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

    /// The kernel keeps both for each thread, and this one ends with it.
    fn apart<T: Send>(test: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(test).join().unwrap())
    }

    fn nice() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(16).unwrap().parse().unwrap()
    }

    #[test]
    fn a_nicer_process_is_always_allowed() {
        apart(|| {
            let wanted = (nice() + 3).min(19);
            set_nice(wanted).unwrap();
            assert_eq!(nice(), wanted);
            set_nice(1000).unwrap();
            assert_eq!(nice(), 19);
        });
    }

    #[test]
    fn the_idle_class_is_always_allowed() {
        apart(|| {
            set_io_priority(2, 6).unwrap();
            set_io_priority(3, 0).unwrap();
            // What comes to a child is what ionice shows.
            if let Ok(shown) = std::process::Command::new("ionice").output() {
                assert_eq!(String::from_utf8(shown.stdout).unwrap().trim(), "idle");
            }
            assert_eq!(set_io_priority(4, 0), Err(Errno::INVAL));
            assert_eq!(set_io_priority(2, 8), Err(Errno::INVAL));
        });
    }
}
