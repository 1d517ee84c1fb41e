//! The text of the stamp before each line.

use super::script::Stamp;
use crate::text::decimal::Decimal;
use crate::time::calendar::Date;
use crate::time::tai::Tai64n;

/// Size of the buffer: the longest stamp, with any year, fits.
const CAPACITY: usize = 48;

/// The text of a stamp, with the space after it.
#[derive(Clone, Copy, Debug)]
pub struct StampText {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl StampText {
    /// Formats a moment.
    #[must_use]
    pub fn new(stamp: Stamp, moment: Tai64n) -> Self {
        let mut text = Self { bytes: [0; CAPACITY], length: 0 };
        match stamp {
            Stamp::None => {}
            Stamp::Tai64n => text.push(&moment.stamp()),
            Stamp::Seconds => text.push_seconds(moment),
            Stamp::Date => text.push_date(moment),
        }
        text
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }

    /// Appends a number with leading zeros.
    fn push_padded(&mut self, number: u64, digits: usize) {
        let number = Decimal::new(number);
        for _ in number.as_bytes().len()..digits {
            self.push(b"0");
        }
        self.push(number.as_bytes());
    }

    /// Appends the format of accustamp(1): `1795257900.123456 `.
    fn push_seconds(&mut self, moment: Tai64n) {
        let seconds = moment.to_unix();
        if seconds < 0 {
            self.push(b"-");
        }
        self.push_padded(seconds.unsigned_abs(), 1);
        self.push(b".");
        self.push_padded(u64::from(moment.nanoseconds / 1000), 6);
        self.push(b" ");
    }

    /// Appends `2026-11-21T10:45:00.123456Z `.
    fn push_date(&mut self, moment: Tai64n) {
        let seconds = moment.to_unix();
        let Date { year, month, day } = Date::of_day(seconds.div_euclid(86400));
        if year < 0 {
            self.push(b"-");
        }
        self.push_padded(year.unsigned_abs(), 4);
        self.push(b"-");
        self.push_padded(month.into(), 2);
        self.push(b"-");
        self.push_padded(day.into(), 2);
        let of_day = seconds.rem_euclid(86400).unsigned_abs();
        for (mark, number) in [(b"T", of_day / 3600), (b":", of_day / 60 % 60), (b":", of_day % 60)]
        {
            self.push(mark);
            self.push_padded(number, 2);
        }
        self.push(b".");
        self.push_padded(u64::from(moment.nanoseconds / 1000), 6);
        self.push(b"Z ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn text(stamp: Stamp, seconds: i64, nanoseconds: u32) -> String {
        let text = StampText::new(stamp, Tai64n::from_unix(seconds, nanoseconds));
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn each_stamp_has_its_format() {
        assert_eq!(text(Stamp::None, 7, 5), "");
        assert_eq!(text(Stamp::Tai64n, 0, 500), "@400000000000000a000001f4 ");
        assert_eq!(text(Stamp::Seconds, 1_795_257_900, 12_345_678), "1795257900.012345 ");
        assert_eq!(text(Stamp::Seconds, 7, 500), "7.000000 ");
        assert_eq!(text(Stamp::Date, 1_795_257_900, 12_345_678), "2026-11-21T10:45:00.012345Z ");
        assert_eq!(text(Stamp::Date, -1, 999_999_999), "1969-12-31T23:59:59.999999Z ");
        assert_eq!(text(Stamp::Date, 951_782_400, 0), "2000-02-29T00:00:00.000000Z ");
    }

    #[test]
    fn the_most_distant_moments_fit() {
        for seconds in [i64::MIN, i64::MAX, 0x7fff_ffff_ffff] {
            for stamp in [Stamp::Seconds, Stamp::Date] {
                assert!(text(stamp, seconds, u32::MAX).ends_with(' '));
            }
        }
    }
}
