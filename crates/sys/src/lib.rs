//! System calls for the programs of daemontools-rs, with a safe interface.
//!
//! This is the only crate with unsafe code; the others forbid it. It has two flavours with the same
//! interface:
//!
//! * **raw** (the default on x86_64 and aarch64): no libc. The process starts in our own `_start`
//!   and costs two page faults instead of forty. It changes no inherited descriptor, signal
//!   disposition or limit, because a process loader passes them on.
//! * **libc** (`--features libc`, and every other architecture): the same functions on a static
//!   libc.
//!
//! The feature `simulated` is for the tests in `simulator/` only: the raw flavour, whose system calls go
//! to a kernel in memory.
//!
//! Most calls come from `rustix`; `kernel` has the few that it does not offer.
//!
//! The programs have one thread. This crate keeps process-wide state (the arguments, the heap, the
//! stack of a spawned child) without locks, and starts no thread.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod changes;
pub mod clock;
pub mod dir;
pub mod fatal;
pub mod fd;
pub mod fs;
pub mod guarded;
pub mod heap;
pub mod ids;
mod kernel;
pub mod limit;
pub mod lock;
#[cfg(not(any(libc_flavour, feature = "simulated")))]
mod mem;
pub mod net;
// A static libgcc would define the same function once more.
#[cfg(all(
    feature = "no-backtrace",
    panic = "abort",
    target_env = "gnu",
    not(target_feature = "crt-static")
))]
mod no_backtrace;
pub mod notify;
pub mod pass;
pub mod peek;
pub mod pidfd;
pub mod poll;
pub mod priority;
pub mod privilege;
pub mod proc_fd;
pub mod process;
pub mod random;
pub mod signal;
pub mod start;
#[cfg(feature = "libc")]
pub mod std_heap;
pub mod stderr;
#[cfg(test)]
mod test_support;
pub mod tree;
pub mod trusted_path;
pub mod watch;

pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::Errno;

/// The result of a call: a value, or the kernel's error number.
pub type Result<T> = core::result::Result<T, Errno>;
