//! Accounts by name, from /etc/passwd and /etc/group, or from the program `getent`.
//!
//! `getent` asks the name services of the system (LDAP and others). It runs in a process of its own,
//! because this executable has no libc to load them.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::loaders::accounts;
use daemontools_sys::process::{self, ExitStatus, Forked, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, fd, fs, ids, signal};

use crate::common::diag::{self, TEMPORARY};

/// An account of the system.
pub(crate) struct Account {
    /// The argument of the program.
    pub(crate) name: &'static CStr,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: CString,
    pub(crate) shell: CString,
    source: Source,
}

/// The source of an account and of its groups.
#[derive(Clone, Copy)]
enum Source {
    /// The argument is `UID:GID`; there are no groups.
    Numbers,
    /// /etc/passwd; the groups are in /etc/group.
    Passwd,
    /// `getent`, which has the groups, too.
    Getent,
}

impl Account {
    /// Finds an account by its name, or by `UID:GID`.
    ///
    /// # Errors
    /// The exit code, after a message of `program`: the account does not exist, or a source cannot
    /// be read.
    pub(crate) fn find(program: &str, name: &'static CStr) -> Result<Self, i32> {
        let wanted = name.to_bytes();
        let read = |account: accounts::Account<'_>, source| {
            let (home, shell) = (CString::new(account.home), CString::new(account.shell));
            let (uid, gid) = (account.uid, account.gid);
            Some(Self { name, uid, gid, home: home.ok()?, shell: shell.ok()?, source })
        };
        if let Some(found) = accounts::parse_uid_gid(wanted).and_then(|a| read(a, Source::Numbers))
        {
            return Ok(found);
        }
        let unknown = |remark: &[&[u8]]| {
            let message: [&[u8]; 3] = [program.as_bytes(), b": fatal: unknown account ", wanted];
            diag::say(&[&message, remark].concat());
            TEMPORARY
        };
        // No name service has such a name, and getent would read it as an option or a number.
        if !accounts::is_valid_name(wanted) {
            return Err(unknown(&[]));
        }
        let line_of = |line: &[u8], source| {
            accounts::parse_passwd_line(line, wanted).and_then(|a| read(a, source))
        };
        let local = search_file(program, c"/etc/passwd", |line| line_of(line, Source::Passwd))?;
        if let Some(found) = local {
            return Ok(found);
        }
        match ask_getent(c"passwd", name, |line| line_of(line, Source::Getent)) {
            Ok(found) => found.ok_or_else(|| unknown(&[])),
            Err(why) => Err(unknown(&[b" (not found in /etc/passwd, and ", why.as_bytes(), b")"])),
        }
    }

    /// Sets the groups of this process: the primary group of the account, and with `supplementary`
    /// the groups that have the account as a member.
    ///
    /// Must precede [`Account::set_user`], which gives up the right to do this.
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

    /// Sets the user id of this process; root cannot return from it (setuid(2)).
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(crate) fn set_user(&self, program: &str) -> Result<(), i32> {
        ids::set_uid(self.uid).map_err(|e| diag::fatal(program, &[b"unable to setuid"], e))
    }

    /// The primary group and all supplementary groups.
    ///
    /// A source that cannot be read is an error: a group can also deny access to its members, so a
    /// missing group could grant rights.
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
                    accounts::parse_group_line(line, name).map(&mut add);
                    None::<()>
                })?;
            }
            Source::Getent => {
                // `name gid gid ...`
                let answer = ask_getent(c"initgroups", self.name, |line| {
                    let mut words = line.split(u8::is_ascii_whitespace);
                    if words.next() == Some(name) {
                        words.filter_map(accounts::parse_id).for_each(&mut add);
                    }
                    None::<()>
                });
                answer
                    .map_err(|why| diag::fatal_because(program, &[b"unable to initgroups"], why))?;
            }
        }
        Ok(groups)
    }
}

/// Calls `parse` with the lines of a file until it returns a value. A missing file is empty.
///
/// # Errors
/// The exit code, after a message: the file cannot be read.
fn search_file<T>(
    program: &str,
    path: &CStr,
    parse: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Option<T>, i32> {
    let found = match fs::open_read(fs::HERE, path) {
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
        Ok(file) => find_line(file.as_fd(), parse),
    };
    found.map_err(|error| diag::fatal(program, &[b"unable to read ", path.to_bytes()], error))
}

/// Calls `parse` with every line, without its newline, until it returns a value.
///
/// Lines may have any length.
///
/// # Errors
/// The error of reading.
fn find_line<T>(
    file: BorrowedFd<'_>,
    mut parse: impl FnMut(&[u8]) -> Option<T>,
) -> daemontools_sys::Result<Option<T>> {
    // The beginning of a line that ends in a later part.
    let mut begun = Vec::new();
    let mut room = [0; 2048];
    loop {
        let n = fd::read(file, &mut room)?;
        if n == 0 {
            return Ok(if begun.is_empty() { None } else { parse(&begun) });
        }
        let mut part = room.get(..n).unwrap_or_default();
        while let Some(end) = part.iter().position(|&c| c == b'\n') {
            let (line, rest) = part.split_at(end);
            let found = if begun.is_empty() {
                parse(line)
            } else {
                begun.extend_from_slice(line);
                let found = parse(&begun);
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

/// The exit code of a child that could not execute getent.
const NOT_RUN: u8 = 111;

/// The exit code of getent for an unknown name.
const NOT_FOUND: u8 = 2;

/// Runs `getent`, and calls `parse` with the lines of its answer until it returns a value.
///
/// # Errors
/// The text for a message: getent cannot be executed, or failed.
fn ask_getent<T>(
    database: &CStr,
    name: &CStr,
    parse: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Option<T>, &'static str> {
    const UNASKED: &str = "getent could not be asked";
    // Fixed paths: PATH may come from a user with fewer rights than this process.
    let program = [c"/usr/bin/getent", c"/bin/getent"]
        .into_iter()
        .find(|path| fs::exists(fs::HERE, path) == Ok(true))
        .ok_or(UNASKED)?;
    let (answer, write_end) = fd::pipe().map_err(|_| UNASKED)?;
    signal::with_default_sigchld(|| match process::fork() {
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
            let found = find_line(answer.as_fd(), parse);
            // getent gets a broken pipe if it has more lines.
            drop(answer);
            match (found, process::wait_for(pid)) {
                (Ok(Some(found)), _) => Ok(Some(found)),
                (Ok(None), Ok(ExitStatus::Exited(0 | NOT_FOUND))) => Ok(None),
                (_, Ok(ExitStatus::Exited(NOT_RUN))) => Err(UNASKED),
                _ => Err("getent failed"),
            }
        }
    })
}
