//! tai64n: puts a TAI64N label before each line.

use crate::common::clock::label;
use crate::common::diag::TEMPORARY;
use alloc::vec::Vec;
use daemontools_core::text::lines;
use daemontools_core::time::tai::STAMP_LEN;
use daemontools_sys::fd;

/// Size of a read in bytes.
const INPUT: usize = 64 * 1024;

/// Size in bytes above which the output is written before the next line.
const OUTPUT: usize = 128 * 1024;

/// Exit code: 0 at the end of the input, 111 for an error. Prints no message.
pub(crate) fn main() -> i32 {
    let mut input = alloc::vec![0; INPUT];
    let mut out = Vec::with_capacity(OUTPUT + INPUT + STAMP_LEN);
    let mut at_line_start = true;
    loop {
        let text = match fd::read(fd::stdin(), &mut input) {
            Ok(0) => return 0,
            Ok(n) => input.get(..n).unwrap_or_default(),
            Err(_) => return TEMPORARY,
        };
        // The label is later than the arrival of the lines and earlier than their writing.
        let stamp = label().stamp();
        for line in lines::split(text) {
            if at_line_start {
                out.extend_from_slice(&stamp);
            }
            out.extend_from_slice(line);
            at_line_start = line.ends_with(b"\n");
            if out.len() > OUTPUT {
                if fd::write_all(fd::stdout(), &out).is_err() {
                    return TEMPORARY;
                }
                out.clear();
            }
        }
        // The next read may wait.
        if fd::write_all(fd::stdout(), &out).is_err() {
            return TEMPORARY;
        }
        out.clear();
    }
}
