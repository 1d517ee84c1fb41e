//! What supervise holds open, runs and remembers for a service whose directory asks for more than
//! the original gives. Without that there is none of it.

use super::cgroup::Cgroup;
use super::child::FIRST_SOCKET;
use super::directory::Asked;
use super::needs::{Needs, Verdict};
use super::tree;
use crate::diag;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::command::{Scope, Signal};
use daemontools_core::decimal::{self, Decimal};
use daemontools_core::detail::Reason;
use daemontools_core::handover::Handover;
use daemontools_core::options::{Address, Background, Listen, Reach};
use daemontools_core::sd_notify::LONGEST;
use daemontools_core::supervise::{Script, State};
use daemontools_core::{Ended, Pid};
use daemontools_sys::ids::effective_user;
use daemontools_sys::net::{self, Endpoint};
use daemontools_sys::notify::NotifySocket;
use daemontools_sys::pidfd::Handle;
use daemontools_sys::poll::Any;
use daemontools_sys::signal::KILL;
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, fd, fs, process, random};

/// A program of `control/` that was asked, and the signal that is sent if it does not see to it.
#[derive(Clone, Copy)]
pub(super) struct Control {
    pub(super) program: Pid,
    pub(super) process: Pid,
    pub(super) signal: Signal,
    pub(super) scope: Scope,
}

/// All of it.
pub(super) struct Care {
    pub(super) asked: Box<Asked>,
    /// Where the service writes a newline when it is ready.
    pub(super) notification: Option<OwnedFd>,
    /// Where it says how it is, and the name it knows it by.
    pub(super) socket: Option<(NotifySocket, Vec<u8>)>,
    /// It was said, since the last start, that others than the service speak there.
    strangers: bool,
    /// What it said last, for people.
    pub(super) message: Vec<u8>,
    /// The `check` that runs.
    pub(super) check: Option<Pid>,
    /// The programs of `control/` that run.
    pub(super) controls: Vec<Control>,
    /// Its `log`, if that runs.
    pub(super) log: Option<Pid>,
    /// Other programs that run for us, whose end means nothing.
    pub(super) helpers: Vec<Pid>,
    /// What it listens on.
    pub(super) sockets: Vec<OwnedFd>,
    /// Tells that somebody has connected, while that is waited for.
    pub(super) first_connection: Option<Any>,
    pub(super) needs: Option<Needs>,
    /// The service that is waited for.
    pub(super) lacking: Option<Box<[u8]>>,
    pub(super) cgroup: Option<Cgroup>,
}

/// Why a service is not started.
pub(super) enum Obstacle {
    /// For this reason; it is to be said, in these words.
    Refusal(Reason, Vec<u8>),
    /// Something outside is not there yet.
    Lacking,
}

impl Care {
    pub(super) fn new(asked: Box<Asked>) -> Self {
        Self {
            asked,
            notification: None,
            socket: None,
            strangers: false,
            message: Vec::new(),
            check: None,
            controls: Vec::new(),
            log: None,
            helpers: Vec::new(),
            sockets: Vec::new(),
            first_connection: None,
            needs: None,
            lacking: None,
            cgroup: None,
        }
    }

    /// Takes over what the directory asks for now, before a start.
    pub(super) fn renew(&mut self, asked: Box<Asked>) {
        if asked.options.listen != self.asked.options.listen {
            self.sockets.clear();
        }
        if asked.options.needs != self.asked.options.needs {
            self.needs = None;
        }
        self.asked = asked;
        self.notification = None;
        self.strangers = false;
        self.message.clear();
        self.lacking = None;
        self.first_connection = None;
    }

