//! Accounts by name: from /etc/passwd and /etc/group, else from whatever the system is set up to
//! ask, through its own program `getent`. Nothing of a libc's name service is loaded into us.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::accounts;
use daemontools_sys::process::{self, Ended, Forked, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, fd, fs, ids, signal};

use crate::diag::{self, TEMPORARY};

/// An account, as a program needs it.
pub(crate) struct Account {
    /// As it was asked for.
    pub(crate) name: &'static CStr,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: CString,
    pub(crate) shell: CString,
    source: Source,
}

/// Where an account was found, and its groups are.
#[derive(Clone, Copy)]
enum Source {
    /// In the argument; there are no groups.
    Numbers,
    /// In /etc/passwd; the groups are in /etc/group.
    Passwd,
    /// By `getent`, which knows the groups too.
    Getent,
}

impl Account {
    /// Finds the account. A pair of numbers, `UID:GID`, is one that needs no line.
    ///
    /// # Errors
    /// The exit code, after a message of the program `program`, if there is no such account, or if
    /// that cannot be found out.
    pub(crate) fn find(program: &str, name: &'static CStr) -> Result<Self, i32> {
        let wanted = name.to_bytes();
        let read = |account: accounts::Account<'_>, source| {
            let (home, shell) = (CString::new(account.home), CString::new(account.shell));
            let (uid, gid) = (account.uid, account.gid);
            Some(Self { name, uid, gid, home: home.ok()?, shell: shell.ok()?, source })
        };
        if let Some(found) = accounts::numeric(wanted).and_then(|a| read(a, Source::Numbers)) {
            return Ok(found);
        }
        let unknown = |remark: &[&[u8]]| {
            let message: [&[u8]; 3] = [program.as_bytes(), b": fatal: unknown account ", wanted];
            diag::say(&[&message, remark].concat());
            TEMPORARY
        };
        // No other service has such names, and getent would take them for something else.
        if !accounts::possible(wanted) {
            return Err(unknown(&[]));
        }
        let line_of =
            |line: &[u8], source| accounts::account(line, wanted).and_then(|a| read(a, source));
        let local = search_file(program, c"/etc/passwd", |line| line_of(line, Source::Passwd))?;
        if let Some(found) = local {
            return Ok(found);
        }
        match ask_getent(c"passwd", name, |line| line_of(line, Source::Getent)) {
            Ok(found) => found.ok_or_else(|| unknown(&[])),
            Err(why) => Err(unknown(&[b" (not found in /etc/passwd, and ", why.as_bytes(), b")"])),
        }
    }

    /// Our groups become the account's: its primary one alone, then also those that name it as a
    /// member. Before the user id, or we would no longer be allowed to.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(crate) fn set_groups(&self, program: &str, supplementary: bool) -> Result<(), i32> {
        let failed = |what: &[u8], error| diag::fatal(program, &[b"unable to ", what], error);
        ids::set_groups(&[self.gid]).map_err(|e| failed(b"setgid", e))?;
        ids::set_gid(self.gid).map_err(|e| failed(b"setgid", e))?;
        if supplementary {
            let groups = self.all_groups(program)?;
            ids::set_groups(&groups).map_err(|e| failed(b"initgroups", e))?;
        }
        Ok(())
    }

    /// We become the account's user, for good.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(crate) fn set_user(&self, program: &str) -> Result<(), i32> {
        ids::set_uid(self.uid).map_err(|e| diag::fatal(program, &[b"unable to setuid"], e))
    }

    /// The primary group, and all others. Groups that cannot be found out are an error, not
    /// groups fewer: who is a member of a group may be shut out by it as well as let in.
    fn all_groups(&self, program: &str) -> Result<Vec<u32>, i32> {
        let name = self.name.to_bytes();
        let mut groups = Vec::from([self.gid]);
        let mut add = |gid| {
            if !groups.contains(&gid) {
                groups.push(gid);
            }
        };
        match self.source {
            Source::Numbers => {}
            Source::Passwd => {
                search_file(program, c"/etc/group", |line| {
                    accounts::group_of(line, name).map(&mut add);
                    None::<()>
                })?;
            }
            Source::Getent => {
                // `name gid gid ...`
                let told = ask_getent(c"initgroups", self.name, |line| {
                    let mut words = line.split(u8::is_ascii_whitespace);
                    if words.next() == Some(name) {
                        words.filter_map(accounts::id).for_each(&mut add);
                    }
                    None::<()>
                });
                told.map_err(|why| diag::fatal_because(program, &[b"unable to initgroups"], why))?;
            }
        }
        Ok(groups)
    }
}

