//! The disk: what programs see, and what a loss of power may leave.

use super::Fault;
use daemontools_core::multilog::file_name::FileName;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A byte that a logger has written, with its number in the order of all writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Byte {
    pub(crate) number: usize,
    pub(crate) value: u8,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) data: Vec<Byte>,
    /// The data that survive a loss of power.
    pub(crate) synced: Vec<Byte>,
}

/// The names and modes in the directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// Index in [`Disk::files`] by name.
    pub(crate) names: BTreeMap<Vec<u8>, usize>,
    /// Whether a file has the mode of a complete file.
    pub(crate) complete: BTreeMap<usize, bool>,
    /// Maximum length of a file in this version: a version before a change of mode does not contain
    /// data written after that change.
    pub(crate) max_length: BTreeMap<usize, usize>,
}

/// The disk with one output directory.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) files: Vec<File>,
    /// The versions of the directory since the last sync. A program sees the last one; any of them
    /// survives a loss of power.
    pub(crate) versions: Vec<Journal>,
    /// The sync of a file also syncs the names.
    pub(crate) names_follow_files: bool,
    /// The open `current`.
    pub(crate) current: Option<usize>,
    /// Number of operations until the logger dies. The directories of one logger share it.
    pub(crate) operations_left: Rc<Cell<usize>>,
    /// The operations that fail temporarily, counted from the next one.
    pub(crate) failing: Vec<usize>,
    /// The bytes that were written to `current`, from the beginning.
    pub(crate) written: Vec<u8>,
    /// The numbers of the bytes that must survive: `current` and its name were synced.
    pub(crate) promised: Vec<usize>,
    /// The processor runs.
    pub(crate) processing: bool,
    /// The versions of the file with the batch mark.
    pub(crate) marks: Vec<Vec<u8>>,
    /// Number of losses of power.
    pub(crate) boot: u64,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            files: Vec::new(),
            versions: vec![Journal::default()],
            names_follow_files: true,
            current: None,
            operations_left: Rc::new(Cell::new(usize::MAX)),
            failing: Vec::new(),
            written: Vec::new(),
            promised: Vec::new(),
            processing: false,
            marks: Vec::new(),
            boot: 0,
        }
    }

    /// Counts an operation, which may fail.
    pub(crate) fn operation(&mut self) -> Result<(), Fault> {
        let left = self.operations_left.get().checked_sub(1).ok_or(Fault::Dead)?;
        self.operations_left.set(left);
        let fails = self.failing.contains(&0);
        self.failing.retain(|n| *n != 0);
        self.failing.iter_mut().for_each(|n| *n -= 1);
        if fails { Err(Fault::Temporary) } else { Ok(()) }
    }

    /// The version of the directory that programs see.
    pub(crate) fn journal(&self) -> &Journal {
        self.versions.last().expect("there is always a version")
    }

    pub(crate) fn find(&self, file: FileName) -> Option<usize> {
        self.journal().names.get(file.as_str().as_bytes()).copied()
    }

    pub(crate) fn is_complete(&self, file: usize) -> bool {
        self.journal().complete.get(&file) == Some(&true)
    }

    /// Changes the directory.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Journal)) {
        let mut next = Journal { max_length: BTreeMap::new(), ..self.journal().clone() };
        change(&mut next);
        self.versions.push(next);
    }

    pub(crate) fn set_mode(&mut self, file: usize, complete: bool) {
        let length = self.files[file].data.len();
        for earlier in &mut self.versions {
            let max_length = earlier.max_length.entry(file).or_insert(length);
            *max_length = length.min(*max_length);
        }
        self.change(|journal| {
            journal.complete.insert(file, complete);
        });
    }

    pub(crate) fn create(&mut self, name: FileName) -> usize {
        self.find(name).unwrap_or_else(|| {
            self.files.push(File::default());
            let file = self.files.len() - 1;
            self.change(|journal| {
                journal.names.insert(name.as_str().into(), file);
            });
            file
        })
    }

    pub(crate) fn unlink(&mut self, name: &[u8]) {
        if self.journal().names.contains_key(name) {
            self.change(|journal| {
                journal.names.remove(name);
            });
        }
    }

    /// fsync(2) of a file.
    pub(crate) fn sync(&mut self, file: usize) {
        self.files[file].synced = self.files[file].data.clone();
        let complete = self.is_complete(file);
        for version in &mut self.versions {
            version.complete.insert(file, complete);
            version.max_length.remove(&file);
        }
        if self.names_follow_files {
            self.sync_directory();
        }
    }

    /// fsync(2) of the directory.
    pub(crate) fn sync_directory(&mut self) {
        self.versions.drain(..self.versions.len() - 1);
    }

    /// Notes that `current` and its name are synced.
    pub(crate) fn promise(&mut self) {
        if let Some(current) = self.current {
            self.promised.extend(self.files[current].synced.iter().map(|byte| byte.number));
        }
    }

    /// The processor: copies `previous`, in two operations.
    pub(crate) fn run_processor(&mut self) -> Result<(), Fault> {
        let previous = self.find(FileName::Previous).expect("the processor has its input");
        let processed = self.create(FileName::Processed);
        self.files[processed].data.clear();
        self.operation()?;
        self.files[processed].data = self.files[previous].data.clone();
        self.create(FileName::NewState);
        self.operation()
    }

    /// Names and indices of the old files, oldest first.
    pub(crate) fn old_files(&self) -> Vec<(&Vec<u8>, usize)> {
        let names = self.journal().names.iter();
        names.filter(|(name, _)| name.starts_with(b"@")).map(|(name, n)| (name, *n)).collect()
    }

    /// The indices of all files with lines, oldest first. A file with two names appears once.
    pub(crate) fn log_files(&self) -> Vec<usize> {
        let mut files: Vec<usize> = Vec::new();
        // A complete `processed` has the lines of `previous`.
        let background = match (self.find(FileName::Processed), self.find(FileName::Previous)) {
            (Some(processed), _) if self.is_complete(processed) => Some(processed),
            (_, previous) => previous,
        };
        let old = self.old_files().into_iter().map(|(_, file)| file);
        for file in old.chain(background).chain(self.find(FileName::Current)) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }

    /// The bytes of all log files.
    pub(crate) fn log(&self) -> impl Iterator<Item = Byte> {
        self.log_files().into_iter().flat_map(|n| self.files[n].data.clone())
    }

    /// The directory as text, for the message of a failed test.
    pub(crate) fn listing(&self) -> String {
        let names = self.journal().names.iter().map(|(name, n)| {
            let (name, data) = (String::from_utf8_lossy(name), &self.files[*n].data);
            let head: Vec<u8> = data.iter().take(4).map(|byte| byte.value).collect();
            let (head, first) = (String::from_utf8_lossy(&head), data.first().map(|b| b.number));
            let complete = self.is_complete(*n);
            format!("{name} {} bytes {head:?} from {first:?} {complete}; ", data.len())
        });
        format!("{} written: {}", self.written.len(), names.collect::<String>())
    }
}
