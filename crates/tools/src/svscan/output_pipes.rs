//! The pipes from the services to the copier (`-p`, `-j`), and the copier process.
//!
//! svscan keeps both ends of each pipe, so that either side can restart without loss. It sends the read
//! ends to the copier through a socket. The copier answers each one, and only a few are on their way at a
//! time: svscan never waits for the copier.

use super::inherited::InheritedOutput;
use crate::survive::adoption::CopiedPipe;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::copier::{Form, Stream};
use daemontools_core::svscan::slot::SlotNo;
use daemontools_core::svscan::supervise_process::SuperviseRole;
use daemontools_core::time::Instant;
use daemontools_sys::fs::DirId;
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::pass::{PassSocket, Passed};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, lock, signal};

/// How many pipes svscan sends before the copier has answered one.
const WINDOW: usize = 32;

/// Time until svscan tries again what has failed.
const RETRY: Duration = Duration::from_secs(1);

/// Time between two looks whether the copier of a killed svscan has given a pipe up.
const AWAIT: Duration = Duration::from_millis(20);

/// The mode of a pipe: a service of another user can open `/dev/stdout` and `/dev/stderr`. A process
/// reaches a pipe only through a process of its own user that has it open.
const MODE: u32 = 0o622;

/// Whose output it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// A supervise process.
    Supervise(usize, u8),
    /// A service that is gone. The copier has not read everything.
    Gone(u64),
}

type Key = (Owner, Stream);

/// A pipe to the copier.
struct OutputPipe {
    /// The name in front of the lines.
    name: Box<[u8]>,
    read_end: OwnedFd,
    /// `None` once the service is gone.
    write_end: Option<OwnedFd>,
    /// The present copier has it.
    is_sent: bool,
    /// The copier of a killed svscan, which is to give it up.
    earlier_copier: Option<Pid>,
}

impl OutputPipe {
    fn new(name: &[u8], read_end: OwnedFd, write_end: OwnedFd) -> Self {
        // Before a service has it: a process that can only write cannot lock it then.
        let _ = lock::mark(read_end.as_fd());
        let (name, write_end) = (name.into(), Some(write_end));
        Self { name, read_end, write_end, is_sent: false, earlier_copier: None }
    }

    /// Whether the copier of a killed svscan still has it.
    fn is_awaited(&mut self) -> bool {
        let marker = || lock::marker(self.read_end.as_fd());
        self.earlier_copier = self.earlier_copier.filter(|copier| marker() == Some(*copier));
        self.earlier_copier.is_some()
    }

    fn unread(&self) -> u64 {
        fd::unread(self.read_end.as_fd()).unwrap_or(0)
    }
}

/// The copier process.
enum CopierProcess {
    /// It is to start at this moment, if there is a pipe.
    Absent(Instant),
    Running {
        pid: Pid,
        since: Instant,
        /// `None` once it is to end with the last writer.
        control: Option<PassSocket>,
        /// The number of pipes that it has not answered yet.
        unanswered: usize,
    },
}

/// All outputs of services that go to the copier.
pub(super) struct OutputPipes {
    pub(super) form: Form,
    pipes: BTreeMap<Key, OutputPipe>,
    /// Pipes that are to be sent.
    queue: VecDeque<Key>,
    copier: CopierProcess,
    /// From a live upgrade, until the slots have taken them.
    inherited: Vec<InheritedOutput>,
    /// The number of services with output that are gone.
    gone: u64,
    /// The copier is to end when it has read everything.
    finishing: bool,
    /// When svscan tries again to send a pipe.
    retry: Option<Instant>,
}

impl OutputPipes {
    /// No pipes, and the copier that a live upgrade has handed over. `None` without a form: then svscan
    /// copies nothing.
    pub(super) fn begin(
        form: Option<Form>,
        inherited: Vec<InheritedOutput>,
        copier: Option<(Pid, OwnedFd)>,
        now: Instant,
    ) -> Option<Box<Self>> {
        let copier = match copier {
            None => CopierProcess::Absent(Instant(0)),
            Some((pid, control)) => {
                let control = Some(PassSocket::from_moved(control));
                CopierProcess::Running { pid, since: now, control, unanswered: 0 }
            }
        };
        Some(Box::new(Self {
            form: form?,
            pipes: BTreeMap::new(),
            queue: VecDeque::new(),
            copier,
            inherited,
            gone: 0,
            finishing: false,
            retry: None,
        }))
    }

