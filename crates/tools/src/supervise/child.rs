//! A new process of a service, from the fork to the program that it becomes.

use super::care::{Care, keep_readable};
use super::directory::Asked;
use crate::diag;
use crate::environment::Environment;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Ended;
use daemontools_core::decimal::Decimal;
use daemontools_core::options::{Personality, Reach, Resources};
use daemontools_core::supervise::Script;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{
    AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, guarded, limit, lock, priority,
    privilege,
};

/// The first descriptor of those that a service is given to listen on, as under systemd.
pub(super) const FIRST_SOCKET: i32 = 3;

/// The file of a script.
pub(super) const fn path_of(script: Script) -> &'static CStr {
    match script {
        Script::Start => c"./start",
        Script::Run => c"./run",
        Script::Stop => c"./stop",
        Script::Finish => c"./finish",
    }
}

/// What could not be done for a new process, and why.
pub(super) struct Trouble(Vec<u8>, Errno);

impl Trouble {
    fn to(what: &[u8]) -> impl FnOnce(Errno) -> Self {
        move |error| Self(what.to_vec(), error)
    }
}

/// Becomes a script of the service in the current directory, for which nothing is asked. Gives the
/// exit code, after a message.
pub(super) fn become_plain(dir: &CStr, script: Script) -> i32 {
    let path = path_of(script);
    let error = process::exec(path, &Strings::of([path]), &Strings::own_environment());
    unable_to_start(dir, path, error)
}

/// Where a service's own lock is, and the lock of its supervise, which is shared until exec.
pub(super) struct Locks<'a> {
    pub(super) state: BorrowedFd<'a>,
    pub(super) supervise: BorrowedFd<'a>,
}

/// The same for a service for which something is asked. `notification` is the end for writing of
/// the pipe on which it says that it is ready, and `how` how it ended, for `finish`.
pub(super) fn become_script(
    dir: &CStr,
    script: Script,
    care: &Care,
    how: Ended,
    locks: &Locks<'_>,
    notification: Option<OwnedFd>,
) -> i32 {
    match prepare(dir, script, care, locks, notification) {
        // What is held is so until exec.
        Ok((environment, _held)) => {
            let path = path_of(script);
            let extra = arguments(&care.asked, dir, script, how);
            let args = core::iter::once(path).chain(extra.iter().map(AsRef::as_ref));
            let error = process::exec(path, &Strings::of(args), &environment.strings());
            unable_to_start(dir, path, error)
        }
        Err(Trouble(what, error)) => {
            diag::fatal("supervise", &[b"unable to ", &what, b" for ", dir.to_bytes()], error)
        }
    }
}

/// Becomes encore's `log`, which reads this pipe. The service's own limits hold for it, but it is
/// not in its control group, whose processes end with the service.
pub(super) fn become_log(dir: &CStr, asked: Option<&Asked>, pipe: BorrowedFd<'_>) -> i32 {
    let path = c"./log";
    if asked.is_none_or(|asked| !asked.options.no_session) {
        let _ = process::lead_new_session();
    }
    let limited = asked.map_or(Ok(()), |asked| limit_resources(&asked.options.resources));
    let placed =
        limited.and_then(|()| fd::place(pipe, 0).map_err(Trouble::to(b"set up descriptors")));
    if let Err(Trouble(what, error)) = placed {
        let what = [b"unable to ", &what[..], b" for ", dir.to_bytes(), b"/log"];
        return diag::fatal("supervise", &what, error);
    }
    let error = process::exec(path, &Strings::of([path]), &Strings::own_environment());
    unable_to_start(dir, path, error)
}

fn unable_to_start(dir: &CStr, path: &CStr, error: Errno) -> i32 {
    // Without its dot.
    let file = path.to_bytes().get(1..).unwrap_or_default();
    diag::fatal("supervise", &[b"unable to start ", dir.to_bytes(), file], error)
}

