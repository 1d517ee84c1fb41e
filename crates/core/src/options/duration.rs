//! Times in option files, as in `5000`, `5s`, `2h`.

use crate::text::decimal;
use core::time::Duration;

/// The description of a time without bounds.
pub(super) const EXPECTED: &str = "a time in milliseconds, or with ms, s, m or h, as in 5000 or 5s";

/// A number with a unit. Without one it is milliseconds, as in the files of s6.
pub(super) fn parse(text: &[u8]) -> Option<Duration> {
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        b"" | b"ms" => 1,
        b"s" => 1000,
        b"m" => 60 * 1000,
        b"h" => 60 * 60 * 1000,
        _ => return None,
    };
    Some(Duration::from_millis(decimal::parse(number)?.checked_mul(millis)?))
}

/// The time between repeated events: at least 10 ms, so that they do not keep the processor busy.
pub(super) fn repeatable(text: &[u8]) -> Option<Duration> {
    parse(text).filter(|time| *time >= Duration::from_millis(10))
}

/// A timeout; 0 means none.
pub(super) fn unless_zero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units() {
        let millis = |text| parse(text).map(|d| d.as_millis());
        assert_eq!(millis(b"0"), Some(0));
        assert_eq!(millis(b"5000"), Some(5000));
        assert_eq!(millis(b"5ms"), Some(5));
        assert_eq!(millis(b"5s"), Some(5000));
        assert_eq!(millis(b"2m"), Some(120_000));
        assert_eq!(millis(b"1h"), Some(3_600_000));
        assert_eq!(millis(b"18446744073709551615"), Some(u64::MAX.into()));
        for text in ["", "s", "-1", "+1", "1.5s", "5 s", "5S", "5d", "5ss"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"18446744073709551616"), None);
        assert_eq!(parse(b"18446744073709551615s"), None);
    }

    proptest! {
        #[test]
        fn a_time_in_any_unit_is_read_back(n in 0..=u64::MAX / 3_600_000) {
            for (unit, millis) in [("", 1), ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)] {
                let text = alloc::format!("{n}{unit}");
                prop_assert_eq!(parse(text.as_bytes()), Some(Duration::from_millis(n * millis)));
            }
        }
    }
}
