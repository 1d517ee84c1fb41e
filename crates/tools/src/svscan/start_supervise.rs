//! The start of a supervise process, or the adoption of one that runs already.

use super::log_pipes::{Ends, LogPipe};
use super::scan_dir::{ServiceDir, suffix};
use super::scanner::Scanner;
use super::service_manager;
use crate::common::clock::instant;
use crate::common::diag::{self, TEMPORARY};
use crate::common::paths::of_process;
use crate::loaders::chain::exec;
use crate::survive::adoption::{self, PipeSide, RunningService};
use crate::survive::process_record;
use crate::survive::startup_lock;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::copier::Stream;
use daemontools_core::svscan::roster::RosterEvent;
use daemontools_core::svscan::slot::{Slot, SlotNo};
use daemontools_core::svscan::supervise_process::{NAME_GONE, SuperviseProcess, SuperviseRole};
use daemontools_sys::fs::{self, DirId};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, fd};

/// How often to look for the pipe while a process lives that may have it.
const PIPE_LOOKS: u32 = 5;

/// A process that a dead supervise was starting is not yet the service, or a supervise is upgrading.
struct StillStarting;

/// The supervise process to start.
struct Target {
    no: SlotNo,
    role: SuperviseRole,
    id: DirId,
    dir: ServiceDir,
    /// The service has a logger, or is the own logger.
    needs_pipe: bool,
    is_own_logger: bool,
}

impl Target {
    /// The name in messages.
    fn shown(&self) -> [&[u8]; 2] {
        [self.dir.name.to_bytes(), suffix(self.role)]
    }
}

/// The descriptors of a child beside the ones that svscan itself inherited.
#[derive(Clone, Copy)]
struct ChildDescriptors<'a> {
    /// Standard descriptors, and the ends of pipes that become them.
    replaced: [Option<(BorrowedFd<'static>, BorrowedFd<'a>)>; 3],
    /// The start-up lock.
    lock: Option<BorrowedFd<'a>>,
}

impl ChildDescriptors<'_> {
    /// The highest number among these and the inherited ones.
    fn highest(&self, last_inherited: i32) -> i32 {
        let ends = self.replaced.iter().flatten().map(|(_, end)| *end);
        ends.chain(self.lock).map(fd::number).fold(last_inherited, i32::max)
    }
}

/// A supervise that was requested.
enum Supervise {
    New(Pid),
    /// It ran already.
    Adopted(Pid),
}

/// Why there is no supervise after a start.
enum NoChild {
    /// The start has failed, after a warning.
    Failed,
    /// The name does not lead to the service directory any more.
    NameGone,
}

impl Scanner {
    /// Starts a supervise, or adopts the one that runs already, and answers the roster.
    pub(super) fn spawn(&mut self, no: SlotNo, role: SuperviseRole) {
        let (mut is_new, mut event) = (false, RosterEvent::SpawnFailed(no, role));
        match self.adopt_or_start(no, role) {
            Ok(supervise) => {
                is_new = matches!(supervise, Supervise::New(_));
                let (Supervise::New(pid) | Supervise::Adopted(pid)) = supervise;
                event = RosterEvent::Spawned(no, role, pid);
            }
            Err(NoChild::Failed) => {}
            Err(NoChild::NameGone) => event = RosterEvent::NotSpawned(no, role),
        }
        self.roster.step(event, instant(), &mut self.effects);
        if let RosterEvent::Spawned(_, _, pid) = event
            && self.take_late_upgrade(no, role)
            && !is_new
        {
            self.upgrade_supervise(pid);
        }
        // A new supervise of a service has the pipe.
        if role == SuperviseRole::Log || !is_new {
            self.offer_log_pipe(no);
        }
    }

    /// Whether a supervise is still to be upgraded. Forgets that.
    fn take_late_upgrade(&mut self, no: SlotNo, role: SuperviseRole) -> bool {
        let Some(id) = self.roster.slot(no).map(Slot::id) else { return false };
        let place = self.late_upgrades.iter().position(|late| *late == (id, role));
        place.map(|place| self.late_upgrades.swap_remove(place)).is_some()
    }

