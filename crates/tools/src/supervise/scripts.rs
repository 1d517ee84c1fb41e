//! The programs that run beside the service: its `check`, runit's `control/`, encore's `notify`.
//! None of them is the service, and no record speaks of them.

use super::Supervisor;
use super::care::{Care, Control, say_killed};
use crate::diag;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::command::{Scope, Signal};
use daemontools_core::decimal::Decimal;
use daemontools_core::detail::{Detail, Phase};
use daemontools_core::supervise::{Event, Script, State};
use daemontools_core::{Ended, Pid};
use daemontools_sys::process::{self, Forked, Strings};
use daemontools_sys::{Result, fs, signal as numbers};

use crate::environment::Environment;
use crate::time::now;

impl Supervisor {
    /// Starts `./check`.
    pub(super) fn check(&mut self) -> Result<()> {
        let pid = self.start_beside(c"./check", &[], None)?;
        if let Some(care) = &mut self.care {
            care.check = Some(pid);
        }
        Ok(())
    }

    /// Asks the program of `control/` for a signal, if there is one; the signal is sent when that
    /// has declined.
    pub(super) fn ask_control(&mut self, pid: Pid, signal: Signal, scope: Scope) -> bool {
        if !self.care.as_ref().is_some_and(|care| care.asked.control) {
            return false;
        }
        let path = match signal {
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
            Signal::Winch | Signal::Abrt | Signal::Other(_) => return false,
        };
        if !fs::is_executable(fs::HERE, path) {
            return false;
        }
        let Ok(program) = self.start_beside(path, &[], None) else {
            return false;
        };
        if let Some(care) = &mut self.care {
            care.controls.push(Control { program, process: pid, signal, scope });
        }
        true
    }

    /// Tells `notify` what has happened: a start, or how `before` has ended; or that the service is
    /// somewhere else.
    pub(super) fn tell(&mut self, event: Event, before: (Option<Pid>, Script)) {
        if !self.care.as_ref().is_some_and(|care| care.asked.notify) {
            return;
        }
        let (happened, (pid, script), number): (&[u8], _, _) = match (event, before) {
            (Event::Spawned(pid), _) => (b"start", (pid, self.machine.script()), 0),
            (Event::Ended(Ended::Exited(code)), (Some(pid), script)) => {
                (b"exit", (pid, script), code)
            }
            (Event::Ended(Ended::Killed(signal)), (Some(pid), script)) => {
                (b"killed", (pid, script), signal)
            }
            _ => match (self.machine.phase(), self.machine.pid()) {
                (Phase::Ready, Some(pid)) if self.told != Phase::Ready => {
                    (b"ready", (pid, Script::Run), 0)
                }
                _ => return,
            },
        };
        let phases = [self.told.word(), self.machine.phase().word()];
        self.told = self.machine.phase();
        let name: &[u8] = match script {
            Script::Start => b"start",
            Script::Run => b"run",
            Script::Stop => b"stop",
            Script::Finish => b"finish",
        };
        let digits = Decimal::new(pid.get().cast_unsigned().into());
        let number = Decimal::new(number.into());
        let words = [name, happened, digits.as_bytes(), number.as_bytes()];
        let args: Vec<CString> = words.iter().filter_map(|word| CString::new(*word).ok()).collect();
        let args: Vec<&CStr> = args.iter().map(AsRef::as_ref).collect();
        let mut environment = Environment::own();
        environment.set(b"SERVICE_EVENT", happened);
        environment.set(b"SERVICE_SCRIPT", name);
        environment.set(b"SERVICE_PID", digits.as_bytes());
        environment.set(b"SERVICE_OLD_STATE", phases[0].as_bytes());
        environment.set(b"SERVICE_STATE", phases[1].as_bytes());
        match event {
            Event::Ended(Ended::Exited(_)) => environment.set(b"SERVICE_EXIT", number.as_bytes()),
            Event::Ended(Ended::Killed(_)) => environment.set(b"SERVICE_SIGNAL", number.as_bytes()),
            _ => {}
        }
        match self.start_beside(c"./notify", &args, Some(&environment)) {
            Ok(pid) => {
                if let Some(care) = &mut self.care {
                    care.helpers.push(pid);
                }
            }
            Err(error) => {
                let what = [b"unable to fork for ", self.dir, b"/notify"];
                diag::warning("supervise", &what, error);
            }
        }
    }

    /// Runs a program beside the service, in a process group of its own.
    fn start_beside(
        &self,
        path: &CStr,
        args: &[&CStr],
        environment: Option<&Environment>,
    ) -> Result<Pid> {
        match process::fork()? {
            Forked::Parent(pid) => Ok(pid),
            Forked::Child => {
                // Fails only for the leader of a session, which a new process is not.
                let _ = process::lead_new_group();
                self.signals.give_back();
                let args = Strings::of(core::iter::once(path).chain(args.iter().copied()));
                let own = Strings::own_environment();
                let environment = environment.map_or(own, Environment::strings);
                let error = process::exec(path, &args, &environment);
                let path = path.to_bytes();
                let shown = path.strip_prefix(b"./").unwrap_or(path);
                let what = [b"unable to start ", self.dir, b"/", shown];
                process::exit(diag::fatal("supervise", &what, error))
            }
        }
    }

    /// Sends a signal to what the service has left behind; tells whether there is nothing.
    pub(super) fn sweep(&self, signal: Signal) -> bool {
        let Some(care) = &self.care else {
            return true;
        };
        let left = care.signal_left(i32::from(signal.number()));
        if i32::from(signal.number()) == numbers::KILL {
            say_killed(self.dir, &left);
        }
        left.is_empty()
    }

    /// What is written beside the status.
    pub(super) fn detail<'a>(&self, care: &'a Care) -> Detail<'a> {
        let machine = &self.machine;
        let phase = match machine.phase() {
            Phase::Blocked if care.first_connection.is_some() => Phase::Listening,
            other => other,
        };
        let script = match machine.state() {
            State::Aside { pid, .. } => Some(pid),
            _ => None,
        };
        Detail {
            since: machine.record().since,
            phase,
            reason: machine.reason(),
            ready: machine.ready(),
            failures: machine.failures(),
            next: machine.next_start(now()),
            waiting_for: care.lacking.as_deref().unwrap_or_default(),
            message: &care.message,
            script,
            socket: care.socket.as_ref().map_or(&b""[..], |(_, name)| name),
            cgroup: care.cgroup.as_ref().map_or(&b""[..], |cgroup| cgroup.path()),
        }
    }
}
