//! What the supervisor of another service publishes in its state directory.

use crate::common::status_file;
use daemontools_core::state_dir::detail::{self, StateFile};
use daemontools_core::state_dir::status::{self, StatusRecord};
use daemontools_sys::{AsFd as _, BorrowedFd, Result, fs, guarded};

/// The state of another service.
pub(crate) enum SiblingState<T> {
    /// No supervisor runs: the status is an old one.
    Unsupervised,
    /// The status says nothing.
    Unknown,
    /// What the caller has made of the two files.
    Published(T),
}

/// Whether a supervisor runs: then `ok` has a reader. `state` is the state directory.
pub(crate) fn is_supervised(state: BorrowedFd<'_>) -> bool {
    guarded::open(state, c"ok", fs::Opening::WRITE).is_ok_and(|ok| fs::is_fifo(ok.as_fd()))
}

/// Reads the status and the state file in a state directory, and passes them to `with`.
///
/// # Errors
/// Those of opening and reading the status.
// Not inlined: its buffers would enlarge the stack of every supervise.
#[inline(never)]
pub(crate) fn read<T>(
    state: BorrowedFd<'_>,
    with: impl FnOnce(&StatusRecord, &StateFile<'_>) -> T,
) -> Result<SiblingState<T>> {
    if !is_supervised(state) {
        return Ok(SiblingState::Unsupervised);
    }
    let mut room = [0; 2 * status::ENCORE_LEN];
    let bytes = guarded::read_start(state, c"status", &mut room)?;
    let Some((main, _)) = status::parse_file(bytes) else {
        return Ok(SiblingState::Unknown);
    };
    let mut room = [0; detail::LEN];
    let text = guarded::read_start(state, c"state", &mut room);
    let file = StateFile::classify(status_file::state_text(text), &main);
    Ok(SiblingState::Published(with(&main, &file)))
}
