//! The kernel, as the programs of daemontools-rs see it.
//!
//! This is the one crate with unsafe code; everything above it forbids it. It has two flavours
//! with the same interface:
//!
//! * **raw** (the default, on x86_64 and aarch64): no libc at all. A process starts in our own
//!   `_start`, costs two page faults instead of forty, and leaves every inherited descriptor,
//!   signal disposition and limit as it found it, which a chain loader has to.
//! * **libc** (`--features libc`, and every other architecture): the same functions on a static
//!   libc.
//!
//! What `rustix` offers safely is taken from there; `kernel` holds the few calls it leaves out.
//!
//! The programs are single-threaded, and so is this crate: it keeps process-wide state (the
//! arguments, the heap) without locks. Nothing here starts a thread.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod clock;
pub mod dir;
pub mod fd;
pub mod fs;
pub mod guarded;
pub mod heap;
pub mod ids;
mod kernel;
pub mod limit;
pub mod lock;
#[cfg(not(libc_flavour))]
mod mem;
pub mod net;
pub mod notify;
pub mod peek;
pub mod pidfd;
pub mod poll;
pub mod priority;
pub mod privilege;
pub mod process;
pub mod random;
pub mod signal;
#[cfg(test)]
mod standard;
pub mod start;
pub mod tree;
pub mod watch;

pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::Errno;

/// What every call of this crate returns: the value, or the kernel's error number.
pub type Result<T> = core::result::Result<T, Errno>;
