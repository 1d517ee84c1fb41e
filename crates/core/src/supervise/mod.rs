//! The supervise machine: one service, from its first start to the end of its supervisor.
//!
//! [`Machine::step`] takes an event and the time, changes the state, and returns effects. It does
//! nothing itself: the program performs the effects in order, and reports the results of
//! [`Effect::Prepare`], [`Effect::Spawn`], [`Effect::StartCheck`] and [`Effect::Sweep`] as events.
//!
//! Two rules come from the original. A service starts at most once a second; the original sleeps
//! through that second, the machine obeys commands in [`State::Waiting`]. And a signal goes only to
//! a process that is not yet reaped, so that it never hits another process with the same id.
//!
//! The [`Policy`] holds what a service directory asks for beyond the original. Without one the
//! machine never enters [`State::Blocked`], [`State::RunningScript`], [`State::Started`],
//! [`State::Sweeping`] and [`State::Failed`], and the second is its only timer.
//!
//! Functions that many events share are `#[inline(never)]`: copies in each state would add 5 KB to
//! the executable.
//!
//! | module | subject |
//! |---|---|
//! | `event`, `effect`, `service_state`, `policy` | the terms of the machine |
//! | `table` | each state against each event |
//! | `start` | from a wanted service to its process |
//! | `exit` | from the end of a process to the next start, or to the end of the supervision |
//! | `stopping` | the stop signal, its scope, and the KILL that follows |
//! | `stop_order` | which of two services that stop ends first |
//! | `health` | readiness, watchdog and health checks |
//! | `process_timers` | the four timers of a process |
//! | `backoff` | the second between two starts, the restart delay and the restart limit |
//! | `end_for_good` | the end of an essential service |
//! | `view` | what the machine shows |
//! | `resume` | a machine from the files of a killed supervisor |
//! | `sd_notify` | the notifications of a service |

mod backoff;
mod effect;
mod end_for_good;
mod event;
mod exit;
mod health;
mod policy;
mod process_timers;
mod resume;
pub mod sd_notify;
mod service_state;
mod start;
pub mod stop_order;
mod stopping;
mod table;
mod view;

pub use crate::state_dir::Script;
pub use backoff::{DEFAULT_RESET, MAX_FORK_PAUSE, START_INTERVAL};
pub use effect::{Effect, Effects, Report};
pub use end_for_good::ESSENTIAL_ENDED;
pub use event::{Event, Notification};
pub use policy::{Policy, Scripts};
pub use resume::{Recovered, RunningProcess, SavedState, resume};
pub use service_state::State;
pub use start::REFUSED_RETRY;
pub use stopping::DEFAULT_KILL_TIMEOUT;

use crate::Ended;
use crate::state_dir::phase::Reason;
use crate::state_dir::status::{StateCode, Want};
use crate::time::Now;
use crate::time::tai::Tai64n;
use alloc::boxed::Box;
use backoff::Backoff;
use exit::ScriptProgress;
use health::Health;
use process_timers::Timers;
use stopping::Stopping;

/// The machine of one service.
#[derive(Clone, Debug)]
pub struct Machine {
    state: State,
    /// `None` is [`Policy::ORIGINAL`]: most services have no option files.
    policy: Option<Box<Policy>>,
    want: Want,
    /// `o` came while `run` did not run, and `run` has not started since.
    once_pending: bool,
    /// `x` came. No command takes it back.
    leaving: bool,
    /// The service has failed: [`State::Failed`] follows after its sweep and its `finish`.
    fail_pending: bool,
    /// When the process last started or ended, as the record shows it.
    since: Tai64n,
    /// Why supervise last stopped the service by itself, or does not start it.
    reason: Option<Reason>,
    /// encore's code of the state before [`State::Gone`], if the service is not wanted up.
    final_code: StateCode,
    /// How `run` last ended, whatever has ended since.
    run_end: Option<Ended>,
    /// How the essential service has ended for good. The supervisor exits after that.
    essential_end: Option<Ended>,
    scripts: ScriptProgress,
    backoff: Backoff,
    timers: Timers,
    health: Health,
    stopping: Stopping,
}

impl Machine {
    /// A machine for a service that is wanted up or, with a `down` file, down.
    #[must_use]
    pub const fn new(normally_up: bool, now: Now) -> Self {
        Self {
            state: State::Down,
            policy: None,
            want: if normally_up { Want::Up } else { Want::Down },
            once_pending: false,
            leaving: false,
            fail_pending: false,
            since: now.label,
            reason: None,
            final_code: StateCode::Stopped,
            run_end: None,
            essential_end: None,
            scripts: ScriptProgress::NEW,
            backoff: Backoff::new(),
            timers: Timers::DISARMED,
            health: Health::UNKNOWN,
            stopping: Stopping::NO,
        }
    }

    /// Sets the policy: before [`Event::Begin`], and again before [`Event::Prepared`]. `random` is
    /// any number; it varies the next restart delay.
    pub fn configure(&mut self, policy: Policy, random: u32) {
        self.policy = (policy != Policy::ORIGINAL).then(|| Box::new(policy));
        self.backoff.random = random;
    }

    /// The policy of the last start.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.policy.as_deref().unwrap_or(&Policy::ORIGINAL)
    }
}
