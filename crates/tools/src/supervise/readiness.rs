//! The channels on which a service says that it is ready: the pipe of `notification-fd` (s6), and
//! the socket of `notify-socket` (systemd).

use super::helpers::Helpers;
use super::notify_address::{self, NotifyAddress};
use super::process_tree;
use crate::common::diag;
use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::handover::Handover;
use daemontools_core::supervise::sd_notify::MAX_DATAGRAM;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::ids::effective_user;
use daemontools_sys::notify::{self, Datagram, NotifySocket};
use daemontools_sys::proc_fd::Pipe;
use daemontools_sys::process::Forked;
use daemontools_sys::{AsFd as _, BorrowedFd, OwnedFd, Result, fd, fs, poll, process};

/// The name of the notify socket in a handover.
const HANDOVER_NAME: &[u8] = b"notify";

/// The readiness channels of one service.
#[derive(Default)]
pub(super) struct Readiness {
    /// The read end of the pipe, until the service has written a newline.
    pipe: Option<OwnedFd>,
    /// The notify socket and its address.
    socket: Option<(NotifySocket, NotifyAddress)>,
    /// The socket is abstract because no path could be made.
    fell_back: bool,
    head: Head,
    /// Since the last start, a warning about a datagram of another process was printed.
    warned: bool,
}

/// The state of the first datagram in the socket.
#[derive(Default)]
enum Head {
    /// It was not read.
    #[default]
    Unread,
    /// It was read, and has descriptors: a helper process takes it out, and then writes into this
    /// pipe.
    Discarding(OwnedFd),
    /// The same, but there is no helper process yet.
    Waiting,
}

/// What the pipe of `notification-fd` tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PipeNews {
    /// Nothing yet.
    Nothing,
    /// The service is ready.
    Ready,
    /// No process has the write end any more, and none has written a newline.
    Closed,
}

/// A datagram of the notify socket.
pub(super) struct Message {
    /// Empty, unless a process of the service has sent it.
    pub(super) text: Vec<u8>,
    /// The user id of the sender.
    pub(super) user: u32,
    /// It stays in the socket until [`Readiness::discard`].
    pub(super) has_descriptors: bool,
}

impl Readiness {
    /// Before a start: closes the pipe of the last process. The socket stays.
    pub(super) fn reset(&mut self) {
        self.pipe = None;
        self.warned = false;
    }

    /// The service was started with the write end of this pipe.
    pub(super) fn set_pipe(&mut self, pipe: Option<OwnedFd>) {
        self.pipe = pipe;
    }

    /// Opens the pipe of an adopted process, which has it at this descriptor. A process that has closed
    /// it has none.
    ///
    /// The process may run as another user, and may replace the descriptor at any moment. So this opens
    /// nothing but an anonymous pipe that the process itself can read.
    ///
    /// # Errors
    /// EACCES: not permitted to look at the descriptors of the process. EMFILE and ENFILE.
    pub(super) fn reopen_pipe(&mut self, pid: Pid, number: u16) -> Result<()> {
        let pipe = Pipe::both_ways(pid, number.into())?;
        self.pipe = pipe.map(|pipe| pipe.open_reader()).transpose()?;
        Ok(())
    }

    /// Makes the notify socket if there is none, or one of the other kind. It belongs to the service
    /// `shown` with this state directory.
    pub(super) fn make_socket(
        &mut self,
        shown: &[u8],
        state_dir: BorrowedFd<'_>,
        wants_abstract: bool,
        helpers: &mut Helpers,
    ) -> Result<()> {
        if let Some(address) = self.address() {
            let is_abstract = matches!(address, NotifyAddress::Abstract(_));
            if is_abstract == (wants_abstract || self.fell_back) {
                return Ok(());
            }
            self.close_socket(helpers);
        }
        let (socket, address, problem) = notify_address::make(state_dir, wants_abstract)?;
        self.socket = Some((socket, address));
        self.fell_back = problem.is_some();
        if let Some(error) = problem {
            let what = [
                b"notify socket of ",
                shown,
                b" is abstract, other network namespaces cannot reach it: unable to make a path",
            ];
            diag::warning("supervise", &what, error);
        }
        Ok(())
    }

