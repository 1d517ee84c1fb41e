//! The functions that the compiler calls to copy, fill and compare memory. Without a libc the
//! program must define them.
//!
//! Most are in assembly: the compiler would turn a loop in Rust into a call of the function itself.

use core::arch::asm;

/// Copies `n` bytes between places that do not overlap.
///
/// # Safety
/// As for the function of C.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller guarantees `n` bytes at both pointers. The ABI has the direction flag
    // clear.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    // SAFETY: the caller guarantees `n` bytes, and the loop runs `n` times.
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
/// As for the function of C.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: `to` is below `from` or above the source. `memcpy` copies upwards byte by byte,
        // so it does not read what it has written.
        return unsafe { memcpy(to, from, n) };
    }
    // `to` is inside the source, so `n` is at least 1: copy backwards, from the last byte.
    // SAFETY: the caller guarantees `n` bytes at both pointers, at least 1 here. The code clears
    // the direction flag again.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") n => _,
            inout("rdi") to.wrapping_add(n).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(n).wrapping_sub(1) => _, options(nostack));
    }
    // SAFETY: the caller guarantees `n` bytes, and the loop runs `n` times.
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
/// As for the function of C.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    // SAFETY: the caller guarantees `n` bytes. The ABI has the direction flag clear.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("eax") byte,
            options(nostack, preserves_flags));
    }
    // SAFETY: the caller guarantees `n` bytes, and the loop runs `n` times.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("cbz {n}, 3f", "2:", "strb {b:w}, [{to}], #1", "subs {n}, {n}, #1", "b.ne 2b", "3:",
            n = inout(reg) n => _, to = inout(reg) to => _, b = in(reg) byte, options(nostack));
    }
    to
}

/// Compares `n` bytes; the result is less than, equal to or greater than 0.
///
/// # Safety
/// As for the function of C.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    while i + 8 <= n {
        // SAFETY: the caller guarantees `n` bytes, and `i + 8` is at most `n`. The read may be
        // unaligned.
        let x = unsafe { a.wrapping_add(i).cast::<u64>().read_unaligned() };
        // SAFETY: as for `x`.
        let y = unsafe { b.wrapping_add(i).cast::<u64>().read_unaligned() };
        if x != y {
            return if u64::from_be(x) < u64::from_be(y) { -1 } else { 1 };
        }
        i += 8;
    }
    while i < n {
        // SAFETY: the caller guarantees `n` bytes, and `i` is less than `n`.
        let x = unsafe { a.wrapping_add(i).read() };
        // SAFETY: as for `x`.
        let y = unsafe { b.wrapping_add(i).read() };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
        i += 1;
    }
    0
}

/// Compares `n` bytes; the result is 0 if they are equal.
///
/// # Safety
/// As for the function of C.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the caller's guarantee is that of `memcmp`.
    unsafe { memcmp(a, b, n) }
}

/// The length of a NUL-terminated string.
///
/// # Safety
/// As for the function of C.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn strlen(s: *const u8) -> usize {
    let mut n = 0;
    loop {
        let byte: u32;
        // In assembly: the compiler would turn the loop into a call of strlen.
        // SAFETY: the caller guarantees a NUL, and the loop stops at it.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!("movzx {b:e}, byte ptr [{p}]", p = in(reg) s.wrapping_add(n), b = out(reg) byte,
                options(nostack, readonly, pure, preserves_flags));
        }
        // SAFETY: the caller guarantees a NUL, and the loop stops at it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// `n` bytes of which neighbours differ.
    fn bytes(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 7 + 1) as u8).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "assembly")]
    fn memmove_agrees_with_copy_within() {
        for from in 0..20 {
            for to in 0..20 {
                for n in 0..20 {
                    let mut moved = bytes(40);
                    let mut expected = moved.clone();
                    let base = moved.as_mut_ptr();
                    // SAFETY: both ranges are inside the 40 bytes.
                    unsafe { memmove(base.wrapping_add(to), base.wrapping_add(from), n) };
                    expected.copy_within(from..from + n, to);
                    assert_eq!(moved, expected, "{n} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn memcmp_has_the_sign_of_the_first_difference() {
        for n in 0..40 {
            let a = bytes(n);
            // SAFETY: both have `n` bytes.
            assert_eq!(unsafe { memcmp(a.as_ptr(), a.as_ptr(), n) }, 0);
            for at in 0..n {
                let mut b = a.clone();
                b[at] ^= 0x80;
                // SAFETY: both have `n` bytes.
                let sign = unsafe { memcmp(a.as_ptr(), b.as_ptr(), n) }.signum();
                assert_eq!(sign, a.cmp(&b) as i32, "{n} bytes, different at {at}");
                // SAFETY: both have `n` bytes.
                assert_ne!(unsafe { bcmp(a.as_ptr(), b.as_ptr(), n) }, 0);
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "assembly")]
    fn memset_strlen_and_memcpy_work() {
        let mut text = bytes(20);
        // SAFETY: the range is inside the 20 bytes.
        unsafe { memset(text.as_mut_ptr().wrapping_add(3), 0x100, 4) };
        assert_eq!(text[2..8], [bytes(3)[2], 0, 0, 0, 0, bytes(8)[7]]);
        // SAFETY: the fourth byte is NUL.
        assert_eq!(unsafe { strlen(text.as_ptr()) }, 3);
        let mut copy = Vec::from([9; 20]);
        // SAFETY: two separate ranges of 20 bytes.
        unsafe { memcpy(copy.as_mut_ptr(), text.as_ptr(), 20) };
        assert_eq!(copy, text);
    }
}
