//! What supervise keeps in the state directory: its lock, its FIFOs, the status and the identity
//! record.

use super::child::Locks;
use crate::diag::{self, TEMPORARY, why};
use crate::holder;
use crate::identity::{self, Outcome, Register, Trouble};
use crate::state_dir::StateDir;
use crate::time::{now, since_boot};
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::decimal::Decimal;
use daemontools_core::detail::{Detail, Phase};
use daemontools_core::handover::Handover;
use daemontools_core::identity::{Found, Process, Record as IdentityRecord, succeed};
use daemontools_core::status::{self, Record};
use daemontools_core::supervise::{Kept, Machine};
use daemontools_core::{Ended, errno};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, lock};

/// More than any that we write.
const LARGEST_STATE: usize = 4096;

/// What an upgrade leaves open, so that nobody comes in between and no command is lost.
pub(super) struct Handed {
    lock: OwnedFd,
    control: OwnedFd,
    control_writer: OwnedFd,
    ok: OwnedFd,
}

impl Handed {
    /// What was handed over; `None` unless it is all there.
    pub(super) fn take(handover: &Handover) -> Option<Self> {
        let take = |name: &[u8]| fd::take_inherited(handover.descriptor(name)?);
        Some(Self {
            lock: take(b"lock")?,
            control: take(b"control")?,
            control_writer: take(b"control-writer")?,
            ok: take(b"ok")?,
        })
    }
}

/// The state directory, ours alone.
pub(super) struct Locked {
    shown: Shown,
    state: OwnedFd,
    lock: OwnedFd,
    handed: Option<(OwnedFd, OwnedFd, OwnedFd)>,
}

impl Locked {
    /// Makes the state directory if it is missing, and takes its lock.
    pub(super) fn take(
        dir: &'static [u8],
        handed: Option<Handed>,
    ) -> core::result::Result<Self, i32> {
        let shown = Shown::find(dir)
            .map_err(|e| diag::fatal("supervise", &[b"unable to find directory of ", dir], e))?;
        shown.make_dir()?;
        let state = shown
            .state
            .with_path(|path| fs::reach_dir(fs::HERE, path))
            .map_err(|e| shown.fatal(b"acquire", b"/lock", e))?;
        let lock = fs::open_append(state.as_fd(), c"lock")
            .map_err(|e| shown.fatal(b"acquire", b"/lock", e))?;
        let same =
            |handed: &Handed| lock::identity(handed.lock.as_fd()) == lock::identity(lock.as_fd());
        if let Some(Handed { lock, control, control_writer, ok }) = handed.filter(same) {
            return Ok(Self { shown, state, lock, handed: Some((control, control_writer, ok)) });
        }
        if let Err(error) = holder::take(lock.as_fd()) {
            let what =
                [b"unable to acquire ", shown.dir, shown.slash, shown.state.path(), b"/lock"];
            return Err(holder::refuse("supervise", &what, &lock, error));
        }
        Ok(Self { shown, state, lock, handed: None })
    }

    /// Opens the control FIFO, making it if it is missing.
    pub(super) fn open_files(self) -> core::result::Result<Files, i32> {
        let Self { shown, state, lock, handed } = self;
        if let Some((control, control_writer, ok)) = handed {
            let ok = Some(ok);
            return Ok(Files { shown, state, control, register: None, lock, ok, control_writer });
        }
        let at = state.as_fd();
        // If it cannot be made, opening it tells why.
        let _ = fs::mkfifo(at, c"control", 0o600);
        let control =
            fs::open_read(at, c"control").map_err(|e| shown.fatal(b"read", b"/control", e))?;
        shown.check_fifo(&control, b"/control")?;
        let control_writer =
            fs::open_write(at, c"control").map_err(|e| shown.fatal(b"write", b"/control", e))?;
        Ok(Files { shown, state, control, register: None, lock, ok: None, control_writer })
    }
}

/// What is open in the state directory.
pub(super) struct Files {
    shown: Shown,
    state: OwnedFd,
    control: OwnedFd,
    /// None where processes cannot be identified, which was said.
    register: Option<Register>,
    /// Held open, not used: as long as they are, we are alone, and svok says yes, and the FIFO has
    /// no end.
    lock: OwnedFd,
    ok: Option<OwnedFd>,
    control_writer: OwnedFd,
}

