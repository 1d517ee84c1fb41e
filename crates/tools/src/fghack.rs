//! fghack: stays in the foreground for a program that puts itself into the background.

use crate::chain;
use crate::diag::{self, TEMPORARY};
use alloc::vec::Vec;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, Ended, Forked};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, OwnedFd, Result, fd, poll, tree};

/// Copies of the pipe's write end which the program gets besides the first: enough to survive one
/// that closes the descriptors it knows of.
const COPIES: usize = 30;

/// What is handed on with -f: everything by which svc reaches a program, but for KILL and STOP,
/// which nobody can catch.
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

/// Exit code: that of the program which was started; 111 if it crashed or could not be started,
/// 100 for bad usage.
pub(crate) fn main() -> i32 {
    // Only this very word is an option: everything else has always been a program.
    let forward = process::arg(1) == Some(c"-f");
    let first = if forward { 2 } else { 1 };
    if process::arg(first).is_none() {
        return diag::usage("fghack", "fghack child");
    }
    // Before the fork, so that no signal falls between the two.
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
                // With fewer the program runs as well.
                let _ = fd::copy_for_children(write_end.as_fd());
            }
            core::mem::forget(write_end);
            if let Some(signals) = signals {
                signals.give_back();
                signals.give_back_ends();
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
                Ok(Ended::Exited(code)) => code.into(),
                Ok(Ended::Killed(_)) => {
                    diag::say(&[b"fghack: fatal: child crashed"]);
                    TEMPORARY
                }
            }
        }
    }
}

fn take_signals() -> Result<Option<Signals>> {
    // Whoever loses its parent becomes our child, and can be reached.
    process::adopt_orphans();
    Signals::take_over(&FORWARDED).map(Some)
}

/// Reads until nobody has the pipe open any more, then asks how the program ended.
fn wait_for_end(read_end: &OwnedFd, child: Pid) -> Result<Ended> {
    let mut nothing = [0; 512];
    while let Ok(1..) = fd::read(read_end.as_fd(), &mut nothing) {}
    process::wait_for(child)
}

/// The same, handing on every signal to all that runs below us: the program, what it has started,
/// and what became ours when it had put itself into the background.
fn wait_and_forward(read_end: &OwnedFd, child: Pid, signals: &Signals) -> Result<Ended> {
    let mut ended = None;
    let mut open = true;
    let mut nothing = [0; 512];
    loop {
        if let Some(ended) = ended.filter(|_| !open) {
            return Ok(ended);
        }
        // Once the pipe is closed everywhere, only the program's own end is waited for.
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
            open = matches!(fd::read(read_end.as_fd(), &mut nothing), Ok(1..));
        }
    }
}

/// Sends a signal to the program, and to all processes below us. Parents come before their children,
/// so that none sees a child end that it would start anew.
fn signal_all(signal: i32, program: Option<Pid>) {
    let family = family();
    // We have not reaped it, so that the number is its own: it is reached even if /proc is missing.
    if let Some(program) = program {
        let _ = process::kill(program, signal);
    }
    for &pid in family.iter().skip(1).filter(|&&pid| Some(pid) != program) {
        // Its number may be somebody else's by now. Who is held is still the one that was found if
        // its parent is one of us; another one than before, if that has ended.
        if let Ok(Some(held)) = Handle::open(pid)
            && tree::parent_of(pid).is_ok_and(|parent| family.contains(&parent))
        {
            let _ = held.signal(signal);
        }
    }
}

/// Us, our children, theirs, and so on, each once. Nobody gets a signal before all are found: what
/// somebody starts because of it, to clean up, is left alone.
fn family() -> Vec<Pid> {
    let mut found = Vec::from([process::id()]);
    // Whose parent ends while we look may be missed, and is in another place the next time. Where
    // processes come and go without an end, that has one all the same.
    for _ in 0..10 {
        let known = found.len();
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            next += 1;
            // Who has gone has no children any more.
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
