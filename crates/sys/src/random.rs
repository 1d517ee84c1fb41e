//! Random numbers.

use crate::{Errno, Result, clock, process};
use rustix::rand::{GetRandomFlags, getrandom};

/// A random number that spreads events of several processes over time. Not for secrets.
#[must_use]
pub fn random_u32() -> u32 {
    let mut bytes = [0; 4];
    match getrandom(&mut bytes, GetRandomFlags::NONBLOCK) {
        Ok(4) => u32::from_ne_bytes(bytes),
        // Early in the boot, or where getrandom is forbidden: the process id differs between
        // processes, the time between calls. The multiplier is 2^32 divided by the golden ratio.
        _ => {
            let [a, b, c, d, ..] = clock::monotonic().to_le_bytes();
            let time = u32::from_le_bytes([a, b, c, d]);
            (time ^ process::id().get().cast_unsigned()).wrapping_mul(0x9E37_79B9)
        }
    }
}

/// A random number that no other process can guess.
///
/// # Errors
/// EAGAIN: the kernel has no randomness yet, early in the boot. ENOSYS: getrandom is forbidden.
pub fn secret_u64() -> Result<u64> {
    let mut bytes = [0; 8];
    match getrandom(&mut bytes, GetRandomFlags::NONBLOCK)? {
        8 => Ok(u64::from_ne_bytes(bytes)),
        _ => Err(Errno::AGAIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_numbers_differ() {
        let first = random_u32();
        assert!((0..4).any(|_| random_u32() != first));
        assert_ne!(secret_u64().unwrap(), secret_u64().unwrap());
    }
}
