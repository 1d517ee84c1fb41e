//! The life of a log directory: recovery, writing, rotation.
//!
//! Everything that touches the directory goes through [`Store`], one small operation at a time,
//! and every operation that fails leaves the work where it was: [`Directory::work`] can be called
//! again and goes on from there. So a full disk is waited out, and a simulation can stop the work
//! after any operation.
//!
//! The names and what they mean are the original's; `current` is complete if its owner may execute
//! it.

use super::script::Settings;
use crate::tai::Tai64n;
use alloc::vec::Vec;

/// A file with a fixed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// Being written.
    Current,
    /// Full, and on its way to be an old file.
    Previous,
    /// What the processor makes of it.
    Processed,
    /// What the processor remembered the last time.
    State,
    /// What it remembers this time.
    NewState,
}

impl File {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Processed => "processed",
            Self::State => "state",
            Self::NewState => "newstate",
        }
    }
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its owner may execute it: it was written to its end.
    pub complete: bool,
    /// How many names it has.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// How a finished file came to its end; the last letter of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `s`: in order.
    Safe,
    /// `u`: it was found after an interruption.
    Unfinished,
}

/// The name of an old file: `@`, 24 digits, `.` and the code.
pub type OldName = [u8; 27];

/// The operations on a log directory. Modes are 0644, and 0744 if `complete`.
pub trait Store {
    /// Why one failed.
    type Error: Copy;

    /// Looks at a file; `None` if it is not there.
    ///
    /// # Errors
    /// Everything but its absence.
    fn stat(&mut self, file: File) -> Result<Option<Stat>, Self::Error>;
    /// Opens `current` for appending, making it if it is missing, and keeps it open.
    ///
    /// # Errors
    /// What opening says.
    fn open_current(&mut self) -> Result<(), Self::Error>;
    /// Appends to `current`; gives how much.
    ///
    /// # Errors
    /// What writing says.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error>;
    /// Makes sure that what was written to `current` is on disk.
    ///
    /// # Errors
    /// What fsync says.
    fn sync_current(&mut self) -> Result<(), Self::Error>;
    /// Sets the mode of the open `current`.
    ///
    /// # Errors
    /// What fchmod says.
    fn set_mode_of_current(&mut self, complete: bool) -> Result<(), Self::Error>;
    /// Sets the mode of `previous` to complete.
    ///
    /// # Errors
    /// What chmod says.
    fn complete_previous(&mut self) -> Result<(), Self::Error>;
    /// Renames one file over another.
    ///
    /// # Errors
    /// What rename says.
    fn rename(&mut self, from: File, to: File) -> Result<(), Self::Error>;
    /// Gives a file a second name.
    ///
    /// # Errors
    /// What link says.
    fn link(&mut self, file: File, name: &OldName) -> Result<(), Self::Error>;
    /// Removes a file; that it is not there is no error.
    ///
    /// # Errors
    /// What unlink says.
    fn remove(&mut self, file: File) -> Result<(), Self::Error>;
    /// Makes a file empty, making it if it is missing.
    ///
    /// # Errors
    /// What opening says.
    fn truncate(&mut self, file: File) -> Result<(), Self::Error>;
    /// Makes sure that a file is there and on disk, and sets its mode if it is `complete`.
    ///
    /// # Errors
    /// The first of opening, fsync and fchmod that failed.
    fn settle(&mut self, file: File, complete: bool) -> Result<(), (Step, Self::Error)>;
    /// Removes old files until fewer than `limit` are left, the oldest names first, but never
    /// `kept`, and nothing that cannot be removed.
    ///
    /// # Errors
    /// What reading the directory says.
    fn prune(&mut self, limit: u64, kept: Option<&OldName>) -> Result<(), Self::Error>;
    /// Starts the processor on `previous`.
    ///
    /// # Errors
    /// What fork says.
    fn start_processor(&mut self) -> Result<(), Self::Error>;
}

/// What failed, for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Looking at a file.
    Stat(File),
    /// Opening a file.
    Create(File),
    /// Appending to `current` at the start.
    Append,
    /// Emptying `state` at the start.
    WriteState,
    /// Writing to `current`.
    Write,
    /// Bringing a file to disk.
    Sync(File),
    /// Setting a file's mode.
    Mode(File),
    /// Renaming `current` or `newstate`.
    Rename(File),
    /// Giving a finished file its name.
    Link(OldName),
    /// Removing a file.
    Remove(File),
    /// Reading the directory.
    Read,
    /// Starting the processor.
    Fork,
}