/// How a supervise begins.
pub(super) struct Beginning {
    pub(super) machine: Machine,
    /// The service's process, if another supervise has started it.
    pub(super) adopted: Option<Handle>,
    /// Whether we are leaving, as the identity record says, if there is one that is right otherwise.
    pub(super) recorded: Option<bool>,
    /// What `state` says for a service's care.
    pub(super) remembered: Remembered,
}

/// What a supervise has written down in `state` that only it could know.
#[derive(Default)]
pub(super) struct Remembered {
    /// The name of the notify socket that the service knows.
    pub(super) socket: Vec<u8>,
    /// What it has said there.
    pub(super) message: Vec<u8>,
}

impl Files {
    /// The FIFO from which commands are read.
    pub(super) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Opens the FIFO that says we are here, making it if it is missing.
    pub(super) fn open_ok(&mut self) -> core::result::Result<(), i32> {
        if self.ok.is_some() {
            return Ok(());
        }
        let at = self.state.as_fd();
        let _ = fs::mkfifo(at, c"ok", 0o600);
        let ok = fs::open_read(at, c"ok").map_err(|e| self.shown.fatal(b"read", b"/ok", e))?;
        self.shown.check_fifo(&ok, b"/ok")?;
        self.ok = Some(ok);
        Ok(())
    }

    /// What an upgrade leaves open, by the names in the handover.
    pub(super) fn to_hand_over(&self) -> impl Iterator<Item = (&'static [u8], BorrowedFd<'_>)> {
        [
            (&b"lock"[..], Some(&self.lock)),
            (b"control", Some(&self.control)),
            (b"control-writer", Some(&self.control_writer)),
            (b"ok", self.ok.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, fd)| Some((name, fd?.as_fd())))
    }

    /// Goes on from what the last supervise left behind, if it could not leave in order; otherwise
    /// begins anew. If that one was `ours`, another image of this process, it hands over whether it
    /// was leaving, and what was wanted then is wanted still.
    pub(super) fn begin(
        &mut self,
        normally_up: bool,
        ours: bool,
    ) -> core::result::Result<Beginning, i32> {
        let Some((record, tidy)) = self.open_record()? else {
            let machine = Machine::new(normally_up, now());
            let remembered = Remembered::default();
            return Ok(Beginning { machine, adopted: None, recorded: None, remembered });
        };
        let dir = self.shown.dir;
        let own = record.process.is_some_and(identity::is_ours);
        let digits = |process: Process| Decimal::new(process.pid.get().cast_unsigned().into());
        let mut adopted = None;
        if let Some(process) = record.process.filter(|_| !own) {
            // What cannot be watched is not to be doubled either.
            adopted = identity::take_hold(process).map_err(|error| {
                let digits = digits(process);
                let what = [b"unable to watch process ", digits.as_bytes(), b" of ", dir];
                diag::fatal("supervise", &what, error)
            })?;
        }
        // An end of our own child that we were not told of yet, we shall be.
        let lives = own || adopted.is_some();
        let status = self.read_status();
        if let Some(process) = record.process.filter(|_| !lives) {
            if !record.leaving && status.is_some_and(|status| status.names(process.pid)) {
                let start = b"supervise: warning: process ";
                diag::say(&[start, digits(process).as_bytes(), b" of ", dir, b" has ended unseen"]);
            }
            if tidy && record.end.is_none_or(|(pid, _)| pid != process.pid) {
                self.note(true, |record| record.write_end(process.pid, Ended::Unknown));
            }
        }
        let recorded = tidy.then_some(record.leaving);
        let record = IdentityRecord { leaving: record.leaving && !ours, ..record };
        let (kept, remembered) = self.read_state(status);
        let machine = succeed(&record, lives, status, kept, normally_up, now(), since_boot());
        Ok(Beginning { machine, adopted, recorded, remembered })
    }

