//! Numbers as text, without the machinery of `core::fmt`, and text as numbers.

/// A number's decimal digits.
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
        // Twenty digits are enough for every u64, so that the zip ends with n at 0.
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

/// The number which `text` is, if it is nothing but digits and fits.
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
    fn numbers_become_text_and_numbers_again() {
        for n in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(Decimal::new(n).as_bytes(), n.to_string().as_bytes());
            assert_eq!(parse(Decimal::new(n).as_bytes()), Some(n));
        }
    }

    #[test]
    fn other_text_is_no_number() {
        for text in ["", "-1", "+1", " 1", "1 ", "1k", "18446744073709551616"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