    /// Makes the notify socket again at the address that an adopted process knows, unless it was
    /// handed over. `published` is what `state` tells of it.
    pub(super) fn remake_socket(
        &mut self,
        state_dir: BorrowedFd<'_>,
        published: &[u8],
    ) -> Result<()> {
        if self.socket.is_none() {
            self.socket = Some(notify_address::remake(state_dir, published)?);
        }
        Ok(())
    }

    /// Takes the notify socket from a handover. A service that does not use one loses it.
    pub(super) fn take_inherited(
        &mut self,
        handover: &Handover,
        state_dir: BorrowedFd<'_>,
        published: &[u8],
        is_used: bool,
        helpers: &mut Helpers,
    ) {
        let socket = handover.descriptor(HANDOVER_NAME).and_then(fd::take_inherited);
        let Some(socket) = socket.map(NotifySocket::resume) else { return };
        match notify_address::find(state_dir, published) {
            Ok(address) if is_used => self.socket = Some((socket, address)),
            _ => helpers.close_elsewhere(socket.into()),
        }
    }

    /// The notify socket, by its name in a handover.
    pub(super) fn to_hand_over(&self) -> Option<(Vec<u8>, BorrowedFd<'_>)> {
        let (socket, _) = self.socket.as_ref()?;
        Some((HANDOVER_NAME.to_vec(), socket.fd()))
    }

    /// The address of the notify socket.
    pub(super) fn address(&self) -> Option<&NotifyAddress> {
        self.socket.as_ref().map(|(_, address)| address)
    }

