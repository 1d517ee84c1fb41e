//! What a service has been asked for, against what is done with it.

use daemontools_core::command::{Command, Signal};
use daemontools_core::status::Want;

/// The account of one directory.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// What is wanted when nobody has said anything.
    normal: Want,
    /// What may be wanted, as a set: more than one after a supervise was killed in between.
    possible: u8,
    /// What the present supervise was told last, until it has had the time to write it down.
    told: Option<Want>,
    leaving: bool,
    /// It was told to leave, and has written that down.
    left: bool,
    /// The wish is that of a supervise which begins anew, and was never said.
    pub(crate) unsaid: bool,
    /// How many times it was told to send TERM, KILL and STOP.
    credit: [u32; 3],
    /// When the last instance was made, unless a new supervise need not know.
    last_born: Option<u64>,
    /// A schedule or a command has touched the logger: then it may not have read everything.
    pub(crate) disturbed: bool,
    /// How many lines have reached a log.
    pub(crate) logged: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            normal: Want::Up,
            possible: bit(Want::Up),
            told: None,
            leaving: false,
            left: false,
            unsaid: true,
            credit: [0; 3],
            last_born: None,
            disturbed: false,
            logged: 0,
        }
    }
}

const fn bit(want: Want) -> u8 {
    match want {
        Want::Up => 1,
        Want::Down => 2,
        Want::Once => 4,
    }
}

const fn kind(signal: Signal) -> Option<usize> {
    match signal {
        Signal::Term => Some(0),
        Signal::Kill => Some(1),
        Signal::Stop => Some(2),
        _ => None,
    }
}

impl Ledger {
    pub(crate) const fn normally_down(&mut self) {
        self.normal = Want::Down;
        self.possible = bit(Want::Down);
    }

    /// The supervise has read a command.
    pub(crate) fn note_byte(&mut self, byte: u8) {
        if let Some(command) = Command::from_byte(byte) {
            self.note(command);
        }
    }

    pub(crate) fn note(&mut self, command: Command) {
        let want = match command {
            Command::Up => Want::Up,
            Command::Down => {
                self.credit[0] += 1;
                Want::Down
            }
            Command::Once => Want::Once,
            Command::Exit => {
                self.leaving = true;
                self.possible |= bit(self.normal);
                return;
            }
            Command::Pause => {
                self.credit[2] += 1;
                return;
            }
            Command::Continue => return,
            Command::Signal(signal) => {
                if let Some(kind) = kind(signal) {
                    self.credit[kind] += 1;
                }
                return;
            }
        };
        self.told = Some(want);
        self.unsaid = false;
        self.possible |= bit(want);
    }

    /// The supervise signals its service.
    pub(crate) fn note_signal(&mut self, signal: Signal) {
        if let Some(kind) = kind(signal) {
            assert!(self.credit[kind] > 0, "a {signal:?} that nobody asked for");
            self.credit[kind] -= 1;
        }
    }

    /// The supervise waits, with this in its status.
    pub(crate) fn settle(&mut self, want: Want) {
        assert!(self.possible & bit(want) != 0, "{want:?} is wanted, and nobody has said so");
        if let Some(told) = self.told.take() {
            assert_eq!(want, told, "the last word does not hold");
        }
        self.possible = bit(want);
        self.left = self.leaving;
    }

    pub(crate) const fn supervise_ended(&mut self) {
        if self.leaving {
            self.possible |= bit(self.normal);
            self.unsaid = true;
        }
        if self.left {
            self.possible = bit(self.normal);
        }
        (self.told, self.leaving, self.left) = (None, false, false);
        self.credit = [0; 3];
    }

    /// A supervise begins that need not know of earlier starts.
    pub(crate) const fn begin_anew(&mut self) {
        self.last_born = None;
    }

    pub(crate) fn note_start(&mut self, born: u64) {
        // Starts are known in hundredths of a second.
        let earliest = self.last_born.map_or(0, |last| last + 990_000_000);
        assert!(born >= earliest, "started twice in a second");
        self.last_born = Some(born);
    }
}
