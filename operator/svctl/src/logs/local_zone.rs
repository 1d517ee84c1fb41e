//! Local time, with the last answer of the time zone kept: consecutive lines need the same one.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Zones change their offset at full quarters of an hour.
const QUARTER: i64 = 900;

/// A time zone that answers for many moments in a row.
#[derive(Clone, Debug)]
pub(crate) struct LocalZone {
    zone: TimeZone,
    /// A quarter of an hour in UTC, and its offset.
    of_utc: (i64, i64),
    /// A quarter of an hour of local time, and its offset.
    of_local: (i64, i64),
}

impl LocalZone {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { zone, of_utc: (i64::MIN, 0), of_local: (i64::MIN, 0) }
    }

    /// The system's zone (`TZ`, /etc/localtime).
    pub(crate) fn system() -> Self {
        Self::new(TimeZone::system())
    }

    pub(crate) fn utc() -> Self {
        Self::new(TimeZone::UTC)
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The seconds that local time is ahead of UTC at a Unix time.
    pub(crate) fn offset_at(&mut self, seconds: i64) -> i64 {
        let quarter = seconds.div_euclid(QUARTER);
        if self.of_utc.0 != quarter {
            let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
            self.of_utc = (quarter, self.zone.to_offset(at).seconds().into());
        }
        self.of_utc.1
    }

    /// The Unix time of a local time, which is given as the seconds that UTC would have with this
    /// date. A time that a clock shows twice is the first of both.
    pub(crate) fn unix_of_local(&mut self, local: i64) -> i64 {
        let quarter = local.div_euclid(QUARTER);
        if self.of_local.0 != quarter {
            self.of_local = (quarter, self.offset_of_local(local));
        }
        local.saturating_sub(self.of_local.1)
    }

    fn offset_of_local(&self, local: i64) -> i64 {
        let unix = |local: i64| {
            let civil: DateTime = TimeZone::UTC.to_datetime(Timestamp::from_second(local).ok()?);
            Some(self.zone.to_ambiguous_timestamp(civil).compatible().ok()?.as_second())
        };
        unix(local).map_or(0, |unix| local - unix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn summer_time_begins_and_ends() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let mut zone = LocalZone::new(zone);
        let begins = 1_774_746_000; // 2026-03-29 01:00:00 UTC
        for (unix, offset) in [(begins - 1, 3600), (begins, 7200), (begins - 1, 3600)] {
            assert_eq!(zone.offset_at(unix), offset);
            assert_eq!(zone.unix_of_local(unix + offset), unix);
        }
        // 2026-10-25 02:30 is twice: the first is meant.
        assert_eq!(zone.unix_of_local(1_792_895_400), 1_792_888_200);
        assert_eq!(LocalZone::utc().unix_of_local(5), 5);
    }
}
