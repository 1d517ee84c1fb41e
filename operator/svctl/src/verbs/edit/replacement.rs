//! The file that is edited: read with care, and replaced in one step.

use super::sessions::LIMIT;
use crate::failure::{CANNOT, Failure};
use crate::output::escape;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, fstat, fsync, open, openat,
    renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;

/// A file of a service directory, or the place of a new one.
pub(super) struct Place {
    /// The directory of the file.
    dir: OwnedFd,
    name: OsString,
    shown: String,
    text: Vec<u8>,
    /// `None` for a new file.
    found: Option<Stat>,
}

impl Place {
    /// Opens `file` below a service directory.
    pub(super) fn open(service: &Path, file: &Path) -> Result<Self, Failure> {
        let path = service.join(file);
        let shown = escape(&path.to_string_lossy());
        let what = format!("edit {shown}");
        let failure = |error: Errno| Failure::system(&what, &error.into());
        let cannot = |why: &str| Failure::new(CANNOT, format!("unable to {what}: {why}"));
        let name = file.file_name().unwrap_or_default().to_owned();
        let parent = path.parent().unwrap_or(service);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(parent, flags, Mode::empty()).map_err(failure)?;
        // Opens no device, and waits for no writer of a FIFO.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {
                return Ok(Self { dir, name, shown, text: Vec::new(), found: None });
            }
            Err(error) => return Err(failure(error)),
            Ok(found) => match rustix::fs::FileType::from_raw_mode(found.st_mode) {
                rustix::fs::FileType::RegularFile => {}
                rustix::fs::FileType::Symlink => {
                    let to = path.read_link().unwrap_or_default();
                    let to = escape(&to.to_string_lossy());
                    return Err(cannot(&format!("it is a link to {to}; edit that file")));
                }
                _ => return Err(cannot("it is not a regular file")),
            },
        }
        let opened = File::from(openat(&dir, &name, flags, Mode::empty()).map_err(failure)?);
        let found = fstat(&opened).map_err(failure)?;
        if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::RegularFile {
            return Err(cannot("it is not a regular file"));
        }
        let mut text = Vec::new();
        let read = opened.take(LIMIT + 1).read_to_end(&mut text);
        read.map_err(|error| Failure::system(&what, &error))?;
        if text.len() as u64 > LIMIT {
            return Err(cannot("it is larger than 1 MiB"));
        }
        Ok(Self { dir, name, shown, text, found: Some(found) })
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Whether its directory has a file of this name.
    pub(super) fn has_sibling(&self, name: &str) -> bool {
        statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Its path, for messages.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) const fn is_new(&self) -> bool {
        self.found.is_none()
    }

    /// Whether it is executable, or will be as a new script.
    pub(super) fn is_executable(&self) -> bool {
        self.found.is_none_or(|found| found.st_mode & 0o111 != 0)
    }

    /// Replaces the file in one step. The owner and the mode stay. A new script is executable.
    pub(super) fn replace(&self, text: &[u8], is_script: bool) -> Result<(), Failure> {
        let what = format!("replace {}", self.shown);
        self.refuse_if_changed(&what)?;
        let mut temporary = OsString::from(format!(".svctl-{}-", std::process::id()));
        temporary.push(&self.name);
        let made = self.write(&temporary, text, is_script).and_then(|()| self.rename(&temporary));
        made.map_err(|error| {
            let _ = unlinkat(&self.dir, &temporary, AtFlags::empty());
            Failure::system(&what, &error)
        })
    }

    /// Another process may have changed the file while the editor ran.
    fn refuse_if_changed(&self, what: &str) -> Result<(), Failure> {
        let now = match statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(now) => Some(now),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(Failure::system(what, &error.into())),
        };
        let identity = |stat: &Stat| {
            (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec)
        };
        if now.as_ref().map(identity) == self.found.as_ref().map(identity) {
            return Ok(());
        }
        Err(Failure::new(CANNOT, format!("unable to {what}: another process has changed it")))
    }

    fn write(&self, temporary: &OsStr, text: &[u8], is_script: bool) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.dir, temporary, flags, Mode::from_raw_mode(0o600))?;
        let mode = match &self.found {
            None if is_script => 0o755,
            None => 0o644,
            Some(found) => found.st_mode & PERMISSIONS,
        };
        if let Some(found) = &self.found {
            let made = fstat(&file)?;
            if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid) {
                let (user, group) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
                fchown(&file, Some(user), Some(group))?;
            }
        }
        // After fchown, which clears set-id bits.
        fchmod(&file, Mode::from_raw_mode(mode))?;
        let mut file = File::from(file);
        file.write_all(text)?;
        fsync(&file)?;
        Ok(())
    }

    fn rename(&self, temporary: &OsStr) -> io::Result<()> {
        let dir = self.dir.as_fd();
        if self.is_new() {
            renameat_with(dir, temporary, dir, &self.name, RenameFlags::NOREPLACE)?;
        } else {
            renameat(dir, temporary, dir, &self.name)?;
        }
        Ok(())
    }
}
