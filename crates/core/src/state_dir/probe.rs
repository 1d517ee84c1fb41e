//! How the waiting client knows that the status is newer than its commands, and whether a supervise
//! runs.
//!
//! The state before the commands must not end a wait. supervise publishes the effect of a command
//! before it reads the next one. So the client sends a command without effect ([`Probe::COMMAND`])
//! after its commands are read. When supervise has read that one too, its status is newer than the
//! commands. Every supervise that replaces another one during the wait gets the probe as well.

use crate::state_dir::goal::SupervisorState;
use core::time::Duration;

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

/// The control FIFO of a service, which the client holds open for writing, and the files beside it.
pub trait ProbedService {
    /// Whether no process has the FIFO open for reading.
    fn has_no_reader(&self) -> bool;

    /// Whether the FIFO holds bytes: commands of the client, or of other processes, which count as well.
    fn has_unread(&self) -> bool;

    /// Writes to the FIFO without waiting.
    fn write(&self, command: &[u8]) -> ProbeWrite;

    /// Whether there is a process record, or it cannot be looked for.
    fn has_record(&self) -> bool;
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

    /// Whether a supervise publishes the status; `None` while the status may be older than the commands.
    /// Then the next event of the FIFO is the time to ask again.
    pub fn ask(&mut self, service: &impl ProbedService) -> Option<SupervisorState> {
        if service.has_no_reader() {
            return Some(SupervisorState::absent(service.has_record()));
        }
        if service.has_unread() {
            return None;
        }
        if self.sent {
            return Some(SupervisorState::Running);
        }
        match service.write(Self::COMMAND) {
            // The read of what was written is the next event.
            ProbeWrite::Written => {
                self.sent = true;
                None
            }
            ProbeWrite::NoReader => Some(SupervisorState::absent(service.has_record())),
            ProbeWrite::Full => None,
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

    /// A FIFO with or without a reader and unread bytes, and what becomes of a write.
    #[derive(Clone, Copy)]
    struct Fifo {
        has_reader: bool,
        has_unread: bool,
        write: ProbeWrite,
    }

    const EMPTY: Fifo = Fifo { has_reader: true, has_unread: false, write: ProbeWrite::Written };
    const UNREAD: Fifo = Fifo { has_unread: true, ..EMPTY };
    const UNREAD_WITHOUT_READER: Fifo = Fifo { has_reader: false, ..UNREAD };
    const FULL: Fifo = Fifo { write: ProbeWrite::Full, ..EMPTY };
    const CLOSED_MEANWHILE: Fifo = Fifo { write: ProbeWrite::NoReader, ..EMPTY };

    impl ProbedService for Fifo {
        fn has_no_reader(&self) -> bool {
            !self.has_reader
        }

        fn has_unread(&self) -> bool {
            self.has_unread
        }

        fn write(&self, command: &[u8]) -> ProbeWrite {
            assert_eq!(command, Probe::COMMAND);
            assert!(self.has_reader && !self.has_unread);
            self.write
        }

        fn has_record(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_status_counts_when_the_probe_was_read_after_the_commands() {
        let mut probe = Probe::default();
        assert_eq!(probe.ask(&UNREAD), None);
        assert_eq!(probe.ask(&EMPTY), None);
        assert_eq!(probe.ask(&UNREAD), None);
        assert_eq!(probe.ask(&EMPTY), Some(SupervisorState::Running));
    }

    #[test]
    fn a_probe_that_was_not_written_is_sent_again() {
        let mut probe = Probe::default();
        assert_eq!(probe.ask(&FULL), None);
        assert_eq!(probe.ask(&CLOSED_MEANWHILE), Some(SupervisorState::Killed));
        assert_eq!(probe.ask(&EMPTY), None);
        assert_eq!(probe.ask(&EMPTY), Some(SupervisorState::Running));
    }

    #[test]
    fn the_next_supervise_gets_a_probe_of_its_own() {
        let mut probe = Probe::default();
        assert_eq!(probe.ask(&EMPTY), None);
        probe.note_close();
        assert_eq!(probe.ask(&UNREAD_WITHOUT_READER), Some(SupervisorState::Killed));
        assert_eq!(probe.ask(&EMPTY), None);
        assert_eq!(probe.ask(&EMPTY), Some(SupervisorState::Running));
    }

    #[test]
    fn a_probe_that_the_killed_supervise_left_unread_serves_the_next_one() {
        let mut probe = Probe::default();
        assert_eq!(probe.ask(&EMPTY), None);
        assert_eq!(probe.ask(&UNREAD_WITHOUT_READER), Some(SupervisorState::Killed));
        assert_eq!(probe.ask(&UNREAD), None);
        assert_eq!(probe.ask(&EMPTY), Some(SupervisorState::Running));
    }

    #[test]
    fn only_a_supervise_that_exits_removes_its_record() {
        assert_eq!(SupervisorState::absent(true), SupervisorState::Killed);
        assert_eq!(SupervisorState::absent(false), SupervisorState::Exited);
    }
}
