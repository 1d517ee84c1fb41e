//! A logger that appears while the service is supervised: takes the pipe to it from svscan.

use super::performer::Performer;
use crate::common::diag;
use crate::survive::log_pipe_offer;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_sys::signal::ReceivedSignal;
use daemontools_sys::{AsFd as _, fd, fs, process};

/// How long a start waits for the pipe to a new logger.
const OFFER_TIMEOUT: Duration = Duration::from_secs(1);

/// Takes the pipe of an offer as the standard output, which the next process of the service inherits.
#[inline(never)]
pub(super) fn take(dir: &CStr, offer: &ReceivedSignal) {
    let taken = log_pipe_offer::open(offer).and_then(|end| match end {
        Some(end) => fd::replace(fd::stdout(), end.as_fd()),
        None => Ok(()),
    });
    if let Err(error) = taken {
        diag::warning(
            "supervise",
            &[b"unable to connect ", dir.to_bytes(), b" to its logger"],
            error,
        );
    }
}

impl Performer {
    /// Notes before a start whether there is a directory `log`. If it is new, asks svscan for the pipe
    /// to that logger, and waits for it for a moment: the process of this start is to have it.
    #[inline(never)]
    pub(super) fn note_log_dir(&mut self, is_there: bool) {
        if self.has_log_dir || !is_there {
            self.has_log_dir = is_there;
            return;
        }
        // Without `run` it can be a directory in which the service keeps files.
        let is_logger = |file| fs::exists(fs::HERE, file).unwrap_or(false);
        self.has_log_dir = is_logger(c"log/run") || is_logger(c"log/command");
        if self.has_log_dir && process::parent().is_some_and(log_pipe_offer::ask) {
            let offer = self.signals.wait_for(log_pipe_offer::SIGNAL, OFFER_TIMEOUT);
            if let Some(offer) = offer {
                take(self.dir, &offer);
            }
        }
    }
}
