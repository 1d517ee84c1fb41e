//! Events from outside supervise: readiness messages, first connections, lost dependencies.

use super::dependencies::{DependencyCheck, Follow};
use super::performer::Performer;
use super::readiness::PipeNews;
use super::supervised::Role;
use crate::common::diag;
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_core::supervise::sd_notify::{self, Line};
use daemontools_core::supervise::{Event, Notification, State};
use daemontools_core::time::Instant;
use daemontools_sys::{poll, process, tree};

/// How many datagrams of the notify socket are read in one turn. Any local process can send them
/// without a pause, and commands have to get their turn.
const DATAGRAMS_PER_TURN: usize = 64;

impl Performer {
    /// Reads the readiness pipe, if it is readable, and the notify socket.
    #[inline(never)]
    pub(super) fn read_readiness(&mut self, pipe_is_readable: bool) {
        let main = self.service.machine.pid();
        let Some(runtime) = &mut self.runtime else {
            return;
        };
        // The read end blocks.
        let news = pipe_is_readable.then(|| runtime.readiness.read_pipe());
        match news.unwrap_or(PipeNews::Nothing) {
            PipeNews::Nothing => {}
            PipeNews::Ready => self.step(Role::Service, Event::Notified(Notification::Ready)),
            PipeNews::Closed => self.print_closed_pipe(),
        }
        let roots: Vec<Pid> = main.into_iter().chain([process::id()]).collect();
        if self.discard_waiting() {
            return;
        }
        for _ in 0..DATAGRAMS_PER_TURN {
            let runtime = self.runtime.as_mut();
            let Some(message) =
                runtime.and_then(|runtime| runtime.readiness.read_datagram(self.dir, &roots))
            else {
                return;
            };
            for line in sd_notify::lines(&message.text) {
                self.take_line(line, message.user);
            }
            if message.has_descriptors {
                return self.discard_datagram();
            }
        }
    }

    /// Reports that the service has closed `notification-fd` and cannot become ready by it, unless it
    /// is ready or at its end.
    #[inline(never)]
    fn print_closed_pipe(&mut self) {
        let machine = &self.service.machine;
        let State::Up { pid, .. } = machine.state() else { return };
        if machine.ready().is_some() || machine.is_ending() {
            return;
        }
        // A process closes its descriptors before its parent learns of its end.
        if tree::is_exiting(pid) == Ok(false)
            && let Some(runtime) = &self.runtime
            && let Some(number) = runtime.config.options.ready.descriptor
        {
            self.report_limit.print_closed_pipe(self.dir, number);
        }
    }

    /// Obeys a line of a datagram, which this user has sent.
    fn take_line(&mut self, line: Line<'_>, user: u32) {
        match line {
            Line::Notification(notification) => {
                self.step(Role::Service, Event::Notified(notification));
            }
            Line::MainPid(pid) if self.service.machine.pid() == Some(pid) => {}
            // Only `run` can name the main process, another script cannot.
            Line::MainPid(pid) => {
                if matches!(self.service.machine.state(), State::Up { .. }) {
                    let _ = self.set_main_process(pid, Some(user));
                }
            }
            Line::Status(text) => {
                if let Some(runtime) = &mut self.runtime {
                    runtime.status_text = text.to_vec();
                }
                self.unpublished = true;
            }
        }
    }

    /// Whether a datagram with descriptors waits for a helper process. If so, tries to start one.
    fn discard_waiting(&mut self) -> bool {
        let waits = self.waits_for_helper();
        if waits {
            self.discard_datagram();
        }
        waits
    }

    /// Whether a datagram with descriptors waits for a helper process.
    pub(super) fn waits_for_helper(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.readiness.waits_for_helper())
    }

    /// Lets a helper process take the last datagram, which has descriptors, out of the socket.
    #[inline(never)]
    fn discard_datagram(&mut self) {
        if let Some(runtime) = &mut self.runtime {
            let may_start = runtime.helpers.may_discard();
            if let Some(helper) = runtime.readiness.discard(may_start) {
                runtime.helpers.add_discarder(helper);
            }
        }
    }

    /// When [`Performer::step_claims`] is due.
    pub(super) fn claim_deadline(&self) -> Option<Instant> {
        let dependencies = self.runtime.as_ref()?.dependencies.as_ref()?;
        dependencies.claim_deadline(&self.service.machine)
    }

    /// Lets the services that this one needs stop when it has ended, or when it is time. If one of
    /// them is to stop and this one is to restart with it, stops this one.
    pub(super) fn step_claims(&mut self) {
        let Some(runtime) = &mut self.runtime else { return };
        let Some(dependencies) = &mut runtime.dependencies else { return };
        let needs = &runtime.config.options.needs;
        match dependencies.step_claims(&self.service.machine, needs) {
            None => {}
            Some(Follow::GaveUp) => {
                let why = b" has not ended in time: the services that it needs stop now";
                diag::say(&[b"supervise: warning: ", self.dir.to_bytes(), why]);
            }
            Some(Follow::Restart(name)) => self.lose_dependency(&name, b", which is to stop"),
        }
    }

    fn lose_dependency(&mut self, name: &[u8], why: &[u8]) {
        let dir = self.dir.to_bytes();
        let words = b"supervise: warning: restarting ";
        diag::say(&[words, dir, b": it needs ", name, why]);
        self.step(Role::Service, Event::DependencyLost);
    }

    /// When [`Performer::check_prerequisites`] is due without an event.
    pub(super) fn prerequisites_due(&self) -> Option<Instant> {
        self.runtime.as_deref()?.prerequisites_due(self.service.machine.state())
    }

    /// Checks for the first connection, and for ready or lost dependencies.
    #[inline(never)]
    pub(super) fn check_prerequisites(&mut self) {
        let state = self.service.machine.state();
        let Some(runtime) = &mut self.runtime else {
            return;
        };
        if runtime.first_connection.as_ref().is_some_and(poll::ReadySet::is_ready) {
            return self.step(Role::Service, Event::Unblocked);
        }
        match (runtime.check_dependencies(), state) {
            (Some(DependencyCheck::AllReady), State::Blocked)
                if runtime.first_connection.is_none() =>
            {
                self.step(Role::Service, Event::Unblocked);
            }
            (Some(DependencyCheck::Missing(name)), State::Blocked) => {
                self.unpublished |= runtime.missing_dependency.as_ref() != Some(&name);
                runtime.missing_dependency = Some(name);
            }
            (Some(DependencyCheck::Lost(name)), State::Up { .. })
                if !self.service.machine.is_ending() =>
            {
                self.lose_dependency(&name, b", which has gone");
            }
            _ => {}
        }
    }
}
