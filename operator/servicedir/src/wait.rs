//! Waiting until services have reached a state, as `svc -W` does: without polling, and never for a
//! state from before the commands.
//!
//! A [`Probe`] tells when the status is newer than the commands.

use crate::{Command, Reason, ServiceDir, Snapshot};
use daemontools_core::state_dir::condition::Condition;
use daemontools_core::state_dir::detail::StateFile;
use daemontools_core::state_dir::goal::{self, Observed, Progress, SentCommands, SupervisorState};
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::state_dir::probe::{Probe, ProbeWrite, ProbedService};
use daemontools_core::state_dir::status::StatusRecord;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::{Errno, ioctl_fionread, write};
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The service runs. After a command that ends the process: another process runs.
    Up,
    /// As [`Goal::Up`], and the service is ready if it reports its readiness.
    Ready,
    /// Neither the service nor a script of it runs, and it is not restarted.
    Down,
    /// Only a command starts the service again.
    Failed,
    /// No supervise runs for the directory.
    Gone,
    /// supervise has read the commands. What they do may not be complete.
    Sent,
    /// The service has announced that it reads its configuration again (`RELOADING=1`).
    Reloading,
    /// It does not, or not any more.
    Reloaded,
}

impl Goal {
    /// Those that are states of a service.
    pub const ALL: &'static [Self] = &[Self::Up, Self::Ready, Self::Down, Self::Failed, Self::Gone];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ready => "ready",
            Self::Down => "down",
            Self::Failed => "failed",
            Self::Gone => "gone",
            Self::Sent => "sent",
            Self::Reloading => "reloading",
            Self::Reloaded => "reloaded",
        }
    }

    /// The goal of a word, if it is one of [`Goal::ALL`].
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|goal| goal.word() == word)
    }

    fn compare(
        self,
        sent: SentCommands,
        before: Option<&StatusRecord>,
        now: &Observed<'_>,
    ) -> Progress {
        let reached = |yes| if yes { Progress::Reached } else { Progress::Pending };
        match self {
            Self::Up => goal::Goal::Up.compare(sent, before, now),
            Self::Ready => goal::Goal::Ready.compare(sent, before, now),
            Self::Down => goal::Goal::Down.compare(sent, before, now),
            Self::Failed => reached(Condition::of(&now.status, &now.found) == Condition::Failed),
            Self::Gone => reached(now.supervisor != SupervisorState::Running),
            Self::Sent => reached(now.supervisor == SupervisorState::Running),
            Self::Reloading => reached(is_reloading(now)),
            Self::Reloaded => reached(!is_reloading(now)),
        }
    }
}

fn is_reloading(now: &Observed<'_>) -> bool {
    now.found.detail().is_some_and(|detail| detail.phase == Phase::Reloading)
}

/// The result of a wait for one service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It has reached the state. With what it published last, if that could be read.
    Reached(Option<Snapshot>),
    /// It does not reach the state: it has failed, and only a command starts it again.
    Failed(Option<Reason>),
    /// It does not reach the state: it ran once and has ended.
    Ended,
}

/// Waits for a number of services, each with its own commands and its own goal.
///
/// ```no_run
/// use servicedir::{Command, Goal, Outcome, ServiceDir, Waits};
///
/// let web = ServiceDir::new("/service/web");
/// let mut waits = Waits::new()?;
/// waits.begin(&web, &[Command::Down], Goal::Down)?;
/// while let Some((number, outcome)) = waits.next_within(None)? {
///     println!("{number}: {outcome:?}");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Waits {
    watch: OwnedFd,
    jobs: Vec<Job>,
    /// Finished, and not returned yet.
    finished: VecDeque<(usize, Outcome)>,
}

/// The wait for one service.
#[derive(Debug)]
struct Job {
    dir: ServiceDir,
    goal: Goal,
    sent: SentCommands,
    /// The control FIFO, open during the whole wait: its content survives a supervise that is killed
    /// before it has read it. `None` if this process may only look.
    control: Option<OwnedFd>,
    /// The watches of the state directory and of the FIFO.
    watches: [i32; 2],
    /// The status before the commands, if it could be read.
    before: Option<StatusRecord>,
    probe: Probe,
    /// Something changed since the last look.
    changed: bool,
    finished: bool,
}

