//! Publishes what the supervisor knows: the status, `state` and the process records.

use super::notify_address::NotifyAddress;
use super::performer::Performer;
use super::runtime::ServiceRuntime;
use crate::common::clock::now;
use daemontools_core::state_dir::detail::Detail;
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::supervise::State;

impl Performer {
    /// Writes the status and `state`, and the process records as far as the processes have not done
    /// so. A failure is printed once, and the write is tried again later.
    #[inline(never)]
    pub(super) fn publish(&mut self) {
        let leaving = self.service.machine.is_leaving();
        let is_over = self.service.machine.state() == State::Gone;
        // The next supervisor must not take over the wanted state of one that leaves. So a leaving
        // supervisor writes the record before the status. Otherwise the status comes first, because
        // the next supervisor believes the status only if there is a record.
        if is_over {
            self.service.record.remove(&self.files);
        } else if leaving {
            self.service.update_record(&self.files, leaving);
        }
        // `state` comes before the status: other programs read both once the status changes.
        if let Some(runtime) = &self.runtime {
            self.files.write_state(&self.detail(runtime));
        }
        let record = self.service.machine.record();
        let logger = self.logger.as_ref().map(|logger| logger.process.machine.record());
        let written = self.files.write_status(&record, logger.as_ref(), self.status_failed);
        self.service.note_published();
        self.status_failed = !written;
        if !leaving {
            self.service.update_record(&self.files, leaving);
        }
        let mut recorded = is_over || self.service.record.is_written();
        if let Some(logger) = &mut self.logger {
            let logger = &mut logger.process;
            logger.note_published();
            if is_over && logger.machine.state() == State::Gone {
                logger.record.remove(&self.files);
            } else {
                logger.update_record(&self.files, leaving);
                recorded &= logger.record.is_written();
            }
        }
        self.unpublished = !(written && recorded);
    }

    /// The content of `state`.
    fn detail<'a>(&self, runtime: &'a ServiceRuntime) -> Detail<'a> {
        let machine = &self.service.machine;
        let phase = match machine.phase() {
            Phase::Blocked if runtime.first_connection.is_some() => Phase::Listening,
            other => other,
        };
        let script = match machine.state() {
            State::RunningScript { pid, .. } => Some(pid),
            _ => None,
        };
        Detail {
            since: machine.record().since,
            phase,
            reason: machine.reason(),
            ready: machine.ready(),
            failures: machine.failures(),
            next: machine.next_start(now()),
            waiting_for: runtime.missing_dependency.as_deref().unwrap_or_default(),
            message: &runtime.status_text,
            script,
            run_end: machine.run_end(),
            out_of_memory: runtime.out_of_memory,
            socket: runtime.readiness.address().map_or(&b""[..], NotifyAddress::published),
            cgroup: runtime.cgroup.as_ref().map_or(&b""[..], |cgroup| cgroup.path()),
        }
    }
}
