//! The state directory of the service in the current directory, and the paths of its files.

use alloc::borrow::Cow;
use alloc::ffi::CString;
use core::ffi::CStr;
use daemontools_core::state_dir;
use daemontools_sys::watch::Watch;
use daemontools_sys::{Errno, Result, fs, process};

use crate::common::paths::{PATH_MAX, join};

/// The state directory of the service in the current directory: `supervise`, or the directory that
/// SUPERVISEDIR chooses.
pub(crate) struct StateDir<'a>(Cow<'a, [u8]>);

impl StateDir<'_> {
    /// Finds the path of the state directory, which may not exist.
    ///
    /// # Errors
    /// The path of the current directory is needed and unknown.
    pub(crate) fn of_current_dir() -> Result<StateDir<'static>> {
        StateDir::of_current_dir_with(process::env("SUPERVISEDIR").map(CStr::to_bytes))
    }

    /// Finds the path of the state directory for a value of SUPERVISEDIR.
    ///
    /// # Errors
    /// The path of the current directory is needed and unknown.
    pub(crate) fn of_current_dir_with(base: Option<&[u8]>) -> Result<StateDir<'_>> {
        state_dir::resolve(base, || fs::current_dir().map(Into::into)).map(StateDir)
    }

    /// The path, absolute or relative to the service directory.
    pub(crate) fn path(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the original's, `supervise`.
    pub(crate) fn is_default(&self) -> bool {
        *self.0 == *state_dir::DEFAULT
    }

    /// The text before the path in messages: the service directory `dir` and a slash, or nothing if
    /// SUPERVISEDIR chooses the directory.
    pub(crate) fn shown_below<'b>(&self, dir: &'b [u8]) -> (&'b [u8], &'static [u8]) {
        if self.is_default() { (dir, b"/") } else { (b"", b"") }
    }

    /// Watches the directory in which SUPERVISEDIR lets the state directory appear. The service directory,
    /// where it appears otherwise, is left to the caller.
    pub(crate) fn watch_above(&self, watch: &Watch) {
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        if let Some(above) = self.0.get(..end).filter(|above| !above.is_empty())
            && let Ok(above) = CString::new(above)
        {
            let _ = watch.add_names(&above);
        }
    }

    /// Calls `with` with the path.
    ///
    /// # Errors
    /// The error of `with`; ENAMETOOLONG.
    pub(crate) fn with_path<T>(&self, with: impl FnOnce(&CStr) -> Result<T>) -> Result<T> {
        if self.is_default() {
            return with(c"supervise");
        }
        self.file("", with)
    }

    /// Calls `with` with the path of a file in the directory.
    ///
    /// # Errors
    /// The error of `with`; ENAMETOOLONG.
    // Not inlined: the buffer would enlarge the stack of every supervise by a page.
    #[inline(never)]
    pub(crate) fn file<T>(&self, name: &str, with: impl FnOnce(&CStr) -> Result<T>) -> Result<T> {
        let mut room = [0; PATH_MAX];
        with(join(&mut room, &self.0, name.as_bytes()).ok_or(Errno::NAMETOOLONG)?)
    }
}
