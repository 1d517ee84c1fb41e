//! The operations on a log directory, on a real one.

use super::access::Access;
use crate::diag::{self, TEMPORARY};
use crate::holder;
use crate::paths;
use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::Pid;
use daemontools_core::errno;
use daemontools_core::multilog::batch::{LONGEST_HELD, MARK_LEN, Mark};
use daemontools_core::multilog::directory::{
    File, Keep, OldName, Stat, Step, Store, Trouble, surplus,
};
use daemontools_core::multilog::script::Settings;
use daemontools_core::tai::Tai64n;
use daemontools_sys::fs::Opening;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, dir, fd, fs, signal};

/// The file in which is marked how much of a batch of input is written.
const MARKS: &CStr = c".multilog-batch";

/// The owner's right to execute: the file is complete.
const COMPLETE: u32 = 0o100;

/// An open and locked log directory.
pub(super) struct LogDir<'a> {
    /// Its name, as given.
    name: &'a [u8],
    command: Option<&'a [u8]>,
    /// What the names of files that were finished in order end with.
    code: &'a [u8],
    dir: OwnedFd,
    access: Access,
    current: Option<OwnedFd>,
    /// Where marks are written, once there was one.
    marks: Option<OwnedFd>,
    /// The processor, while it runs.
    pub(super) processor: Option<Pid>,
    _lock: OwnedFd,
}

impl<'a> LogDir<'a> {
    /// Makes it if it is missing, opens it and takes its lock.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(super) fn open(settings: &Settings<'a>) -> core::result::Result<Self, i32> {
        let name = settings.name;
        let fatal = |what: &[u8], error| diag::fatal("multilog", &[what, name], error);
        let path = CString::new(name).unwrap_or_default();
        // If it cannot be made, opening it tells why.
        let made = fs::mkdir(fs::HERE, &path, 0o700).is_ok();
        let dir =
            paths::open_searchable(&path).map_err(|e| fatal(b"unable to open directory ", e))?;
        if made && let Ok(above) = fs::open_dir(dir.as_fd(), c"..") {
            // Its own name has to be on disk as well.
            let _ = fs::sync(above.as_fd());
        }
        let access = Access::of(dir.as_fd());
        let lock = access
            .open(dir.as_fd(), c"lock", Opening::APPEND)
            .map_err(|e| fatal(b"unable to lock directory ", e))?;
        if let Err(error) = holder::take(lock.as_fd()) {
            let what = [&b"unable to lock directory "[..], name];
            return Err(holder::refuse("multilog", &what, &lock, error));
        }
        Ok(Self {
            name,
            command: settings.processor,
            code: settings.code,
            dir,
            access,
            current: None,
            marks: None,
            processor: None,
            _lock: lock,
        })
    }

    /// As it was when it was opened.
    pub(super) fn begin_again(&mut self) {
        self.current = None;
        self.marks = None;
        self.processor = None;
    }

    fn at(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn current(&self) -> Result<BorrowedFd<'_>> {
        self.current.as_ref().map(|file| file.as_fd()).ok_or(Errno::BADF)
    }

    /// The last label that begins a line in the last part of `current`.
    pub(super) fn last_label(&self) -> Option<Tai64n> {
        // So much that it goes back to the system.
        const PART: usize = 64 * 1024;
        let file = self.access.open(self.at(), path(File::Current), Opening::READ).ok()?;
        let size = fs::size(file.as_fd()).ok()?;
        let mut room = vec![0; PART];
        let from = size.saturating_sub(PART as u64);
        let text = fs::read_at(file.as_fd(), from, &mut room).ok()?;
        // The first is the end of one that begins before.
        let lines = text.split_inclusive(|c| *c == b'\n').skip(usize::from(from > 0));
        lines.filter_map(Tai64n::from_label).last()
    }

    /// The end: what was written goes to disk, and then the file is marked as complete.
    ///
    /// # Errors
    /// What fsync or fchmod says; then this is to be called again.
    pub(super) fn close_complete(&mut self) -> core::result::Result<(), Trouble<Errno>> {
        let trouble = |step| move |error| Trouble { step, error };
        if let Ok(current) = self.current() {
            fs::sync(current).map_err(trouble(Step::Sync(File::Current)))?;
            let _ = fs::sync(self.at());
            fs::fchmod(current, 0o744).map_err(trouble(Step::Mode(File::Current)))?;
        }
        self.current = None;
        if self.marks.take().is_some() {
            let _ = fs::unlink(self.at(), MARKS);
        }
        Ok(())
    }

    /// Says why the directory cannot be used; gives the exit code.
    pub(super) fn fatal(&self, trouble: Trouble<Errno>) -> i32 {
        let reason = errno::text(trouble.error.raw_os_error()).as_bytes();
        let what = self.describe(trouble.step);
        diag::say(&[b"multilog: fatal: ", &what, b": ", reason]);
        TEMPORARY
    }

    /// Says what is waited for.
    pub(super) fn warn(&self, trouble: Trouble<Errno>) {
        let what = self.describe(trouble.step);
        diag::warning("multilog", &[&what, b", pausing"], trouble.error);
    }

    fn describe(&self, step: Step) -> Vec<u8> {
        let named = |verb: &str, name: &[u8]| {
            [b"unable to ", verb.as_bytes(), b" ", self.name, b"/", name].concat()
        };
        let file = |verb, file: File| named(verb, file.name().as_bytes());
        let on = |verb: &str| [b"unable to ", verb.as_bytes(), b" ", self.name].concat();
        match step {
            Step::Stat(f) => file("stat", f),
            Step::Create(f) => file("create", f),
            Step::Append => file("append to", File::Current),
            Step::WriteState => file("write to", File::State),
            Step::Write => file("write to", File::Current),
            Step::Sync(f) => [&file("write", f)[..], b" to disk"].concat(),
            Step::SyncNames => [&on("write")[..], b" to disk"].concat(),
            Step::Mode(f) => file("set mode of", f),
            Step::Rename(File::Current) => on("rename current to previous in directory"),
            Step::Rename(_) => on("rename newstate to state in directory"),
            Step::Link(name) => named("link to", &name.text(self.code)),
            Step::Remove(f) => file("remove", f),
            Step::Read => on("read"),
            Step::Fork => on("fork for processor in"),
            Step::Mark => named("write to", MARKS.to_bytes()),
        }
    }
}

