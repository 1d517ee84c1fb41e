//! The calls of a supervisor: FIFOs, pidfds, stops, `/proc`, orphans, scripts.

use super::Case;
use daemontools_sys::fs::{self, Opening};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, Forked, Pid, Strings};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{
    AsFd as _, BorrowedFd, Errno, Result, fd, guarded, lock, poll, proc_fd, tree,
};
use std::fmt::Write as _;
use std::time::Duration;

pub(super) const CASES: [(&str, Case); 8] = [
    ("directories and links", directories),
    ("FIFO", fifo),
    ("pidfd", pidfd),
    ("stop and continue", stop),
    ("/proc of a process", proc_of_a_process),
    ("the holder of a lock", holder_of_a_lock),
    ("orphans of a subreaper", orphans),
    ("files that cannot be executed", not_executed),
];

/// A child that lives until the returned pipe is closed, and then exits with this code.
pub(super) fn child(code: i32) -> Result<(Pid, daemontools_sys::OwnedFd)> {
    let (reader, writer) = fd::pipe()?;
    if let Forked::Parent(child) = process::fork()? {
        return Ok((child, writer));
    }
    drop(writer);
    let _ = fd::read(reader.as_fd(), &mut [0]);
    process::exit(code)
}

/// The state in `/proc/PID/stat`.
fn state(pid: Pid) -> Result<char> {
    let path = std::ffi::CString::new(format!("/proc/{pid}/stat")).expect("a path");
    let mut room = [0; 320];
    let text = String::from_utf8_lossy(fs::read_start(fs::HERE, &path, &mut room)?).into_owned();
    Ok(text.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or(' '))
}

/// Waits until a process has this state.
fn wait_for_state(pid: Pid, wanted: char) -> bool {
    (0..1000).any(|_| {
        poll::pause(Duration::from_millis(10));
        state(pid) == Ok(wanted)
    })
}

fn directories(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    fs::mkdir(directory, c"d", 0o755)?;
    let start = fs::reach_dir(fs::HERE, c".")?;
    tell!(told, fs::fchdir(directory), fs::chdir(c"d"), fs::chdir(c"none"));
    tell!(told, fs::write_file(fs::HERE, c"f", b"x"), fs::chdir(c"f"), fs::chdir(c".."));
    let inode = |path| fs::inode(fs::HERE, path);
    tell!(told, inode(c"/proc/self/cwd") == inode(c"."), inode(c"d/..") == inode(c"."));
    tell!(told, fs::readlink(fs::HERE, c"d", &mut [0; 9]).err());
    tell!(told, fs::readlink(fs::HERE, c"none", &mut [0; 9]).err());
    let mut room = [0; 32];
    let own = fs::readlink(fs::HERE, c"/proc/self", &mut room)?;
    tell!(told, own == process::id().to_string().as_bytes());
    tell!(told, fs::unlink(directory, c"d/f").err(), fs::rmdir(directory, c"d"));
    fs::fchdir(start.as_fd())
}

fn fifo(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    tell!(told, fs::mkfifo(directory, c"p", 0o600), fs::mkfifo(directory, c"p", 0o600));
    tell!(told, guarded::open(directory, c"p", Opening::WRITE).err());
    let reader = guarded::open(directory, c"p", Opening::READ)?;
    let writer = guarded::open(directory, c"p", Opening::WRITE)?;
    let mut room = [0; 8];
    tell!(told, fs::is_fifo(reader.as_fd()), fd::read(reader.as_fd(), &mut room));
    tell!(told, fd::write(writer.as_fd(), b"dx"), fd::unread(reader.as_fd()));
    drop(writer);
    tell!(told, poll::readable([reader.as_fd()], None), fd::read(reader.as_fd(), &mut room), room);
    tell!(told, fd::read(reader.as_fd(), &mut room), poll::hung_up(reader.as_fd(), Duration::ZERO));
    // The content is gone with the last user.
    let writer = guarded::open(directory, c"p", Opening::WRITE)?;
    tell!(told, fd::write(writer.as_fd(), b"u"));
    drop((reader, writer));
    let reader = guarded::open(directory, c"p", Opening::READ)?;
    tell!(told, fd::unread(reader.as_fd()), fs::stat_open(reader.as_fd()).map(|it| it.mode));
    fs::unlink(directory, c"p")
}

fn pidfd(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let (pid, life) = child(7)?;
    let handle = Handle::open(pid)?.ok_or(Errno::SRCH)?;
    tell!(told, handle.has_ended(), handle.signal(signal::CONT));
    drop(life);
    tell!(told, poll::readable([handle.fd()], None), handle.has_ended());
    tell!(told, state(pid), Handle::open(pid).map(|it| it.is_some()), handle.signal(signal::TERM));
    tell!(told, process::wait_for(pid), handle.has_ended(), handle.signal(signal::TERM));
    tell!(told, Handle::open(pid).map(|it| it.is_some()), state(pid));
    // Older kernels do not tell it.
    let how = handle.how_it_ended(Duration::ZERO);
    tell!(told, how.is_none_or(|how| how == process::ExitStatus::Exited(7)));
    let (pid, _life) = child(0)?;
    let handle = Handle::open(pid)?.ok_or(Errno::SRCH)?;
    tell!(told, handle.signal(signal::KILL), process::wait_for(pid));
    Ok(())
}

