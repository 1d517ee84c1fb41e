//! Times for people (ages, local times) and for programs (RFC 3339).

use crate::failure::{Failure, USAGE};

use crate::logs::local_text::LocalText;
use crate::logs::local_zone::LocalZone;
use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The first and the last second of the years of four digits, as Unix times.
const FOUR_DIGITS: (i64, i64) = (-62_167_219_200, 253_402_300_799);

/// The Unix time, and the nanoseconds behind its second. Times outside the years of four digits are shown as the
/// nearest one.
fn unix(time: SystemTime) -> (i64, u32) {
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let (seconds, nanoseconds) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (whole(after), after.subsec_nanos()),
        Err(before) => match (whole(before.duration()), before.duration().subsec_nanos()) {
            (seconds, 0) => (-seconds, 0),
            (seconds, part) => (-seconds - 1, 1_000_000_000 - part),
        },
    };
    (seconds.clamp(FOUR_DIGITS.0, FOUR_DIGITS.1), nanoseconds)
}

/// The date and the time of day in a zone.
fn in_zone(seconds: i64, zone: LocalZone) -> LocalText {
    let mut text = LocalText::new(zone);
    text.set_second(seconds);
    text
}

/// RFC 3339 in UTC with nanoseconds, as in `2026-11-29T18:22:10.279000000Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let (seconds, nanoseconds) = unix(time);
    let text = in_zone(seconds, LocalZone::utc());
    format!("{}T{}.{nanoseconds:09}Z", ascii(&text.date), ascii(&text.time))
}

/// The local time to the second, without the year if it is this year's: `Nov 26 09:12:04`.
pub(crate) fn local(time: SystemTime) -> String {
    let text = |time| in_zone(unix(time).0, LocalZone::system());
    let (LocalText { date, time, .. }, now) = (text(time), text(SystemTime::now()));
    let [year @ .., _, m1, m2, _, d1, d2] = date;
    let month = usize::from((m1 - b'0') * 10 + m2 - b'1');
    match MONTHS.get(month).filter(|_| now.date.starts_with(&year)) {
        Some(month) => format!("{month} {} {}", ascii(&[d1, d2]), ascii(&time)),
        None => format!("{} {}", ascii(&date), ascii(&time)),
    }
}

/// A text of digits.
fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).unwrap_or_default()
}

/// The time from `since` to now; zero for a time in the future.
pub(crate) fn age(since: SystemTime) -> Duration {
    SystemTime::now().duration_since(since).unwrap_or_default()
}

/// A duration in at most two units: `3d 4h`, `12s`. Less than ten seconds get a decimal.
pub(crate) fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |first: u64, unit: &str, second: u64, small: &str| match second {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit} {second}{small}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// A duration with a decimal below ten seconds: `0.3s`.
pub(crate) fn precise(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        let tenths = time.as_millis() / 100;
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    short(time)
}

/// A duration from the command line: `30s`, `5m`, `500ms`, or seconds without a unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, Failure> {
    let wrong = || {
        let message =
            format!("unable to use the time {text}: not a duration such as 30s, 5m or 500ms");
        Failure::new(USAGE, message)
    };
    spans(text).ok_or_else(wrong)
}

/// A sum of times with units, as in systemd.time(7): `30s`, `1min 30s`, `500ms`. A number without a
/// unit is of seconds.
pub(crate) fn spans(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let tail = tail.trim_start();
        let letters = tail.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (seconds, part) = match unit {
            "us" | "usec" => (0, Duration::from_micros(1)),
            "ms" | "msec" => (0, Duration::from_millis(1)),
            "" | "s" | "sec" | "second" | "seconds" => (1, Duration::ZERO),
            "m" | "min" | "minute" | "minutes" => (60, Duration::ZERO),
            "h" | "hr" | "hour" | "hours" => (3600, Duration::ZERO),
            "d" | "day" | "days" => (86_400, Duration::ZERO),
            _ => return None,
        };
        let whole = Duration::from_secs(number.checked_mul(seconds)?);
        let part =
            if part.is_zero() { part } else { part.checked_mul(u32::try_from(number).ok()?)? };
        total = total.checked_add(whole)?.checked_add(part)?;
        rest = tail.trim_start();
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (7200, "2h"),
            (86_399, "23h 59m"),
            (273_600, "3d 4h"),
        ] {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
        assert_eq!(precise(Duration::from_millis(349)), "0.3s");
    }

    #[test]
    fn durations_of_the_command_line() {
        for (text, time) in [
            ("30s", 30_000),
            ("30", 30_000),
            ("5m", 300_000),
            ("500ms", 500),
            ("1h 30m", 5_400_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(time), "{text}");
        }
        for text in ["", "-5s", "soon", "5 apples", "99999999999999999999s", "5000000000000000d"] {
            assert_eq!(parse_duration(text).unwrap_err().code, USAGE, "{text}");
        }
    }

    #[test]
    fn times_for_programs_are_utc_with_nanoseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        assert_eq!(rfc3339(time), "2023-11-14T22:13:20.000000005Z");
        let before = |time| SystemTime::UNIX_EPOCH - time;
        assert_eq!(rfc3339(before(Duration::new(1, 5))), "1969-12-31T23:59:58.999999995Z");
        assert_eq!(rfc3339(before(Duration::new(1, 0))), "1969-12-31T23:59:59.000000000Z");
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50);
        assert_eq!(rfc3339(far), "9999-12-31T23:59:59.000000000Z");
    }
}
