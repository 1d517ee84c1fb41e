//! tai64nlocal: text with any labels, in pieces of any size, in the zone of any TZ string.
#![no_main]

use daemontools_core::time::tai::Tai64n;
use daemontools_core::time::tai64nlocal::Filter;
use daemontools_core::time::zone::Zone;
use daemontools_fuzz::{moment, parts, pieces, tai64nlocal};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let [sizes, zone, text] = parts(data);
    let zone = Zone::from_string(zone);
    let mut filter = Filter::new(zone.clone());
    let mut out = Vec::new();
    for piece in pieces(text, sizes) {
        filter.feed(piece, &mut out);
    }
    filter.finish(&mut out);
    let expected = tai64nlocal::rewritten(&zone, text);
    assert_eq!(out, expected, "{}\n{}", out.escape_ascii(), expected.escape_ascii());
    arithmetic(moment(text), moment(sizes));
});

/// Conversions and arithmetic of labels.
fn arithmetic(a: Tai64n, b: Tai64n) {
    assert_eq!(Tai64n::from_bytes(a.to_bytes()), a);
    let stamp = a.stamp();
    assert_eq!(stamp[..], *format!("@{:016x}{:08x} ", a.seconds, a.nanoseconds).as_bytes());
    assert_eq!(Tai64n::from_digits(stamp[1..25].try_into().expect("24 digits")), Some(a));
    let is_valid = |label: Tai64n| label.nanoseconds < 1_000_000_000;
    assert_eq!(Tai64n::from_label(&stamp), Some(a).filter(|_| is_valid(a) && a.seconds < 1 << 63));
    let _ = (a.next_microsecond(), a.nanoseconds_after(b));
    let by = Duration::new(b.seconds, b.nanoseconds % 1_000_000_000);
    let (later, earlier) = (a.plus(by), a.minus(by));
    if is_valid(a) {
        assert_eq!((later.minus(by), earlier.plus(by)), (a, a));
        assert!(is_valid(later) && is_valid(earlier) && is_valid(a.next_microsecond()));
    }
}
