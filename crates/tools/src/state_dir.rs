//! The state directory of a service, and the paths of the files in it.

use alloc::borrow::Cow;
use core::ffi::CStr;
use daemontools_core::state_dir;
use daemontools_sys::{Errno, Result, fs, process};

use crate::paths::{PATH_MAX, join};

/// The state directory of the service in whose directory we are: `supervise`, or what SUPERVISEDIR
/// makes of it.
pub(crate) struct StateDir<'a>(Cow<'a, [u8]>);

impl StateDir<'_> {
    /// Finds it; it need not exist.
    ///
    /// # Errors
    /// When the path of the current directory is needed and cannot be found out.
    pub(crate) fn of_current_dir() -> Result<StateDir<'static>> {
        StateDir::of_current_dir_by(process::env("SUPERVISEDIR").map(CStr::to_bytes))
    }

    /// The same with another base than our environment's.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn of_current_dir_by(base: Option<&[u8]>) -> Result<StateDir<'_>> {
        state_dir::resolve(base, || fs::current_dir().map(Into::into)).map(StateDir)
    }

    /// Its path, relative to the service directory or absolute.
    pub(crate) fn path(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is where the original has it.
    pub(crate) fn is_default(&self) -> bool {
        *self.0 == *state_dir::DEFAULT
    }

    /// What messages put before its path: the service directory `dir` and a slash where it is
    /// inside, nothing where SUPERVISEDIR has chosen it.
    pub(crate) fn shown_below<'b>(&self, dir: &'b [u8]) -> (&'b [u8], &'static [u8]) {
        if self.is_default() { (dir, b"/") } else { (b"", b"") }
    }

    /// Gives `with` its path.
    ///
    /// # Errors
    /// What `with` says; ENAMETOOLONG.
    pub(crate) fn with_path<T>(&self, with: impl FnOnce(&CStr) -> Result<T>) -> Result<T> {
        if self.is_default() {
            return with(c"supervise");
        }
        self.file("", with)
    }

    /// Gives `with` the path of a file in it.
    ///
    /// # Errors
    /// What `with` says; ENAMETOOLONG.
    // The room is not to become part of the frame of a supervise, which has another use for a page.
    #[inline(never)]
    pub(crate) fn file<T>(&self, name: &str, with: impl FnOnce(&CStr) -> Result<T>) -> Result<T> {
        let mut room = [0; PATH_MAX];
        with(join(&mut room, &self.0, name.as_bytes()).ok_or(Errno::NAMETOOLONG)?)
    }
}
