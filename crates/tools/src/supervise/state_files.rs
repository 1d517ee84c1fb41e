//! The files of the state directory: lock, FIFOs, `status`, `state` and `death_tally`.

use super::state_path::StatePath;
use crate::common::diag::{self, why};
use crate::survive::lock_holder;
use crate::survive::process_record;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::handover::Handover;
use daemontools_core::state_dir::death_tally;
use daemontools_core::state_dir::detail::{self, Detail};
use daemontools_core::state_dir::status::{self, StatusRecord};
use daemontools_core::time::tai::Tai64n;
use daemontools_core::{Ended, Pid};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, fd, fs, guarded, lock, poll};

/// The longest `death_tally` that is read.
const DEATH_TALLY_LIMIT: usize = 64 * 1024;

/// How often, and with what pause, the process record is read for the end that svscan writes there.
const RECORDED_END_TRIES: u32 = 10;
const RECORDED_END_PAUSE: Duration = Duration::from_millis(2);

/// The open files of a handover. They stay open through a live upgrade: the lock stays taken, and
/// the FIFO loses no command.
pub(super) struct InheritedFiles {
    lock: OwnedFd,
    control: OwnedFd,
    control_writer: OwnedFd,
    ok: OwnedFd,
}

impl InheritedFiles {
    /// Takes them from a handover; `None` unless all are there.
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

/// The state directory after its lock was taken.
pub(super) struct LockedStateDir {
    path: StatePath,
    dir: OwnedFd,
    lock: OwnedFd,
    inherited: Option<(OwnedFd, OwnedFd, OwnedFd)>,
}

impl LockedStateDir {
    /// Makes the state directory if it is missing, and takes its lock. On failure it prints a message
    /// and returns the exit code.
    #[inline(never)]
    pub(super) fn take(
        dir: &'static [u8],
        inherited: Option<InheritedFiles>,
    ) -> core::result::Result<Self, i32> {
        let path = StatePath::find(dir)
            .map_err(|e| diag::fatal("supervise", &[b"unable to find directory of ", dir], e))?;
        let not_made = path.make_dir()?;
        let dir = path.open().map_err(|e| path.no_lock(e, not_made))?;
        let lock = guarded::open(dir.as_fd(), c"lock", fs::Opening::APPEND)
            .map_err(|e| path.no_lock(e, None))?;
        let same = |inherited: &InheritedFiles| {
            lock::identity(inherited.lock.as_fd()) == lock::identity(lock.as_fd())
        };
        if let Some(InheritedFiles { lock, control, control_writer, ok }) = inherited.filter(same) {
            return Ok(Self { path, dir, lock, inherited: Some((control, control_writer, ok)) });
        }
        let mut taken = lock_holder::take(lock.as_fd());
        if taken == Err(Errno::AGAIN) && lock_holder::continue_starting(lock.as_fd()) {
            taken = lock_holder::take(lock.as_fd());
        }
        if let Err(error) = taken {
            let [a, b, c] = path.parts();
            let what = [b"unable to acquire ", a, b, c, b"/lock"];
            return Err(lock_holder::refuse("supervise", &what, &lock, error));
        }
        Ok(Self { path, dir, lock, inherited: None })
    }

    /// Opens the control FIFO, and makes it if it is missing. On failure it prints a message and
    /// returns the exit code.
    #[inline(never)]
    pub(super) fn open_files(self) -> core::result::Result<StateFiles, i32> {
        let Self { path, dir, lock, inherited } = self;
        if let Some((control, control_writer, ok)) = inherited {
            return Ok(StateFiles { path, dir, control, lock, ok: Some(ok), control_writer });
        }
        let at = dir.as_fd();
        let made = fs::mkfifo(at, c"control", 0o600);
        let control = guarded::open(at, c"control", fs::Opening::READ)
            .map_err(|e| path.no_fifo(b"/control", e, made))?;
        path.check_fifo(&control, b"/control")?;
        let control_writer = guarded::open(at, c"control", fs::Opening::WRITE)
            .map_err(|e| path.fatal(b"write", b"/control", e))?;
        // Without this writer the FIFO would be at end of file, and always be readable.
        if lock::identity(control.as_fd()) != lock::identity(control_writer.as_fd()) {
            return Err(path.unusable(b"/control", b"it was replaced"));
        }
        Ok(StateFiles { path, dir, control, lock, ok: None, control_writer })
    }
}

/// The open files of the state directory.
pub(super) struct StateFiles {
    path: StatePath,
    dir: OwnedFd,
    control: OwnedFd,
    /// Held while the supervisor lives: it excludes a second supervisor.
    lock: OwnedFd,
    /// The read end of the FIFO `ok`: svok succeeds while it is open.
    ok: Option<OwnedFd>,
    /// Keeps the FIFO `control` from reaching end of file.
    control_writer: OwnedFd,
}

impl StateFiles {
    /// The path of the state directory, for messages.
    pub(super) const fn path(&self) -> &StatePath {
        &self.path
    }

    /// The state directory.
    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The FIFO from which commands are read.
    pub(super) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Opens `control` again if `svctl grant` has put another FIFO in its place. Returns whether it has:
    /// then what the old one had was not a command, for a process may have it open that has lost the right
    /// to send commands.
    pub(super) fn renew_control(&mut self) -> bool {
        let at = self.dir.as_fd();
        let named = fs::cached_identity_of_name(at, c"control");
        let ours = fs::cached_identity(self.control.as_fd(), c"");
        // A look that failed says nothing, and a command is not dropped for it.
        if named.is_err() || ours.is_err() || named == ours {
            return false;
        }
        let open = |how| guarded::open(at, c"control", how);
        let Ok(control) = open(fs::Opening::READ) else { return false };
        // The FIFO of another service would have another owner or a second name.
        if !guarded::can_follow(control.as_fd(), self.control.as_fd()) {
            return false;
        }
        let Ok(writer) = open(fs::Opening::WRITE) else { return false };
        if lock::identity(control.as_fd()) != lock::identity(writer.as_fd()) {
            return false;
        }
        self.control = control;
        self.control_writer = writer;
        let [a, b, c] = self.path.parts();
        diag::say(&[
            b"supervise: info: ",
            a,
            b,
            c,
            b"/control is another FIFO now: reading that one",
        ]);
        true
    }

