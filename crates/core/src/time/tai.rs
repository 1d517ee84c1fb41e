//! TAI64N labels as daemontools writes them: without leap seconds.

use core::time::Duration;

/// The seconds of the label of 1970-01-01 00:00:00 UTC: 2^62, plus the 10 seconds that TAI was ahead.
///
/// Labels ignore the leap seconds since then, when they are written and when they are read.
pub const UNIX_EPOCH: u64 = 4_611_686_018_427_387_914;

/// A TAI64N label: a second and its nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tai64n {
    /// Seconds since 1970 UTC plus [`UNIX_EPOCH`].
    pub seconds: u64,
    /// Nanoseconds; less than 1,000,000,000 in a valid label.
    pub nanoseconds: u32,
}

impl Tai64n {
    /// The label of a Unix time.
    #[must_use]
    pub const fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        Self { seconds: UNIX_EPOCH.wrapping_add_signed(seconds), nanoseconds }
    }

    /// The external TAI64N format: seconds and nanoseconds, both big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 12] {
        let mut out = [0; 12];
        let (seconds, nanoseconds) = out.split_at_mut(8);
        seconds.copy_from_slice(&self.seconds.to_be_bytes());
        nanoseconds.copy_from_slice(&self.nanoseconds.to_be_bytes());
        out
    }

    /// Reads the external TAI64N format.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            seconds: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            nanoseconds: u32::from_be_bytes([i, j, k, l]),
        }
    }
}

/// The length of a stamp: a label as text, followed by a space.
pub const STAMP_LEN: usize = 26;

/// The number of hexadecimal digits of a label.
pub const DIGITS: usize = 24;

impl Tai64n {
    /// The label as text, followed by a space: `@`, 24 hexadecimal digits, ` `.
    #[must_use]
    pub fn stamp(self) -> [u8; STAMP_LEN] {
        const DIGIT: &[u8; 16] = b"0123456789abcdef";
        let mut out = [b' '; STAMP_LEN];
        let (at, digits) = out.split_at_mut(1);
        at.fill(b'@');
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.to_bytes()) {
            for (out, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *out = DIGIT.get(usize::from(nibble)).copied().unwrap_or(b' ');
            }
        }
        out
    }

    /// Reads a label from its digits; `None` if one of them is not a lower-case digit.
    #[must_use]
    pub fn from_digits(digits: &[u8; DIGITS]) -> Option<Self> {
        let (parts, _) = digits.as_chunks::<8>();
        let &[high, low, nanoseconds] = parts else { return None };
        let seconds = u64::from(number(high)?) << 32 | u64::from(number(low)?);
        Some(Self { seconds, nanoseconds: number(nanoseconds)? })
    }

    /// Reads the label `@DIGITS` at the beginning of a text; `None` if it is not a valid one.
    #[must_use]
    pub fn from_label(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(b"@")?.first_chunk()?;
        let is_valid = |label: &Self| label.seconds >> 63 == 0 && label.nanoseconds < 1_000_000_000;
        Self::from_digits(digits).filter(is_valid)
    }

    /// The label one microsecond later.
    #[must_use]
    pub const fn next_microsecond(self) -> Self {
        let Self { seconds, nanoseconds } = self;
        if nanoseconds >= 999_999_000 {
            return Self { seconds: seconds.wrapping_add(1), nanoseconds: nanoseconds % 1000 };
        }
        Self { seconds, nanoseconds: nanoseconds + 1000 }
    }

    /// The label `d` earlier.
    #[must_use]
    pub const fn minus(self, d: Duration) -> Self {
        let seconds = self.seconds.wrapping_sub(d.as_secs());
        match self.nanoseconds.checked_sub(d.subsec_nanos()) {
            Some(nanoseconds) => Self { seconds, nanoseconds },
            // Borrow a second, which is longer than the fraction to subtract.
            None => Self {
                seconds: seconds.wrapping_sub(1),
                nanoseconds: (self.nanoseconds + 1_000_000_000).saturating_sub(d.subsec_nanos()),
            },
        }
    }

    /// The label `d` later.
    #[must_use]
    pub const fn plus(self, d: Duration) -> Self {
        let nanoseconds = self.nanoseconds.saturating_add(d.subsec_nanos());
        let carry = if nanoseconds >= 1_000_000_000 { 1 } else { 0 };
        Self {
            seconds: self.seconds.wrapping_add(d.as_secs()).wrapping_add(carry),
            nanoseconds: nanoseconds - if carry == 1 { 1_000_000_000 } else { 0 },
        }
    }

    /// The nanoseconds from another label to this one; 0 if the other one is later.
    #[must_use]
    pub const fn nanoseconds_after(self, other: Self) -> u64 {
        let seconds = self.seconds.saturating_sub(other.seconds).saturating_mul(1_000_000_000);
        if self.seconds < other.seconds {
            return 0;
        }
        seconds.saturating_add(self.nanoseconds as u64).saturating_sub(other.nanoseconds as u64)
    }

    /// The seconds of the Unix time.
    #[must_use]
    pub const fn to_unix(self) -> i64 {
        self.seconds.wrapping_sub(UNIX_EPOCH).cast_signed()
    }
}