    /// Opens the identity record, and gives it if it speaks of us, and whether parts of it can be
    /// overwritten. Without one there is a service
    /// all the same; but one that is there and cannot be read may name a process that lives.
    fn open_record(&mut self) -> core::result::Result<Option<(IdentityRecord, bool)>, i32> {
        let [a, b, c] = self.shown.path();
        let trouble = match Register::open(self.state.as_fd()) {
            Ok((register, found, tidy)) => {
                self.register = Some(register);
                if let Found::Foreign(foreign) = found {
                    let start = b"supervise: warning: ignoring ";
                    diag::say(&[start, a, b, c, b"/process: ", foreign.reason().as_bytes()]);
                }
                return Ok(match found {
                    Found::Ours(record) => Some((record, tidy)),
                    Found::Nothing | Found::Foreign(_) => None,
                });
            }
            Err(trouble) => trouble,
        };
        let (what, error) = match trouble {
            Trouble::Record(error) => ([b"unable to open ", a, b, c, b"/process"], error),
            Trouble::Proc(error) => ([&b"unable to use /proc"[..], b"", b"", b"", b""], error),
        };
        if fs::exists(self.state.as_fd(), c"process") != Ok(false) {
            return Err(diag::fatal("supervise", &what, error));
        }
        diag::warning("supervise", &what, error);
        Ok(None)
    }

    fn read_status(&self) -> Option<Record> {
        let mut room = [0; status::LEN];
        let bytes = fs::read_start(self.state.as_fd(), c"status", &mut room).ok()?;
        Record::from_bytes(bytes)
    }

    /// What `state` says that belongs to this status, and what is remembered.
    fn read_state(&self, status: Option<Record>) -> (Kept, Remembered) {
        let text = fs::read_whole(self.state.as_fd(), c"state", LARGEST_STATE).unwrap_or_default();
        let Some(detail) = Detail::parse(&text) else {
            return Default::default();
        };
        // It keeps its name as long as there is a supervise.
        let mut remembered = Remembered { socket: detail.socket.to_vec(), message: Vec::new() };
        if status.is_none_or(|status| status.since != detail.since) {
            return (Kept::default(), remembered);
        }
        remembered.message = detail.message.to_vec();
        let kept = Kept {
            ready: detail.ready,
            failures: detail.failures,
            reason: detail.reason,
            failed: detail.phase == Phase::Failed,
        };
        (kept, remembered)
    }

    /// Writes what is to be read beside the status, before it. Without it nothing is wrong with the
    /// service, and the status tells what matters most.
    pub(super) fn write_state(&self, detail: &Detail<'_>) {
        let mut text = Vec::new();
        detail.to_text(&mut text);
        let at = self.state.as_fd();
        let written = fs::open_trunc(at, c"state.new")
            .and_then(|file| fd::write_all(file.as_fd(), &text))
            .and_then(|()| fs::rename(at, c"state.new", c"state"));
        // Rather none than an old one.
        if written.is_err() {
            let _ = fs::unlink(at, c"state");
        }
    }

    /// Removes it: what it says may not be so.
    pub(super) fn remove_state(&self) {
        let _ = fs::unlink(self.state.as_fd(), c"state");
    }

