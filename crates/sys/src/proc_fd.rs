//! The open descriptors of a process, from `/proc/PID/fd`.
//!
//! The process can replace a descriptor between two calls, and a process of another user may choose
//! what it refers to. So a descriptor is opened as an `O_PATH` descriptor of our own first. That opens
//! no device and asks no file system. Every question and every further open then concerns our own
//! descriptor.

use crate::fs::Opening;
use crate::process::Pid;
use crate::tree::Path;
use crate::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, dir, fd, fs};
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags, openat};

/// An anonymous pipe that a process has open. It is held: its inode number is not used again while
/// this value exists.
pub struct Pipe {
    /// Made with `O_PATH`, so that it counts neither as a reader nor as a writer.
    handle: OwnedFd,
    inode: u64,
}

impl Pipe {
    /// The pipe that is descriptor `number` of a process; `None` without such a descriptor, or if that
    /// is anything else, as a FIFO with a name.
    ///
    /// The caller makes sure that the pid still belongs to the process that it means.
    ///
    /// # Errors
    /// EACCES: the descriptors of the process are hidden. EMFILE and ENFILE: too many descriptors.
    pub fn of(pid: Pid, number: i32) -> Result<Option<Self>> {
        Self::at(&path_of(pid, b"/fd/", number))
    }

    /// The pipe that is descriptor `number` of a process, if the process can read and write it there;
    /// otherwise as [`Self::of`]. So we take nothing from the pipe that
    /// the process could not take itself.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub fn both_ways(pid: Pid, number: i32) -> Result<Option<Self>> {
        Self::with_access(pid, number, OFlags::RDWR)
    }

    /// The same, if the process can only write to the pipe there.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub fn write_only(pid: Pid, number: i32) -> Result<Option<Self>> {
        Self::with_access(pid, number, OFlags::WRONLY)
    }

    fn with_access(pid: Pid, number: i32, access: OFlags) -> Result<Option<Self>> {
        let Some(pipe) = Self::of(pid, number)? else { return Ok(None) };
        let mut room = [0; 128];
        let text = match info(pid, number, &mut room) {
            Ok(text) => text,
            Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error),
        };
        let has_access = flags_in(text).is_some_and(|flags| {
            flags & OFlags::ACCMODE == access && !flags.contains(OFlags::PATH)
        });
        Ok(has_access.then_some(pipe))
    }

    /// The pipe that is descriptor `number` of this process.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub fn own(number: i32) -> Result<Option<Self>> {
        Self::at(&own_path(number))
    }

    fn at(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let handle = match openat(fs::HERE, path.as_c_str()?, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error),
        };
        // The link of a file with a name begins with a slash, so only a pipe has such a link. To read
        // it asks no file system, as stat(2) would: the file may be in one that never answers.
        let mut room = [0; 32];
        let own = own_path(fd::number(handle.as_fd()));
        let target = fs::readlink(fs::HERE, own.as_c_str()?, &mut room)?;
        let digits = target.strip_prefix(b"pipe:[").and_then(|rest| rest.strip_suffix(b"]"));
        let inode = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        Ok(inode.map(|inode| Self { handle, inode }))
    }

    /// Whether both are the same pipe.
    #[must_use]
    pub const fn is_same(&self, other: &Self) -> bool {
        self.inode == other.inode
    }

    /// A number by which two pipes can be told apart: the low half of the inode number.
    #[must_use]
    pub const fn tag(&self) -> i32 {
        let [a, b, c, d, ..] = self.inode.to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    }

    /// Opens the read end.
    ///
    /// # Errors
    /// EACCES: another user made the pipe. EMFILE and ENFILE: too many descriptors. ENOENT: no `/proc`.
    pub fn open_reader(&self) -> Result<OwnedFd> {
        self.open(Opening::READ)
    }

    /// Opens the write end.
    ///
    /// # Errors
    /// As for [`Self::open_reader`].
    pub fn open_writer(&self) -> Result<OwnedFd> {
        self.open(Opening::WRITE)
    }

    fn open(&self, how: Opening) -> Result<OwnedFd> {
        fs::open(fs::HERE, own_path(fd::number(self.handle.as_fd())).as_c_str()?, how)
    }
}

/// The path `/proc/self/fd/NUMBER` of a descriptor of this process.
pub(crate) fn own_path(number: i32) -> Path {
    let mut path = Path::new(b"/proc/self/fd/");
    path.push_number(number);
    path
}

