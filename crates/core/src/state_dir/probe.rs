//! How the waiting client knows that the status is newer than its commands, and whether a supervise
//! runs.
//!
//! The state before the commands must not end a wait. supervise publishes the effect of a command
//! before it reads the next one. So the client sends a command without effect ([`Probe::COMMAND`])
//! after its commands are read. When supervise has read that one too, its status is newer than the
//! commands. Every supervise that replaces another one during the wait gets the probe as well.

use crate::state_dir::goal::SupervisorState;
use core::time::Duration;

/// What the control FIFO shows to the client, which holds it open for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FifoLook {
    /// No process has it open for reading.
    NoReader,
    /// It holds bytes: commands of the client, or of other processes, which count as well.
    Unread,
    /// Everything was read.
    Empty,
}

/// The result of the write of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeWrite {
    /// It is in the FIFO.
    Written,
    /// No process has the FIFO open for reading (EPIPE).
    NoReader,
    /// It is not in the FIFO: another process has filled it (EAGAIN), or the write has failed.
    Full,
}

/// What the client knows, and what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A supervise runs, and its status is newer than the commands.
    Running,
    /// No supervise runs. [`SupervisorState::absent`] tells why.
    Absent,
    /// The status may be older than the commands: wait for the next event of the FIFO.
    Unknown,
    /// Write [`Probe::COMMAND`] without waiting, and pass the result to [`Probe::note_write`].
    Send,
}

/// The probe of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The supervise that runs got it, or it is in the FIFO for the next one.
    sent: bool,
}

impl Probe {
    /// A command without effect: it selects the service, which is the default. The original's
    /// supervise skips it.
    pub const COMMAND: &[u8] = b"l";

    /// The longest time from the event that a FIFO is being closed to its close. No event follows the
    /// close, so the client waits for it.
    pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

    /// Judges a look at the FIFO.
    #[must_use]
    pub const fn judge(self, look: FifoLook) -> Verdict {
        match look {
            FifoLook::NoReader => Verdict::Absent,
            FifoLook::Unread => Verdict::Unknown,
            FifoLook::Empty if self.sent => Verdict::Running,
            FifoLook::Empty => Verdict::Send,
        }
    }

    /// Notes the result of a write of the probe. The read of what was written is the next event.
    #[must_use]
    pub const fn note_write(&mut self, write: ProbeWrite) -> Verdict {
        match write {
            ProbeWrite::Written => {
                self.sent = true;
                Verdict::Unknown
            }
            ProbeWrite::NoReader => Verdict::Absent,
            ProbeWrite::Full => Verdict::Unknown,
        }
    }

    /// A reader closes the FIFO. The next supervise needs a probe of its own.
    pub const fn note_close(&mut self) {
        self.sent = false;
    }
}

impl SupervisorState {
    /// Why no supervise runs. A supervise that exits removes its process record.
    #[must_use]
    pub const fn absent(has_record: bool) -> Self {
        if has_record { Self::Killed } else { Self::Exited }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_counts_when_the_probe_was_read_after_the_commands() {
        let mut probe = Probe::default();
        assert_eq!(probe.judge(FifoLook::Unread), Verdict::Unknown);
        assert_eq!(probe.judge(FifoLook::Empty), Verdict::Send);
        assert_eq!(probe.note_write(ProbeWrite::Written), Verdict::Unknown);
        assert_eq!(probe.judge(FifoLook::Unread), Verdict::Unknown);
        assert_eq!(probe.judge(FifoLook::Empty), Verdict::Running);
    }

    #[test]
    fn a_probe_that_was_not_written_is_sent_again() {
        let mut probe = Probe::default();
        assert_eq!(probe.note_write(ProbeWrite::Full), Verdict::Unknown);
        assert_eq!(probe.judge(FifoLook::Empty), Verdict::Send);
        assert_eq!(probe.note_write(ProbeWrite::NoReader), Verdict::Absent);
        assert_eq!(probe.judge(FifoLook::Empty), Verdict::Send);
    }

    #[test]
    fn the_next_supervise_gets_a_probe_of_its_own() {
        let mut probe = Probe::default();
        assert_eq!(probe.note_write(ProbeWrite::Written), Verdict::Unknown);
        probe.note_close();
        assert_eq!(probe.judge(FifoLook::NoReader), Verdict::Absent);
        assert_eq!(probe.judge(FifoLook::Empty), Verdict::Send);
    }

    #[test]
    fn a_probe_that_the_killed_supervise_left_unread_serves_the_next_one() {
        let mut probe = Probe::default();
        assert_eq!(probe.note_write(ProbeWrite::Written), Verdict::Unknown);
        assert_eq!(probe.judge(FifoLook::NoReader), Verdict::Absent);
        assert_eq!(probe.judge(FifoLook::Unread), Verdict::Unknown);
        assert_eq!(probe.judge(FifoLook::Empty), Verdict::Running);
    }

    #[test]
    fn only_a_supervise_that_exits_removes_its_record() {
        assert_eq!(SupervisorState::absent(true), SupervisorState::Killed);
        assert_eq!(SupervisorState::absent(false), SupervisorState::Exited);
    }
}
