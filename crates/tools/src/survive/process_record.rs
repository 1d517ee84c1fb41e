//! The process record in a state directory, and the process that it names.
//!
//! A new process writes itself into the record before it executes the service. Until then it shares
//! the lock that its supervise took, so that no other supervise can begin. So a supervise that has the
//! lock finds every running service process in the record.

use crate::common::children::ended;
use crate::common::diag::why;
use crate::common::paths::of_process;
use core::ffi::CStr;
use core::ops::Range;
use core::time::Duration;
use daemontools_core::state_dir::process_record::{
    self, BOOT_LEN, DirectoryId, END, Invalid, LEAVING, LEN, PROCESS, Place, ProcessIdentity,
    Record, RecordFile,
};
use daemontools_core::supervise::Script;
use daemontools_core::text::decimal;
use daemontools_core::{Ended, Pid};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, guarded, process};

/// How long to wait until the parent of an ended process has reaped it. Only then does the kernel tell
/// how it ended.
const REAP_TIMEOUT: Duration = Duration::from_millis(20);

/// More than `/proc/PID/stat` needs up to the start time.
const STAT_LEN: usize = 320;

/// A record that another user can have written.
const FORGEABLE: RecordFile = RecordFile::Invalid(Invalid::Forgeable);

/// An open process record, to be written.
pub(crate) struct RecordWriter {
    file: OwnedFd,
    /// The boot, PID namespace and state directory in which the record holds.
    here: Place,
}

/// The result of a write; the error is the reason in words.
pub(crate) type WriteResult = core::result::Result<(), &'static str>;

/// Why a process record cannot be opened.
pub(crate) enum RecordError {
    /// The file of the record cannot be used.
    Record(Errno),
    /// `/proc` cannot be used, or belongs to another PID namespace.
    Proc(Errno),
}

impl RecordWriter {
    /// Opens a record in a state directory, or creates it. Returns its contents, and whether each part
    /// is in its place, so that it can be overwritten alone.
    ///
    /// # Errors
    /// Why the record or /proc cannot be used.
    pub(crate) fn open(
        state: BorrowedFd<'_>,
        name: &CStr,
    ) -> core::result::Result<(Self, RecordFile, bool), RecordError> {
        let here = here(state)?;
        let file = match guarded::open_trusted(state, name) {
            Ok(file)
                if guarded::is_trusted(file.as_fd(), state).map_err(RecordError::Record)? =>
            {
                file
            }
            // Another user can write this file: replace it, so that our record cannot be changed.
            Ok(other) => {
                let file = guarded::replace_trusted(state, name).map_err(RecordError::Record)?;
                let is_empty = fs::size(other.as_fd()) == Ok(0);
                let found = if is_empty { RecordFile::Absent } else { FORGEABLE };
                return Ok((Self { file, here }, found, false));
            }
            Err(Errno::LOOP) => {
                let file = guarded::replace_trusted(state, name).map_err(RecordError::Record)?;
                return Ok((Self { file, here }, FORGEABLE, false));
            }
            Err(error) => return Err(RecordError::Record(error)),
        };
        let mut room = [0; LEN];
        let text = text_of(file.as_fd(), &mut room).map_err(RecordError::Record)?;
        let found = RecordFile::classify(text, &here);
        let is_overwritable =
            matches!(found, RecordFile::Valid(record) if record.to_text() == text);
        Ok((Self { file, here }, found, is_overwritable))
    }

    /// Writes the whole record, of this process or of none.
    ///
    /// # Errors
    /// Why /proc cannot be read or the record cannot be written.
    pub(crate) fn write(&self, leaving: bool, pid: Option<Pid>, script: Script) -> WriteResult {
        let process = match pid.map(identify) {
            None | Some(Err(Errno::NOENT | Errno::SRCH)) => None,
            Some(Err(error)) => return Err(why(error)),
            Some(Ok(process)) => Some(process),
        };
        self.write_part(Record { leaving, process, script, ..self.empty() }, 0..LEN)
    }

