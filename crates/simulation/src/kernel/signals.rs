//! Signals.

use super::state::Kernel;
use super::tables::{Life, Program, signal};
use daemontools_core::Ended;

impl Kernel {
    /// Sends a signal. It stays pending if the process is stopped or blocks it; otherwise TERM and
    /// USR1 kill.
    pub(crate) fn send(&mut self, n: usize, signal: u8) {
        let process = &mut self.processes[n];
        if process.life != Life::Alive {
            return;
        }
        if process.blocked || process.stopped {
            process.pending |= signal;
        } else if signal & (signal::TERM | signal::USR1) != 0 {
            self.end(n, Ended::Killed(15));
        }
    }

    /// Sends STOP.
    pub(crate) fn stop(&mut self, n: usize) {
        // A stopped service that must end would prevent its restart for ever.
        let must_end = match self.processes[n].program {
            Program::Service { dir } | Program::NewService { dir, .. } => {
                self.world.calm.is_some() && self.world.had_to_stop[dir / 2]
            }
            _ => false,
        };
        if self.is_alive(n) && !must_end {
            self.processes[n].stopped = true;
        }
    }

    /// Sends CONT.
    pub(crate) fn cont(&mut self, n: usize) {
        self.processes[n].stopped = false;
        self.deliver(n);
    }

    /// Takes the pending signals.
    pub(crate) fn take_signals(&mut self, n: usize) -> u8 {
        core::mem::take(&mut self.processes[n].pending)
    }

    /// Blocks all signals, at the start of svscan and supervise. They set CHLD to its default,
    /// which discards a pending one, for example one to the earlier program image.
    pub(crate) const fn block(&mut self, n: usize) {
        let process = &mut self.processes[n];
        process.blocked = true;
        process.pending &= !signal::CHLD;
    }

    /// Restores the mask before exec.
    pub(crate) fn unblock(&mut self, n: usize) {
        self.processes[n].blocked = false;
        self.deliver(n);
    }

    /// Delivers the pending signals, if they are not blocked.
    fn deliver(&mut self, n: usize) {
        if !self.processes[n].blocked {
            let pending = self.take_signals(n);
            self.send(n, pending);
        }
    }
}
