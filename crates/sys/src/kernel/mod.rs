//! The system calls which `rustix` leaves to a libc: fork, exec, signals, identity, and the clock.
//!
//! Both flavours have the same functions; each returns the kernel's answer or its error number.

#[cfg(not(libc_flavour))]
mod raw;
#[cfg(not(libc_flavour))]
pub(crate) use raw::*;

#[cfg(libc_flavour)]
mod vialibc;
#[cfg(libc_flavour)]
pub(crate) use vialibc::*;

/// The kernel's set of signals: bit `n - 1` stands for signal `n`.
pub(crate) type RawSigset = u64;
