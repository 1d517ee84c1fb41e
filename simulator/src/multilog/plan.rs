//! The faults of the logger that runs.

use super::faults::{PlannedFault, Role, errors};
use super::history::History;
use crate::fault::{DueFaults, Kind};
use crate::kernel::{Kernel, Pid};
use crate::story::{self, Story};
use crate::world::{Fate, Fault};
use linux_raw_sys::general::{__NR_unlinkat, SIGALRM, SIGTERM};
use machine::{Call, read_string};

/// The longest time that the clock can be set back without an effect on stamps.
const DAY: i64 = 86_400;

pub(super) struct Plan {
    pub(super) logger: Pid,
    /// The program of the logger.
    pub(super) program: &'static str,
    faults: DueFaults<Role>,
    pub(super) history: History,
    /// How far the clock was set back, in seconds.
    set_back: i64,
    pub(super) story: Story,
}

impl Plan {
    pub(super) fn new(trace: bool) -> Self {
        Self {
            logger: 0,
            program: "",
            faults: DueFaults::none(),
            history: History::default(),
            set_back: 0,
            story: Story::new(trace),
        }
    }

    /// A logger begins.
    pub(super) fn begin(&mut self, logger: Pid, program: &'static str, faults: Vec<PlannedFault>) {
        self.story.events.push(format!("{} {logger} starts", program.trim_start_matches("/bin/")));
        (self.logger, self.program, self.faults) = (logger, program, DueFaults::new(faults));
    }

    fn role(&self, kernel: &Kernel, pid: Pid) -> Option<Role> {
        if pid == self.logger {
            return Some(Role::Logger);
        }
        let process = kernel.process(pid)?;
        if process.is_copy_of(self.program.as_bytes()) {
            // The original's child before exec.
            let is_original = self.program == "/bin/original";
            return Some(if is_original { Role::Processor } else { Role::Standby });
        }
        let is_child = process.arguments[0] == self.program.as_bytes();
        (is_child || process.arguments[0] == b"sh").then_some(Role::Processor)
    }

    /// Notes what a fault does to the promises.
    fn remember(&mut self, fault: Fault, role: Role) {
        let history = &mut self.history;
        match (fault, role) {
            (Fault::Kill | Fault::Memory, Role::Logger) => {
                history.kills += 1;
                history.recent_kills += 1;
                // A process without memory starts a standby process without memory.
                history.standby_faults += u64::from(fault == Fault::Memory);
            }
            (Fault::Clock(seconds @ ..0), _) => {
                self.set_back -= seconds;
                history.has_gone_back |= self.set_back >= DAY;
            }
            (Fault::Power | Fault::Clock(_) | Fault::Memory, _) if role != Role::Standby => {}
            (_, Role::Standby) => history.standby_faults += 1,
            (Fault::Signal(SIGTERM), Role::Logger) => history.has_term = true,
            (Fault::Signal(SIGALRM), Role::Logger) => history.has_alarm = true,
            _ => {}
        }
    }
}

impl Fate for Plan {
    fn fault(&mut self, kernel: &Kernel, pid: Pid, count: u64, call: Call) -> Option<Fault> {
        let role = self.role(kernel, pid)?;
        let fault = self.faults.take(role, count, |kind| {
            // A short read of the pipe is the writer's doing.
            let is_input = matches!(kind, Kind::Short(_)) && call.arguments[0] == 0;
            if is_input { None } else { kind.at(call, errors(call.number)) }
        })?;
        self.remember(fault, role);
        let who = match role {
            Role::Logger => "multilog",
            Role::Standby => "the standby process",
            Role::Processor => "the processor",
        };
        self.story.events.push(story::fault(kernel, (who, pid), (count, call), fault));
        Some(fault)
    }

    fn performed(&mut self, kernel: &Kernel, pid: Pid, call: Call, result: Option<isize>) {
        self.story.performed(kernel, pid, call, result);
        if call.number == __NR_unlinkat as usize
            && read_string(call.arguments[1]).is_some_and(|name| name.starts_with(b"@"))
        {
            self.history.has_pruned = true;
            self.history.has_failed_removal |= result != Some(0);
        }
    }
}
