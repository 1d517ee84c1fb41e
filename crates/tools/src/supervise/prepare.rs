//! Prepares a start: reads the options of the service directory, and opens their sockets, control
//! group and logger.

use super::beginning::{self, Beginning, Start};
use super::encore_logger::{self, EncoreLogger};
use super::performer::Performer;
use super::published_record::PublishedRecord;
use super::runtime::{PrepareError, ServiceRuntime};
use super::service_config::{self, ConfigError, ServiceConfig};
use super::supervised::{Role, Supervised};
use crate::common::diag;
use alloc::boxed::Box;
use alloc::vec::Vec;
use daemontools_core::handover::Handover;
use daemontools_core::state_dir::phase::Reason;
use daemontools_core::supervise::{Event, Policy};
use daemontools_sys::{AsFd as _, OwnedFd, random};

impl Performer {
    /// Prepares a start. Returns the answer for the machine.
    pub(super) fn prepare(&mut self, role: Role) -> Event {
        match role {
            Role::Service => self.prepare_service(),
            Role::Logger => Event::Prepared,
        }
    }

    /// Reads the options before a start of the service, and opens what they ask for.
    #[inline(never)]
    fn prepare_service(&mut self) -> Event {
        let mut has_log_dir = false;
        let config = service_config::read(self.dir, &mut self.lookalikes, &mut has_log_dir);
        self.note_log_dir(has_log_dir);
        match config {
            Ok(None) => {
                self.printed_refusal.clear();
                // The option files were removed.
                if let Some(mut runtime) = self.runtime.take() {
                    runtime.remove_cgroup();
                    runtime.close_notify_socket();
                    self.files.remove_state();
                }
                self.service.machine.configure(Policy::ORIGINAL, 0);
                Event::Prepared
            }
            Err(error) => {
                self.refuse_config(&error);
                Event::Refused(Reason::Options)
            }
            Ok(Some(config)) => self.prepare_with(config),
        }
    }

    /// Prepares the start of a service with options.
    #[inline(never)]
    fn prepare_with(&mut self, config: Box<ServiceConfig>) -> Event {
        let chance = if config.policy.restart.is_some() { random::random_u32() } else { 0 };
        let policy = config.policy;
        if policy.essential.is_some() {
            self.files.remove_essential_end();
        }
        match &mut self.runtime {
            Some(runtime) => runtime.renew(config),
            place => *place = Some(Box::new(ServiceRuntime::new(config))),
        }
        self.show_logger_to_runtime();
        let start_dir = self.start_dir.as_ref().map(OwnedFd::as_fd);
        let prepared = self
            .runtime
            .as_mut()
            .map_or(Ok(()), |runtime| runtime.prepare(self.dir, start_dir, self.files.dir()));
        match prepared {
            Err(PrepareError::Refused(Reason::Cycle, words)) => {
                // Only a command tries again, so each attempt is worth a message.
                diag::say(&[&words]);
                return Event::Refused(Reason::Cycle);
            }
            Err(PrepareError::Refused(reason, words)) => {
                self.print_refusal(words);
                return Event::Refused(reason);
            }
            Err(PrepareError::NotYet) => {
                let absent = self.runtime.as_ref().and_then(|runtime| runtime.absent_dependency());
                match absent {
                    Some(name) => {
                        let dir = self.dir.to_bytes();
                        let words: [&[u8]; 5] = [
                            b"supervise: warning: ",
                            dir,
                            b" needs ",
                            name,
                            b", and waits: there is no such service beside it",
                        ];
                        self.print_refusal(words.concat());
                    }
                    None => self.printed_refusal.clear(),
                }
                return Event::Blocked;
            }
            Ok(()) => self.printed_refusal.clear(),
        }
        // A new personality file may make `log` a logger.
        if self.logger.is_none() {
            let start = Start { normally_up: true, upgraded: false };
            if self.make_logger(start, None).is_err() {
                return Event::Refused(Reason::Setup);
            }
            self.step(Role::Logger, Event::Begin);
        }
        self.service.machine.configure(policy, chance);
        Event::Prepared
    }

    /// Makes the logger and the pipe to it, if the options ask for one and there is none yet. On
    /// failure it prints a message and returns the exit code.
    pub(super) fn make_logger(
        &mut self,
        start: Start,
        handover: Option<&Handover>,
    ) -> core::result::Result<(), i32> {
        if self.logger.is_some() || !self.runtime.as_ref().is_some_and(|runtime| runtime.config.log)
        {
            return Ok(());
        }
        let mut record = PublishedRecord::LOGGER;
        let earlier = record.open(&self.files)?;
        let Beginning { machine, adopted, .. } =
            beginning::logger(&self.files, &mut record, earlier, start)?;
        let service = encore_logger::hold(self.service.machine.pid(), self.service.adopted());
        let logger = encore_logger::hold(machine.pid(), adopted.as_ref());
        let pipe = encore_logger::pipe(self.dir, service, logger, handover).map_err(|error| {
            diag::fatal("supervise", &[b"unable to create pipe for ", self.dir.to_bytes()], error)
        })?;
        let process = Supervised::new(machine, adopted, record);
        self.logger = Some(Box::new(EncoreLogger::new(process, pipe)));
        self.unpublished = true;
        self.show_logger_to_runtime();
        Ok(())
    }

    /// Prints what is wrong with the options.
    pub(super) fn refuse_config(&mut self, error: &ConfigError) {
        let message = error.message(self.dir.to_bytes());
        self.print_refusal([b"supervise: warning: ", &*message].concat());
        // `state` shows the reason, and only a runtime has a `state`.
        self.runtime.get_or_insert_with(|| Box::new(ServiceRuntime::new(ServiceConfig::none())));
    }

    /// Prints why the service is not started, unless that was the last message of this kind.
    fn print_refusal(&mut self, words: Vec<u8>) {
        if self.printed_refusal != words {
            diag::say(&[&words]);
            self.printed_refusal = words;
        }
    }
}