/// Reads eight hexadecimal digits; `None` if one of them is not a lower-case digit.
///
/// Every line of a log needs this three times, so all digits are read at once, as the bytes of a
/// word.
const fn number(digits: [u8; 8]) -> Option<u32> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_be_bytes(digits);
    // `0` is 0x30, `a` is 0x61: bit 6 is set in letters only, whose low nibble counts from 1.
    let nibbles = (word & (EACH * 0x0f)) + ((word >> 6) & EACH) * 9;
    // None of these sums carries into the next byte.
    let above_nine = ((nibbles + EACH * (0x80 - 10)) >> 7) & EACH;
    let written = nibbles + EACH * b'0' as u64 + above_nine * (b'a' - b'0' - 10) as u64;
    if written != word || nibbles & (EACH * 0xf0) != 0 {
        return None;
    }
    let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is a copy of its parts")]
    Some((pairs | pairs >> 16) as u32)
}

/// Whether a byte is a digit of a label: lower-case hexadecimal.
#[must_use]
pub const fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_back() {
        let label = Tai64n::from_unix(1_700_000_000, 123_456_500);
        assert_eq!(&label.stamp(), b"@400000006553f10a075bcbf4 ");
        let digits = label.stamp()[1..25].try_into().unwrap();
        assert_eq!(Tai64n::from_digits(&digits), Some(label));
        assert_eq!(label.to_unix(), 1_700_000_000);
        for at in 0..DIGITS {
            for wrong in [b'g', b'A', b' ', b'/', b':', b'`', 0, 0xff] {
                let mut digits = digits;
                digits[at] = wrong;
                assert_eq!(Tai64n::from_digits(&digits), None);
            }
        }
    }

    #[test]
    fn eight_digits_are_read_as_by_from_str_radix() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut digits = *b"09afb3c8";
                digits[at] = byte;
                let text = core::str::from_utf8(&digits).ok().filter(|_| is_digit(byte));
                assert_eq!(number(digits), text.and_then(|t| u32::from_str_radix(t, 16).ok()));
            }
        }
    }

    #[test]
    fn the_external_format() {
        let label = Tai64n::from_unix(1_700_000_000, 123_456_500);
        let bytes = label.to_bytes();
        assert_eq!(bytes, [0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x07, 0x5b, 0xcb, 0xf4]);
        assert_eq!(Tai64n::from_bytes(bytes), label);
    }

    #[test]
    fn subtraction_borrows_a_second() {
        let label = Tai64n::from_unix(1_700_000_000, 123_456_500);
        assert_eq!(label.minus(Duration::ZERO), label);
        assert_eq!(label.minus(Duration::from_nanos(456_500)).nanoseconds, 123_000_000);
        let earlier = Tai64n::from_unix(1_699_999_996, 923_456_500);
        assert_eq!(label.minus(Duration::from_millis(3_200)), earlier);
    }

    #[test]
    fn times_before_1970_have_smaller_labels() {
        assert!(Tai64n::from_unix(-1, 0) < Tai64n::from_unix(0, 0));
    }
}
