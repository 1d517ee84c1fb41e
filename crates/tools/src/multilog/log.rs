//! A log directory at work: what it says of troubles, and its processor.

use super::store::LogDir;
use crate::diag;
use crate::time::{instant, label};
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::multilog::batch::{Batch, Left, Stage};
use daemontools_core::multilog::directory::{Directory, Progress, Trouble};
use daemontools_core::multilog::script::Settings;
use daemontools_core::tai::Tai64n;
use daemontools_core::time::Instant;
use daemontools_sys::process::Ended;
use daemontools_sys::{Errno, poll};

/// Between two tries of what failed.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two runs of a processor that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How far the work came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Done,
    /// The processor has to end first.
    Waiting,
    /// Something failed, which was said. It is to be tried again after [`PAUSE`].
    Failed,
}

/// A log directory at work.
pub(super) struct Log<'a> {
    name: &'a [u8],
    directory: Directory,
    store: LogDir<'a>,
    /// What was said of it last, and is not repeated.
    said: Option<Trouble<Errno>>,
    /// Nothing is to be said.
    silent: bool,
    /// When a processor that failed is run again, and after what pause.
    retry: Option<Instant>,
    pause: Duration,
}

impl<'a> Log<'a> {
    /// Opens, locks and recovers a directory.
    pub(super) fn open(settings: &Settings<'a>, source: Option<u64>) -> Result<Self, i32> {
        let mut log = Self {
            name: settings.name,
            directory: Directory::new(settings, source),
            store: LogDir::open(settings)?,
            said: None,
            silent: false,
            retry: None,
            pause: PAUSE,
        };
        loop {
            match log.directory.recover(&mut log.store, label()) {
                Ok(()) => return Ok(log),
                Err((true, trouble)) => return Err(log.store.fatal(trouble)),
                Err((false, trouble)) => {
                    log.say(trouble);
                    poll::pause(PAUSE);
                }
            }
        }
    }

    /// Whether a logger that was just killed has left something to be finished.
    pub(super) fn is_marked(&mut self) -> bool {
        Directory::is_marked(&mut self.store).unwrap_or(false)
    }

    /// Goes on for a logger that was just killed, still under its lock.
    ///
    /// # Errors
    /// What failed, of which nothing is said.
    pub(super) fn inherit(
        &mut self,
        settings: &Settings<'a>,
        source: Option<u64>,
    ) -> Result<(), Errno> {
        self.silent = true;
        self.directory = Directory::new(settings, source);
        self.store.begin_again();
        if self.directory.go_on(&mut self.store)? {
            return Ok(());
        }
        let recovered = self.directory.recover(&mut self.store, label());
        recovered.map_err(|(_, trouble)| trouble.error)
    }

    pub(super) fn add(&mut self, text: &[u8]) {
        self.directory.add(text);
    }

    /// Writes what there is.
    pub(super) fn work(&mut self) -> Work {
        if self.directory.is_settled() {
            return Work::Done;
        }
        let progress = self.directory.work(&mut self.store, label());
        self.worked(progress)
    }

    /// The same, and a new file if the one in use is not empty.
    pub(super) fn begin_new_file(&mut self) -> Work {
        let progress = self.directory.ask_rotation(&mut self.store, label());
        self.worked(progress)
    }

    fn worked(&mut self, progress: Result<Progress, Trouble<Errno>>) -> Work {
        match progress {
            Ok(progress) => {
                self.said = None;
                match progress {
                    Progress::Done => Work::Done,
                    Progress::Waiting => Work::Waiting,
                }
            }
            Err(trouble) => {
                self.say(trouble);
                Work::Failed
            }
        }
    }

    /// Says what is wrong, once.
    fn say(&mut self, trouble: Trouble<Errno>) {
        let said = self.said.map(|said| (said.step.kind(), said.error));
        if !self.silent && said != Some((trouble.step.kind(), trouble.error)) {
            self.store.warn(trouble);
        }
        self.said = Some(trouble);
    }

    /// See [`LogDir::last_label`].
    pub(super) fn last_label(&self) -> Option<Tai64n> {
        self.store.last_label()
    }

    /// See [`Directory::left`].
    pub(super) const fn left(&self) -> Option<&Left> {
        self.directory.left()
    }

    /// See [`Directory::hold`]; `false` if it could not be marked.
    pub(super) fn hold(&mut self, batch: Batch, held: &[u8], stage: Stage) -> bool {
        self.directory.hold(&mut self.store, batch, held, stage).is_ok()
    }

    /// See [`Directory::begin_batch`]; `false` if it could not be marked.
    pub(super) fn begin_batch(&mut self, batch: Batch, held: &[u8], written: u64) -> bool {
        self.directory.begin_batch(&mut self.store, batch, held, written).is_ok()
    }

    /// See [`Directory::end_batch`].
    pub(super) fn end_batch(&mut self) {
        // A mark that stays open is closed by the next, or known to be of another batch.
        let _ = self.directory.end_batch(&mut self.store);
    }

    /// See [`Directory::is_roomy`].
    pub(super) const fn is_roomy(&self) -> bool {
        self.directory.is_roomy()
    }

    /// See [`Directory::shrink`].
    pub(super) fn shrink(&mut self) {
        self.directory.shrink();
    }

    /// When it is to be worked on although nothing has come.
    pub(super) fn due(&self) -> Option<Instant> {
        let seconds = self.directory.seconds_left(label);
        let period_ends = seconds.map(|seconds| instant() + Duration::from_secs(seconds));
        [self.retry, period_ends].into_iter().flatten().min()
    }

    /// When a processor that failed is to be run again.
    pub(super) const fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Whether the processor is to be waited for at the end.
    pub(super) fn is_processing(&self) -> bool {
        self.directory.is_processing()
    }

    /// The processor, while it runs.
    pub(super) const fn processor(&self) -> Option<Pid> {
        self.store.processor
    }

    /// The processor has ended: well, or to be run again after a pause that grows.
    pub(super) fn processor_ended(&mut self, how: Ended) {
        self.store.processor = None;
        if how == Ended::Exited(0) {
            self.pause = PAUSE;
            self.directory.processor_ended(true);
            return;
        }
        if self.pause == PAUSE {
            let what: &[u8] = match how {
                Ended::Exited(_) => b"processor failed in ",
                Ended::Killed(_) => b"processor crashed in ",
            };
            diag::say(&[b"multilog: warning: ", what, self.name, b", pausing"]);
        }
        self.retry = Some(instant() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Lets a processor that failed be run again, if it is time.
    pub(super) fn retry_processor(&mut self) {
        if self.retry.is_some_and(|due| due <= instant()) {
            self.retry = None;
            self.directory.processor_ended(false);
        }
    }

    /// The end: everything is written, and marked as complete.
    pub(super) fn close(&mut self) -> Work {
        // Not after it is complete: what was marked is not true for a logger that comes later.
        self.end_batch();
        let closed = self.store.close_complete();
        self.worked(closed.map(|()| Progress::Done))
    }
}
