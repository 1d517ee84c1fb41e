//! The programs that run beside the service: its `check`, runit's `control/`, encore's `notify`.
//! None of them is the service, and no record speaks of them.

use super::Supervisor;
use super::care::{Care, Control, say_killed};
use crate::diag;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::command::{Command, Scope, Signal};
use daemontools_core::decimal::Decimal;
use daemontools_core::detail::{Detail, Phase};
use daemontools_core::supervise::{Event, Script, State};
use daemontools_core::{Ended, Pid};
use daemontools_sys::process::{self, Forked, Strings};
use daemontools_sys::{Result, fs, signal as numbers};

use crate::environment::Environment;
use crate::time::now;

/// What `notify` is told.
pub(super) struct Happening {
    /// Which script it is about, by its name.
    pub(super) script: &'static [u8],
    pub(super) word: &'static [u8],
    pub(super) pid: Pid,
    /// How that process has ended, if it has.
    pub(super) how: Option<Ended>,
    /// Where the script was, and where it is.
    pub(super) phases: [Phase; 2],
}

impl Happening {
    /// encore's word for a start, or an end.
    pub(super) const fn word(how: Option<Ended>) -> &'static [u8] {
        match how {
            None => b"start",
            Some(Ended::Exited(_) | Ended::Unknown) => b"exit",
            Some(Ended::Killed(_)) => b"killed",
        }
    }
}

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

    /// Runs the program of `control/` for a wish, if there is one. Unlike runit we do not wait for
    /// it: it may take its time, and what is wanted does not depend on what it says.
    pub(super) fn tell_control(&mut self, command: Command) {
        if !self.care.as_ref().is_some_and(|care| care.asked.control) {
            return;
        }
        let path = match command {
            Command::Up | Command::Once => c"control/u",
            Command::Down => c"control/d",
            Command::Exit => c"control/x",
            Command::Pause | Command::Continue | Command::Signal(_) => return,
        };
        if !fs::is_executable(fs::HERE, path) {
            return;
        }
        if let (Ok(program), Some(care)) = (self.start_beside(path, &[], None), self.care.as_mut())
        {
            care.helpers.push(program);
        }
    }

    /// Tells `notify` what has happened: a start, or how `before` has ended; or that the service is
    /// somewhere else.
    pub(super) fn tell(&mut self, event: Event, before: (Option<Pid>, Script)) {
        if !self.care.as_ref().is_some_and(|care| care.asked.notify) {
            return;
        }
        let (pid, script, how) = match (event, before) {
            (Event::Spawned(pid), _) => (pid, self.machine.script(), None),
            (Event::Ended(how), (Some(pid), script)) if how != Ended::Unknown => {
                (pid, script, Some(how))
            }
            _ => match (self.machine.phase(), self.machine.pid()) {
                (Phase::Ready, Some(pid)) if self.told != Phase::Ready => {
                    let phases = [self.told, Phase::Ready];
                    self.told = Phase::Ready;
                    let (script, word) = (b"run", b"ready");
                    return self.notify(&Happening { script, word, pid, how: None, phases });
                }
                _ => return,
            },
        };
        let phases = [self.told, self.machine.phase()];
        self.told = self.machine.phase();
        let script: &[u8] = match script {
            Script::Start => b"start",
            Script::Run => b"run",
            Script::Stop => b"stop",
            Script::Finish => b"finish",
        };
        self.notify(&Happening { script, word: Happening::word(how), pid, how, phases });
    }

    /// Runs `notify`, if there is one.
    pub(super) fn notify(&mut self, happening: &Happening) {
        if !self.care.as_ref().is_some_and(|care| care.asked.notify) {
            return;
        }
        let Happening { script, word, pid, how, phases } = *happening;
        let number = match how {
            Some(Ended::Exited(number) | Ended::Killed(number)) => number,
            Some(Ended::Unknown) | None => 0,
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
        match how {
            Some(Ended::Exited(_)) => environment.set(b"SERVICE_EXIT", number.as_bytes()),
            Some(Ended::Killed(_)) => environment.set(b"SERVICE_SIGNAL", number.as_bytes()),
            Some(Ended::Unknown) | None => {}
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