fn stop(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let (pid, _life) = child(0)?;
    tell!(told, process::kill(pid, signal::STOP), wait_for_state(pid, 'T'));
    tell!(told, process::kill(pid, signal::HUP), state(pid), process::reap());
    tell!(told, process::kill(pid, signal::CONT), process::wait_for(pid));
    let (pid, life) = child(3)?;
    tell!(told, process::kill(pid, signal::STOP), wait_for_state(pid, 'T'));
    tell!(told, process::kill(pid, signal::CONT));
    drop(life);
    tell!(told, process::wait_for(pid));
    let (pid, _life) = child(3)?;
    tell!(told, process::kill(pid, signal::STOP), wait_for_state(pid, 'T'));
    tell!(told, process::kill(pid, signal::KILL), process::wait_for(pid));
    Ok(())
}

fn proc_of_a_process(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let (pid, life) = child(0)?;
    let start = |pid: Pid| {
        let path = std::ffi::CString::new(format!("/proc/{pid}/stat")).expect("a path");
        let mut room = [0; 320];
        let text =
            String::from_utf8_lossy(fs::read_start(fs::HERE, &path, &mut room)?).into_owned();
        let rest = text.rsplit(") ").next().unwrap_or_default();
        let mut fields = rest.split(' ').map(str::to_owned);
        let parent = fields.nth(1).and_then(|it| it.parse::<i32>().ok());
        let start = fields.nth(17).and_then(|it| it.parse::<u64>().ok());
        Ok::<_, Errno>((parent, start))
    };
    let (own, of_child) = (start(process::id())?, start(pid)?);
    tell!(
        told,
        of_child.0 == Some(process::id().get()),
        own.1 <= of_child.1,
        start(pid)? == of_child
    );
    let mut found = Vec::new();
    tell!(told, tree::children_of(process::id(), |it| found.push(it)), found == [pid]);
    let mut found = Vec::new();
    tell!(told, tree::processes(|it| found.push(it)), found.contains(&pid));
    drop(life);
    tell!(told, process::wait_for(pid), start(pid));
    Ok(())
}

fn holder_of_a_lock(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let file = fs::open(directory, c"lock", Opening::APPEND)?;
    let other = fs::open(directory, c"lock", Opening::APPEND)?;
    let us = process::id();
    tell!(told, proc_fd::holds_lock(us, file.as_fd()), lock::try_lock(file.as_fd()));
    tell!(told, proc_fd::lock_taker(us, file.as_fd()) == Ok(Some(us)));
    tell!(told, proc_fd::has_own_lock(us, file.as_fd()), proc_fd::holds_lock(us, other.as_fd()));
    let (pid, life) = child(0)?;
    tell!(told, proc_fd::lock_taker(pid, file.as_fd()) == Ok(Some(us)));
    tell!(told, proc_fd::has_own_lock(pid, file.as_fd()));
    drop(life);
    tell!(told, process::wait_for(pid), proc_fd::holds_lock(pid, file.as_fd()).err());
    fs::unlink(directory, c"lock")
}

fn orphans(_: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let signals = Signals::take_over(&[])?;
    process::become_subreaper();
    let (reader, writer) = fd::pipe()?;
    if let Forked::Parent(parent) = process::fork()? {
        drop(writer);
        tell!(told, process::wait_for(parent));
        let mut room = [0; 4];
        // The orphan tells its number, and waits for nothing.
        tell!(told, fd::read(reader.as_fd(), &mut room));
        let orphan = Pid::new(i32::from_ne_bytes(room)).ok_or(Errno::SRCH)?;
        tell!(told, process::is_child(orphan), process::wait_for(orphan));
        process::resign_as_subreaper();
        tell!(told, signals.pending().collect::<Vec<_>>() == [signal::CHLD]);
        return Ok(());
    }
    let us = process::id();
    if let Ok(Forked::Child) = process::fork() {
        // Until it is an orphan.
        while tree::parent_of(process::id()) == Ok(us) {
            poll::pause(Duration::from_millis(1));
        }
        let _ = fd::write(writer.as_fd(), &process::id().get().to_ne_bytes());
        process::exit(5)
    }
    process::exit(4)
}

fn not_executed(directory: BorrowedFd<'_>, told: &mut String) -> Result<()> {
    let start = fs::reach_dir(fs::HERE, c".")?;
    fs::fchdir(directory)?;
    for (text, mode) in [("#!/none/such\n", 0o755), ("#!/none/such\n", 0o644), ("text\n", 0o755)] {
        let file = fs::open(directory, c"script", Opening::UPDATE)?;
        fd::write_all(file.as_fd(), text.as_bytes())?;
        fs::fchmod(file.as_fd(), mode)?;
        drop(file);
        tell!(told, process::exec(c"./script", &Strings::of([c"./script"]), &Strings::of([])));
        fs::unlink(directory, c"script")?;
    }
    tell!(told, process::exec(c"./none", &Strings::of([c"./none"]), &Strings::of([])));
    fs::fchdir(start.as_fd())
}
