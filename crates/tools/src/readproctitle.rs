//! readproctitle: shows the last of what it reads in its own command line, for ps.

use crate::diag::{PERMANENT, TEMPORARY};
use daemontools_core::ring;
use daemontools_sys::{fd, process};

/// Silent, as the original: exit code 100 for unusable arguments, 111 for a read error.
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
            Ok(n) => ring::show(display, text.get(..n).unwrap_or_default()),
            Err(_) => return TEMPORARY,
        }
    }
}
