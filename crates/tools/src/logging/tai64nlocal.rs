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

fn local_zone() -> Zone {
    let variable = |name: &str| process::env(name).map(CStr::to_bytes);
    Zone::local(variable("TZ"), variable("TZDIR"), |dir, name| {
        let mut path = [0; PATH_MAX];
        read_whole(join(&mut path, dir, name)?).ok()
    })
}