    /// Overwrites the part that says whether the supervise is leaving.
    ///
    /// # Errors
    /// Why the record cannot be written.
    pub(crate) fn write_leaving(&self, leaving: bool) -> WriteResult {
        self.write_part(Record { leaving, ..self.empty() }, LEAVING)
    }

    /// Overwrites the part that names the service's newest process and its script.
    ///
    /// # Errors
    /// Why /proc cannot be read or the record cannot be written.
    pub(crate) fn write_process(&self, pid: Pid, script: Script) -> WriteResult {
        let process = Some(identify(pid).map_err(why)?);
        self.write_part(Record { process, script, ..self.empty() }, PROCESS)
    }

    /// Overwrites the part that says how a process has ended.
    ///
    /// # Errors
    /// Why the record cannot be written.
    pub(crate) fn write_end(&self, pid: Pid, how: Ended) -> WriteResult {
        self.write_part(Record { end: Some((pid, how)), ..self.empty() }, END)
    }

    /// Writes the whole record of a process that a supervisor without records has started. Returns
    /// the record, and whether it was written.
    pub(crate) fn write_adopted(&self, process: ProcessIdentity, script: Script) -> (Record, bool) {
        let record = Record { process: Some(process), script, ..self.empty() };
        (record, self.write_part(record, 0..LEN).is_ok())
    }

    const fn empty(&self) -> Record {
        let script = Script::Run;
        Record { place: self.here, leaving: false, process: None, script, end: None }
    }

    fn write_part(&self, record: Record, part: Range<usize>) -> WriteResult {
        let text = record.to_text();
        let bytes = text.get(part.clone()).unwrap_or_default();
        match fs::write_at(self.file.as_fd(), part.start as u64, bytes) {
            Ok(n) if n == bytes.len() => Ok(()),
            Ok(_) => Err("partial write"),
            Err(error) => Err(why(error)),
        }
    }
}

/// The record in a state directory, as it is valid here.
pub(crate) fn find(state: BorrowedFd<'_>) -> RecordFile {
    let mut room = [0; LEN];
    match (read_text(state, &mut room), here(state)) {
        (Some(text), Ok(here)) => RecordFile::classify(text, &here),
        _ if fs::exists(state, c"process") == Ok(false) => RecordFile::Absent,
        _ => FORGEABLE,
    }
}

/// The process that a record names, if the record is valid and the process lives.
pub(crate) fn living(found: &RecordFile) -> Option<(Pid, Handle)> {
    let RecordFile::Valid(record) = found else {
        return None;
    };
    let process = record.process?;
    Some((process.pid, open_process(process).ok()??))
}

/// The process that the record of a state directory names, dead or alive.
pub(crate) fn recorded(state: BorrowedFd<'_>) -> Option<Pid> {
    Some(read(state)?.process?.pid)
}

/// How this process has ended, if the record of a state directory says so.
pub(crate) fn recorded_end(state: BorrowedFd<'_>, pid: Pid) -> Option<Ended> {
    read(state)?.end.filter(|(ended, _)| *ended == pid).map(|(_, how)| how)
}

/// Records how this process has ended, if the record of a state directory names it.
pub(crate) fn note_end(state: BorrowedFd<'_>, pid: Pid, how: Ended) -> Option<()> {
    // First without `RecordWriter::open`, which can replace the file: a running supervise has it open.
    read(state)?;
    let (writer, found, is_overwritable) = RecordWriter::open(state, c"process").ok()?;
    let is_it =
        matches!(found, RecordFile::Valid(Record { process: Some(it), .. }) if it.pid == pid);
    (is_it && is_overwritable).then(|| writer.write_end(pid, how).ok())?
}

fn read(state: BorrowedFd<'_>) -> Option<Record> {
    let mut room = [0; LEN];
    Record::parse(read_text(state, &mut room)?)
}

/// The text of the record, if no other user can have written it.
fn read_text<'a>(state: BorrowedFd<'_>, room: &'a mut [u8; LEN]) -> Option<&'a [u8]> {
    let file = guarded::open(state, c"process", fs::Opening::READ).ok()?;
    if guarded::is_trusted(file.as_fd(), state) != Ok(true) {
        return None;
    }
    text_of(file.as_fd(), room).ok()
}

