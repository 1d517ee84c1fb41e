//! The runtime of a service with options: descriptors, helper scripts, dependencies and the control
//! group. A service without options has none.

use super::cgroup::{Cgroup, LimitError};
use super::dependencies::{Dependencies, DependencyCheck};
use super::helpers::Helpers;
use super::process_groups::ProcessGroups;
use super::readiness::Readiness;
use super::service_config::ServiceConfig;
use super::sockets;
use crate::common::diag;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::handover::Handover;
use daemontools_core::state_dir::control::Scope;
use daemontools_core::state_dir::phase::Reason;
use daemontools_core::supervise::{Script, State};
use daemontools_core::time::Instant;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::poll::ReadySet;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, fs, process};

/// How messages about a service begin that is not started.
const NOT_STARTING: &[u8] = b"supervise: warning: not starting ";

/// The runtime of one service.
pub(super) struct ServiceRuntime {
    pub(super) config: Box<ServiceConfig>,
    pub(super) readiness: Readiness,
    /// The last status text of the service, from the notify socket.
    pub(super) status_text: Vec<u8>,
    pub(super) helpers: Helpers,
    /// The sockets that the service listens on.
    pub(super) sockets: Vec<OwnedFd>,
    /// Readable at the first connection, while the service waits for one.
    pub(super) first_connection: Option<ReadySet>,
    pub(super) dependencies: Option<Dependencies>,
    /// The dependency for which the service waits.
    pub(super) missing_dependency: Option<Box<[u8]>>,
    pub(super) cgroup: Option<Cgroup>,
    /// The counts of the control group at the last end.
    out_of_memory_kills: u64,
    refused_processes: u64,
    /// It had grown since the end before.
    pub(super) out_of_memory: bool,
    pub(super) orphans: ProcessGroups,
    /// Since the last start, a warning about the name of a main process was printed.
    pub(super) warned_of_name: bool,
}

/// Why the service is not started.
pub(super) enum PrepareError {
    /// For this reason, which the message tells.
    Refused(Reason, Vec<u8>),
    /// A dependency is not ready, or there was no connection yet.
    NotYet,
}

impl ServiceRuntime {
    pub(super) fn new(config: Box<ServiceConfig>) -> Self {
        Self {
            config,
            readiness: Readiness::default(),
            status_text: Vec::new(),
            helpers: Helpers::default(),
            sockets: Vec::new(),
            first_connection: None,
            dependencies: None,
            missing_dependency: None,
            cgroup: None,
            out_of_memory_kills: 0,
            refused_processes: 0,
            out_of_memory: false,
            orphans: ProcessGroups::default(),
            warned_of_name: false,
        }
    }

    /// Takes a new configuration before a start, and drops what belongs to the last one.
    pub(super) fn renew(&mut self, config: Box<ServiceConfig>) {
        if config.options.listen != self.config.options.listen {
            self.sockets.clear();
        }
        if config.options.needs != self.config.options.needs {
            self.dependencies = None;
        }
        self.config = config;
        self.readiness.reset();
        self.status_text.clear();
        self.missing_dependency = None;
        self.first_connection = None;
        self.warned_of_name = false;
    }

    /// Opens what the service is to have, and checks whether it may start. `start_dir` is the
    /// directory to which the name `dir` is relative.
    pub(super) fn prepare(
        &mut self,
        dir: &CStr,
        start_dir: Option<BorrowedFd<'_>>,
        state_dir: BorrowedFd<'_>,
    ) -> Result<(), PrepareError> {
        let shown = dir.to_bytes();
        let refuse = |what: &[u8], error| refused(shown, &[what], error);
        self.prepare_dependencies(shown, start_dir)?;
        if self.follows_processes() {
            process::become_subreaper();
        }
        self.set_up_cgroup(shown, state_dir)?;
        if self.config.options.ready.socket {
            let wants_abstract = self.config.options.ready.abstract_socket;
            self.readiness
                .make_socket(shown, state_dir, wants_abstract, &mut self.helpers)
                .map_err(|e| refuse(b"make notify socket", e))?;
        } else {
            self.close_notify_socket();
        }
        self.bind(shown)?;
        if self.config.options.on_demand && !self.sockets.is_empty() {
            let set = ReadySet::new().map_err(|e| refuse(b"wait for connections", e))?;
            for socket in &self.sockets {
                set.add(socket.as_fd()).map_err(|e| refuse(b"wait for connections", e))?;
            }
            if !set.is_ready() {
                self.first_connection = Some(set);
                return Err(PrepareError::NotYet);
            }
        }
        Ok(())
    }

    /// Whether orphans of the service have to become children of the supervisor, which then knows
    /// all processes of the service.
    pub(super) fn follows_processes(&self) -> bool {
        let options = &self.config.options;
        options.stop.scope > Scope::Process || options.background.is_some() || options.ready.socket
    }

