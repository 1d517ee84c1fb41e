//! Local time: time zone files and POSIX TZ strings, with the answers of the C library.
//!
//! A zone says for a moment how far local time is ahead of UTC, and whether leap seconds lie
//! before it (the `right/` zones count them). Where the C library has a choice, as before the first
//! change of a file or for a TZ string without rules, its choice is made here too, because the
//! original asks it.

use alloc::vec::Vec;

/// A time zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Moments from which on another offset holds, in order.
    changes: Vec<Change>,
    /// The offset before the first of them, in seconds east of UTC.
    before: i64,
    /// What holds after the last of them, if a rule says so.
    rule: Option<Rule>,
    /// Moments from which on another number of leap seconds has passed, in order.
    leaps: Vec<Leap>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    at: i64,
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leap {
    at: i64,
    total: i64,
}

/// Local time for a span of moments, [`Span::from`] up to but without [`Span::until`], in all of
/// which it is so far ahead of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment, in seconds since 1970.
    pub from: i64,
    /// The moment after the last.
    pub until: i64,
    /// What to add to a moment.
    pub offset: i64,
    /// Further seconds to show in the seconds field: 1 during a leap second, `23:59:60`.
    pub extra: i64,
}

/// A TZ string: one offset, or two that take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    standard: i64,
    summer: Option<Summer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Summer {
    offset: i64,
    begins: Day,
    ends: Day,
}

/// A day of the year and a time on it, in local seconds after its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    kind: DayKind,
    time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayKind {
    /// `Jn`: 1 to 365; February 29 is never counted.
    Julian(i64),
    /// `n`: 0 to 365; February 29 is counted.
    Zero(i64),
    /// `Mm.w.d`: the w-th (5: the last) weekday d of month m.
    Month { month: i64, week: i64, weekday: i64 },
}

impl Zone {
    /// Universal time.
    #[must_use]
    pub const fn utc() -> Self {
        Self { changes: Vec::new(), before: 0, rule: None, leaps: Vec::new() }
    }

    /// Reads a compiled time zone file, as in /usr/share/zoneinfo.
    #[must_use]
    pub fn from_file(bytes: &[u8]) -> Option<Self> {
        let header = Header::read(bytes)?;
        if header.version == 0 {
            return header.body(bytes, 4, &[]);
        }
        // The first part has the times that fit into 32 bits, for old readers.
        let second = bytes.get(Header::LEN + header.body_len(4)..)?;
        let header = Header::read(second)?;
        let footer = second.get(Header::LEN + header.body_len(8)..)?;
        let footer = footer.strip_prefix(b"\n").unwrap_or_default();
        let end = footer.iter().position(|&c| c == b'\n').unwrap_or(0);
        header.body(second, 8, footer.get(..end).unwrap_or_default())
    }

    /// Reads a POSIX TZ string, like `CET-1CEST,M3.5.0,M10.5.0/3`. What cannot be read counts as
    /// far as it could be; what has no name and offset is universal time.
    #[must_use]
    pub fn from_string(text: &[u8]) -> Self {
        Self { rule: Rule::read(text), ..Self::utc() }
    }

