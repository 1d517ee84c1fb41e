//! Finds the supervise processes, services and log pipes that an earlier supervisor left running.
//!
//! No file describes them. The lock in the state directory shows the supervise, and /proc/PID/fd of
//! its users shows a pipe.

use crate::common::diag::why;
use crate::common::sibling_state;
use crate::common::state_dir::StateDir;
use crate::survive::lock_holder;
use crate::survive::proc_files;
use crate::survive::process_record;
use crate::survive::process_user;
use crate::survive::standing::Standing;
use crate::survive::status_process::{self, Named, Part};
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::proc_fd::Pipe;
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, Result, fd, fs, guarded, lock, poll};

/// The processes that run already for a service, or for a logger.
#[derive(Default)]
pub(crate) struct RunningService {
    /// Its supervise. A process of another user, who is not root, does not count.
    pub(crate) supervise: Option<(Pid, Handle)>,
    /// The service process.
    pub(crate) process: Option<(Pid, Handle)>,
    /// No supervise runs, but a process that a dead one was starting has its lock. In a moment it is
    /// the service, and has a process record.
    pub(crate) is_starting: bool,
    /// A supervise runs, but does not stand in the directory: it is executing its program again, at a
    /// live upgrade. In a moment it is back.
    pub(crate) is_upgrading: bool,
}

impl RunningService {
    /// The processes of the service whose directory is the current one. Looks at all processes if
    /// `standing` is empty and they are needed.
    pub(crate) fn of_current_dir(standing: &mut Option<Standing>) -> Self {
        let Ok(state) = StateDir::of_current_dir() else {
            return Self::default();
        };
        let Ok(dir) = state.with_path(|path| fs::reach_dir(fs::HERE, path)) else {
            // The service has never run.
            return Self::default();
        };
        let at = dir.as_fd();
        let listens = sibling_state::is_supervised(at);
        let lock = guarded::open(at, c"lock", fs::Opening::READ).ok();
        let is_held =
            |lock: BorrowedFd<'_>| guarded::is_private(lock, at) && !lock_holder::is_free(lock);
        let (mut supervise, mut is_starting, mut is_upgrading) = (None, false, false);
        match lock {
            Some(lock) if listens => {
                let before = standing.get_or_insert_with(Standing::read);
                supervise = before.holder_here(lock.as_fd());
                if supervise.is_none() {
                    // It may have begun since the last look.
                    supervise = standing.insert(Standing::read()).holder_here(lock.as_fd());
                }
                // A user who may write the state directory can take the lock with any process. svscan
                // would wait for its end at a stop.
                supervise = supervise.filter(|(pid, _)| !process_user::is_foreign(*pid));
                is_upgrading = supervise.is_none() && is_held(lock.as_fd());
            }
            Some(lock) => is_starting = is_held(lock.as_fd()),
            None => {}
        }
        Self { supervise, process: service_process(at), is_starting, is_upgrading }
    }

    /// Whether no process runs.
    pub(crate) const fn is_empty(&self) -> bool {
        self.supervise.is_none() && self.process.is_none()
    }

    /// The processes, at one side of a log pipe.
    pub(crate) fn side(&self) -> PipeSide<'_> {
        let [supervise, process] =
            [&self.supervise, &self.process].map(|it| it.as_ref().map(|(pid, it)| (*pid, it)));
        PipeSide { supervise, process }
    }
}

