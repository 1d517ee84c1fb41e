//! tai64nlocal: text with labels of any form, in pieces of any size, in the zone of any TZ string.
#![no_main]

use daemontools_core::local::Filter;
use daemontools_core::tai::Tai64n;
use daemontools_core::zone::Zone;
use daemontools_fuzz::{local, moment, parts, pieces};
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
    let expected = local::rewritten(&zone, text);
    assert_eq!(out, expected, "{}\n{}", out.escape_ascii(), expected.escape_ascii());
    arithmetic(moment(text), moment(sizes));
});

/// Labels as numbers.
fn arithmetic(a: Tai64n, b: Tai64n) {
    assert_eq!(Tai64n::from_bytes(a.to_bytes()), a);
    let stamp = a.stamp();
    assert_eq!(stamp[..], *format!("@{:016x}{:08x} ", a.seconds, a.nanoseconds).as_bytes());
    assert_eq!(Tai64n::from_digits(stamp[1..25].try_into().expect("24 digits")), Some(a));
    let is_valid = |label: Tai64n| label.nanoseconds < 1_000_000_000;
    assert_eq!(Tai64n::from_label(&stamp), Some(a).filter(|_| is_valid(a) && a.seconds < 1 << 63));
    let _ = (a.next_microsecond(), a.nanoseconds_after(b));
    let by = Duration::new(b.seconds, b.nanoseconds % 1_000_000_000);
    let (later, sooner) = (a.after(by), a.before(by));
    if is_valid(a) {
        assert_eq!((later.before(by), sooner.after(by)), (a, a));
        assert!(is_valid(later) && is_valid(sooner) && is_valid(a.next_microsecond()));
    }
}
