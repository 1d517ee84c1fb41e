//! Batches: input that survives a KILL of the logger.
//!
//! Under load, the logger copies the content of its pipe without consuming it, writes it to the
//! output directories, and consumes it afterwards. Such a piece of input is a batch. After a KILL
//! the batch is still in the pipe, and the next logger must not write its lines again. Therefore
//! every output directory contains a batch mark ([`super::batch_mark`]). The mark identifies the
//! batch and tells how many bytes of its output are in the directory.
//!
//! A batch consists of whole lines. If the pipe contains only the beginning of a line, the logger
//! has to consume it, because poll(2) cannot wait for more input in a pipe that is not empty. The
//! logger holds that text in memory, and in the mark's file behind the mark, until the end of the
//! line arrives: the held text.

use crate::time::tai::Tai64n;

/// A piece of input in the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Length in bytes.
    pub length: u64,
    /// The [`digest`] of the text.
    pub digest: u64,
    /// The time when the logger copied it from the pipe, which is the time in its stamps.
    pub moment: Tai64n,
}

/// Length that held text never reaches, in bytes.
///
/// The script has not yet run on a shorter line, stamp included, so nothing of it is written.
pub const HELD_LIMIT: usize = super::router::HEAD - 40;

/// The number of a pipe: differs between boots, and between the pipes of one boot.
#[must_use]
pub fn pipe_id(boot_id: &[u8], inode: u64) -> u64 {
    digest(inode, boot_id)
}

/// Length of the beginning and of the end of a text that [`digest`] reads.
const END: usize = 512;

/// A hash of a text; `seed` makes it depend on other data too.
///
/// A long text contributes its length, its beginning and its end.
#[must_use]
pub fn digest(seed: u64, text: &[u8]) -> u64 {
    let first = text.get(..END).unwrap_or(text);
    let last = text.get(text.len().saturating_sub(END)..).unwrap_or_default();
    let mut digest = seed ^ text.len() as u64;
    for end in [first, last] {
        let mut words = end.chunks_exact(8);
        for word in words.by_ref() {
            digest = mix(digest ^ u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        for &byte in words.remainder() {
            digest = mix(digest ^ u64::from(byte));
        }
    }
    digest
}

/// One round of a hash: every bit of `number` changes the upper half of the result.
const fn mix(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn different_texts_have_different_digests() {
        let text: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        let same = digest(1, &text);
        assert_eq!(digest(1, &text), same);
        assert_ne!(digest(2, &text), same);
        assert_ne!(digest(1, &text[1..]), same);
        assert_ne!(digest(1, &text[..9999]), same);
        for at in [0, 7, 511, 9488, 9999] {
            let mut other = text.clone();
            other[at] ^= 1;
            assert_ne!(digest(1, &other), same, "{at}");
        }
        assert_ne!(digest(0, b"a\n"), digest(0, b"b\n"));
    }

    #[test]
    fn pipes_differ_by_inode_and_boot() {
        assert_ne!(pipe_id(b"boot", 1), pipe_id(b"boot", 2));
        assert_ne!(pipe_id(b"boot", 1), pipe_id(b"toob", 1));
    }
}