/// Gives `wanted` every line of a file until it takes one. A file that is missing has none.
///
/// # Errors
/// The exit code, after a message, if it cannot be read.
fn search_file<T>(
    program: &str,
    path: &CStr,
    wanted: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Option<T>, i32> {
    let found = match fs::open_read(fs::HERE, path) {
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
        Ok(file) => find_line(file.as_fd(), wanted),
    };
    found.map_err(|error| diag::fatal(program, &[b"unable to read ", path.to_bytes()], error))
}

/// Gives `wanted` every line, without its newline, until it takes one. Lines may be of any length.
///
/// # Errors
/// What reading says.
fn find_line<T>(
    file: BorrowedFd<'_>,
    mut wanted: impl FnMut(&[u8]) -> Option<T>,
) -> daemontools_sys::Result<Option<T>> {
    // A line that goes on in the next part.
    let mut begun = Vec::new();
    let mut room = [0; 2048];
    loop {
        let n = fd::read(file, &mut room)?;
        if n == 0 {
            return Ok(if begun.is_empty() { None } else { wanted(&begun) });
        }
        let mut part = room.get(..n).unwrap_or_default();
        while let Some(end) = part.iter().position(|&c| c == b'\n') {
            let (line, rest) = part.split_at(end);
            let found = if begun.is_empty() {
                wanted(line)
            } else {
                begun.extend_from_slice(line);
                let found = wanted(&begun);
                begun.clear();
                found
            };
            if found.is_some() {
                return Ok(found);
            }
            part = rest.get(1..).unwrap_or_default();
        }
        begun.extend_from_slice(part);
    }
}

/// The exit code of a child that could not become getent.
const NOT_RUN: u8 = 111;

/// getent's own for a name that it does not find.
const NOT_FOUND: u8 = 2;

/// Asks `getent`, and gives `wanted` the lines of its answer.
///
/// # Errors
/// Why there is no answer, in words.
fn ask_getent<T>(
    database: &CStr,
    name: &CStr,
    wanted: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Option<T>, &'static str> {
    const UNASKED: &str = "getent could not be asked";
    // By fixed paths: PATH may come from somebody with fewer rights than we still have.
    let program = [c"/usr/bin/getent", c"/bin/getent"]
        .into_iter()
        .find(|path| fs::exists(fs::HERE, path) == Ok(true))
        .ok_or(UNASKED)?;
    let (answer, write_end) = fd::pipe().map_err(|_| UNASKED)?;
    signal::seeing_ends(|| match process::fork() {
        Err(_) => Err(UNASKED),
        Ok(Forked::Child) => {
            if fd::replace(fd::stdout(), write_end.as_fd()).is_ok() {
                let args = Strings::of([c"getent", c"--", database, name]);
                let path = Strings::of([c"PATH=/usr/bin:/bin"]);
                process::exec(program, &args, &path);
            }
            process::exit(NOT_RUN.into())
        }
        Ok(Forked::Parent(pid)) => {
            drop(write_end);
            let found = find_line(answer.as_fd(), wanted);
            // What more it has to say finds no reader.
            drop(answer);
            match (found, process::wait_for(pid)) {
                (Ok(Some(found)), _) => Ok(Some(found)),
                (Ok(None), Ok(Ended::Exited(0 | NOT_FOUND))) => Ok(None),
                (_, Ok(Ended::Exited(NOT_RUN))) => Err(UNASKED),
                _ => Err("getent failed"),
            }
        }
    })
}