const fn path(file: File) -> &'static CStr {
    match file {
        File::Current => c"current",
        File::Previous => c"previous",
        File::Processed => c"processed",
        File::State => c"state",
        File::NewState => c"newstate",
    }
}

/// A number for a file that no file gets again: inodes are given anew, but not in the same moment.
const fn number(s: &fs::FileStat) -> u64 {
    s.inode ^ (s.born as u64).rotate_left(32)
}

/// `None` if it failed because there is nothing of that name.
fn if_there<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Store for LogDir<'_> {
    type Error = Errno;

    fn stat(&mut self, file: File) -> Result<Option<Stat>> {
        let stat = if_there(fs::stat_file(self.at(), path(file)))?;
        Ok(stat.map(|s| Stat {
            complete: s.mode & COMPLETE != 0,
            links: s.links,
            size: s.size,
            inode: number(&s),
            modified: s.modified,
        }))
    }

    fn open_current(&mut self) -> Result<u64> {
        let current = self.access.open(self.at(), c"current", Opening::APPEND)?;
        let stat = fs::stat_open(current.as_fd())?;
        self.current = Some(current);
        Ok(number(&stat))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match fd::write(self.current()?, bytes) {
            // A disk that takes nothing is a full one.
            Ok(0) => Err(Errno::NOSPC),
            other => other,
        }
    }

    fn sync_current(&mut self) -> Result<()> {
        fs::sync(self.current()?)
    }

    fn sync_names(&mut self) -> Result<()> {
        match fs::sync(self.at()) {
            // A file system that does not know of it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(()),
            other => other,
        }
    }

    fn set_mode_of_current(&mut self, complete: bool) -> Result<()> {
        fs::fchmod(self.current()?, if complete { 0o744 } else { 0o644 })
    }

    fn complete_previous(&mut self) -> Result<()> {
        self.access.complete(self.at(), path(File::Previous))
    }

    fn rename(&mut self, from: File, to: File) -> Result<()> {
        fs::rename(self.at(), path(from), path(to))
    }

    fn link(&mut self, file: File, name: &OldName) -> Result<()> {
        let name = CString::new(name.text(self.code)).unwrap_or_default();
        fs::link(self.at(), path(file), &name)
    }

    fn remove(&mut self, file: File) -> Result<()> {
        if_there(fs::unlink(self.at(), path(file))).map(drop)
    }

    fn truncate(&mut self, file: File) -> Result<()> {
        self.access.empty(self.at(), path(file)).map(drop)
    }

    fn settle(&mut self, file: File, complete: bool) -> core::result::Result<(), (Step, Errno)> {
        let opened = self
            .access
            .open(self.at(), path(file), Opening::APPEND)
            .map_err(|e| (Step::Create(file), e))?;
        fs::sync(opened.as_fd()).map_err(|e| (Step::Sync(file), e))?;
        if complete {
            fs::fchmod(opened.as_fd(), 0o744).map_err(|e| (Step::Mode(file), e))?;
        }
        Ok(())
    }

    fn newest(&mut self) -> Result<Option<Tai64n>> {
        let dir = fs::open_dir(self.at(), c".")?;
        let mut newest = None;
        dir::names(dir.as_fd(), |name| newest = newest.max(Tai64n::from_label(name.to_bytes())))?;
        Ok(newest)
    }

    fn prune(&mut self, keep: &Keep) -> Result<()> {
        // Opened anew: a descriptor's place in its directory is its own.
        let dir = fs::open_dir(self.at(), c".")?;
        let mut files = Vec::new();
        dir::names(dir.as_fd(), |name| {
            if name.to_bytes().starts_with(b"@") {
                // Sizes are asked for where they matter.
                let stat = keep.total.and_then(|_| fs::stat_file(dir.as_fd(), name).ok());
                files.push((name.to_bytes().to_vec(), stat.map_or(0, |stat| stat.size)));
            }
        })?;
        let kept = keep.name.map(|name| name.text(self.code));
        for name in surplus(files, keep, kept.as_deref()) {
            // What cannot be removed must not keep us from logging.
            let _ = fs::unlink(self.at(), &CString::new(name).unwrap_or_default());
        }
        Ok(())
    }

    fn mark(&mut self, mark: &Mark, held: Option<&[u8]>) -> Result<()> {
        let marks = match &self.marks {
            Some(marks) => marks,
            None => {
                self.marks.insert(self.access.open(self.dir.as_fd(), MARKS, Opening::UPDATE)?)
            }
        };
        let mut bytes = [0; MARK_LEN + LONGEST_HELD];
        let (place, room) = bytes.split_at_mut(MARK_LEN);
        place.copy_from_slice(&mark.to_bytes());
        let held = held.unwrap_or_default();
        room.get_mut(..held.len()).ok_or(Errno::NOMEM)?.copy_from_slice(held);
        let bytes = bytes.get(..MARK_LEN + held.len()).unwrap_or_default();
        match fs::write_at(marks.as_fd(), 0, bytes)? {
            n if n == bytes.len() => Ok(()),
            _ => Err(Errno::NOSPC),
        }
    }

    fn read_mark(&mut self) -> Result<Option<(Mark, Vec<u8>)>> {
        let Some(marks) = if_there(self.access.open(self.at(), MARKS, Opening::READ))? else {
            return Ok(None);
        };
        let mut bytes = [0; MARK_LEN + LONGEST_HELD];
        let n = fd::read(marks.as_fd(), &mut bytes)?;
        // Kept, so that the file goes when we do.
        self.marks = self.access.open(self.at(), MARKS, Opening::UPDATE).ok();
        let mark = Mark::from_bytes(bytes.get(..n).unwrap_or_default());
        Ok(mark.map(|(mark, held)| (mark, held.to_vec())))
    }

    fn start_processor(&mut self) -> Result<()> {
        let command = CString::new(self.command.unwrap_or_default()).unwrap_or_default();
        let mut child = || {
            let fail =
                |error| diag::fatal("multilog", &[b"unable to run ", command.to_bytes()], error);
            if let Err(error) = fs::fchdir(self.at()).and_then(|()| connect(&self.access)) {
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

/// The processor's files: what it reads, what it makes, what it knew and what it will know.
fn connect(access: &Access) -> Result<()> {
    let here = fs::HERE;
    fd::arrange([
        (access.open(here, c"previous", Opening::READ)?, 0),
        (access.empty(here, c"processed")?, 1),
        (access.open(here, c"state", Opening::READ)?, 4),
        (access.empty(here, c"newstate")?, 5),
    ])
}
