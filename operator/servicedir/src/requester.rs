//! The client that sends commands, and its notes beside the history.

use crate::ServiceDir;
use daemontools_core::state_dir::request_note::{
    FILE_LEN, LEN, RequestNote, next_place, parse_notes,
};
use daemontools_core::time::tai::Tai64n;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open};
use rustix::io::{Errno, pread, pwrite};
use rustix::process::geteuid;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::SystemTime;

/// The file of the notes.
const FILE: &str = "requests";

/// The mark of files that were made for their place: the sticky bit, which only their owner and root can
/// set. supervise marks its files in the same way.
const MARK: u32 = 0o1000;

/// The write permissions of group and others.
const OTHERS_WRITE: u32 = 0o022;

/// The client that asks for a command.
///
/// The text is what the client says about itself. It proves nothing, and it may contain any characters:
/// escape it before it reaches a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requester {
    /// The name or number of its user.
    pub user: String,
    /// The user who logged in, if that is another one.
    pub login: String,
    /// Its terminal, such as `pts/3`; empty without one.
    pub terminal: String,
    /// Its command line; the end may be missing.
    pub command: String,
}

impl Requester {
    pub(crate) fn of(note: &RequestNote) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            user: text(&note.user),
            login: text(&note.login),
            terminal: text(&note.terminal),
            command: text(&note.command),
        }
    }
}

/// The notes of a service; none if they cannot be read.
pub(crate) fn read_notes(dir: &ServiceDir) -> Vec<RequestNote> {
    dir.read(FILE).map(|bytes| parse_notes(&bytes)).unwrap_or_default()
}

impl ServiceDir {
    /// The same directory for this requester: each command that is sent from now on leaves a note, which
    /// [`ServiceDir::history`] shows.
    ///
    /// A note is written only if supervise keeps a history there. If it cannot be written, the command is
    /// sent all the same.
    #[must_use]
    pub fn for_requester(mut self, requester: Requester) -> Self {
        self.requester = Some(Box::new(requester));
        self
    }

    /// Writes the note of a message that is about to be sent.
    pub(crate) fn note_request(&self, message: &[u8]) {
        let Some(requester) = self.requester.as_ref().filter(|_| !message.is_empty()) else {
            return;
        };
        // Best effort: the history then says that the command was received.
        let _ = self.write_note(requester, message);
    }

    fn write_note(&self, requester: &Requester, message: &[u8]) -> rustix::io::Result<()> {
        if self.open("history", OFlags::PATH).is_err() {
            return Ok(());
        }
        let file = self.open_notes()?;
        let mut notes = vec![0; FILE_LEN];
        // A file of an ordinary file system is read whole.
        let length = pread(&file, &mut notes, 0)?;
        let (number, at) = next_place(notes.get(..length).unwrap_or_default());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let note = RequestNote {
            // As labels of supervise: whole microseconds, and 500 nanoseconds.
            when: Tai64n::from_unix(seconds, now.subsec_micros() * 1000 + 500),
            number,
            message: message.to_vec(),
            user: requester.user.clone().into_bytes(),
            login: requester.login.clone().into_bytes(),
            terminal: requester.terminal.clone().into_bytes(),
            command: requester.command.clone().into_bytes(),
        };
        match pwrite(&file, &note.to_text(), at as u64)? {
            LEN => Ok(()),
            _ => Err(Errno::IO),
        }
    }

    /// Opens the file of the notes, and makes it if this user may.
    ///
    /// Another user may be able to write the directory, and to put a link to a file of ours in the place
    /// of this one: such a file is not written.
    fn open_notes(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let path = self.state_file(FILE);
        // The directory decides who may read it, as for the status.
        let mode = Mode::from_raw_mode(MARK | 0o644);
        let file = match open(&path, flags, mode) {
            Err(Errno::NOENT) => open(&path, flags | OFlags::CREATE | OFlags::EXCL, mode)?,
            other => other?,
        };
        let dir = open(self.state_file("."), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        if is_ours(&fstat(&file)?, &fstat(dir.as_fd())?) { Ok(file) } else { Err(Errno::PERM) }
    }
}

/// Whether a note may be written into this file, found in this directory.
fn is_ours(file: &Stat, dir: &Stat) -> bool {
    let user = geteuid().as_raw();
    let is_file = FileType::from_raw_mode(file.st_mode) == FileType::RegularFile;
    let is_safe_dir = (dir.st_uid == user || dir.st_uid == 0) && dir.st_mode & OTHERS_WRITE == 0;
    let is_marked = file.st_mode & MARK != 0;
    // A group that may send commands may write the notes, which belong to another user then.
    let is_owner_known = file.st_uid == user || file.st_uid == dir.st_uid;
    is_file && file.st_nlink == 1 && is_owner_known && (is_safe_dir || is_marked)
}
