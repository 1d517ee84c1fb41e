//! The files of an output directory: performs its operations with system calls, and describes
//! failures.

use super::file_access::{FileAccess, is_temporary, path_failure, unless_short};
use super::last_label::last_label;
use crate::common::diag::{self, TEMPORARY};
use crate::survive::lock_holder;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::multilog::batch::HELD_LIMIT;
use daemontools_core::multilog::batch_mark::{BatchMark, MARK_LEN};
use daemontools_core::multilog::file_name::{FileInfo, FileName, OldFileName};
use daemontools_core::multilog::file_operations::{FailedOperation, FileOperations, Operation};
use daemontools_core::multilog::retention::{Retention, Selection};
use daemontools_core::multilog::script::DirectorySettings;
use daemontools_core::text::errno;
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::fs::Opening;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::trusted_path::{self, PathError};
use daemontools_sys::{
    AsFd as _, BorrowedFd, Errno, OwnedFd, Result, dir, fd, fs, guarded, signal,
};

/// The file that contains the batch mark.
const MARK_FILE: &CStr = c".multilog-batch";

/// The owner's execute permission marks a complete file.
const COMPLETE: u32 = 0o100;

/// An open and locked output directory.
pub(super) struct DirectoryFiles<'a> {
    /// The name, as given.
    name: &'a [u8],
    /// The command of the processor.
    command: Option<&'a [u8]>,
    /// The code in the names of complete files.
    code: &'a [u8],
    dir: OwnedFd,
    access: FileAccess,
    current: Option<OwnedFd>,
    /// The file with the batch mark, once it exists.
    mark_file: Option<OwnedFd>,
    /// The process of the processor.
    pub(super) processor: Option<Pid>,
    /// The lock, which this process holds while the file is open.
    lock: OwnedFd,
}

