//! A new service directory: its files, made aside and renamed, so that it appears complete.

use crate::accounts::Accounts;
use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE};
use crate::guarded_path::GuardedPlace;
use crate::options::{ADD, DRY_RUN, ENV, IN, LOG, NO_LOG};
use crate::output::{escape, line};
use crate::selection::scan_dir;
use crate::shell_words::quoted;
use crate::verbs::links::{link, wait_for_start};
use rustix::fs::{
    CWD, Dir, Gid, Mode, OFlags, RenameFlags, Uid, fchown, fstat, mkdirat, openat, renameat_with,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where service directories are made without `--in`.
const USUAL: &str = "/etc/sv";

/// The files of a new service directory.
#[derive(Default)]
pub(crate) struct Plan {
    path: PathBuf,
    name: OsString,
    files: Vec<File>,
    env: BTreeMap<OsString, Vec<u8>>,
    /// The log directory. A relative one is below the service directory.
    log: Option<PathBuf>,
    /// The user and group who write the log.
    pub(crate) user: Option<(u32, u32)>,
}

/// A file below the new directory.
struct File {
    path: String,
    content: Vec<u8>,
    is_script: bool,
}

impl Plan {
    /// An empty directory `name` at the place that the arguments choose.
    pub(crate) fn new(arguments: &Arguments, name: &OsStr) -> Result<Self, Failure> {
        let bytes = name.as_bytes();
        let shown = escape(&name.to_string_lossy());
        if bytes.is_empty()
            || bytes.starts_with(b".")
            || bytes.contains(&b'/')
            || bytes.contains(&b'\n')
        {
            let why = "a name has no slash and no dot at its beginning";
            return Err(Failure::new(USAGE, format!("unable to use the name {shown}: {why}")));
        }
        let base = arguments.value(IN.long).unwrap_or_else(|| OsStr::new(USUAL));
        let path = Path::new(base).join(name);
        Ok(Self { path, name: name.to_owned(), ..Self::default() })
    }

    /// The name of the service.
    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    pub(crate) fn script(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.push(File { path: path.to_owned(), content: content.into(), is_script: true });
    }

    /// A file that is not executable.
    pub(crate) fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.push(File { path: path.to_owned(), content: content.into(), is_script: false });
    }

    /// A variable in `env`, from `KEY=VALUE`. The last one of a name counts. Returns what is wrong
    /// with it.
    pub(crate) fn variable(&mut self, word: &OsStr) -> Result<(), &'static str> {
        let (name, content) = variable(word)?;
        self.env.insert(name, content);
        Ok(())
    }

    /// The variables of `--env`.
    pub(crate) fn variables_of(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        for word in arguments.values(&ENV) {
            self.variable(word).map_err(|why| {
                let shown = escape(&word.to_string_lossy());
                Failure::new(USAGE, format!("unable to use --env {shown}: {why}"))
            })?;
        }
        Ok(())
    }

    /// Adds a logger, unless the arguments refuse one. `account` is the beginning of its command line.
    pub(crate) fn logger(&mut self, arguments: &Arguments, account: &[u8]) -> Result<(), Failure> {
        let dir = arguments.value(LOG.long).map(PathBuf::from);
        if let Some(relative) = dir.as_ref().filter(|dir| !dir.is_absolute()) {
            let dir = escape(&relative.to_string_lossy());
            return Err(Failure::new(
                USAGE,
                format!("unable to use --log {dir}: not an absolute path"),
            ));
        }
        if arguments.has(&NO_LOG) {
            return Ok(());
        }
        let shown = dir.as_ref().map_or(OsStr::new("./main"), |dir| dir.as_os_str());
        let multilog = b"multilog t s1000000 n10 ".to_vec();
        let run = [&b"#!/bin/sh\nexec "[..], account, &multilog, &quoted(shown.as_bytes()), b"\n"];
        self.script("log/run", run.concat());
        self.log = Some(dir.unwrap_or_else(|| PathBuf::from("log/main")));
        Ok(())
    }

    /// Makes the directory, and adds it to the scan directory if the arguments say so. With
    /// `--dry-run` it only says what it would do.
    pub(crate) fn carry_out(&self, arguments: &Arguments) -> Result<u8, Failure> {
        if arguments.has(&DRY_RUN) {
            self.show();
            return Ok(DONE);
        }
        self.make()?;
        let path = escape(&self.path.to_string_lossy());
        line(&format!("{}: made {path}", escape(&self.name.to_string_lossy())));
        if !arguments.has(&ADD) {
            line(&format!("    svctl add {path}    starts it"));
            return Ok(DONE);
        }
        let scan = scan_dir(arguments);
        let full = fs::canonicalize(&self.path);
        let full = full.map_err(|e| Failure::system(format!("find {path}"), &e))?;
        link(arguments, &scan, &full, &self.name)?;
        wait_for_start(arguments, &scan, &self.name)
    }

    fn show(&self) {
        let path = escape(&self.path.to_string_lossy());
        for file in &self.files {
            line(&format!("would make {path}/{}:", escape(&file.path)));
            for text in String::from_utf8_lossy(&file.content).lines() {
                line(&format!("    {}", escape(text)));
            }
        }
        for name in self.env.keys() {
            line(&format!("would make {path}/env/{}", escape(&name.to_string_lossy())));
        }
    }

    /// Makes the directory under a temporary name, and renames it.
    fn make(&self) -> Result<(), Failure> {
        let shown = escape(&self.path.to_string_lossy());
        let failure = |e: io::Error| Failure::system(format!("make {shown}"), &e);
        if self.path.symlink_metadata().is_ok() {
            return Err(Failure::new(CANNOT, format!("unable to make {shown}: it exists already")));
        }
        let (Some(base), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Err(Failure::new(
                USAGE,
                format!("unable to make {shown}: not a path of a directory"),
            ));
        };
        fs::create_dir_all(base).map_err(failure)?;
        let mut temporary = OsString::from(format!(".svctl-{}-", std::process::id()));
        temporary.push(name);
        let temporary = base.join(temporary);
        let made = self.fill(&temporary).and_then(|()| {
            renameat_with(CWD, &temporary, CWD, &self.path, RenameFlags::NOREPLACE)?;
            Ok(())
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&temporary);
        }
        made.map_err(failure)
    }

    fn fill(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)?;
        fs::create_dir(dir.join("env"))?;
        for file in &self.files {
            let path = dir.join(&file.path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, &file.content)?;
            let mode = if file.is_script { 0o755 } else { 0o644 };
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        // Variables may be secrets.
        fs::set_permissions(dir.join("env"), Permissions::from_mode(0o700))?;
        for (name, value) in &self.env {
            fs::write(dir.join("env").join(name), value)?;
        }
        if let Some(log) = &self.log {
            // An absolute path stays as it is.
            make_log_dir(&dir.join(log), self.user)?;
        }
        Ok(())
    }
}

