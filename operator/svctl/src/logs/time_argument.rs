//! The times of `--since` and `--until`.

use super::local_zone::LocalZone;
use super::stamp::{Moment, Tai};
use crate::date_time::{DateTime, days, time_of_day};
use crate::escape::escape;
use crate::failure::{Failure, USAGE};
use crate::times::parse_duration;
use daemontools_core::time::calendar::SECONDS_PER_DAY;
use daemontools_core::time::tai::{DIGITS, Tai64n};
use std::time::SystemTime;

/// The moment of a text: `2026-11-30 14:41:32`, RFC 3339, `14:41`, `today`, `yesterday`, `now`, `5m`
/// or `-5m` (ago), or a TAI64N label.
pub(crate) fn parse(text: &str, zone: LocalZone) -> Result<Moment, Failure> {
    parse_at(text, zone, Moment::of_system_time(SystemTime::now()))
}

/// The moment of a text of RFC 3339.
pub(crate) fn with_zone(text: &[u8]) -> Option<Moment> {
    let time = DateTime::parse(text)?;
    Moment::new(time.seconds - time.offset?, time.nanoseconds)
}

fn parse_at(text: &str, zone: LocalZone, now: Moment) -> Result<Moment, Failure> {
    let text = text.trim();
    find(text, zone, now).ok_or_else(|| {
        let message = format!(
            "unable to use the time {}: not a time such as 2026-11-30 14:41:32, today, -5m or a TAI64N label",
            escape(text)
        );
        Failure::new(USAGE, message)
    })
}

fn find(text: &str, mut zone: LocalZone, now: Moment) -> Option<Moment> {
    let now_local = now.seconds().saturating_add(zone.offset_at(now.seconds()));
    let today = now_local.div_euclid(SECONDS_PER_DAY);
    let mut local = |seconds, nanoseconds| Moment::new(zone.unix_of_local(seconds), nanoseconds);
    match text {
        "now" => return Some(now),
        "today" => return local(today * SECONDS_PER_DAY, 0),
        "yesterday" => return local((today - 1) * SECONDS_PER_DAY, 0),
        _ => {}
    }
    if text.starts_with('@') {
        let label = Tai64n::from_label(text.as_bytes()).filter(|_| text.len() == DIGITS + 1)?;
        return Tai::Djb.moment(label);
    }
    if let Some(moment) = with_zone(text.as_bytes()) {
        return Some(moment);
    }
    if let Some(time) = DateTime::parse(text.as_bytes()) {
        return local(time.seconds, time.nanoseconds);
    }
    if let Some(day) = text.as_bytes().try_into().ok().and_then(days) {
        return local(day * SECONDS_PER_DAY, 0);
    }
    if let Some((of_day, nanoseconds, [])) = time_of_day(text.as_bytes()) {
        return local(today * SECONDS_PER_DAY + of_day, nanoseconds);
    }
    let ago = text.strip_prefix('-').unwrap_or(text);
    let ago = ago.strip_suffix(" ago").unwrap_or(ago);
    if ago.starts_with(['+', '-']) {
        return None;
    }
    Some(now.minus(parse_duration(ago).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daemontools_core::time::zone::Zone;

    #[test]
    fn times_have_many_forms() {
        let zone = LocalZone::new(Zone::from_string(b"CET-1CEST,M3.5.0,M10.5.0/3"));
        let now = with_zone(b"2026-11-30T14:41:32.5Z").unwrap();
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
            let expected = with_zone(expected.as_bytes()).unwrap();
            assert_eq!(parse_at(text, zone.clone(), now).unwrap(), expected, "{text}");
        }
        for text in
            ["", "soon", "2026-13-01", "2026-02-29", "12:30Z", "@4000", "25:00", "-", "--5m", "+5m"]
        {
            assert_eq!(parse_at(text, zone.clone(), now).unwrap_err().code, USAGE, "{text}");
        }
    }
}
