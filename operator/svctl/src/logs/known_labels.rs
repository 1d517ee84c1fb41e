//! Which finished files of a directory were seen already.

use daemontools_core::time::tai::Tai64n;
use std::collections::BTreeSet;

/// The most labels that are kept. A directory with more files has many old ones that nothing
/// distinguishes any more.
const MOST: usize = 1024;

/// The labels of the finished files that were seen.
#[derive(Debug, Default)]
pub(crate) struct KnownLabels {
    newest: BTreeSet<Tai64n>,
    /// All labels up to this one are known too.
    older: Option<Tai64n>,
}

impl KnownLabels {
    /// Adds a label. Returns whether it is new.
    pub(crate) fn insert(&mut self, label: Tai64n) -> bool {
        if self.contains(label) {
            return false;
        }
        self.newest.insert(label);
        if self.newest.len() > MOST {
            self.older = self.newest.pop_first();
        }
        true
    }

    /// The newest label.
    pub(crate) fn newest(&self) -> Option<Tai64n> {
        self.newest.last().copied()
    }

    pub(crate) fn contains(&self, label: Tai64n) -> bool {
        self.older >= Some(label) || self.newest.contains(&label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_new_once() {
        let label = |seconds| Tai64n::from_unix(seconds, 0);
        let mut known = KnownLabels::default();
        assert!(!known.contains(label(0)));
        for seconds in 0..5000 {
            // Every second label comes late.
            assert!(known.insert(label(seconds ^ 1)), "{seconds}");
            assert!(!known.insert(label(seconds ^ 1)), "{seconds}");
        }
        assert!((0..5000).all(|seconds| known.contains(label(seconds))));
        assert!(known.newest.len() <= MOST);
        assert!(!known.contains(label(5000)));
    }
}
