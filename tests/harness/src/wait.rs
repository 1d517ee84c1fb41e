//! Waiting for something to become true.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::PipeWriter;
use std::thread;
use std::time::{Duration, Instant};

/// A deadline for everything that ought to happen soon. The original looks at
/// the service directories every five seconds and many tests share few cores,
/// so it is generous; only a failing test ever waits that long.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not hold in time; the message names `what`.
#[track_caller]
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, deadline, || condition().then_some(()));
}

/// Waits until `probe` gives something, and returns that.
///
/// # Panics
///
/// If it gives nothing in time; the message names `what`.
#[track_caller]
pub fn wait_for<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    // Quick at first, then slower: a probe may be as dear as starting svstat.
    let mut pause = Duration::from_millis(2);
    loop {
        // Asked after the probe, a late look would count as a failure even
        // though the thing had happened.
        let late = start.elapsed() > deadline;
        if let Some(found) = probe() {
            return found;
        }
        assert!(!late, "waited {} s in vain: {what}", deadline.as_secs_f32());
        thread::sleep(pause);
        pause = (pause * 5 / 4).min(Duration::from_millis(30));
    }
}

/// Waits until no process has the reader of a pipe. To drop it is not enough: a child that another test
/// starts at this moment has all descriptors of this process, until its exec.
///
/// # Panics
///
/// If a process keeps it.
#[track_caller]
pub fn wait_without_reader(writer: &PipeWriter) {
    wait_until("the pipe has no reader", DEADLINE, || {
        let mut polled = [PollFd::new(writer, PollFlags::OUT)];
        poll(&mut polled, Some(&Timespec::default())).expect("poll");
        polled[0].revents().contains(PollFlags::ERR)
    });
}
