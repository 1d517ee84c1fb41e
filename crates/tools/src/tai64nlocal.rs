//! tai64nlocal: shows the labels at the beginnings of lines as local dates.

use crate::diag::TEMPORARY;
use crate::environment::read_whole;
use crate::paths::{PATH_MAX, join};
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::local::Filter;
use daemontools_core::zone::Zone;
use daemontools_sys::{fd, process};

/// Bytes that are read at once.
const INPUT: usize = 64 * 1024;

/// Exit code: 0 at the end of the input, 111 for an error, silently.
pub(crate) fn main() -> i32 {
    let mut filter = Filter::new(local_zone());
    let mut input = alloc::vec![0; INPUT];
    // A label becomes longer by a few bytes, and lines with one have at least 26.
    let mut out = Vec::with_capacity(2 * INPUT);
    loop {
        let read = fd::read(fd::stdin(), &mut input);
        match read {
            Ok(0) => filter.finish(&mut out),
            Ok(n) => filter.feed(input.get(..n).unwrap_or_default(), &mut out),
            Err(_) => return TEMPORARY,
        }
        // Before the next read, which may wait.
        if fd::write_all(fd::stdout(), &out).is_err() {
            return TEMPORARY;
        }
        out.clear();
        if read == Ok(0) {
            return 0;
        }
    }
}

/// The zone which the C library would take: that of TZ, a file or a rule, else the machine's,
/// else universal time.
fn local_zone() -> Zone {
    let from_file = |path: &CStr| read_whole(path).ok().and_then(|text| Zone::from_file(&text));
    let Some(tz) = process::env("TZ").map(CStr::to_bytes) else {
        return from_file(c"/etc/localtime").unwrap_or_default();
    };
    let name = tz.strip_prefix(b":").unwrap_or(tz);
    if name.is_empty() {
        return Zone::utc();
    }
    let zones = process::env("TZDIR").map(CStr::to_bytes).filter(|dir| !dir.is_empty());
    let dir = match name {
        // The leading slash of an absolute path is the one that `join` puts in.
        [b'/', ..] => &b""[..],
        _ => zones.unwrap_or(b"/usr/share/zoneinfo"),
    };
    let mut room = [0; PATH_MAX];
    join(&mut room, dir, name.strip_prefix(b"/").unwrap_or(name))
        .and_then(from_file)
        .unwrap_or_else(|| Zone::from_string(name))
}