    /// Takes the pipes that a live upgrade has handed over for a supervise.
    pub(super) fn claim(&mut self, no: SlotNo, id: DirId, role: SuperviseRole, name: &[u8]) {
        while let Some(at) = self.inherited.iter().position(|it| (it.id, it.role) == (id, role)) {
            let InheritedOutput { stream, is_sent, ends: (read_end, write_end), .. } =
                self.inherited.swap_remove(at);
            let mut pipe = OutputPipe::new(name, read_end, write_end);
            pipe.is_sent = is_sent;
            if !is_sent {
                pipe.earlier_copier = lock::marker(pipe.read_end.as_fd());
            }
            self.add((Owner::Supervise(no.0, role as u8), stream), pipe);
        }
    }

    fn add(&mut self, key: Key, pipe: OutputPipe) {
        if !pipe.is_sent {
            self.queue.push_back(key);
        }
        self.pipes.insert(key, pipe);
    }

    /// Makes the pipe of a supervise, unless there is one.
    ///
    /// Raises the limit of open files when it is reached for the first time.
    ///
    /// # Errors
    /// Those of pipe(2).
    pub(super) fn make(
        &mut self,
        (no, role): (SlotNo, SuperviseRole),
        stream: Stream,
        name: &[u8],
        open_files: &mut Option<OpenFiles>,
    ) -> Result<()> {
        let key = (Owner::Supervise(no.0, role as u8), stream);
        if self.pipes.contains_key(&key) {
            return Ok(());
        }
        let ends = match fd::pipe() {
            Err(Errno::MFILE) if open_files.is_none() => {
                *open_files = OpenFiles::raise();
                fd::pipe()
            }
            ends => ends,
        };
        let (read_end, write_end) = ends?;
        let _ = fs::fchmod(write_end.as_fd(), MODE);
        // The low numbers are for the descriptors of children.
        let [read_end, write_end] = [read_end, write_end].map(fd::move_high);
        self.add(key, OutputPipe::new(name, read_end, write_end));
        Ok(())
    }

    /// Takes the pipe of a supervise whose svscan was killed. If its copier still runs, it is told to give
    /// the pipe up.
    pub(super) fn take_over(
        &mut self,
        (no, role): (SlotNo, SuperviseRole),
        stream: Stream,
        name: &[u8],
        found: CopiedPipe,
    ) {
        let CopiedPipe { ends: (read_end, write_end), copier } = found;
        let [read_end, write_end] = [read_end, write_end].map(fd::move_high);
        let mut pipe = OutputPipe::new(name, read_end, write_end);
        if let Some(copier) = copier {
            // The mark of this svscan claims it.
            let is_asked = copier.signal(signal::USR1).is_ok();
            pipe.earlier_copier = lock::marker(pipe.read_end.as_fd()).filter(|_| is_asked);
        }
        self.add((Owner::Supervise(no.0, role as u8), stream), pipe);
    }

    /// Whether a supervise has a pipe.
    pub(super) fn has(&self, no: SlotNo, role: SuperviseRole, stream: Stream) -> bool {
        self.pipes.contains_key(&(Owner::Supervise(no.0, role as u8), stream))
    }