/// The path `/proc/PID/TABLE/NUMBER` of a descriptor; `table` has the slashes.
fn path_of(pid: Pid, table: &[u8], number: i32) -> Path {
    let mut path = Path::new(b"/proc/");
    path.push_number(pid.get());
    path.push(table);
    path.push_number(number);
    path
}

/// The start of `/proc/PID/fdinfo/NUMBER` (proc_pid_fdinfo(5)).
fn info(pid: Pid, number: i32, room: &mut [u8]) -> Result<&[u8]> {
    fs::read_start(fs::HERE, path_of(pid, b"/fdinfo/", number).as_c_str()?, room)
}

/// The highest number among the descriptors that this process inherited and its children inherit;
/// at least 2.
///
/// # Errors
/// Those of opening and reading `/proc/self/fd`.
pub fn last_inherited() -> Result<i32> {
    let open = fs::open_dir(fs::HERE, c"/proc/self/fd")?;
    let mut last = 2;
    dir::entries(open.as_fd(), |name, _| {
        let number = name.to_str().ok().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|&number| number > last)
            && fd::is_inherited(number)
        {
            last = number;
        }
    })?;
    Ok(last)
}

/// Closes every inherited descriptor of this file, as [`fd::take_inherited`] defines them: the
/// earlier program image in this process left them open.
pub fn close_inherited(file: BorrowedFd<'_>) {
    let _ = numbers_of(c"/proc/self/fd", file, |number| drop(fd::take_inherited(number)));
}

/// Calls `each` with the number of every descriptor that refers to the same file as `file`;
/// `table` is the path `/proc/PID/fd` of a process.
///
/// # Errors
/// Those of opening and reading the directory.
pub fn numbers_of(table: &CStr, file: BorrowedFd<'_>, mut each: impl FnMut(i32)) -> Result<()> {
    let wanted = fs::cached_identity(file, c"")?;
    let open = fs::open_dir(fs::HERE, table)?;
    dir::entries(open.as_fd(), |name, _| {
        if fs::cached_identity(open.as_fd(), name) == Ok(wanted)
            && let Some(number) = name.to_str().ok().and_then(|name| name.parse().ok())
        {
            each(number);
        }
    })
}

/// Who took the flock(2) lock on this file that a process holds by one of its descriptors; `None` if
/// it holds none, or if the taker is not known: see [`holds_lock`].
///
/// # Errors
/// EACCES: the descriptors of the process are hidden. The others of opening and reading the directory.
pub fn lock_taker(pid: Pid, file: BorrowedFd<'_>) -> Result<Option<Pid>> {
    Ok(held_lock(pid, file)?.flatten())
}

/// Whether a process holds a flock(2) lock on this file. One that inherited the lock holds it too. Its
/// taker may be unknown: in a PID namespace, Linux shows 0 for a process outside or one that was reaped.
///
/// # Errors
/// As for [`lock_taker`].
pub fn holds_lock(pid: Pid, file: BorrowedFd<'_>) -> Result<bool> {
    Ok(held_lock(pid, file)?.is_some())
}

/// Whether the program that a process executes took a flock(2) lock on this file itself: the process is
/// the taker, and exec closes the descriptor. A lock that a process took before an exec, for a program of
/// another user's choice, has another kind of descriptor.
///
/// # Errors
/// As for [`lock_taker`].
pub fn has_own_lock(pid: Pid, file: BorrowedFd<'_>) -> Result<bool> {
    let mut found = false;
    numbers_of(table_of(pid).as_c_str()?, file, |number| found |= is_own_lock(pid, number))?;
    Ok(found)
}

/// Whether the program that a process executes has made a file in memory with this name (as
/// [`fd::locked_memory`] does), and has locked it itself.
///
/// # Errors
/// As for [`lock_taker`].
pub fn has_own_memory(pid: Pid, name: &CStr) -> Result<bool> {
    let table = fs::open_dir(fs::HERE, table_of(pid).as_c_str()?)?;
    let wanted = [b"/memfd:", name.to_bytes(), b" (deleted)"].concat();
    let mut found = false;
    dir::entries(table.as_fd(), |entry, _| {
        let mut room = [0; 64];
        // To read the link asks no file system.
        let is_named = fs::readlink(table.as_fd(), entry, &mut room) == Ok(&wanted[..]);
        if is_named && let Some(number) = entry.to_str().ok().and_then(|it| it.parse().ok()) {
            found |= is_own_lock(pid, number);
        }
    })?;
    Ok(found)
}

