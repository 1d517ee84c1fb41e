//! A new process of the service or its logger, between fork and exec.

use super::readiness::keep_readable;
use super::runtime::ServiceRuntime;
use super::service_config::ServiceConfig;
use super::sockets::FIRST_SOCKET;
use super::state_files::StateFiles;
use crate::common::diag::{self, TEMPORARY, why};
use crate::common::environment::Environment;
use crate::common::paths::place_of;
use crate::loaders::chain::exec;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Ended;
use daemontools_core::options::{OptionFile, Personality, ResourceLimits, ServiceOptions};
use daemontools_core::supervise::Script;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{
    AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, guarded, limit, lock, priority,
    privilege,
};

/// The file of a script.
const fn path_of(script: Script) -> &'static CStr {
    match script {
        Script::Start => c"./start",
        Script::Run => c"./run",
        Script::Stop => c"./stop",
        Script::Finish => c"./finish",
    }
}

/// A step before exec that failed.
struct SetupError {
    /// What follows "unable to" in the message.
    step: Vec<u8>,
    error: Errno,
    /// What else the message says of the error.
    detail: Vec<u8>,
}

impl SetupError {
    /// Makes the error of a step.
    fn of(step: &[u8]) -> impl FnOnce(Errno) -> Self {
        move |error| Self { step: step.to_vec(), error, detail: Vec::new() }
    }

    /// Prints the error, and returns the exit code. `script` follows the directory.
    fn print(&self, dir: &CStr, script: &[u8]) -> i32 {
        let Self { step, error, detail } = self;
        let place = [dir.to_bytes(), script].concat();
        let reason = why(*error).as_bytes();
        diag::say(&[
            b"supervise: fatal: unable to ",
            step,
            b" for ",
            &place,
            b": ",
            reason,
            detail,
        ]);
        TEMPORARY
    }
}

/// Becomes a script of a service without options. On failure it prints a message and returns the exit
/// code.
pub(super) fn become_plain(dir: &CStr, script: Script) -> i32 {
    let path = path_of(script);
    let error = process::exec(path, &Strings::of([path]), &Strings::own_environment());
    unable_to_start(dir, path, error)
}

/// Becomes a script of a service with options. `readiness` is the write end of the pipe on which the
/// service says that it is ready; `how` is the end of the service, for `finish`.
pub(super) fn become_script(
    dir: &CStr,
    script: Script,
    runtime: &ServiceRuntime,
    how: Ended,
    files: &StateFiles,
    readiness: Option<OwnedFd>,
) -> i32 {
    match set_up(dir, script, runtime, files, readiness) {
        // The descriptors stay open until exec.
        Ok((environment, _descriptors)) => {
            if let (Script::Run, Some(command)) = (script, &runtime.config.options.command) {
                return become_command(dir, command, &environment);
            }
            let path = path_of(script);
            let extra = arguments(runtime, dir, script, how);
            let args = core::iter::once(path).chain(extra.iter().map(AsRef::as_ref));
            let error = process::exec(path, &Strings::of(args), &environment.strings());
            unable_to_start(dir, path, error)
        }
        Err(error) => error.print(dir, b""),
    }
}

/// Becomes the program of the file `command`.
fn become_command(dir: &CStr, command: &[CString], environment: &Environment) -> i32 {
    let Some(program) = command.first() else { return TEMPORARY };
    let args = Strings::of(command.iter().map(AsRef::as_ref));
    let error = exec(program, &args, &environment.strings(), environment.get(b"PATH"));
    let what = [b"unable to start ", program.to_bytes(), b" of ", dir.to_bytes(), b"/command"];
    diag::not_executed("supervise", &what, program, error, b"")
}

/// Becomes encore's logger, which reads this pipe. It has the resource limits of the service, but is
/// not in its control group: the processes there end with the service.
pub(super) fn become_logger(
    dir: &CStr,
    config: Option<&ServiceConfig>,
    pipe: BorrowedFd<'_>,
) -> i32 {
    let path = c"./log";
    if config.is_none_or(|config| !config.options.no_session) {
        let _ = process::lead_new_session();
    }
    let limited = config.map_or(Ok(()), |config| limit_resources(&config.options.resources));
    let placed =
        limited.and_then(|()| fd::place(pipe, 0).map_err(SetupError::of(b"set up descriptors")));
    if let Err(error) = placed {
        return error.print(dir, b"/log");
    }
    let error = process::exec(path, &Strings::of([path]), &Strings::own_environment());
    unable_to_start(dir, path, error)
}