impl Step {
    /// What failed, whatever names were in it, which are new ones at each try.
    #[must_use]
    pub const fn kind(self) -> Self {
        match self {
            Self::Link(_) => Self::Link([0; 27]),
            other => other,
        }
    }
}

/// Work that could not be done. It is tried again when [`Directory::work`] is called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble<E> {
    /// What failed.
    pub step: Step,
    /// Why.
    pub error: E,
}

/// Where the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// Lines can be written.
    Write,
    /// `current` is full.
    Rotate(Rotation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    Sync,
    Spare,
    Rename,
    Create,
    Mode,
    CompletePrevious,
}

/// What goes on behind the writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Nothing,
    /// The processor is to be started.
    Start,
    /// It runs, and its end will be told.
    Running,
    /// It has ended well.
    SettleProcessed,
    SettleNewState,
    RemovePrevious,
    RenameState,
    Finish(Finish),
}

/// A file on its way to its last name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Finish {
    file: File,
    code: Code,
    stage: FinishStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FinishStage {
    Link,
    Remove(Option<OldName>),
    Prune(Option<OldName>),
}

/// How far the work came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything is written.
    Done,
    /// The processor has to end before more can be written.
    Waiting,
}

/// A log directory at work.
#[derive(Debug)]
pub struct Directory {
    size: u64,
    files: u64,
    has_processor: bool,
    /// What is to be written.
    buffer: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// The size of `current`.
    bytes: u64,
    job: Job,
    behind: Behind,
    /// The moment in the last old file's name: names are never the same, and never go back.
    last: Tai64n,
}

/// A file may end at a line's end this far before its limit.
const SLACK: u64 = 2000;

impl Directory {
    /// A directory that [`Directory::recover`] makes ready.
    #[must_use]
    pub const fn new(settings: &Settings<'_>) -> Self {
        Self {
            size: settings.size,
            files: settings.files,
            has_processor: settings.processor.is_some(),
            buffer: Vec::new(),
            written: 0,
            bytes: 0,
            job: Job::Write,
            behind: Behind::Nothing,
            last: Tai64n { seconds: 0, nanoseconds: 0 },
        }
    }

    /// Makes a directory ready, whatever state an earlier logger left it in.
    ///
    /// # Errors
    /// With `true`: what cannot be made good by waiting. With `false`: what can; then this is to
    /// be called again.
    pub fn recover<S: Store>(
        &mut self,
        store: &mut S,
        now: Tai64n,
    ) -> Result<(), (bool, Trouble<S::Error>)> {
        let fatal = |step| move |error| (true, Trouble { step, error });
        let current = store.stat(File::Current).map_err(fatal(Step::Stat(File::Current)))?;
        if let Some(current) = current.filter(|current| current.complete) {
            store.open_current().map_err(fatal(Step::Append))?;
            store.set_mode_of_current(false).map_err(fatal(Step::Mode(File::Current)))?;
            self.bytes = current.size;
            return Ok(());
        }
        // The processor cannot know where it was.
        let _ = store.remove(File::State);
        let _ = store.remove(File::NewState);
        let processed = store.stat(File::Processed).map_err(fatal(Step::Stat(File::Processed)))?;
        if processed.is_some_and(|processed| processed.complete) {
            // The same lines, not to be found again.
            let step = Step::Remove(File::Previous);
            store.remove(File::Previous).map_err(|error| (false, Trouble { step, error }))?;
            self.finish_now(store, File::Processed, Code::Safe, now)?;
        } else {
            // One that stays is overwritten by the next processor.
            let _ = store.remove(File::Processed);
            self.finish_now(store, File::Previous, Code::Unfinished, now)?;
        }
        self.finish_now(store, File::Current, Code::Unfinished, now)?;
        store.truncate(File::State).map_err(fatal(Step::WriteState))?;
        store.open_current().map_err(fatal(Step::Append))?;
        store.set_mode_of_current(false).map_err(fatal(Step::Mode(File::Current)))?;
        self.bytes = 0;
        Ok(())
    }

    fn finish_now<S: Store>(
        &mut self,
        store: &mut S,
        file: File,
        code: Code,
        now: Tai64n,
    ) -> Result<(), (bool, Trouble<S::Error>)> {
        self.behind = Behind::Finish(Finish { file, code, stage: FinishStage::Link });
        while self.behind != Behind::Nothing {
            // Begun anew at the next call, which does no harm: what is done is seen to be done.
            self.work_behind(store, now).map_err(|trouble| (false, trouble))?;
        }
        Ok(())
    }

