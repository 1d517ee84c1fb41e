//! Giving up privileges for this process and its programs.

use crate::{Errno, Result};
use rustix::thread::{
    CapabilitySet, capabilities, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// Sets `no_new_privs`: an exec grants no set-user-ID rights and no file capabilities.
///
/// # Errors
/// EINVAL: before Linux 3.5.
pub fn no_new_privileges() -> Result<()> {
    set_no_new_privs(true)
}

/// Drops every capability outside `mask` from the bounding set and from the inheritable set. Bit
/// `n` of `mask` stands for capability number `n`. Affects the programs that this process execs;
/// the process itself keeps its capabilities until then.
///
/// # Errors
/// EPERM: a capability must be dropped and the process is not privileged; some may be dropped
/// already.
pub fn keep_capabilities(mask: u64) -> Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if mask & one.bits() != 0 {
            continue;
        }
        match capability_is_in_bounding_set(one) {
            Ok(true) => remove_capability_from_bounding_set(one)?,
            Ok(false) => {}
            // The kernel does not have this capability, so it has no higher one.
            Err(Errno::INVAL) => break,
            Err(other) => return Err(other),
        }
    }
    // An exec grants inheritable capabilities without regard to the bounding set.
    let mut sets = capabilities(None)?;
    let inherited = sets.inheritable.bits();
    if inherited & !mask != 0 {
        sets.inheritable = CapabilitySet::from_bits_retain(inherited & mask);
        set_capabilities(None, sets)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString as _};

    /// Runs a test in its own thread, because the kernel keeps capabilities per thread.
    fn in_own_thread<T: Send>(test: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(test).join().unwrap())
    }

    fn status(key: &str) -> String {
        let all = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = all.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_string()
    }

    fn set(key: &str) -> u64 {
        u64::from_str_radix(&status(key), 16).unwrap()
    }

    #[test]
    fn no_new_privileges_sets_the_flag() {
        in_own_thread(|| {
            no_new_privileges().unwrap();
            assert_eq!(status("NoNewPrivs:"), "1");
        });
    }

    #[test]
    fn keep_capabilities_limits_the_bounding_set() {
        const KILL: u64 = 1 << 5;
        const SETPCAP: u64 = 1 << 8;
        in_own_thread(|| {
            let before = set("CapBnd:");
            keep_capabilities(u64::MAX).unwrap();
            keep_capabilities(before).unwrap();
            assert_eq!(set("CapBnd:"), before);
            match keep_capabilities(KILL) {
                Ok(()) => {
                    assert_eq!(set("CapBnd:"), before & KILL);
                    assert_eq!(set("CapInh:") & !KILL, 0);
                    assert_eq!(set("CapAmb:") & !KILL, 0);
                    keep_capabilities(KILL).unwrap();
                }
                Err(error) => {
                    assert_eq!(error, Errno::PERM);
                    assert_eq!(set("CapEff:") & SETPCAP, 0);
                }
            }
        });
    }

    #[test]
    fn keep_capabilities_limits_the_inheritable_set() {
        const KILL: u64 = 1 << 5;
        in_own_thread(|| {
            let mut sets = capabilities(None).unwrap();
            if sets.permitted.bits() & KILL == 0 || set("CapEff:") & 1 << 8 == 0 {
                return;
            }
            sets.inheritable |= CapabilitySet::KILL | CapabilitySet::CHOWN;
            set_capabilities(None, sets).unwrap();
            keep_capabilities(KILL).unwrap();
            assert_eq!(set("CapInh:"), KILL);
        });
    }
}