    /// Opens what the service is to have, and looks whether it may be started. `dir` is its name,
    /// `home` the directory that it is in, and `state` its state directory.
    pub(super) fn prepare(
        &mut self,
        dir: &CStr,
        home: Option<BorrowedFd<'_>>,
        state: BorrowedFd<'_>,
    ) -> core::result::Result<(), Obstacle> {
        let shown = dir.to_bytes();
        let refuse = |what: &[u8], error| refusal(shown, &[what], error);
        self.look_at_needs(shown, home)?;
        if self.has_own_tree() {
            process::adopt_orphans();
        }
        self.enter_cgroup(shown, state)?;
        if self.asked.options.ready.socket && self.socket.is_none() {
            let name = new_name();
            let socket = NotifySocket::new(&name).map_err(|e| refuse(b"make notify socket", e))?;
            self.socket = Some((socket, name));
        }
        self.bind(shown)?;
        if self.asked.options.on_demand && !self.sockets.is_empty() {
            let any = Any::new().map_err(|e| refuse(b"wait for connections", e))?;
            for socket in &self.sockets {
                any.add(socket.as_fd()).map_err(|e| refuse(b"wait for connections", e))?;
            }
            if !any.is_ready() {
                self.first_connection = Some(any);
                return Err(Obstacle::Lacking);
            }
        }
        Ok(())
    }

    /// Whether we have to know what the service has started.
    pub(super) fn has_own_tree(&self) -> bool {
        let options = &self.asked.options;
        options.stop.reach == Reach::Tree || options.background.is_some() || options.ready.socket
    }

    fn look_at_needs(
        &mut self,
        shown: &[u8],
        home: Option<BorrowedFd<'_>>,
    ) -> core::result::Result<(), Obstacle> {
        let wanted = &self.asked.options.needs;
        let (Some(home), false) = (home, wanted.is_empty()) else {
            return Ok(());
        };
        if self.needs.is_none() {
            let needs = Needs::new(home, shown, wanted);
            self.needs = Some(needs.map_err(|e| refusal(shown, &[b"look for what it needs"], e))?);
        }
        let Some(needs) = &mut self.needs else {
            return Ok(());
        };
        if let Some(chain) = needs.cycle(shown) {
            let chain: Vec<&[u8]> = chain.iter().map(|name| &**name).collect();
            let chain = chain.join(&b" needs "[..]);
            let words = [NOT_STARTING, shown, b": its needs lead back to it: ", &chain].concat();
            return Err(Obstacle::Refusal(Reason::Cycle, words));
        }
        needs.forget();
        match needs.judge(wanted) {
            Verdict::Met => Ok(()),
            Verdict::Lacking(name) | Verdict::Bereft(name) => {
                self.lacking = Some(name);
                Err(Obstacle::Lacking)
            }
        }
    }

    fn enter_cgroup(
        &mut self,
        shown: &[u8],
        state: BorrowedFd<'_>,
    ) -> core::result::Result<(), Obstacle> {
        let options = &self.asked.options;
        let limits = options.resources.needs_cgroup();
        if !limits && options.stop.reach != Reach::Tree && options.background.is_none() {
            self.leave_cgroup();
            return Ok(());
        }
        if self.cgroup.is_none() {
            self.cgroup = match Cgroup::of(shown, fs::open_inode(state).unwrap_or(0)) {
                Ok(cgroup) => Some(cgroup),
                // The tree can be walked, too.
                Err(_) if !limits => None,
                Err(error) => return Err(refusal(shown, &[b"make a control group"], error)),
            };
        }
        if let Some(cgroup) = &self.cgroup
            && let Err(trouble) = cgroup.limit(&options.resources)
        {
            let what = [b"set ", cgroup.path(), b"/", trouble.0.as_bytes()];
            return Err(refusal(shown, &what, trouble.1));
        }
        Ok(())
    }

    /// Binds what the service listens on, unless that was done before.
    fn bind(&mut self, shown: &[u8]) -> core::result::Result<(), Obstacle> {
        let listen = &self.asked.options.listen;
        for wanted in listen.iter().skip(self.sockets.len()) {
            match bind(wanted) {
                Ok(socket) => self.sockets.push(socket),
                Err(error) => {
                    let [kind, place] = &wanted.written;
                    self.sockets.clear();
                    return Err(refusal(shown, &[b"listen on ", kind, b" ", place], error));
                }
            }
        }
        Ok(())
    }

