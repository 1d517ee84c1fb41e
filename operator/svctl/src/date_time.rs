//! Dates and times of ISO 8601 and RFC 3339 as text.

use daemontools_core::time::calendar::{Date, SECONDS_PER_DAY};

/// A date with a time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime {
    /// The Unix time that UTC has with this date and time.
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
    /// The seconds that its zone is ahead of UTC, if the text has one.
    pub(crate) offset: Option<i64>,
}

impl DateTime {
    /// Reads `2026-11-30T14:41:32.5+01:00`. Seconds, fraction and zone may be missing.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (date, rest) = text.split_first_chunk()?;
        let time = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"T"));
        let time = time.or_else(|| rest.strip_prefix(b"t"))?;
        let (of_day, nanoseconds, zone) = time_of_day(time)?;
        let offset = match *zone {
            [] => None,
            [b'Z' | b'z'] => Some(0),
            [sign @ (b'+' | b'-'), h1, h2, ref minutes @ ..] => {
                let minutes = match *minutes {
                    [] => 0,
                    [b':', m1, m2] | [m1, m2] => two(m1, m2)?,
                    _ => return None,
                };
                let ahead = two(h1, h2)? * 3600 + minutes * 60;
                Some(if sign == b'-' { -ahead } else { ahead })
            }
            _ => return None,
        };
        let seconds = days(date)? * SECONDS_PER_DAY + of_day;
        Some(Self { seconds, nanoseconds, offset })
    }
}

/// The days from 1970-01-01 to `YYYY-MM-DD`.
pub(crate) fn days(date: &[u8; 10]) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let small = |tens, ones| u8::try_from(two(tens, ones)?).ok();
    Date::new(year, small(m1, m2)?, small(d1, d2)?).map(Date::to_day)
}

/// The seconds since midnight and the nanoseconds of `HH:MM`, `HH:MM:SS` or `HH:MM:SS.N`, and the rest.
pub(crate) fn time_of_day(text: &[u8]) -> Option<(i64, u32, &[u8])> {
    let (&[h1, h2, b':', m1, m2], rest) = text.split_first_chunk()? else { return None };
    let (second, nanoseconds, rest) = match *rest {
        [b':', s1, s2, ref rest @ ..] => {
            let (nanoseconds, rest) = fraction(rest)?;
            (two(s1, s2)?, nanoseconds, rest)
        }
        _ => (0, 0, rest),
    };
    let (hour, minute) = (two(h1, h2)?, two(m1, m2)?);
    (hour < 24 && minute < 60 && second <= 60).then_some((
        hour * 3600 + minute * 60 + second,
        nanoseconds,
        rest,
    ))
}

/// The nanoseconds of a period and one to nine digits, and the rest; 0 without a period.
pub(crate) fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let count = digits.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (number, rest) = digits.split_at(count);
    let padded = number.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some((padded.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), rest))
}

/// The number of two digits.
pub(crate) fn two(tens: u8, ones: u8) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_dates() {
        for (text, seconds, nanoseconds, offset) in [
            ("2026-11-30T14:41:32.5+01:00", 1_796_049_692, 500_000_000, Some(3600)),
            ("2026-11-30 14:41:32-0330", 1_796_049_692, 0, Some(-12_600)),
            ("2026-11-30t14:41:32z", 1_796_049_692, 0, Some(0)),
            ("2026-11-30 14:41+02", 1_796_049_660, 0, Some(7200)),
            ("2026-11-30 14:41:60.000000001", 1_796_049_720, 1, None),
            ("1969-12-31 23:59:59", -1, 0, None),
            ("0000-01-01 00:00", -62_167_219_200, 0, None),
        ] {
            let expected = DateTime { seconds, nanoseconds, offset };
            assert_eq!(DateTime::parse(text.as_bytes()), Some(expected), "{text}");
        }
        for text in [
            "",
            "2026-11-30",
            "2026-11-30 ",
            "2026-11-30_14:41",
            "2026-11-30 14",
            "2026-11-30 14:41:",
            "2026-11-30 14:41:32.",
            "2026-11-30 14:41:32.0123456789",
            "2026-11-30 14:41:32 Z",
            "2026-11-30 14:41:32+1",
            "2026-11-30 14:41:32+01:0",
            "2026-11-30 24:00",
            "2026-11-30 14:60",
            "2026-11-30 14:41:61",
            "2026-11-31 14:41",
            "2026-00-01 14:41",
        ] {
            assert_eq!(DateTime::parse(text.as_bytes()), None, "{text}");
        }
    }
}
