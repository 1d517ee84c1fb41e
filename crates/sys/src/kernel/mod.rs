//! System calls that `rustix` leaves to a libc (fork, exec, signals, identity, the clock), does not
//! have, or has in an unsuitable form.
//!
//! Both flavours have the same functions. In tests, `simulated` takes the place of the instruction that
//! enters the kernel.
//!
//! Each returns the kernel's result or its error number.

mod types;
pub(crate) use types::{ControlBuffer, QueuedSignal, SI_QUEUE};

#[cfg(not(libc_flavour))]
mod raw;
#[cfg(not(libc_flavour))]
pub(crate) use raw::*;

#[cfg(all(feature = "simulated", not(libc_flavour)))]
mod simulated;

#[cfg(libc_flavour)]
mod vialibc;
#[cfg(libc_flavour)]
pub(crate) use vialibc::*;
