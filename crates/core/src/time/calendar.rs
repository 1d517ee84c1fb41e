//! The Gregorian calendar.

/// The seconds of a day.
pub const SECONDS_PER_DAY: i64 = 86400;

/// A date of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The astronomical year: 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// The date, if the calendar has it.
    #[must_use]
    pub fn new(year: i64, month: u8, day: u8) -> Option<Self> {
        let date = Self { year, month, day };
        ((1..=12).contains(&month) && day > 0 && Self::of_day(date.to_day()) == date)
            .then_some(date)
    }

    /// The days from 1970-01-01 to the date.
    #[must_use]
    pub const fn to_day(self) -> i64 {
        let leap = if is_leap(self.year) { 1 } else { 0 };
        days_before_year(self.year) + days_before_month(self.month as i64, leap) + self.day as i64
            - 1
    }

    /// The date `day` days after 1970-01-01.
    #[must_use]
    pub const fn of_day(day: i64) -> Self {
        // Eras of 400 years that begin on March 1: the leap day is then the last day of a year.
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

/// Whether a year has a February 29.
pub(super) const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The days from 1970-01-01 to January 1 of a year.
pub(super) const fn days_before_year(year: i64) -> i64 {
    let y = year - 1;
    365 * (year - 1970) + (y.div_euclid(4) - 492) - (y.div_euclid(100) - 19)
        + (y.div_euclid(400) - 4)
}

/// The days of a year before a month from 1 to 13; `leap` is 1 in a leap year.
pub(super) const fn days_before_month(month: i64, leap: i64) -> i64 {
    let before_march = if month > 2 { 2 - leap } else { 0 };
    (367 * month - 362) / 12 - before_march
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_the_calendar_lacks() {
        for (year, month, day) in [(2026, 2, 29), (1900, 2, 29), (2026, 4, 31), (2026, 1, 0)] {
            assert_eq!(Date::new(year, month, day), None);
        }
        for (year, month) in [(2026, 0), (2026, 13), (2026, 255)] {
            assert_eq!(Date::new(year, month, 1), None);
        }
        assert_eq!(Date::new(2000, 2, 29).map(Date::to_day), Some(11_016));
    }

    #[test]
    fn days_become_dates() {
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
                assert_eq!(date(year, month, 1).to_day(), first);
            }
        }
    }
}
