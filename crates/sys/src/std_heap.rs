//! The heap of an executable with std.

/// Gives free memory of the heap back to the kernel, on a libc that can do that.
///
/// glibc has a part of the heap for each thread that runs at the same time, and keeps what was needed once.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number and changes only memory that is free; any thread may call it.
    unsafe {
        libc::malloc_trim(0);
    }
}
