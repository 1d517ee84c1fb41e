//! The option files of a service directory, as supervise reads them.

use crate::{ServiceDir, regular_file};
use daemontools_core::options::{Lookalike, OptionFile, ServiceOptions};
use daemontools_core::sorting::sort;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// More than supervise reads of an option file.
const LIMIT: u64 = 64 * 1024;

impl ServiceDir {
    /// The names of the services that this one needs: its file `needs`. Empty without that file.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for a mistake in it, with the message of supervise; the errors of
    /// reading.
    pub fn needs(&self) -> io::Result<Vec<OsString>> {
        let mut options = ServiceOptions::default();
        if let Some(text) = self.option_text(OptionFile::Needs)? {
            options.read(OptionFile::Needs, &text).map_err(|error| invalid(&error.message()))?;
        }
        Ok(options.needs.into_iter().map(|need| OsString::from_vec(need.name.into_vec())).collect())
    }

    /// The mistakes in option files, each as the message of supervise. A file that cannot be read is
    /// one as well.
    #[must_use]
    pub fn option_mistakes(&self) -> Vec<String> {
        let mut options = ServiceOptions::default();
        let mistake = |file: OptionFile| match self.option_text(file) {
            Ok(None) => None,
            Ok(Some(text)) => {
                let error = options.read(file, &text).err()?;
                Some(String::from_utf8_lossy(&error.message()).into_owned())
            }
            Err(error) => Some(format!("{}: {error}", file.name())),
        };
        OptionFile::ALL.into_iter().filter_map(mistake).collect()
    }

    /// The files whose names look like those of option files, and have no effect: each with the name
    /// that is meant, or `None` for an option file that supervise does not know. Empty if the directory
    /// cannot be read.
    #[must_use]
    pub fn option_lookalikes(&self) -> Vec<(OsString, Option<&'static str>)> {
        let Ok(entries) = std::fs::read_dir(self.path()) else { return Vec::new() };
        let files = entries.flatten().filter(|entry| !entry.path().is_dir());
        let mut found: Vec<_> = files
            .filter_map(|entry| {
                let name = entry.file_name();
                let right = option_lookalike(&name)?;
                Some((name, right))
            })
            .collect();
        sort(&mut found);
        found
    }

    /// The program and the arguments of the file `command`, if it counts: if there is no `run`, and no mistake
    /// in it.
    #[must_use]
    pub fn command(&self) -> Option<Vec<CString>> {
        if self.path().join("run").symlink_metadata().is_ok() {
            return None;
        }
        let text = self.option_text(OptionFile::Command).ok()??;
        let mut options = ServiceOptions::default();
        options.read(OptionFile::Command, &text).ok()?;
        options.command
    }

    /// The text of an option file; `None` without the file, and for a directory of that name.
    fn option_text(&self, file: OptionFile) -> io::Result<Option<Vec<u8>>> {
        match regular_file::read(&self.path().join(file.name()), LIMIT) {
            Err(error) if is_missing(&error) => Ok(None),
            read => read,
        }
    }
}

/// The names of the option files, in their order.
pub fn option_file_names() -> impl Iterator<Item = &'static str> {
    OptionFile::ALL.into_iter().map(OptionFile::name)
}

/// The mistake in a text that is to become the option file `name`, as the message of supervise. `None`
/// for a text without a mistake, and for a name that is not one of [`option_file_names`].
///
/// ```
/// assert_eq!(servicedir::option_mistake("timeout-kill", b"5s\n"), None);
/// assert!(servicedir::option_mistake("timeout-kill", b"soon\n").is_some());
/// ```
#[must_use]
pub fn option_mistake(name: &str, text: &[u8]) -> Option<String> {
    let file = OptionFile::named(name.as_bytes())?;
    let error = ServiceOptions::default().read(file, text).err()?;
    Some(String::from_utf8_lossy(&error.message()).into_owned())
}

/// What a name looks like that is not one of [`option_file_names`]: the option file that is meant, or
/// `Some(None)` for an option file that supervise does not know. `None` for the name of another file.
///
/// ```
/// assert_eq!(servicedir::option_lookalike("timeout_kill".as_ref()), Some(Some("timeout-kill")));
/// assert_eq!(servicedir::option_lookalike("flag-newpidns".as_ref()), Some(None));
/// assert_eq!(servicedir::option_lookalike("README".as_ref()), None);
/// ```
#[must_use]
pub fn option_lookalike(name: &OsStr) -> Option<Option<&'static str>> {
    Some(match Lookalike::of(name.as_bytes())? {
        Lookalike::Of(file) => Some(file.name()),
        Lookalike::Unknown => None,
    })
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn invalid(message: &[u8]) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, String::from_utf8_lossy(message).into_owned())
}
