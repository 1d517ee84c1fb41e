//! Where the links in the scan directory lead to: a directory can be replaced behind a link that
//! stays the same.

use crate::paths::PATH_MAX;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::ffi::CString;
use core::ffi::CStr;
use daemontools_sys::watch::{Change, Watch};
use daemontools_sys::{BorrowedFd, Errno, Result, fs};

/// The directories in which the targets are, watched; and the targets' names there.
pub(super) struct Targets {
    watch: Watch,
    parents: BTreeSet<CString>,
    names: BTreeSet<Box<[u8]>>,
}

impl Targets {
    /// Of no links so far.
    ///
    /// # Errors
    /// EMFILE and ENFILE when there are no more descriptors, ENOSYS without inotify.
    pub(super) fn new() -> Result<Self> {
        let watch = Watch::new()?;
        Ok(Self { watch, parents: BTreeSet::new(), names: BTreeSet::new() })
    }

    /// Notes where a name in the current directory leads to, if it is a link.
    ///
    /// # Errors
    /// When that cannot be watched.
    #[inline(never)]
    pub(super) fn note(&mut self, name: &CStr) -> Result<()> {
        let mut room = [0; PATH_MAX];
        let Ok(target) = fs::readlink(fs::HERE, name, &mut room) else {
            return Ok(());
        };
        let end = target.iter().rposition(|&c| c != b'/').map_or(0, |last| last + 1);
        let target = target.get(..end).unwrap_or_default();
        let start = target.iter().rposition(|&c| c == b'/').map_or(0, |slash| slash + 1);
        let (parent, last) = target.split_at(start);
        if !self.names.contains(last) {
            self.names.insert(last.into());
        }
        let parent =
            CString::new(if parent.is_empty() { b"." } else { parent }).unwrap_or_default();
        if !self.parents.contains(&parent) {
            match self.watch.add_names(&parent) {
                Ok(_) => {
                    self.parents.insert(parent);
                }
                // The link leads nowhere, and is looked at again because of that.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// All links are looked at anew.
    pub(super) fn begin_scan(&mut self) {
        self.names.clear();
    }

    /// Whether one of the targets has come, gone or been replaced.
    pub(super) fn have_changed(&self) -> bool {
        let mut changed = false;
        self.watch.changes(|change| match change {
            Change::Came(name) | Change::Went(name) => {
                changed |= self.names.contains(name.to_bytes());
            }
            Change::Lost => changed = true,
        });
        changed
    }

    /// To wait for, until it is readable.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.watch.fd()
    }
}
