//! Time zone files and TZ strings of any content: a span has the same offset at all its times.
#![no_main]

use daemontools_core::time::zone::{Span, Zone};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((times, text)) = data.split_first_chunk::<16>() else {
        return;
    };
    let times = times.as_chunks::<8>().0.iter().map(|bytes| i64::from_be_bytes(*bytes));
    let zone = if text.starts_with(b"TZif") {
        let Some(zone) = Zone::from_file(text) else {
            return;
        };
        // An unordered file has no meaningful spans.
        if !is_ordered(text) {
            for time in times {
                let _ = zone.at(time);
            }
            return;
        }
        zone
    } else {
        Zone::from_string(text)
    };
    for time in times.chain([i64::MIN, -1, 0, 951_782_400, 1_774_746_000, i64::MAX]) {
        let span = zone.at(time);
        let Span { from, until, .. } = span;
        assert!(from <= time && (time < until || until == i64::MAX), "{time} {span:?}");
        for other in [from, until - 1, time / 2 + from / 2, time / 2 + until / 2] {
            if from <= other && other < until {
                let there = zone.at(other);
                let same = (there.offset, there.extra) == (span.offset, span.extra);
                assert!(same, "{time} {span:?}, but {other} {there:?}");
            }
        }
    }
});

/// Whether the changes and the leap seconds of the data block in use are in order.
fn is_ordered(file: &[u8]) -> bool {
    let counts = |part: &[u8]| {
        let number =
            |n: usize| u32::from_be_bytes(part[20 + 4 * n..24 + 4 * n].try_into().unwrap());
        // UT indicators, standard indicators, leap seconds, changes, types, characters.
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
    let time = |bytes: &[u8]| match width {
        4 => i64::from(i32::from_be_bytes(bytes[..4].try_into().unwrap())),
        _ => i64::from_be_bytes(bytes[..8].try_into().unwrap()),
    };
    let times = body[..changes * width].chunks(width).map(time);
    let rest = &body[changes * (width + 1) + types * 6 + letters..];
    let mut leaps = rest[..leaps * (width + 4)].chunks(width + 4).map(time);
    let mut last = None;
    // Leap seconds are at least two seconds apart.
    times.is_sorted()
        && leaps.all(|leap| last.replace(leap).is_none_or(|last| last.saturating_add(1) < leap))
}
