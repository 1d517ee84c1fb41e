//! The pipe to a logger that appears while its service runs.
//!
//! svscan makes the pipe, starts the supervise of the logger with it, and offers it to the running
//! supervise of the service: by a real-time signal with the number of the write end in svscan, and the
//! pipe's tag. The supervise makes the pipe its standard output, which the next process of the service
//! inherits. A supervise that sees the new `log` first asks with the same signal.
//!
//! A version that does not know the offer does not block the signal, and gets none.

use crate::survive::process_user;
use crate::survive::signal_reader::SignalReader;
use daemontools_core::Pid;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::proc_fd::Pipe;
use daemontools_sys::signal::{self, ReceivedSignal};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd};

/// The signal of an offer, and of the question for one.
pub(crate) const SIGNAL: i32 = signal::RTMIN_4;

/// Sends an offer to a supervise, unless it does not take offers, or not yet. Returns which of these.
///
/// # Errors
/// EAGAIN: too many pending signals. ENOENT: no `/proc`.
pub(crate) fn send(supervise: Pid, write_end: BorrowedFd<'_>) -> Result<SignalReader> {
    let number = fd::number(write_end);
    let pipe = Pipe::own(number)?.ok_or(Errno::NOENT)?;
    // Before the look at its signals: then that is of the same process.
    // ESRCH: already gone.
    let Some(handle) = Handle::open(supervise)? else { return Ok(SignalReader::Reads) };
    let reader = SignalReader::of(supervise, b"supervise", SIGNAL);
    if reader == SignalReader::Reads {
        match handle.signal_with_values(SIGNAL, [number, pipe.tag()]) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(reader)
}

/// Asks the svscan that is our parent for an offer; whether it answers questions.
pub(crate) fn ask(parent: Pid) -> bool {
    Handle::open(parent).is_ok_and(|handle| {
        handle.is_some_and(|handle| {
            SignalReader::of(parent, b"svscan", SIGNAL) == SignalReader::Reads
                && handle.signal_with_value(SIGNAL, 0).is_ok()
        })
    })
}

/// Opens the write end of the offered pipe; `None` if the signal is no offer, or the offer is void.
///
/// # Errors
/// EACCES: the descriptors of svscan are hidden. EMFILE and ENFILE: too many descriptors.
pub(crate) fn open(offer: &ReceivedSignal) -> Result<Option<OwnedFd>> {
    let (Some(sender), Some(number), Some(tag)) = (offer.sender, offer.value, offer.second_value)
    else {
        return Ok(None);
    };
    if process_user::is_foreign(sender) {
        return Ok(None);
    }
    // The tag: svscan may have died since, and its pid may belong to another process.
    let Some(pipe) = Pipe::write_only(sender, number)?.filter(|pipe| pipe.tag() == tag) else {
        return Ok(None);
    };
    let write_end = pipe.open_writer()?;
    fd::set_blocking(write_end.as_fd(), true)?;
    Ok(Some(write_end))
}