/// How many descriptors a process has open; 0 before Linux 6.2, which does not tell.
///
/// # Errors
/// EACCES: the descriptors of the process are hidden. ENOENT: it has ended.
pub fn count_of(pid: Pid) -> Result<u64> {
    fs::size(fs::open_dir(fs::HERE, table_of(pid).as_c_str()?)?.as_fd())
}

/// Whether this descriptor is close-on-exec, and the process took a lock by it.
fn is_own_lock(pid: Pid, number: i32) -> bool {
    let mut room = [0; 1024];
    let text = info(pid, number, &mut room).unwrap_or_default();
    let mut lines = text.split(|&c| c == b'\n');
    flags_in(text).is_some_and(|flags| flags.contains(OFlags::CLOEXEC))
        && lines.any(|line| flock_taker(line) == Some(Some(pid)))
}

/// The path `/proc/PID/fd`.
fn table_of(pid: Pid) -> Path {
    let mut table = Path::new(b"/proc/");
    table.push_number(pid.get());
    table.push(b"/fd");
    table
}

/// The taker of the lock that a process holds on a file, as far as it is known.
fn held_lock(pid: Pid, file: BorrowedFd<'_>) -> Result<Option<Option<Pid>>> {
    let mut found = None;
    numbers_of(table_of(pid).as_c_str()?, file, |number| {
        let mut room = [0; 1024];
        let text = info(pid, number, &mut room).unwrap_or_default();
        found = found.or_else(|| text.split(|&c| c == b'\n').find_map(flock_taker));
    })?;
    Ok(found)
}

/// The flags of an open file, from the text of `/proc/PID/fdinfo/NUMBER`: those of open(2), and
/// `O_CLOEXEC` if exec closes the descriptor.
fn flags_in(text: &[u8]) -> Option<OFlags> {
    let mut lines = text.split(|&byte| byte == b'\n');
    let digits = lines.find_map(|line| line.strip_prefix(b"flags:"))?.trim_ascii();
    let flags = u32::from_str_radix(str::from_utf8(digits).ok()?, 8).ok()?;
    Some(OFlags::from_bits_retain(flags))
}

