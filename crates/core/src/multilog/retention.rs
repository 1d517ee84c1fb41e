//! The choice of the old files that an output directory removes.

use super::file_name::{AGE_LEN, OldFileName};
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::mem;

/// The limits for old files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Number of files, `current` included.
    pub files: u64,
    /// Total size of the old files in bytes.
    pub total: Option<u64>,
    /// The newest old file, which stays whatever the limits are.
    pub newest: Option<OldFileName>,
}

/// Number of names that a selection has in memory. Another user may put any number of names into a
/// directory.
const MOST_NAMES: usize = 1024;

/// The selection of the old files to remove so that the rest satisfies a [`Retention`], oldest
/// first. The caller passes over the names of the directory until the selection is complete.
///
/// The first 25 bytes of a name give the age.
#[derive(Debug)]
pub struct Selection<'a> {
    retention: &'a Retention,
    /// The text of [`Retention::newest`].
    newest: Option<&'a [u8]>,
    /// Number of old files that are not selected; complete after the first pass.
    count: u64,
    /// Their total size in bytes, if the retention limits it.
    total: u64,
    is_first_pass: bool,
    /// The name that was selected last. The next pass selects later ones.
    last: Option<Vec<u8>>,
    /// The oldest names of this pass, with their sizes; the latest of them is the first to go.
    oldest: BinaryHeap<(Vec<u8>, u64)>,
    is_complete: bool,
}

impl<'a> Selection<'a> {
    /// Begins a selection. `newest` is the text of [`Retention::newest`].
    #[must_use]
    pub const fn new(retention: &'a Retention, newest: Option<&'a [u8]>) -> Self {
        Self {
            retention,
            newest,
            count: 0,
            total: 0,
            is_first_pass: true,
            last: None,
            oldest: BinaryHeap::new(),
            is_complete: false,
        }
    }

    /// Takes a name of the directory. Calls `size`, which returns the size of the file in bytes,
    /// only if the retention limits the total.
    pub fn add(&mut self, name: &[u8], size: impl Fn() -> u64) {
        if name.first() != Some(&b'@') || name.len() < AGE_LEN {
            return;
        }
        let mut known = self.retention.total.is_none().then_some(0);
        if self.is_first_pass {
            self.count += 1;
            self.total = self.total.saturating_add(*known.get_or_insert_with(&size));
        }
        let is_later = |than: &[u8]| name > than;
        let is_selected = self.last.as_deref().is_some_and(|last| !is_later(last));
        let is_full = self.oldest.len() >= MOST_NAMES;
        let is_too_late = is_full && self.oldest.peek().is_some_and(|(last, _)| is_later(last));
        if self.newest == Some(name) || is_selected || is_too_late {
            return;
        }
        if is_full {
            self.oldest.pop();
        }
        self.oldest.push((name.to_vec(), known.unwrap_or_else(size)));
    }

    /// Ends a pass; returns the names to remove, oldest first.
    pub fn end_pass(&mut self) -> Vec<Vec<u8>> {
        self.is_first_pass = false;
        self.is_complete = self.oldest.len() < MOST_NAMES;
        let mut selected = Vec::new();
        for (name, size) in mem::take(&mut self.oldest).into_sorted_vec() {
            let too_many = self.count >= self.retention.files.max(1);
            let too_large = self.retention.total.is_some_and(|limit| self.total > limit);
            if !too_many && !too_large {
                self.is_complete = true;
                break;
            }
            self.count = self.count.saturating_sub(1);
            self.total = self.total.saturating_sub(size);
            selected.push(name);
        }
        self.last = selected.last().cloned();
        selected
    }

    /// Whether no further pass is necessary.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