    /// The write end of the pipe of a supervise, if it has one.
    pub(super) fn write_end(
        &self,
        no: SlotNo,
        role: SuperviseRole,
        stream: Stream,
    ) -> Option<BorrowedFd<'_>> {
        let key = (Owner::Supervise(no.0, role as u8), stream);
        Some(self.pipes.get(&key)?.write_end.as_ref()?.as_fd())
    }

    /// The service of a slot is gone. svscan keeps what the copier has not read.
    pub(super) fn release(&mut self, no: SlotNo) {
        let end = Owner::Supervise(no.0 + 1, 0);
        let from = (Owner::Supervise(no.0, 0), Stream::Out);
        let keys: Vec<Key> = self.pipes.range(from..(end, Stream::Out)).map(|(k, _)| *k).collect();
        for key in keys {
            if let Some(pipe) = self.pipes.remove(&key) {
                let pipe = OutputPipe { write_end: None, ..pipe };
                self.gone += 1;
                self.add((Owner::Gone(self.gone), key.1), pipe);
            }
        }
        self.forget_read();
    }

    /// Forgets the outputs of services that are gone and have been copied. Returns how many bytes are
    /// left in the others.
    pub(super) fn forget_read(&mut self) -> u64 {
        let mut unread = 0;
        self.pipes.retain(|(owner, _), pipe| {
            let Owner::Gone(_) = owner else { return true };
            let left = pipe.unread();
            unread += left;
            left > 0 || !pipe.is_sent
        });
        unread
    }

    /// The pipes of supervise processes for a handover: slot, role, stream, whether the copier has it,
    /// and the ends.
    pub(super) fn all(
        &self,
    ) -> impl Iterator<Item = (SlotNo, u8, Stream, bool, [BorrowedFd<'_>; 2])> {
        self.pipes.iter().filter_map(|(&(owner, stream), pipe)| {
            let Owner::Supervise(no, role) = owner else { return None };
            let ends = [pipe.read_end.as_fd(), pipe.write_end.as_ref()?.as_fd()];
            Some((SlotNo(no), role, stream, pipe.is_sent, ends))
        })
    }

    /// The copier, if it runs.
    pub(super) const fn copier(&self) -> Option<Pid> {
        match self.copier {
            CopierProcess::Running { pid, .. } => Some(pid),
            CopierProcess::Absent(_) => None,
        }
    }

    /// The socket to the copier. It is readable when the copier has answered.
    pub(super) fn control(&self) -> Option<BorrowedFd<'_>> {
        match &self.copier {
            CopierProcess::Running { control: Some(control), .. } => Some(control.fd()),
            _ => None,
        }
    }

    /// Whether the copier is to be started now.
    pub(super) fn wants_copier(&self, now: Instant) -> bool {
        matches!(self.copier, CopierProcess::Absent(due) if due <= now) && !self.pipes.is_empty()
    }

    /// Whether nothing is left to copy, and the copier has ended.
    pub(super) fn is_empty(&self) -> bool {
        self.pipes.is_empty() && self.copier().is_none()
    }

    /// When [`OutputPipes::send`] or the start of the copier is due.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.copier {
            CopierProcess::Absent(due) => (!self.pipes.is_empty()).then_some(due),
            CopierProcess::Running { .. } => self.retry,
        }
    }

    /// A new copier runs.
    pub(super) fn set_copier(&mut self, pid: Pid, control: PassSocket, now: Instant) {
        self.copier =
            CopierProcess::Running { pid, since: now, control: Some(control), unanswered: 0 };
    }

    /// The start of the copier has failed.
    pub(super) fn delay_copier(&mut self, now: Instant) {
        self.copier = CopierProcess::Absent(now + RETRY);
    }

    /// The copier has ended. The next one gets every pipe again.
    pub(super) fn forget_copier(&mut self, now: Instant) {
        if let CopierProcess::Running { since, .. } = self.copier {
            let quick = since + RETRY > now;
            self.copier = CopierProcess::Absent(if quick { now + RETRY } else { now });
        }
        self.forget_read();
        self.pipes.values_mut().for_each(|pipe| pipe.is_sent = false);
        self.queue = self.pipes.keys().copied().collect();
    }

    /// Takes the answers of the copier.
    pub(super) fn take_answers(&mut self) {
        if let CopierProcess::Running { control: Some(control), unanswered, .. } = &mut self.copier
        {
            while let Passed::Message(..) = control.receive(&mut [0; 8]) {
                *unanswered = unanswered.saturating_sub(1);
            }
        }
    }

    /// Sends pipes to the copier, as many as may be on their way.
    pub(super) fn send(&mut self, now: Instant) {
        self.retry = None;
        let CopierProcess::Running { control, unanswered, .. } = &mut self.copier else { return };
        let Some(socket) = control else { return };
        let mut awaited = Vec::new();
        while *unanswered < WINDOW
            && let Some(key) = self.queue.pop_front()
        {
            let Some(pipe) = self.pipes.get_mut(&key).filter(|pipe| !pipe.is_sent) else {
                continue;
            };
            if pipe.is_awaited() {
                awaited.push(key);
                continue;
            }
            let message = [&[key.1.number()], &pipe.name[..]].concat();
            if socket.send(&message, Some(pipe.read_end.as_fd())).is_err() {
                // Its end is reported soon, or the kernel has no room.
                self.queue.push_front(key);
                self.retry = Some(now + RETRY);
                break;
            }
            pipe.is_sent = true;
            *unanswered += 1;
        }
        if !awaited.is_empty() {
            self.retry = Some(now + AWAIT);
            self.queue.extend(awaited);
        }
        if self.finishing && self.queue.is_empty() {
            // The copier reads what was sent before, and then ends with the last writer.
            *control = None;
        }
    }

    /// No service will be started any more: the copier ends when it has read everything.
    pub(super) fn finish(&mut self, now: Instant) {
        self.finishing = true;
        self.send(now);
    }
}
