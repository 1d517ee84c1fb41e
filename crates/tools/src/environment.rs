//! The environment that a program is to get.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::envdir::{self, Setting};
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, dir, fd, fs};

/// Entries of the form `name=value`, in the order in which the original would leave them: what
/// is removed is replaced by the last one, what is set is appended.
pub(crate) struct Environment {
    entries: Vec<Cow<'static, CStr>>,
    /// Every variable with the places of its entries, of which inherited ones may have several: to
    /// look through all entries for each of a hundred thousand settings would take half a minute.
    places: BTreeSet<(Name, usize)>,
}

/// A variable's name: part of an inherited entry, or a copy.
type Name = Cow<'static, [u8]>;

/// What of an environment directory could not be read: the file, or nothing for the directory
/// itself, and the error.
pub(crate) struct Unreadable(pub(crate) Vec<u8>, pub(crate) Errno);

impl Environment {
    /// No variables.
    pub(crate) const fn empty() -> Self {
        Self { entries: Vec::new(), places: BTreeSet::new() }
    }

    /// Our own.
    pub(crate) fn own() -> Self {
        let mut own = Self::empty();
        process::environ().for_each(|entry| own.push(Cow::Borrowed(entry)));
        own
    }

    /// Sets a variable. As in the original the key is what stands before the first equal sign of
    /// `name=value`, should the name have one itself. What has a NUL in it is left out.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        if let Ok(entry) = CString::new([name, b"=", value].concat()) {
            self.remove(key(entry.to_bytes()).unwrap_or_default());
            self.push(Cow::Owned(entry));
        }
    }

    /// Removes a variable. A name with an equal sign in it sets one instead: the observed way of
    /// the original.
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
            self.places.insert((name, self.entries.len()));
        }
        self.entries.push(entry);
    }

    /// Removes all entries of a variable, the first one first.
    fn remove(&mut self, name: &[u8]) {
        let mut wanted = (Cow::Owned(name.to_vec()), 0);
        while let Some(at) = self.first_place(&wanted) {
            wanted.1 = at;
            self.places.remove(&wanted);
            self.entries.swap_remove(at);
            // The last entry has come into this place, if it was not the last one itself.
            let from = self.entries.len();
            if let Some(name) = self.entries.get(at).and_then(name_of) {
                let moved = (name, from);
                self.places.remove(&moved);
                self.places.insert((moved.0, at));
            }
        }
    }

    /// The first place of a variable that is not before the given one.
    fn first_place(&self, wanted: &(Name, usize)) -> Option<usize> {
        let (name, at) = self.places.range(wanted..).next()?;
        (*name == wanted.0).then_some(*at)
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries.iter().find_map(|entry| {
            entry.to_bytes().strip_prefix(name).and_then(|rest| rest.strip_prefix(b"="))
        })
    }

    /// For exec.
    pub(crate) fn strings(&self) -> Strings<'_> {
        Strings::of(self.entries.iter().map(AsRef::as_ref))
    }

    /// Changes the environment as an environment directory says, with `prefix` before each name.
    ///
    /// # Errors
    /// The files that could not be read, in the order of the directory; what the others say has
    /// been done.
    pub(crate) fn apply_dir(
        &mut self,
        dir: BorrowedFd<'_>,
        prefix: &[u8],
    ) -> core::result::Result<(), Vec<Unreadable>> {
        let mut troubles = Vec::new();
        let listed = dir::names(dir, |name| {
            match read_first_line(dir, name) {
                // Gone since the directory was read, or a dangling link: not there.
                Err(Errno::NOENT) => {}
                Err(error) => troubles.push(Unreadable(name.to_bytes().to_vec(), error)),
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
            troubles.push(Unreadable(Vec::new(), error));
        }
        if troubles.is_empty() { Ok(()) } else { Err(troubles) }
    }
}

/// What stands before the first equal sign; an entry without one is no variable.
fn key(entry: &[u8]) -> Option<&[u8]> {
    entry.get(..entry.iter().position(|&c| c == b'=')?)
}

/// The name of an entry's variable, copied only if the entry is a copy itself.
#[expect(clippy::ptr_arg, reason = "a borrowed entry outlives this, an owned one does not")]
fn name_of(entry: &Cow<'static, CStr>) -> Option<Name> {
    Some(match entry {
        Cow::Borrowed(entry) => Cow::Borrowed(key(entry.to_bytes())?),
        Cow::Owned(entry) => Cow::Owned(key(entry.to_bytes())?.to_vec()),
    })
}

/// Reads a file as far as it can matter: to the end of its first line.
fn read_first_line(dir: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>> {
    let file = fs::open_read(dir, name)?;
    read_until(file.as_fd(), |part| part.contains(&b'\n'))
}

/// Reads a whole file.
///
/// # Errors
/// What opening or reading says.
pub(crate) fn read_whole(path: &CStr) -> Result<Vec<u8>> {
    let file = fs::open_read(fs::HERE, path)?;
    read_until(file.as_fd(), |_| false)
}

/// Reads to the end of a file, or to the end of a part which is `enough`.
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
