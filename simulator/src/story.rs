//! The story of a run, in plain words.

use crate::kernel::{Kernel, Pid};
use crate::words;
use crate::world::Fault;
use machine::Call;

/// What has happened so far.
pub(crate) struct Story {
    pub(crate) events: Vec<String>,
    /// The system calls of all processes.
    pub(crate) calls: u64,
    /// Every system call is told.
    trace: bool,
}

impl Story {
    pub(crate) const fn new(trace: bool) -> Self {
        Self { events: Vec::new(), calls: 0, trace }
    }

    /// Adds an event with its time.
    pub(crate) fn tell(&mut self, kernel: &Kernel, event: &str) {
        self.events.push(format!("at {} ms: {event}", kernel.now / 1_000_000 - 1000));
    }

    /// Counts a call with its result, and tells it.
    pub(crate) fn performed(
        &mut self,
        kernel: &Kernel,
        pid: Pid,
        call: Call,
        result: Option<isize>,
    ) {
        self.calls += 1;
        if self.trace {
            let (call, result) = (words::call(kernel, pid, call), words::result(result));
            self.events.push(format!("  {pid} {call} = {result}"));
        }
    }
}

/// A fault at a call of a process. `who` is the program.
pub(crate) fn fault(
    kernel: &Kernel,
    (who, pid): (&str, Pid),
    (count, call): (u64, Call),
    fault: Fault,
) -> String {
    let (call, fault) = (words::call(kernel, pid, call), words::fault(fault));
    format!("{who} {pid}, call {count}, {call}: {fault}")
}