    /// Prints a warning if the start fails.
    fn adopt_or_start(&mut self, no: SlotNo, role: SuperviseRole) -> Result<Supervise, NoChild> {
        let target = self.target(no, role).ok_or(NoChild::Failed)?;
        self.claim_outputs(no, role);
        if let Some(pid) = self.take_inherited_supervise(&target) {
            return Ok(Supervise::Adopted(pid));
        }
        // Counted by the roster: this is the first attempt of the start.
        let is_first = matches!(
            self.roster.slot(no).ok_or(NoChild::Failed)?.supervise(role),
            SuperviseProcess::Spawning { quick_deaths: 0 }
        );
        let mut running = self.find(&target.dir);
        if running.is_upgrading && is_first {
            // The roster tries again in a second.
            return Err(NoChild::Failed);
        }
        if target.needs_pipe && !self.pipes.has(no) {
            let Ok(pipe) = self.find_pipe(&target, &mut running, is_first) else {
                // The roster tries again in a second.
                return Err(NoChild::Failed);
            };
            if let Err(error) = self.pipes.insert(no, pipe, &mut self.open_files) {
                let name = target.dir.name.to_bytes();
                diag::warning("svscan", &[b"unable to create pipe for ", name], error);
                return Err(NoChild::Failed);
            }
        }
        self.take_over_outputs(no, role, &running);
        if let Some((pid, handle)) = running.supervise
            && self.adopt(pid, handle)
        {
            return Ok(Supervise::Adopted(pid));
        }
        // `ln -sfn` and package managers make a link under another name, and rename it.
        if !target.is_own_logger && !Self::leads_to(&target.dir.name, target.id) {
            return Err(NoChild::NameGone);
        }
        if let Err(error) = self.make_outputs(no, role) {
            let [name, suffix] = target.shown();
            diag::warning("svscan", &[b"unable to create pipe for ", name, suffix], error);
            return Err(NoChild::Failed);
        }
        self.start(&target).map(Supervise::New).ok_or(NoChild::Failed)
    }

    fn target(&self, no: SlotNo, role: SuperviseRole) -> Option<Target> {
        let slot = self.roster.slot(no)?;
        Some(Target {
            no,
            role,
            id: slot.id(),
            dir: ServiceDir::of(slot, role)?,
            needs_pipe: slot.has_logger(),
            is_own_logger: slot.is_own_logger(),
        })
    }

    /// Whether a name in the scan directory leads to this directory now.
    fn leads_to(name: &CStr, id: DirId) -> bool {
        fs::dir_id(fs::HERE, name) == Ok(Some(id))
    }

    /// The supervise that a live upgrade handed over, with its pipe.
    ///
    /// It is known to run even if it is so new that no lock shows it yet, and even if its name is gone.
    fn take_inherited_supervise(&mut self, target: &Target) -> Option<Pid> {
        let (pipe, pid) = self.inherited.take(target.id, target.role);
        if target.needs_pipe && !self.pipes.has(target.no) && pipe.is_some() {
            let _ = self.pipes.insert(target.no, pipe, &mut self.open_files);
        }
        pid.filter(|pid| process::is_child(*pid) || self.adopt_inherited(*pid, target))
    }

    /// Adopts a supervise that the earlier program image had adopted. It stands in its directory; during its own
    /// upgrade it stands where it was started.
    fn adopt_inherited(&mut self, pid: Pid, target: &Target) -> bool {
        let Ok(Some(handle)) = Handle::open(pid) else { return false };
        let standing = |place: &[u8]| {
            let mut room = [0; 48];
            let path = of_process(&mut room, pid, place)?;
            fs::dir_id(fs::HERE, path)
        };
        let directory = Ok(Some(target.id));
        let is_there = match standing(b"cwd") {
            Ok(None) | Err(_) => false,
            here if here == directory => true,
            _ if target.dir.in_log => standing(b"cwd/..") == directory,
            here => here == fs::dir_id(fs::HERE, c"."),
        };
        is_there && !handle.has_ended() && self.adopt(pid, handle)
    }

    /// The processes that run already for a service directory.
    fn find(&mut self, dir: &ServiceDir) -> RunningService {
        if !self.dir.enter(dir) {
            return RunningService::default();
        }
        let found = RunningService::of_current_dir(&mut self.standing);
        self.dir.enter_scan_dir();
        found
    }

