//! Signals that end svctl while it waits or reads.
//!
//! [`Interrupt`] wakes a wait. A loop that reads what another user has written, of any length, asks
//! [`is_end_requested`].

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe::register;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Whether a signal has asked svctl to end.
static END: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether a signal has asked svctl to end.
pub(crate) fn is_end_requested() -> bool {
    END.load(Ordering::Relaxed)
}

/// Lets a signal ask svctl to end. The caller looks at [`is_end_requested`].
pub(crate) fn end_at(signal: i32) -> io::Result<()> {
    flag::register(signal, Arc::clone(&END)).map(drop)
}

/// A descriptor that becomes readable at INT or TERM.
#[derive(Debug)]
pub(crate) struct Interrupt(UnixStream);

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The descriptor is readable.
    Ready,
    /// The time is over.
    Timeout,
    /// INT or TERM came.
    Interrupted,
}

impl Interrupt {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM] {
            // The second signal ends svctl whatever it does, such as a write that waits.
            flag::register_conditional_default(signal, Arc::clone(&END))?;
            // The flag comes first: it is set when the descriptor becomes readable.
            end_at(signal)?;
            register(signal, writer.try_clone()?)?;
        }
        Ok(Self(reader))
    }

    /// The descriptor, for a poll of the caller's own.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Waits until a descriptor is readable.
    pub(crate) fn wait(&self, fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<Woken> {
        let limit = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        let mut polled =
            [PollFd::new(&self.0, PollFlags::IN), PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        let ready = match poll(&mut polled, limit.as_ref()) {
            // The handler has written to the descriptor.
            Err(Errno::INTR) => return self.wait(fd, Some(Duration::ZERO)),
            ready => ready?,
        };
        let [interrupt, _] = polled;
        Ok(if interrupt.revents().contains(PollFlags::IN) {
            Woken::Interrupted
        } else if ready == 0 {
            Woken::Timeout
        } else {
            Woken::Ready
        })
    }
}
