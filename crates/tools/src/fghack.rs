//! fghack: stays in the foreground for a program that puts itself into the background.

use crate::chain;
use crate::diag::{self, TEMPORARY};
use crate::environment::read_whole;
use alloc::vec::Vec;
use daemontools_core::{Pid, decimal};
use daemontools_sys::process::{self, Ended, Forked};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, OwnedFd, Result, fd, poll};

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

/// The same, handing on every signal to our children: the program, or what became ours when it
/// had put itself into the background.
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
                    signal_children(signal, child, ended.is_none());
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

/// Sends a signal to every child. None of them is reaped meanwhile, so that the numbers are theirs.
fn signal_children(signal: i32, program: Pid, program_lives: bool) {
    // Where the kernel does not list them only the program itself can be reached.
    let listed = read_whole(c"/proc/thread-self/children").unwrap_or_default();
    let pid = |word| i32::try_from(decimal::parse(word)?).ok().and_then(Pid::new);
    let mut children: Vec<Pid> = listed.split(u8::is_ascii_whitespace).filter_map(pid).collect();
    if program_lives && !children.contains(&program) {
        children.push(program);
    }
    for child in children {
        let _ = process::kill(child, signal);
    }
}
