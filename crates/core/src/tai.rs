//! TAI64N labels, as this package has always written them.

/// The label of the second in which 1970 began (UTC): 2^62, and the ten seconds by which TAI was
/// ahead of UTC. There is no table of leap seconds, neither for writing nor for reading.
pub const UNIX_EPOCH: u64 = 4_611_686_018_427_387_914;

/// A moment as a label: seconds since [`UNIX_EPOCH`] minus that constant, and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tai64n {
    /// The label's seconds.
    pub seconds: u64,
    /// The nanoseconds, below a thousand million in a valid label.
    pub nanoseconds: u32,
}

impl Tai64n {
    /// The label of a time of day: seconds since 1970, and nanoseconds.
    #[must_use]
    pub const fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        Self { seconds: UNIX_EPOCH.wrapping_add_signed(seconds), nanoseconds }
    }

    /// The external form: seconds and nanoseconds, both big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 12] {
        let mut out = [0; 12];
        let (seconds, nanoseconds) = out.split_at_mut(8);
        seconds.copy_from_slice(&self.seconds.to_be_bytes());
        nanoseconds.copy_from_slice(&self.nanoseconds.to_be_bytes());
        out
    }

    /// A label from its external form.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            seconds: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            nanoseconds: u32::from_be_bytes([i, j, k, l]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specs_example() {
        let label = Tai64n::from_unix(1_700_000_000, 123_456_500);
        let bytes = label.to_bytes();
        assert_eq!(bytes, [0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x07, 0x5b, 0xcb, 0xf4]);
        assert_eq!(Tai64n::from_bytes(bytes), label);
    }

    #[test]
    fn times_before_1970_have_smaller_labels() {
        assert!(Tai64n::from_unix(-1, 0) < Tai64n::from_unix(0, 0));
    }
}