    /// The lock of the supervisor.
    pub(super) fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Opens the FIFO `ok`, and makes it if it is missing: from now on svok succeeds. On failure it
    /// prints a message and returns the exit code.
    #[inline(never)]
    pub(super) fn open_ok(&mut self) -> core::result::Result<(), i32> {
        if self.ok.is_some() {
            return Ok(());
        }
        let at = self.dir.as_fd();
        let made = fs::mkfifo(at, c"ok", 0o600);
        let ok = guarded::open(at, c"ok", fs::Opening::READ)
            .map_err(|e| self.path.no_fifo(b"/ok", e, made))?;
        self.path.check_fifo(&ok, b"/ok")?;
        self.ok = Some(ok);
        Ok(())
    }

    /// The descriptors that stay open through a live upgrade, by their names in the handover.
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

    /// Waits until the process record says how the service process ended.
    ///
    /// svscan is the parent of an adopted process whose supervisor died. It reaps the process and
    /// writes the end, at the same time as the pidfd of this process becomes readable.
    pub(super) fn recorded_end(&self, pid: Pid) -> Ended {
        for _ in 0..RECORDED_END_TRIES {
            match process_record::recorded_end(self.dir.as_fd(), pid) {
                Some(how) if how != Ended::Unknown => return how,
                _ => poll::pause(RECORDED_END_PAUSE),
            }
        }
        Ended::Unknown
    }

    /// Reads `status`: the record of the service, and of encore's logger.
    #[inline(never)]
    pub(super) fn read_status(&self) -> (Option<StatusRecord>, Option<StatusRecord>) {
        let mut room = [0; 2 * status::ENCORE_LEN];
        let bytes = guarded::read_start(self.dir.as_fd(), c"status", &mut room);
        match bytes.ok().and_then(status::parse_file) {
            Some((main, log)) => (Some(main), log),
            None => (None, None),
        }
    }

    /// Reads `state`; empty if there is none.
    pub(super) fn read_state(&self) -> Vec<u8> {
        guarded::read_whole(self.dir.as_fd(), c"state", detail::LEN).unwrap_or_default()
    }

    /// Writes `state`, before the status to which it belongs. A failure is silent: the status holds
    /// what matters most.
    pub(super) fn write_state(&self, detail: &Detail<'_>) {
        let mut text = Vec::new();
        detail.to_text(&mut text);
        // No state rather than an old one.
        if self.replace(c"state.new", c"state", &text).is_err() {
            self.remove_state();
        }
    }

    /// Removes `state`.
    pub(super) fn remove_state(&self) {
        let _ = fs::unlink(self.dir.as_fd(), c"state");
    }

    /// Writes how the essential service has ended for good, for svscan.
    ///
    /// # Errors
    /// Those of open(2), write(2) and rename(2).
    pub(super) fn write_essential_end(&self, text: &[u8]) -> daemontools_sys::Result<()> {
        let at = self.dir.as_fd();
        // With the mark: svscan believes it also where other users can write.
        fd::write_all(guarded::replace_trusted(at, c"essential.new")?.as_fd(), text)?;
        fs::rename(at, c"essential.new", c"essential")
    }

    /// Removes the end of an essential service that starts again.
    pub(super) fn remove_essential_end(&self) {
        let _ = fs::unlink(self.dir.as_fd(), c"essential");
    }

    /// Adds a death to s6's `death_tally`, which keeps the last `limit` of them. A failure is silent:
    /// no program depends on the file.
    pub(super) fn write_death(&self, when: Tai64n, how: Ended, limit: u16) {
        let at = self.dir.as_fd();
        let tally = guarded::read_whole(at, c"death_tally", DEATH_TALLY_LIMIT).unwrap_or_default();
        if let Some(tally) = death_tally::with_death(&tally, when, how, limit) {
            let _ = self.replace(c"death_tally.new", c"death_tally", &tally);
        }
    }

    /// Replaces a file in one step.
    fn replace(&self, new: &CStr, name: &CStr, text: &[u8]) -> daemontools_sys::Result<()> {
        let at = self.dir.as_fd();
        fd::write_all(guarded::create(at, new)?.as_fd(), text)?;
        fs::rename(at, new, name)
    }

    /// Replaces `status` in one step, so that a reader always sees a whole record. Prints a warning
    /// on failure, unless `quiet`; returns whether it was written.
    ///
    /// On a full disk, or in a directory that cannot be written, it overwrites the file, which is
    /// one small write as well.
    #[inline(never)]
    pub(super) fn write_status(
        &self,
        record: &StatusRecord,
        log: Option<&StatusRecord>,
        quiet: bool,
    ) -> bool {
        let mut room = [0; 2 * status::ENCORE_LEN];
        let bytes = status::write_file(record, log, &mut room);
        let at = self.dir.as_fd();
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
        if !overwritten && !quiet {
            let [a, b, c] = self.path.parts();
            diag::say(&[
                b"supervise: warning: unable to ",
                verb.as_bytes(),
                b" ",
                a,
                b,
                c,
                b"/status.new",
                tail.as_bytes(),
                b": ",
                why.as_bytes(),
            ]);
        }
        overwritten
    }
}