    /// The pipe, to wait for.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(OwnedFd::as_fd)
    }

    /// The descriptor to wait for because of the notify socket.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.head {
            Head::Unread => self.socket.as_ref().map(|(socket, _)| socket.fd()),
            Head::Discarding(pipe) => Some(pipe.as_fd()),
            Head::Waiting => None,
        }
    }

    /// Whether a datagram with descriptors waits for a helper process.
    pub(super) const fn waits_for_helper(&self) -> bool {
        matches!(self.head, Head::Waiting)
    }

    /// Reads the pipe.
    pub(super) fn read_pipe(&mut self) -> PipeNews {
        let Some(pipe) = &self.pipe else {
            return PipeNews::Nothing;
        };
        let mut room = [0; 64];
        let news = match fd::read(pipe.as_fd(), &mut room) {
            Ok(0) | Err(_) => PipeNews::Closed,
            Ok(n) if room.get(..n).unwrap_or_default().contains(&b'\n') => PipeNews::Ready,
            Ok(_) => PipeNews::Nothing,
        };
        if news != PipeNews::Nothing {
            self.pipe = None;
        }
        news
    }

    /// Reads the next datagram; `None` if there is none, or one must be discarded first. `roots` are
    /// the processes of the service and the supervisor. Of other processes the text is empty; the
    /// first one is reported.
    pub(super) fn read_datagram(&mut self, dir: &CStr, roots: &[Pid]) -> Option<Message> {
        self.note_discarded();
        let (socket, address) =
            self.socket.as_ref().filter(|_| matches!(self.head, Head::Unread))?;
        let mut room = vec![0; MAX_DATAGRAM];
        let datagram = socket.peek(&mut room)?;
        let has_descriptors = datagram.has_descriptors;
        if !has_descriptors {
            socket.discard();
        }
        match foreign(&datagram, address, roots) {
            None => room.truncate(datagram.length),
            Some(reason) => {
                room.clear();
                if !core::mem::replace(&mut self.warned, true) {
                    let sender = datagram.sender;
                    let number = sender.map_or(0, |sender| sender.get().cast_unsigned());
                    diag::say(&[
                        b"supervise: warning: ignoring what process ",
                        Decimal::new(number.into()).as_bytes(),
                        b" says of ",
                        dir.to_bytes(),
                        b": ",
                        reason,
                    ]);
                }
            }
        }
        // The kernel always tells the user; none has the highest number.
        Some(Message { text: room, user: datagram.user.unwrap_or(u32::MAX), has_descriptors })
    }

    /// Looks whether the helper process has taken the datagram out of the socket.
    fn note_discarded(&mut self) {
        if let Head::Discarding(pipe) = &self.head
            && poll::readable([pipe.as_fd()], Some(Duration::ZERO)) == [true]
        {
            let is_out = fd::read(pipe.as_fd(), &mut [0; 1]) == Ok(1);
            self.head = if is_out { Head::Unread } else { Head::Waiting };
        }
    }

    /// Starts a helper process that takes the last datagram of [`Readiness::read_datagram`] out of
    /// the socket, with its descriptors. Their close can wait as long as the sender likes. `may_start`
    /// is false if too many such helpers wait already. Returns the helper.
    ///
    /// Every datagram before it was handled, so this answers a barrier.
    pub(super) fn discard(&mut self, may_start: bool) -> Option<Pid> {
        let (socket, _) = self.socket.as_ref()?;
        self.head = Head::Waiting;
        if !may_start {
            return None;
        }
        let (reader, writer) = fd::pipe().ok()?;
        match process::fork().ok()? {
            Forked::Parent(pid) => {
                self.head = Head::Discarding(reader);
                Some(pid)
            }
            Forked::Child => {
                let done = notify::discard_with_descriptors(socket.fd(), writer.as_fd());
                process::exit(i32::from(done.is_err()))
            }
        }
    }

    /// The supervisor leaves: removes the file of the notify socket.
    pub(super) fn remove_socket_file(&self) {
        if let Some(address) = self.address() {
            address.remove();
        }
    }

    /// The service has no notify socket any more: removes its file and closes it.
    pub(super) fn close_socket(&mut self, helpers: &mut Helpers) {
        self.remove_socket_file();
        if let Some((socket, _)) = self.socket.take() {
            helpers.close_elsewhere(socket.into());
        }
        self.head = Head::Unread;
    }
}

/// Why a datagram does not come from a process of the service; `None` if it does. `roots` are the
/// processes of the service and the supervisor.
fn foreign(datagram: &Datagram, address: &NotifyAddress, roots: &[Pid]) -> Option<&'static [u8]> {
    let Some(sender) = datagram.sender else {
        return Some(b"it is in another PID namespace");
    };
    if process_tree::belongs_to(sender, roots) {
        return None;
    }
    if !process_tree::has_gone(sender) {
        return Some(b"it is none of its own");
    }
    // The sender has exited. It knew the secret path, so the service has told it; and if it ran as our
    // uid, it could control the service anyway. Every process knows an abstract name, and a
    // set-user-ID program may write to a socket that a process of another user has connected.
    if matches!(address, NotifyAddress::Path { .. }) && datagram.user == Some(effective_user()) {
        return None;
    }
    Some(b"it has ended, and supervise cannot tell whose it was")
}

/// Reopens the write end of a pipe for reading and writing, so that the pipe has a reader while the
/// service has it open: a newline that is written while no supervisor runs waits for the next one.
pub(super) fn keep_readable(writer: OwnedFd) -> OwnedFd {
    let path = descriptor_path(process::id(), fd::number(writer.as_fd()).unsigned_abs());
    // Without /proc the pipe stays as it is.
    fs::open(fs::HERE, &path, fs::Opening::UPDATE).unwrap_or(writer)
}

fn descriptor_path(pid: Pid, number: u32) -> CString {
    let pid = Decimal::new(pid.get().cast_unsigned().into());
    let number = Decimal::new(number.into());
    let path = [b"/proc/", pid.as_bytes(), b"/fd/", number.as_bytes()].concat();
    CString::new(path).unwrap_or_default()
}
