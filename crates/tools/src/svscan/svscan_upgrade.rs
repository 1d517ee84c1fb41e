//! svscan's live upgrade: hands over to the new program, or resumes as the new program.

use super::inherited::{COPIER, to_numbers};
use super::message_pipe;
use super::scanner::Scanner;
use super::unsent_signals::Retry;
use super::upgrade_request;
use crate::common::diag;
use crate::survive::signal_reader::SignalReader;
use crate::survive::upgrade;
use alloc::vec::Vec;
use daemontools_core::handover::{Handover, Output, Service};
use daemontools_core::svscan::roster::RosterEvent;
use daemontools_core::svscan::slot::{Contents, SlotPhase};
use daemontools_core::svscan::supervise_process::{SuperviseProcess, SuperviseRole};
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::process::Strings;
use daemontools_sys::{AsFd as _, OwnedFd, fd, signal};

impl Scanner {
    /// Starts the inherited services. The first scan finds the ones whose name is gone.
    pub(super) fn resume(&mut self) {
        let known: Vec<_> = (self.inherited.known())
            // The own logger has its slot already.
            .filter(|(_, id, _)| self.roster.slots().all(|(_, slot)| slot.id() != *id))
            .map(|(name, id, log)| (name.to_vec(), id, log))
            .collect();
        for (name, id, log) in known {
            self.step(RosterEvent::Seen(&name, id, Contents { log, run: true, quiet_in: None }));
        }
        self.inherited.clear();
    }

    /// Makes every supervise execute the newly installed program. Notes those to which that is still to be
    /// told: one that does not read the signal yet, and one that was upgrading when svscan looked for it.
    fn upgrade_supervises(&mut self) {
        let slots = self.roster.slots().flat_map(|(_, slot)| {
            [SuperviseRole::Main, SuperviseRole::Log]
                .map(|role| (slot.id(), role, slot.supervise(role)))
        });
        let (mut known, mut late) = (Vec::new(), Vec::new());
        for (id, role, supervise) in slots {
            match supervise {
                SuperviseProcess::Running { pid, .. } => known.push((id, role, pid)),
                SuperviseProcess::Spawning { .. } | SuperviseProcess::Absent { .. } => {
                    late.push((id, role));
                }
            }
        }
        for (id, role, pid) in known {
            match SignalReader::of(pid, b"supervise", signal::USR2) {
                SignalReader::Reads => self.signal(pid, signal::USR2),
                SignalReader::Begins => {
                    late.push((id, role));
                    // If svscan itself goes on without upgrade.
                    self.unsent.push(pid, signal::USR2, Retry::Soon);
                }
                SignalReader::Older | SignalReader::Other => {}
            }
        }
        self.late_upgrades = late;
    }

    /// Executes the newly installed program, and makes every supervise do the same. Returns if that
    /// fails.
    pub(super) fn upgrade(&mut self) {
        self.upgrade_due = false;
        self.upgrade_supervises();
        let mut kept = Vec::new();
        let mut handover = Handover {
            mask: self.signals.inherited_mask(),
            command: self.command_pid(),
            copier: self.outputs.as_ref().and_then(|outputs| outputs.copier()),
            open_files: self.open_files.map(OpenFiles::inherited),
            ..Handover::default()
        };
        let answer = self.answer.take();
        let named = [
            (&b"lock"[..], self.dir.lock()),
            (b"marker", self.dir.marker()),
            (message_pipe::HANDOVER, self.messages.read_end()),
            (upgrade_request::HANDOVER, answer.as_ref().map(OwnedFd::as_fd)),
            (COPIER, self.outputs.as_ref().and_then(|outputs| outputs.control())),
        ];
        for (name, descriptor) in named {
            if let Some(descriptor) = descriptor {
                handover.descriptors.push((name.to_vec(), fd::number(descriptor)));
                kept.push(descriptor);
            }
        }
        for (no, slot) in self.roster.slots() {
            if matches!(slot.phase(), SlotPhase::Settling { .. }) {
                continue;
            }
            let ends = self.pipes.get(no).and_then(|pipe| pipe.ends());
            kept.extend(ends.into_iter().flatten());
            let running = |role| match slot.supervise(role) {
                SuperviseProcess::Running { pid, .. } => Some(pid),
                SuperviseProcess::Absent { .. } | SuperviseProcess::Spawning { .. } => None,
            };
            handover.services.push(Service {
                directory: to_numbers(slot.id()),
                supervises: [running(SuperviseRole::Main), running(SuperviseRole::Log)],
                late: [SuperviseRole::Main, SuperviseRole::Log]
                    .map(|role| self.late_upgrades.contains(&(slot.id(), role))),
                pipe: ends.map(|ends| ends.map(fd::number)),
                name: slot.name().to_vec(),
            });
        }
        for (no, role, stream, is_sent, ends) in self.outputs.iter().flat_map(|it| it.all()) {
            let Some(slot) = self.roster.slot(no) else { continue };
            kept.extend(ends);
            handover.outputs.push(Output {
                directory: to_numbers(slot.id()),
                is_log: role == SuperviseRole::Log as u8,
                stream,
                is_sent,
                pipe: ends.map(fd::number),
            });
        }
        let reason = if self.dir.enter_start() {
            upgrade::run("svscan", &Strings::own_args(0), &handover, &kept)
        } else {
            let reason = "the directory in which svscan was started is gone";
            diag::warning_because("svscan", &[b"going on without upgrade"], reason);
            reason
        };
        self.dir.enter_scan_dir();
        if let Some(answer) = answer {
            upgrade_request::answer(&answer, reason);
        }
    }
}
