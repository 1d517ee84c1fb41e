//! tai64nlocal: converts the TAI64N label at the beginning of each line to local time.

use crate::common::diag::TEMPORARY;
use crate::common::environment::read_whole;
use crate::common::paths::{PATH_MAX, join};
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::time::tai64nlocal::Filter;
use daemontools_core::time::zone::Zone;
use daemontools_sys::{fd, process};

/// Size of a read in bytes.
const INPUT: usize = 64 * 1024;

/// Exit code: 0 at the end of the input, 111 for an error. Prints no message.
pub(crate) fn main() -> i32 {
    let mut filter = Filter::new(local_zone());
    let mut input = alloc::vec![0; INPUT];
    // A date is a few bytes longer than a label, and a line with a label has at least 26 bytes.
    let mut out = Vec::with_capacity(2 * INPUT);
    loop {
        let read = fd::read(fd::stdin(), &mut input);
        match read {
            Ok(0) => filter.finish(&mut out),
            Ok(n) => filter.feed(input.get(..n).unwrap_or_default(), &mut out),
            Err(_) => return TEMPORARY,
        }
        // The next read may wait.
        if fd::write_all(fd::stdout(), &out).is_err() {
            return TEMPORARY;
        }
        out.clear();
        if read == Ok(0) {
            return 0;
        }
    }
}

/// The time zone, chosen as by the C library: the file or rule in TZ, else the machine's zone, else
/// UTC.
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
        // `join` inserts the leading slash of an absolute path.
        [b'/', ..] => &b""[..],
        _ => zones.unwrap_or(b"/usr/share/zoneinfo"),
    };
    let mut path = [0; PATH_MAX];
    join(&mut path, dir, name.strip_prefix(b"/").unwrap_or(name))
        .and_then(from_file)
        .unwrap_or_else(|| Zone::from_string(name))
}
