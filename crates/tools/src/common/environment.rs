//! The environment of the next program.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::loaders::envdir::{self, Setting};
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, dir, fd, fs};

/// A list of entries `name=value`.
///
/// Its order is the original's: the last entry takes the place of a removed one, and a new one is
/// appended.
pub(crate) struct Environment {
    entries: Vec<Cow<'static, CStr>>,
    /// Every variable with the indices of its entries. Inherited variables may have several.
    /// A linear search for each of 100,000 settings would take half a minute.
    indices: BTreeSet<(Name, usize)>,
}

/// The name of a variable: a part of an inherited entry, or a copy.
type Name = Cow<'static, [u8]>;

/// A file of an environment directory that cannot be read, and the error. An empty name is the
/// directory itself.
pub(crate) struct Unreadable(pub(crate) Vec<u8>, pub(crate) Errno);

impl Environment {
    /// No variables.
    pub(crate) const fn empty() -> Self {
        Self { entries: Vec::new(), indices: BTreeSet::new() }
    }

    /// The environment of this process.
    pub(crate) fn own() -> Self {
        let mut own = Self::empty();
        process::environ().for_each(|entry| own.push(Cow::Borrowed(entry)));
        own
    }

    /// Sets a variable; nothing if the name or the value has a NUL.
    ///
    /// As in the original, a name with an equal sign sets the variable before that sign.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        if let Ok(entry) = CString::new([name, b"=", value].concat()) {
            self.remove(key(entry.to_bytes()).unwrap_or_default());
            self.push(Cow::Owned(entry));
        }
    }

    /// Removes a variable. As in the original, a name with an equal sign sets the variable before
    /// that sign instead.
    fn unset(&mut self, name: &[u8]) {
        match name.iter().position(|&c| c == b'=') {
            None => self.remove(name),
            Some(at) => {
                let (name, value) = name.split_at(at);
                self.set(name, value.get(1..).unwrap_or_default());
            }
        }
    }

    /// Appends an entry.
    fn push(&mut self, entry: Cow<'static, CStr>) {
        if let Some(name) = name_of(&entry) {
            self.indices.insert((name, self.entries.len()));
        }
        self.entries.push(entry);
    }

    /// Removes all entries of a variable, beginning with the first.
    fn remove(&mut self, name: &[u8]) {
        let mut wanted = (Cow::Owned(name.to_vec()), 0);
        while let Some(at) = self.first_index(&wanted) {
            wanted.1 = at;
            self.indices.remove(&wanted);
            self.entries.swap_remove(at);
            // swap_remove moved the last entry to this index, unless it was the last one.
            let from = self.entries.len();
            if let Some(name) = self.entries.get(at).and_then(name_of) {
                let moved = (name, from);
                self.indices.remove(&moved);
                self.indices.insert((moved.0, at));
            }
        }
    }

    /// The first index of a variable that is not before the given one.
    fn first_index(&self, wanted: &(Name, usize)) -> Option<usize> {
        let (name, at) = self.indices.range(wanted..).next()?;
        (*name == wanted.0).then_some(*at)
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries.iter().find_map(|entry| {
            entry.to_bytes().strip_prefix(name).and_then(|rest| rest.strip_prefix(b"="))
        })
    }

    /// The entries, in the form `name=value`.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &CStr> {
        self.entries.iter().map(AsRef::as_ref)
    }

    /// The entries as an argument of exec.
    pub(crate) fn strings(&self) -> Strings<'_> {
        Strings::of(self.entries())
    }

    /// Applies an environment directory; the names of the variables begin with `prefix`.
    ///
    /// # Errors
    /// The files that could not be read, in the order of the directory. The other files are applied.
    pub(crate) fn apply_dir(
        &mut self,
        dir: BorrowedFd<'_>,
        prefix: &[u8],
    ) -> core::result::Result<(), Vec<Unreadable>> {
        let mut errors = Vec::new();
        let listed = dir::names(dir, |name| {
            match read_first_line(dir, name) {
                // A file that was removed meanwhile, or a dangling link.
                Err(Errno::NOENT) => {}
                Err(error) => errors.push(Unreadable(name.to_bytes().to_vec(), error)),
                Ok(text) => {
                    let name = [prefix, name.to_bytes()].concat();
                    match envdir::parse(&text) {
                        Setting::Set(value) => self.set(&name, &value),
                        Setting::Remove => self.unset(&name),
                    }
                }
            }
        });
        if let Err(error) = listed {
            errors.push(Unreadable(Vec::new(), error));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The name of an entry: the part before its first equal sign; `None` without one.
fn key(entry: &[u8]) -> Option<&[u8]> {
    entry.get(..entry.iter().position(|&c| c == b'=')?)
}

/// The name of an entry, copied only if the entry is a copy itself.
#[expect(clippy::ptr_arg, reason = "a borrowed entry outlives this, an owned one does not")]
fn name_of(entry: &Cow<'static, CStr>) -> Option<Name> {
    Some(match entry {
        Cow::Borrowed(entry) => Cow::Borrowed(key(entry.to_bytes())?),
        Cow::Owned(entry) => Cow::Owned(key(entry.to_bytes())?.to_vec()),
    })
}

/// Reads the beginning of a file, with at least its first line.
fn read_first_line(dir: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>> {
    let file = fs::open_read(dir, name)?;
    read_until(file.as_fd(), |part| part.contains(&b'\n'))
}

/// Reads a whole file.
///
/// # Errors
/// The error of opening or reading.
pub(crate) fn read_whole(path: &CStr) -> Result<Vec<u8>> {
    let file = fs::open_read(fs::HERE, path)?;
    read_until(file.as_fd(), |_| false)
}

/// Reads a file to its end, or until `enough` accepts the part that was read last.
fn read_until(file: BorrowedFd<'_>, enough: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut room = [0; 512];
    loop {
        let n = fd::read(file, &mut room)?;
        let part = room.get(..n).unwrap_or_default();
        text.extend_from_slice(part);
        if n == 0 || enough(part) {
            return Ok(text);
        }
    }
}
