//! The life of a log directory: recovery, writing, rotation.
//!
//! Everything that touches the directory goes through [`Store`], one small operation at a time,
//! and every operation that fails leaves the work where it was: [`Directory::work`] can be called
//! again and goes on from there. So a full disk is waited out, and a simulation can stop the work
//! after any operation.
//!
//! The names and what they mean are the original's; `current` is complete if its owner may execute
//! it.

use super::batch::{Batch, Left, Mark, Stage};
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
    /// What tells it from other files, also from one of an earlier time.
    pub inode: u64,
    /// When it was written to, in seconds since 1970.
    pub modified: i64,
}

/// How a finished file came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// In order: `s`, or what [`Settings::code`] says.
    Safe,
    /// It was found after an interruption: `u`.
    Unfinished,
}

/// The name of an old file: `@`, 24 digits, a period and the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldName {
    /// When it was finished.
    pub moment: Tai64n,
    /// How.
    pub code: Code,
}

impl OldName {
    /// The name as text; `safe` is the code of files that were finished in order.
    #[must_use]
    pub fn text(&self, safe: &[u8]) -> Vec<u8> {
        let stamp = self.moment.stamp();
        let code = match self.code {
            Code::Safe => safe,
            Code::Unfinished => b"u",
        };
        [stamp.get(..SORTED).unwrap_or_default(), b".", code].concat()
    }
}

/// So much of an old file's name says how old it is.
const SORTED: usize = 25;

/// Which old files stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Fewer than so many.
    pub files: u64,
    /// Not more than so many bytes in them.
    pub total: Option<u64>,
    /// This one in any case.
    pub name: Option<OldName>,
}

/// The operations on a log directory. Modes are 0644, and 0744 if `complete`.
pub trait Store {
    /// Why one failed.
    type Error: Copy;

    /// Looks at a file; `None` if it is not there.
    ///
    /// # Errors
    /// Everything but its absence.
    fn stat(&mut self, file: File) -> Result<Option<Stat>, Self::Error>;
    /// Opens `current` for appending, making it if it is missing, and keeps it open; gives its
    /// [`Stat::inode`].
    ///
    /// # Errors
    /// What opening says.
    fn open_current(&mut self) -> Result<u64, Self::Error>;
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
    /// Makes sure that what was done to the names in the directory is on disk.
    ///
    /// # Errors
    /// What fsync says of the directory.
    fn sync_names(&mut self) -> Result<(), Self::Error>;
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
    /// The latest moment in the name of an old file.
    ///
    /// # Errors
    /// What reading the directory says.
    fn newest(&mut self) -> Result<Option<Tai64n>, Self::Error>;
    /// Removes the old files that [`surplus`] says, but nothing that cannot be removed.
    ///
    /// # Errors
    /// What reading the directory says.
    fn prune(&mut self, keep: &Keep) -> Result<(), Self::Error>;
    /// Writes down how much of a batch is written, and what is held behind that, over what was
    /// written there before; what is held may stay as it is.
    ///
    /// # Errors
    /// What opening and writing say.
    fn mark(&mut self, mark: &Mark, held: Option<&[u8]>) -> Result<(), Self::Error>;
    /// What was written there last, and is held; `None` if there is nothing.
    ///
    /// # Errors
    /// What opening and reading say.
    fn read_mark(&mut self) -> Result<Option<(Mark, Vec<u8>)>, Self::Error>;
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
    /// Bringing the names in the directory to disk.
    SyncNames,
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
    /// Writing down how much of a batch is written.
    Mark,
}

