//! The environment that a program is to get.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::envdir::{self, Setting};
use daemontools_sys::process::Strings;
use daemontools_sys::{AsFd as _, Errno, Result, dir, fd, fs};

/// Entries of the form `name=value`.
#[derive(Default)]
pub(crate) struct Environment(Vec<CString>);

impl Environment {
    /// Sets a variable. Names and values cannot hold NULs; one that does is left out.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        if let Ok(entry) = CString::new([name, b"=", value].concat()) {
            self.0.push(entry);
        }
    }

    /// Removes a variable.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.0.retain(|entry| split(entry).is_none_or(|(its, _)| its != name));
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().filter_map(|entry| split(entry)).find(|(its, _)| *its == name).map(|(_, v)| v)
    }

    /// For exec.
    pub(crate) fn strings(&self) -> Strings<'_> {
        let entries: Vec<&CStr> = self.0.iter().map(CString::as_c_str).collect();
        Strings::of(&entries)
    }

    /// Changes the environment as an environment directory says: the current directory.
    ///
    /// # Errors
    /// What reading the directory or a file in it says; with the name of the file.
    pub(crate) fn apply_current_dir(&mut self) -> core::result::Result<(), (Vec<u8>, Errno)> {
        let mut trouble = None;
        dir::names(|name| {
            if trouble.is_some() {
                return;
            }
            match read_whole(name) {
                // Gone since the directory was read, or a dangling link: not there.
                Err(Errno::NOENT) => {}
                Err(error) => trouble = Some((name.to_bytes().to_vec(), error)),
                Ok(text) => match envdir::parse(&text) {
                    Setting::Remove => self.remove(name.to_bytes()),
                    Setting::Set(value) => self.set(name.to_bytes(), &value),
                },
            }
        })
        .map_err(|error| (Vec::new(), error))?;
        trouble.map_or(Ok(()), Err)
    }
}

fn split(entry: &CStr) -> Option<(&[u8], &[u8])> {
    let entry = entry.to_bytes();
    let at = entry.iter().position(|&c| c == b'=')?;
    Some((entry.get(..at)?, entry.get(at + 1..)?))
}

fn read_whole(path: &CStr) -> Result<Vec<u8>> {
    let file = fs::open_read(fs::HERE, path)?;
    let mut text = Vec::new();
    let mut part = [0; 1024];
    loop {
        match fd::read(file.as_fd(), &mut part)? {
            0 => return Ok(text),
            n => text.extend_from_slice(part.get(..n).unwrap_or_default()),
        }
    }
}
