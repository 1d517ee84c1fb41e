//! The other programs: services with different behaviour, loggers, svc, init.

use crate::kernel::{DIRS, MS, Program, SECOND, Wait, signal, trace};
use crate::sys::Sys;
use daemontools_core::Ended;

/// A service or a logger.
pub(crate) async fn service(sys: Sys, dir: usize) -> u8 {
    if dir % 2 == 1 { logger(sys).await } else { worker(sys, dir).await }
}

/// A service that writes lines, exits at random, and may catch or delay TERM.
async fn worker(sys: Sys, dir: usize) -> u8 {
    let (catches, stubborn) = {
        let random = &mut sys.kernel.borrow_mut().random;
        (random.one_in(3), random.one_in(2))
    };
    if catches {
        sys.call("catch TERM", |k, own| k.block(own)).await;
    }
    let mut lines_when_calm = 3;
    loop {
        let (calm, choice) = {
            let mut k = sys.kernel.borrow_mut();
            (k.world.calm.is_some(), k.random.below(16))
        };
        let may_write = !calm || lines_when_calm > 0;
        let mut wait = Wait { signals: catches, ..Wait::default() };
        match choice {
            0..10 if may_write => {
                if calm {
                    lines_when_calm -= 1;
                }
                write_line(&sys, catches).await;
                wait.until = Some(next_time(&sys));
            }
            10 if !calm => return sys.kernel.borrow_mut().random.pick(&[0, 1, 111]),
            11 if !calm => {
                sys.call("fork", |k, own| {
                    // One per directory: more would use up all process ids.
                    if k.find(|program| program == Program::Daemon { dir }).is_none() {
                        k.fork(own, Program::Daemon { dir });
                    }
                })
                .await;
                wait.until = Some(next_time(&sys));
            }
            _ if may_write => wait.until = Some(next_time(&sys)),
            _ => {}
        }
        let woken = sys.wait(wait).await;
        if woken.signals && sys.call("take signals", |k, own| k.take_signals(own)).await != 0 {
            if stubborn && !calm {
                let time = sys.kernel.borrow_mut().random.below(3 * SECOND);
                sys.sleep(time).await;
            }
            return 0;
        }
    }
}

/// The time of the next action, mostly soon.
fn next_time(sys: &Sys) -> u64 {
    let mut k = sys.kernel.borrow_mut();
    let longest = k.random.pick(&[MS, 50 * MS, 2 * SECOND]);
    k.now + k.random.below(longest)
}

/// Writes a line, if the service has a logger. A signal ends the wait for room in the pipe.
async fn write_line(sys: &Sys, signals: bool) {
    let Some(end) = sys.kernel.borrow().processes[sys.own].stdout else {
        return;
    };
    while !sys.call("write a line", |k, own| k.write_line(own, end)).await {
        let wait = Wait { signals, writable: Some(end), ..Wait::default() };
        if sys.wait(wait).await.signals {
            return;
        }
    }
}

/// Reads lines and logs them, until the end of the input or TERM. It logs all that it has read.
async fn logger(sys: Sys) -> u8 {
    sys.call("catch TERM", |k, own| k.block(own)).await;
    loop {
        let stdin = sys.kernel.borrow().processes[sys.own].stdin;
        let woken = sys.wait(Wait { signals: true, readable: stdin, ..Wait::default() }).await;
        if woken.signals && sys.call("take signals", |k, own| k.take_signals(own)).await != 0 {
            return 0;
        }
        let Some(end) = stdin else {
            continue;
        };
        if sys.call("read lines", |k, own| k.read_lines(own, end)).await.is_none() {
            return 0;
        }
        sys.call("log lines", |k, own| k.log_lines(own)).await;
    }
}

/// A background child of a service: keeps the pipe open for a while, or for ever.
pub(crate) async fn daemon(sys: Sys) -> u8 {
    let time = sys.kernel.borrow_mut().random.pick(&[10 * MS, SECOND, 20 * SECOND, u64::MAX / 4]);
    sys.sleep(time).await;
    0
}

/// svc: writes commands and waits until supervise has read them, as `control` in
/// `crates/tools/src/control/svc.rs` does.
pub(crate) async fn svc(sys: Sys, dir: usize, bytes: [u8; 2]) -> u8 {
    use crate::kernel::Kind;
    let opened = sys
        .call("open control", |k, own| {
            k.control_has_reader(dir).then(|| k.open(own, Kind::ControlWriter(dir)))
        })
        .await;
    if opened.is_some() {
        sys.call("write commands", |k, _| k.write_control(dir, &bytes)).await;
        let deadline = sys.instant().0 + 2 * SECOND;
        while sys.call("FIONREAD", |k, _| !k.dirs[dir].control.is_empty()).await {
            if sys.instant().0 >= deadline {
                sys.call("poll", |k, _| k.give_up(dir)).await;
                break;
            }
            sys.sleep(MS).await;
        }
    }
    0
}

/// Process 1: reaps, and restarts svscan, or every supervise in a world without svscan.
pub(crate) async fn init(sys: Sys) -> u8 {
    let mut due = [Some(0); DIRS];
    let mut own: [Option<usize>; DIRS] = [None; DIRS];
    loop {
        let until = due.iter().flatten().min().copied();
        let woken = sys.wait(Wait { signals: true, until, ..Wait::default() }).await;
        if woken.signals {
            sys.call("take signals", |k, own| k.take_signals(own)).await;
            while let Some((pid, how)) = sys.call("reap", |k, own| k.reap(own)).await {
                let number = crate::kernel::number(pid);
                if let Some(n) = own.iter().position(|&child| child == Some(number)) {
                    own[n] = None;
                    due[n] = Some(restart_time(&sys, how));
                }
            }
        }
        for n in 0..DIRS {
            let now = sys.instant().0;
            if due[n].is_none_or(|due| due > now) {
                continue;
            }
            due[n] = None;
            let program = {
                let world = &sys.kernel.borrow().world;
                match (world.scanned, n) {
                    (true, 0) => Program::Svscan { upgraded: false },
                    (false, dir) if dir % 2 == 0 && dir / 2 < world.services => {
                        Program::Supervise { dir, upgraded: None }
                    }
                    _ => continue,
                }
            };
            own[n] = sys
                .call("start", |k, own| {
                    let child = k.fork(own, program)?;
                    k.unblock(child);
                    Some(child)
                })
                .await;
            if own[n].is_none() {
                due[n] = Some(now + 100 * MS);
            }
        }
    }
}

/// The time at which init restarts a process.
fn restart_time(sys: &Sys, how: Ended) -> u64 {
    let mut k = sys.kernel.borrow_mut();
    let pause = k.random.pick(&[0, 0, 10 * MS, SECOND, 4 * SECOND]);
    trace!(k, "init restarts after {how:?} in {} ms", pause / MS);
    // A failure that repeats must not become a busy loop.
    k.now + if how == Ended::Exited(111) { pause.max(100 * MS) } else { pause }
}

/// The signal with which the schedule asks for a live upgrade.
pub(crate) const UPGRADE: u8 = signal::UPGRADE;
