//! Commands to a service that others need: a stop waits for their end.

use super::held_stop::{AFTER_CLOSE, HeldStop, NEEDED};
use super::performer::Performer;
use super::supervised::Role;
use super::supervisor::Supervisor;
use crate::common::clock::instant;
use crate::common::diag;
use daemontools_core::state_dir::control::{Command, Scope};
use daemontools_core::state_dir::status::Want;
use daemontools_core::supervise::stop_order::{HoldStep, StopHold};
use daemontools_core::supervise::{Event, State};
use daemontools_sys::watch::Watch;
use daemontools_sys::{OwnedFd, fs, guarded};

impl Performer {
    /// The file `needed`, if a service has needed this one.
    fn open_needed(&self) -> Option<OwnedFd> {
        guarded::open(self.files.dir(), c"needed", fs::Opening::READ).ok()
    }

    /// Whether the earlier supervisor may have held the stop signal back.
    fn may_lack_stop_signal(&self) -> bool {
        let machine = &self.service.machine;
        machine.record().want == Want::Down
            && matches!(machine.state(), State::Up { .. })
            && self.open_needed().is_some()
    }
}

impl Supervisor {
    /// Obeys a command to the service.
    pub(super) fn obey(&mut self, command: Command, scope: Scope) {
        match command {
            Command::Down => {
                self.next_command = None;
                if self.exit_due.is_none() && self.hold_stop(scope) {
                    return;
                }
                self.held_stop = None;
            }
            // The stop takes place, as if its signal had been sent at once. Until its end the wanted
            // state stays down, so that the services that need this one stop, and do not start too
            // early.
            Command::Up | Command::Once
                if self.held_stop.is_some() || self.next_command.is_some() =>
            {
                self.next_command = Some(command);
                return;
            }
            // The start that was to follow is left out.
            Command::AtMostOnce if self.next_command.take().is_some() => return,
            _ => {}
        }
        self.performer.step(Role::Service, Event::Command(command, scope));
    }

    /// Sends the stop signal that the earlier supervisor may have held back.
    pub(super) fn catch_up_on_stop(&mut self) {
        if self.performer.may_lack_stop_signal() {
            self.performer.step(Role::Service, Event::Command(Command::Down, Scope::Process));
        }
    }

    /// Holds the stop signal back if a service that needs this one runs. Returns whether it is held.
    fn hold_stop(&mut self, scope: Scope) -> bool {
        let machine = &self.performer.service.machine;
        if !matches!(machine.state(), State::Up { .. }) || machine.is_ending() {
            return false;
        }
        if let Some(held) = &mut self.held_stop {
            held.scope = held.scope.max(scope);
            return true;
        }
        let Some(needed) = self.performer.open_needed() else {
            return false;
        };
        let watch = Watch::new().ok();
        if let Some(watch) = &watch {
            let path = self.performer.files.path();
            let _ = path.with_file(NEEDED, |path| watch.add_fifo(path));
        }
        let hold = StopHold::new(instant());
        let held = HeldStop { hold, scope, needed, watch, look_again: None };
        if !held.is_claimed() {
            return false;
        }
        self.held_stop = Some(held);
        self.performer.step(Role::Service, Event::StopHeld);
        true
    }

    /// Looks whether the stop signal can be sent. `woken` says that a holder has closed its file.
    pub(super) fn step_held_stop(&mut self, woken: bool) {
        let Some(held) = &mut self.held_stop else { return };
        let now = instant();
        if !woken && now < held.deadline() {
            return;
        }
        if let Some(watch) = &held.watch {
            watch.drain();
        }
        let claimed = held.is_claimed();
        held.look_again = (woken && claimed).then(|| now + AFTER_CLOSE);
        let dir = self.performer.dir.to_bytes();
        match held.hold.step(claimed, now) {
            HoldStep::Wait => return,
            HoldStep::Report => {
                let why = b": a service that needs it still runs";
                return diag::say(&[b"supervise: info: waiting before the stop of ", dir, why]);
            }
            HoldStep::Stop => {}
            HoldStep::GiveUp => {
                let why = b", although a service that needs it still runs";
                diag::say(&[b"supervise: warning: stopping ", dir, why]);
            }
        }
        let scope = held.scope;
        self.held_stop = None;
        if self.performer.service.machine.record().want == Want::Down {
            self.performer.step(Role::Service, Event::Command(Command::Down, scope));
        }
    }

    /// Obeys the command that waits for the end of a stop.
    pub(super) fn obey_next_command(&mut self) {
        let is_over = self.held_stop.is_none()
            && matches!(self.performer.service.machine.state(), State::Down | State::Failed);
        if let Some(command) = self.next_command.take_if(|_| is_over) {
            self.performer.step(Role::Service, Event::Command(command, Scope::Process));
        }
    }
}