impl<'a> DirectoryFiles<'a> {
    /// Creates the directory if it is missing, opens it and takes its lock.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(super) fn open(settings: &DirectorySettings<'a>) -> core::result::Result<Self, i32> {
        let name = settings.name;
        let fatal = |what: &[u8], error| diag::fatal("multilog", &[what, name], error);
        let dir = open_or_create(name)
            .map_err(|error| path_failure(&[b"unable to open directory ", name], error))?;
        let access = FileAccess::of(dir.as_fd());
        let lock =
            open_lock(dir.as_fd(), &access).map_err(|e| fatal(b"unable to lock directory ", e))?;
        if let Err(error) = lock_holder::take(lock.as_fd()) {
            let what = [&b"unable to lock directory "[..], name];
            return Err(lock_holder::refuse("multilog", &what, &lock, error));
        }
        Ok(Self {
            name,
            command: settings.processor,
            code: settings.code,
            dir,
            access,
            current: None,
            mark_file: None,
            processor: None,
            lock,
        })
    }

    /// Creates, opens and locks the directory again after another program has removed it.
    fn reopen(&mut self) -> Result<()> {
        let dir = open_or_create(self.name).map_err(|error| match error {
            PathError::ForeignLink => Errno::LOOP,
            PathError::Failed(error) => error,
        })?;
        let access = FileAccess::of(dir.as_fd());
        let lock = open_lock(dir.as_fd(), &access)?;
        lock_holder::take(lock.as_fd())?;
        // The processor needs the file, as after a start.
        access.open_empty(dir.as_fd(), path(FileName::State))?;
        diag::say(&[b"multilog: warning: ", self.name, b" has been removed, created it again"]);
        (self.dir, self.access, self.lock) = (dir, access, lock);
        self.mark_file = None;
        Ok(())
    }

    /// Forgets the open files and the processor of a killed logger.
    pub(super) fn reset(&mut self) {
        self.current = None;
        self.mark_file = None;
        self.processor = None;
    }

    /// See [`FileAccess::is_private`].
    pub(super) const fn is_private(&self) -> bool {
        self.access.is_private()
    }

    fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn current(&self) -> Result<BorrowedFd<'_>> {
        self.current.as_ref().map(|file| file.as_fd()).ok_or(Errno::BADF)
    }

    /// See [`last_label()`].
    pub(super) fn last_label(&self) -> Result<Option<Tai64n>> {
        last_label(self.dir(), &self.access)
    }

    /// Brings `current` to disk, sets its mode to complete and closes it.
    ///
    /// # Errors
    /// Those of fsync(2) and fchmod(2); then the caller calls this again.
    pub(super) fn close_complete(&mut self) -> core::result::Result<(), FailedOperation<Errno>> {
        if let Ok(current) = self.current() {
            if has_no_name(current) {
                self.warn_of_missing(FileName::Current, b"its lines are lost");
            }
            fs::sync(current).map_err(Operation::Sync(FileName::Current).failed())?;
            sync_names_of(self.dir()).map_err(Operation::SyncNames.failed())?;
            fs::fchmod(current, 0o744).map_err(Operation::Mode(FileName::Current).failed())?;
        }
        self.current = None;
        if self.mark_file.is_some() {
            self.remove_mark();
        }
        Ok(())
    }

    /// Removes the batch mark.
    pub(super) fn remove_mark(&mut self) {
        self.mark_file = None;
        let _ = fs::unlink(self.dir(), MARK_FILE);
    }

    /// Prints why the directory is unusable; returns the exit code.
    pub(super) fn fatal(&self, failure: FailedOperation<Errno>) -> i32 {
        let reason = errno::text(failure.error.raw_os_error()).as_bytes();
        let what = self.describe(failure.operation);
        diag::say(&[b"multilog: fatal: ", &what, b": ", reason]);
        TEMPORARY
    }

    /// Prints a failure that the caller waits out.
    pub(super) fn warn(&self, failure: FailedOperation<Errno>) {
        let what = self.describe(failure.operation);
        diag::warning("multilog", &[&what, b", pausing"], failure.error);
    }

    fn warn_of_missing(&self, file: FileName, consequence: &[u8]) {
        let name: [&[u8]; 3] = [self.name, b"/", file.as_str().as_bytes()];
        let what = b" has been removed or renamed, ";
        diag::say(&[b"multilog: warning: ", &name.concat(), what, consequence]);
    }

    fn describe(&self, operation: Operation) -> Vec<u8> {
        let named = |verb: &str, name: &[u8]| {
            [b"unable to ", verb.as_bytes(), b" ", self.name, b"/", name].concat()
        };
        let file = |verb, file: FileName| named(verb, file.as_str().as_bytes());
        let on = |verb: &str| [b"unable to ", verb.as_bytes(), b" ", self.name].concat();
        match operation {
            Operation::Stat(f) => file("stat", f),
            Operation::Create(f) => file("create", f),
            Operation::Append => file("append to", FileName::Current),
            Operation::WriteState => file("write to", FileName::State),
            Operation::Write => file("write to", FileName::Current),
            Operation::Sync(f) => [&file("write", f)[..], b" to disk"].concat(),
            Operation::SyncNames => [&on("write")[..], b" to disk"].concat(),
            Operation::Mode(f) => file("set mode of", f),
            Operation::Rename(FileName::Current) => on("rename current to previous in directory"),
            Operation::Rename(_) => on("rename newstate to state in directory"),
            Operation::Link(name) => named("link to", &name.text(self.code)),
            Operation::Remove(f) => file("remove", f),
            Operation::ReadDirectory => on("read"),
            Operation::StartProcessor => on("fork for processor in"),
            Operation::ReadMark => named("read", MARK_FILE.to_bytes()),
            Operation::WriteMark => named("write to", MARK_FILE.to_bytes()),
        }
    }
}

/// Creates an output directory if it is missing, and opens it.
fn open_or_create(name: &[u8]) -> core::result::Result<OwnedFd, PathError> {
    let path = CString::new(name).unwrap_or_default();
    // Any other result needs a look at each part of the path.
    if let Ok(dir) = trusted_path::open_dir_without_links(fs::HERE, &path) {
        return Ok(dir);
    }
    let place = trusted_path::locate(fs::HERE, &path)?;
    // If mkdir fails, the open reports the cause.
    if place.is_last_part {
        let _ = fs::mkdir(place.dir.as_fd(), &place.name, 0o700);
    }
    Ok(place.open_dir()?)
}

/// Opens the file `lock` of an output directory. A directory without that file is new, and its own
/// name may not be on disk: also if a KILL has ended the logger that has created it.
fn open_lock(dir: BorrowedFd<'_>, access: &FileAccess) -> Result<OwnedFd> {
    const LOCK: &CStr = c"lock";
    if fs::stat_file(dir, LOCK) == Err(Errno::NOENT) {
        sync_own_name(dir)?;
    }
    access.open(dir, LOCK, Opening::APPEND)
}

/// Brings the name of a directory to disk, if the directory above it can be opened.
fn sync_own_name(dir: BorrowedFd<'_>) -> Result<()> {
    match unless_short(fs::open_dir(dir, c".."))? {
        Some(above) => sync_names_of(above.as_fd()),
        None => Ok(()),
    }
}

/// Brings the names in a directory to disk.
fn sync_names_of(dir: BorrowedFd<'_>) -> Result<()> {
    match fs::sync(dir) {
        // A file system without fsync for directories.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(()),
        other => other,
    }
}

