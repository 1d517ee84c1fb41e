//! Writes `supervise/history`: the last changes of the service, and its counters.
//!
//! The file stays open, so that a change costs one system call. Its failures never disturb the service:
//! a change that cannot be written is lost, and the first failure in a row is printed.

use super::state_files::StateFiles;
use crate::common::diag;
use daemontools_core::state_dir::history::{
    LEN, Moment, Observation, RING, RING_STARTS, Rings, Trigger,
};
use daemontools_core::supervise::{Event, Machine, Script};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fs, guarded};

/// How many lines are read at a time when the supervisor begins.
const LINES: usize = 8;

/// The history of a service, to be written.
pub(super) struct History {
    /// `None` if it cannot be opened; a warning was printed.
    file: Option<OwnedFd>,
    rings: Rings,
    /// The command that is being obeyed, until its first event has been handled.
    trigger: Option<Trigger>,
    /// The last write failed, and the warning was printed.
    failed: bool,
}

impl History {
    /// Opens the history, and finds the places of the next changes. A service runs without one too.
    #[inline(never)]
    pub(super) fn open(files: &StateFiles) -> Self {
        let mut rings = Rings::default();
        let file = match open(files, &mut rings) {
            Ok(file) => Some(file),
            Err(error) => {
                let [a, b, c] = files.path().parts();
                diag::warning("supervise", &[b"unable to open ", a, b, c, b"/history"], error);
                None
            }
        };
        Self { file, rings, trigger: None, failed: false }
    }

    /// A command came: it is the trigger of the next event of the service.
    pub(super) const fn note_trigger(&mut self, trigger: Trigger) {
        self.trigger = Some(trigger);
    }

    /// Takes the trigger of the event that begins now, if a command came.
    pub(super) const fn take_trigger(&mut self) -> Option<Trigger> {
        self.trigger.take()
    }

    /// Counts the start or the end of `run` that an event means. The next change carries the counters.
    #[inline(never)]
    pub(super) fn count(&mut self, event: Event, machine: &Machine) {
        let end = match (event, machine.script()) {
            (Event::Begin, _) => machine.uncounted_end(),
            (Event::Ended(how), Script::Run) => Some(how),
            (Event::Spawned(_), Script::Run) => return self.rings.counters.add_start(),
            _ => None,
        };
        if let Some(how) = end {
            self.rings.counters.add_death(machine.death_cause(how));
        }
    }

    /// Writes a change with one write. If the supervisor is killed, the line is whole or missing.
    #[inline(never)]
    pub(super) fn write(&mut self, files: &StateFiles, seen: Observation, after: Moment) {
        let (Some(file), Some(mut change)) = (&self.file, seen.change(after)) else { return };
        let at = self.rings.place(&mut change);
        let written = match fs::write_at(file.as_fd(), at as u64, &change.to_text()) {
            Ok(LEN) => Ok(()),
            Ok(_) => Err("partial write"),
            Err(error) => Err(diag::why(error)),
        };
        if let Err(why) = written
            && !self.failed
        {
            let [a, b, c] = files.path().parts();
            let what = [b"unable to write ", a, b, c, b"/history"];
            diag::warning_because("supervise", &what, why);
        }
        self.failed = written.is_err();
    }
}

/// Opens the file for the supervisor, and reads it.
///
/// Another user can have written, linked or moved a file that is not trusted, so a new one replaces it.
fn open(files: &StateFiles, rings: &mut Rings) -> Result<OwnedFd> {
    let (dir, name) = (files.dir(), c"history");
    let file = match guarded::open_trusted(dir, name) {
        Ok(file) if guarded::is_trusted(file.as_fd(), dir)? => file,
        Ok(_) | Err(Errno::LOOP | Errno::NXIO) => return guarded::replace_trusted(dir, name),
        Err(error) => return Err(error),
    };
    let mut room = [0; LINES * LEN];
    for (ring, start) in RING_STARTS.into_iter().enumerate() {
        for first in (0..RING).step_by(LINES) {
            let lines = fs::read_at(file.as_fd(), (start + first * LEN) as u64, &mut room)?;
            match lines.first() {
                None if ring == 0 => return Ok(file),
                // The ring is not full yet.
                None | Some(0) => break,
                Some(_) => {}
            }
            rings.find(ring, first, lines);
        }
    }
    Ok(file)
}
