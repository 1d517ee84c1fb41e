//! The end of svscan as process 1: no process is left behind.
//!
//! When everything has stopped in order, or the time for that is over, every remaining process gets
//! TERM, and a second later KILL. svscan exits when it has reaped the last one. The kernel would kill
//! them at its exit as well, but without a word and without TERM.

use super::last_signal::LastSignal;
use super::scanner::Scanner;
use crate::common::clock::instant;
use crate::common::diag;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::text::decimal::Decimal;
use daemontools_core::text::words;
use daemontools_sys::{Errno, process, signal, tree};

/// The time from TERM to KILL, and from there to the exit without the last ends.
const STEP: Duration = Duration::from_secs(1);

impl Scanner {
    /// Sends TERM to every remaining process. svscan leaves at once if there is none, or if this is not
    /// process 1.
    pub(super) fn begin_end(&mut self) {
        if self.last_signal.is_some() {
            return;
        }
        if let Some(outputs) = &mut self.outputs {
            outputs.finish(instant());
        }
        // ESRCH: no process is left. EPERM: not process 1.
        if let Err(Errno::SRCH | Errno::PERM) = process::signal_all(signal::TERM) {
            self.leaving = true;
            return;
        }
        // A stopped process sees TERM only when it continues.
        let _ = process::signal_all(signal::CONT);
        self.last_signal = Some(LastSignal::Term(instant() + STEP));
    }

    /// When [`Scanner::step_end`] is due.
    pub(super) fn end_deadline(&self) -> Option<daemontools_core::time::Instant> {
        self.last_signal.map(|last| match last {
            LastSignal::Term(due) | LastSignal::Kill(due) => due,
        })
    }

    /// Leaves when the last process has ended, and kills those that are late.
    pub(super) fn step_end(&mut self) {
        let Some(last) = self.last_signal else { return };
        let now = instant();
        self.leaving |= !process::has_children();
        match last {
            LastSignal::Term(due) if due <= now && !self.leaving => {
                print_late();
                let _ = process::signal_all(signal::KILL);
                self.last_signal = Some(LastSignal::Kill(now + STEP));
            }
            // A process that survives KILL hangs in the kernel.
            LastSignal::Kill(due) if due <= now => self.leaving = true,
            LastSignal::Term(_) | LastSignal::Kill(_) => {}
        }
    }
}

/// Names the children that get KILL.
fn print_late() {
    let mut pids = Vec::new();
    // Without /proc none is found.
    let _ = tree::children_of(process::id(), |pid| pids.push(pid));
    let shown = |pid: &daemontools_core::Pid| {
        Decimal::new(pid.get().cast_unsigned().into()).as_bytes().to_vec()
    };
    let names = words::list(pids.iter().map(shown));
    let before: &[u8] = if pids.is_empty() { b"" } else { b": pid " };
    diag::say(&[
        b"svscan: warning: killing the processes that have not ended after TERM",
        before,
        &names,
    ]);
}
