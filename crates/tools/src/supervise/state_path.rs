//! The path of the state directory, and how messages name it.

use crate::common::diag::{self, TEMPORARY, why};
use crate::common::state_dir::StateDir;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::text::errno;
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fs};

/// The path of the state directory: below the argument of supervise, or the one that SUPERVISEDIR
/// chooses.
pub(super) struct StatePath {
    dir: &'static [u8],
    slash: &'static [u8],
    state: StateDir<'static>,
}

/// A directory that could not be made.
#[derive(Clone, Copy)]
pub(super) struct NotMade {
    error: Errno,
    /// It is the target of the link `supervise`.
    is_target: bool,
}

impl StatePath {
    /// Finds the state directory of the current directory, which messages call `dir`.
    pub(super) fn find(dir: &'static [u8]) -> Result<Self> {
        let state = StateDir::of_current_dir()?;
        let (dir, slash) = state.shown_below(dir);
        Ok(Self { dir, slash, state })
    }

    /// The path, in parts to be joined.
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [self.dir, self.slash, self.state.path()]
    }

    /// The service directory, as messages name it; empty if SUPERVISEDIR chooses the path.
    pub(super) const fn dir(&self) -> &'static [u8] {
        self.dir
    }

    /// Opens the directory.
    pub(super) fn open(&self) -> Result<OwnedFd> {
        self.state.with_path(|path| fs::reach_dir(fs::HERE, path))
    }

    /// Calls `with` with the path of a file in the directory.
    pub(super) fn with_file<T>(
        &self,
        name: &str,
        with: impl FnOnce(&CStr) -> Result<T>,
    ) -> Result<T> {
        self.state.file(name, with)
    }

    /// Makes the directory, unless it exists. Returns a failure, which counts if it cannot be opened.
    ///
    /// Debian links `supervise` to a directory elsewhere. If that directory is missing, it is made.
    pub(super) fn make_dir(&self) -> core::result::Result<Option<NotMade>, i32> {
        let made = self.state.with_path(|path| fs::mkdir(fs::HERE, path, 0o700));
        let not_made = made.err().map(|error| NotMade { error, is_target: false });
        if not_made.is_none() || !self.state.is_default() {
            return Ok(not_made);
        }
        let mut room = [0; 256];
        let target = match fs::readlink(fs::HERE, c"supervise", &mut room) {
            Ok(target) => target.len(),
            Err(Errno::NOENT | Errno::INVAL) => return Ok(not_made),
            Err(error) => return Err(unreadable_link(why(error))),
        };
        match room.get_mut(target) {
            // The buffer is full: the target may be longer.
            None => Err(unreadable_link(errno::text(-1))),
            Some(end) => {
                *end = 0;
                let path = CStr::from_bytes_until_nul(&room).unwrap_or_default();
                let made = fs::mkdir(fs::HERE, path, 0o700);
                Ok(made.err().map(|error| NotMade { error, is_target: true }))
            }
        }
    }

    /// Prints that the lock cannot be opened, and why the directory could not be made; returns the exit
    /// code.
    pub(super) fn no_lock(&self, error: Errno, not_made: Option<NotMade>) -> i32 {
        let [a, b, c] = self.parts();
        let reason = why(error);
        let mut pieces: Vec<&[u8]> = Vec::from([
            &b"supervise: fatal: unable to acquire "[..],
            a,
            b,
            c,
            b"/lock: ",
            reason.as_bytes(),
        ]);
        let mut cause = error;
        // For another error the directory exists.
        if let Some(NotMade { error: cannot_make, is_target }) = not_made
            && error == Errno::NOENT
            && ![Errno::NOENT, Errno::EXIST].contains(&cannot_make)
        {
            cause = cannot_make;
            let target: &[u8] = if is_target { b"the target of " } else { b"" };
            let cause = why(cause).as_bytes();
            pieces.extend([&b": unable to create "[..], target, a, b, c, b": ", cause]);
        }
        if !self.state.is_default() && not_made.is_some_and(|it| it.error == Errno::NOENT) {
            pieces.push(b": the directory that SUPERVISEDIR names does not exist");
        }
        if self.state.is_default() && (cause != error || cause == Errno::ROFS) {
            pieces.push(b"; SUPERVISEDIR can name another directory");
        }
        diag::say(&[&pieces.concat()]);
        TEMPORARY
    }

    /// Prints that a FIFO cannot be opened, and why it could not be made; returns the exit code.
    pub(super) fn no_fifo(&self, file: &[u8], error: Errno, made: Result<()>) -> i32 {
        match made {
            Err(cannot_make) if error == Errno::NOENT && cannot_make != Errno::EXIST => {
                let [a, b, c] = self.parts();
                let what = [b"unable to read ", a, b, c, file];
                let reasons = [why(error), ": unable to create it: ", why(cannot_make)].concat();
                diag::fatal_because("supervise", &what, &reasons)
            }
            _ => self.fatal(b"read", file, error),
        }
    }

    /// Refuses a file that is no FIFO: it would always be readable and never contain a command.
    pub(super) fn check_fifo(&self, file: &OwnedFd, name: &[u8]) -> core::result::Result<(), i32> {
        if fs::is_fifo(file.as_fd()) {
            return Ok(());
        }
        Err(self.unusable(name, b"not a FIFO; remove it"))
    }

    /// Prints that a file cannot be opened; returns the exit code.
    pub(super) fn fatal(&self, verb: &[u8], file: &[u8], error: Errno) -> i32 {
        let [a, b, c] = self.parts();
        diag::fatal("supervise", &[b"unable to ", verb, b" ", a, b, c, file], error)
    }

    /// Prints that a file cannot be used; returns the exit code.
    pub(super) fn unusable(&self, name: &[u8], why: &[u8]) -> i32 {
        let [a, b, c] = self.parts();
        diag::say(&[b"supervise: fatal: unable to use ", a, b, c, name, b": ", why]);
        TEMPORARY
    }
}

/// The message has no program name, as in Debian's patch.
fn unreadable_link(why: &str) -> i32 {
    diag::say(&[b"unable to readlink ./supervise: ", why.as_bytes()]);
    TEMPORARY
}
