//! The services that end late in a stop: svscan names them, and kills them when the time is over.

use super::scan_dir::suffix;
use super::scanner::Scanner;
use crate::common::diag;
use daemontools_core::Pid;
use daemontools_core::svscan::slot::SlotNo;
use daemontools_core::svscan::supervise_process::SuperviseRole;
use daemontools_core::text::words;
use daemontools_sys::{process, signal};

impl Scanner {
    /// Names the services and loggers that the stop waits for, in one line.
    pub(super) fn report_stop(&self) {
        let names = self.roster.late().filter_map(|(no, role, _)| {
            let slot = self.roster.slot(no)?;
            Some([slot.name(), suffix(role)].concat())
        });
        diag::say(&[b"svscan: info: waiting for ", &words::list(names), b" to end"]);
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
