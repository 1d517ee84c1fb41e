//! The handover of a live upgrade, on the side of the new svscan.

use super::log_pipes::Ends;
use super::message_pipe;
use super::upgrade_request;
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_core::copier::Stream;
use daemontools_core::handover::{Handover, Service};
use daemontools_core::svscan::supervise_process::SuperviseRole;
use daemontools_sys::fs::DirId;
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::{OwnedFd, fd, process};

/// The handover of the svscan that was this process before. Empty at a usual start.
#[derive(Default)]
pub(super) struct Inherited {
    pub(super) mask: Option<u64>,
    pub(super) lock: Option<OwnedFd>,
    pub(super) marker: Option<OwnedFd>,
    /// The read end of the pipe of messages.
    pub(super) messages: Option<OwnedFd>,
    /// The pipe to the process that has asked for the upgrade.
    pub(super) answer: Option<OwnedFd>,
    /// The child that waits or runs the command after `--`.
    pub(super) command: Option<Pid>,
    pub(super) open_files: Option<OpenFiles>,
    /// The supervises that are still to be upgraded.
    pub(super) late_upgrades: Vec<(DirId, SuperviseRole)>,
    pub(super) services: InheritedServices,
    /// The pipes to the copier.
    pub(super) outputs: Vec<InheritedOutput>,
    /// The copier, and the socket to it.
    pub(super) copier: Option<(Pid, OwnedFd)>,
}

/// A pipe to the copier.
pub(super) struct InheritedOutput {
    pub(super) id: DirId,
    pub(super) role: SuperviseRole,
    pub(super) stream: Stream,
    /// The copier has it.
    pub(super) is_sent: bool,
    pub(super) ends: Ends,
}

/// The name of the socket to the copier in a handover.
pub(super) const COPIER: &[u8] = b"copier";

/// The services of the handover, until their slots have taken them.
#[derive(Default)]
pub(super) struct InheritedServices(Vec<InheritedService>);

struct InheritedService {
    id: DirId,
    name: Vec<u8>,
    /// By role: the supervise processes.
    supervises: [Option<Pid>; 2],
    pipe: Option<Ends>,
}

impl Inherited {
    /// Takes the descriptors of a handover. Comes before anything is opened.
    pub(super) fn take(handover: Handover) -> Self {
        let take = |name| handover.descriptor(name).and_then(fd::take_inherited);
        let (lock, marker) = (take(b"lock"), take(b"marker"));
        let messages = take(message_pipe::HANDOVER);
        let answer = take(upgrade_request::HANDOVER);
        let late = handover.services.iter().flat_map(|service| {
            let roles = [SuperviseRole::Main, SuperviseRole::Log].into_iter().zip(service.late);
            roles.filter(|(_, late)| *late).map(|(role, _)| (to_id(service.directory), role))
        });
        let late_upgrades = late.collect();
        let service = |Service { directory, supervises, pipe, name, .. }| {
            let ends = pipe.map(|ends: [i32; 2]| ends.map(fd::take_inherited));
            let pipe = ends.and_then(|[read, write]| Some((read?, write?)));
            InheritedService { id: to_id(directory), name, supervises, pipe }
        };
        let copier = handover.copier.filter(|pid| process::is_child(*pid)).zip(take(COPIER));
        let outputs = handover.outputs.into_iter().filter_map(|output| {
            let [read, write] = output.pipe.map(fd::take_inherited);
            Some(InheritedOutput {
                id: to_id(output.directory),
                role: if output.is_log { SuperviseRole::Log } else { SuperviseRole::Main },
                stream: output.stream,
                is_sent: output.is_sent && copier.is_some(),
                ends: (read?, write?),
            })
        });
        let outputs = outputs.collect();
        Self {
            mask: Some(handover.mask),
            outputs,
            copier,
            lock,
            marker,
            messages,
            answer,
            command: handover.command,
            open_files: handover.open_files.map(OpenFiles::raised_from),
            late_upgrades,
            services: InheritedServices(handover.services.into_iter().map(service).collect()),
        }
    }
}

impl InheritedServices {
    /// The name of each service in the scan directory, its directory, and whether it has a logger.
    pub(super) fn known(&self) -> impl Iterator<Item = (&[u8], DirId, bool)> {
        self.0.iter().map(|service| (&service.name[..], service.id, service.pipe.is_some()))
    }

    /// Closes the pipes, and forgets the supervises, that no slot has taken.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes the pipe and the process that the handover has for a supervise.
    pub(super) fn take(&mut self, id: DirId, role: SuperviseRole) -> (Option<Ends>, Option<Pid>) {
        match self.0.iter_mut().find(|service| service.id == id) {
            Some(service) => {
                let pid = service.supervises.get_mut(role as usize).and_then(Option::take);
                (service.pipe.take(), pid)
            }
            None => (None, None),
        }
    }
}

/// Device (major, minor), inode and time of birth, as the handover writes a directory.
pub(super) fn to_numbers(id: DirId) -> [u64; 4] {
    let (major, minor) = id.device;
    [major.into(), minor.into(), id.inode, u64::try_from(id.born).unwrap_or(0)]
}

/// The inverse of [`to_numbers`].
fn to_id([major, minor, inode, born]: [u64; 4]) -> DirId {
    let part = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    DirId { device: (part(major), part(minor)), inode, born: born.into() }
}
