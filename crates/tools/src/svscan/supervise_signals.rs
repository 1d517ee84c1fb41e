//! The signals of svscan to its supervise processes.

use super::scan_dir::suffix;
use super::scanner::Scanner;
use super::unsent_signals::Retry;
use crate::common::clock::instant;
use crate::common::diag;
use crate::survive::log_pipe_offer;
use crate::survive::signal_reader::SignalReader;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::svscan::supervise_process::SuperviseProcess;
use daemontools_sys::{Errno, Result, process, signal};

/// How long a supervise may need from its start until it reads signals, on a busy machine.
const START_TIME: Duration = Duration::from_secs(60);

impl Scanner {
    /// Sends a signal to a supervise. One that has just started gets it when it reads signals: before
    /// that it would be killed, and could not tell its service or logger to end. If the kernel refuses
    /// the signal, prints a warning and tries again later.
    pub(super) fn signal(&mut self, pid: Pid, number: i32) {
        if self.is_beginning(pid, number) {
            return self.unsent.push(pid, number, Retry::Soon);
        }
        let Err(error) = self.try_signal(pid, number) else { return };
        if let Some((no, role)) = self.roster.service_of(pid)
            && let Some(slot) = self.roster.slot(no)
        {
            let what = [b"unable to signal supervise ", slot.name(), suffix(role), b", pausing"];
            diag::warning("svscan", &what, error);
        }
        self.unsent.push(pid, number, Retry::Later);
    }

    /// Whether a supervise has just started and does not read this signal yet.
    fn is_beginning(&self, pid: Pid, number: i32) -> bool {
        self.has_just_started(pid)
            && SignalReader::of(pid, b"supervise", number) == SignalReader::Begins
    }

    /// Whether a supervise was started or adopted a short time ago.
    pub(super) fn has_just_started(&self, pid: Pid) -> bool {
        let service = self.roster.service_of(pid);
        let supervise = service.and_then(|(no, role)| Some(self.roster.slot(no)?.supervise(role)));
        match supervise {
            Some(SuperviseProcess::Running { since, .. }) => instant() < since + START_TIME,
            _ => false,
        }
    }

    fn try_signal(&self, pid: Pid, number: i32) -> Result<()> {
        let sent = match self.adopted.get(pid) {
            Some(handle) => handle.signal(number),
            // Our child, not reaped: the pid is still its own.
            None => process::kill(pid, number),
        };
        match sent {
            // ESRCH: already gone.
            Err(Errno::SRCH) => Ok(()),
            sent => sent,
        }
    }

    /// Makes a supervise execute its program again, unless it is another program than ours.
    pub(super) fn upgrade_supervise(&mut self, pid: Pid) {
        match SignalReader::of(pid, b"supervise", signal::USR2) {
            SignalReader::Reads => self.signal(pid, signal::USR2),
            SignalReader::Begins => self.unsent.push(pid, signal::USR2, Retry::Soon),
            SignalReader::Older | SignalReader::Other => {
                self.unsent.push(pid, signal::USR2, Retry::Later)
            }
        }
    }

    /// Tries unsent signals again. Processes that have ended meanwhile need none.
    pub(super) fn send_again(&mut self) {
        let Some(mut unsent) = self.unsent.take_due() else { return };
        let mut next = Retry::Later;
        unsent.retain(|&(pid, number)| {
            let retry = self.try_again(pid, number);
            next = retry.map_or(next, |retry| next.min(retry));
            retry.is_some()
        });
        self.unsent.put_back(unsent, next);
    }

    /// Tries an unsent signal again. Returns whether it is still unsent.
    fn try_again(&self, pid: Pid, number: i32) -> Option<Retry> {
        self.roster.service_of(pid)?;
        if number == log_pipe_offer::SIGNAL {
            return self.offer_log_pipe_again(pid);
        }
        if self.is_beginning(pid, number) {
            return Some(Retry::Soon);
        }
        // USR2 would kill another program than ours.
        let is_upgrade = number == signal::USR2;
        if is_upgrade && SignalReader::of(pid, b"supervise", number) != SignalReader::Reads {
            return self.has_just_started(pid).then_some(Retry::Later);
        }
        self.try_signal(pid, number).err().map(|_| Retry::Later)
    }
}
