//! Starts the command after `--`, forwards signals to it, and takes its end.

use super::main_command::{FOR_COMMAND, HARMLESS, HEAD_START, MainCommand};
use super::scanner::Scanner;
use super::service_manager;
use super::services_ready;
use crate::common::clock::instant;
use crate::common::diag;
use crate::common::unsent;
use crate::loaders::chain;
use daemontools_core::svscan::roster::RosterEvent;
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use daemontools_sys::process::{self, Forked};
use daemontools_sys::{AsFd as _, OwnedFd, fd, fs, signal};

impl Scanner {
    /// Starts the child, unless a live upgrade has handed it over.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(super) fn start_command(&mut self, inherited: Option<Pid>) -> Result<(), i32> {
        let Some(command) = &self.command else { return Ok(()) };
        let running = inherited.filter(|pid| process::is_child(*pid));
        let pid = match running {
            Some(pid) => pid,
            None => self.fork_command(command)?,
        };
        if let Some(command) = &mut self.command {
            command.pid = Some(pid);
        }
        Ok(())
    }

    fn fork_command(&self, command: &MainCommand) -> Result<Pid, i32> {
        match process::fork() {
            Ok(Forked::Parent(pid)) => Ok(pid),
            Ok(Forked::Child) => {
                unsent::forget();
                let code = self.become_command(command);
                unsent::finish();
                process::exit(code)
            }
            Err(error) => {
                Err(diag::fatal("svscan", &[b"unable to fork for ", command.name()], error))
            }
        }
    }

    /// Runs in the child, and ends with an exec. Returns the exit code if that fails.
    fn become_command(&self, command: &MainCommand) -> i32 {
        process::end_with_parent();
        let start = self.dir.start();
        // The child does not share the lock of the scan directory while it waits.
        let kept = self.last_inherited.zip(start);
        let kept = kept.and_then(|(last, start)| fd::close_above(last, start));
        if self.own_groups {
            signal::block_all();
            // Fails only for a session leader. A new process leads no session.
            let _ = process::lead_new_group();
            process::take_foreground();
        }
        if let Some(limit) = self.open_files {
            limit.restore();
        }
        let ignored = HARMLESS.map(|number| (!signal::is_ignored(number)).then_some(number));
        ignored.into_iter().flatten().for_each(signal::ignore);
        self.signals.restore_mask();
        if let Err(error) = services_ready::wait(command.name()) {
            return diag::fatal("svscan", &[b"unable to watch the services"], error);
        }
        ignored.into_iter().flatten().for_each(|number| signal::unblock(&[number]));
        self.signals.restore_mask();
        self.signals.restore_sigchld();
        if let Some(start) = kept.as_ref().map(OwnedFd::as_fd).or(start) {
            let _ = fs::fchdir(start);
        }
        while process::take_env(service_manager::VARIABLE).is_some() {}
        unsent::finish();
        chain::run("svscan", command.first)
    }

    /// The child that waits or runs the command.
    pub(super) fn command_pid(&self) -> Option<Pid> {
        self.command.as_ref()?.pid
    }

    /// Whether the command was asked to end, and still runs.
    pub(super) fn is_command_ending(&self) -> bool {
        self.command_deadline().is_some()
    }

    /// When [`Scanner::kill_late_command`] is due.
    pub(super) fn command_deadline(&self) -> Option<Instant> {
        self.command.as_ref()?.kill_due
    }

    /// Forwards a signal to the command. Returns whether there is one.
    ///
    /// PWR and RTMIN+3 mean the whole tree, and end most programs at once: the command gets TERM.
    pub(super) fn forward_to_command(&mut self, number: i32) -> bool {
        let Some(pid) = self.command_pid() else { return false };
        let number = match number {
            signal::PWR | signal::RTMIN_3 => signal::TERM,
            number if FOR_COMMAND.contains(&number) => number,
            _ => return false,
        };
        if let Err(error) = process::kill(pid, number) {
            diag::warning("svscan", &[b"unable to signal the command"], error);
        }
        // QUIT and the others may ask for something else than an end.
        if matches!(number, signal::TERM | signal::INT)
            && let Some(limit) = self.roster.stop_timeout()
            && let Some(command) = &mut self.command
        {
            let limit = limit.saturating_sub(HEAD_START).max(limit / 2);
            command.kill_due = command.kill_due.or_else(|| Some(instant() + limit));
        }
        true
    }

    /// Kills the command if it has not ended in time.
    pub(super) fn kill_late_command(&mut self) {
        let Some(command) = &mut self.command else { return };
        if command.kill_due.take_if(|due| *due <= instant()).is_some()
            && let Some(pid) = command.pid
        {
            let name = command.name();
            diag::say(&[b"svscan: warning: killing ", name, b", which has not ended in time"]);
            // It is not reaped: the pid is still its own.
            let _ = process::kill(pid, signal::KILL);
        }
    }

    /// Takes the end of a child. If it is that of the command, everything stops. Returns whether it is.
    pub(super) fn take_command_end(&mut self, pid: Pid, how: Ended) -> bool {
        let Some(command) = self.command.as_mut().filter(|command| command.pid == Some(pid)) else {
            return false;
        };
        command.pid = None;
        command.kill_due = None;
        let name = command.name();
        self.end_with(&[b"command ", name], how);
        self.prepare_stop();
        self.step(RosterEvent::Stop);
        true
    }
}
