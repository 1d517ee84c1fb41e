//! The system calls of the simulated programs. Every call is a step, and the schedule can kill the
//! process before it.

use crate::kernel::{Kernel, Program, Wait, Woken, trace};
use core::future::{Future, pending, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use daemontools_core::time::{Instant, Now};
use std::cell::RefCell;
use std::rc::Rc;

/// A running program; its result is the exit code.
pub(crate) type Task = Pin<Box<dyn Future<Output = u8>>>;

/// A process, as its program sees it.
#[derive(Clone)]
pub(crate) struct Sys {
    pub(crate) kernel: Rc<RefCell<Kernel>>,
    pub(crate) own: usize,
}

impl Sys {
    /// Ends a step. Other processes run before the next one.
    pub(crate) async fn turn(&self) {
        let mut waited = false;
        poll_fn(|_| {
            if core::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Makes one system call, with a name for the trace.
    pub(crate) async fn call<R>(
        &self,
        name: &'static str,
        does: impl FnOnce(&mut Kernel, usize) -> R,
    ) -> R {
        self.turn().await;
        let mut kernel = self.kernel.borrow_mut();
        trace!(kernel, "{} {name}", self.own);
        does(&mut kernel, self.own)
    }

    /// Makes a system call without an effect on other processes.
    pub(crate) async fn idle(&self, name: &'static str) {
        self.call(name, |_, _| ()).await;
    }

    /// Waits until one of these events has come; returns those that have.
    pub(crate) async fn wait(&self, wait: Wait) -> Woken {
        self.kernel.borrow_mut().set_wait(self.own, wait);
        self.turn().await;
        self.kernel.borrow_mut().wake(self.own)
    }

    /// Sleeps for a time.
    pub(crate) async fn sleep(&self, nanoseconds: u64) {
        let until = Some(self.instant().0 + nanoseconds);
        self.wait(Wait { until, ..Wait::default() }).await;
    }

    /// Execs another program. Never returns: the process gets a new task.
    pub(crate) async fn exec(&self, program: Program, keeps: bool) -> u8 {
        self.call("exec", |k, own| k.exec(own, program, keeps)).await;
        pending().await
    }

    // Reading the clock is not a step, as with the vDSO.

    pub(crate) fn now(&self) -> Now {
        self.kernel.borrow().clock()
    }

    pub(crate) fn instant(&self) -> Instant {
        self.now().instant
    }
}
