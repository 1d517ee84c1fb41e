//! The helper scripts that run beside the service: s6's and runit's `check`, runit's `control/`,
//! encore's `notify`. The process record does not name them.

use super::orphan_reaper::{self, Reports};
use crate::common::diag;
use crate::common::environment::Environment;
use crate::common::paths::place_of;
use crate::common::unsent;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::handover::Handover;
use daemontools_core::state_dir::control::{Command, Scope, Signal};
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::text::decimal::Decimal;
use daemontools_core::{Ended, Pid};
use daemontools_sys::process::{self, Forked, Strings};
use daemontools_sys::signal::{KILL, Signals, TERM};
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, Result, fd};

/// A signal that a `control/` script may send instead of supervise.
#[derive(Clone, Copy)]
pub(super) struct SignalRequest {
    /// The process that was to get it.
    pub(super) process: Pid,
    pub(super) signal: Signal,
    pub(super) scope: Scope,
}

/// A `control/` script that runs.
struct ControlScript {
    pid: Pid,
    path: &'static CStr,
    /// For a signal; `None` for a command, beside which the script runs.
    request: Option<SignalRequest>,
    /// A request that came meanwhile: the script runs once more for the last one.
    next: Option<Option<SignalRequest>>,
}

/// What the end of a helper script means.
pub(super) enum HelperEnd {
    /// The check has ended; whether the service is healthy.
    Checked(bool),
    /// A `control/` script has ended.
    Control {
        /// The signal that it leaves to supervise.
        declined: Option<SignalRequest>,
        /// The script, and the request for which it runs once more.
        next: Option<(&'static CStr, Option<SignalRequest>)>,
    },
}

/// The programs that run beside the service and do not belong to its processes. The process of a
/// script that has a reaper is its reaper.
#[derive(Default)]
pub(super) struct Helpers {
    /// From the reapers. Made for the first script that has one.
    reports: Option<Reports>,
    check: Option<Pid>,
    controls: Vec<ControlScript>,
    /// encore's logger, which has a machine of its own.
    pub(super) logger: Option<Pid>,
    /// Scripts whose exit code is ignored, and reapers whose script has ended.
    others: Vec<Pid>,
    /// Processes that discard a datagram with descriptors.
    discarders: Vec<Pid>,
}

/// The most processes that discard a datagram at the same time. The sender decides how long one takes.
const DISCARDER_LIMIT: usize = 8;

impl Helpers {
    /// All of them.
    pub(super) fn pids(&self) -> Vec<Pid> {
        let controls = self.controls.iter().map(|control| control.pid);
        let others = self.others.iter().chain(&self.discarders).copied();
        controls.chain(self.check).chain(self.logger).chain(others).collect()
    }

    /// The pipe for the reapers of scripts, if the scripts are to have some: the supervisor is a reaper
    /// of orphans itself. It stays one when the options change. Without a descriptor for the pipe the
    /// script runs without a reaper.
    pub(super) fn report_pipe(&mut self) -> Option<BorrowedFd<'_>> {
        if !process::is_subreaper() || !orphan_reaper::is_possible() {
            return None;
        }
        if self.reports.is_none() {
            self.reports = Reports::new().ok();
        }
        self.reports.as_ref().map(Reports::writer)
    }

