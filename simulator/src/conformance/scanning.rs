//! The calls of svscan: inotify, epoll, files in memory, pipes through `/proc`, signals with values, limits.

use super::Case;
use super::processes::child;
use daemontools_sys::fs::{self, Opening};
use daemontools_sys::pidfd::{ExitSet, Handle};
use daemontools_sys::proc_fd::{self, Pipe};
use daemontools_sys::process::{self, Forked};
use daemontools_sys::signal::{self, ReceivedSignal, Signals};
use daemontools_sys::watch::{MountWatch, NameChange, Watch};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, Result, fd, limit, lock, poll};
use std::fmt::Write as _;
use std::time::Duration;

pub(super) const CASES: [(&str, Case); 8] = [
    ("inotify: names in order", names),
    ("inotify: a full queue", full_queue),
    ("inotify: a watched directory that goes", watched_directory_goes),
    ("epoll: ends of processes", exit_set),
    ("a set of the mount table", mounts),
    ("pipes through /proc", pipes_of_processes),
    ("signals with values", signals_with_values),
    ("files in memory, and the limit of open files", memory_and_limit),
];

/// The changes that an instance announces.
fn changes(watch: &Watch) -> Vec<String> {
    let mut told = Vec::new();
    watch.changes(|change| {
        told.push(match change {
            NameChange::Appeared(name) => format!("+{}", name.to_string_lossy()),
            NameChange::Disappeared(name) => format!("-{}", name.to_string_lossy()),
            NameChange::Overflow => "overflow".into(),
        });
    });
    told
}

fn names(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let start = fs::reach_dir(fs::HERE, c".")?;
    fs::fchdir(directory)?;
    let here = fs::HERE;
    let watch = Watch::current_dir()?;
    let ready = || poll::readable([watch.fd()], Some(Duration::ZERO));
    tell!(told, ready(), changes(&watch));
    fs::write_file(here, c"a", b"x")?;
    fs::mkdir(here, c"d", 0o755)?;
    fs::link(here, c"a", c"b")?;
    tell!(told, ready(), changes(&watch), ready());
    let other = Watch::new()?;
    let first = other.add_names(c"d")?;
    tell!(told, other.add_names(c"d") == Ok(first), other.add_names(c".") == Ok(first));
    tell!(told, other.add_names(c"a"), other.add_names(c"none"));
    fs::rename(here, c"a", c"b")?;
    fs::rename(here, c"a", c"c")?;
    fs::rename(here, c"b", c"d/b")?;
    fs::rename(here, c"d/b", c"e")?;
    tell!(told, changes(&watch), changes(&other));
    // A new text is no change of names; a file that is made twice is announced twice.
    fs::write_file(here, c"e", b"y")?;
    fs::unlink(here, c"e")?;
    fs::write_file(here, c"e", b"y")?;
    fs::unlink(here, c"e")?;
    fs::rename(here, c"d", c"f")?;
    fs::mkdir(here, c"f/g", 0o755)?;
    fs::rmdir(here, c"f/g")?;
    tell!(told, changes(&watch), changes(&other));
    fs::rmdir(here, c"f")?;
    fs::unlink(here, c"c").err();
    tell!(told, changes(&watch));
    fs::fchdir(start.as_fd())
}

/// How many events a queue holds.
fn most_events() -> usize {
    let mut room = [0; 20];
    let path = c"/proc/sys/fs/inotify/max_queued_events";
    let text = fs::read_start(fs::HERE, path, &mut room).unwrap_or_default();
    String::from_utf8_lossy(text).trim().parse().unwrap_or(0)
}

fn full_queue(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let start = fs::reach_dir(fs::HERE, c".")?;
    fs::fchdir(directory)?;
    let watch = Watch::current_dir()?;
    fs::write_file(fs::HERE, c"a", b"x")?;
    for _ in 0..most_events() {
        fs::rename(fs::HERE, c"a", c"b")?;
        fs::rename(fs::HERE, c"b", c"a")?;
    }
    let changed = changes(&watch);
    tell!(told, changed.len() == most_events() + 1, &changed[..4], changed.last());
    tell!(told, changed.iter().filter(|it| *it == "overflow").count());
    fs::unlink(fs::HERE, c"a")?;
    tell!(told, changes(&watch));
    fs::fchdir(start.as_fd())
}

fn watched_directory_goes(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    fs::mkdir(directory, c"d", 0o755)?;
    let start = fs::reach_dir(fs::HERE, c".")?;
    fs::fchdir(directory)?;
    let watch = Watch::new()?;
    watch.add_names(c"d")?;
    fs::rmdir(directory, c"d")?;
    // Something is announced, and no name.
    tell!(told, poll::readable([watch.fd()], Some(Duration::ZERO)), changes(&watch));
    fs::mkdir(directory, c"d", 0o755)?;
    fs::mkdir(directory, c"d/e", 0o755)?;
    tell!(told, changes(&watch), watch.add_names(c"d").is_ok());
    fs::rmdir(directory, c"d/e")?;
    tell!(told, changes(&watch), fs::chdir(c"d"));
    let name = fs::current_dir().is_ok_and(|path| path.to_bytes().ends_with(b"/d"));
    tell!(told, name, fs::chdir(c"/"), fs::current_dir(), fs::fchdir(directory));
    fs::rmdir(directory, c"d")?;
    fs::fchdir(start.as_fd())
}

