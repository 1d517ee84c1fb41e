//! Who finishes a batch when its logger is killed.
//!
//! What is written and not yet taken out of the pipe is known from the marks, but only to us: the
//! original would write it again. So a logger that is about to write much at once leaves an heir
//! before. That is a process which has the same locks and does nothing but wait for the death of the
//! logger: then it makes one of the two true, in the log or in the pipe, and only when it has ended
//! can anybody else have the locks. If it is killed too, there are still the marks.

use daemontools_core::Pid;
use daemontools_sys::process::{self, Forked};
use daemontools_sys::{AsFd as _, OwnedFd, Result, fd, poll, signal};

/// The heir of this process. It ends when this is dropped.
pub(super) struct Heir {
    /// Its process, unless that was reaped.
    pid: Option<Pid>,
    /// The end of a pipe that nobody else has: the kernel closes it when we die.
    life: Option<OwnedFd>,
}

impl Heir {
    /// Leaves an heir, which will do `inherit` and end.
    ///
    /// # Errors
    /// EMFILE, ENFILE, EAGAIN and ENOMEM when there is no more of something.
    pub(super) fn leave(inherit: impl FnOnce()) -> Result<Self> {
        let (death, life) = fd::pipe()?;
        match process::fork()? {
            Forked::Parent(pid) => Ok(Self { pid: Some(pid), life: Some(life) }),
            Forked::Child => {
                // What ends the logger must not end both.
                signal::block_all();
                drop(life);
                let [_] = poll::readable([death.as_fd()], None);
                inherit();
                process::exit(0)
            }
        }
    }

    /// A child was reaped. Whether it was this one, which somebody must have killed.
    pub(super) fn has_ended(&mut self, child: Pid) -> bool {
        self.pid.take_if(|pid| *pid == child).is_some()
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        // Not yet reaped, so that the number is still its own.
        if let Some(pid) = self.pid {
            if process::kill(pid, signal::KILL).is_err() {
                // Then it ends by itself, and finds that there is nothing to be done.
                self.life = None;
            }
            let _ = process::wait_for(pid);
        }
    }
}
