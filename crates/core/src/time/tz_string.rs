//! POSIX TZ strings, like `CET-1CEST,M3.5.0,M10.5.0/3` (tzset(3)).

use super::calendar::{Date, SECONDS_PER_DAY, days_before_month, days_before_year, is_leap};
use super::span::Span;

/// The content of a TZ string: one offset, or two that alternate every year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Seconds east of UTC.
    standard: i64,
    summer: Option<Summer>,
}

/// Summer time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Summer {
    /// Seconds east of UTC.
    offset: i64,
    begins: YearTime,
    ends: YearTime,
}

/// A time of the year: a day, and the seconds after its local midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct YearTime {
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

impl Rule {
    /// Parses a TZ string; `None` without a name and an offset.
    ///
    /// An error after these two ends the parsing, as in the C library.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut text = Parser(text);
        text.name()?;
        let standard = -text.offset()?;
        if text.name().is_none() {
            return Some(Self { standard, summer: None });
        }
        let offset = text.offset().map_or(standard + 3600, |west| -west);
        // The C library's default: the rules of the United States.
        let default =
            |month, week| YearTime { kind: DayKind::Month { month, week, weekday: 0 }, time: 7200 };
        let begins = text.day(default(3, 2));
        let ends = if begins.is_some() { text.day(default(11, 1)) } else { None };
        let summer = begins.zip(ends).map(|(begins, ends)| Summer { offset, begins, ends });
        Some(Self { standard, summer })
    }

    /// The span that contains a Unix time; it ends at the end of the UTC year at the latest.
    pub(super) fn at(&self, moment: i64) -> Span {
        let year = Date::of_day(moment.div_euclid(SECONDS_PER_DAY)).year;
        let year_from = days_before_year(year).saturating_mul(SECONDS_PER_DAY);
        let year_until = days_before_year(year + 1).saturating_mul(SECONDS_PER_DAY);
        let span = |from, until, offset| Span { from, until, offset, extra: 0 };
        let Some(summer) = &self.summer else {
            return span(i64::MIN, i64::MAX, self.standard);
        };
        // As in the C library, the year is the UTC year.
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

impl YearTime {
    /// The local time in a year, as a Unix time in which local time counts as UTC.
    fn in_year(self, year: i64) -> i64 {
        let leap = i64::from(is_leap(year));
        let day = match self.kind {
            // A leap year has one more day before March.
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
        // As in the C library, years before 1970 count as 1970.
        let midnight = (days_before_year(year).max(0) + day).saturating_mul(SECONDS_PER_DAY);
        midnight.saturating_add(self.time)
    }
}

/// The rest of a TZ string.
struct Parser<'a>(&'a [u8]);

impl Parser<'_> {
    /// Consumes a byte, if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// A name: at least three letters, or letters, digits and signs in angle brackets.
    fn name(&mut self) -> Option<()> {
        let quoted = self.0.first() == Some(&b'<');
        let (start, is_part): (usize, fn(&u8) -> bool) = if quoted {
            (1, |c| c.is_ascii_alphanumeric() || *c == b'+' || *c == b'-')
        } else {
            (0, u8::is_ascii_alphabetic)
        };
        let text = self.0.get(start..)?;
        let length = text.iter().take_while(|c| is_part(c)).count();
        let rest = text.get(length..)?;
        let rest = if quoted { rest.strip_prefix(b">")? } else { rest };
        if length < 3 {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// A number of at most five digits.
    fn digits(&mut self) -> Option<i64> {
        let length = self.0.iter().take_while(|c| c.is_ascii_digit()).count().min(5);
        let (digits, rest) = self.0.split_at_checked(length)?;
        let n = crate::text::decimal::parse(digits)?;
        self.0 = rest;
        i64::try_from(n).ok()
    }

    /// `hh[:mm[:ss]]` in seconds; the hours are at most `most`.
    fn time(&mut self, most: i64) -> Option<i64> {
        let hours = self.digits()?;
        let mut part = || if self.eat(b':') { self.digits().unwrap_or(0) } else { 0 };
        let (minutes, seconds) = (part(), part());
        Some(hours.min(most) * 3600 + minutes.min(59) * 60 + seconds.min(59))
    }

    /// The same with an optional sign.
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
    fn day(&mut self, default: YearTime) -> Option<YearTime> {
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
        Some(YearTime { kind, time })
    }
}
