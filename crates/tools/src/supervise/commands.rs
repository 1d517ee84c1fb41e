//! The input of supervise: signals, and commands from the FIFO `control`.

use super::log_pipe;
use super::supervised::Role;
use super::supervisor::Supervisor;
use crate::common::clock::instant;
use crate::survive::log_pipe_offer;
use core::time::Duration;
use daemontools_core::options::Personality;
use daemontools_core::state_dir::control::{Command, Decoder, Letters, Scope, Signal, Target};
use daemontools_core::state_dir::history::Trigger;
use daemontools_core::supervise::Event;
use daemontools_sys::{fd, signal};

/// How long after QUIT the supervisor waits for the end of a killed process.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Obeys the signals that have come.
    pub(super) fn take_signals(&mut self) {
        let mut commands = [None; 2];
        let mut upgrade = false;
        let history = &mut self.performer.history;
        for received in self.performer.signals.received() {
            let signal = received.signal;
            match signal {
                signal::TERM | signal::INT => commands = [Some(Command::Down), Some(Command::Exit)],
                // svscan sends USR1 to the supervisor of a logger that is about to read its end of
                // file. A terminal that is closed sends HUP, to the service as well.
                signal::HUP | signal::USR1 => commands = [commands[0], Some(Command::Exit)],
                // svscan sends QUIT last, to a supervisor that has not exited in time.
                signal::QUIT => {
                    commands = [Some(Command::Down), Some(Command::Exit)];
                    self.exit_due.get_or_insert_with(|| instant() + QUIT_TIMEOUT);
                }
                signal::USR2 => {
                    upgrade = true;
                    continue;
                }
                log_pipe_offer::SIGNAL => {
                    log_pipe::take(self.performer.dir, &received);
                    continue;
                }
                _ => continue,
            }
            if let Some(known) = u8::try_from(signal).ok().and_then(Signal::from_number) {
                history.note_trigger(Trigger::Signal(known));
            }
        }
        // Commands come before the ends of children: a service that ended by the same signal is not
        // restarted.
        for command in commands.into_iter().flatten() {
            self.obey(command, Scope::Process);
        }
        self.performer.record_unused_trigger();
        self.reap();
        if upgrade {
            self.upgrade();
        }
    }

    /// The letters that the service's personality has. It counts from a start on.
    fn letters(&self) -> Letters {
        let policy = self.performer.service.machine.policy();
        match policy.personality {
            Personality::S6 => Letters::S6(policy.stop.signal),
            _ => Letters::Common,
        }
    }

    /// Obeys the commands that have come.
    #[inline(never)]
    pub(super) fn take_commands(&mut self) {
        let mut bytes = [0; 512];
        // After an error, EAGAIN among them, the loop waits until the FIFO is readable.
        let n = fd::read(self.performer.files.control(), &mut bytes).unwrap_or(0);
        if self.performer.files.renew_control() {
            self.decoder = Decoder::default();
            return;
        }
        for &byte in bytes.iter().take(n) {
            match self.decoder.feed(byte, self.letters()) {
                // `x` to the logger counts for the service too: the supervisor exits as a whole.
                Some((Target::Main, command, scope) | (_, command @ Command::Exit, scope)) => {
                    self.performer.start_control_for(command);
                    self.performer.history.note_trigger(Trigger::Command(command, scope));
                    self.obey(command, scope);
                    self.performer.record_unused_trigger();
                }
                // Ignored if there is no logger.
                Some((Target::Log, command, scope)) => {
                    self.performer.step(Role::Logger, Event::Command(command, scope));
                }
                None => {}
            }
        }
        // A message that leaves the buffer partly empty is complete.
        if n < bytes.len() {
            self.decoder = Decoder::default();
        }
    }
}
