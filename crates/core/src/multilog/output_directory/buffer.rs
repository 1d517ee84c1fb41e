//! The text between the router and `current`.

use alloc::vec::Vec;

/// Output buffer growth step, in bytes.
const GROWTH: usize = 128 * 1024;

/// Capacity that the buffer keeps without input, in bytes.
const SMALL: usize = 1024;

/// The text that is not yet written.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffer {
    text: Vec<u8>,
    /// Number of bytes of `text` that are written.
    written: usize,
    /// Number of bytes to drop from the following text, because an earlier logger wrote them.
    skip: u64,
}

impl Buffer {
    pub(super) const fn new() -> Self {
        Self { text: Vec::new(), written: 0, skip: 0 }
    }

    /// Drops the next `bytes` bytes of added text.
    pub(super) const fn skip(&mut self, bytes: u64) {
        self.skip = bytes;
    }

    pub(super) fn add(&mut self, text: &[u8]) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(text.len());
        self.skip -= skipped as u64;
        let text = text.get(skipped..).unwrap_or_default();
        if self.text.len() + text.len() > self.text.capacity().max(SMALL) {
            // Large steps, so that the allocator can return the memory to the system.
            self.text.reserve(GROWTH);
        }
        self.text.extend_from_slice(text);
    }

    /// The text that is not written.
    pub(super) fn rest(&self) -> &[u8] {
        self.text.get(self.written..).unwrap_or_default()
    }

    /// The length of [`Self::rest`] in bytes.
    pub(super) const fn len(&self) -> usize {
        self.text.len() - self.written
    }

    /// Notes that the first `bytes` bytes of [`Self::rest`] are written.
    pub(super) const fn advance(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Forgets the text, which is all written.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.written = 0;
    }

    pub(super) const fn is_large(&self) -> bool {
        self.text.capacity() > SMALL
    }

    /// Frees the memory of an empty buffer that is large.
    pub(super) fn shrink(&mut self) {
        if self.text.is_empty() && self.is_large() {
            self.text = Vec::new();
        }
    }
}