/// Everything that a process is to have before it becomes the script. Gives its environment, and
/// descriptors to keep.
fn prepare(
    dir: &CStr,
    script: Script,
    care: &Care,
    locks: &Locks<'_>,
    notification: Option<OwnedFd>,
) -> core::result::Result<(Environment, Vec<(OwnedFd, i32)>), Trouble> {
    let Asked { options, personality, .. } = &*care.asked;
    let sessions = matches!(personality, Personality::Encore | Personality::S6);
    if sessions && !options.no_session {
        // Fails only for the leader of a process group, which a new process is not.
        let _ = process::lead_new_session();
    } else if options.stop.reach == Reach::Group || options.stop.kill_group {
        // The same.
        let _ = process::lead_new_group();
    }
    if let Some(cgroup) = &care.cgroup {
        cgroup.enter().map_err(Trouble::to(b"enter control group"))?;
    }
    limit_resources(&options.resources)?;
    let mut environment = Environment::own();
    let mut wanted: Vec<(OwnedFd, i32)> = Vec::new();
    if script != Script::Run {
        return Ok((environment, wanted));
    }
    if let Some(number) = options.lock_descriptor {
        let lock = lock_service(dir, locks).map_err(Trouble::to(b"lock service-lock"))?;
        wanted.push((lock, number.into()));
    }
    if let (Some(end), Some(number)) = (notification, options.ready.descriptor) {
        wanted.push((keep_readable(end), number.into()));
    }
    let mut copies: Vec<(BorrowedFd<'_>, i32)> =
        wanted.iter().map(|(fd, number)| (fd.as_fd(), *number)).collect();
    copies.extend((FIRST_SOCKET..).zip(&care.sockets).map(|(number, fd)| (fd.as_fd(), number)));
    fd::place_all(&copies).map_err(Trouble::to(b"set up descriptors"))?;
    drop(copies);
    set_variables(care, &mut environment);
    Ok((environment, wanted))
}

fn limit_resources(resources: &Resources) -> core::result::Result<(), Trouble> {
    for rlimit in &resources.rlimits {
        let [soft, hard] = [rlimit.soft, rlimit.hard].map(|limit| limit.unwrap_or(u64::MAX));
        limit::set_rlimit(rlimit.resource, Some(soft), Some(hard))
            .map_err(|error| Trouble([b"limit ", rlimit.name()].concat(), error))?;
    }
    if let Some(nice) = resources.nice {
        priority::set_nice(nice.into()).map_err(Trouble::to(b"set nice"))?;
    }
    if let Some(priority) = resources.priority {
        let (class, level) = priority.class_and_level();
        priority::set_io_priority(class, level).map_err(Trouble::to(b"set ioprio"))?;
    }
    if let Some(score) = resources.oom_score {
        let sign: &[u8] = if score < 0 { b"-" } else { b"" };
        let text = [sign, Decimal::new(score.unsigned_abs().into()).as_bytes()].concat();
        fs::write_file(fs::HERE, c"/proc/self/oom_score_adj", &text)
            .map_err(Trouble::to(b"set oom-score"))?;
    }
    // Last, because the others may need what these take away.
    if let Some(mask) = resources.capabilities {
        privilege::keep_capabilities(mask).map_err(Trouble::to(b"drop capabilities"))?;
    }
    if resources.no_new_privileges {
        privilege::no_new_privileges().map_err(Trouble::to(b"set no-new-privs"))?;
    }
    Ok(())
}

/// s6's lock, which a service holds as long as any of its processes lives. If another copy of it
/// still has it, this one waits, which is said.
fn lock_service(dir: &CStr, locks: &Locks<'_>) -> Result<OwnedFd> {
    let file = guarded::open(locks.state, c"service-lock", fs::Opening::APPEND)?;
    match lock::try_lock(file.as_fd()) {
        Err(Errno::AGAIN) => {
            diag::say(&[
                b"supervise: warning: ",
                dir.to_bytes(),
                b" waits until another copy of it has ended",
            ]);
            // We are on record: the next supervise, if there is one, need not wait for us.
            let null = fs::open_read(fs::HERE, c"/dev/null")?;
            fd::place_all(&[(null.as_fd(), fd::number(locks.supervise))])?;
            fd::set_inherited(locks.supervise, false);
            lock::wait(file.as_fd())?;
        }
        other => other?,
    }
    Ok(file)
}

/// The arguments of a script behind its own name.
fn arguments(asked: &Asked, dir: &CStr, script: Script, how: Ended) -> Vec<CString> {
    let number = |n: u8| CString::new(Decimal::new(n.into()).as_bytes()).unwrap_or_default();
    let s6 = asked.personality == Personality::S6;
    match script {
        Script::Run if s6 => Vec::from([dir.into()]),
        Script::Finish => {
            let unknown = if s6 { c"256" } else { c"-1" };
            let (code, signal) = match how {
                Ended::Exited(code) => (number(code), number(0)),
                Ended::Killed(signal) => (unknown.into(), number(signal)),
                // Of one that was taken over nobody may know.
                Ended::Unknown => (unknown.into(), number(0)),
            };
            let mut arguments = Vec::from([code, signal]);
            if s6 {
                arguments.push(dir.into());
            }
            arguments
        }
        Script::Start | Script::Run | Script::Stop => Vec::new(),
    }
}

/// What a service with a notify socket, a watchdog or sockets is told by its environment.
fn set_variables(care: &Care, environment: &mut Environment) {
    let own = Decimal::new(process::id().get().cast_unsigned().into());
    let options = &care.asked.options;
    if let Some((_, name)) = &care.socket {
        environment.set(b"NOTIFY_SOCKET", &[b"@", &name[..]].concat());
        if let Some(time) = options.watchdog {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            environment.set(b"WATCHDOG_USEC", Decimal::new(micros).as_bytes());
            environment.set(b"WATCHDOG_PID", own.as_bytes());
        }
    }
    if !care.sockets.is_empty() {
        let names: Vec<&[u8]> = options.listen.iter().map(|listen| &*listen.name).collect();
        let count = Decimal::new(care.sockets.len() as u64);
        environment.set(b"LISTEN_FDS", count.as_bytes());
        environment.set(b"LISTEN_PID", own.as_bytes());
        environment.set(b"LISTEN_FDNAMES", &names.join(&b':'));
    }
}