    /// Readable when a reaper reports the end of a script.
    pub(super) fn reports_fd(&self) -> Option<BorrowedFd<'_>> {
        self.reports.as_ref().map(Reports::fd)
    }

    /// The scripts that have ended and left orphans, by their reapers.
    pub(super) fn take_reports(&self) -> Vec<(Pid, Ended)> {
        self.reports.as_ref().map(Reports::take).unwrap_or_default()
    }

    /// A script has ended and has left orphans. As [`Helpers::ended`], and the reaper stays.
    pub(super) fn reported(&mut self, reaper: Pid, how: Ended) -> Option<HelperEnd> {
        if !self.pids().contains(&reaper) {
            return None;
        }
        let end = self.ended(reaper, how);
        self.others.push(reaper);
        end
    }

    /// The helpers that a live upgrade hands over. The process record names encore's logger.
    pub(super) fn to_hand_over(&self) -> Vec<Pid> {
        let mut pids = self.pids();
        pids.retain(|pid| Some(*pid) != self.logger);
        pids
    }

    /// The helpers of the program that this one was before a live upgrade.
    pub(super) fn take_inherited(&mut self, handover: &Handover) {
        self.others.extend(&handover.helpers);
    }

    /// A check was started.
    pub(super) fn add_check(&mut self, script: Pid) {
        self.check = Some(script);
    }

    /// A `control/` script was started.
    pub(super) fn add_control(
        &mut self,
        pid: Pid,
        path: &'static CStr,
        request: Option<SignalRequest>,
    ) {
        self.controls.push(ControlScript { pid, path, request, next: None });
    }

    /// Whether a `control/` script runs already. Then it runs once more for this request, unless
    /// another one follows. So a user who may write to the control FIFO starts at most one process for
    /// each letter.
    pub(super) fn defer_control(
        &mut self,
        path: &'static CStr,
        request: Option<SignalRequest>,
    ) -> bool {
        let running = self.controls.iter_mut().find(|control| control.path == path);
        running.map(|control| control.next = Some(request)).is_some()
    }

    /// A script was started whose exit code is ignored.
    pub(super) fn add_other(&mut self, script: Pid) {
        self.others.push(script);
    }

    /// Whether one more process may discard a datagram.
    pub(super) fn may_discard(&self) -> bool {
        self.discarders.len() < DISCARDER_LIMIT
    }

    /// A process was started that discards a datagram.
    pub(super) fn add_discarder(&mut self, process: Pid) {
        self.discarders.push(process);
    }

    /// A child has ended. Returns what that means, if it was a check or a `control/` script.
    pub(super) fn ended(&mut self, pid: Pid, how: Ended) -> Option<HelperEnd> {
        if self.check.take_if(|check| *check == pid).is_some() {
            return Some(HelperEnd::Checked(how == Ended::Exited(0)));
        }
        self.others.retain(|other| *other != pid);
        self.discarders.retain(|discarder| *discarder != pid);
        let at = self.controls.iter().position(|control| control.pid == pid)?;
        let ControlScript { path, request, next, .. } = self.controls.swap_remove(at);
        // Exit code 0 means that the script has dealt with the signal.
        let declined = request.filter(|_| how != Ended::Exited(0));
        Some(HelperEnd::Control { declined, next: next.map(|request| (path, request)) })
    }

    /// Closes a descriptor that another user's process has, or has put others into. The close can wait
    /// as long as that process likes, so a process of its own does the last one.
    pub(super) fn close_elsewhere(&mut self, file: OwnedFd) {
        let Ok((reader, writer)) = fd::pipe() else { return };
        match process::fork() {
            Ok(Forked::Child) => {
                drop(writer);
                let done = fd::keep_until(file.as_fd(), reader.as_fd());
                process::exit(i32::from(done.is_err()));
            }
            Ok(Forked::Parent(closer)) => self.others.push(closer),
            Err(_) => {}
        }
        drop(file);
        drop(writer);
    }

    /// Kills the check that runs. Its end then means nothing.
    pub(super) fn stop_check(&mut self) {
        if let Some(check) = self.check.take() {
            // The child is not reaped, so the number is still its own. A reaper leads no group, and
            // kills its script at TERM.
            if process::kill_group(check, KILL).is_err() {
                let _ = process::kill(check, TERM);
            }
            self.others.push(check);
        }
    }
}

