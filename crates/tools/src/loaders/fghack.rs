//! fghack: stays in the foreground while a program runs that puts itself into the background.

use crate::common::diag::{self, TEMPORARY};
use crate::loaders::chain;
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_core::programs::Program;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, ExitStatus, Forked};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, OwnedFd, Result, fd, poll, tree};

/// The number of further copies of the pipe's write end that the program gets, as in the original.
/// A program that closes some descriptors then still holds the pipe open.
const COPIES: usize = 30;

/// The signals that -f forwards: all signals of svc except KILL and STOP, which cannot be caught.
const FORWARDED: [i32; 9] = [
    signal::HUP,
    signal::INT,
    signal::QUIT,
    signal::USR1,
    signal::USR2,
    signal::ALRM,
    signal::TERM,
    signal::CONT,
    signal::WINCH,
];

/// Exit code: that of the program; 111 if it crashed or could not be started, 100 for bad usage.
pub(crate) fn main() -> i32 {
    // Only this word is an option: the original runs every other first argument as a program.
    let forward = process::arg(1) == Some(c"-f");
    let first = if forward { 2 } else { 1 };
    if process::arg(first).is_none() {
        return diag::usage(Program::Fghack);
    }
    // Before the fork, so that no signal is lost.
    let signals = if forward { take_signals() } else { Ok(None) };
    let failed = |what: &[u8], error| diag::fatal("fghack", &[what], error);
    let signals = match signals {
        Ok(signals) => signals,
        Err(error) => return failed(b"unable to take signals", error),
    };
    let (read_end, write_end) = match fd::pipe_for_children() {
        Ok(pipe) => pipe,
        Err(error) => return failed(b"unable to create pipe", error),
    };
    match process::fork() {
        Err(error) => failed(b"unable to fork", error),
        Ok(Forked::Child) => {
            drop(read_end);
            for _ in 0..COPIES {
                // EMFILE: the program runs with fewer copies.
                let _ = fd::copy_for_children(write_end.as_fd());
            }
            core::mem::forget(write_end);
            if let Some(signals) = signals {
                signals.restore_mask();
                signals.restore_sigchld();
            }
            chain::run("fghack", first)
        }
        Ok(Forked::Parent(child)) => {
            drop(write_end);
            let ended = match signals {
                None => wait_for_end(&read_end, child),
                Some(signals) => wait_and_forward(&read_end, child, &signals),
            };
            match ended {
                Err(error) => failed(b"wait failed", error),
                Ok(ExitStatus::Exited(code)) => code.into(),
                Ok(ExitStatus::Killed(_)) => {
                    diag::say(&[b"fghack: fatal: child crashed"]);
                    TEMPORARY
                }
            }
        }
    }
}

fn take_signals() -> Result<Option<Signals>> {
    // Descendants that lose their parent become our children, which we can signal.
    process::become_subreaper();
    Signals::take_over(&FORWARDED).map(Some)
}

/// Waits until no process holds the pipe open, then returns the program's exit status.
fn wait_for_end(read_end: &OwnedFd, child: Pid) -> Result<ExitStatus> {
    let mut discarded = [0; 512];
    while let Ok(1..) = fd::read(read_end.as_fd(), &mut discarded) {}
    process::wait_for(child)
}

/// Like [`wait_for_end`], and forwards every signal to all descendants: the program, the processes
/// that it started, and those that became our children when it went into the background.
fn wait_and_forward(read_end: &OwnedFd, child: Pid, signals: &Signals) -> Result<ExitStatus> {
    let mut ended = None;
    let mut open = true;
    let mut discarded = [0; 512];
    loop {
        if let Some(ended) = ended.filter(|_| !open) {
            return Ok(ended);
        }
        // After the pipe is closed everywhere, only the exit of the program is missing.
        let pipe = if open { read_end.as_fd() } else { signals.fd() };
        let [signalled, readable] = poll::readable([signals.fd(), pipe], None);
        if signalled {
            for signal in signals.pending() {
                if FORWARDED.contains(&signal) {
                    signal_all(signal, ended.is_none().then_some(child));
                }
            }
            while let Some((pid, how)) = process::reap() {
                if pid == child {
                    ended = Some(how);
                }
            }
        }
        if open && readable {
            open = matches!(fd::read(read_end.as_fd(), &mut discarded), Ok(1..));
        }
    }
}

/// Sends a signal to the program and to all our descendants.
///
/// Parents get it before their children, so that no parent restarts a child that it ended.
fn signal_all(signal: i32, program: Option<Pid>) {
    let processes = descendants();
    // The program is not reaped, so its pid is valid. This works without /proc, too.
    if let Some(program) = program {
        let _ = process::kill(program, signal);
    }
    for &pid in processes.iter().skip(1).filter(|&&pid| Some(pid) != program) {
        // The pid may have been reused since the search, so check the parent after opening the pidfd.
        // A child of one of our processes gets the signal, even if it is a new one.
        if let Ok(Some(process)) = Handle::open(pid)
            && tree::parent_of(pid).is_ok_and(|parent| processes.contains(&parent))
        {
            let _ = process.signal(signal);
        }
    }
}

/// Our pid and those of all our descendants, each once.
///
/// All are found before the first gets a signal: processes started because of it, to clean up, are
/// spared.
fn descendants() -> Vec<Pid> {
    let mut found = Vec::from([process::id()]);
    // A process whose parent exits during a pass may be missed, and is found in the next. The number
    // of passes is limited, as processes may start and exit without an end.
    for _ in 0..10 {
        let known = found.len();
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            next += 1;
            // An error means that the process has exited.
            let _ = tree::children_of(parent, |child| {
                if !found.contains(&child) {
                    found.push(child);
                }
            });
        }
        if found.len() == known {
            break;
        }
    }
    found
}
