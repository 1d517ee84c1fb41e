//! svscan's live upgrade: hands over to the new program, or resumes as the new program.

use super::inherited::{COPIER, to_numbers};
use super::message_pipe;
use super::scanner::Scanner;
use super::upgrade_request;
use crate::common::diag;
use crate::survive::signal_reader::SignalReader;
use crate::survive::upgrade;
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_core::handover::{Handover, Output, Service};
use daemontools_core::svscan::roster::RosterEvent;
use daemontools_core::svscan::slot::{Contents, SlotPhase};
use daemontools_core::svscan::supervise_process::{SuperviseProcess, SuperviseRole};
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::process::Strings;
use daemontools_sys::{AsFd as _, OwnedFd, fd, signal};

/// Whether a supervise upgrades when it gets USR2.
fn reads_upgrades(pid: Pid) -> bool {
    SignalReader::of(pid, b"supervise", signal::USR2) == SignalReader::Reads
}

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

    /// Executes the newly installed program, and makes every supervise do the same. Returns if that
    /// fails.
    pub(super) fn upgrade(&mut self) {
        self.upgrade_due = false;
        let supervises: Vec<Pid> = self.roster.supervises().collect();
        for pid in supervises.into_iter().filter(|pid| reads_upgrades(*pid)) {
            self.signal(pid, signal::USR2);
        }
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
            let child = |role| match slot.supervise(role) {
                SuperviseProcess::Running { pid, .. } if self.adopted.get(pid).is_none() => {
                    Some(pid)
                }
                _ => None,
            };
            handover.services.push(Service {
                directory: to_numbers(slot.id()),
                children: [child(SuperviseRole::Main), child(SuperviseRole::Log)],
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