/// Whether an open file or directory has been removed.
fn has_no_name(file: BorrowedFd<'_>) -> bool {
    fs::stat_open(file).is_ok_and(|stat| stat.links == 0)
}

const fn path(file: FileName) -> &'static CStr {
    match file {
        FileName::Current => c"current",
        FileName::Previous => c"previous",
        FileName::Processed => c"processed",
        FileName::State => c"state",
        FileName::NewState => c"newstate",
    }
}

/// The number of a file for `FileInfo::file_id`: the kernel reuses an inode number, but not with
/// the same time of birth.
const fn file_id(s: &fs::FileStat) -> u64 {
    s.inode ^ (s.born as u64).rotate_left(32)
}

/// Turns ENOENT into `None`.
fn if_exists<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

impl FileOperations for DirectoryFiles<'_> {
    type Error = Errno;

    fn stat(&mut self, file: FileName) -> Result<Option<FileInfo>> {
        let stat = if_exists(fs::stat_file(self.dir(), path(file)))?;
        Ok(stat.map(|s| FileInfo {
            complete: s.mode & COMPLETE != 0,
            links: s.links,
            size: s.size,
            file_id: file_id(&s),
            modified: s.modified,
        }))
    }

    fn open_current(&mut self) -> Result<u64> {
        let current = match self.access.open(self.dir(), c"current", Opening::APPEND) {
            Err(Errno::NOENT) if has_no_name(self.dir()) => {
                self.reopen()?;
                self.access.open(self.dir(), c"current", Opening::APPEND)?
            }
            other => other?,
        };
        let stat = fs::stat_open(current.as_fd())?;
        self.current = Some(current);
        Ok(file_id(&stat))
    }

    fn current_ends_line(&mut self) -> Result<bool> {
        let file = self.access.open(self.dir(), path(FileName::Current), Opening::READ)?;
        let last = fs::size(file.as_fd())?.saturating_sub(1);
        Ok(fs::read_at(file.as_fd(), last, &mut [0])? == b"\n")
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match fd::write(self.current()?, bytes) {
            // A full disk.
            Ok(0) => Err(Errno::NOSPC),
            other => other,
        }
    }

    fn sync_current(&mut self) -> Result<()> {
        fs::sync(self.current()?)
    }

    fn sync_names(&mut self) -> Result<()> {
        sync_names_of(self.dir())
    }

    fn set_mode_of_current(&mut self, complete: bool) -> Result<()> {
        fs::fchmod(self.current()?, if complete { 0o744 } else { 0o644 })
    }

    fn complete_previous(&mut self) -> Result<bool> {
        let completed = self.access.complete(self.dir(), path(FileName::Previous));
        Ok(if_exists(completed)?.is_some())
    }

    fn rename(&mut self, from: FileName, to: FileName) -> Result<bool> {
        Ok(if_exists(fs::rename(self.dir(), path(from), path(to)))?.is_some())
    }

    fn report_missing(&mut self, file: FileName) {
        // The message about the directory includes its files.
        if !has_no_name(self.dir()) {
            let consequence: &[u8] = match file {
                FileName::Current => b"beginning a new one",
                _ => b"continuing without it",
            };
            self.warn_of_missing(file, consequence);
        }
    }

    fn link(&mut self, file: FileName, name: &OldFileName) -> Result<()> {
        let name = CString::new(name.text(self.code)).unwrap_or_default();
        fs::link(self.dir(), path(file), &name)
    }

    fn remove(&mut self, file: FileName) -> Result<()> {
        if_exists(fs::unlink(self.dir(), path(file))).map(drop)
    }

    fn truncate(&mut self, file: FileName) -> Result<()> {
        self.access.open_empty(self.dir(), path(file)).map(drop)
    }

    fn make_durable(
        &mut self,
        file: FileName,
        complete: bool,
    ) -> core::result::Result<(), FailedOperation<Errno>> {
        let opened = self
            .access
            .open(self.dir(), path(file), Opening::APPEND)
            .map_err(Operation::Create(file).failed())?;
        fs::sync(opened.as_fd()).map_err(Operation::Sync(file).failed())?;
        if complete {
            fs::fchmod(opened.as_fd(), 0o744).map_err(Operation::Mode(file).failed())?;
        }
        Ok(())
    }

    fn latest_old_file(&mut self) -> Result<Option<Tai64n>> {
        let dir = fs::open_dir(self.dir(), c".")?;
        let mut latest = None;
        let read = dir::names(dir.as_fd(), |name| {
            latest = latest.max(Tai64n::from_label(name.to_bytes()))
        });
        // ENOENT: the directory has been removed, and contains no file.
        if_exists(read)?;
        Ok(latest)
    }

    fn prune(&mut self, retention: &Retention) -> Result<()> {
        let newest = retention.newest.map(|name| name.text(self.code));
        let mut selection = Selection::new(retention, newest.as_deref());
        while !selection.is_complete() {
            // A new descriptor reads the directory from its beginning.
            let dir = fs::open_dir(self.dir(), c".")?;
            let size = |name: &CStr| fs::stat_file(dir.as_fd(), name).map_or(0, |stat| stat.size);
            let read = dir::names(dir.as_fd(), |name| {
                selection.add(name.to_bytes(), || size(name));
            });
            // ENOENT: the directory has been removed, and contains no file.
            if_exists(read)?;
            for name in selection.end_pass() {
                // A file that cannot be removed must not stop the logger.
                let _ = fs::unlink(self.dir(), &CString::new(name).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn write_mark(&mut self, mark: &BatchMark, held: Option<&[u8]>) -> Result<()> {
        let file = match &self.mark_file {
            Some(file) => file,
            None => self.mark_file.insert(self.access.open_mark(self.dir.as_fd(), MARK_FILE)?),
        };
        let mut bytes = [0; MARK_LEN + HELD_LIMIT];
        let (place, text) = bytes.split_at_mut(MARK_LEN);
        place.copy_from_slice(&mark.to_bytes());
        let held = held.unwrap_or_default();
        text.get_mut(..held.len()).ok_or(Errno::NOMEM)?.copy_from_slice(held);
        let bytes = bytes.get(..MARK_LEN + held.len()).unwrap_or_default();
        match fs::write_at(file.as_fd(), 0, bytes)? {
            n if n == bytes.len() => Ok(()),
            _ => Err(Errno::NOSPC),
        }
    }

    fn read_mark(&mut self) -> Result<Option<(BatchMark, Vec<u8>)>> {
        let Some(file) = if_exists(self.access.open(self.dir(), MARK_FILE, Opening::READ))? else {
            return Ok(None);
        };
        if !self.access.is_own_mark(file.as_fd(), self.dir()) {
            return Ok(None);
        }
        let mut bytes = [0; MARK_LEN + HELD_LIMIT];
        let mut n = 0;
        // A file system may return less than there is.
        loop {
            match fd::read(file.as_fd(), bytes.get_mut(n..).unwrap_or_default())? {
                0 => break,
                more => n += more,
            }
        }
        // Open, so that `close_complete` removes the file.
        self.mark_file = self.access.open_mark(self.dir(), MARK_FILE).ok();
        let mark = BatchMark::from_bytes(bytes.get(..n).unwrap_or_default());
        Ok(mark.map(|(mark, held)| (mark, held.to_vec())))
    }

    fn is_temporary(error: &Errno) -> bool {
        is_temporary(*error)
    }

    fn start_processor(&mut self) -> Result<()> {
        let command = CString::new(self.command.unwrap_or_default()).unwrap_or_default();
        let mut child = || {
            let fail =
                |error| diag::fatal("multilog", &[b"unable to run ", command.to_bytes()], error);
            if let Err(error) = fs::fchdir(self.dir()).and_then(|()| connect(&self.access)) {
                return fail(error);
            }
            signal::unblock(&[
                signal::TERM,
                signal::ALRM,
                signal::CHLD,
                signal::PIPE,
                signal::XFSZ,
            ]);
            let args = Strings::of([c"sh", c"-c", &command]);
            fail(process::exec(c"/bin/sh", &args, &Strings::own_environment()))
        };
        self.processor = Some(process::spawn(&mut child)?);
        Ok(())
    }
}

/// Connects the processor's descriptors: 0 to `previous`, 1 to `processed`, 4 to `state` and 5 to
/// `newstate`.
fn connect(access: &FileAccess) -> Result<()> {
    let here = fs::HERE;
    fd::arrange([
        (access.open(here, c"previous", Opening::READ)?, 0),
        // New files: the processor of a killed logger can still write to the old ones.
        (guarded::create(here, c"processed")?, 1),
        (open_state(access)?, 4),
        (guarded::create(here, c"newstate")?, 5),
    ])
}

/// Opens `state` for the processor, and creates it if another program has removed it.
fn open_state(access: &FileAccess) -> Result<OwnedFd> {
    match access.open(fs::HERE, c"state", Opening::READ) {
        Err(Errno::NOENT) => {
            access.open_empty(fs::HERE, c"state")?;
            access.open(fs::HERE, c"state", Opening::READ)
        }
        other => other,
    }
}
