//! The commands to a service, compared with what its supervise does.

use daemontools_core::state_dir::control::{Command, Signal};
use daemontools_core::state_dir::status::Want;

/// The account of one service directory.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// The wanted state without a command: down if there is a file `down`.
    normal: Want,
    /// The possible wanted states, as a set of bits. There are several after the kill of a
    /// supervise that may not have written the last command to its status.
    possible: u8,
    /// The last command that the current supervise has read, until the supervise waits again.
    last_command: Option<Want>,
    /// The current supervise has read the command to exit.
    leaving: bool,
    /// It has also recorded that.
    leaving_recorded: bool,
    /// The wanted state is the initial one of a new supervise, and follows from no command.
    pub(crate) is_initial: bool,
    /// The numbers of TERM, KILL and STOP signals that commands have asked for and the supervise
    /// has not sent.
    signals_due: [u32; 3],
    /// The start time of the last service process; `None` if the current supervise need not know
    /// it.
    last_start: Option<u64>,
    /// A kill or a command concerned this logger, so it need not have read all lines.
    pub(crate) disturbed: bool,
    /// The number of lines in the log.
    pub(crate) logged: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            normal: Want::Up,
            possible: bit(Want::Up),
            last_command: None,
            leaving: false,
            leaving_recorded: false,
            is_initial: true,
            signals_due: [0; 3],
            last_start: None,
            disturbed: false,
            logged: 0,
        }
    }
}

/// The bit of a wanted state in a set.
const fn bit(want: Want) -> u8 {
    match want {
        Want::Up => 1,
        Want::Down => 2,
        Want::Once => 4,
    }
}

/// The index of a signal in `signals_due`.
const fn index(signal: Signal) -> Option<usize> {
    match signal {
        Signal::Term => Some(0),
        Signal::Kill => Some(1),
        Signal::Stop => Some(2),
        _ => None,
    }
}

impl Ledger {
    /// The service directory has a file `down`.
    pub(crate) const fn normally_down(&mut self) {
        self.normal = Want::Down;
        self.possible = bit(Want::Down);
    }

    /// The supervise has read a command byte.
    pub(crate) fn note_byte(&mut self, byte: u8) {
        if let Some(command) = Command::from_byte(byte) {
            self.note(command);
        }
    }

    /// The supervise has received a command, as a byte or a signal.
    pub(crate) fn note(&mut self, command: Command) {
        let want = match command {
            Command::Up => Want::Up,
            Command::Down => {
                self.signals_due[0] += 1;
                Want::Down
            }
            Command::Once => Want::Once,
            // Sent by clients of s6 only.
            Command::AtMostOnce => return,
            Command::Exit => {
                self.leaving = true;
                self.possible |= bit(self.normal);
                return;
            }
            Command::Pause => {
                self.signals_due[2] += 1;
                return;
            }
            Command::Continue => return,
            Command::Signal(signal) => {
                if let Some(n) = index(signal) {
                    self.signals_due[n] += 1;
                }
                return;
            }
        };
        self.last_command = Some(want);
        self.is_initial = false;
        self.possible |= bit(want);
    }

    /// The supervise sends a signal to its service.
    pub(crate) fn note_signal(&mut self, signal: Signal) {
        if let Some(n) = index(signal) {
            assert!(self.signals_due[n] > 0, "{signal:?} is sent without a command");
            self.signals_due[n] -= 1;
        }
    }

    /// The supervise waits, and its status has this wanted state.
    pub(crate) fn settle(&mut self, want: Want) {
        assert!(self.possible & bit(want) != 0, "{want:?} is wanted without a command");
        if let Some(command) = self.last_command.take() {
            assert_eq!(want, command, "the last command does not hold");
        }
        self.possible = bit(want);
        self.leaving_recorded = self.leaving;
    }

    /// The supervise has ended.
    pub(crate) const fn supervise_ended(&mut self) {
        if self.leaving {
            self.possible |= bit(self.normal);
            self.is_initial = true;
        }
        if self.leaving_recorded {
            self.possible = bit(self.normal);
        }
        (self.last_command, self.leaving, self.leaving_recorded) = (None, false, false);
        self.signals_due = [0; 3];
    }

    /// A new supervise starts that need not know of earlier service processes, nor of commands to a
    /// supervise that left no record.
    pub(crate) const fn begin_anew(&mut self) {
        self.last_start = None;
        self.possible |= bit(self.normal);
    }

    /// The supervise has started the service at this time, in nanoseconds.
    pub(crate) fn note_start(&mut self, start: u64) {
        // A new supervise knows the last start only in hundredths of a second.
        let earliest = self.last_start.map_or(0, |last| last + 990_000_000);
        assert!(start >= earliest, "started twice in a second");
        self.last_start = Some(start);
    }
}