    /// Local time at a moment, and how far around it the same holds.
    #[must_use]
    pub fn at(&self, moment: i64) -> Span {
        let mut span = self.offset_at(moment);
        // The last change of leap seconds that is not after the moment.
        let next = self.leaps.partition_point(|leap| leap.at <= moment);
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
            // A second was left out: none is shown as another.
            return span;
        }
        if leap.at == moment {
            // In the leap second itself, which is shown as second 60.
            span.extra = 1;
            span.until = moment.saturating_add(1);
        } else {
            span.from = span.from.max(leap.at + 1);
        }
        span
    }

    fn offset_at(&self, moment: i64) -> Span {
        let next = self.changes.partition_point(|change| change.at <= moment);
        let until = self.changes.get(next).map(|change| change.at);
        let last = next.checked_sub(1).and_then(|n| self.changes.get(n));
        let from = last.map_or(i64::MIN, |change| change.at);
        match (&self.rule, until) {
            // After the last change, or without any, the rule knows.
            (Some(rule), None) if last.is_some() || self.changes.is_empty() => {
                let span = rule.at(moment);
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

/// The counts at the front of a time zone file's part.
struct Header {
    version: u8,
    leaps: usize,
    changes: usize,
    types: usize,
    names: usize,
    /// The lengths of the two lists of flags which nobody needs.
    flags: usize,
}

impl Header {
    const LEN: usize = 44;

    fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"TZif")?;
        let (&version, rest) = rest.split_first()?;
        let counts = rest.get(15..39)?;
        let mut counts = counts.chunks_exact(4).map(|c| usize::try_from(number(c)).ok());
        let mut next = || counts.next().flatten();
        let (ut_flags, std_flags) = (next()?, next()?);
        Some(Self {
            version,
            leaps: next()?,
            changes: next()?,
            types: next()?,
            names: next()?,
            flags: ut_flags.checked_add(std_flags)?,
        })
    }

    /// The length of what follows the header, with times of `width` bytes.
    const fn body_len(&self, width: usize) -> usize {
        self.changes
            .saturating_mul(width + 1)
            .saturating_add(self.types.saturating_mul(6))
            .saturating_add(self.names)
            .saturating_add(self.leaps.saturating_mul(width + 4))
            .saturating_add(self.flags)
    }

    fn body(&self, part: &[u8], width: usize, footer: &[u8]) -> Option<Zone> {
        let body = part.get(Self::LEN..)?.get(..self.body_len(width))?;
        let (times, rest) = body.split_at_checked(self.changes * width)?;
        let (indices, rest) = rest.split_at_checked(self.changes)?;
        let (types, rest) = rest.split_at_checked(self.types * 6)?;
        let leaps = rest.get(self.names..)?;

        let offset_of = |kind: &[u8]| kind.get(..4).map(number);
        let types: Vec<&[u8]> = types.chunks_exact(6).collect();
        // Before the first change the C library takes the first type that is not summer time.
        let first = types.iter().find(|t| t.get(4) == Some(&0)).or(types.first())?;
        let mut changes = Vec::with_capacity(self.changes);
        for (time, index) in times.chunks_exact(width).zip(indices) {
            let offset = offset_of(types.get(usize::from(*index))?)?;
            changes.push(Change { at: number(time), offset });
        }
        let leaps = leaps.chunks_exact(width + 4).take(self.leaps).filter_map(|leap| {
            let (at, total) = leap.split_at_checked(width)?;
            Some(Leap { at: number(at), total: number(total) })
        });
        let rule = if footer.is_empty() { None } else { Rule::read(footer) };
        Some(Zone { changes, before: offset_of(first)?, rule, leaps: leaps.collect() })
    }
}

/// A big-endian number with a sign, of four or eight bytes.
fn number(bytes: &[u8]) -> i64 {
    let start = match bytes.first() {
        Some(0x80..) => -1,
        _ => 0,
    };
    bytes.iter().fold(start, |n, &byte| n << 8 | i64::from(byte))
}

impl Rule {
    fn read(text: &[u8]) -> Option<Self> {
        let mut text = Text(text);
        text.name()?;
        let standard = -text.offset()?;
        if text.name().is_none() {
            return Some(Self { standard, summer: None });
        }
        let offset = text.offset().map_or(standard + 3600, |west| -west);
        // Without rules, those of the United States.
        let default =
            |month, week| Day { kind: DayKind::Month { month, week, weekday: 0 }, time: 7200 };
        let begins = text.day(default(3, 2));
        let ends = if begins.is_some() { text.day(default(11, 1)) } else { None };
        let summer = begins.zip(ends).map(|(begins, ends)| Summer { offset, begins, ends });
        Some(Self { standard, summer })
    }

    fn at(&self, moment: i64) -> Span {
        let year = Date::of_day(moment.div_euclid(DAY)).year;
        let year_from = days_before_year(year).saturating_mul(DAY);
        let year_until = days_before_year(year + 1).saturating_mul(DAY);
        let span = |from, until, offset| Span { from, until, offset, extra: 0 };
        let Some(summer) = &self.summer else {
            return span(i64::MIN, i64::MAX, self.standard);
        };
        // As in the C library, the year is that of universal time.
        let begins = summer.begins.in_year(year).saturating_sub(self.standard);
        let ends = summer.ends.in_year(year).saturating_sub(summer.offset);
        let (first, second) = if begins <= ends { (begins, ends) } else { (ends, begins) };
        let outside = if begins <= ends { self.standard } else { summer.offset };
        let inside = if begins <= ends { summer.offset } else { self.standard };
        if moment < first {
            span(year_from, first.min(year_until), outside)
        } else if moment < second {
            span(year_from.max(first), second.min(year_until), inside)
        } else {
            span(year_from.max(second), year_until, outside)
        }
    }
}

impl Day {
    /// The local moment of this day and time in a year, as if local time were UTC.
    fn in_year(self, year: i64) -> i64 {
        let leap = i64::from(is_leap(year));
        let day = match self.kind {
            // Days from March on have one more before them in a leap year.
            DayKind::Julian(n) => n - 1 + if n >= 60 { leap } else { 0 },
            DayKind::Zero(n) => n,
            DayKind::Month { month, week, weekday } => {
                let start = days_before_month(month, leap);
                let length = days_before_month(month + 1, leap) - start;
                let first = days_before_year(year) + start;
                // 1970-01-01 was a Thursday.
                let first_weekday = (first + 4).rem_euclid(7);
                let mut day = (weekday - first_weekday).rem_euclid(7) + 7 * (week - 1);
                while day >= length {
                    day -= 7;
                }
                start + day
            }
        };
        // The C library takes 1970 for every year before it.
        let midnight = (days_before_year(year).max(0) + day).saturating_mul(DAY);
        midnight.saturating_add(self.time)
    }
}

/// What is left of a TZ string.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Three letters or more, or anything of letters, digits and signs in angle brackets.
    fn name(&mut self) -> Option<()> {
        let quoted = self.0.first() == Some(&b'<');
        let (start, belongs): (usize, fn(&u8) -> bool) = if quoted {
            (1, |c| c.is_ascii_alphanumeric() || *c == b'+' || *c == b'-')
        } else {
            (0, u8::is_ascii_alphabetic)
        };
        let text = self.0.get(start..)?;
        let length = text.iter().take_while(|c| belongs(c)).count();
        let rest = text.get(length..)?;
        let rest = if quoted { rest.strip_prefix(b">")? } else { rest };
        if length < 3 {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    fn digits(&mut self) -> Option<i64> {
        let length = self.0.iter().take_while(|c| c.is_ascii_digit()).count().min(5);
        let (digits, rest) = self.0.split_at_checked(length)?;
        let n = crate::decimal::parse(digits)?;
        self.0 = rest;
        i64::try_from(n).ok()
    }

    /// `hh[:mm[:ss]]` in seconds, of not more than `most` hours.
    fn time(&mut self, most: i64) -> Option<i64> {
        let hours = self.digits()?;
        let mut part = || if self.eat(b':') { self.digits().unwrap_or(0) } else { 0 };
        let (minutes, seconds) = (part(), part());
        Some(hours.min(most) * 3600 + minutes.min(59) * 60 + seconds.min(59))
    }

    fn signed_time(&mut self, most: i64) -> Option<i64> {
        let negative = self.eat(b'-');
        if !negative {
            self.eat(b'+');
        }
        self.time(most).map(|t| if negative { -t } else { t })
    }

    /// Seconds west of UTC.
    fn offset(&mut self) -> Option<i64> {
        match self.0.first() {
            Some(b'+' | b'-' | b'0'..=b'9') => self.signed_time(24),
            _ => None,
        }
    }

    /// `,DAY[/TIME]`, or the default at the end of the text.
    fn day(&mut self, default: Day) -> Option<Day> {
        self.eat(b',');
        let kind = if self.eat(b'J') {
            DayKind::Julian(self.digits().filter(|n| (1..=365).contains(n))?)
        } else if self.eat(b'M') {
            let month = self.digits().filter(|n| (1..=12).contains(n))?;
            let week = self.eat(b'.').then(|| self.digits())?.filter(|n| (1..=5).contains(n))?;
            let weekday = self.eat(b'.').then(|| self.digits())?.filter(|n| (0..=6).contains(n))?;
            DayKind::Month { month, week, weekday }
        } else if self.0.is_empty() {
            return Some(default);
        } else {
            DayKind::Zero(self.digits().filter(|n| (0..=365).contains(n))?)
        };
        let time = if self.eat(b'/') { self.signed_time(i64::from(u16::MAX))? } else { 7200 };
        Some(Day { kind, time })
    }
}

/// Seconds of a day.
const DAY: i64 = 86400;

/// A date of the Gregorian calendar, before and after its introduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The year; 0 is the one before 1.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// The date that is so many days after 1970-01-01.
    #[must_use]
    pub const fn of_day(day: i64) -> Self {
        // Counted in eras of 400 years that begin on March 1, so that the leap day is the last
        // of its year.
        let day = day + 719_468;
        let era = day.div_euclid(146_097);
        let of_era = day.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 31")]
        Self { year, month: month as u8, day: day as u8 }
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01 to the January 1 of a year.
const fn days_before_year(year: i64) -> i64 {
    let y = year - 1;
    365 * (year - 1970) + (y.div_euclid(4) - 492) - (y.div_euclid(100) - 19)
        + (y.div_euclid(400) - 4)
}

/// Days in a year before a month, 1 to 13.
const fn days_before_month(month: i64, leap: i64) -> i64 {
    let before_march = if month > 2 { 2 - leap } else { 0 };
    (367 * month - 362) / 12 - before_march
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_calendar() {
        let date = |year, month, day| Date { year, month, day };
        assert_eq!(Date::of_day(0), date(1970, 1, 1));
        assert_eq!(Date::of_day(-1), date(1969, 12, 31));
        assert_eq!(Date::of_day(11_016), date(2000, 2, 29));
        assert_eq!(Date::of_day(-719_528), date(0, 1, 1));
        for year in -800..2800 {
            assert_eq!(Date::of_day(days_before_year(year)), date(year, 1, 1));
            let leap = i64::from(is_leap(year));
            for month in 1..=12_u8 {
                let first = days_before_year(year) + days_before_month(month.into(), leap);
                assert_eq!(Date::of_day(first), date(year, month, 1));
            }
        }
    }

    #[test]
    fn a_year_whose_end_cannot_be_counted_in_seconds() {
        for rule in ["AAA-24BBB-24,0/65535,365/65535", "AAA24BBB24,365/-65535,M12.5.0/65535"] {
            let zone = Zone::from_string(rule.as_bytes());
            for moment in [i64::MAX, i64::MAX - 86_400, i64::MIN, i64::MIN + 86_400] {
                let span = zone.at(moment);
                assert!(span.from <= moment && (moment < span.until || span.until == i64::MAX));
            }
        }
    }

    #[test]
    fn leap_seconds_that_are_put_in_and_left_out() {
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
    fn central_europe_by_its_rule() {
        let zone = Zone::from_string(b"CET-1CEST,M3.5.0,M10.5.0/3");
        // 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC.
        for (moment, offset) in [
            (1_774_745_999, 3600),
            (1_774_746_000, 7200),
            (1_792_889_999, 7200),
            (1_792_890_000, 3600),
        ] {
            assert_eq!(zone.at(moment).offset, offset, "{moment}");
        }
    }

    #[test]
    fn strings_that_are_none_are_universal_time() {
        for text in [&b""[..], b"X", b"nonsense", b"<+03", b"AB3", b"ABC"] {
            assert_eq!(Zone::from_string(text).at(0).offset, 0);
        }
        assert_eq!(Zone::from_string(b"<+0330>-3:30").at(0).offset, 12_600);
        assert_eq!(Zone::from_string(b"EST5").at(0).offset, -18_000);
    }

    proptest! {
        #[test]
        fn a_span_holds_what_it_was_asked_for_and_one_offset(
            text in "[A-Z]{3}-?[0-9]{1,2}([A-Z]{3}(,M(3|4|9).[1-5].[0-6](/-?[0-9]{1,2})?,M(1|2|10|11).[1-5].[0-6])?)?",
            moment in -100_000_000_000_i64..100_000_000_000,
            step in 0_i64..40_000_000,
        ) {
            let zone = Zone::from_string(text.as_bytes());
            let span = zone.at(moment);
            prop_assert!(span.from <= moment && moment < span.until);
            let other = moment + step;
            if other < span.until {
                prop_assert_eq!(zone.at(other).offset, span.offset);
            }
        }

        #[test]
        fn any_bytes_are_a_zone_or_none(mut bytes in any::<Vec<u8>>(), moment in any::<i64>()) {
            let _ = Zone::from_string(&bytes).at(moment);
            bytes.splice(0..0, *b"TZif2");
            if let Some(zone) = Zone::from_file(&bytes) {
                let _ = zone.at(moment);
            }
        }
    }
}