fn exit_set(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let ends = ExitSet::new()?;
    let ready = || poll::readable([ends.fd()], Some(Duration::ZERO));
    let (first, _life) = child(3)?;
    let (second, _other_life) = child(4)?;
    let handles = [first, second].map(Handle::open);
    let [Ok(Some(one)), Ok(Some(two))] = handles else { return Err(Errno::SRCH) };
    tell!(told, ends.add(&one, 71), ends.add(&two, 72), ends.add(&one, 73), ready(), ends.next());
    tell!(told, one.signal(signal::KILL));
    tell!(told, poll::readable([ends.fd()], None), ends.next(), ends.next(), ready());
    tell!(told, process::wait_for(first), ends.next());
    drop(one);
    tell!(told, ends.next(), ready());
    tell!(told, two.signal(signal::KILL), poll::readable([ends.fd()], None), ends.next());
    tell!(told, process::wait_for(second));
    drop(two);
    tell!(told, ready());
    Ok(())
}

fn mounts(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let mounts = MountWatch::new()?;
    tell!(told, poll::readable([mounts.fd()], Some(Duration::ZERO)));
    Ok(())
}

fn pipes_of_processes(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let (reader, writer) = fd::pipe()?;
    let (number, us) = (fd::number(writer.as_fd()), process::id());
    let own = Pipe::own(number)?.ok_or(Errno::NOENT)?;
    let (pid, life) = child(0)?;
    let of_child = Pipe::of(pid, number)?.ok_or(Errno::NOENT)?;
    tell!(told, own.is_same(&of_child), Pipe::write_only(pid, number)?.is_some());
    let read_end = fd::number(reader.as_fd());
    tell!(told, Pipe::write_only(us, read_end)?.is_some(), Pipe::both_ways(us, number)?.is_some());
    tell!(told, Pipe::own(900)?.is_some(), Pipe::own(fd::number(directory))?.is_some());
    // The pipe lives on in the child, and is opened at both ends through it.
    drop((reader, writer, own));
    let (reader, writer) = (of_child.open_reader()?, of_child.open_writer()?);
    drop(life);
    tell!(told, process::wait_for(pid), fd::write(writer.as_fd(), b"through"));
    let mut room = [0; 7];
    tell!(told, fd::read(reader.as_fd(), &mut room), room);
    drop(writer);
    // The handle counts neither as a writer nor as a reader.
    tell!(told, fd::read(reader.as_fd(), &mut room));
    fs::mkfifo(directory, c"p", 0o600)?;
    let fifo = fs::open(directory, c"p", Opening::UPDATE)?;
    tell!(told, Pipe::own(fd::number(fifo.as_fd()))?.is_some());
    fs::unlink(directory, c"p")
}

fn signals_with_values(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    const QUEUED: i32 = signal::RTMIN_4;
    let signals = Signals::take_over(&[QUEUED, signal::USR2])?;
    let us = process::id();
    let own = Handle::open(us)?.ok_or(Errno::SRCH)?;
    let received = || {
        let told =
            |it: ReceivedSignal| (it.signal, it.sender == Some(us), it.value, it.second_value);
        signals.received().map(told).collect::<Vec<_>>()
    };
    tell!(told, own.signal_with_values(QUEUED, [7, 8]), own.signal_with_values(QUEUED, [9, -1]));
    tell!(told, own.signal(signal::USR2), own.signal(signal::USR2), received(), received());
    if let Forked::Parent(child) = process::fork()? {
        tell!(told, process::wait_for(child));
        let from_child = |it: ReceivedSignal| (it.signal, it.sender == Some(child), it.value);
        let found: Vec<_> = signals.received().map(from_child).collect();
        tell!(told, found.contains(&(QUEUED, true, Some(5))));
        return Ok(());
    }
    let _ = Handle::open(us).map(|it| it.map(|it| it.signal_with_value(QUEUED, 5)));
    process::exit(6)
}

fn memory_and_limit(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let us = process::id();
    tell!(told, proc_fd::has_own_memory(us, c"simulator"));
    let memory = fd::locked_memory(c"simulator")?;
    tell!(told, proc_fd::has_own_memory(us, c"simulator"), proc_fd::has_own_memory(us, c"simul"));
    tell!(
        told,
        lock::try_lock(memory.as_fd()),
        proc_fd::lock_taker(us, memory.as_fd()) == Ok(Some(us))
    );
    let handed = fd::memory_for_children(b"handover")?;
    let mut room = [0; 20];
    tell!(
        told,
        fd::read(handed.as_fd(), &mut room),
        room,
        proc_fd::last_inherited().is_ok_and(|it| it > 2)
    );
    drop(handed);
    // In a child, which leaves this process its limit.
    if let Forked::Parent(child) = process::fork()? {
        tell!(told, process::wait_for(child));
        return Ok(());
    }
    let mut code = 0;
    let few = limit::set_rlimit(limit::Resource::Nofile as u8, Some(20), None).is_ok();
    code += i32::from(few && limit::open_files() == 20);
    let mut opened = Vec::new();
    let error = loop {
        match fd::pipe() {
            Ok(pipe) => opened.push(pipe),
            Err(error) => break error,
        }
    };
    code += i32::from(error == Errno::MFILE) * 2;
    code += i32::from(limit::OpenFiles::raise().is_some_and(|it| it.inherited() == 20)) * 4;
    code += i32::from(fd::pipe().is_ok()) * 8;
    process::exit(code)
}
