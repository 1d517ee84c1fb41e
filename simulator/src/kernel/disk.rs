//! What a loss of power leaves of the files.
//!
//! The disk has what was synced, and of the changes since then a part that the file system decides. Changes of
//! names, modes and sizes are in a log, and the first ones of it survive. The size of a file grows only with its
//! text: a file has what was synced, and a part of what was written after that.

use super::files::{Content, Inode};
use super::tree::{InodeNumber, ROOT};
use super::{Kernel, Pid, Result};
use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};

/// What fsync(2) brings to disk besides the text and the mode of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// All changes of names and modes so far, because the file system has one journal.
    Ext4,
    /// The changes of names and modes before the last one of this file.
    Xfs,
    /// Nothing: the names of a directory need an fsync of that directory. As POSIX demands, and about as btrfs does.
    /// A part of a file that was not synced can be zeros.
    Posix,
}

/// A change that is not yet on disk.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A new inode.
    Made(InodeNumber, Inode),
    /// Names in directories, each with its new inode, and the inodes whose names change.
    Names(Vec<(InodeNumber, Vec<u8>, Option<InodeNumber>)>, Vec<InodeNumber>),
    /// The permissions of an inode.
    Mode(InodeNumber, u32),
    /// A file is shortened.
    Size(InodeNumber, usize),
    /// Text at a place of a file.
    Write(InodeNumber, usize, Vec<u8>),
}

/// A disk.
pub(crate) struct Disk {
    kind: FileSystem,
    /// What is on disk.
    kept: BTreeMap<InodeNumber, Inode>,
    /// The later changes, in order.
    changes: Vec<Change>,
}

/// Performs a change. Text that is written as `without_size` does not make its file longer.
fn apply(inodes: &mut BTreeMap<InodeNumber, Inode>, change: &Change, without_size: bool) {
    match change {
        Change::Made(number, inode) => {
            inodes.entry(*number).or_insert_with(|| inode.clone());
        }
        Change::Names(names, _) => {
            for (directory, name, number) in names {
                if let Some(Content::Directory { entries, .. }) =
                    inodes.get_mut(directory).map(|inode| &mut inode.content)
                {
                    match number {
                        Some(number) => entries.insert(name.clone(), *number),
                        None => entries.remove(name),
                    };
                }
            }
        }
        Change::Mode(number, mode) => {
            if let Some(inode) = inodes.get_mut(number) {
                inode.mode = *mode;
            }
        }
        Change::Size(number, size) => {
            if let Some(Content::File(bytes)) = inodes.get_mut(number).map(|it| &mut it.content) {
                bytes.resize(*size, 0);
            }
        }
        Change::Write(number, start, text) => {
            if let Some(Content::File(bytes)) = inodes.get_mut(number).map(|it| &mut it.content) {
                let end = start + text.len();
                if bytes.len() < end && !without_size {
                    bytes.resize(end, 0);
                }
                let end = end.min(bytes.len());
                if *start < end {
                    bytes[*start..end].copy_from_slice(&text[..end - start]);
                }
            }
        }
    }
}

