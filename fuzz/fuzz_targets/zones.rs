//! Time zone files and TZ strings of any content: what is said of a moment holds as far around it
//! as is said.
#![no_main]

use daemontools_core::zone::{Span, Zone};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((moments, text)) = data.split_first_chunk::<16>() else {
        return;
    };
    let moments = moments.as_chunks::<8>().0.iter().map(|bytes| i64::from_be_bytes(*bytes));
    let zone = if text.starts_with(b"TZif") {
        let Some(zone) = Zone::from_file(text) else {
            return;
        };
        // In a file without order nothing is said of other moments.
        if !is_ordered(text) {
            for moment in moments {
                let _ = zone.at(moment);
            }
            return;
        }
        zone
    } else {
        Zone::from_string(text)
    };
    for moment in moments.chain([i64::MIN, -1, 0, 951_782_400, 1_774_746_000, i64::MAX]) {
        let span = zone.at(moment);
        let Span { from, until, .. } = span;
        assert!(from <= moment && (moment < until || until == i64::MAX), "{moment} {span:?}");
        for other in [from, until - 1, moment / 2 + from / 2, moment / 2 + until / 2] {
            if from <= other && other < until {
                let there = zone.at(other);
                let same = (there.offset, there.extra) == (span.offset, span.extra);
                assert!(same, "{moment} {span:?}, but {other} {there:?}");
            }
        }
    }
});

/// Whether the moments in the part of a file that counts are in order, those of leap seconds too.
fn is_ordered(file: &[u8]) -> bool {
    let counts = |part: &[u8]| {
        let number =
            |n: usize| u32::from_be_bytes(part[20 + 4 * n..24 + 4 * n].try_into().unwrap());
        // Of UT flags, standard flags, leap seconds, changes, types and letters.
        std::array::from_fn::<usize, 6, _>(|n| number(n) as usize)
    };
    let (mut part, mut width) = (file, 4);
    if file[4] != 0 {
        let [ut, std, leaps, changes, types, letters] = counts(file);
        part = &file[44 + changes * 5 + types * 6 + letters + leaps * 8 + std + ut..];
        width = 8;
    }
    let [_, _, leaps, changes, types, letters] = counts(part);
    let body = &part[44..];
    let moment = |bytes: &[u8]| match width {
        4 => i64::from(i32::from_be_bytes(bytes[..4].try_into().unwrap())),
        _ => i64::from_be_bytes(bytes[..8].try_into().unwrap()),
    };
    let moments = body[..changes * width].chunks(width).map(moment);
    let behind = &body[changes * (width + 1) + types * 6 + letters..];
    let mut leaps = behind[..leaps * (width + 4)].chunks(width + 4).map(moment);
    let mut last = None;
    // No two leap seconds are less than two seconds apart.
    moments.is_sorted()
        && leaps.all(|leap| last.replace(leap).is_none_or(|last| last.saturating_add(1) < leap))
}
