//! What belongs to no single program: the answers to `--version` and `--help`, and the program
//! `daemontools` itself, which installs the package and runs its programs by name.

use crate::common::diag::{self, PERMANENT, TEMPORARY};
use crate::common::paths::{PATH_MAX, join};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::programs::{Program, version_of};
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, fd, fs, guarded};

const NAME: &str = "daemontools";
const USAGE: &str = "daemontools: usage: daemontools [install [-s] dir] | [program [arg]...]";

/// The mode of the installed files, whatever the umask is.
const MODE: u32 = 0o755;

/// The form of svscanboot that a shell can read: `bash /command/svscanboot`.
const SVSCANBOOT_SCRIPT: &[u8] = include_bytes!("svscan/svscanboot.sh");

/// Answers `--version` and `--help`, if that is the only argument; `None` for all other arguments.
///
/// `svscan` passes the names of its directory to `supervise`, so a service directory with such a
/// name is supervised.
pub(crate) fn answer(program: Program) -> Option<i32> {
    let (argument, text): (_, fn(Program) -> _) = if process::only_argument_is(c"--version") {
        (c"--version", Program::version)
    } else if process::only_argument_is(c"--help") {
        (c"--help", Program::help)
    } else {
        return None;
    };
    if program == Program::Supervise && fs::dir_id(fs::HERE, argument).is_ok_and(|id| id.is_some())
    {
        return None;
    }
    Some(print(text(program).as_bytes()))
}

/// The program `daemontools`: lists the programs, installs them, or runs one of them.
///
/// Exit code: 100 for bad usage, 111 for a failure.
pub(crate) fn main() -> i32 {
    if process::arg(1).is_some_and(|name| Program::named(name.to_bytes()).is_some()) {
        return run_named();
    }
    let mut room: [&[u8]; 4] = [b""; 4];
    let arguments = process::args(1).map(CStr::to_bytes);
    let count = room.iter_mut().zip(arguments).map(|(place, argument)| *place = argument).count();
    match (count, room) {
        (0, _) => print(&names(b"\n")),
        (1, [b"--version", ..]) => print(version_of(NAME).as_bytes()),
        (1, [b"--help", ..]) => print(
            b"Usage: daemontools                    list the programs\n       \
              daemontools install [-s] dir   install them in a directory\n       \
              daemontools program [arg]...   run a program\n\n  \
              -s  make svscanboot a script for sh\n\nThe manual is daemontools(8).\n",
        ),
        (2, [b"install", ..]) => process::arg(2).map_or(PERMANENT, |dir| install(dir, false)),
        (3, [b"install", b"-s", ..]) => process::arg(3).map_or(PERMANENT, |dir| install(dir, true)),
        _ => {
            diag::say(&[USAGE.as_bytes()]);
            PERMANENT
        }
    }
}

/// Executes this file again with the program's name as argument 0.
fn run_named() -> i32 {
    let path = process::executed_path().unwrap_or(c"/proc/self/exe");
    let error = process::exec(path, &Strings::own_args(1), &Strings::own_environment());
    diag::fatal(NAME, &[b"unable to run ", path.to_bytes()], error)
}

fn print(text: &[u8]) -> i32 {
    match fd::write_all(fd::stdout(), text) {
        Ok(()) => 0,
        Err(_) => TEMPORARY,
    }
}

/// The names of all programs, each followed by `end`.
fn names(end: &[u8]) -> Vec<u8> {
    let mut names = Vec::new();
    for program in Program::ALL {
        names.extend_from_slice(program.name().as_bytes());
        names.extend_from_slice(end);
    }
    names
}

/// Installs the executable and a link for every program, and prints what it did. With `script`,
/// svscanboot is a script in the place of a link.
fn install(dir: &CStr, script: bool) -> i32 {
    let shown = dir.to_bytes();
    let opened = make_directories(dir).and_then(|()| fs::open_dir(fs::HERE, dir));
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return diag::fatal(NAME, &[b"unable to make directory ", shown], error),
    };
    let to = opened.as_fd();
    let number = Decimal::new(process::id().get().cast_unsigned().into());
    let temporary = [b".daemontools.new.", number.as_bytes()].concat();
    let Ok(temporary) = CString::new(temporary) else {
        return TEMPORARY;
    };
    let installed = replace(to, &temporary, b"daemontools", |name| copy_executable(to, name))
        .and_then(|()| {
            Program::ALL.into_iter().map(|program| program.name().as_bytes()).try_for_each(|name| {
                replace(to, &temporary, name, |temporary| match name {
                    b"svscanboot" if script => write_script(to, temporary),
                    _ => fs::symlink(to, c"daemontools", temporary),
                })
            })
        });
    if let Err((name, error)) = installed {
        // EISDIR and the like leave the temporary name.
        let _ = fs::unlink(to, &temporary);
        return diag::fatal(NAME, &[b"unable to install ", shown, b"/", name], error);
    }
    let names = names(b" ");
    let names = names.strip_suffix(b" ").unwrap_or_default();
    print(&[b"installed in ", shown, b": daemontools and ", names, b"\n"].concat())
}

/// Makes a directory, and those on the way to it that are missing.
fn make_directories(dir: &CStr) -> Result<()> {
    let path = dir.to_bytes();
    let ends = path.iter().enumerate().filter(|&(at, &byte)| byte == b'/' && at > 0);
    for end in ends.map(|(at, _)| at).chain([path.len()]) {
        let mut room = [0; PATH_MAX];
        let part = path.get(..end).unwrap_or_default();
        room.get_mut(..end).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(part);
        let part = CStr::from_bytes_until_nul(&room).map_err(|_| Errno::NAMETOOLONG)?;
        match fs::mkdir(fs::HERE, part, 0o777) {
            Ok(()) | Err(Errno::EXIST) => {}
            // A read-only file system reports EROFS before EEXIST.
            Err(error) => match fs::dir_id(fs::HERE, part) {
                Ok(Some(_)) => {}
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// Makes a file under a temporary name, then gives it its name in one step. Programs that run keep
/// the file that they were started from.
fn replace(
    dir: BorrowedFd<'_>,
    temporary: &CStr,
    name: &'static [u8],
    make: impl FnOnce(&CStr) -> Result<()>,
) -> core::result::Result<(), (&'static [u8], Errno)> {
    let made = || {
        let mut room = [0; PATH_MAX];
        // A string with its NUL.
        let name = join(&mut room, b".", name).ok_or(Errno::NAMETOOLONG)?;
        match fs::unlink(dir, temporary) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        make(temporary)?;
        fs::rename(dir, temporary, name)
    };
    made().map_err(|error| (name, error))
}

fn write_script(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let to = guarded::create(dir, name)?;
    fd::write_all(to.as_fd(), SVSCANBOOT_SCRIPT)?;
    finish_file(to.as_fd())
}

/// Copies the running executable.
fn copy_executable(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // The path of the program file serves where /proc is not mounted.
    let from = fs::open_read(fs::HERE, c"/proc/self/exe")
        .or_else(|error| fs::open_read(fs::HERE, process::executed_path().ok_or(error)?))?;
    let to = guarded::create(dir, name)?;
    let mut room = [0; 4096];
    loop {
        let n = fd::read(from.as_fd(), &mut room)?;
        if n == 0 {
            break;
        }
        fd::write_all(to.as_fd(), room.get(..n).unwrap_or_default())?;
    }
    finish_file(to.as_fd())
}

fn finish_file(file: BorrowedFd<'_>) -> Result<()> {
    fs::fchmod(file, MODE)?;
    // After a crash the name must not lead to a part of the file.
    fs::sync(file)
}