    /// The state directory.
    pub(super) fn state(&self) -> BorrowedFd<'_> {
        self.state.as_fd()
    }

    /// What the locks of a service are taken with.
    pub(super) fn locks(&self) -> Locks<'_> {
        Locks { state: self.state.as_fd(), supervise: self.lock.as_fd() }
    }

    /// Whether processes can be identified.
    pub(super) const fn keeps_record(&self) -> bool {
        self.register.is_some()
    }

    /// Writes into the identity record. Says what is wrong unless it was `said`.
    pub(super) fn note(&self, said: bool, write: impl FnOnce(&Register) -> Outcome) -> bool {
        let Some(register) = &self.register else {
            return true;
        };
        let written = write(register);
        if let Err(why) = written
            && !said
        {
            self.shown.warn(b"write", b"/process", why);
        }
        written.is_ok()
    }

    /// Removes the identity record: we leave in order. If that fails, it says that we were leaving,
    /// which comes to the same.
    pub(super) fn remove_record(&self) {
        let _ = fs::unlink(self.state.as_fd(), c"process");
    }

    /// Replaces `status` in one step, so that a reader always sees a whole record; on a full disk
    /// or in a directory that cannot be written, overwrites it, which is one small write as well.
    /// Says what is wrong unless it was `said`.
    pub(super) fn write_status(&self, record: &Record, said: bool) -> bool {
        let (original, encore) = (record.to_bytes(), record.to_encore_bytes());
        let bytes = encore.as_ref().map_or(&original[..], |encore| &encore[..]);
        let at = self.state.as_fd();
        let replaced = match fs::open_trunc(at, c"status.new") {
            Err(error) => Err(("open", "", why(error))),
            Ok(file) => match fd::write(file.as_fd(), bytes) {
                Err(error) => Err(("write", "", why(error))),
                Ok(n) if n < bytes.len() => Err(("write", "", "partial write")),
                Ok(_) => fs::rename(at, c"status.new", c"status")
                    .map_err(|error| ("rename", " to status", why(error))),
            },
        };
        let Err((verb, tail, why)) = replaced else {
            return true;
        };
        let overwritten = fs::open_write(at, c"status")
            .and_then(|file| fd::write(file.as_fd(), bytes))
            .is_ok_and(|n| n == bytes.len());
        if !overwritten && !said {
            diag::say(&[
                b"supervise: warning: unable to ",
                verb.as_bytes(),
                b" ",
                self.shown.dir,
                self.shown.slash,
                self.shown.state.path(),
                b"/status.new",
                tail.as_bytes(),
                b": ",
                why.as_bytes(),
            ]);
        }
        overwritten
    }
}

/// The state directory, and how messages name it: below the argument, or by its own path if
/// SUPERVISEDIR chose it.
struct Shown {
    dir: &'static [u8],
    slash: &'static [u8],
    state: StateDir<'static>,
}

impl Shown {
    fn find(dir: &'static [u8]) -> Result<Self> {
        let state = StateDir::of_current_dir()?;
        let (dir, slash) = state.shown_below(dir);
        Ok(Self { dir, slash, state })
    }

    /// Its path, in parts.
    fn path(&self) -> [&[u8]; 3] {
        [self.dir, self.slash, self.state.path()]
    }

    fn fatal(&self, verb: &[u8], file: &[u8], error: Errno) -> i32 {
        let [a, b, c] = self.path();
        diag::fatal("supervise", &[b"unable to ", verb, b" ", a, b, c, file], error)
    }

    fn warn(&self, verb: &[u8], file: &[u8], why: &str) {
        let [a, b, c] = self.path();
        diag::warning_because("supervise", &[b"unable to ", verb, b" ", a, b, c, file], why);
    }

    /// Makes the directory, ignoring failures, which show when the lock is opened. A link
    /// `supervise` that leads nowhere is Debian's way to put the state elsewhere: its target is
    /// made.
    fn make_dir(&self) -> core::result::Result<(), i32> {
        let made = self.state.with_path(|path| fs::mkdir(fs::HERE, path, 0o700));
        if made.is_ok() || !self.state.is_default() {
            return Ok(());
        }
        let mut room = [0; 256];
        let target = match fs::readlink(fs::HERE, c"supervise", &mut room) {
            Ok(target) => target.len(),
            Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
            Err(error) => return Err(unreadable_link(why(error))),
        };
        match room.get_mut(target) {
            // The room is full: the target may be longer.
            None => Err(unreadable_link(errno::text(-1))),
            Some(end) => {
                *end = 0;
                if let Ok(path) = CStr::from_bytes_until_nul(&room) {
                    let _ = fs::mkdir(fs::HERE, path, 0o700);
                }
                Ok(())
            }
        }
    }

    /// A file of another kind would always be readable, and never bring a command.
    fn check_fifo(&self, file: &OwnedFd, name: &[u8]) -> core::result::Result<(), i32> {
        if fs::is_fifo(file.as_fd()) {
            return Ok(());
        }
        diag::say(&[
            b"supervise: fatal: unable to use ",
            self.dir,
            self.slash,
            self.state.path(),
            name,
            b": not a FIFO; remove it",
        ]);
        Err(TEMPORARY)
    }
}

/// Without a program name, as Debian's patch has it.
fn unreadable_link(why: &str) -> i32 {
    diag::say(&[b"unable to readlink ./supervise: ", why.as_bytes()]);
    TEMPORARY
}