    /// A service that somebody else has started: gets back what only its process has.
    pub(super) fn resume(
        &mut self,
        dir: &CStr,
        home: Option<BorrowedFd<'_>>,
        state: BorrowedFd<'_>,
        process: Option<&Handle>,
        (pid, script): (Pid, Script),
        socket: &[u8],
    ) {
        let shown = dir.to_bytes();
        let wanted = &self.asked.options;
        let warn = |what: &[u8], error| {
            diag::warning("supervise", &[b"unable to ", what, b" of ", shown], error);
        };
        if let (Some(home), false) = (home, wanted.needs.is_empty()) {
            match Needs::new(home, shown, &wanted.needs) {
                Ok(mut needs) => {
                    let _ = needs.judge(&wanted.needs);
                    self.needs = Some(needs);
                }
                Err(error) => warn(b"look for the needs", error),
            }
        }
        if wanted.ready.socket && !socket.is_empty() && self.socket.is_none() {
            match NotifySocket::new(socket) {
                Ok(again) => self.socket = Some((again, socket.to_vec())),
                Err(error) => warn(b"get back the notify socket", error),
            }
        }
        if let Some(number) = wanted.ready.descriptor.filter(|_| script == Script::Run) {
            self.notification = reopen(pid, number).ok();
        }
        // A script beside it has none of them.
        if script == Script::Run && !wanted.listen.is_empty() && self.sockets.is_empty() {
            match take_sockets(process, pid, &wanted.listen) {
                Ok(sockets) => self.sockets = sockets,
                Err(error) => warn(b"get back the sockets", error),
            }
        }
        let _ = self.enter_cgroup(shown, state);
        if self.has_own_tree() {
            process::adopt_orphans();
        }
    }

    /// Takes what has come on the pipe of readiness; tells whether the service is ready.
    pub(super) fn read_notification(&mut self) -> bool {
        let Some(pipe) = &self.notification else {
            return false;
        };
        let mut room = [0; 64];
        let (ready, over) = match fd::read(pipe.as_fd(), &mut room) {
            Ok(0) | Err(_) => (false, true),
            Ok(n) => (room.get(..n).unwrap_or_default().contains(&b'\n'), false),
        };
        if ready || over {
            self.notification = None;
        }
        ready
    }

    /// The next datagram, if one has come; `roots` are the service's processes and us. What others
    /// send is said once, and counts as nothing.
    pub(super) fn read_datagram(&mut self, dir: &CStr, roots: &[Pid]) -> Option<Vec<u8>> {
        let (socket, _) = self.socket.as_ref()?;
        let mut room = vec![0; LONGEST];
        // The descriptors of a barrier are closed when this is over: all before was heard.
        let datagram = socket.receive(&mut room)?;
        let sender = datagram.sender;
        let is_own = |sender| {
            tree::belongs_to(sender, roots)
                // Of one that has gone nobody can tell. But whoever is who we are could do with the
                // service as he likes.
                || datagram.user == Some(effective_user()) && tree::has_gone(sender)
        };
        if sender.is_some_and(is_own) {
            room.truncate(datagram.length);
            return Some(room);
        }
        if !core::mem::replace(&mut self.strangers, true) {
            let number = sender.map_or(0, |sender| sender.get().cast_unsigned());
            diag::say(&[
                b"supervise: warning: ignoring what process ",
                Decimal::new(number.into()).as_bytes(),
                b" says of ",
                dir.to_bytes(),
                b": it is none of its own",
            ]);
        }
        Some(Vec::new())
    }

