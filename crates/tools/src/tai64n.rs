//! tai64n: puts a label before every line.

use crate::diag::TEMPORARY;
use crate::time::label;
use alloc::vec::Vec;
use daemontools_core::lines;
use daemontools_core::tai::STAMP_LEN;
use daemontools_sys::fd;

/// Bytes that are read at once.
const INPUT: usize = 64 * 1024;

/// More than this is written before the next line is added.
const OUTPUT: usize = 128 * 1024;

/// Exit code: 0 at the end of the input, 111 for an error, silently.
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
        // All lines of one read came before this moment, and are written after it.
        let stamp = label().stamp();
        for line in lines::pieces(text) {
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
        // Before the next read, which may wait.
        if fd::write_all(fd::stdout(), &out).is_err() {
            return TEMPORARY;
        }
        out.clear();
    }
}