    /// Takes text to be written by [`Directory::work`].
    pub fn add(&mut self, text: &[u8]) {
        self.buffer.extend_from_slice(text);
    }

    /// Asks for a new `current`, unless it is empty. What was added is written before.
    pub fn ask_rotation<S: Store>(
        &mut self,
        store: &mut S,
        now: Tai64n,
    ) -> Result<Progress, Trouble<S::Error>> {
        let progress = self.work(store, now)?;
        if progress == Progress::Done && self.bytes > 0 && self.job == Job::Write {
            self.job = Job::Rotate(Rotation::Sync);
            return self.work(store, now);
        }
        Ok(progress)
    }

    /// The processor has ended: `true` if well, else it is to be started again.
    pub fn processor_ended(&mut self, well: bool) {
        if self.behind == Behind::Running {
            self.behind = if well { Behind::SettleProcessed } else { Behind::Start };
        }
    }

    /// Whether the processor is to be waited for.
    #[must_use]
    pub fn is_processing(&self) -> bool {
        self.behind == Behind::Running
    }

    /// Writes what was added, rotating where it has to be.
    ///
    /// # Errors
    /// What failed; the next call goes on there.
    pub fn work<S: Store>(
        &mut self,
        store: &mut S,
        now: Tai64n,
    ) -> Result<Progress, Trouble<S::Error>> {
        loop {
            if let Job::Rotate(rotation) = self.job {
                // The one before has to be out of the way.
                while !matches!(self.behind, Behind::Nothing) {
                    if self.behind == Behind::Running {
                        return Ok(Progress::Waiting);
                    }
                    self.work_behind(store, now)?;
                }
                self.rotate(store, rotation)?;
                continue;
            }
            while !matches!(self.behind, Behind::Nothing | Behind::Running) {
                self.work_behind(store, now)?;
            }
            let rest = self.buffer.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.buffer.clear();
                self.written = 0;
                return Ok(Progress::Done);
            }
            if self.bytes >= self.size {
                self.job = Job::Rotate(Rotation::Sync);
                continue;
            }
            let room = usize::try_from(self.size - self.bytes).unwrap_or(usize::MAX);
            let mut chunk = rest.get(..room.min(rest.len())).unwrap_or_default();
            let end = self.bytes + chunk.len() as u64;
            if end >= self.size.saturating_sub(SLACK)
                && let Some(newline) = memchr::memrchr(b'\n', chunk)
            {
                chunk = chunk.get(..=newline).unwrap_or_default();
            }
            let n = store
                .write(chunk)
                .map_err(|error| Trouble { step: Step::Write, error })?
                .min(chunk.len());
            self.bytes += n as u64;
            self.written += n;
            let at_line_end = chunk.get(..n).is_some_and(|c| c.ends_with(b"\n"));
            if at_line_end && self.bytes >= self.size.saturating_sub(SLACK) {
                self.job = Job::Rotate(Rotation::Sync);
            }
        }
    }

    fn rotate<S: Store>(
        &mut self,
        store: &mut S,
        rotation: Rotation,
    ) -> Result<(), Trouble<S::Error>> {
        let trouble = |step| move |error| Trouble { step, error };
        self.job = Job::Rotate(match rotation {
            Rotation::Sync => {
                store.sync_current().map_err(trouble(Step::Sync(File::Current)))?;
                Rotation::Spare
            }
            Rotation::Spare => {
                // Left beside a complete `current`, where nobody looks for it at the start, it
                // would be overwritten now.
                let file = File::Previous;
                if store.stat(file).map_err(trouble(Step::Stat(file)))?.is_some() {
                    let (code, stage) = (Code::Unfinished, FinishStage::Link);
                    self.behind = Behind::Finish(Finish { file, code, stage });
                }
                Rotation::Rename
            }
            Rotation::Rename => {
                store
                    .rename(File::Current, File::Previous)
                    .map_err(trouble(Step::Rename(File::Current)))?;
                Rotation::Create
            }
            Rotation::Create => {
                store.open_current().map_err(trouble(Step::Create(File::Current)))?;
                self.bytes = 0;
                Rotation::Mode
            }
            Rotation::Mode => {
                store.set_mode_of_current(false).map_err(trouble(Step::Mode(File::Current)))?;
                Rotation::CompletePrevious
            }
            Rotation::CompletePrevious => {
                store.complete_previous().map_err(trouble(Step::Mode(File::Previous)))?;
                self.behind = if self.has_processor {
                    Behind::Start
                } else {
                    let (file, code) = (File::Previous, Code::Safe);
                    Behind::Finish(Finish { file, code, stage: FinishStage::Link })
                };
                self.job = Job::Write;
                return Ok(());
            }
        });
        Ok(())
    }

    fn work_behind<S: Store>(
        &mut self,
        store: &mut S,
        now: Tai64n,
    ) -> Result<(), Trouble<S::Error>> {
        let trouble = |step| move |error| Trouble { step, error };
        let settled = |(step, error)| Trouble { step, error };
        self.behind = match self.behind {
            Behind::Nothing => Behind::Nothing,
            Behind::Running => Behind::Running,
            Behind::Start => {
                store.start_processor().map_err(trouble(Step::Fork))?;
                Behind::Running
            }
            Behind::SettleProcessed => {
                store.settle(File::Processed, true).map_err(settled)?;
                Behind::SettleNewState
            }
            Behind::SettleNewState => {
                store.settle(File::NewState, false).map_err(settled)?;
                Behind::RemovePrevious
            }
            Behind::RemovePrevious => {
                store.remove(File::Previous).map_err(trouble(Step::Remove(File::Previous)))?;
                Behind::RenameState
            }
            Behind::RenameState => {
                store
                    .rename(File::NewState, File::State)
                    .map_err(trouble(Step::Rename(File::NewState)))?;
                let (file, code) = (File::Processed, Code::Safe);
                Behind::Finish(Finish { file, code, stage: FinishStage::Link })
            }
            Behind::Finish(finish) => self.finish(store, finish, now)?,
        };
        Ok(())
    }

    fn finish<S: Store>(
        &mut self,
        store: &mut S,
        finish: Finish,
        now: Tai64n,
    ) -> Result<Behind, Trouble<S::Error>> {
        let trouble = |step| move |error| Trouble { step, error };
        let Finish { file, code, stage } = finish;
        let next = |stage| Ok(Behind::Finish(Finish { file, code, stage }));
        match stage {
            FinishStage::Link => {
                let stat = store.stat(file).map_err(trouble(Step::Stat(file)))?;
                let Some(stat) = stat else {
                    // An earlier logger may have been killed before it counted.
                    return next(FinishStage::Prune(None));
                };
                // With two names it has its last one already: the removal was interrupted.
                if stat.links != 1 {
                    return next(FinishStage::Remove(None));
                }
                self.last = if now > self.last { now } else { self.last.next_microsecond() };
                let name = old_name(self.last, code);
                store.link(file, &name).map_err(trouble(Step::Link(name)))?;
                next(FinishStage::Remove(Some(name)))
            }
            FinishStage::Remove(name) => {
                store.remove(file).map_err(trouble(Step::Remove(file)))?;
                next(FinishStage::Prune(name))
            }
            FinishStage::Prune(name) => {
                store.prune(self.files, name.as_ref()).map_err(trouble(Step::Read))?;
                Ok(Behind::Nothing)
            }
        }
    }
}

fn old_name(now: Tai64n, code: Code) -> OldName {
    let mut name = [0; 27];
    let (stamp, end) = name.split_at_mut(25);
    stamp.copy_from_slice(now.stamp().get(..25).unwrap_or_default());
    let letter = match code {
        Code::Safe => b's',
        Code::Unfinished => b'u',
    };
    end.copy_from_slice(&[b'.', letter]);
    name
}

/// Which of the names in a directory are to go, so that fewer than `limit` old files are left:
/// those that sort lowest by their first 25 bytes, but not `kept`.
#[must_use]
pub fn surplus(mut names: Vec<Vec<u8>>, limit: u64, kept: Option<&OldName>) -> Vec<Vec<u8>> {
    names.retain(|name| name.first() == Some(&b'@') && name.len() >= 25);
    let excess = (names.len() as u64).saturating_sub(limit.saturating_sub(1));
    names.retain(|name| kept.is_none_or(|kept| name != kept));
    names.sort_unstable_by(|a, b| a.get(..25).cmp(&b.get(..25)));
    names.truncate(usize::try_from(excess).unwrap_or(usize::MAX));
    names
}
