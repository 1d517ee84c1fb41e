//! Small sequences of calls that the real kernel and the simulated one must answer alike.
//!
//! [`run_all`] runs in a process of its own, on either kernel, in an empty directory.

use daemontools_sys::fs::{self, Opening};
use daemontools_sys::peek::SecondPipe;
use daemontools_sys::process::{self, ExitStatus, Forked};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, dir, fd, lock, poll};
use std::ffi::CStr;
use std::fmt::Write as _;
use std::time::Duration;

/// Adds expressions and their values to the text.
macro_rules! tell {
    ($told:ident, $($value:expr),+) => {
        $(let _ = writeln!($told, "  {} = {:?}", stringify!($value), $value);)+
    };
}

mod processes;
mod scanning;

/// A sequence of calls in a directory; it tells the results.
type Case = fn(BorrowedFd<'_>, &mut String) -> Result<()>;

const CASES: [(&str, Case); 12] = [
    ("append, read and seek", files),
    ("rename over an open file", rename_over_an_open_file),
    ("links", links),
    ("unlink of an open file", unlink_of_an_open_file),
    ("names and errors", errors),
    ("pipe: blocks, end and broken", pipe_ends),
    ("pipe: a full pipe", full_pipe),
    ("tee and splice", tee_and_splice),
    ("flock over fork", flock_over_fork),
    ("fork has a copy of memory", fork_copies),
    ("spawn shares memory", spawn_shares),
    ("signals in a mask", signals),
];

/// Runs all sequences; returns the results of all calls.
#[must_use]
pub fn run_all(directory: BorrowedFd<'_>) -> String {
    signal::ignore_broken_pipes();
    fs::set_umask(0o022);
    let mut told = String::new();
    for (name, case) in CASES.into_iter().chain(processes::CASES).chain(scanning::CASES) {
        let _ = writeln!(told, "{name}");
        let end = case(directory, &mut told);
        let _ = writeln!(told, "  {end:?}");
    }
    told
}

/// The program of the simulated kernel: prints the results.
#[must_use]
pub fn main() -> i32 {
    let told = fs::open_dir(fs::HERE, c".").map(|directory| run_all(directory.as_fd()));
    match told.and_then(|told| fd::write_all(fd::stdout(), told.as_bytes())) {
        Ok(()) => 0,
        Err(_) => 111,
    }
}

fn text(directory: BorrowedFd<'_>, name: &CStr) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs::read_whole(directory, name, 10_000)?).into_owned())
}

fn files(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let appended = fs::open(directory, c"a", Opening::APPEND)?;
    let other = fs::open(directory, c"a", Opening::APPEND)?;
    tell!(told, fd::write(appended.as_fd(), b"one "), fd::write(other.as_fd(), b"two "));
    tell!(told, fd::write(appended.as_fd(), b"three"), text(directory, c"a"));
    let update = fs::open(directory, c"a", Opening::UPDATE)?;
    tell!(told, fs::write_at(update.as_fd(), 4, b"TWO"), fs::write_at(update.as_fd(), 20, b"far"));
    tell!(told, text(directory, c"a"), fs::size(update.as_fd()));
    tell!(told, fs::read_at(update.as_fd(), 18, &mut [0; 10]).map(<[u8]>::to_vec));
    tell!(told, fd::read(appended.as_fd(), &mut [0; 10]));
    let emptied = fs::open_trunc(directory, c"a")?;
    tell!(told, fs::size(emptied.as_fd()), fd::write(appended.as_fd(), b"end"));
    tell!(told, fd::write(emptied.as_fd(), b"s"), text(directory, c"a"));
    tell!(told, fs::stat_open(emptied.as_fd()).map(|stat| (stat.mode, stat.links, stat.size)));
    tell!(told, fs::fchmod(emptied.as_fd(), 0o744), fs::stat_file(directory, c"a").map(|s| s.mode));
    tell!(told, fs::sync(emptied.as_fd()), fs::sync(directory));
    fs::unlink(directory, c"a")
}

fn rename_over_an_open_file(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    fs::write_file(directory, c"a", b"a")?;
    fs::write_file(directory, c"b", b"b")?;
    let old = fs::open(directory, c"b", Opening::APPEND)?;
    tell!(told, fs::rename(directory, c"a", c"b"), text(directory, c"a"), text(directory, c"b"));
    tell!(told, fd::write(old.as_fd(), b"x"), text(directory, c"b"));
    tell!(told, fs::stat_open(old.as_fd()).map(|stat| (stat.links, stat.size)));
    tell!(told, fs::rename(directory, c"a", c"c"), fs::mkdir(directory, c"d", 0o777));
    tell!(told, fs::rename(directory, c"b", c"d"), fs::rename(directory, c"d", c"b"));
    tell!(told, fs::stat_file(directory, c"d").map(|stat| stat.mode));
    tell!(told, fs::rmdir(directory, c"d"));
    fs::unlink(directory, c"b")
}

fn links(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    fs::write_file(directory, c"a", b"a")?;
    tell!(told, fs::link(directory, c"a", c"b"), fs::link(directory, c"a", c"b"));
    tell!(told, fs::link(directory, c"none", c"c"));
    tell!(told, fs::stat_file(directory, c"a").map(|stat| stat.links));
    tell!(told, fs::rename(directory, c"a", c"b"), fs::exists(directory, c"a"));
    tell!(told, fs::unlink(directory, c"a"), fs::stat_file(directory, c"b").map(|stat| stat.links));
    fs::unlink(directory, c"b")
}

fn unlink_of_an_open_file(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let file = fs::open(directory, c"a", Opening::UPDATE)?;
    tell!(told, fs::unlink(directory, c"a"), fs::unlink(directory, c"a"));
    tell!(told, fs::write_at(file.as_fd(), 0, b"text"), fs::size(file.as_fd()));
    tell!(told, fs::stat_open(file.as_fd()).map(|stat| stat.links));
    let next = fs::open(directory, c"a", Opening::UPDATE)?;
    tell!(told, fs::size(next.as_fd()));
    fs::unlink(directory, c"a")
}

fn errors(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    fs::write_file(directory, c"file", b"")?;
    fs::mkdir(directory, c"dir", 0o755)?;
    tell!(told, fs::open(directory, c"none", Opening::READ).err());
    tell!(told, fs::open(directory, c"file/x", Opening::READ).err());
    tell!(told, fs::open(directory, c"dir", Opening::APPEND).err());
    tell!(told, fs::open_dir(directory, c"file").err(), fs::unlink(directory, c"dir"));
    tell!(told, fs::rmdir(directory, c"file"), fs::mkdir(directory, c"dir", 0o755));
    tell!(told, fs::write_file(directory, c"dir/x", b""), fs::rmdir(directory, c"dir"));
    let mut names = Vec::new();
    let opened = fs::open_dir(directory, c"dir")?;
    tell!(told, dir::names(opened.as_fd(), |name| names.push(name.to_owned())), names);
    tell!(told, fs::unlink(directory, c"dir/x"), fs::rmdir(directory, c"dir"));
    fs::unlink(directory, c"file")
}

fn pipe_ends(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let (reader, writer) = fd::pipe()?;
    fd::set_blocking(reader.as_fd(), false)?;
    let mut room = [0; 10];
    let short = Some(Duration::ZERO);
    tell!(told, fd::read(reader.as_fd(), &mut room), poll::readable([reader.as_fd()], short));
    tell!(told, fd::write(writer.as_fd(), b"abcdef"), fd::unread(reader.as_fd()));
    tell!(
        told,
        poll::readable([reader.as_fd()], short),
        poll::writable(writer.as_fd(), Duration::ZERO)
    );
    tell!(told, fd::read(reader.as_fd(), &mut room[..4]), room);
    drop(writer);
    tell!(told, fd::read(reader.as_fd(), &mut room), fd::read(reader.as_fd(), &mut room));
    tell!(told, poll::readable([reader.as_fd()], None));
    let (reader, writer) = fd::pipe()?;
    drop(reader);
    tell!(told, fd::write(writer.as_fd(), b"x"));
    Ok(())
}

fn full_pipe(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let (reader, writer) = fd::pipe()?;
    fd::set_blocking(writer.as_fd(), false)?;
    tell!(told, fd::write(writer.as_fd(), &[b'x'; 100_000]));
    tell!(told, fd::write(writer.as_fd(), b"x"), fd::unread(reader.as_fd()));
    tell!(told, poll::writable(writer.as_fd(), Duration::ZERO));
    tell!(told, fd::read(reader.as_fd(), &mut [0; 4096]));
    tell!(told, fd::write(writer.as_fd(), &[b'x'; 4097]), fd::write(writer.as_fd(), b"x"));
    tell!(told, fd::read(reader.as_fd(), &mut [0; 65_536]), fd::unread(reader.as_fd()));
    Ok(())
}

fn tee_and_splice(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let (reader, writer) = fd::pipe()?;
    let second = SecondPipe::new()?;
    let mut room = [b' '; 8];
    tell!(told, second.look(reader.as_fd(), &mut room));
    fd::write_all(writer.as_fd(), b"abcdefghij")?;
    tell!(told, second.look(reader.as_fd(), &mut room), room, fd::unread(reader.as_fd()));
    second.consume(reader.as_fd(), 3);
    tell!(told, second.look(reader.as_fd(), &mut room[..2]), room, fd::unread(reader.as_fd()));
    second.consume(reader.as_fd(), 7);
    tell!(told, fd::unread(reader.as_fd()));
    drop(writer);
    tell!(told, second.look(reader.as_fd(), &mut room));
    Ok(())
}

fn flock_over_fork(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let (first, second) = (
        fs::open(directory, c"lock", Opening::APPEND)?,
        fs::open(directory, c"lock", Opening::APPEND)?,
    );
    tell!(told, lock::try_lock(first.as_fd()), lock::try_lock(second.as_fd()));
    tell!(told, lock::try_lock(first.as_fd()));
    let (reader, writer) = fd::pipe()?;
    if let Forked::Parent(child) = process::fork()? {
        drop((first, reader));
        // The child has the same open file.
        tell!(told, lock::try_lock(second.as_fd()));
        drop(writer);
        tell!(told, process::wait_for(child), lock::try_lock(second.as_fd()));
        return fs::unlink(directory, c"lock");
    }
    drop(writer);
    let _ = fd::read(reader.as_fd(), &mut [0]);
    process::exit(3)
}

fn fork_copies(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let mut value = vec![1, 2, 3];
    let (reader, writer) = fd::pipe()?;
    if let Forked::Parent(child) = process::fork()? {
        value[0] = 100;
        let mut room = [0; 3];
        tell!(told, fd::read(reader.as_fd(), &mut room), room, value);
        tell!(told, process::wait_for(child), process::wait_for(child));
        tell!(told, process::reap(), process::has_children());
        return Ok(());
    }
    value[1] = 50;
    let _ = fd::write(writer.as_fd(), &value);
    process::exit(0)
}

fn spawn_shares(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let mut value = 1;
    let (reader, writer) = fd::pipe()?;
    let mut child = || {
        value += 1;
        // The child has descriptors of its own.
        fd::set_inherited(reader.as_fd(), true);
        let moved = fd::place(writer.as_fd(), 90);
        i32::from(moved.is_ok()) + 40
    };
    let pid = process::spawn(&mut child)?;
    tell!(told, value, process::is_child(pid), process::wait_for(pid));
    tell!(told, fd::take_inherited(90).is_some());
    Ok(())
}

fn signals(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let signals = Signals::take_over(&[signal::TERM, signal::ALRM])?;
    tell!(told, signals.pending().collect::<Vec<_>>());
    tell!(told, process::kill(process::id(), signal::TERM));
    tell!(told, process::kill(process::id(), signal::TERM));
    tell!(told, process::kill(process::id(), signal::ALRM));
    tell!(told, poll::readable([signals.fd()], None), signals.pending().collect::<Vec<_>>());
    if let Forked::Parent(child) = process::fork()? {
        tell!(told, poll::readable([signals.fd()], None), signals.pending().collect::<Vec<_>>());
        tell!(told, process::reap() == Some((child, ExitStatus::Exited(5))), process::reap());
        let never = process::spawn(&mut || {
            signal::unblock(&[signal::TERM]);
            let _ = process::kill(process::id(), signal::TERM);
            0
        })?;
        tell!(told, process::wait_for(never));
        tell!(told, process::kill(never, signal::TERM) == Err(Errno::SRCH));
        return Ok(());
    }
    process::exit(5)
}
