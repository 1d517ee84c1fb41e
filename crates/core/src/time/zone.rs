//! Time zones, with the answers of the C library.
//!
//! A zone gives the offset of local time from UTC for a time, and the leap seconds before it (the
//! `right/` zones count them). Where the C library has a choice, as before the first change of a
//! file or for a TZ string without rules, the zone makes the same choice: the original uses it.

use super::tz_string::Rule;
use super::tzif::{Change, Leap, ZoneFile};
use alloc::vec::Vec;

pub use super::span::Span;

/// A time zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// The changes of the offset, in order.
    changes: Vec<Change>,
    /// The offset before the first change, in seconds east of UTC.
    before: i64,
    /// The rule after the last change, if there is one.
    rule: Option<Rule>,
    /// The changes of the leap seconds, in order.
    leaps: Vec<Leap>,
}

impl Zone {
    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self { changes: Vec::new(), before: 0, rule: None, leaps: Vec::new() }
    }

    /// Reads a compiled time zone file, as in /usr/share/zoneinfo; `None` if it is damaged.
    #[must_use]
    pub fn from_file(bytes: &[u8]) -> Option<Self> {
        let ZoneFile { changes, before, leaps, tz_string } = ZoneFile::parse(bytes)?;
        let rule = if tz_string.is_empty() { None } else { Rule::parse(&tz_string) };
        Some(Self { changes, before, rule, leaps })
    }

    /// Reads a POSIX TZ string, like `CET-1CEST,M3.5.0,M10.5.0/3`.
    ///
    /// Without a name and an offset the zone is UTC. An error after these two ends the parsing.
    #[must_use]
    pub fn from_string(text: &[u8]) -> Self {
        Self { rule: Rule::parse(text), ..Self::utc() }
    }

    /// The zone of local time, chosen as by the C library: the file or rule in `TZ`, else the machine's zone,
    /// else UTC. `dir` is the value of `TZDIR`. `read` gives the content of the file `NAME` in `DIR`.
    #[must_use]
    pub fn local(
        tz: Option<&[u8]>,
        dir: Option<&[u8]>,
        read: impl Fn(&[u8], &[u8]) -> Option<Vec<u8>>,
    ) -> Self {
        let from_file = |dir: &[u8], name: &[u8]| Self::from_file(&read(dir, name)?);
        let Some(tz) = tz else { return from_file(b"/etc", b"localtime").unwrap_or_default() };
        let name = tz.strip_prefix(b":").unwrap_or(tz);
        if name.is_empty() {
            return Self::utc();
        }
        let dir = dir.filter(|dir| !dir.is_empty()).unwrap_or(b"/usr/share/zoneinfo");
        let found = match name.strip_prefix(b"/") {
            // An absolute path.
            Some(name) => from_file(b"", name),
            None => from_file(dir, name),
        };
        found.unwrap_or_else(|| Self::from_string(name))
    }

    /// The span of one offset that contains a Unix time.
    #[must_use]
    pub fn at(&self, time: i64) -> Span {
        let mut span = self.offset_at(time);
        // The index of the first leap second after the time.
        let next = self.leaps.partition_point(|leap| leap.at <= time);
        if let Some(leap) = self.leaps.get(next) {
            span.until = span.until.min(leap.at);
        }
        let Some(last) = next.checked_sub(1) else {
            return span;
        };
        let Some(leap) = self.leaps.get(last) else {
            return span;
        };
        span.offset -= leap.total;
        span.from = span.from.max(leap.at);
        let before = last.checked_sub(1).and_then(|n| self.leaps.get(n)).map_or(0, |l| l.total);
        if leap.total <= before {
            // A negative leap second: the clock skips 23:59:59, and no second is shown as :60.
            return span;
        }
        if leap.at == time {
            // The leap second itself, shown as second 60.
            span.extra = 1;
            span.until = time.saturating_add(1);
        } else {
            span.from = span.from.max(leap.at + 1);
        }
        span
    }

    /// The span without leap seconds.
    fn offset_at(&self, time: i64) -> Span {
        let next = self.changes.partition_point(|change| change.at <= time);
        let until = self.changes.get(next).map(|change| change.at);
        let last = next.checked_sub(1).and_then(|n| self.changes.get(n));
        let from = last.map_or(i64::MIN, |change| change.at);
        match (&self.rule, until) {
            // The rule holds after the last change, and in a zone without changes.
            (Some(rule), None) if last.is_some() || self.changes.is_empty() => {
                let span = rule.at(time);
                Span { from: span.from.max(from), ..span }
            }
            _ => Span {
                from,
                until: until.unwrap_or(i64::MAX),
                offset: last.map_or(self.before, |change| change.offset),
                extra: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use core::cell::RefCell;
    use proptest::prelude::*;

    #[test]
    fn the_local_zone_is_in_a_file_or_a_rule() {
        let asked = |tz: Option<&str>, dir: Option<&str>| {
            let names = RefCell::new(Vec::new());
            let zone = Zone::local(tz.map(str::as_bytes), dir.map(str::as_bytes), |dir, name| {
                names.borrow_mut().push([dir, b"/", name].concat());
                None
            });
            let names = names.into_inner().into_iter().map(|name| String::from_utf8(name).unwrap());
            (names.collect::<Vec<_>>(), zone.at(0).offset)
        };
        for (tz, dir, name, offset) in [
            (None, Some("/dir"), "/etc/localtime", 0),
            (Some("AAA-1"), None, "/usr/share/zoneinfo/AAA-1", 3600),
            (Some(":AAA-1"), Some(""), "/usr/share/zoneinfo/AAA-1", 3600),
            (Some("Here"), Some("/dir"), "/dir/Here", 0),
            (Some("/zone"), Some("/dir"), "/zone", 0),
        ] {
            assert_eq!(asked(tz, dir), (alloc::vec![name.into()], offset), "{tz:?}");
        }
        assert_eq!(asked(Some(""), None), (Vec::new(), 0));
        assert_eq!(asked(Some(":"), None), (Vec::new(), 0));
    }

    #[test]
    fn years_beyond_the_largest_time() {
        for rule in ["AAA-24BBB-24,0/65535,365/65535", "AAA24BBB24,365/-65535,M12.5.0/65535"] {
            let zone = Zone::from_string(rule.as_bytes());
            for time in [i64::MAX, i64::MAX - 86_400, i64::MIN, i64::MIN + 86_400] {
                let span = zone.at(time);
                assert!(span.from <= time && (time < span.until || span.until == i64::MAX));
            }
        }
    }

    #[test]
    fn positive_and_negative_leap_seconds() {
        let leap = |at, total| Leap { at, total };
        let leaps = alloc::vec![leap(100, 1), leap(200, 0), leap(i64::MAX, 1)];
        let zone = Zone { leaps, ..Zone::utc() };
        let span = |from, until, offset, extra| Span { from, until, offset, extra };
        assert_eq!(zone.at(99), span(i64::MIN, 100, 0, 0));
        assert_eq!(zone.at(100), span(100, 101, -1, 1));
        assert_eq!(zone.at(101), span(101, 200, -1, 0));
        assert_eq!(zone.at(200), span(200, i64::MAX, 0, 0));
        assert_eq!(zone.at(i64::MAX), span(i64::MAX, i64::MAX, -1, 1));
    }

    #[test]
    fn the_rule_of_central_europe() {
        let zone = Zone::from_string(b"CET-1CEST,M3.5.0,M10.5.0/3");
        // 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC.
        for (time, offset) in [
            (1_774_745_999, 3600),
            (1_774_746_000, 7200),
            (1_792_889_999, 7200),
            (1_792_890_000, 3600),
        ] {
            assert_eq!(zone.at(time).offset, offset, "{time}");
        }
    }

    #[test]
    fn wrong_strings_are_utc() {
        for text in [&b""[..], b"X", b"nonsense", b"<+03", b"AB3", b"ABC"] {
            assert_eq!(Zone::from_string(text).at(0).offset, 0);
        }
        assert_eq!(Zone::from_string(b"<+0330>-3:30").at(0).offset, 12_600);
        assert_eq!(Zone::from_string(b"EST5").at(0).offset, -18_000);
    }

    proptest! {
        #[test]
        fn a_span_contains_its_time_and_one_offset(
            text in "[A-Z]{3}-?[0-9]{1,2}([A-Z]{3}(,M(3|4|9).[1-5].[0-6](/-?[0-9]{1,2})?,M(1|2|10|11).[1-5].[0-6])?)?",
            time in -100_000_000_000_i64..100_000_000_000,
            step in 0_i64..40_000_000,
        ) {
            let zone = Zone::from_string(text.as_bytes());
            let span = zone.at(time);
            prop_assert!(span.from <= time && time < span.until);
            let other = time + step;
            if other < span.until {
                prop_assert_eq!(zone.at(other).offset, span.offset);
            }
        }

        #[test]
        fn any_bytes_are_parsed_without_a_panic(mut bytes in any::<Vec<u8>>(), time in any::<i64>()) {
            let _ = Zone::from_string(&bytes).at(time);
            bytes.splice(0..0, *b"TZif2");
            if let Some(zone) = Zone::from_file(&bytes) {
                let _ = zone.at(time);
            }
        }
    }
}
