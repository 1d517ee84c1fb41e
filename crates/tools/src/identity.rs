//! The identity record in a state directory, and the processes that such records name.
//!
//! A new process writes itself into the record before it becomes the service. As long as it has not
//! become the service it shares the lock that its supervise took, so that no other supervise can
//! begin meanwhile: whoever has the lock finds the record of every service process there is.

use crate::children::ended;
use crate::diag::why;
use crate::paths::of_process;
use core::ffi::CStr;
use core::ops::Range;
use core::time::Duration;
use daemontools_core::decimal;
use daemontools_core::identity::{
    BOOT_LEN, Directory, END, Foreign, Found, LEAVING, LEN, PROCESS, Place, Process, Record,
};
use daemontools_core::supervise::Script;
use daemontools_core::{Ended, Pid};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, guarded, process};

/// How long the parent of a process that has ended may take to reap it, if we are to know how it
/// ended.
const PATIENCE: Duration = Duration::from_millis(20);

/// What a record says that others can have put there.
const FORGEABLE: Found = Found::Foreign(Foreign::Forgeable);

/// What is needed to write the record.
pub(crate) struct Register {
    file: OwnedFd,
    here: Place,
}

/// What came of writing, in words if it failed.
pub(crate) type Outcome = core::result::Result<(), &'static str>;

/// What could not be used, and why.
pub(crate) enum Trouble {
    /// The record.
    Record(Errno),
    /// `/proc`, which may also be that of others.
    Proc(Errno),
}

impl Register {
    /// Opens a record of a state directory, making it if it is missing, and tells what it says, and
    /// whether its parts are where they are to be, so that they can be overwritten.
    ///
    /// # Errors
    /// What could not be used, and why.
    pub(crate) fn open(
        state: BorrowedFd<'_>,
        name: &CStr,
    ) -> core::result::Result<(Self, Found, bool), Trouble> {
        let here = here(state)?;
        let file = match guarded::open_vouched(state, name) {
            Ok(file) if guarded::is_vouched(file.as_fd(), state) => file,
            // Nor is what we write there to be changed by others.
            Ok(other) => {
                let file = guarded::replace_vouched(state, name).map_err(Trouble::Record)?;
                let is_empty = fs::size(other.as_fd()) == Ok(0);
                let found = if is_empty { Found::Nothing } else { FORGEABLE };
                return Ok((Self { file, here }, found, false));
            }
            Err(Errno::LOOP) => {
                let file = guarded::replace_vouched(state, name).map_err(Trouble::Record)?;
                return Ok((Self { file, here }, FORGEABLE, false));
            }
            Err(error) => return Err(Trouble::Record(error)),
        };
        let mut room = [0; LEN];
        let n = fd::read(file.as_fd(), &mut room).map_err(Trouble::Record)?;
        let text = room.get(..n).unwrap_or_default();
        let found = Found::judge(text, &here);
        let tidy = matches!(found, Found::Ours(record) if record.to_text() == text);
        Ok((Self { file, here }, found, tidy))
    }

    /// Writes the whole record: of this process, or of none.
    ///
    /// # Errors
    /// What reading /proc and writing say, in words.
    pub(crate) fn write(&self, leaving: bool, pid: Option<Pid>, script: Script) -> Outcome {
        let process = match pid.map(identify) {
            None | Some(Err(Errno::NOENT | Errno::SRCH)) => None,
            Some(Err(error)) => return Err(why(error)),
            Some(Ok(process)) => Some(process),
        };
        self.write_part(Record { leaving, process, script, ..self.empty() }, 0..LEN)
    }

    /// Writes whether its supervise leaves, into a record that is right otherwise.
    ///
    /// # Errors
    /// What writing says, in words.
    pub(crate) fn write_leaving(&self, leaving: bool) -> Outcome {
        self.write_part(Record { leaving, ..self.empty() }, LEAVING)
    }

    /// Writes which process is the service's newest, and what it runs, into a record that is right
    /// otherwise.
    ///
    /// # Errors
    /// What reading /proc and writing say, in words.
    pub(crate) fn write_process(&self, pid: Pid, script: Script) -> Outcome {
        let process = Some(identify(pid).map_err(why)?);
        self.write_part(Record { process, script, ..self.empty() }, PROCESS)
    }

    /// Writes how a process has ended, into a record that is right otherwise.
    ///
    /// # Errors
    /// What writing says, in words.
    pub(crate) fn write_end(&self, pid: Pid, how: Ended) -> Outcome {
        self.write_part(Record { end: Some((pid, how)), ..self.empty() }, END)
    }

    const fn empty(&self) -> Record {
        let script = Script::Run;
        Record { place: self.here, leaving: false, process: None, script, end: None }
    }

    fn write_part(&self, record: Record, part: Range<usize>) -> Outcome {
        let text = record.to_text();
        let bytes = text.get(part.clone()).unwrap_or_default();
        match fs::write_at(self.file.as_fd(), part.start as u64, bytes) {
            Ok(n) if n == bytes.len() => Ok(()),
            Ok(_) => Err("partial write"),
            Err(error) => Err(why(error)),
        }
    }
}