impl Waits {
    /// A wait for no services yet.
    ///
    /// # Errors
    /// The errors of inotify.
    pub fn new() -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { watch, jobs: Vec::new(), finished: VecDeque::new() })
    }

    /// Sends commands to the supervise of a service, and begins to wait for `goal`. Without commands
    /// it only waits. Returns the number of the wait, from 0 on.
    ///
    /// # Errors
    /// As for [`ServiceDir::send`], and the errors of inotify.
    pub fn begin(
        &mut self,
        dir: &ServiceDir,
        commands: &[Command],
        goal: Goal,
    ) -> io::Result<usize> {
        let control = match dir.fifo("control") {
            Ok(Some(control)) => Some(control),
            Ok(None) if goal == Goal::Gone && commands.is_empty() => None,
            Ok(None) => {
                return Err(io::Error::new(io::ErrorKind::NotConnected, "supervise not running"));
            }
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && commands.is_empty() =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let content = WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        // The watches come before the first look, so that no change is missed.
        let fifo = WatchFlags::ACCESS | WatchFlags::CLOSE_NOWRITE;
        let watches = [("", content), ("control", fifo)]
            .map(|(file, flags)| inotify::add_watch(&self.watch, dir.state_file(file), flags));
        let [state, fifo] = watches;
        let watches = match (goal, state, fifo) {
            (Goal::Gone, state, fifo) => [state.unwrap_or(-1), fifo.unwrap_or(-1)],
            (_, state, fifo) => [state?, fifo.unwrap_or(-1)],
        };
        let message = Command::message(commands);
        let before = dir.record().ok();
        if let Some(control) = control.as_ref().filter(|_| !message.is_empty()) {
            dir.note_request(&message);
            write(control, &message)?;
        }
        self.jobs.push(Job {
            dir: dir.clone(),
            goal,
            sent: SentCommands::decode(&message),
            control,
            watches,
            before,
            probe: Probe::default(),
            changed: true,
            finished: false,
        });
        Ok(self.jobs.len() - 1)
    }

    /// How many services have not reached their goal.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.jobs.iter().filter(|job| !job.finished).count()
    }

    /// The services that have not reached their goal, by their numbers.
    pub fn unfinished(&self) -> impl Iterator<Item = usize> + '_ {
        self.jobs.iter().enumerate().filter(|(_, job)| !job.finished).map(|(number, _)| number)
    }

    /// A descriptor that is readable when something has changed, for a loop of the caller's own.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Waits until the next service has reached its goal or does not reach it any more, at most for
    /// `timeout`. Returns its number and the result; `None` after the timeout, after a signal, and
    /// when no service is left.
    ///
    /// # Errors
    /// The errors of poll(2).
    pub fn next_within(
        &mut self,
        timeout: Option<Duration>,
    ) -> io::Result<Option<(usize, Outcome)>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            for (number, job) in self.jobs.iter_mut().enumerate() {
                if std::mem::take(&mut job.changed)
                    && !job.finished
                    && let Some(outcome) = job.look()
                {
                    job.finished = true;
                    self.finished.push_back((number, outcome));
                }
            }
            if let Some(finished) = self.finished.pop_front() {
                return Ok(Some(finished));
            }
            if self.pending() == 0 {
                return Ok(None);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let limit = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.watch, PollFlags::IN)], limit.as_ref()) {
                Ok(0) => return Ok(None),
                Ok(_) => self.note_events(),
                Err(Errno::INTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn note_events(&mut self) {
        let mut room = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(self.watch.as_fd(), &mut room);
        loop {
            match reader.next() {
                Ok(event) => {
                    let flags = event.events();
                    let overflow = flags.contains(ReadFlags::QUEUE_OVERFLOW);
                    let closing = flags.contains(ReadFlags::CLOSE_NOWRITE);
                    for job in &mut self.jobs {
                        job.note(event.wd(), closing, overflow);
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// Whether a descriptor reports the loss of the other end within `timeout`.
fn hung_up(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    // The kernel reports an error or a hang-up also for an empty request.
    let timeout = Timespec::try_from(timeout).ok();
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::empty())], timeout.as_ref())
        .is_ok_and(|ready| ready > 0)
}

impl Job {
    fn note(&mut self, watch: i32, closing: bool, overflow: bool) {
        self.changed |= overflow || self.watches.contains(&watch);
        if closing && watch == self.watches[1] {
            if let Some(control) = &self.control {
                hung_up(control.as_fd(), Probe::CLOSE_TIMEOUT);
            }
            self.probe.note_close();
        }
    }

    fn look(&mut self) -> Option<Outcome> {
        let supervisor = self.supervisor()?;
        if self.goal == Goal::Gone && supervisor != SupervisorState::Running {
            return Some(Outcome::Reached(None));
        }
        let status = self.dir.record().ok()?;
        let text = self.dir.read("state").ok();
        let found = StateFile::classify(text.as_deref(), &status);
        let observed = Observed { status, found, supervisor };
        match self.goal.compare(self.sent, self.before.as_ref(), &observed) {
            Progress::Pending => None,
            Progress::Reached => Some(Outcome::Reached(self.dir.read_snapshot().ok())),
            Progress::Failed(reason) => Some(Outcome::Failed(reason.map(Into::into))),
            Progress::Ended => Some(Outcome::Ended),
        }
    }

    /// Whether a supervise publishes the status; `None` while the status may be older than the
    /// commands.
    fn supervisor(&mut self) -> Option<SupervisorState> {
        let Some(control) = &self.control else {
            let runs = self.dir.is_supervised();
            return Some(match runs {
                Ok(false) => SupervisorState::absent(has_record(&self.dir)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => SupervisorState::Exited,
                _ => SupervisorState::Running,
            });
        };
        let probed = ProbedJob { dir: &self.dir, control: control.as_fd() };
        self.probe.ask(&probed)
    }
}

/// Whether there is a process record, or it cannot be looked for.
fn has_record(dir: &ServiceDir) -> bool {
    dir.state_file("process").try_exists().unwrap_or(true)
}

/// A service with its control FIFO.
struct ProbedJob<'a> {
    dir: &'a ServiceDir,
    control: BorrowedFd<'a>,
}

impl ProbedService for ProbedJob<'_> {
    fn has_no_reader(&self) -> bool {
        hung_up(self.control, Duration::ZERO)
    }

    fn has_unread(&self) -> bool {
        ioctl_fionread(self.control).is_ok_and(|bytes| bytes > 0)
    }

    fn write(&self, command: &[u8]) -> ProbeWrite {
        match write(self.control, command) {
            Ok(_) => ProbeWrite::Written,
            Err(Errno::PIPE) => ProbeWrite::NoReader,
            Err(_) => ProbeWrite::Full,
        }
    }

    fn has_record(&self) -> bool {
        has_record(self.dir)
    }
}
