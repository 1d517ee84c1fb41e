//! Dates and times as text, for many moments in a row.

use super::local_zone::LocalZone;
use super::stamp::Moment;
use daemontools_core::time::calendar::{Date, SECONDS_PER_DAY};

/// The text of the last second that was asked for.
pub(crate) struct LocalText {
    zone: LocalZone,
    second: i64,
    /// The local day, counted from 1970-01-01.
    pub(crate) day: i64,
    /// `2026-11-30`
    pub(crate) date: [u8; 10],
    /// `14:41:32`
    pub(crate) time: [u8; 8],
    /// `+01:00`
    pub(crate) offset: [u8; 6],
}

impl LocalText {
    pub(crate) const fn new(zone: LocalZone) -> Self {
        Self {
            zone,
            second: i64::MIN,
            day: i64::MIN,
            date: *b"0000-00-00",
            time: *b"00:00:00",
            offset: *b"+00:00",
        }
    }

    /// Sets the texts to those of a moment.
    pub(crate) fn set(&mut self, moment: Moment) {
        self.set_second(moment.seconds());
    }

    /// Sets the texts to those of a Unix time.
    pub(crate) fn set_second(&mut self, second: i64) {
        if second == self.second {
            return;
        }
        self.second = second;
        let offset = self.zone.offset_at(second);
        let local = second.saturating_add(offset);
        let day = local.div_euclid(SECONDS_PER_DAY);
        if day != self.day {
            self.day = day;
            let Date { year, month, day } = Date::of_day(day);
            let year = u32::try_from(year).unwrap_or(0);
            let [y1, y2] = pair(year / 100);
            let [y3, y4] = pair(year);
            let [m1, m2] = pair(month.into());
            let [d1, d2] = pair(day.into());
            self.date = [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2];
        }
        let of_day = u32::try_from(local.rem_euclid(SECONDS_PER_DAY)).unwrap_or(0);
        let [h1, h2] = pair(of_day / 3600);
        let [m1, m2] = pair(of_day / 60 % 60);
        let [s1, s2] = pair(of_day % 60);
        self.time = [h1, h2, b':', m1, m2, b':', s1, s2];
        let minutes = u32::try_from(offset.unsigned_abs() / 60).unwrap_or(0);
        let [h1, h2] = pair(minutes / 60);
        let [m1, m2] = pair(minutes % 60);
        self.offset = [if offset < 0 { b'-' } else { b'+' }, h1, h2, b':', m1, m2];
    }
}

/// The last decimal digit of a number.
const fn digit(n: u32) -> u8 {
    b'0' + (n % 10) as u8
}

/// The last two decimal digits of a number.
const fn pair(n: u32) -> [u8; 2] {
    [digit(n / 10), digit(n)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use daemontools_core::time::zone::Zone;

    fn text(zone: &str, seconds: i64) -> String {
        let zone = Zone::from_string(zone.as_bytes());
        let mut text = LocalText::new(LocalZone::new(zone));
        text.set(Moment::new(seconds, 5).unwrap());
        let parts = [&text.date[..], b"T", &text.time, &text.offset].concat();
        String::from_utf8(parts).unwrap()
    }

    #[test]
    fn moments_have_a_local_date() {
        assert_eq!(text("UTC0", 1_796_049_692), "2026-11-30T14:41:32+00:00");
        assert_eq!(text("<+10>-10", 1_796_049_692), "2026-12-01T00:41:32+10:00");
        assert_eq!(text("<-03>3", -1), "1969-12-31T20:59:59-03:00");
    }
}
