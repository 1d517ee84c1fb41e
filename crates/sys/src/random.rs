//! Chance.

use crate::{clock, process};
use rustix::rand::{GetRandomFlags, getrandom};

/// A number that nobody else is likely to get at the same moment. For spreading what would happen
/// at once, not for secrets.
#[must_use]
pub fn random_u32() -> u32 {
    let mut bytes = [0; 4];
    match getrandom(&mut bytes, GetRandomFlags::NONBLOCK) {
        Ok(4) => u32::from_ne_bytes(bytes),
        // Early in the boot, or where it is forbidden: two processes differ in their ids, and two
        // calls in their moments. The multiplier is 2 to the 32nd by the golden ratio.
        _ => {
            let [a, b, c, d, ..] = clock::monotonic().to_le_bytes();
            let moment = u32::from_le_bytes([a, b, c, d]);
            (moment ^ process::id().get().cast_unsigned()).wrapping_mul(0x9E37_79B9)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ() {
        let first = random_u32();
        assert!((0..4).any(|_| random_u32() != first));
    }
}
