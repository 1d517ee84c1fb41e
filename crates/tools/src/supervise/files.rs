//! What supervise keeps in the state directory: its lock, its FIFOs, the status and the identity
//! records.

use super::child::Locks;
use crate::diag::{self, TEMPORARY, why};
use crate::holder;
use crate::identity::{self, Outcome, Register, Trouble};
use crate::state_dir::StateDir;
use crate::time::{now, since_boot};
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::decimal::Decimal;
use daemontools_core::detail::{self, Detail, Phase};
use daemontools_core::handover::Handover;
use daemontools_core::identity::{Found, Process, Record as IdentityRecord, succeed};
use daemontools_core::status::{self, Record, StateCode};
use daemontools_core::supervise::{Kept, Machine};
use daemontools_core::tai::Tai64n;
use daemontools_core::tally;
use daemontools_core::{Ended, Pid, errno};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, guarded, lock, poll};

/// More than any list of deaths that we write.
const LARGEST_TALLY: usize = 64 * 1024;

/// How long svscan may take to tell how a process has ended.
const TELLING_TRIES: u32 = 10;
const TELLING_PAUSE: Duration = Duration::from_millis(2);

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
    #[inline(never)]
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
        let lock = guarded::open(state.as_fd(), c"lock", fs::Opening::APPEND)
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
    #[inline(never)]
    pub(super) fn open_files(self) -> core::result::Result<Files, i32> {
        let Self { shown, state, lock, handed } = self;
        if let Some((control, control_writer, ok)) = handed {
            let ok = Some(ok);
            let identity = Identity::SERVICE;
            return Ok(Files { shown, state, control, identity, lock, ok, control_writer });
        }
        let at = state.as_fd();
        // If it cannot be made, opening it tells why.
        let _ = fs::mkfifo(at, c"control", 0o600);
        let control = guarded::open(at, c"control", fs::Opening::READ)
            .map_err(|e| shown.fatal(b"read", b"/control", e))?;
        shown.check_fifo(&control, b"/control")?;
        let control_writer = guarded::open(at, c"control", fs::Opening::WRITE)
            .map_err(|e| shown.fatal(b"write", b"/control", e))?;
        // Without a writer of ours, the other would have an end, and always be readable.
        if lock::identity(control.as_fd()) != lock::identity(control_writer.as_fd()) {
            return Err(shown.unusable(b"/control", b"it was replaced"));
        }
        let identity = Identity::SERVICE;
        Ok(Files { shown, state, control, identity, lock, ok: None, control_writer })
    }
}

/// What is open in the state directory.
pub(super) struct Files {
    shown: Shown,
    state: OwnedFd,
    control: OwnedFd,
    identity: Identity,
    /// Held open, not used: as long as they are, we are alone, and svok says yes, and the FIFO has
    /// no end.
    lock: OwnedFd,
    ok: Option<OwnedFd>,
    control_writer: OwnedFd,
}

/// The identity record of one process.
pub(super) struct Identity {
    file: &'static CStr,
    /// What is behind the service's name in messages.
    suffix: &'static [u8],
    /// None where processes cannot be identified, which was said.
    register: Option<Register>,
}

impl Identity {
    /// That of the service, not yet opened.
    const SERVICE: Self = Self { file: c"process", suffix: b"", register: None };
    /// That of encore's file `log`.
    const LOG: Self = Self { file: c"log-process", suffix: b"/log", register: None };

    /// Whether processes can be identified.
    pub(super) const fn is_kept(&self) -> bool {
        self.register.is_some()
    }
}

/// How the supervision of a process begins.
pub(super) struct Beginning {
    pub(super) machine: Machine,
    /// The process, if another supervise has started it.
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

impl Beginning {
    #[inline(never)]
    fn anew(normally_up: bool) -> Self {
        let machine = Machine::new(normally_up, now());
        Self { machine, adopted: None, recorded: None, remembered: Remembered::default() }
    }
}

impl Files {
    /// How a process has ended that svscan reaps, who writes it into the record: it was told at the
    /// same moment as we.
    pub(super) fn told_end(&self, pid: Pid) -> Ended {
        for _ in 0..TELLING_TRIES {
            match identity::recorded_end(self.state.as_fd(), pid) {
                Some(how) if how != Ended::Unknown => return how,
                _ => poll::pause(TELLING_PAUSE),
            }
        }
        Ended::Unknown
    }