/// Starts a helper script in a process group of its own. With the pipe for `report` it gets a reaper,
/// whose process is returned.
pub(super) fn start(
    signals: &Signals,
    dir: &CStr,
    path: &CStr,
    args: &[&CStr],
    environment: Option<&Environment>,
    report: Option<BorrowedFd<'_>>,
) -> Result<Pid> {
    match process::fork()? {
        Forked::Parent(pid) => Ok(pid),
        Forked::Child => {
            unsent::forget();
            let name = path.to_bytes();
            let shown = name.strip_prefix(b"./").unwrap_or(name);
            if let Some(report) = report {
                orphan_reaper::split(signals, report, &[dir.to_bytes(), b"/", shown]);
            }
            // Fails only for a session leader, which a new process is not.
            let _ = process::lead_new_group();
            signals.restore_mask();
            let args = Strings::of(core::iter::once(path).chain(args.iter().copied()));
            let own = Strings::own_environment();
            let environment = environment.map_or(own, Environment::strings);
            let error = process::exec(path, &args, &environment);
            let what = [b"unable to start ", dir.to_bytes(), b"/", shown];
            let place = place_of(dir);
            let code = diag::not_executed("supervise", &what, path, error, place.to_bytes());
            unsent::finish();
            process::exit(code)
        }
    }
}

/// The path of the `control/` script that may replace a signal.
pub(super) const fn control_for_signal(signal: Signal) -> Option<&'static CStr> {
    Some(match signal {
        Signal::Term => c"control/t",
        Signal::Cont => c"control/c",
        Signal::Stop => c"control/p",
        Signal::Hup => c"control/h",
        Signal::Alrm => c"control/a",
        Signal::Int => c"control/i",
        Signal::Quit => c"control/q",
        Signal::Usr1 => c"control/1",
        Signal::Usr2 => c"control/2",
        Signal::Kill => c"control/k",
        Signal::Winch | Signal::Abrt | Signal::Other(_) => return None,
    })
}

/// The path of the `control/` script that runs beside a command.
pub(super) const fn control_for_command(command: Command) -> Option<&'static CStr> {
    match command {
        Command::Up | Command::Once => Some(c"control/u"),
        Command::Down => Some(c"control/d"),
        Command::Exit => Some(c"control/x"),
        Command::AtMostOnce | Command::Pause | Command::Continue | Command::Signal(_) => None,
    }
}

/// The event that `notify` is called for.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Start,
    Ready,
    End(Ended),
}

/// A call of encore's `notify`.
pub(super) struct NotifyCall {
    /// The name of the script that has changed.
    pub(super) script: &'static [u8],
    pub(super) change: Change,
    /// The process of the script.
    pub(super) pid: Pid,
    /// The phase at the last call, and the phase now.
    pub(super) phases: [Phase; 2],
}

impl NotifyCall {
    /// Starts `notify`.
    ///
    /// Arguments: script, event, process id, and the exit code or signal number or 0. The
    /// environment has the same, and the phases.
    #[inline(never)]
    pub(super) fn start(
        &self,
        signals: &Signals,
        dir: &CStr,
        report: Option<BorrowedFd<'_>>,
    ) -> Result<Pid> {
        let Self { script, change, pid, phases } = *self;
        let (word, variable, number): (&[u8], &[u8], _) = match change {
            Change::Start => (b"start", b"", 0),
            Change::Ready => (b"ready", b"", 0),
            Change::End(Ended::Unknown) => (b"exit", b"", 0),
            Change::End(Ended::Exited(code)) => (b"exit", b"SERVICE_EXIT", code),
            Change::End(Ended::Killed(signal)) => (b"killed", b"SERVICE_SIGNAL", signal),
        };
        let digits = Decimal::new(pid.get().cast_unsigned().into());
        let number = Decimal::new(number.into());
        let words = [script, word, digits.as_bytes(), number.as_bytes()];
        let args: Vec<CString> = words.iter().filter_map(|word| CString::new(*word).ok()).collect();
        let args: Vec<&CStr> = args.iter().map(AsRef::as_ref).collect();
        let mut environment = Environment::own();
        environment.set(b"SERVICE_EVENT", word);
        environment.set(b"SERVICE_SCRIPT", script);
        environment.set(b"SERVICE_PID", digits.as_bytes());
        environment.set(b"SERVICE_OLD_STATE", phases[0].word().as_bytes());
        environment.set(b"SERVICE_STATE", phases[1].word().as_bytes());
        if !variable.is_empty() {
            environment.set(variable, number.as_bytes());
        }
        start(signals, dir, c"./notify", &args, Some(&environment), report)
    }
}
