//! The scheduler: which process runs next, and what happens to its system call.

use crate::kernel::Next;
use crate::kernel::{Ended, Kernel, Outcome, Pid};
use crate::random::Random;
use machine::Call;

/// What happens to a call instead of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed before the call.
    Kill,
    /// The process gets this signal before the call.
    Signal(u32),
    /// The call fails with this error.
    Error(u32),
    /// A read or write transfers at most this many bytes.
    Short(usize),
    /// The power fails before the call.
    Power,
    /// The wall clock jumps by so many seconds before the call.
    Clock(i64),
    /// The process gets no new memory any more.
    Memory,
}

/// A step of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something has happened.
    Done,
    /// Every process waits, and time changes nothing.
    Stuck,
    /// The time of [`World::alarm`] has come, and every process waits.
    Alarm,
}

/// Decides about the calls of processes.
pub trait Fate {
    /// What happens to the call number `count` of a process.
    fn fault(&mut self, kernel: &Kernel, pid: Pid, count: u64, call: Call) -> Option<Fault>;
    /// Is told each performed call and its result, a negated error number for a failure.
    fn performed(&mut self, kernel: &Kernel, pid: Pid, call: Call, result: Option<isize>);
}

/// No faults.
pub struct Calm;

impl Fate for Calm {
    fn fault(&mut self, _: &Kernel, _: Pid, _: u64, _: Call) -> Option<Fault> {
        None
    }

    fn performed(&mut self, _: &Kernel, _: Pid, _: Call, _: Option<isize>) {}
}

/// A kernel with its processes, and the order in which they run.
pub struct World {
    /// The kernel.
    pub kernel: Kernel,
    /// Time passes only until then while every process waits.
    pub alarm: Option<u64>,
    random: Random,
    /// The process that ran last.
    last: Pid,
}

impl World {
    /// A world whose order depends on the seed.
    #[must_use]
    pub const fn new(kernel: Kernel, seed: u64) -> Self {
        Self { kernel, alarm: None, random: Random::new(seed), last: 0 }
    }

    /// Lets one process make one system call, or lets time pass.
    pub fn step(&mut self, fate: &mut impl Fate) -> Step {
        self.kernel.pass(1000);
        loop {
            let generation = self.kernel.generation;
            let ready = |process: &crate::kernel::Proc| {
                process.ended.is_none()
                    && !process.is_stopped
                    && match process.next {
                        Next::Sleep => false,
                        Next::Run(_) => true,
                        Next::Perform(_) => process.waits_since != generation,
                    }
            };
            let ready: Vec<Pid> =
                self.kernel.processes.iter().filter(|it| ready(it.1)).map(|it| *it.0).collect();
            if ready.is_empty() {
                if self.alarm.is_some_and(|alarm| alarm <= self.kernel.now) {
                    return Step::Alarm;
                }
                let due = self.kernel.next_deadline().into_iter().chain(self.alarm).min();
                let Some(due) = due else { return Step::Stuck };
                self.kernel.pass(due.saturating_sub(self.kernel.now).max(1));
                continue;
            }
            // Usually the same process goes on, as in reality.
            let pid = if ready.contains(&self.last) && !self.random.one_in(4) {
                self.last
            } else {
                self.random.one_of(&ready)
            };
            self.last = pid;
            if self.go_on(pid, fate) {
                return Step::Done;
            }
        }
    }

    /// Performs the call of a process, and lets it run to its next one. Returns whether it could.
    fn go_on(&mut self, pid: Pid, fate: &mut impl Fate) -> bool {
        let process = self.kernel.processes.get_mut(&pid).expect("a ready process");
        let result = match process.next {
            Next::Sleep => return false,
            Next::Run(result) => result,
            Next::Perform(call) => {
                let is_first_try = process.waits_since == 0;
                match self.perform(pid, call, is_first_try, fate) {
                    Some(Outcome::Return(value)) => value.cast_signed(),
                    Some(Outcome::Wait) => return false,
                    Some(Outcome::Gone) | None => return true,
                }
            }
        };
        // A signal of its own can have ended it.
        let Some(process) = self.kernel.processes.get_mut(&pid) else { return true };
        let Some(mut memory) = process.memory.take() else { return true };
        let call = memory.run(result);
        process.memory = Some(memory);
        process.next = Next::Perform(call);
        process.waits_since = 0;
        process.deadline = None;
        process.progress = 0;
        process.calls += 1;
        true
    }

    fn perform(
        &mut self,
        pid: Pid,
        mut call: Call,
        is_first_try: bool,
        fate: &mut impl Fate,
    ) -> Option<Outcome> {
        let process = self.kernel.processes.get_mut(&pid).expect("a ready process");
        if let Some(memory) = &process.memory {
            memory.load();
        }
        let mut failure = None;
        if is_first_try {
            let count = process.calls;
            match fate.fault(&self.kernel, pid, count, call) {
                None => {}
                Some(Fault::Kill) => {
                    self.kernel.end(pid, Ended::Killed(9));
                    return None;
                }
                Some(Fault::Signal(signal)) => {
                    self.kernel.signal(pid, signal);
                    if self.kernel.process(pid).is_none_or(|process| process.ended.is_some()) {
                        return None;
                    }
                }
                Some(Fault::Power) => {
                    self.kernel.power_failed = true;
                    return None;
                }
                Some(Fault::Clock(seconds)) => self.kernel.set_clock_by(seconds),
                Some(Fault::Memory) => {
                    if let Some(memory) = self.kernel.process(pid).and_then(|it| it.memory.as_ref())
                    {
                        memory.refuse_memory();
                    }
                }
                Some(Fault::Error(error)) => failure = Some(error),
                Some(Fault::Short(most)) => {
                    call.arguments[2] = call.arguments[2].min(most);
                    let process = self.kernel.processes.get_mut(&pid).expect("a ready process");
                    process.next = Next::Perform(call);
                }
            }
        }
        let result = match failure {
            Some(error) => Err(error),
            None => self.kernel.perform(pid, call),
        };
        match result {
            Ok(Outcome::Wait) => {
                let generation = self.kernel.generation;
                let process = self.kernel.processes.get_mut(&pid).expect("a waiting process");
                process.waits_since = generation;
                Some(Outcome::Wait)
            }
            Ok(Outcome::Gone) => {
                fate.performed(&self.kernel, pid, call, None);
                Some(Outcome::Gone)
            }
            Ok(Outcome::Return(value)) => {
                fate.performed(&self.kernel, pid, call, isize::try_from(value).ok());
                Some(Outcome::Return(value))
            }
            Err(error) => {
                let negated = -isize::try_from(error).unwrap_or(1);
                fate.performed(&self.kernel, pid, call, Some(negated));
                Some(Outcome::Return(negated.cast_unsigned()))
            }
        }
    }
}
