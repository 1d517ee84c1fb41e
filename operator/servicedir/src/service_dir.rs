//! A service directory: its status, its commands, and waiting for a state.

use crate::{Command, Detail, End, Events, Phase, Requester, State, Status};
use daemontools_core::state_dir;
use daemontools_core::state_dir::condition::Condition;
use daemontools_core::state_dir::detail::StateFile;
use daemontools_core::state_dir::process_record;
use daemontools_core::state_dir::status::{StatusRecord, parse_file};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::{Errno, write};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// More than the size of any file that supervise writes.
const LARGEST_FILE: u64 = 64 * 1024;

/// More than the size of most files that supervise writes.
const USUAL_SIZE: usize = 1024;

/// A service directory.
///
/// ```no_run
/// use servicedir::ServiceDir;
///
/// let web = ServiceDir::new("/service/web");
/// let is_up = web.status()?.is_some_and(|status| status.pid.is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDir {
    path: PathBuf,
    state_dir: PathBuf,
    /// The client whose commands leave notes.
    pub(crate) requester: Option<Box<Requester>>,
    /// The value of `SUPERVISEDIR`, which its logger has as well.
    base: Option<OsString>,
}

/// Everything that supervise publishes about a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The status.
    pub status: Status,
    /// The state in one word.
    pub state: State,
    /// Whether it is ready, or up if it does not report readiness.
    pub is_ready: bool,
    /// The detail, if there is one.
    pub detail: Option<Detail>,
    /// How `run` last ended. `None` if it has not ended yet, and under the original's supervise.
    pub last_end: Option<End>,
}

