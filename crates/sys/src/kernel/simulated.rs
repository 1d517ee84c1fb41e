//! The entry to the kernel in memory of the workspace `simulator/`, in the place of the raw flavour's
//! instructions. Its `rustix` has these functions; the published one has not.

use crate::{Errno, Result};

/// Performs system call `n`; returns a value or a negated error number.
///
/// # Safety
/// The arguments must be those that the call demands.
pub(super) unsafe fn syscall(n: u32, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    // SAFETY: the caller guarantees the arguments.
    unsafe { rustix::simulated::system_call(n as usize, [a, b, c, d, e, 0]) }
}

/// As in the raw flavour. The child runs on a stack of the simulator.
///
/// # Safety
/// `entry` must accept `argument`, must not return and must not unwind.
pub(crate) unsafe fn vfork(
    _stack_top: *mut u8,
    entry: unsafe extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
    same_descriptors: bool,
) -> Result<i32> {
    // SAFETY: the caller guarantees the function and its argument.
    let ret = unsafe { rustix::simulated::share_memory(entry, argument, same_descriptors) };
    match i32::try_from(ret) {
        Ok(pid @ 0..) => Ok(pid),
        Ok(error) => Err(Errno::from_raw_os_error(-error)),
        Err(_) => Err(Errno::AGAIN),
    }
}
