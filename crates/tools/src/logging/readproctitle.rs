//! readproctitle: shows the end of its input in its own command line, where ps(1) reads it.

use crate::common::diag::{PERMANENT, TEMPORARY};
use daemontools_core::text::proctitle;
use daemontools_sys::{fd, process};

/// Exit code: 0 at the end of the input, 100 for unusable arguments, 111 for a read error. Prints
/// no message, as the original.
pub(crate) fn main() -> i32 {
    let Some(display) = process::take_last_arg() else {
        return PERMANENT;
    };
    if display.len() < 5 {
        return PERMANENT;
    }
    display.fill(b'.');
    let mut text = [0; 4096];
    loop {
        match fd::read(fd::stdin(), &mut text) {
            Ok(0) => return 0,
            Ok(n) => proctitle::scroll(display, text.get(..n).unwrap_or_default()),
            Err(_) => return TEMPORARY,
        }
    }
}