/// Parses `lock: 1: FLOCK  ADVISORY  WRITE 1234 ...` (proc_pid_fdinfo(5)).
fn flock_taker(line: &[u8]) -> Option<Option<Pid>> {
    let rest = line.strip_prefix(b"lock:")?;
    let mut words = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is_flock = words.nth(1)? == b"FLOCK";
    let taker = str::from_utf8(words.nth(2)?).ok()?.parse::<i32>().ok()?;
    is_flock.then_some(Pid::new(taker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{file_above, inode_at, number, take_placed};
    use alloc::vec::Vec;

    #[test]
    fn last_inherited_ignores_close_on_exec_descriptors() {
        // Higher than every number of the other tests, which run at the same time.
        let (file, _) = file_above(900);
        let last = last_inherited().unwrap();
        assert!(last < number(&file), "{last}");
        fd::set_inherited(file.as_fd(), true);
        assert_eq!(last_inherited(), Ok(number(&file)));
    }

    #[test]
    fn a_pipe_of_another_process_is_opened_at_both_ends() {
        use std::process::{Command, Stdio};
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        let input = Pipe::of(pid, 0).unwrap().unwrap();
        let output = Pipe::of(pid, 1).unwrap().unwrap();
        assert!(!input.is_same(&output) && input.is_same(&Pipe::of(pid, 0).unwrap().unwrap()));
        fd::write_all(input.open_writer().unwrap().as_fd(), b"through cat").unwrap();
        let reader = output.open_reader().unwrap();
        fd::set_blocking(reader.as_fd(), true).unwrap();
        let mut room = [0; 20];
        assert_eq!(fd::read(reader.as_fd(), &mut room), Ok(11));
        let own = Pipe::own(fd::number(reader.as_fd())).unwrap().unwrap();
        assert!(own.is_same(&output));
        // The handle is no writer: the child reads the end of its input.
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(Pipe::of(pid, 0).unwrap().is_none());
    }

    #[test]
    fn a_pipe_that_is_open_both_ways_is_told_from_its_ends() {
        let (reader, writer) = fd::pipe().unwrap();
        let pipe = Pipe::own(number(&reader)).unwrap().unwrap();
        let path = own_path(number(&writer));
        let both = fs::open(fs::HERE, path.as_c_str().unwrap(), Opening::UPDATE).unwrap();
        let us = crate::process::id();
        let found = |fd: &OwnedFd| Pipe::both_ways(us, number(fd)).unwrap();
        assert!(found(&both).is_some_and(|it| it.is_same(&pipe)));
        assert!(found(&reader).is_none() && found(&writer).is_none());
        assert!(found(&pipe.handle).is_none());
        assert!(Pipe::both_ways(us, 100_000).unwrap().is_none());
    }

    #[test]
    fn a_descriptor_that_is_no_anonymous_pipe_is_not_opened() {
        let name = std::format!("daemontools-pipe:[{}]", std::process::id());
        let path = std::env::temp_dir().join(name);
        let at = alloc::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
            .unwrap();
        fs::mkfifo(fs::HERE, &at, 0o600).unwrap();
        let fifo = fs::open_read(fs::HERE, &at).unwrap();
        let as_path = openat(fs::HERE, &*at, OFlags::PATH, Mode::empty()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let null = fs::open_read(fs::HERE, c"/dev/null").unwrap();
        for file in [&fifo, &as_path, &null] {
            assert!(Pipe::own(fd::number(file.as_fd())).unwrap().is_none());
        }
        assert!(Pipe::own(100_000).unwrap().is_none());
        assert!(Pipe::of(Pid::MAX, 0).unwrap().is_none());
    }

    #[test]
    fn the_taker_of_a_lock_is_told_of_its_holders_only() {
        let us = crate::process::id();
        let name = std::format!("daemontools-lock-taker-{us}");
        let path = std::env::temp_dir().join(name);
        let at = alloc::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
        let file = fs::open_append_for_children(fs::HERE, &at.unwrap()).unwrap();
        let other = std::fs::File::open(&path).unwrap();
        let other = crate::test_support::borrow_std(&other);
        assert_eq!(lock_taker(us, other), Ok(None));
        crate::lock::try_lock(file.as_fd()).unwrap();
        // exec does not close this descriptor, so another program may have taken the lock.
        assert_eq!(has_own_lock(us, other), Ok(false));
        fd::set_inherited(file.as_fd(), false);
        assert_eq!(has_own_lock(us, other), Ok(true));
        fd::set_inherited(file.as_fd(), true);
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
        // Both hold it, but this process took it. `other` is another open file.
        assert_eq!([us, pid].map(|pid| lock_taker(pid, other)), [Ok(Some(us)); 2]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(lock_taker(pid, other).is_err());
        std::fs::remove_file(path).unwrap();
        assert_eq!(flock_taker(b"lock:\t1: POSIX  ADVISORY  WRITE 77 00:1b:42 0 EOF"), None);
        assert_eq!(flock_taker(b"lock:\t1: FLOCK"), None);
    }

    #[test]
    fn a_locked_file_in_memory_is_found_by_its_name() {
        let us = crate::process::id();
        assert_eq!(has_own_memory(us, c"daemontools-test"), Ok(false));
        let memory = fd::locked_memory(c"daemontools-test").unwrap();
        assert_eq!(has_own_memory(us, c"daemontools-test"), Ok(true));
        assert_eq!(has_own_memory(us, c"daemontools"), Ok(false));
        fd::set_inherited(memory.as_fd(), true);
        assert_eq!(has_own_memory(us, c"daemontools-test"), Ok(false));
    }

    #[test]
    fn close_inherited_closes_the_copies_of_one_file() {
        let (file, inode) = file_above(800);
        let (other, other_inode) = file_above(800);
        for (fd, number) in [(&file, 850), (&other, 851), (&file, 852)] {
            fd::place(fd.as_fd(), number).unwrap();
        }
        let mut found = Vec::new();
        numbers_of(c"/proc/self/fd", file.as_fd(), |number| found.push(number)).unwrap();
        found.sort_unstable();
        assert_eq!(found, [number(&file), 850, 852]);
        close_inherited(file.as_fd());
        // The close-on-exec descriptor is our own, so it stays.
        assert_eq!([850, 852, number(&file)].map(inode_at), [None, None, Some(inode)]);
        assert_eq!(take_placed(851), other_inode);
    }
}
