//! Giving up what a program could be allowed.

use crate::{Errno, Result};
use rustix::thread::{
    CapabilitySet, capabilities, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// From now on no program that we run gets more rights than we have: set-user-ID bits and the
/// capabilities of files mean nothing to it.
///
/// # Errors
/// None since Linux 3.5.
pub fn no_new_privileges() -> Result<()> {
    set_no_new_privs(true)
}

/// Lets the programs that we run have these capabilities at most, whoever they run as: bit `n`
/// stands for number `n`, and every other number that the kernel knows is dropped. We ourselves
/// keep what we have until then.
///
/// # Errors
/// EPERM without privilege, if there is anything to drop; some may have been dropped then.
pub fn keep_capabilities(mask: u64) -> Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if mask & one.bits() != 0 {
            continue;
        }
        match capability_is_in_bounding_set(one) {
            Ok(true) => remove_capability_from_bounding_set(one)?,
            Ok(false) => {}
            // The kernel knows neither this one nor those behind it.
            Err(Errno::INVAL) => break,
            Err(other) => return Err(other),
        }
    }
    // What is inherited comes to a program by the side of the bounding set.
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

    /// The kernel keeps all of it for each thread, and this one ends with it.
    fn apart<T: Send>(test: impl FnOnce() -> T + Send) -> T {
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
    fn new_privileges_are_given_up() {
        apart(|| {
            no_new_privileges().unwrap();
            assert_eq!(status("NoNewPrivs:"), "1");
        });
    }

    #[test]
    fn only_what_is_kept_stays_in_the_bounding_set() {
        const KILL: u64 = 1 << 5;
        const SETPCAP: u64 = 1 << 8;
        apart(|| {
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
    fn what_is_inherited_is_dropped_too() {
        const KILL: u64 = 1 << 5;
        apart(|| {
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