impl Disk {
    fn note(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// fsync(2) of a file or directory.
    fn sync(&mut self, number: InodeNumber) {
        let touches = |change: &Change| match change {
            Change::Made(inode, _) | Change::Mode(inode, _) | Change::Size(inode, _) => {
                *inode == number
            }
            Change::Names(names, inodes) => {
                inodes.contains(&number) || names.iter().any(|name| name.0 == number)
            }
            Change::Write(..) => false,
        };
        // Of names and modes, so many changes are on disk afterwards.
        let all = match self.kind {
            FileSystem::Ext4 => self.changes.len(),
            FileSystem::Xfs => self.changes.iter().rposition(touches).map_or(0, |at| at + 1),
            FileSystem::Posix => 0,
        };
        let is_of_directory = |change: &Change| matches!(change, Change::Names(names, _) if names.iter().any(|name| name.0 == number));
        let named: BTreeSet<InodeNumber> = self
            .changes
            .iter()
            .filter(|change| is_of_directory(change))
            .flat_map(|change| match change {
                Change::Names(_, inodes) => inodes.clone(),
                _ => Vec::new(),
            })
            .collect();
        let mut rest: Vec<Change> = Vec::new();
        for (at, change) in std::mem::take(&mut self.changes).into_iter().enumerate() {
            let is_synced = match &change {
                Change::Write(inode, ..) => *inode == number,
                _ if at < all => true,
                Change::Made(inode, _) => *inode == number || named.contains(inode),
                Change::Mode(inode, _) | Change::Size(inode, _) => *inode == number,
                Change::Names(..) => is_of_directory(&change),
            };
            if !is_synced {
                rest.push(change);
                continue;
            }
            apply(&mut self.kept, &change, false);
            if let Change::Size(inode, _) = change {
                rest.retain(|it| !matches!(it, Change::Write(other, ..) if *other == inode));
            }
        }
        self.changes = rest;
    }

    /// The files after a loss of power, which are then on disk.
    fn lose_power(&mut self, random: &mut Random) -> BTreeMap<InodeNumber, Inode> {
        let changes = std::mem::take(&mut self.changes);
        let mut choose = |most: usize| match random.below(4) {
            0 => 0,
            1 => most,
            _ => usize::try_from(random.below(most as u64 + 1)).unwrap_or(0),
        };
        let all = choose(changes.len());
        // The last change after which each file was written.
        let mut written: BTreeMap<InodeNumber, usize> = BTreeMap::new();
        // At most one place of a file, so that the rest can be recognised.
        let mut zeros = BTreeMap::new();
        let mut blocked = BTreeSet::new();
        for (at, change) in changes.iter().enumerate() {
            let Change::Write(number, start, text) = change else {
                if at < all {
                    apply(&mut self.kept, change, false);
                } else if let Change::Size(number, _) = change {
                    blocked.insert(*number);
                }
                continue;
            };
            let end = *written.entry(*number).or_insert_with(|| choose(changes.len()));
            if blocked.contains(number) {
                continue;
            }
            if at < end {
                apply(&mut self.kept, change, at >= all);
                if self.kind == FileSystem::Posix && at < all && choose(8) == 7 {
                    zeros.entry(*number).or_insert((*start, text.len()));
                }
                continue;
            }
            let text = text[..choose(text.len())].to_vec();
            apply(&mut self.kept, &Change::Write(*number, *start, text), at >= all);
            blocked.insert(*number);
        }
        for (number, (start, length)) in zeros {
            apply(&mut self.kept, &Change::Write(number, start, vec![0; length]), true);
        }
        self.forget_unnamed();
        self.kept.clone()
    }

    /// Removes inodes without a name, and counts the names of the others.
    fn forget_unnamed(&mut self) {
        let mut links: BTreeMap<InodeNumber, u32> = BTreeMap::from([(ROOT, 1)]);
        let mut found = vec![ROOT];
        while let Some(number) = found.pop() {
            let Some(Content::Directory { entries, .. }) =
                self.kept.get_mut(&number).map(|it| &mut it.content)
            else {
                continue;
            };
            for inode in entries.values() {
                let count = links.entry(*inode).or_default();
                *count += 1;
                if *count == 1 {
                    found.push(*inode);
                }
            }
        }
        self.kept.retain(|number, inode| {
            inode.links = links.get(number).copied().unwrap_or(0);
            (inode.opens, inode.locks) = (0, Vec::new());
            inode.links > 0
        });
        let known: BTreeSet<InodeNumber> = self.kept.keys().copied().collect();
        for inode in self.kept.values_mut() {
            if let Content::Directory { entries, .. } = &mut inode.content {
                entries.retain(|_, number| known.contains(number));
            }
        }
    }
}

impl Kernel {
    /// From now on the power can fail; all files so far are on disk.
    pub fn use_disk(&mut self, kind: FileSystem) {
        let mut disk = Disk { kind, kept: self.inodes.clone(), changes: Vec::new() };
        disk.forget_unnamed();
        self.disk = Some(disk);
    }

    /// Notes a change that is not yet on disk.
    pub(crate) fn note(&mut self, change: impl FnOnce() -> Change) {
        if let Some(disk) = &mut self.disk {
            disk.note(change());
        }
    }

    /// fsync(2) and fdatasync(2).
    pub(crate) fn sync(&mut self, pid: Pid, fd: usize) -> Result<usize> {
        let number = self.inode_of(pid, fd)?;
        if let Some(disk) = &mut self.disk {
            disk.sync(number);
        }
        Ok(0)
    }