fn unable_to_start(dir: &CStr, path: &CStr, error: Errno) -> i32 {
    // Without the dot.
    let file = path.to_bytes().get(1..).unwrap_or_default();
    let what = [b"unable to start ", dir.to_bytes(), file];
    diag::not_executed("supervise", &what, path, error, place_of(dir).to_bytes())
}

/// Sets up everything that the script inherits. Returns its environment, and the descriptors that
/// have to stay open.
fn set_up(
    dir: &CStr,
    script: Script,
    runtime: &ServiceRuntime,
    files: &StateFiles,
    readiness: Option<OwnedFd>,
) -> core::result::Result<(Environment, Vec<(OwnedFd, i32)>), SetupError> {
    let config = &*runtime.config;
    let options = &config.options;
    if config.leads_session() {
        // Fails only for the leader of a process group. A new process leads no group.
        let _ = process::lead_new_session();
    } else if config.leads_group() {
        // Fails only for a session leader.
        let _ = process::lead_new_group();
    }
    if let Some(cgroup) = &runtime.cgroup {
        cgroup.enter().map_err(SetupError::of(b"enter control group"))?;
    }
    limit_resources(&options.resources)?;
    let mut environment = Environment::own();
    let mut wanted: Vec<(OwnedFd, i32)> = Vec::new();
    if script != Script::Run {
        return Ok((environment, wanted));
    }
    if let Some(number) = options.lock_descriptor {
        let lock = lock_service(dir, files).map_err(SetupError::of(b"lock service-lock"))?;
        wanted.push((lock, number.into()));
    }
    if let (Some(writer), Some(number)) = (readiness, options.ready.descriptor) {
        wanted.push((keep_readable(writer), number.into()));
    }
    let mut copies: Vec<(BorrowedFd<'_>, i32)> =
        wanted.iter().map(|(fd, number)| (fd.as_fd(), *number)).collect();
    copies.extend((FIRST_SOCKET..).zip(&runtime.sockets).map(|(number, fd)| (fd.as_fd(), number)));
    fd::place_all(&copies).map_err(|error| unplaced(&copies, options, error))?;
    drop(copies);
    set_variables(runtime, &mut environment);
    Ok((environment, wanted))
}

/// The error of the descriptors. Names the first one beyond the limit of open files.
#[cold]
fn unplaced(
    copies: &[(BorrowedFd<'_>, i32)],
    options: &ServiceOptions,
    error: Errno,
) -> SetupError {
    let limit = limit::open_files();
    let numbers = copies.iter().map(|(_, number)| number.unsigned_abs());
    let Some(number) = numbers.filter(|number| u64::from(*number) >= limit).min() else {
        return SetupError::of(b"set up descriptors")(error);
    };
    let is = |option: Option<u16>| option.is_some_and(|option| u32::from(option) == number);
    let file = if is(options.ready.descriptor) {
        OptionFile::NotificationFd
    } else if is(options.lock_descriptor) {
        OptionFile::LockFd
    } else {
        OptionFile::Listen
    };
    let number = Decimal::new(number.into());
    let limit = Decimal::new(limit);
    let file = file.name().as_bytes();
    SetupError {
        step: [b"set up descriptor ", number.as_bytes(), b" of ", file].concat(),
        error,
        detail: [b": the limit of open files is ", limit.as_bytes()].concat(),
    }
}

fn limit_resources(resources: &ResourceLimits) -> core::result::Result<(), SetupError> {
    for rlimit in &resources.rlimits {
        let [soft, hard] = [rlimit.soft, rlimit.hard].map(|limit| limit.unwrap_or(u64::MAX));
        limit::set_rlimit(rlimit.resource, Some(soft), Some(hard))
            .map_err(SetupError::of(&[b"limit ", rlimit.name()].concat()))?;
    }
    if let Some(nice) = resources.nice {
        priority::set_nice(nice.into()).map_err(SetupError::of(b"set nice"))?;
    }
    if let Some(priority) = resources.io_priority {
        let (class, level) = priority.class_and_level();
        priority::set_io_priority(class, level).map_err(SetupError::of(b"set ioprio"))?;
    }
    if let Some(score) = resources.oom_score {
        let sign: &[u8] = if score < 0 { b"-" } else { b"" };
        let text = [sign, Decimal::new(score.unsigned_abs().into()).as_bytes()].concat();
        fs::write_file(fs::HERE, c"/proc/self/oom_score_adj", &text)
            .map_err(SetupError::of(b"set oom-score"))?;
    }
    // Last: the other limits may need the privileges that these take away.
    if let Some(mask) = resources.capabilities {
        privilege::keep_capabilities(mask).map_err(SetupError::of(b"drop capabilities"))?;
    }
    if resources.no_new_privileges {
        privilege::no_new_privileges().map_err(SetupError::of(b"set no-new-privs"))?;
    }
    Ok(())
}

/// Takes s6's lock, which the service holds while any of its processes lives. If another copy of the
/// service has it, this process prints a warning and waits.
fn lock_service(dir: &CStr, files: &StateFiles) -> Result<OwnedFd> {
    let file = guarded::open(files.dir(), c"service-lock", fs::Opening::APPEND)?;
    match lock::try_lock(file.as_fd()) {
        Err(Errno::AGAIN) => {
            diag::say(&[
                b"supervise: warning: ",
                dir.to_bytes(),
                b" waits until another copy of it has ended",
            ]);
            // This process is on record, so a next supervisor need not wait for it: gives up the
            // supervisor's lock.
            let null = fs::open_read(fs::HERE, c"/dev/null")?;
            fd::place_all(&[(null.as_fd(), fd::number(files.lock()))])?;
            fd::set_inherited(files.lock(), false);
            lock::wait(file.as_fd())?;
        }
        other => other?,
    }
    Ok(file)
}

/// The arguments of a script after its own name.
fn arguments(runtime: &ServiceRuntime, dir: &CStr, script: Script, how: Ended) -> Vec<CString> {
    let number = |n: u8| CString::new(Decimal::new(n.into()).as_bytes()).unwrap_or_default();
    let s6 = runtime.config.personality == Personality::S6;
    match script {
        Script::Run if s6 => Vec::from([dir.into()]),
        Script::Finish => {
            let unknown = if s6 { c"256" } else { c"-1" };
            let (code, signal) = match how {
                Ended::Exited(code) => (number(code), number(0)),
                Ended::Killed(signal) => (unknown.into(), number(signal)),
                // The end of an adopted process can be unknown.
                Ended::Unknown => (unknown.into(), number(0)),
            };
            let mut arguments = Vec::from([code, signal]);
            if s6 {
                arguments.push(dir.into());
                let group = runtime.orphans.run_group();
                let group = group.map(|group| Decimal::new(group.get().unsigned_abs().into()));
                arguments.extend(group.and_then(|group| CString::new(group.as_bytes()).ok()));
            }
            arguments
        }
        Script::Start | Script::Run | Script::Stop => Vec::new(),
    }
}

/// Sets systemd's variables for the notify socket, the watchdog and the listening sockets.
fn set_variables(runtime: &ServiceRuntime, environment: &mut Environment) {
    let own = Decimal::new(process::id().get().cast_unsigned().into());
    let options = &runtime.config.options;
    if let Some(address) = runtime.readiness.address() {
        environment.set(b"NOTIFY_SOCKET", &address.variable());
        if let Some(time) = options.watchdog {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            environment.set(b"WATCHDOG_USEC", Decimal::new(micros).as_bytes());
            environment.set(b"WATCHDOG_PID", own.as_bytes());
        }
    }
    if !runtime.sockets.is_empty() {
        let names: Vec<&[u8]> = options.listen.iter().map(|listen| &*listen.name).collect();
        let count = Decimal::new(runtime.sockets.len() as u64);
        environment.set(b"LISTEN_FDS", count.as_bytes());
        environment.set(b"LISTEN_PID", own.as_bytes());
        environment.set(b"LISTEN_FDNAMES", &names.join(&b':'));
    }
}