impl Step {
    /// What failed, whatever names were in it, which are new ones at each try.
    #[must_use]
    pub const fn kind(self) -> Self {
        match self {
            Self::Link(OldName { code, .. }) => {
                Self::Link(OldName { moment: Tai64n { seconds: 0, nanoseconds: 0 }, code })
            }
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
    SyncNames,
    Spare,
    MarkOld,
    Rename,
    Create,
    Mode,
    MarkNew,
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

/// What is marked: a batch, and where what comes of it goes.
#[derive(Clone, Copy, Debug)]
struct Marked {
    batch: Batch,
    stage: Stage,
    /// How many bytes went to earlier files.
    before: u64,
    /// The size of `current` when it became the file that they go to.
    start: u64,
    /// How many bytes are held.
    held: u64,
}

/// A log directory at work.
#[derive(Debug)]
pub struct Directory {
    size: u64,
    files: u64,
    total: Option<u64>,
    period: Option<u64>,
    has_processor: bool,
    /// Where what is marked comes from, if that is a pipe.
    source: Option<u64>,
    /// What is to be written.
    buffer: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// How much of what is added next was written by an earlier logger.
    skip: u64,
    /// The size of `current`.
    bytes: u64,
    inode: u64,
    /// In which period `current` was written to.
    in_period: i64,
    marked: Option<Marked>,
    left: Option<Left>,
    job: Job,
    behind: Behind,
    /// The moment in the last old file's name: names are never the same, and never go back.
    last: Tai64n,
}

/// What usually comes of so much of a batch as is written at once.
const ROOM: usize = 128 * 1024;

/// So much text is kept in memory that is never given back.
const LITTLE: usize = 1024;

/// A file may end at a line's end this far before its limit.
const SLACK: u64 = 2000;

impl Directory {
    /// A directory that [`Directory::recover`] makes ready. If the input is a pipe, `source` is
    /// what [`super::batch::source`] says of it.
    #[must_use]
    pub const fn new(settings: &Settings<'_>, source: Option<u64>) -> Self {
        Self {
            size: settings.size,
            files: settings.files,
            total: settings.total,
            period: settings.period,
            has_processor: settings.processor.is_some(),
            source,
            buffer: Vec::new(),
            written: 0,
            skip: 0,
            bytes: 0,
            inode: 0,
            in_period: 0,
            marked: None,
            left: None,
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
        if self.left.is_none() {
            self.left = self.find_left(store, current)?;
        }
        if let Some(current) = current.filter(|current| current.complete) {
            self.inode = store.open_current().map_err(fatal(Step::Append))?;
            store.set_mode_of_current(false).map_err(fatal(Step::Mode(File::Current)))?;
            self.bytes = current.size;
            self.in_period = self.period_of(current.modified);
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
        self.inode = store.open_current().map_err(fatal(Step::Append))?;
        store.set_mode_of_current(false).map_err(fatal(Step::Mode(File::Current)))?;
        self.bytes = 0;
        Ok(())
    }

    /// Whether a logger that was just killed has left something marked.
    ///
    /// # Errors
    /// What reading the mark says.
    pub fn is_marked<S: Store>(store: &mut S) -> Result<bool, S::Error> {
        Ok(store.read_mark()?.is_some_and(|(mark, _)| mark.stage != Stage::Done))
    }

    /// Goes on with the `current` of a logger that was just killed, under whose lock this runs, as
    /// that would have done; `false` if that was replacing it, so that it is to be recovered.
    ///
    /// # Errors
    /// What looking at files and opening them says.
    pub fn go_on<S: Store>(&mut self, store: &mut S) -> Result<bool, S::Error> {
        let current = store.stat(File::Current)?.filter(|current| !current.complete);
        let (Some(current), None) = (current, store.stat(File::Previous)?) else {
            return Ok(false);
        };
        if let Some((mark, held)) = store.read_mark()?
            && mark.holds(self.source, Some(current))
        {
            if mark.replaced || mark.inode != current.inode {
                return Ok(false);
            }
            let written = mark.written(Some(current));
            self.left = Some(Left { batch: mark.batch, stage: mark.stage, written, held });
        }
        self.inode = store.open_current()?;
        self.bytes = current.size;
        self.in_period = self.period_of(current.modified);
        Ok(true)
    }

    /// Looks for a mark that an earlier logger left. As `current` will be another file, the mark is
    /// made to say how much is written without it. One that cannot be read marks nothing.
    fn find_left<S: Store>(
        &mut self,
        store: &mut S,
        current: Option<Stat>,
    ) -> Result<Option<Left>, (bool, Trouble<S::Error>)> {
        let failed = |error| (false, Trouble { step: Step::Mark, error });
        let mark = store.read_mark().ok().flatten();
        let Some((mark, held)) = mark.filter(|(mark, _)| mark.stage != Stage::Done) else {
            return Ok(None);
        };
        if !mark.holds(self.source, current) {
            // For good: the next logger would not see any more what speaks against it.
            store.mark(&Mark { stage: Stage::Done, ..mark }, None).map_err(failed)?;
            return Ok(None);
        }
        let written = mark.written(current);
        let start = mark.start.max(current.map_or(0, |current| current.size));
        let mark = Mark { before: written, start, replaced: true, ..mark };
        store.mark(&mark, None).map_err(failed)?;
        let Mark { batch, stage, before, held: length, .. } = mark;
        self.marked = Some(Marked { batch, stage, before, start: 0, held: length });
        Ok(Some(Left { batch: mark.batch, stage: mark.stage, written, held }))
    }

    /// What an earlier logger was doing when it was killed.
    #[must_use]
    pub const fn left(&self) -> Option<&Left> {
        self.left.as_ref()
    }

    /// Marks that a batch is being moved from the pipe to the end of what is `held`, or has been;
    /// true until [`Directory::end_batch`], or until another is marked.
    ///
    /// # Errors
    /// What writing the mark says.
    pub fn hold<S: Store>(
        &mut self,
        store: &mut S,
        batch: Batch,
        held: &[u8],
        stage: Stage,
    ) -> Result<(), S::Error> {
        let (start, length) = (self.bytes, held.len() as u64);
        let marked = Marked { batch, stage, before: 0, start, held: length };
        self.set_mark(store, marked, false, Some(held))
    }

    /// Marks something, if there can be marks.
    fn set_mark<S: Store>(
        &mut self,
        store: &mut S,
        marked: Marked,
        replaced: bool,
        text: Option<&[u8]>,
    ) -> Result<(), S::Error> {
        let Marked { batch, stage, before, start, held } = marked;
        let (source, inode) = (self.source.unwrap_or_default(), self.inode);
        store.mark(&Mark { source, batch, stage, before, inode, replaced, start, held }, text)?;
        self.marked = Some(marked).filter(|marked| marked.stage != Stage::Done);
        Ok(())
    }

    /// Begins a batch, behind what is `held`: what is added until [`Directory::end_batch`] comes of
    /// both. The first `written` bytes of that are in the directory already.
    ///
    /// # Errors
    /// What writing the mark says. Then nothing has begun.
    pub fn begin_batch<S: Store>(
        &mut self,
        store: &mut S,
        batch: Batch,
        held: &[u8],
        written: u64,
    ) -> Result<(), S::Error> {
        let (start, length) = (self.bytes, held.len() as u64);
        let marked = Marked { batch, stage: Stage::Writing, before: written, start, held: length };
        self.set_mark(store, marked, false, Some(held))?;
        self.skip = written;
        Ok(())
    }

    /// Ends what is marked: the batch is written, and was consumed; or what was held is written
    /// soon, without a mark.
    ///
    /// # Errors
    /// What writing the mark says; it is closed by the next one, at the latest.
    pub fn end_batch<S: Store>(&mut self, store: &mut S) -> Result<(), S::Error> {
        self.skip = 0;
        match self.marked {
            Some(marked) => {
                self.set_mark(store, Marked { stage: Stage::Done, ..marked }, false, None)
            }
            None => Ok(()),
        }
    }

    /// The number of the period in which a moment is, given in seconds since 1970.
    fn period_of(&self, seconds: i64) -> i64 {
        let period = self.period.and_then(|period| i64::try_from(period).ok());
        period.map_or(0, |period| seconds.div_euclid(period))
    }

    /// How many seconds there are until `current`, if it is not empty, is to be replaced because
    /// its period is over.
    #[must_use]
    pub fn seconds_left(&self, now: impl FnOnce() -> Tai64n) -> Option<u64> {
        let period = i64::try_from(self.period?).ok().filter(|_| self.bytes > 0)?;
        let end = self.in_period.checked_add(1)?.checked_mul(period)?;
        Some(u64::try_from(end.checked_sub(now().to_unix())?).unwrap_or(0))
    }

    /// Whether the period of `current` is over. A clock that goes back ends none.
    fn is_over(&self, now: Tai64n) -> bool {
        self.period.is_some() && self.bytes > 0 && self.period_of(now.to_unix()) > self.in_period
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
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(text.len());
        self.skip -= skipped as u64;
        let text = text.get(skipped..).unwrap_or_default();
        if self.buffer.len() + text.len() > self.buffer.capacity().max(LITTLE) {
            // All at once, so that it can be given back to the system in one piece.
            self.buffer.reserve(ROOM);
        }
        self.buffer.extend_from_slice(text);
    }

    /// Whether [`Directory::work`] would do nothing, at whatever moment.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let written = self.waiting() == 0 && self.period.is_none();
        written && self.job == Job::Write && self.behind == Behind::Nothing
    }

    /// How much was added and is not written.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Whether [`Directory::shrink`] has something to give back.
    #[must_use]
    pub const fn is_roomy(&self) -> bool {
        self.buffer.capacity() > LITTLE
    }

    /// Gives back the memory that much text at once has taken.
    pub fn shrink(&mut self) {
        if self.buffer.is_empty() && self.is_roomy() {
            self.buffer = Vec::new();
        }
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
                if self.is_over(now) {
                    self.job = Job::Rotate(Rotation::Sync);
                    continue;
                }
                return Ok(Progress::Done);
            }
            if self.bytes >= self.size || self.is_over(now) {
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
            if self.period.is_some() {
                self.in_period = self.period_of(now.to_unix()).max(self.in_period);
            }
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
                Rotation::SyncNames
            }
            Rotation::SyncNames => {
                // Its own name: it was made after the last time. Where syncing a file writes the
                // whole journal, nothing is left to be done.
                store.sync_names().map_err(trouble(Step::SyncNames))?;
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
                Rotation::MarkOld
            }
            Rotation::MarkOld => {
                if let Some(marked) = self.marked {
                    // From here on it does not count what `current` is.
                    let before = marked.before + (self.bytes - marked.start);
                    let marked = Marked { before, start: self.bytes, ..marked };
                    self.set_mark(store, marked, true, None).map_err(trouble(Step::Mark))?;
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
                self.inode = store.open_current().map_err(trouble(Step::Create(File::Current)))?;
                self.bytes = 0;
                Rotation::Mode
            }
            Rotation::Mode => {
                store.set_mode_of_current(false).map_err(trouble(Step::Mode(File::Current)))?;
                Rotation::MarkNew
            }
            Rotation::MarkNew => {
                if let Some(marked) = self.marked {
                    let marked = Marked { start: 0, ..marked };
                    self.set_mark(store, marked, false, None).map_err(trouble(Step::Mark))?;
                }
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
                if self.last == Tai64n::default() {
                    // The clock may have been ahead when they got their names.
                    self.last = store.newest().map_err(trouble(Step::Read))?.unwrap_or_default();
                }
                self.last = if now > self.last { now } else { self.last.next_microsecond() };
                let name = OldName { moment: self.last, code };
                store.link(file, &name).map_err(trouble(Step::Link(name)))?;
                next(FinishStage::Remove(Some(name)))
            }
            FinishStage::Remove(name) => {
                store.remove(file).map_err(trouble(Step::Remove(file)))?;
                next(FinishStage::Prune(name))
            }
            FinishStage::Prune(name) => {
                let keep = Keep { files: self.files, total: self.total, name };
                store.prune(&keep).map_err(trouble(Step::Read))?;
                Ok(Behind::Nothing)
            }
        }
    }
}

/// Which of the files in a directory, given by name and size, are to go so that `keep` holds: those
/// that sort lowest by their first 25 bytes. `kept` is the text of the name in `keep`.
#[must_use]
pub fn surplus(mut files: Vec<(Vec<u8>, u64)>, keep: &Keep, kept: Option<&[u8]>) -> Vec<Vec<u8>> {
    files.retain(|(name, _)| name.first() == Some(&b'@') && name.len() >= SORTED);
    let mut count = files.len() as u64;
    let mut total = files.iter().fold(0, |sum: u64, (_, size)| sum.saturating_add(*size));
    files.retain(|(name, _)| kept != Some(&name[..]));
    files.sort_unstable_by(|(a, _), (b, _)| a.get(..SORTED).cmp(&b.get(..SORTED)));
    let goes = |size: u64| {
        let too_many = count >= keep.files.max(1);
        let too_much = keep.total.is_some_and(|most| total > most);
        count = count.saturating_sub(1);
        total = total.saturating_sub(size);
        too_many || too_much
    };
    let going = files.iter().map(|(_, size)| *size).map(goes).take_while(|goes| *goes).count();
    files.truncate(going);
    files.into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_until_number_and_size_are_right() {
        let name = |n: i64| OldName { moment: Tai64n::from_unix(n, 0), code: Code::Safe };
        let files: Vec<_> = (0..5).map(|n| (name(n).text(b"s"), 100)).collect();
        let left = |keep: Keep| {
            let kept = keep.name.map(|name| name.text(b"s"));
            let going = surplus(files.clone(), &keep, kept.as_deref());
            assert_eq!(
                going,
                files.iter().map(|f| f.0.clone()).take(going.len()).collect::<Vec<_>>()
            );
            5 - going.len()
        };
        let keep = Keep { files: 10, total: None, name: None };
        assert_eq!(left(keep), 5);
        assert_eq!(left(Keep { files: 6, ..keep }), 5);
        assert_eq!(left(Keep { files: 5, ..keep }), 4);
        assert_eq!(left(Keep { files: 2, ..keep }), 1);
        assert_eq!(left(Keep { files: 0, ..keep }), 0);
        assert_eq!(left(Keep { total: Some(499), ..keep }), 4);
        assert_eq!(left(Keep { total: Some(300), files: 5, ..keep }), 3);
        assert_eq!(left(Keep { total: Some(0), ..keep }), 0);
        assert_eq!(left(Keep { total: Some(0), name: Some(name(4)), ..keep }), 1);
        // The one that was finished last has a name that sorts first: the clock went back.
        let keep = Keep { files: 3, total: None, name: Some(name(0)) };
        let going = surplus(files.clone(), &keep, Some(&name(0).text(b"s")));
        assert_eq!(going, [files[1].0.clone(), files[2].0.clone(), files[3].0.clone()]);
    }
}
