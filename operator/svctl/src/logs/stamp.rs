//! The stamps of the family, and the moment that each one means.
//!
//! | stamp | writer |
//! |---|---|
//! | `@` and 24 digits | multilog `t`, svlogd `-t`, s6-log `t`, tai64n |
//! | `1795257900.123456` | multilog `T` (of daemontools-encore too), accustamp |
//! | `2026-11-21T10:45:00.123456Z` | multilog `I` |
//! | `2026-11-30_14:41:32.83585`, `2026-11-30T14:41:32.83585` | svlogd `-tt`, `-ttt`, in UTC |
//! | `2026-11-30 14:41:32.823877199` | s6-log `T`, tai64nlocal, in local time |
//!
//! A stamp ends with a space, two from s6-log's `T`, or with the line.

use super::leap_seconds;
use super::local_zone::LocalZone;
use crate::date_time::{days, fraction, two};
use daemontools_core::time::tai::{DIGITS, Tai64n};
use std::time::{Duration, SystemTime};

const BILLION: i64 = 1_000_000_000;

/// A moment: nanoseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    /// Before every stamp.
    pub(crate) const MIN: Self = Self(i64::MIN);
    /// After every stamp.
    pub(crate) const MAX: Self = Self(i64::MAX);

    /// A Unix time; `None` beyond the years 1678 to 2261.
    pub(crate) fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        let nanoseconds = i64::from(nanoseconds);
        Some(Self(seconds.checked_mul(BILLION)?.checked_add(nanoseconds)?))
    }

    /// The label that daemontools gives it.
    pub(crate) fn label(self) -> String {
        let stamp = Tai64n::from_unix(self.seconds(), self.nanoseconds()).stamp();
        String::from_utf8_lossy(&stamp).trim_end().to_owned()
    }

    pub(crate) fn seconds(self) -> i64 {
        self.0.div_euclid(BILLION)
    }

    /// The nanoseconds behind the second.
    pub(crate) fn nanoseconds(self) -> u32 {
        u32::try_from(self.0.rem_euclid(BILLION)).unwrap_or(0)
    }

    pub(crate) fn of_system_time(time: SystemTime) -> Self {
        let nanoseconds = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanoseconds(after),
            Err(before) => nanoseconds(before.duration()).saturating_neg(),
        })
    }

    pub(crate) fn to_system_time(self) -> SystemTime {
        let time = Duration::from_nanos(self.0.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        let found = if self.0 < 0 { epoch.checked_sub(time) } else { epoch.checked_add(time) };
        found.unwrap_or(epoch)
    }

    pub(crate) fn minus(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// How the writer of a directory counts the seconds of its labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tai {
    /// As daemontools: without the leap seconds since 1972.
    #[default]
    Djb,
    /// As s6: with them. Labels are 27 seconds ahead.
    S6,
}

impl Tai {
    /// The moment of a label.
    pub(crate) fn moment(self, label: Tai64n) -> Option<Moment> {
        let seconds = match self {
            Self::Djb => label.to_unix(),
            Self::S6 => leap_seconds::from_s6(label.to_unix()),
        };
        Moment::new(seconds, label.nanoseconds)
    }
}

/// A line with a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamped<'a> {
    pub(crate) moment: Moment,
    /// The stamp as it is written, without the space.
    pub(crate) label: &'a [u8],
    /// The line behind the stamp.
    pub(crate) message: &'a [u8],
}

/// Reads the stamps of a directory.
#[derive(Clone, Debug)]
pub(crate) struct StampReader {
    tai: Tai,
    zone: LocalZone,
    /// A day, and the days from 1970 to it: consecutive lines have the same date.
    day: ([u8; 10], i64),
}

impl StampReader {
    /// `zone` is that of stamps in local time.
    pub(crate) const fn new(tai: Tai, zone: LocalZone) -> Self {
        Self { tai, zone, day: ([0; 10], 0) }
    }

    /// Reads the stamp of a line, which has no newline; `None` without a valid stamp.
    pub(crate) fn read<'a>(&mut self, line: &'a [u8]) -> Option<Stamped<'a>> {
        match line.first()? {
            b'@' => self.read_label(line),
            b'0'..=b'9' => match line.get(4) {
                Some(b'-') => self.read_date(line),
                _ => read_seconds(line),
            },
            _ => None,
        }
    }

    fn read_label<'a>(&mut self, line: &'a [u8]) -> Option<Stamped<'a>> {
        let label = Tai64n::from_label(line)?;
        let stamped = end_stamp(line, DIGITS + 1, self.tai.moment(label)?)?;
        if self.tai == Tai::S6
            && let Some(second) = self.read_date(stamped.message)
            && stamped.message.get(second.label.len()..)?.starts_with(b"  ")
        {
            // `t T`: both stamps say the same.
            return Some(Stamped { message: second.message, ..stamped });
        }
        Some(stamped)
    }

    /// Reads a date, a time, perhaps a fraction, and perhaps a zone.
    fn read_date<'a>(&mut self, line: &'a [u8]) -> Option<Stamped<'a>> {
        let (date, rest) = line.split_first_chunk::<10>()?;
        let (time, rest) = rest.split_first_chunk::<9>()?;
        let &[separator, h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
        let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (nanoseconds, rest) = fraction(rest)?;
        if self.day.0 != *date {
            self.day = (*date, days(date)?);
        }
        let seconds = self.day.1 * 86_400 + hour * 3600 + minute * 60 + second;
        let (unix, rest) = match (separator, rest) {
            (b' ', rest) => (self.zone.unix_of_local(seconds), rest),
            (b'_', rest) | (b'T', [b'Z', rest @ ..]) => (seconds, rest),
            (b'T', [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, rest @ ..]) => {
                let ahead = two(*h1, *h2)? * 3600 + two(*m1, *m2)? * 60;
                (if *sign == b'+' { seconds - ahead } else { seconds + ahead }, rest)
            }
            (b'T', rest) => (seconds, rest),
            _ => return None,
        };
        let length = line.len() - rest.len();
        let mut stamped = end_stamp(line, length, Moment::new(unix, nanoseconds)?)?;
        if separator == b' ' {
            // s6-log writes two spaces.
            stamped.message = stamped.message.strip_prefix(b" ").unwrap_or(stamped.message);
        }
        Some(stamped)
    }
}

/// Decimal seconds since 1970 with microseconds, as accustamp writes them.
fn read_seconds(line: &[u8]) -> Option<Stamped<'_>> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Since 1973. Fewer digits are a number of the message.
    if !(9..=11).contains(&digits) {
        return None;
    }
    let (number, rest) = line.split_at(digits);
    let seconds = number.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let (nanoseconds, rest) = fraction(rest)?;
    let length = line.len() - rest.len();
    if length - digits != 7 {
        return None;
    }
    end_stamp(line, length, Moment::new(seconds, nanoseconds)?)
}

/// The line with a stamp of this length, behind which there is a space or nothing.
fn end_stamp(line: &[u8], length: usize, moment: Moment) -> Option<Stamped<'_>> {
    let (label, rest) = line.split_at_checked(length)?;
    let message = match rest {
        [b' ', message @ ..] => message,
        [] => rest,
        _ => return None,
    };
    Some(Stamped { moment, label, message })
}

#[cfg(test)]
#[path = "stamp_tests.rs"]
mod tests;