    /// Cuts the power and starts again: all processes and pipes are gone, and of the files remains what
    /// was on disk. Without a disk, all files remain.
    pub fn cut_power(&mut self, random: &mut Random) {
        const FIRST: u64 = 1_000_000_000;
        self.processes.clear();
        self.lock_takers.clear();
        self.open_files.clear();
        self.pids.start_again();
        if let Some(disk) = &mut self.disk {
            self.inodes = disk.lose_power(random);
        }
        self.boots += 1;
        let boot_id = format!("00000000-0000-4000-8000-{:012}\n", self.boots);
        let place = self.walk(ROOT, super::BOOT_ID.as_bytes(), true, 0).ok();
        let number = place.and_then(|place| place.found).expect("the file of the boot's id");
        let inode = self.inodes.get_mut(&number).expect("a file with a name");
        inode.content = Content::File(boot_id.into_bytes());
        // The monotonic clock begins again; the wall clock goes on.
        self.wall = self.wall_time() - FIRST;
        self.now = FIRST;
        self.power_failed = false;
        self.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in `/d` after losses of power that differ by their seed.
    fn left(kind: FileSystem, sync: impl Fn(&mut Disk)) -> BTreeSet<Vec<String>> {
        let mut results = BTreeSet::new();
        for seed in 0..200 {
            let mut kernel = Kernel::new(&[]);
            let directory = kernel.make_directory("/d");
            kernel.use_disk(kind);
            kernel.make_file("/d/a", b"");
            let a = kernel.walk(ROOT, b"/d/a", true, 0).ok().and_then(|it| it.found).expect("a");
            kernel.note(|| Change::Write(a, 0, b"text".to_vec()));
            kernel.make_file("/d/b", b"");
            let disk = kernel.disk.as_mut().expect("a disk");
            assert!(matches!(disk.kept[&directory].content, Content::Directory { .. }));
            sync(disk);
            kernel.cut_power(&mut Random::new(seed));
            let names = kernel.list("/d").into_iter().map(|(name, _, inode)| {
                let Content::File(text) = &inode.content else { panic!("no file") };
                format!("{}={}", String::from_utf8_lossy(&name), String::from_utf8_lossy(text))
            });
            results.insert(names.collect());
        }
        results
    }

    #[test]
    fn what_was_not_synced_may_be_there_in_part() {
        for kind in [FileSystem::Ext4, FileSystem::Xfs] {
            let left = left(kind, |_| {});
            for wanted in [&[][..], &["a="], &["a=te"], &["a=text"], &["a=text", "b="]] {
                let wanted: Vec<String> = wanted.iter().map(|it| (*it).to_owned()).collect();
                assert!(left.contains(&wanted), "{wanted:?} {left:?}");
            }
        }
    }

    #[test]
    fn file_systems_differ_in_what_a_sync_of_a_file_includes() {
        // The inodes are numbered in order.
        let number = |disk: &Disk, n| {
            let made = disk.changes.iter().filter_map(|it| match it {
                Change::Made(number, _) => Some(*number),
                _ => None,
            });
            made.take(n).last().expect("a new file")
        };
        let synced = |kind, n| left(kind, |disk| disk.sync(number(disk, n)));
        let all = |left: &BTreeSet<Vec<String>>, n: usize| left.iter().all(|it| it.len() >= n);
        // The first file.
        let [ext4, xfs, posix] =
            [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Posix].map(|kind| synced(kind, 1));
        assert!(all(&ext4, 2) && all(&xfs, 1) && !all(&xfs, 2) && !all(&posix, 1));
        for left in [ext4, xfs, posix] {
            assert!(left.iter().flatten().all(|it| it == "a=text" || it == "b="), "{left:?}");
        }
        // The second file: the names before it, and not the text of the first file.
        let xfs = synced(FileSystem::Xfs, 2);
        assert!(all(&xfs, 2) && xfs.iter().flatten().any(|it| it == "a="), "{xfs:?}");
    }

    #[test]
    fn a_sync_of_the_directory_brings_names_to_disk_and_no_text() {
        for kind in [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Posix] {
            let left = left(kind, |disk| {
                let names = |change: &Change| match change {
                    Change::Names(names, _) => names[0].0,
                    _ => 0,
                };
                let directory = disk.changes.iter().map(names).max().unwrap_or(0);
                disk.sync(directory);
            });
            assert!(left.iter().all(|names| names.len() == 2), "{left:?}");
            assert!(left.iter().any(|names| names[0] == "a="), "{left:?}");
        }
    }

    #[test]
    fn a_file_that_was_emptied_has_its_old_text_or_a_part_of_the_new_one() {
        let mut results = BTreeSet::new();
        for seed in 0..200 {
            let mut kernel = Kernel::new(&[]);
            kernel.make_file("/a", b"old");
            kernel.use_disk(FileSystem::Ext4);
            let a = kernel.walk(ROOT, b"/a", true, 0).ok().and_then(|it| it.found).expect("a");
            kernel.note(|| Change::Size(a, 0));
            kernel.note(|| Change::Write(a, 0, b"new".to_vec()));
            kernel.cut_power(&mut Random::new(seed));
            let inode = kernel.look_up("/a").expect("a file");
            let Content::File(text) = &inode.content else { panic!("no file") };
            results.insert(text.clone());
        }
        assert!(results.contains(&b"old"[..]) && results.contains(&b"new"[..]), "{results:?}");
        assert!(results.contains(&b""[..]) && results.len() <= 5, "{results:?}");
    }
}