    /// The pipe that a service and its logger use already. `running` are the processes of the target;
    /// they are looked up again if they change meanwhile.
    ///
    /// The processes that have the pipe can die during the look. Then others have it by now.
    ///
    /// # Errors
    /// `StillStarting` if `may_wait`, and a process that may have the pipe is not yet the service.
    fn find_pipe(
        &mut self,
        target: &Target,
        running: &mut RunningService,
        may_wait: bool,
    ) -> Result<Option<Ends>, StillStarting> {
        let ServiceDir { name, .. } = &target.dir;
        let other_dir =
            ServiceDir { name: name.clone(), in_log: target.role == SuperviseRole::Main };
        for _ in 0..PIPE_LOOKS {
            let other = self.find(&other_dir);
            let pipe = match target.role {
                SuperviseRole::Main => adoption::pipe_between(running.side(), other.side()),
                SuperviseRole::Log if target.is_own_logger => {
                    adoption::pipe_between(PipeSide::default(), running.side())
                }
                SuperviseRole::Log => adoption::pipe_between(other.side(), running.side()),
            };
            match pipe {
                Ok(None)
                    if may_wait
                        && (running.is_starting || other.is_starting || other.is_upgrading) =>
                {
                    return Err(StillStarting);
                }
                Ok(None) if running.is_empty() && other.is_empty() => break,
                Ok(None) => *running = self.find(&target.dir),
                Ok(found) => return Ok(found),
                Err(reason) => {
                    let name = name.to_bytes();
                    diag::say(&[
                        b"svscan: warning: unable to get back the pipe from ",
                        name,
                        b" to its logger: ",
                        reason.as_bytes(),
                        b"; to connect them anew: svc -x ",
                        name,
                        b"/log; svc -dx ",
                        name,
                    ]);
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Adopts a supervise that runs already; whether svscan will learn of its end.
    fn adopt(&mut self, pid: Pid, handle: Handle) -> bool {
        self.forget_earlier(pid);
        // After a live upgrade it is still our child.
        process::is_child(pid) || self.adopted.add(pid, handle, &mut self.open_files).is_ok()
    }

    /// Reports the end of an adopted process that had this pid before: from now on the pid belongs to
    /// another one.
    fn forget_earlier(&mut self, pid: Pid) {
        if let Some(handle) = self.adopted.remove_if_ended(pid) {
            let how = process_record::end_of(&handle);
            self.warn_of_end(pid, how);
            self.roster.step(RosterEvent::Ended(pid, how), instant(), &mut self.effects);
        }
    }

    /// Starts a new supervise.
    fn start(&mut self, target: &Target) -> Option<Pid> {
        let ends = self.pipe_ends(target);
        // Copies with low numbers, so that the child does not get the pipes of other services.
        let copies = ends.map(|end| end.and_then(|(_, end)| fd::duplicate_low(end).ok()));
        let mut copied = copies.iter().map(|copy| copy.as_ref().map(OwnedFd::as_fd));
        let descriptors = ChildDescriptors {
            replaced: ends.map(|end| {
                let copy = copied.next().flatten();
                end.map(|(standard, end)| (standard, copy.unwrap_or(end)))
            }),
            lock: self.dir.lock(),
        };
        let lock_variable = descriptors.lock.map(startup_lock::variable);
        let mut environment: Vec<&CStr> = service_manager::environment_of_services().collect();
        environment.extend(lock_variable.as_deref());
        let environment = Strings::of(environment);

        let mut child = || self.become_supervise(target, descriptors, &environment);
        let spawned = match self.last_inherited {
            Some(last) => process::spawn_with_fds_up_to(descriptors.highest(last), &mut child),
            None => process::spawn(&mut child),
        };
        match spawned {
            Ok(pid) => {
                self.forget_earlier(pid);
                Some(pid)
            }
            Err(error) => {
                let [name, suffix] = target.shown();
                diag::warning("svscan", &[b"unable to fork for ", name, suffix], error);
                None
            }
        }
    }

    /// The standard descriptors of the target that are pipes, and the ends that become them.
    fn pipe_ends(&self, target: &Target) -> [Option<(BorrowedFd<'static>, BorrowedFd<'_>)>; 3] {
        let pipe = self.pipes.get(target.no).filter(|_| target.needs_pipe);
        let log = pipe.and_then(|LogPipe { read_end, write_end, .. }| match target.role {
            SuperviseRole::Main => Some((fd::stdout(), write_end.as_ref()?.as_fd())),
            SuperviseRole::Log => Some((fd::stdin(), read_end.as_fd())),
        });
        let is_logged = log.is_some() && target.role == SuperviseRole::Main;
        let output = |stream| self.outputs.as_ref()?.write_end(target.no, target.role, stream);
        let out = output(Stream::Out).filter(|_| !is_logged);
        let err = output(Stream::Err);
        [log, out.map(|end| (fd::stdout(), end)), err.map(|end| (fd::stderr(), end))]
    }

    /// Runs in the child, and ends with an exec. Returns the exit code if that fails.
    fn become_supervise(
        &self,
        target: &Target,
        descriptors: ChildDescriptors<'_>,
        environment: &Strings<'_>,
    ) -> i32 {
        let [name, suffix] = target.shown();
        if self.own_groups {
            // Fails only for a session leader. A new process leads no session.
            let _ = process::lead_new_group();
        }
        if let Some(limit) = self.open_files {
            limit.restore();
        }
        for (standard, end) in descriptors.replaced.into_iter().flatten() {
            if let Err(error) = fd::replace(standard, end) {
                let what = [b"unable to set up descriptors for ", name, suffix];
                diag::warning("svscan", &what, error);
                return TEMPORARY;
            }
        }
        if target.dir.in_log
            && let Err(error) = fs::chdir(&target.dir.name)
        {
            if error == Errno::NOENT {
                return NAME_GONE.into();
            }
            diag::warning("svscan", &[b"unable to switch to ", name], error);
            return TEMPORARY;
        }
        self.signals.restore_mask();
        let args = [c"supervise", if target.dir.in_log { c"log" } else { &target.dir.name }];
        if let Some(lock) = descriptors.lock {
            fd::set_inherited(lock, true);
        }
        let path = process::env("PATH").map(CStr::to_bytes);
        let error = exec(c"supervise", &Strings::of(args), environment, path);
        diag::warning("svscan", &[b"unable to start supervise ", name, suffix], error);
        TEMPORARY
    }
}