/// Makes a log directory and gives it to a user. One that exists stays as it is.
///
/// The directory may be in one of that user, who could put a link or another directory in its place at any
/// moment. So no link of another user is followed, and only a new directory is given away.
fn make_log_dir(log: &Path, user: Option<(u32, u32)>) -> io::Result<()> {
    let place = match GuardedPlace::locate(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(log.parent().unwrap_or(log))?;
            GuardedPlace::locate(log)?
        }
        place => place?,
    };
    match mkdirat(&place.dir, &place.name, Mode::from_raw_mode(0o777)) {
        Err(Errno::EXIST) if log.is_dir() => return Ok(()),
        made => made?,
    }
    let Some((user, group)) = user else { return Ok(()) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(&place.dir, &place.name, flags, Mode::empty())?;
    let is_own = fstat(&made)?.st_uid == geteuid().as_raw();
    let is_empty = Dir::read_from(&made)?
        .all(|entry| entry.is_ok_and(|entry| [c".", c".."].contains(&entry.file_name())));
    if !(is_own && is_empty) {
        return Err(io::Error::other("another user has replaced the log directory"));
    }
    fchown(&made, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    Ok(())
}

/// A file of the directory `env`, from `KEY=VALUE`.
fn variable(word: &OsStr) -> Result<(OsString, Vec<u8>), &'static str> {
    let bytes = word.as_bytes();
    let at = bytes.iter().position(|&byte| byte == b'=').ok_or("it has no =")?;
    let (name, value) = bytes.split_at(at);
    let value = value.get(1..).unwrap_or_default();
    if name.is_empty() || name.starts_with(b".") || name.contains(&b'/') {
        return Err("no name for a file of envdir");
    }
    if value.last().is_some_and(|last| b" \t".contains(last)) {
        return Err("envdir removes spaces and tabs at the end of a value");
    }
    // envdir turns a NUL into a line end. An empty file would remove the variable.
    let mut content: Vec<u8> =
        value.iter().map(|&byte| if byte == b'\n' { 0 } else { byte }).collect();
    content.push(b'\n');
    Ok((OsString::from_vec(name.to_vec()), content))
}

/// The user and group ids of a name in /etc/passwd.
pub(crate) fn user_ids(name: &OsStr) -> Result<(u32, u32), Failure> {
    let accounts = Accounts::read().map_err(|e| Failure::system("read /etc/passwd", &e))?;
    let found = accounts.of(name.as_bytes()).map(|account| (account.uid, account.gid));
    found.ok_or_else(|| {
        let name = escape(&name.to_string_lossy());
        Failure::new(CANNOT, format!("unable to find user {name} in /etc/passwd"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_files_of_envdir() {
        let (name, content) = variable(OsStr::new("A=x=y\nz")).unwrap();
        assert_eq!((name.as_bytes(), &*content), (&b"A"[..], &b"x=y\0z\n"[..]));
        for wrong in ["A", "=x", "A/B=x", ".A=x", "A=x "] {
            assert!(variable(OsStr::new(wrong)).is_err(), "{wrong}");
        }
    }
}
