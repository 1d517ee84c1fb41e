//! Lines of one length, so that each can be overwritten in place.

/// A line of `N` bytes: a text, spaces, and a newline. Bytes that do not fit are left out.
pub(super) struct PaddedLine<const N: usize> {
    text: [u8; N],
    used: usize,
}

impl<const N: usize> PaddedLine<N> {
    pub(super) const fn new() -> Self {
        Self { text: [b' '; N], used: 0 }
    }

    /// Adds bytes to the text.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.text.iter_mut().take(N.saturating_sub(1)).skip(self.used);
        for (place, byte) in room.zip(bytes) {
            *place = *byte;
            self.used += 1;
        }
    }

    /// Adds a space and `word`, or nothing if they do not fit.
    pub(super) fn push_if_fits(&mut self, word: &[u8]) {
        if self.used + 1 + word.len() < N {
            self.push(b" ");
            self.push(word);
        }
    }

    /// Adds ` key=value`.
    pub(super) fn pair(&mut self, key: &[u8], value: &[&[u8]]) {
        for part in [b" ", key, b"="] {
            self.push(part);
        }
        for part in value {
            self.push(part);
        }
    }

    /// The whole line.
    pub(super) const fn finish(mut self) -> [u8; N] {
        if let Some(last) = self.text.last_mut() {
            *last = b'\n';
        }
        self.text
    }
}
