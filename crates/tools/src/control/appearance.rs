//! The wait of `svc -W` for a supervise that does not run yet, without polling.
//!
//! supervise makes the state directory, opens `control`, and then replaces `status`. So a watch of the
//! names in the state directory reports the supervise. While the directory is missing, svc watches the
//! nearest directory of its path that exists.

use crate::common::state_dir::StateDir;
use alloc::ffi::CString;
use core::time::Duration;
use daemontools_sys::watch::Watch;
use daemontools_sys::{Errno, Result, fs, poll};

/// Watches for the supervises of several services.
pub(crate) struct Appearance(Watch);

impl Appearance {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The error of inotify.
    pub(crate) fn new() -> Result<Self> {
        Watch::new().map(Self)
    }

    /// Watches for the supervise of the service in the current directory. Every change can make
    /// another directory the nearest one, so call it after each [`Appearance::wait`].
    ///
    /// # Errors
    /// EACCES: a directory is not readable. ENOSPC: too many watches.
    pub(crate) fn watch(&self) -> Result<()> {
        let state = StateDir::of_current_dir()?;
        let mut room = [0; 1024];
        let path = state.path();
        // Debian links `supervise` to a directory elsewhere, which may be missing.
        let target = CString::new(path)
            .ok()
            .and_then(|path| fs::readlink(fs::HERE, &path, &mut room).map(<[u8]>::to_vec).ok());
        let path = target.as_deref().unwrap_or(path);
        let mut nearest = self.watch_nearest(path)?;
        // The next directory of the path may have appeared before its parent was watched.
        loop {
            let now = self.watch_nearest(path)?;
            if now == nearest {
                return Ok(());
            }
            nearest = now;
        }
    }

    /// Watches a directory, or the nearest one on the way to it that exists; returns the length of
    /// its path.
    fn watch_nearest(&self, path: &[u8]) -> Result<usize> {
        let mut path = path;
        loop {
            let watched = CString::new(path).map_err(|_| Errno::INVAL)?;
            match self.0.add_names(&watched) {
                Ok(_) => return Ok(path.len()),
                Err(Errno::NOENT) if path != b"." && path != b"/" => path = parent(path),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for a change, at most for `time`.
    pub(crate) fn wait(&self, time: Duration) {
        if poll::readable([self.0.fd()], Some(time)) == [true] {
            self.0.drain();
        }
    }
}

/// The directory in which the last name of a path is.
fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        None => b".",
        Some(0) => b"/",
        Some(slash) => path.get(..slash).unwrap_or_default(),
    }
}
