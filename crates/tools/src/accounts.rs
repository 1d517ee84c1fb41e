//! Accounts by name: from /etc/passwd and /etc/group, else from whatever the system is set up to
//! ask, through its own program `getent`. Nothing of a libc's name service is loaded into us.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::accounts;
use daemontools_sys::process::{self, Ended, Forked, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, fd, fs, ids};

use crate::diag::{self, TEMPORARY};

/// An account, as a program needs it.
pub(crate) struct Account {
    /// As it was asked for.
    pub(crate) name: &'static CStr,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: CString,
    pub(crate) shell: CString,
    /// Found in /etc/passwd, and not by `getent`.
    local: bool,
}

impl Account {
    /// Finds the account. A pair of numbers, `UID:GID`, is one that needs no line.
    ///
    /// # Errors
    /// The exit code, after a message of the program `program`, if there is no such account.
    pub(crate) fn find(program: &str, name: &'static CStr) -> core::result::Result<Self, i32> {
        let wanted = name.to_bytes();
        let read = |account: accounts::Account<'_>, local| {
            let (home, shell) = (CString::new(account.home), CString::new(account.shell));
            let (uid, gid) = (account.uid, account.gid);
            Some(Self { name, uid, gid, home: home.ok()?, shell: shell.ok()?, local })
        };
        if let Some(found) = accounts::numeric(wanted).and_then(|a| read(a, true)) {
            return Ok(found);
        }
        let unknown = |why: &[u8]| {
            diag::say(&[program.as_bytes(), b": fatal: unknown account ", wanted, why]);
            TEMPORARY
        };
        // No other service has such names, and getent would take them for something else.
        if !accounts::possible(wanted) {
            return Err(unknown(b""));
        }
        let passwd = fs::open_read(fs::HERE, c"/etc/passwd").ok();
        let line_of =
            |line: &[u8], local| accounts::account(line, wanted).and_then(|a| read(a, local));
        let local =
            passwd.and_then(|file| find_line(file.as_fd(), |line| line_of(line, true)).ok()?);
        if let Some(found) = local {
            return Ok(found);
        }
        match ask_getent(c"passwd", name, |line| line_of(line, false)) {
            Ok(found) => found.ok_or_else(|| unknown(b"")),
            Err(_) => Err(unknown(b" (not found in /etc/passwd, and getent could not be asked)")),
        }
    }

    /// Our groups become the account's: its primary one alone, then also those that name it as a
    /// member. Before the user id, or we would no longer be allowed to.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(crate) fn set_groups(
        &self,
        program: &str,
        supplementary: bool,
    ) -> core::result::Result<(), i32> {
        let failed = |what: &[u8], error| diag::fatal(program, &[b"unable to ", what], error);
        ids::set_groups(&[self.gid]).map_err(|e| failed(b"setgid", e))?;
        ids::set_gid(self.gid).map_err(|e| failed(b"setgid", e))?;
        if supplementary {
            let groups = self.all_groups().map_err(|e| failed(b"initgroups", e))?;
            ids::set_groups(&groups).map_err(|e| failed(b"initgroups", e))?;
        }
        Ok(())
    }

    /// We become the account's user, for good.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(crate) fn set_user(&self, program: &str) -> core::result::Result<(), i32> {
        ids::set_uid(self.uid).map_err(|e| diag::fatal(program, &[b"unable to setuid"], e))
    }

    /// The primary group, and all others. Groups that cannot be found out are an error, not
    /// groups fewer.
    fn all_groups(&self) -> Result<Vec<u32>> {
        let mut groups = Vec::from([self.gid]);
        let mut add = |gid| {
            if !groups.contains(&gid) {
                groups.push(gid);
            }
        };
        if self.local {
            match fs::open_read(fs::HERE, c"/etc/group") {
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
                Ok(file) => find_line(file.as_fd(), |line| {
                    accounts::group_of(line, self.name.to_bytes()).map(&mut add);
                    None
                })?
                .unwrap_or(()),
            }
        } else {
            // `name gid gid ...`
            ask_getent(c"initgroups", self.name, |line| {
                let words = line.split(u8::is_ascii_whitespace).skip(1);
                words.filter_map(accounts::id).for_each(&mut add);
                None
            })?
            .unwrap_or(());
        }
        Ok(groups)
    }
}

/// Gives `wanted` every line, without its newline, until it takes one. Lines may be of any length.
///
/// # Errors
/// What reading says.
fn find_line<T>(
    file: BorrowedFd<'_>,
    mut wanted: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Option<T>> {
    let mut text = Vec::new();
    let mut room = [0; 2048];
    loop {
        let n = fd::read(file, &mut room)?;
        let part = room.get(..n).unwrap_or_default();
        text.extend_from_slice(part);
        if n > 0 && !part.contains(&b'\n') {
            continue;
        }
        let mut taken = 0;
        for line in text.split_inclusive(|&c| c == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(whole) => {
                    if let Some(found) = wanted(whole) {
                        return Ok(Some(found));
                    }
                    taken += line.len();
                }
                None if n == 0 => return Ok(wanted(line)),
                None => {}
            }
        }
        text.drain(..taken);
        if n == 0 {
            return Ok(None);
        }
    }
}

/// The exit code of a child that could not become getent.
const NOT_RUN: u8 = 111;

/// Asks `getent`, and gives `wanted` the lines of its answer.
///
/// # Errors
/// When it cannot be run.
fn ask_getent<T>(
    database: &CStr,
    name: &CStr,
    wanted: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Option<T>> {
    // By fixed paths: PATH may come from somebody with fewer rights than we still have.
    let program = [c"/usr/bin/getent", c"/bin/getent"]
        .into_iter()
        .find(|path| fs::exists(fs::HERE, path) == Ok(true))
        .ok_or(Errno::NOENT)?;
    let (answer, write_end) = fd::pipe()?;
    match process::fork()? {
        Forked::Child => {
            if fd::replace(fd::stdout(), write_end.as_fd()).is_ok() {
                let args = Strings::of([c"getent", c"--", database, name]);
                let path = Strings::of([c"PATH=/usr/bin:/bin"]);
                process::exec(program, &args, &path);
            }
            process::exit(NOT_RUN.into())
        }
        Forked::Parent(pid) => {
            drop(write_end);
            let found = find_line(answer.as_fd(), wanted);
            // What more it has to say finds no reader.
            drop(answer);
            let ended = process::wait_for(pid);
            // 2 is its word for "not found"; a SIGCHLD that is ignored leaves us without one.
            if let Ok(Ended::Exited(NOT_RUN)) = ended {
                return Err(Errno::NOEXEC);
            }
            found
        }
    }
}