/// The processes at one side of a log pipe: the service's or the logger's.
#[derive(Clone, Copy, Default)]
pub(crate) struct PipeSide<'a> {
    pub(crate) supervise: Option<(Pid, &'a Handle)>,
    pub(crate) process: Option<(Pid, &'a Handle)>,
}

impl<'a> PipeSide<'a> {
    fn processes(self) -> impl Iterator<Item = (Pid, &'a Handle)> {
        [self.supervise, self.process].into_iter().flatten()
    }
}

/// The service process in the current directory, which an earlier supervise left running.
fn service_process(state: BorrowedFd<'_>) -> Option<(Pid, Handle)> {
    let record = process_record::find(state);
    process_record::living(&record).or_else(|| {
        if !record.may_be_outdated() {
            return None;
        }
        match status_process::find(state, Part::Service) {
            Ok(Named::Process(process, handle)) => Some((process.pid, handle)),
            Ok(Named::None | Named::Doubtful(..)) | Err(_) => None,
        }
    })
}

/// Why a log pipe is not taken from a logger of another user.
const UNCONFIRMED: &str = "the logger runs as another user, and its service has no such pipe";

/// The pipe between a service and its logger, read end first.
///
/// That is the standard input of the logger's supervise, or of the logger. Without such a pipe it is
/// the standard output of the service's supervise, or of the service, if it has no reader. The own
/// logger has no service: then `main` is empty.
///
/// A process can replace its descriptors, and one of another user could choose which pipe we open. So
/// a logger of another user is believed only if the service has the same pipe.
///
/// # Errors
/// The reason in words, if no pipe is found and one that there may be cannot be opened.
pub(crate) fn pipe_between(
    main: PipeSide<'_>,
    log: PipeSide<'_>,
) -> core::result::Result<Option<(OwnedFd, OwnedFd)>, &'static str> {
    let mut refused = None;
    for reader in log.processes() {
        match pipe_of(reader, 0) {
            Ok(None) => {}
            // The user is asked for after the pipe is held: a process that changes to another user
            // has not had the chance to replace the pipe before.
            Ok(Some(pipe)) if process_user::is_own(reader.0) || is_output(&pipe, main) => {
                match open(&pipe) {
                    Ok(ends) => return Ok(Some(ends)),
                    Err(error) => refused = Some(why(error)),
                }
            }
            Ok(Some(_)) => refused = Some(UNCONFIRMED),
            Err(error) => refused = Some(why(error)),
        }
    }
    // A pipe on standard output need not be the log pipe. Excluded are svscan's own outputs, and the
    // pipe on standard error: a service without a logger has the same pipe for both. A pipe with a
    // reader is excluded too, because the loop above has found no reader of the log pipe.
    let messages = main.supervise.and_then(|supervise| pipe_of(supervise, 2).ok()?);
    let own = |number| Pipe::own(number).ok().flatten();
    let excluded = [own(1), own(2), messages];
    for writer in main.processes() {
        let opened = match pipe_of(writer, 1) {
            Ok(Some(pipe)) if !excluded.iter().flatten().any(|it| it.is_same(&pipe)) => {
                open_unread(&pipe)
            }
            other => other.map(|_| None),
        };
        match opened {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(error) => refused = Some(why(error)),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// A pipe from a service to the copier of an earlier svscan.
pub(crate) struct CopiedPipe {
    /// Read end and write end.
    pub(crate) ends: (OwnedFd, OwnedFd),
    /// The copier, if it still runs.
    pub(crate) copier: Option<Handle>,
}

/// The pipe to a copier that is descriptor `number` of the processes of a service.
///
/// It is one that a svscan process of ours has marked, or one without a reader: its copier has been
/// killed. A process of another user could choose which pipe without a reader we open, so that is asked
/// of our own processes only.
pub(crate) fn copied_pipe(service: PipeSide<'_>, number: i32) -> Option<CopiedPipe> {
    let own = [1, 2].map(|number| Pipe::own(number).ok().flatten());
    service.processes().find_map(|process| {
        let pipe = pipe_of(process, number).ok()??;
        if own.iter().flatten().any(|it| it.is_same(&pipe)) {
            return None;
        }
        let write_end = pipe.open_writer().ok()?;
        let copier = lock::marker(write_end.as_fd()).and_then(copier);
        let is_unread =
            || process_user::is_own(process.0) && poll::hung_up(write_end.as_fd(), Duration::ZERO);
        if copier.is_none() && !is_unread() {
            return None;
        }
        Some(CopiedPipe { ends: open_with(&pipe, write_end).ok()?, copier })
    })
}

/// A process that is a copier of ours, by its arguments and its user.
fn copier(pid: Pid) -> Option<Handle> {
    let handle = Handle::open(pid).ok()??;
    let is_copier = proc_files::is_named(pid, b"svscan") && process_user::is_own(pid);
    // Last: if it lives, the answers were about this process.
    (is_copier && !handle.has_ended()).then_some(handle)
}

/// Both ends of the pipe that is a process's descriptor of this number, read end first; `None` if that is
/// no pipe, or if the process has ended.
///
/// # Errors
/// EACCES and others, if the descriptor cannot be read or opened.
pub(crate) fn pipe_ends_of(
    process: (Pid, &Handle),
    number: i32,
) -> Result<Option<(OwnedFd, OwnedFd)>> {
    pipe_of(process, number)?.map(|pipe| open(&pipe)).transpose()
}

/// The pipe that is a descriptor of a process; `None` if that is no pipe, or if the process has ended.
fn pipe_of((pid, process): (Pid, &Handle), number: i32) -> Result<Option<Pipe>> {
    let pipe = Pipe::of(pid, number)?;
    // Asked after the pipe is held: if the process lives, the pid was its own until now.
    Ok(pipe.filter(|_| !process.has_ended()))
}

/// Whether a process of the service writes to this pipe: to standard output, or to standard error if
/// the service has redirected the other.
fn is_output(pipe: &Pipe, main: PipeSide<'_>) -> bool {
    let has = |process, number| {
        pipe_of(process, number).is_ok_and(|it| it.is_some_and(|it| it.is_same(pipe)))
    };
    main.processes().any(|process| has(process, 1) || has(process, 2))
}

/// Opens both ends, in blocking mode.
fn open(pipe: &Pipe) -> Result<(OwnedFd, OwnedFd)> {
    open_with(pipe, pipe.open_writer()?)
}

/// The same, unless a process has the read end open.
fn open_unread(pipe: &Pipe) -> Result<Option<(OwnedFd, OwnedFd)>> {
    let write_end = pipe.open_writer()?;
    if !poll::hung_up(write_end.as_fd(), Duration::ZERO) {
        return Ok(None);
    }
    open_with(pipe, write_end).map(Some)
}

fn open_with(pipe: &Pipe, write_end: OwnedFd) -> Result<(OwnedFd, OwnedFd)> {
    let ends = (pipe.open_reader()?, write_end);
    for end in [&ends.0, &ends.1] {
        fd::set_blocking(end.as_fd(), true)?;
    }
    Ok(ends)
}
