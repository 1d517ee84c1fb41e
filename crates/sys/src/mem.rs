//! The functions the compiler calls for moving and comparing memory; a libc has them otherwise.
//!
//! They are written with string instructions (or a plain loop in assembly): a loop in Rust would
//! be recognised as what it is and turned into a call of itself.

use core::arch::asm;

/// Copies `n` bytes; the two places do not overlap.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's pointers are valid for `n` bytes.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    // SAFETY: the same; the loop runs `n` times.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("cbz {n}, 3f", "2:", "ldrb {b:w}, [{from}], #1", "strb {b:w}, [{to}], #1",
            "subs {n}, {n}, #1", "b.ne 2b", "3:",
            n = inout(reg) n => _, to = inout(reg) to => _, from = inout(reg) from => _,
            b = out(reg) _, options(nostack));
    }
    to
}

/// Copies `n` bytes; the two places may overlap.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: `to` is before `from` or behind its end, so that a forward copy never reads
        // what it has written.
        return unsafe { memcpy(to, from, n) };
    }
    // `to` is inside the source: backwards, from the last byte. Here n is at least 1.
    // SAFETY: the caller's pointers are valid for `n` bytes; the direction flag is set back.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") n => _,
            inout("rdi") to.wrapping_add(n).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(n).wrapping_sub(1) => _, options(nostack));
    }
    // SAFETY: the same; the loop runs `n` times.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("2:", "ldrb {b:w}, [{from}, #-1]!", "strb {b:w}, [{to}, #-1]!",
            "subs {n}, {n}, #1", "b.ne 2b",
            n = inout(reg) n => _, to = inout(reg) to.wrapping_add(n) => _,
            from = inout(reg) from.wrapping_add(n) => _, b = out(reg) _, options(nostack));
    }
    to
}

/// Fills `n` bytes.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    // SAFETY: the caller's pointer is valid for `n` bytes.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("eax") byte,
            options(nostack, preserves_flags));
    }
    // SAFETY: the same; the loop runs `n` times.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("cbz {n}, 3f", "2:", "strb {b:w}, [{to}], #1", "subs {n}, {n}, #1", "b.ne 2b", "3:",
            n = inout(reg) n => _, to = inout(reg) to => _, b = in(reg) byte, options(nostack));
    }
    to
}

/// Compares `n` bytes: less than, equal to or greater than zero.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    while i + 8 <= n {
        // SAFETY: eight bytes from `i` are inside the caller's first place; unaligned is allowed.
        let x = unsafe { a.wrapping_add(i).cast::<u64>().read_unaligned() };
        // SAFETY: and inside the second.
        let y = unsafe { b.wrapping_add(i).cast::<u64>().read_unaligned() };
        if x != y {
            return if x.swap_bytes() < y.swap_bytes() { -1 } else { 1 };
        }
        i += 8;
    }
    while i < n {
        // SAFETY: `i` is inside the caller's first place.
        let x = unsafe { a.wrapping_add(i).read() };
        // SAFETY: and inside the second.
        let y = unsafe { b.wrapping_add(i).read() };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
        i += 1;
    }
    0
}

/// Compares `n` bytes: zero or not zero.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, n) }
}

/// The length of a NUL-terminated string.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn strlen(s: *const u8) -> usize {
    let mut n = 0;
    loop {
        let byte: u32;
        // Through assembly, so that the loop is not turned into a call of strlen.
        // SAFETY: every byte up to the terminating NUL may be read.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!("movzx {b:e}, byte ptr [{p}]", p = in(reg) s.wrapping_add(n), b = out(reg) byte,
                options(nostack, readonly, pure, preserves_flags));
        }
        // SAFETY: the same.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!("ldrb {b:w}, [{p}]", p = in(reg) s.wrapping_add(n), b = out(reg) byte,
                options(nostack, readonly, pure, preserves_flags));
        }
        if byte == 0 {
            return n;
        }
        n += 1;
    }
}
