//! A reference implementation of tai64nlocal.

use daemontools_core::time::tai::Tai64n;
use daemontools_core::time::zone::Zone;

/// Replaces each label at the beginning of a line by its local time.
#[must_use]
pub fn rewritten(zone: &Zone, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|&c| c == b'\n') {
        let digits = line.iter().skip(1).take_while(|c| b"0123456789abcdef".contains(c)).count();
        let is_label = line.starts_with(b"@") && (24..256).contains(&digits);
        let label = is_label.then(|| &line[1 + digits - 24..=digits]);
        match label.and_then(|label| local_time(zone, label)) {
            Some(date) => {
                out.extend_from_slice(date.as_bytes());
                out.extend_from_slice(&line[1 + digits..]);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

fn local_time(zone: &Zone, digits: &[u8]) -> Option<String> {
    let digits = std::str::from_utf8(digits).ok()?;
    let seconds = u64::from_str_radix(&digits[..16], 16).ok()?;
    let nanoseconds = u32::from_str_radix(&digits[16..], 16).ok()?;
    let time = Tai64n { seconds, nanoseconds }.to_unix();
    let span = zone.at(time);
    let local = time.checked_add(span.offset)?;
    let (year, month, day) = date(local.div_euclid(86_400));
    // The C library's `tm_year` is a 32-bit number.
    i32::try_from(year - 1900).ok()?;
    let of_day = local.rem_euclid(86_400);
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60 + span.extra);
    Some(format!("{year}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}.{nanoseconds:09}"))
}

/// Year, month and day of a day after 1970-01-01, by counting years and months.
#[must_use]
pub fn date(day: i64) -> (i64, i64, i64) {
    const OF_400_YEARS: i64 = 146_097;
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970 + day.div_euclid(OF_400_YEARS) * 400;
    let mut left = day.rem_euclid(OF_400_YEARS);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if left < length {
            return (year, month, left + 1);
        }
        left -= length;
    }
    unreachable!("a year has twelve months")
}