    /// Whether a process is one of the service's, whose own is `main`; not we, nor what runs beside
    /// it.
    pub(super) fn owns(&self, pid: Pid, main: Option<Pid>) -> bool {
        let us = process::id();
        let in_group =
            || self.cgroup.as_ref().is_some_and(|group| group.processes().contains(&pid));
        let below = || {
            let roots: Vec<Pid> = main.into_iter().chain([us]).collect();
            tree::belongs_to(pid, &roots)
        };
        pid != us && !tree::belongs_to(pid, &self.own_programs()) && (in_group() || below())
    }

    /// Sends a signal to all that a process of the service has started, wherever it has gone; not to
    /// that one.
    pub(super) fn signal_below(&self, process: Pid, signal: i32) {
        match &self.cgroup {
            Some(cgroup) => cgroup.signal_each(process, signal),
            None => {
                tree::signal_below(process, &[], signal);
                // And what has lost its parents.
                let mut others = self.own_programs();
                others.push(process);
                tree::signal_below(process::id(), &others, signal);
            }
        }
    }

    /// Kills what the service has left behind while nobody watched it.
    pub(super) fn end_leftovers(&mut self, dir: &CStr, state: BorrowedFd<'_>) {
        let shown = dir.to_bytes();
        if self.asked.options.stop.reach == Reach::Tree
            && self.enter_cgroup(shown, state).is_ok()
            && self.cgroup.is_some()
        {
            say_killed(shown, &self.signal_left(KILL));
        }
    }

    /// Sends a signal to all that the service has left behind, and gives those that were there.
    pub(super) fn signal_left(&self, signal: i32) -> Vec<Pid> {
        let Some(cgroup) = &self.cgroup else {
            return tree::signal_below(process::id(), &self.own_programs(), signal);
        };
        let left = cgroup.processes();
        if signal != KILL || cgroup.kill().is_err() {
            cgroup.signal_each(process::id(), signal);
        }
        left
    }

    /// Whether the service has left nothing behind.
    pub(super) fn has_nothing_left(&self) -> bool {
        match &self.cgroup {
            Some(cgroup) => cgroup.processes().is_empty(),
            None => self.children().is_empty(),
        }
    }

    /// Where a service goes on that has put itself into the background when its process `before` has
    /// ended: in the process that it has written down, or the one it has left behind.
    pub(super) fn successor(&self, before: Pid) -> Option<Pid> {
        let named = match self.asked.options.background.as_ref()? {
            Background::PidFile(path) => pid_in(path),
            Background::Follow => None,
        };
        // It was the one.
        if named == Some(before) {
            return None;
        }
        // One that another supervise has started is in the group, but not our descendant.
        let group = self.cgroup.as_ref().map(Cgroup::processes).unwrap_or_default();
        named
            .filter(|pid| self.owns(*pid, None))
            .or_else(|| self.children().first().or(group.first()).copied())
    }

    /// What the service has left behind that has no other parent than us, the oldest first.
    fn children(&self) -> Vec<Pid> {
        let own = self.own_programs();
        let mut children = Vec::new();
        // Without /proc nobody is found.
        let _ = daemontools_sys::tree::children_of(process::id(), |child| {
            if !own.contains(&child) {
                children.push(child);
            }
        });
        children
    }

    /// The programs that run for us and are not the service's.
    fn own_programs(&self) -> Vec<Pid> {
        let controls = self.controls.iter().map(|control| control.program);
        controls.chain(self.check).chain(self.log).chain(self.helpers.iter().copied()).collect()
    }

    /// Takes the end of a program that runs beside the service.
    pub(super) fn reaped(&mut self, pid: Pid, how: Ended) -> Option<Reaped> {
        if self.check.take_if(|check| *check == pid).is_some() {
            return Some(Reaped::Checked(how == Ended::Exited(0)));
        }
        self.helpers.retain(|helper| *helper != pid);
        let at = self.controls.iter().position(|control| control.program == pid)?;
        let Control { process, signal, scope, .. } = self.controls.swap_remove(at);
        // By exit code 0 it says that it has seen to it.
        (how != Ended::Exited(0)).then_some(Reaped::Declined(process, signal, scope))
    }

