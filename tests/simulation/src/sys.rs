//! How a program asks the kernel: every call is a step, before which the process can be killed.

use crate::kernel::{Kernel, Program, Wait, Woken, trace};
use core::future::{Future, pending, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use daemontools_core::time::{Instant, Now};
use std::cell::RefCell;
use std::rc::Rc;

/// A program that runs; its end is its exit code.
pub(crate) type Task = Pin<Box<dyn Future<Output = u8>>>;

/// A process, from the inside.
#[derive(Clone)]
pub(crate) struct Sys {
    pub(crate) kernel: Rc<RefCell<Kernel>>,
    pub(crate) own: usize,
}

impl Sys {
    /// Others run; then comes the next step.
    pub(crate) async fn turn(&self) {
        let mut waited = false;
        poll_fn(|_| {
            if core::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// One system call.
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

    /// One that changes nothing that anybody sees.
    pub(crate) async fn idle(&self, name: &'static str) {
        self.call(name, |_, _| ()).await;
    }

    pub(crate) async fn wait(&self, wait: Wait) -> Woken {
        self.kernel.borrow_mut().set_wait(self.own, wait);
        self.turn().await;
        self.kernel.borrow_mut().wake(self.own)
    }

    pub(crate) async fn sleep(&self, nanoseconds: u64) {
        let until = Some(self.instant().0 + nanoseconds);
        self.wait(Wait { until, ..Wait::default() }).await;
    }

    /// Does not come back.
    pub(crate) async fn exec(&self, program: Program, keeps: bool) -> u8 {
        self.call("exec", |k, own| k.exec(own, program, keeps)).await;
        pending().await
    }

    // The clock is read without the kernel.

    pub(crate) fn now(&self) -> Now {
        self.kernel.borrow().clock()
    }

    pub(crate) fn instant(&self) -> Instant {
        self.now().instant
    }
}
