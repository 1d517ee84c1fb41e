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
    use alloc::string::ToString as _;

    #[test]
    fn numbers_are_read_back() {
        for n in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(Decimal::new(n).as_bytes(), n.to_string().as_bytes());
            assert_eq!(parse(Decimal::new(n).as_bytes()), Some(n));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "-1", "+1", " 1", "1 ", "1k", "18446744073709551616"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