    /// Ends the check that runs.
    pub(super) fn stop_check(&mut self) {
        if let Some(check) = self.check.take() {
            // Not yet reaped, so that the number is still its own.
            let _ = process::kill_group(check, KILL);
            self.helpers.push(check);
        }
    }

    /// The pipe of readiness, to wait for.
    pub(super) fn notification(&self) -> Option<BorrowedFd<'_>> {
        self.notification.as_ref().map(OwnedFd::as_fd)
    }

    /// The notify socket, to wait for.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(|(socket, _)| socket.fd())
    }

    /// What outside is to be waited for in this state.
    pub(super) fn outside(&self, state: State) -> Option<BorrowedFd<'_>> {
        match (state, &self.first_connection) {
            (State::Blocked, Some(any)) => Some(any.fd()),
            (State::Blocked | State::Up { .. }, None) => self.needs.as_ref().and_then(Needs::fd),
            _ => None,
        }
    }

    /// Looks again at the services that this one needs, if it needs any.
    pub(super) fn judge_needs(&mut self) -> Option<Verdict> {
        Some(self.needs.as_mut()?.judge(&self.asked.options.needs))
    }

    /// Removes the control group, unless the service has left somebody in it.
    pub(super) fn leave_cgroup(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.remove();
        }
    }

    /// What an upgrade leaves open, by the names in the handover: the sockets, which nobody else has
    /// while the service is down.
    pub(super) fn to_hand_over(&self) -> Vec<(Vec<u8>, BorrowedFd<'_>)> {
        let sockets = self.sockets.iter().enumerate();
        let sockets = sockets.map(|(n, socket)| (listen_name(n), socket.as_fd()));
        let notify = self.socket().map(|socket| (NOTIFY.to_vec(), socket));
        sockets.chain(notify).collect()
    }

    /// Takes what the program before us in this process has handed over.
    pub(super) fn take_handed(&mut self, handover: &Handover, socket: &[u8]) {
        let take = |name: &[u8]| handover.descriptor(name).and_then(fd::take_inherited);
        let listen = &self.asked.options.listen;
        self.sockets = (0..listen.len()).map_while(|n| take(&listen_name(n))).collect();
        let mut there = self.sockets.iter().zip(listen);
        if !there.all(|(fd, wanted)| net::is_at(fd.as_fd(), &endpoint(&wanted.address))) {
            self.sockets.clear();
        }
        if let Some(fd) = take(NOTIFY).filter(|_| self.asked.options.ready.socket) {
            self.socket = Some((NotifySocket::resume(fd), socket.to_vec()));
        }
    }
}

/// What has come of a program that runs beside the service.
pub(super) enum Reaped {
    /// Whether its `check` found it well.
    Checked(bool),
    /// A program of `control/` has left this to us, for the process it was asked about.
    Declined(Pid, Signal, Scope),
}

/// Names what is killed of a service, if there is anything.
pub(super) fn say_killed(shown: &[u8], left: &[Pid]) {
    if left.is_empty() {
        return;
    }
    let numbers: Vec<Decimal> =
        left.iter().map(|pid| Decimal::new(pid.get().cast_unsigned().into())).collect();
    let numbers: Vec<&[u8]> = numbers.iter().map(Decimal::as_bytes).collect();
    diag::say(&[
        b"supervise: warning: ",
        shown,
        b" has left processes that are being killed: ",
        &numbers.join(&b' '),
    ]);
}

/// How messages about a service begin that is not started.
const NOT_STARTING: &[u8] = b"supervise: warning: not starting ";

/// What could not be done for a start.
fn refusal(shown: &[u8], what: &[&[u8]], error: Errno) -> Obstacle {
    let why = diag::why(error);
    let words = [NOT_STARTING, shown, b": unable to ", &what.concat(), b": ", why.as_bytes()];
    Obstacle::Refusal(Reason::Options, words.concat())
}