impl ServiceDir {
    /// The service directory at a path. Opens no file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let state_dir = path.join("supervise");
        Self { path, state_dir, requester: None, base: None }
    }

    /// The service directory at a path, with the state directory that supervise uses for this value of
    /// `SUPERVISEDIR`: relative to the service directory, or one for each service in an absolute base.
    #[must_use]
    pub fn with_base(path: impl Into<PathBuf>, base: impl AsRef<OsStr>) -> Self {
        let path = path.into();
        let full = || path.canonicalize().map(|full| full.into_os_string().into_vec());
        let state_dir = state_dir::resolve(Some(base.as_ref().as_bytes()), full).map_or_else(
            |_| OsString::from("supervise"),
            |dir| OsString::from_vec(dir.into_owned()),
        );
        let state_dir = path.join(state_dir);
        Self { path, state_dir, requester: None, base: Some(base.as_ref().to_owned()) }
    }

    /// The path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    pub(crate) fn base(&self) -> Option<&OsStr> {
        self.base.as_deref()
    }

    pub(crate) fn state_file(&self, file: &str) -> PathBuf {
        self.state_dir.join(file)
    }

    /// Opens a file of the state directory.
    ///
    /// Other users may be able to write there: links are not followed, and FIFOs do not block.
    pub(crate) fn open(&self, name: &str, access: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        open(self.state_file(name), flags, Mode::empty())
    }

    /// Reads a file of the state directory.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.open(name, OFlags::RDONLY)?;
        let mut room = [0; USUAL_SIZE];
        let count = rustix::io::read(&file, &mut room)?;
        let mut bytes = room.get(..count).unwrap_or_default().to_vec();
        // Only the end of a file ends a read early, so that one read suffices.
        if count == room.len() {
            File::from(file).take(LARGEST_FILE).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Opens a FIFO of the state directory for writing; `None` if no supervise reads it.
    pub(crate) fn fifo(&self, name: &str) -> io::Result<Option<OwnedFd>> {
        match self.open(name, OFlags::WRONLY) {
            Ok(fd) => {
                let is_fifo = FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Fifo;
                Ok(is_fifo.then_some(fd))
            }
            Err(Errno::NXIO | Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a supervise runs for the directory, as svok tells.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] without the right to open `supervise/ok`,
    /// [`io::ErrorKind::NotFound`] without the directory.
    pub fn is_supervised(&self) -> io::Result<bool> {
        let is_supervised = self.fifo("ok")?.is_some();
        // A FIFO in the directory shows that the directory is there.
        if !is_supervised || self.base.is_some() {
            std::fs::metadata(&self.path)?;
        }
        Ok(is_supervised)
    }

    /// Whether a supervise starts: it reads `control`, and other programs do not find it yet, because it
    /// does not read `ok`.
    ///
    /// # Errors
    /// As for [`ServiceDir::is_supervised`], and for the right to open `supervise/control`.
    pub fn is_supervise_starting(&self) -> io::Result<bool> {
        // In this order: a supervise that opens `ok` between the two looks is not reported.
        Ok(self.fifo("control")?.is_some() && !self.is_supervised()?)
    }

    /// The status of the service; `None` if no supervise runs.
    ///
    /// # Errors
    /// As for [`ServiceDir::is_supervised`]; [`io::ErrorKind::InvalidData`] for a status file of
    /// fewer than 18 bytes.
    pub fn status(&self) -> io::Result<Option<Status>> {
        if !self.is_supervised()? {
            return Ok(None);
        }
        Ok(Some(self.record()?.into()))
    }

    pub(crate) fn record(&self) -> io::Result<StatusRecord> {
        let bytes = self.read("status")?;
        let (main, _) = parse_file(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "status: bad format"))?;
        Ok(main)
    }

    /// The detail of the service. `None` if no supervise runs, if the service directory has only
    /// `run`, and between the two writes of a change.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`].
    pub fn detail(&self) -> io::Result<Option<Detail>> {
        Ok(self.snapshot()?.and_then(|snapshot| snapshot.detail))
    }

    /// A status and its detail; `None` if no supervise runs.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`].
    pub fn snapshot(&self) -> io::Result<Option<Snapshot>> {
        self.snapshot_with_end(|_| true)
    }

    /// Like [`ServiceDir::snapshot`]. Without a detail that tells how `run` last ended, that is in a file
    /// of its own, which is read only if `is_wanted` accepts the rest.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`].
    pub fn snapshot_with_end(
        &self,
        is_wanted: impl FnOnce(&Snapshot) -> bool,
    ) -> io::Result<Option<Snapshot>> {
        if !self.is_supervised()? {
            return Ok(None);
        }
        let mut snapshot = self.snapshot_without_end()?;
        if snapshot.last_end.is_none() && is_wanted(&snapshot) {
            snapshot.last_end = self.last_end();
        }
        Ok(Some(snapshot))
    }

    /// Like [`ServiceDir::snapshot`], for a directory with a supervise.
    pub(crate) fn read_snapshot(&self) -> io::Result<Snapshot> {
        let snapshot = self.snapshot_without_end()?;
        Ok(Snapshot { last_end: snapshot.last_end.or_else(|| self.last_end()), ..snapshot })
    }

    fn snapshot_without_end(&self) -> io::Result<Snapshot> {
        // supervise writes the state first, so it is not older than the status.
        let record = self.record()?;
        let text = match self.read("state") {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let found = StateFile::classify(text.as_deref(), &record);
        let detail: Option<Detail> = found.detail().map(Into::into);
        let run_end = detail.as_ref().and_then(|detail| detail.run_end);
        Ok(Snapshot {
            status: record.into(),
            state: Condition::of(&record, &found).into(),
            is_ready: record.is_up() && found.is_ready(),
            detail,
            last_end: run_end,
        })
    }

    /// How the last process ended, from the process record.
    fn last_end(&self) -> Option<End> {
        let text = self.read("process").ok()?;
        let record = process_record::Record::parse(&text)?;
        record.end.map(|(_, ended)| ended.into())
    }

    /// Whether the state directory is a copy: its process record names another directory. A supervise
    /// that starts there writes a new one.
    #[must_use]
    pub fn is_state_copied(&self) -> bool {
        let Ok(text) = self.read("process") else { return false };
        let Some(record) = process_record::Record::parse(&text) else { return false };
        let recorded = record.place.directory;
        std::fs::metadata(&self.state_dir).is_ok_and(|found| found.ino() != recorded.inode)
    }

    /// Sends commands to supervise, in this order.
    ///
    /// supervise does not answer. [`ServiceDir::wait`] waits for the effect.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] if no supervise runs, [`io::ErrorKind::WouldBlock`] if the
    /// FIFO is full because supervise has not read earlier commands.
    pub fn send(&self, commands: &[Command]) -> io::Result<()> {
        let control = self
            .fifo("control")?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "supervise not running"))?;
        let message = Command::message(commands);
        self.note_request(&message);
        // The kernel writes at most PIPE_BUF letters completely or not at all.
        write(&control, &message)?;
        Ok(())
    }

    /// Waits until `wanted` accepts the status, and returns it; `None` after `timeout`.
    ///
    /// Without a supervise it waits for one. The thread sleeps between changes. A status from before a
    /// command counts as well: to wait for a restart by a signal, compare `since` or `pid`
    /// with the status before the command.
    ///
    /// # Errors
    /// As for [`ServiceDir::status`], and the errors of inotify.
    pub fn wait(
        &self,
        timeout: Duration,
        wanted: impl Fn(&Status) -> bool,
    ) -> io::Result<Option<Status>> {
        let found = self.wait_for(timeout, |snapshot| wanted(&snapshot.status))?;
        Ok(found.map(|snapshot| snapshot.status))
    }

    /// Waits until the service is ready, or up if it does not report readiness.
    ///
    /// `None` after `timeout`, and if the service has failed: then [`ServiceDir::detail`] has
    /// [`Phase::Failed`].
    ///
    /// # Errors
    /// As for [`ServiceDir::wait`].
    pub fn wait_ready(&self, timeout: Duration) -> io::Result<Option<Status>> {
        let failed = |snapshot: &Snapshot| {
            snapshot.detail.as_ref().is_some_and(|detail| detail.phase == Phase::Failed)
        };
        let ends = |snapshot: &Snapshot| snapshot.is_ready || failed(snapshot);
        let found = self.wait_for(timeout, ends)?;
        Ok(found.filter(|snapshot| snapshot.is_ready).map(|snapshot| snapshot.status))
    }

    fn wait_for(
        &self,
        timeout: Duration,
        wanted: impl Fn(&Snapshot) -> bool,
    ) -> io::Result<Option<Snapshot>> {
        // A timeout beyond the range of Instant never ends.
        let deadline = Instant::now().checked_add(timeout);
        let mut events = self.events()?;
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match events.next_within(left)? {
                None => return Ok(None),
                Some(Some(snapshot)) if wanted(&snapshot) => return Ok(Some(snapshot)),
                Some(_) => {}
            }
        }
    }

    /// The changes of the service from now on. The first one is its current state.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] without the directory, and the errors of inotify.
    pub fn events(&self) -> io::Result<Events> {
        Events::of(self.clone())
    }
}
