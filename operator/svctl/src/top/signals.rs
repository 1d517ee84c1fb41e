//! The signals that concern a screen, as a readable descriptor and flags.

use crate::interrupt::end_at;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::flag;
use signal_hook::low_level::pipe::register;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The signals since the last look.
#[derive(Debug)]
pub(crate) struct Signals {
    reader: UnixStream,
    end: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
    suspend: Arc<AtomicBool>,
}

/// What signals ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// INT, TERM, HUP or QUIT.
    pub(crate) end: bool,
    /// WINCH.
    pub(crate) resized: bool,
    /// TSTP.
    pub(crate) suspend: bool,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let signals =
            Self { reader, end: Arc::default(), resized: Arc::default(), suspend: Arc::default() };
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            // What is being read ends, too.
            end_at(signal)?;
        }
        let flags = [
            (SIGINT, &signals.end),
            (SIGTERM, &signals.end),
            (SIGHUP, &signals.end),
            (SIGQUIT, &signals.end),
            (SIGWINCH, &signals.resized),
            (SIGTSTP, &signals.suspend),
        ];
        for (signal, requested) in flags {
            // The flag comes first: it is set when the descriptor becomes readable.
            flag::register(signal, Arc::clone(requested))?;
            register(signal, writer.try_clone()?)?;
        }
        Ok(signals)
    }

    /// Readable after a signal.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// The requests since the last call.
    pub(crate) fn take(&mut self) -> Requests {
        let mut room = [0; 64];
        while matches!(self.reader.read(&mut room), Ok(count) if count > 0) {}
        let take = |requested: &AtomicBool| requested.swap(false, Ordering::SeqCst);
        Requests {
            end: take(&self.end),
            resized: take(&self.resized),
            suspend: take(&self.suspend),
        }
    }
}