/// The text of an open record. A file system may give a part of it at a time, and a part is no record.
fn text_of<'a>(file: BorrowedFd<'_>, room: &'a mut [u8; LEN]) -> Result<&'a [u8]> {
    let mut length = 0;
    while let Some(rest) = room.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match fd::read(file, rest)? {
            0 => break,
            n => length += n,
        }
    }
    Ok(room.get(..length).unwrap_or_default())
}

/// The boot, PID namespace and state directory in which a new record holds.
fn here(state: BorrowedFd<'_>) -> core::result::Result<Place, RecordError> {
    let mut room = [0; 32];
    let own = fs::readlink(fs::HERE, c"/proc/self", &mut room).map_err(RecordError::Proc)?;
    // A /proc of another PID namespace shows other pids.
    if decimal::parse(own) != Some(process::id().get().cast_unsigned().into()) {
        return Err(RecordError::Proc(Errno::SRCH));
    }
    let mut boot = [0; BOOT_LEN];
    let id = fs::read_start(fs::HERE, c"/proc/sys/kernel/random/boot_id", &mut boot);
    if id.map_err(RecordError::Proc)?.len() != BOOT_LEN {
        return Err(RecordError::Proc(Errno::INVAL));
    }
    let namespace = fs::inode(fs::HERE, c"/proc/self/ns/pid").map_err(RecordError::Proc)?;
    let init = Pid::new(1).and_then(|init| identify(init).ok()).map_or(0, |init| init.start);
    let directory = match fs::dir_id(state, c".") {
        Ok(Some(id)) => DirectoryId {
            device: id.device,
            inode: id.inode,
            born: u64::try_from(id.born).unwrap_or(0),
        },
        Ok(None) => return Err(RecordError::Record(Errno::NOTDIR)),
        Err(error) => return Err(RecordError::Record(error)),
    };
    Ok(Place { boot, namespace, init, directory })
}

/// The process that has this pid now.
///
/// # Errors
/// ENOENT or ESRCH if there is none, and the errors of reading /proc.
pub(crate) fn identify(pid: Pid) -> Result<ProcessIdentity> {
    let mut text = [0; STAT_LEN];
    ProcessIdentity::from_stat(read_stat(pid, &mut text)?).ok_or(Errno::INVAL)
}

/// The start of `/proc/PID/stat`.
fn read_stat(pid: Pid, text: &mut [u8; STAT_LEN]) -> Result<&[u8]> {
    let mut path = [0; 48];
    fs::read_start(fs::HERE, of_process(&mut path, pid, b"stat")?, text)
}

/// Whether a process is stopped, as by `svc -p`; `None` if /proc does not tell.
pub(crate) fn is_stopped(pid: Pid) -> Option<bool> {
    let mut text = [0; STAT_LEN];
    process_record::is_stopped(read_stat(pid, &mut text).ok()?)
}

/// Opens a recorded process; `None` if it has ended.
///
/// # Errors
/// EACCES where /proc hides the process that has this pid; EMFILE and ENFILE without descriptors; the
/// other errors of reading /proc.
pub(crate) fn open_process(process: ProcessIdentity) -> Result<Option<Handle>> {
    let Some(handle) = Handle::open(process.pid)? else {
        return Ok(None);
    };
    // After the handle is open: if the pid belongs to the recorded process now, it did then.
    match identify(process.pid) {
        Ok(found) if found == process && !handle.has_ended() => Ok(Some(handle)),
        Err(Errno::NOENT | Errno::SRCH) if !handle.has_ended() => Err(Errno::ACCESS),
        Ok(_) | Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether a recorded process is a child of this process, dead or alive, as after a live upgrade.
pub(crate) fn is_child(process: ProcessIdentity) -> bool {
    process::is_child(process.pid) && identify(process.pid) == Ok(process)
}

/// How a process ended that is not a child of this process.
pub(crate) fn end_of(process: &Handle) -> Ended {
    process.how_it_ended(REAP_TIMEOUT).map_or(Ended::Unknown, ended)
}
