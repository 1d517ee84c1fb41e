//! The services that end late in a stop: svscan names them, and kills them when the time is over.

use super::scan_dir::suffix;
use super::scanner::Scanner;
use crate::common::diag;
use daemontools_core::Pid;
use daemontools_core::svscan::slot::SlotNo;
use daemontools_core::svscan::supervise_process::SuperviseRole;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::{process, signal};

/// How many services the report of a long stop names.
const MOST_NAMED: usize = 20;

impl Scanner {
    /// Names the services and loggers that the stop waits for, in one line.
    pub(super) fn report_stop(&self) {
        let mut words = b"svscan: info: waiting for ".to_vec();
        let mut omitted = 0_u64;
        for (n, (no, role, _)) in self.roster.late().enumerate() {
            let Some(slot) = self.roster.slot(no) else { continue };
            if n >= MOST_NAMED {
                omitted += 1;
                continue;
            }
            if n > 0 {
                words.extend_from_slice(b", ");
            }
            words.extend_from_slice(&[slot.name(), suffix(role)].concat());
        }
        if omitted > 0 {
            let omitted = Decimal::new(omitted);
            words.extend_from_slice(&[b" and ", omitted.as_bytes(), b" more"].concat());
        }
        words.extend_from_slice(b" to end");
        diag::say(&[&words]);
    }

    /// Makes a supervise kill its service and exit: the stop has taken too long.
    pub(super) fn kill(&mut self, no: SlotNo, role: SuperviseRole, pid: Pid) {
        if let Some(slot) = self.roster.slot(no) {
            diag::say(&[
                b"svscan: warning: killing ",
                slot.name(),
                suffix(role),
                b", which has not ended in time",
            ]);
        }
        if process::id().get() == 1 {
            // Every process gets TERM and KILL.
            self.begin_end();
        } else {
            self.signal(pid, signal::QUIT);
        }
    }
}