/// The process that the record of a state directory names, if it speaks of it truly and the process
/// lives.
pub(crate) fn living(state: BorrowedFd<'_>) -> Option<Pid> {
    let mut room = [0; LEN];
    let text = read_text(state, &mut room)?;
    let Found::Ours(record) = Found::judge(text, &here(state).ok()?) else {
        return None;
    };
    let process = record.process?;
    take_hold(process).ok()?.map(|_| process.pid)
}

/// The process that the record of a state directory names, whether it lives or not.
pub(crate) fn recorded(state: BorrowedFd<'_>) -> Option<Pid> {
    Some(read(state)?.process?.pid)
}

/// How this process has ended, if the record of a state directory knows it.
pub(crate) fn recorded_end(state: BorrowedFd<'_>, pid: Pid) -> Option<Ended> {
    read(state)?.end.filter(|(ended, _)| *ended == pid).map(|(_, how)| how)
}

/// Writes how the process has ended that the record of a state directory names, if it is this one.
pub(crate) fn note_end(state: BorrowedFd<'_>, pid: Pid, how: Ended) -> Option<()> {
    // A supervise that is there has it open: it is not to be replaced.
    read(state)?;
    let (register, found, tidy) = Register::open(state, c"process").ok()?;
    let is_it = matches!(found, Found::Ours(Record { process: Some(it), .. }) if it.pid == pid);
    (is_it && tidy).then(|| register.write_end(pid, how).ok())?
}

fn read(state: BorrowedFd<'_>) -> Option<Record> {
    let mut room = [0; LEN];
    Record::parse(read_text(state, &mut room)?)
}

/// The text of the record, if it is ours.
fn read_text<'a>(state: BorrowedFd<'_>, room: &'a mut [u8; LEN]) -> Option<&'a [u8]> {
    let file = guarded::open(state, c"process", fs::Opening::READ).ok()?;
    if !guarded::is_vouched(file.as_fd(), state) {
        return None;
    }
    let n = fd::read(file.as_fd(), room).ok()?;
    room.get(..n)
}

/// Where we are.
fn here(state: BorrowedFd<'_>) -> core::result::Result<Place, Trouble> {
    let mut room = [0; 32];
    let own = fs::readlink(fs::HERE, c"/proc/self", &mut room).map_err(Trouble::Proc)?;
    // The numbers in a /proc of another namespace are not ours.
    if decimal::parse(own) != Some(process::id().get().cast_unsigned().into()) {
        return Err(Trouble::Proc(Errno::SRCH));
    }
    let mut boot = [0; BOOT_LEN];
    let id = fs::read_start(fs::HERE, c"/proc/sys/kernel/random/boot_id", &mut boot);
    if id.map_err(Trouble::Proc)?.len() != BOOT_LEN {
        return Err(Trouble::Proc(Errno::INVAL));
    }
    let namespace = fs::inode(fs::HERE, c"/proc/self/ns/pid").map_err(Trouble::Proc)?;
    let init = Pid::new(1).and_then(|init| identify(init).ok()).map_or(0, |init| init.start);
    let directory = match fs::look(state, c".") {
        Ok(fs::Found::Dir(id)) => Directory {
            device: id.device,
            inode: id.inode,
            born: u64::try_from(id.born).unwrap_or(0),
        },
        Ok(fs::Found::Other) => return Err(Trouble::Record(Errno::NOTDIR)),
        Err(error) => return Err(Trouble::Record(error)),
    };
    Ok(Place { boot, namespace, init, directory })
}

/// The process that has this number now.
///
/// # Errors
/// ENOENT or ESRCH if there is none, and what reading /proc says.
pub(crate) fn identify(pid: Pid) -> Result<Process> {
    let mut path = [0; 48];
    let path = of_process(&mut path, pid, b"stat")?;
    let mut text = [0; 320];
    Process::from_stat(fs::read_start(fs::HERE, path, &mut text)?).ok_or(Errno::INVAL)
}

/// Takes hold of a recorded process; gives nothing if it has ended.
///
/// # Errors
/// When it cannot be found out, EACCES where /proc hides the process that has this number, or there
/// are no more descriptors.
pub(crate) fn take_hold(process: Process) -> Result<Option<Handle>> {
    let Some(handle) = Handle::open(process.pid)? else {
        return Ok(None);
    };
    // Looked at after we have hold of it: if the number is the right process's now, it was then.
    match identify(process.pid) {
        Ok(found) if found == process && !handle.has_ended() => Ok(Some(handle)),
        Err(Errno::NOENT | Errno::SRCH) if !handle.has_ended() => Err(Errno::ACCESS),
        Ok(_) | Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether a recorded process is a child of ours, ended or not: we have become another program
/// since it was started.
pub(crate) fn is_ours(process: Process) -> bool {
    process::is_child(process.pid) && identify(process.pid) == Ok(process)
}

/// How a process ended that is not our child.
pub(crate) fn end_of(process: &Handle) -> Ended {
    process.how_it_ended(PATIENCE).map_or(Ended::Unknown, ended)
}
