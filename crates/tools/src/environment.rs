//! The environment that a program is to get.

use alloc::borrow::Cow;
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
    /// The entries before this number are those we began with, and may have any name.
    inherited: usize,
}

/// Why an environment directory could not be read: the file, or nothing for the directory itself,
/// and the error.
pub(crate) struct Unreadable(pub(crate) Vec<u8>, pub(crate) Errno);

impl Environment {
    /// No variables.
    pub(crate) const fn empty() -> Self {
        Self { entries: Vec::new(), inherited: 0 }
    }

    /// Our own.
    pub(crate) fn own() -> Self {
        let entries: Vec<_> = process::environ().map(Cow::Borrowed).collect();
        Self { inherited: entries.len(), entries }
    }

    /// Sets a variable. As in the original the key is what stands before the first equal sign of
    /// `name=value`, should the name have one itself. What has a NUL in it is left out.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        // A name that was set before is one of our own entries.
        self.set_among(name, value, self.entries.len());
    }

    /// The same where an older entry can only be among the first `end`.
    fn set_among(&mut self, name: &[u8], value: &[u8], end: usize) {
        if let Ok(entry) = CString::new([name, b"=", value].concat()) {
            self.remove_among(key(entry.to_bytes()).unwrap_or_default(), end);
            self.entries.push(Cow::Owned(entry));
        }
    }

    /// Removes a variable, all entries of it, which can only be among the first `end`. A name with
    /// an equal sign in it sets one instead: the observed way of the original.
    fn unset_among(&mut self, name: &[u8], end: usize) {
        match name.iter().position(|&c| c == b'=') {
            None => self.remove_among(name, end),
            Some(at) => {
                let (name, value) = name.split_at(at);
                self.set_among(name, value.get(1..).unwrap_or_default(), end);
            }
        }
    }

    /// Removes all entries with this key among the first `end`.
    fn remove_among(&mut self, wanted: &[u8], mut end: usize) {
        let mut at = 0;
        while at < end {
            if self.entries.get(at).is_some_and(|entry| key(entry.to_bytes()) == Some(wanted)) {
                self.entries.swap_remove(at);
                self.inherited = self.inherited.min(self.entries.len());
                end = end.min(self.entries.len());
            } else {
                at += 1;
            }
        }
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
    /// The first file that could not be read; what came before it has been done.
    pub(crate) fn apply_dir(
        &mut self,
        dir: BorrowedFd<'_>,
        prefix: &[u8],
    ) -> core::result::Result<(), Unreadable> {
        let mut trouble = None;
        self.inherited = self.entries.len();
        // Names in a directory are different ones, so that what was set here need not be looked
        // through again: a hundred thousand files take a moment and not a minute.
        let mut odd_names = prefix.contains(&b'=');
        dir::names(dir, |name| {
            if trouble.is_some() {
                return;
            }
            match read_first_line(dir, name) {
                // Gone since the directory was read, or a dangling link: not there.
                Err(Errno::NOENT) => {}
                Err(error) => trouble = Some(Unreadable(name.to_bytes().to_vec(), error)),
                Ok(text) => {
                    odd_names |= name.to_bytes().contains(&b'=');
                    let name = [prefix, name.to_bytes()].concat();
                    let end = if odd_names { self.entries.len() } else { self.inherited };
                    match envdir::parse(&text) {
                        Setting::Set(value) => self.set_among(&name, &value, end),
                        Setting::Remove => self.unset_among(&name, end),
                    }
                }
            }
        })
        .map_err(|error| Unreadable(Vec::new(), error))?;
        trouble.map_or(Ok(()), Err)
    }
}

/// What stands before the first equal sign; an entry without one is no variable.
fn key(entry: &[u8]) -> Option<&[u8]> {
    entry.get(..entry.iter().position(|&c| c == b'=')?)
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
