//! The times of `--since` and `--until`.

use super::stamp::{Moment, Tai};
use crate::escape::escape;
use crate::failure::{Failure, USAGE};
use crate::times::{parse_duration, timestamp};
use daemontools_core::time::tai::{DIGITS, Tai64n};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use std::time::SystemTime;

/// The moment of a text: `2026-11-30 14:41:32`, RFC 3339, `14:41`, `today`, `yesterday`, `now`, `5m`
/// or `-5m` (ago), or a TAI64N label.
pub(crate) fn parse(text: &str, zone: &TimeZone) -> Result<Moment, Failure> {
    let now = timestamp(SystemTime::now());
    parse_at(text, &now.to_zoned_datetime(zone.clone()))
}

fn parse_at(text: &str, now: &ZonedDateTime) -> Result<Moment, Failure> {
    let text = text.trim();
    find(text, now).ok_or_else(|| {
        let message = format!(
            "unable to use the time {}: not a time such as 2026-11-30 14:41:32, today, -5m or a TAI64N label",
            escape(text)
        );
        Failure::new(USAGE, message)
    })
}

fn find(text: &str, now: &ZonedDateTime) -> Option<Moment> {
    let zone = now.time_zone();
    let start_of = |day: Date| moment(day.to_zoned_datetime(zone.clone()).ok()?.timestamp());
    match text {
        "now" => return moment(now.timestamp()),
        "today" => return start_of(now.date()),
        "yesterday" => return start_of(now.date().yesterday().ok()?),
        _ => {}
    }
    if text.starts_with('@') {
        let label = Tai64n::from_label(text.as_bytes()).filter(|_| text.len() == DIGITS + 1)?;
        return Tai::Djb.moment(label);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return moment(timestamp);
    }
    // A date first: a Date also parses from a text with a time.
    let local = |time: DateTime| moment(time.to_zoned_datetime(zone.clone()).ok()?.timestamp());
    if text.len() > 10 && text.as_bytes().get(4) == Some(&b'-') {
        return local(text.parse().ok()?);
    }
    if let Ok(day) = text.parse::<Date>() {
        return start_of(day);
    }
    if text.contains(':') {
        return local(now.date().to_datetime(text.parse::<Time>().ok()?));
    }
    let ago = text.strip_prefix('-').unwrap_or(text);
    let ago = ago.strip_suffix(" ago").unwrap_or(ago);
    if ago.starts_with(['+', '-']) {
        return None;
    }
    Some(moment(now.timestamp())?.minus(parse_duration(ago).ok()?))
}

fn moment(time: Timestamp) -> Option<Moment> {
    i64::try_from(time.as_nanosecond()).ok().map(Moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_many_forms() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let now = "2026-11-30T14:41:32.5Z".parse::<Timestamp>().unwrap().to_zoned_datetime(zone);
        for (text, expected) in [
            ("now", "2026-11-30T14:41:32.5Z"),
            ("today", "2026-11-29T23:00:00Z"),
            ("yesterday", "2026-11-28T23:00:00Z"),
            ("2026-07-01 12:00:00", "2026-07-01T10:00:00Z"),
            ("2026-07-01 12:00", "2026-07-01T10:00:00Z"),
            ("2026-07-01T12:00:00.25", "2026-07-01T10:00:00.25Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-07-01T12:00:00Z", "2026-07-01T12:00:00Z"),
            ("2026-07-01 12:00:00+02:00", "2026-07-01T10:00:00Z"),
            ("12:30", "2026-11-30T11:30:00Z"),
            ("12:30:05", "2026-11-30T11:30:05Z"),
            ("-5m", "2026-11-30T14:36:32.5Z"),
            ("5m", "2026-11-30T14:36:32.5Z"),
            ("1h 30m ago", "2026-11-30T13:11:32.5Z"),
            ("90", "2026-11-30T14:40:02.5Z"),
            ("@400000006b0d8b2600000005", "2026-11-30T14:41:32.000000005Z"),
        ] {
            let expected = moment(expected.parse().unwrap()).unwrap();
            assert_eq!(parse_at(text, &now).unwrap(), expected, "{text}");
        }
        for text in ["", "soon", "2026-13-01", "@4000", "25:00", "-", "--5m", "+5m"] {
            assert_eq!(parse_at(text, &now).unwrap_err().code, USAGE, "{text}");
        }
    }
}