    /// The FIFO from which commands are read.
    pub(super) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Opens the FIFO that says we are here, making it if it is missing.
    #[inline(never)]
    pub(super) fn open_ok(&mut self) -> core::result::Result<(), i32> {
        if self.ok.is_some() {
            return Ok(());
        }
        let at = self.state.as_fd();
        let _ = fs::mkfifo(at, c"ok", 0o600);
        let ok = guarded::open(at, c"ok", fs::Opening::READ)
            .map_err(|e| self.shown.fatal(b"read", b"/ok", e))?;
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
    #[inline(never)]
    pub(super) fn begin(
        &mut self,
        normally_up: bool,
        ours: bool,
    ) -> core::result::Result<Beginning, i32> {
        let (identity, found) = self.open_record(Identity::SERVICE)?;
        self.identity = identity;
        let Some(found) = found else {
            return Ok(Beginning::anew(normally_up));
        };
        let (status, _) = self.read_status();
        let (kept, remembered) = self.read_state(status);
        let wanted = (normally_up, ours);
        let mut beginning = self.go_on(&self.identity, found, status, kept, wanted)?;
        beginning.remembered = remembered;
        Ok(beginning)
    }

    /// The same for encore's file `log`.
    pub(super) fn begin_log(
        &self,
        normally_up: bool,
        ours: bool,
    ) -> core::result::Result<(Identity, Beginning), i32> {
        let (identity, found) = self.open_record(Identity::LOG)?;
        let Some(found) = found else {
            return Ok((identity, Beginning::anew(normally_up)));
        };
        let (_, status) = self.read_status();
        let failed = status.is_some_and(|status| status.state == Some(StateCode::Failed));
        let kept = Kept { failed, ..Kept::default() };
        let beginning = self.go_on(&identity, found, status, kept, (normally_up, ours))?;
        Ok((identity, beginning))
    }

    /// Goes on from a record, of which it is known whether its parts can be overwritten.
    #[inline(never)]
    fn go_on(
        &self,
        identity: &Identity,
        (record, tidy): (IdentityRecord, bool),
        status: Option<Record>,
        kept: Kept,
        (normally_up, ours): (bool, bool),
    ) -> core::result::Result<Beginning, i32> {
        let (dir, suffix) = (self.shown.dir, identity.suffix);
        let own = record.process.is_some_and(identity::is_ours);
        let digits = |process: Process| Decimal::new(process.pid.get().cast_unsigned().into());
        let mut adopted = None;
        if let Some(process) = record.process.filter(|_| !own) {
            // What cannot be watched is not to be doubled either.
            adopted = identity::take_hold(process).map_err(|error| {
                let digits = digits(process);
                let what = [b"unable to watch process ", digits.as_bytes(), b" of ", dir, suffix];
                diag::fatal("supervise", &what, error)
            })?;
        }
        // An end of our own child that we were not told of yet, we shall be.
        let lives = own || adopted.is_some();
        if let Some(process) = record.process.filter(|_| !lives) {
            if !record.leaving && status.is_some_and(|status| status.names(process.pid)) {
                diag::say(&[
                    b"supervise: warning: process ",
                    digits(process).as_bytes(),
                    b" of ",
                    dir,
                    suffix,
                    b" has ended unseen",
                ]);
            }
            if tidy && record.end.is_none_or(|(pid, _)| pid != process.pid) {
                self.note_in(identity, true, |record| {
                    record.write_end(process.pid, Ended::Unknown)
                });
            }
        }
        let recorded = tidy.then_some(record.leaving);
        let record = IdentityRecord { leaving: record.leaving && !ours, ..record };
        let machine = succeed(&record, lives, status, kept, normally_up, now(), since_boot());
        Ok(Beginning { machine, adopted, recorded, remembered: Remembered::default() })
    }

    /// Opens an identity record, and gives it if it speaks of us, and whether parts of it can be
    /// overwritten. Without one there is a service
    /// all the same; but one that is there and cannot be read may name a process that lives.
    #[inline(never)]
    fn open_record(
        &self,
        identity: Identity,
    ) -> core::result::Result<(Identity, Option<(IdentityRecord, bool)>), i32> {
        let [a, b, c] = self.shown.path();
        let file = identity.file.to_bytes();
        let trouble = match Register::open(self.state.as_fd(), identity.file) {
            Ok((register, found, tidy)) => {
                if let Found::Foreign(foreign) = found {
                    let start = b"supervise: warning: ignoring ";
                    let why = foreign.reason().as_bytes();
                    diag::say(&[start, a, b, c, b"/", file, b": ", why]);
                }
                let found = match found {
                    Found::Ours(record) => Some((record, tidy)),
                    Found::Nothing | Found::Foreign(_) => None,
                };
                return Ok((Identity { register: Some(register), ..identity }, found));
            }
            Err(trouble) => trouble,
        };
        let (what, error) = match trouble {
            Trouble::Record(error) => ([b"unable to open ", a, b, c, b"/", file], error),
            Trouble::Proc(error) => ([&b"unable to use /proc"[..], b"", b"", b"", b"", b""], error),
        };
        if fs::exists(self.state.as_fd(), identity.file) != Ok(false) {
            return Err(diag::fatal("supervise", &what, error));
        }
        diag::warning("supervise", &what, error);
        Ok((identity, None))
    }

    /// What the last supervise has said of the service, and of encore's `log`.
    #[inline(never)]
    fn read_status(&self) -> (Option<Record>, Option<Record>) {
        let mut room = [0; 2 * status::ENCORE_LEN];
        let bytes = guarded::read_start(self.state.as_fd(), c"status", &mut room);
        match bytes.ok().and_then(status::parse_file) {
            Some((main, log)) => (Some(main), log),
            None => (None, None),
        }
    }

    /// What `state` says that belongs to this status, and what is remembered.
    #[inline(never)]
    fn read_state(&self, status: Option<Record>) -> (Kept, Remembered) {
        let text =
            guarded::read_whole(self.state.as_fd(), c"state", detail::LEN).unwrap_or_default();
        // It keeps its name as long as there is a supervise.
        let socket = Detail::parse(&text).map(|detail| detail.socket.to_vec());
        let mut remembered = Remembered { socket: socket.unwrap_or_default(), message: Vec::new() };
        let found = status.map(|status| detail::Found::judge(Some(&text), &status));
        let Some(detail::Found::Detail(detail)) = found else {
            return (Kept::default(), remembered);
        };
        remembered.message = detail.message.to_vec();
        let kept = Kept {
            ready: detail.ready,
            failures: detail.failures,
            reason: detail.reason,
            failed: detail.phase == Phase::Failed,
            next: detail.next,
        };
        (kept, remembered)
    }

    /// Writes what is to be read beside the status, before it. Without it nothing is wrong with the
    /// service, and the status tells what matters most.
    pub(super) fn write_state(&self, detail: &Detail<'_>) {
        let mut text = Vec::new();
        detail.to_text(&mut text);
        let at = self.state.as_fd();
        let written = guarded::create(at, c"state.new")
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

    /// Writes a death down in s6's list, which keeps so many of them. It is for people, and nothing
    /// hangs on it.
    pub(super) fn write_death(&self, when: Tai64n, how: Ended, most: u16) {
        let at = self.state.as_fd();
        let list = guarded::read_whole(at, c"death_tally", LARGEST_TALLY).unwrap_or_default();
        let Some(list) = tally::with_death(&list, when, how, most) else {
            return;
        };
        let _ = guarded::create(at, c"death_tally.new")
            .and_then(|file| fd::write_all(file.as_fd(), &list))
            .and_then(|()| fs::rename(at, c"death_tally.new", c"death_tally"));
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
        self.identity.is_kept()
    }

    /// Writes into the identity record of the service. Says what is wrong unless it was `said`.
    pub(super) fn note(&self, said: bool, write: impl FnOnce(&Register) -> Outcome) -> bool {
        self.note_in(&self.identity, said, write)
    }

    /// Writes into an identity record.
    pub(super) fn note_in(
        &self,
        identity: &Identity,
        said: bool,
        write: impl FnOnce(&Register) -> Outcome,
    ) -> bool {
        let Some(register) = &identity.register else {
            return true;
        };
        let written = write(register);
        if let Err(why) = written
            && !said
        {
            let [a, b, c] = self.shown.path();
            let what = [b"unable to write ", a, b, c, b"/", identity.file.to_bytes()];
            diag::warning_because("supervise", &what, why);
        }
        written.is_ok()
    }

    /// Removes the identity record of the service: we leave in order. If that fails, it says that
    /// we were leaving, which comes to the same.
    pub(super) fn remove_record(&self) {
        self.remove(&self.identity);
    }

    /// Removes an identity record.
    pub(super) fn remove(&self, identity: &Identity) {
        let _ = fs::unlink(self.state.as_fd(), identity.file);
    }

    /// Replaces `status` in one step, so that a reader always sees a whole record; on a full disk
    /// or in a directory that cannot be written, overwrites it, which is one small write as well.
    /// Says what is wrong unless it was `said`.
    #[inline(never)]
    pub(super) fn write_status(&self, record: &Record, log: Option<&Record>, said: bool) -> bool {
        let mut room = [0; 2 * status::ENCORE_LEN];
        let bytes = status::write_file(record, log, &mut room);
        let at = self.state.as_fd();
        let replaced = match guarded::create(at, c"status.new") {
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
        let overwritten = guarded::open(at, c"status", fs::Opening::WRITE).is_ok_and(|file| {
            guarded::belongs_to(file.as_fd(), at)
                && fd::write(file.as_fd(), bytes) == Ok(bytes.len())
        });
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
        Err(self.unusable(name, b"not a FIFO; remove it"))
    }

    fn unusable(&self, name: &[u8], why: &[u8]) -> i32 {
        let [a, b, c] = self.path();
        diag::say(&[b"supervise: fatal: unable to use ", a, b, c, name, b": ", why]);
        TEMPORARY
    }
}

/// Without a program name, as Debian's patch has it.
fn unreadable_link(why: &str) -> i32 {
    diag::say(&[b"unable to readlink ./supervise: ", why.as_bytes()]);
    TEMPORARY
}