/// The notify socket in a handover.
const NOTIFY: &[u8] = b"notify";

/// A socket that the service listens on, in a handover.
fn listen_name(n: usize) -> Vec<u8> {
    [b"listen-", Decimal::new(n as u64).as_bytes()].concat()
}

/// The process that a file names.
fn pid_in(path: &CStr) -> Option<Pid> {
    let mut room = [0; 32];
    let text = fs::read_start(fs::HERE, path, &mut room).ok()?;
    let number = decimal::parse(text.trim_ascii())?;
    Pid::new(i32::try_from(number).ok()?)
}

/// A name for a socket that nobody else has.
fn new_name() -> Vec<u8> {
    let number = Decimal::new(process::id().get().cast_unsigned().into());
    let chance = Decimal::new(random::random_u32().into());
    [b"daemontools/", number.as_bytes(), b"/", chance.as_bytes()].concat()
}

fn endpoint(address: &Address) -> Endpoint<'_> {
    match address {
        Address::Tcp(at) => Endpoint::Tcp(*at),
        Address::Udp(at) => Endpoint::Udp(*at),
        Address::Unix(path) => Endpoint::Unix(path),
        Address::UnixDatagram(path) => Endpoint::UnixDatagram(path),
    }
}

fn bind(wanted: &Listen) -> Result<OwnedFd> {
    let (Address::Unix(path) | Address::UnixDatagram(path)) = &wanted.address else {
        return net::listen(endpoint(&wanted.address), wanted.backlog);
    };
    // What an earlier one has left behind; nobody else's, as only a socket is removed.
    if fs::is_socket(fs::HERE, path) {
        let _ = fs::unlink(fs::HERE, path);
    }
    // By the mask, because the name could lead elsewhere afterwards.
    let before = wanted.mode.map(|mode| fs::set_umask(0o777 & !u32::from(mode)));
    let socket = net::listen(endpoint(&wanted.address), wanted.backlog);
    before.map(fs::set_umask);
    socket
}

/// The pipe that a process has as this descriptor, to be read.
fn reopen(pid: Pid, number: u16) -> Result<OwnedFd> {
    let file = fs::open_read(fs::HERE, &descriptor_path(pid, number.into()))?;
    if fs::is_fifo(file.as_fd()) { Ok(file) } else { Err(Errno::NXIO) }
}

/// The end for writing of a pipe, opened so that the pipe has a reader as long as this is open: a
/// newline that is written while no supervise is there waits in it for the next one.
pub(super) fn keep_readable(end: OwnedFd) -> OwnedFd {
    let path = descriptor_path(process::id(), fd::number(end.as_fd()).unsigned_abs());
    // Without /proc it is an ordinary pipe.
    fs::open(fs::HERE, &path, fs::Opening::UPDATE).unwrap_or(end)
}

fn descriptor_path(pid: Pid, number: u32) -> CString {
    let pid = Decimal::new(pid.get().cast_unsigned().into());
    let number = Decimal::new(number.into());
    let path = [b"/proc/", pid.as_bytes(), b"/fd/", number.as_bytes()].concat();
    CString::new(path).unwrap_or_default()
}

/// The sockets that a service listens on, out of the hands of its process, which is `held` unless it
/// is our own child.
fn take_sockets(held: Option<&Handle>, pid: Pid, listen: &[Listen]) -> Result<Vec<OwnedFd>> {
    let own;
    let process = match held {
        Some(held) => held,
        None => {
            own = Handle::open(pid)?.ok_or(Errno::SRCH)?;
            &own
        }
    };
    let take = |(number, wanted): (i32, &Listen)| {
        let socket = process.take_descriptor(number)?;
        // It may have put something else there.
        let is_it = net::is_at(socket.as_fd(), &endpoint(&wanted.address));
        if is_it { Ok(socket) } else { Err(Errno::BADF) }
    };
    (FIRST_SOCKET..).zip(listen).map(take).collect()
}
