//! The system calls which `rustix` leaves to a libc (fork, exec, signals, identity, the clock), does
//! not have, or has in a way that we cannot use.
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

/// Room for what comes beside the bytes, aligned for the kernel: the sender's identity, which is
/// always the first, and four descriptors (a few more where a word is smaller). More of them are
/// not received.
#[repr(align(8))]
pub(crate) struct Control(pub(crate) [u8; 64]);

/// What [`receive`] has filled.
pub(crate) struct Received {
    /// So many bytes of the room,
    pub(crate) length: usize,
    /// so many of the control room,
    pub(crate) control: usize,
    /// and what the kernel says of both.
    pub(crate) flags: u32,
}
