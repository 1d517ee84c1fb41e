//! The standby process, which finishes the batch of a killed logger as far as it is written.
//!
//! Between the write of a batch and its removal from the pipe, only the batch mark tells that the
//! batch is written. The original does not read the mark, and would write the batch again.
//! Therefore a logger forks a standby process before it writes a batch. The standby process
//! shares the locks of the output directories and waits for the death of the logger. Then it
//! finishes the lines that the logger has begun to write, consumes the lines that are written, and
//! exits. It leaves all other lines in the pipe, because the next logger waits for the locks. It
//! runs no processor and waits for none: if a line does not fit, the full file becomes a `.u` file.
//! If the standby process is killed too, the batch mark remains for the next logger.

use crate::common::unsent;
use daemontools_core::Pid;
use daemontools_sys::process::{self, Forked};
use daemontools_sys::{AsFd as _, OwnedFd, Result, fd, signal};

/// The standby process of this process, which a drop kills.
pub(super) struct StandbyProcess {
    /// The process, until it is reaped.
    pid: Option<Pid>,
    /// The only write end of a pipe: the kernel closes it when this process dies.
    life: Option<OwnedFd>,
}

impl StandbyProcess {
    /// Forks a standby process, which runs `finish` after the death of this process, and exits.
    ///
    /// # Errors
    /// Those of pipe(2) and fork(2).
    pub(super) fn start(finish: impl FnOnce()) -> Result<Self> {
        let (death, life) = fd::pipe()?;
        match process::fork()? {
            Forked::Parent(pid) => Ok(Self { pid: Some(pid), life: Some(life) }),
            Forked::Child => {
                unsent::forget();
                // A signal to the process group must not end both processes.
                signal::block_all();
                drop(life);
                // Unlike poll, this returns at the death only.
                let _ = fd::read(death.as_fd(), &mut [0]);
                finish();
                process::exit(0)
            }
        }
    }

    /// Whether a reaped child is this process. Another process must have killed it.
    pub(super) fn has_ended(&mut self, child: Pid) -> bool {
        self.pid.take_if(|pid| *pid == child).is_some()
    }
}

impl Drop for StandbyProcess {
    fn drop(&mut self) {
        // The process is not reaped, so its pid is still valid.
        if let Some(pid) = self.pid {
            if process::kill(pid, signal::KILL).is_err() {
                // The closed pipe ends it, after it has found no open mark.
                self.life = None;
            }
            let _ = process::wait_for(pid);
        }
    }
}
