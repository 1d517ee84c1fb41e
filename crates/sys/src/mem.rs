//! The functions the compiler calls for moving and comparing memory; a libc has them otherwise.
//!
//! They are written with string instructions (or a plain loop in assembly): a loop in Rust would
//! be recognised as what it is and turned into a call of itself.

use core::arch::asm;

/// Copies `n` bytes; the two places do not overlap.
///
/// # Safety
/// As in C.
#[cfg_attr(not(test), unsafe(no_mangle))]
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
#[cfg_attr(not(test), unsafe(no_mangle))]
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
#[cfg_attr(not(test), unsafe(no_mangle))]
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
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    while i + 8 <= n {
        // SAFETY: eight bytes from `i` are inside the caller's first place; unaligned is allowed.
        let x = unsafe { a.wrapping_add(i).cast::<u64>().read_unaligned() };
        // SAFETY: and inside the second.
        let y = unsafe { b.wrapping_add(i).cast::<u64>().read_unaligned() };
        if x != y {
            return if u64::from_be(x) < u64::from_be(y) { -1 } else { 1 };
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
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, n) }
}

/// The length of a NUL-terminated string.
///
/// # Safety
/// As in C.
#[cfg_attr(not(test), unsafe(no_mangle))]
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Bytes that differ from their neighbours.
    fn bytes(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 7 + 1) as u8).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "assembly")]
    fn overlapping_moves_are_those_of_the_standard_library() {
        for from in 0..20 {
            for to in 0..20 {
                for n in 0..20 {
                    let mut ours = bytes(40);
                    let mut theirs = ours.clone();
                    let base = ours.as_mut_ptr();
                    // SAFETY: both places are inside the forty bytes.
                    unsafe { memmove(base.wrapping_add(to), base.wrapping_add(from), n) };
                    theirs.copy_within(from..from + n, to);
                    assert_eq!(ours, theirs, "{n} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn comparisons_have_the_sign_of_the_first_difference() {
        for n in 0..40 {
            let a = bytes(n);
            // SAFETY: both are n bytes.
            assert_eq!(unsafe { memcmp(a.as_ptr(), a.as_ptr(), n) }, 0);
            for at in 0..n {
                let mut b = a.clone();
                b[at] ^= 0x80;
                // SAFETY: both are n bytes.
                let sign = unsafe { memcmp(a.as_ptr(), b.as_ptr(), n) }.signum();
                assert_eq!(sign, a.cmp(&b) as i32, "{n} bytes, different at {at}");
                // SAFETY: both are n bytes.
                assert_ne!(unsafe { bcmp(a.as_ptr(), b.as_ptr(), n) }, 0);
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "assembly")]
    fn filling_and_measuring() {
        let mut text = bytes(20);
        // SAFETY: inside the twenty bytes.
        unsafe { memset(text.as_mut_ptr().wrapping_add(3), 0x100, 4) };
        assert_eq!(text[2..8], [bytes(3)[2], 0, 0, 0, 0, bytes(8)[7]]);
        // SAFETY: the fourth byte is NUL.
        assert_eq!(unsafe { strlen(text.as_ptr()) }, 3);
        let mut copy = Vec::from([9; 20]);
        // SAFETY: two different places of twenty bytes.
        unsafe { memcpy(copy.as_mut_ptr(), text.as_ptr(), 20) };
        assert_eq!(copy, text);
    }
}
