//! Local time, with the last answer of the time zone kept: consecutive lines need the same one.

use daemontools_core::time::zone::{Span, Zone};
use std::env::var_os;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::{Arc, OnceLock};

/// The largest offset of a zone from UTC in seconds, and more.
const LARGEST_OFFSET: i64 = 26 * 3600;

/// The largest file of a zone in bytes. Those of zoneinfo have a few thousand.
const LARGEST_FILE: u64 = 1 << 20;

/// A time zone that answers for many moments in a row.
#[derive(Clone, Debug)]
pub(crate) struct LocalZone {
    zone: Arc<Zone>,
    /// The time with one offset that the last answer is from.
    span: Span,
}

impl LocalZone {
    pub(crate) fn new(zone: impl Into<Arc<Zone>>) -> Self {
        let zone = zone.into();
        Self { span: zone.at(0), zone }
    }

    /// The system's zone (`TZ`, /etc/localtime) when the program asks for it first.
    pub(crate) fn system() -> Self {
        static ZONE: OnceLock<Arc<Zone>> = OnceLock::new();
        Self::new(ZONE.get_or_init(|| system_zone().into()).clone())
    }

    pub(crate) fn utc() -> Self {
        Self::new(Zone::utc())
    }

    /// The seconds that local time is ahead of UTC at a Unix time.
    pub(crate) fn offset_at(&mut self, seconds: i64) -> i64 {
        if !(self.span.from..self.span.until).contains(&seconds) {
            self.span = self.zone.at(seconds);
        }
        self.span.offset
    }

    /// The Unix time of a local time, which is given as the seconds that UTC would have with this
    /// date. A time that a clock shows twice is the first of both; one that it skips counts from
    /// before.
    pub(crate) fn unix_of_local(&mut self, local: i64) -> i64 {
        let unix = local.saturating_sub(self.span.offset);
        // At its beginning a span may show times that the one before has shown.
        let once = self.span.from.saturating_add(LARGEST_OFFSET)..self.span.until;
        if once.contains(&unix) {
            return unix;
        }
        let before = self.zone.at(local.saturating_sub(LARGEST_OFFSET));
        let after = self.zone.at(local.saturating_add(LARGEST_OFFSET));
        let [first, second] =
            [before, after].map(|span| (local.saturating_sub(span.offset), span.offset));
        let is_shown = |(unix, offset): (i64, i64)| self.zone.at(unix).offset == offset;
        let (unix, _) = if !is_shown(first) && is_shown(second) { second } else { first };
        self.span = self.zone.at(unix);
        unix
    }
}

/// The zone of `TZ`, or of the machine.
fn system_zone() -> Zone {
    let [tz, dir] = ["TZ", "TZDIR"].map(var_os);
    let [tz, dir] = [&tz, &dir].map(|value| value.as_deref().map(OsStr::as_bytes));
    Zone::local(tz, dir, |dir, name| {
        let path = OsString::from_vec([dir, b"/", name].concat());
        let mut content = Vec::new();
        File::open(path).ok()?.take(LARGEST_FILE).read_to_end(&mut content).ok()?;
        Some(content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_time_begins_and_ends() {
        let mut zone = LocalZone::new(Zone::from_string(b"CET-1CEST,M3.5.0,M10.5.0/3"));
        let begins = 1_774_746_000; // 2026-03-29 01:00:00 UTC
        for (unix, offset) in [(begins - 1, 3600), (begins, 7200), (begins - 1, 3600)] {
            assert_eq!(zone.offset_at(unix), offset);
            assert_eq!(zone.unix_of_local(unix + offset), unix);
        }
        // 2026-03-29 02:30 does not exist. It is 03:30 then, whatever was asked before.
        for first in [0, begins - 1, begins] {
            zone.offset_at(first);
            assert_eq!(zone.unix_of_local(begins + 5400), begins + 1800, "{first}");
        }
        // 2026-10-25 02:30 is twice: the first is meant.
        let ends = 1_792_890_000;
        for first in [0, ends - 1, ends, ends + 90_000] {
            zone.offset_at(first);
            assert_eq!(zone.unix_of_local(ends + 5400), ends - 1800, "{first}");
        }
        assert_eq!(LocalZone::utc().unix_of_local(5), 5);
    }

    #[test]
    fn the_ends_of_time() {
        let mut zone = LocalZone::new(Zone::from_string(b"CET-1CEST,M3.5.0,M10.5.0/3"));
        for time in [i64::MIN, i64::MAX] {
            zone.unix_of_local(time);
            zone.offset_at(time);
        }
    }
}