    /// The pipe for the reapers of helper scripts, if the scripts have some.
    pub(super) fn report_pipe(&mut self) -> Option<BorrowedFd<'_>> {
        self.helpers.report_pipe()
    }

    fn prepare_dependencies(
        &mut self,
        shown: &[u8],
        start_dir: Option<BorrowedFd<'_>>,
    ) -> Result<(), PrepareError> {
        let needs = &self.config.options.needs;
        let (Some(start_dir), false) = (start_dir, needs.is_empty()) else {
            return Ok(());
        };
        if self.dependencies.is_none() {
            let new = Dependencies::new(start_dir, shown, needs);
            let new = new.map_err(|e| refused(shown, &[b"look for what it needs"], e))?;
            self.dependencies = Some(new);
        }
        let Some(dependencies) = &mut self.dependencies else {
            return Ok(());
        };
        if let Some(chain) = dependencies.cycle(shown) {
            let chain: Vec<&[u8]> = chain.iter().map(|name| &**name).collect();
            let chain = chain.join(&b" needs "[..]);
            let words = [NOT_STARTING, shown, b": its needs lead back to it: ", &chain].concat();
            return Err(PrepareError::Refused(Reason::Cycle, words));
        }
        dependencies.forget();
        match dependencies.check(needs) {
            DependencyCheck::AllReady => {
                dependencies.claim_all(needs);
                Ok(())
            }
            DependencyCheck::Missing(name) | DependencyCheck::Lost(name) => {
                self.missing_dependency = Some(name);
                Err(PrepareError::NotYet)
            }
        }
    }

    /// Makes the control group and sets its limits, or removes it if the options need none.
    pub(super) fn set_up_cgroup(
        &mut self,
        shown: &[u8],
        state_dir: BorrowedFd<'_>,
    ) -> Result<(), PrepareError> {
        let options = &self.config.options;
        let limits = options.resources.needs_cgroup();
        if !limits && options.stop.scope != Scope::Tree && options.background.is_none() {
            self.remove_cgroup();
            return Ok(());
        }
        if self.cgroup.is_none() {
            self.cgroup = match Cgroup::of(shown, fs::open_inode(state_dir).unwrap_or(0)) {
                Ok(cgroup) => Some(cgroup),
                // Without limits the process tree is enough.
                Err(_) if !limits => None,
                Err(error) => return Err(refused(shown, &[b"make a control group"], error)),
            };
            // The group of an adopted service has counted before.
            self.out_of_memory_kills = self.cgroup.as_ref().map_or(0, Cgroup::out_of_memory_kills);
            self.refused_processes = self.cgroup.as_ref().map_or(0, Cgroup::refused_processes);
        }
        if let Some(cgroup) = &self.cgroup
            && let Err(LimitError { file, error }) = cgroup.limit(&options.resources)
        {
            let what = [b"set ", cgroup.path(), b"/", file.as_bytes()];
            return Err(refused(shown, &what, error));
        }
        Ok(())
    }

    /// Binds the sockets that are not bound yet.
    fn bind(&mut self, shown: &[u8]) -> Result<(), PrepareError> {
        for listen in self.config.options.listen.iter().skip(self.sockets.len()) {
            match sockets::bind(listen) {
                Ok(socket) => self.sockets.push(socket),
                Err(error) => {
                    let [kind, place] = &listen.written;
                    self.sockets.clear();
                    return Err(refused(shown, &[b"listen on ", kind, b" ", place], error));
                }
            }
        }
        Ok(())
    }

    /// Gets back what belongs to an adopted process, which runs `script` and may be ready.
    /// `socket_name` is what `state` tells of its notify socket.
    pub(super) fn resume(
        &mut self,
        dir: &CStr,
        start_dir: Option<BorrowedFd<'_>>,
        state_dir: BorrowedFd<'_>,
        adopted: Option<&Handle>,
        (pid, script, is_ready): (Pid, Script, bool),
        socket_name: &[u8],
    ) {
        let shown = dir.to_bytes();
        let options = &self.config.options;
        let warn = |what: &[u8], error| {
            diag::warning("supervise", &[b"unable to ", what, b" of ", shown], error);
        };
        if let (Some(start_dir), false) = (start_dir, options.needs.is_empty()) {
            match Dependencies::new(start_dir, shown, &options.needs) {
                Ok(mut dependencies) => {
                    let _ = dependencies.check(&options.needs);
                    dependencies.claim_all(&options.needs);
                    self.dependencies = Some(dependencies);
                }
                Err(error) => warn(b"look for the needs", error),
            }
        }
        if options.ready.socket
            && !socket_name.is_empty()
            && let Err(error) = self.readiness.remake_socket(state_dir, socket_name)
        {
            warn(b"get back the notify socket", error);
        }
        // A helper script has neither the pipe nor the sockets.
        if script == Script::Run {
            if let Some(number) = options.ready.descriptor
                && !is_ready
                && let Err(error) = self.readiness.reopen_pipe(pid, number)
            {
                warn(b"get back notification-fd", error);
            }
            if !options.listen.is_empty() && self.sockets.is_empty() {
                match sockets::copy_from_process(adopted, pid, &options.listen, &mut self.helpers) {
                    Ok(sockets) => self.sockets = sockets,
                    Err(error) => warn(b"get back the sockets", error),
                }
            }
        }
        let _ = self.set_up_cgroup(shown, state_dir);
        if self.follows_processes() {
            process::become_subreaper();
        }
        if script == Script::Run {
            self.orphans.add_group_of(pid);
            // Without a control group, what it leaves behind is known from here.
            if self.config.options.stop.scope == Scope::Tree
                && self.cgroup.is_none()
                && adopted.is_some()
            {
                self.orphans.hold_below(pid);
            }
        }
    }

    /// Readable when the first connection has come, or a dependency has changed; `None` in a state that
    /// waits for neither.
    pub(super) fn prerequisites_fd(&self, state: State) -> Option<BorrowedFd<'_>> {
        match (state, &self.first_connection) {
            (State::Blocked, Some(set)) => Some(set.fd()),
            (State::Blocked | State::Up { .. }, None) => {
                self.dependencies.as_ref().and_then(Dependencies::fd)
            }
            _ => None,
        }
    }

    /// When the dependencies are to be checked without a change, because they cannot be watched.
    pub(super) fn prerequisites_due(&self, state: State) -> Option<Instant> {
        let waits = matches!(state, State::Blocked | State::Up { .. });
        let dependencies = self.dependencies.as_ref()?;
        dependencies.look_again().filter(|_| waits && self.first_connection.is_none())
    }

    /// Readable when a process has ended that a sweep waits for, and that is no child.
    pub(super) fn orphans_fd(&self, state: State) -> Option<BorrowedFd<'_>> {
        self.orphans.fd().filter(|_| state == State::Sweeping)
    }

    /// Checks the dependencies, if there are any.
    pub(super) fn check_dependencies(&mut self) -> Option<DependencyCheck> {
        Some(self.dependencies.as_mut()?.check(&self.config.options.needs))
    }

    /// The dependency for which the service waits, if the scan directory has no such service.
    pub(super) fn absent_dependency(&self) -> Option<&[u8]> {
        let name = self.missing_dependency.as_deref()?;
        self.dependencies.as_ref()?.is_absent(name).then_some(name)
    }

    /// `run` has ended. Returns whether the kernel has killed a process of the service since the last
    /// end, because the memory of the control group was used up.
    pub(super) fn note_out_of_memory(&mut self) -> bool {
        let kills = self.cgroup.as_ref().map_or(0, Cgroup::out_of_memory_kills);
        self.out_of_memory = kills > self.out_of_memory_kills;
        self.out_of_memory_kills = kills;
        self.out_of_memory
    }

    /// `run` has ended. Returns whether the kernel has refused a process of the service since the last
    /// end, because the control group had as many as its limit.
    pub(super) fn note_refused_processes(&mut self) -> bool {
        let refused = self.cgroup.as_ref().map_or(0, Cgroup::refused_processes);
        core::mem::replace(&mut self.refused_processes, refused) < refused
    }

    /// Removes the control group, unless it still has processes.
    pub(super) fn remove_cgroup(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.remove();
        }
    }

    /// The service has no notify socket any more.
    pub(super) fn close_notify_socket(&mut self) {
        self.readiness.close_socket(&mut self.helpers);
    }

    /// The descriptors that stay open through a live upgrade, by their names in the handover. While
    /// the service is down, only the supervisor has them.
    pub(super) fn to_hand_over(&self) -> Vec<(Vec<u8>, BorrowedFd<'_>)> {
        let sockets = self.sockets.iter().enumerate();
        let sockets = sockets.map(|(n, socket)| (sockets::handover_name(n), socket.as_fd()));
        sockets.chain(self.readiness.to_hand_over()).collect()
    }

    /// Takes the descriptors of a handover.
    pub(super) fn take_inherited(
        &mut self,
        handover: &Handover,
        state_dir: BorrowedFd<'_>,
        socket_name: &[u8],
    ) {
        let options = &self.config.options;
        self.sockets = sockets::take_inherited(handover, &options.listen);
        self.helpers.take_inherited(handover);
        let (uses, helpers) = (options.ready.socket, &mut self.helpers);
        self.readiness.take_inherited(handover, state_dir, socket_name, uses, helpers);
    }
}

/// A step before the start has failed.
fn refused(shown: &[u8], what: &[&[u8]], error: Errno) -> PrepareError {
    let why = diag::why(error);
    let words = [NOT_STARTING, shown, b": unable to ", &what.concat(), b": ", why.as_bytes()];
    PrepareError::Refused(Reason::Setup, words.concat())
}
