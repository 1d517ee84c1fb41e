//! Decimal numbers as text. `core::fmt` would cost several KiB of code.

/// The decimal digits of a number.
pub struct Decimal {
    digits: [u8; 20],
    first: usize,
}

impl Decimal {
    /// The digits of `n`.
    #[must_use]
    pub fn new(mut n: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        // u64::MAX has 20 digits, so the loop reaches n == 0.
        for (i, digit) in digits.iter_mut().enumerate().rev() {
            *digit += u8::try_from(n % 10).unwrap_or(0);
            n /= 10;
            first = i;
            if n == 0 {
                break;
            }
        }
        Self { digits, first }
    }

    /// The digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.first..).unwrap_or_default()
    }
}

/// The last nine digits of a number, such as those of a fraction of a second in nanoseconds.
#[must_use]
pub const fn nine_digits(n: u32) -> [u8; 9] {
    const fn digit(n: u32) -> u8 {
        b'0' + (n % 10) as u8
    }
    // Three parts that do not wait for one another.
    let (high, middle, low) = (n / 1_000_000, n / 1000 % 1000, n % 1000);
    [
        digit(high / 100),
        digit(high / 10),
        digit(high),
        digit(middle / 100),
        digit(middle / 10),
        digit(middle),
        digit(low / 100),
        digit(low / 10),
        digit(low),
    ]
}

/// Parses a number; `None` if `text` is empty, has other bytes than digits, or overflows.
#[must_use]
pub fn parse(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |n, c| {
        let digit = c.is_ascii_digit().then(|| u64::from(c - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;

    #[test]
    fn numbers_are_read_back() {
        for n in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(Decimal::new(n).as_bytes(), n.to_string().as_bytes());
            assert_eq!(parse(Decimal::new(n).as_bytes()), Some(n));
        }
    }

    #[test]
    fn fractions_have_nine_digits() {
        for n in [0, 1, 23_456_789, 123_456_789, 999_000_001, 999_999_999] {
            assert_eq!(nine_digits(n), format!("{n:09}").as_bytes());
        }
        assert_eq!(&nine_digits(u32::MAX), b"294967295");
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "-1", "+1", " 1", "1 ", "1k", "18446744073709551616"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
