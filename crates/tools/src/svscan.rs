//! svscan: a supervise for every directory in the scan directory.
//!
//! The loop waits for the death of a child, a signal, a change in the directory or a moment that
//! is due, tells the roster of `daemontools-core`, and performs what it says.

mod targets;

use crate::chain::exec;
use crate::children::reap;
use crate::diag::{self, TEMPORARY, why};
use crate::gate;
use crate::holder::{self, Table};
use crate::identity;
use crate::options::{complain, options};
use crate::paths::{PATH_MAX, join};
use crate::state_dir::StateDir;
use crate::takeover::{self, Found};
use crate::time::instant;
use crate::upgrade;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::decimal::{self, Decimal};
use daemontools_core::getopt::Opt;
use daemontools_core::handover::{Handover, Service};
use daemontools_core::roster::{
    Action, Contents, Effect, Event, Phase, Role, Roster, SlotNo, Supervise,
};
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use daemontools_sys::fs::{self, DirId};
use daemontools_sys::limit::OpenFiles;
use daemontools_sys::pidfd::{Ends, Handle};
use daemontools_sys::process::{self, Strings};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::watch::{Change, Watch};
use daemontools_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd, Result, dir, fd, poll};
use targets::Targets;

/// How often the whole directory is looked at although nothing was announced: the safety net.
const NET_INTERVAL: Duration = Duration::from_secs(60);

/// The same where changes are not announced, or something is in a state that will not be
/// announced when it gets better, like a dangling link: the original's interval.
const BLIND_INTERVAL: Duration = Duration::from_secs(5);

/// Between two tries of what should not fail and did.
const PAUSE: Duration = Duration::from_secs(1);

/// How often we look for a pipe while there is somebody who may have it.
const SURVEYS: u32 = 5;

/// Exit code: 0 after TERM, 100 for bad usage, 111 when the directory cannot be scanned.
pub(crate) fn main() -> i32 {
    let (mut keep, mut upgrade, mut patience) = (false, false, None);
    let mut options = options(b"kt:u");
    for option in options.by_ref() {
        let good = match option {
            Opt::Letter(letter) => {
                keep |= letter == b'k';
                upgrade |= letter == b'u';
                true
            }
            Opt::Value(_, seconds) => {
                patience = decimal::parse(seconds).map(Duration::from_secs);
                patience.is_some()
            }
            Opt::Illegal(_) | Opt::NeedsValue(_) => false,
        };
        if !good {
            complain(option);
            return diag::usage("svscan", "svscan [-ku] [-t seconds] [dir [logservice]]");
        }
    }
    let scan_dir = process::arg(options.operand());
    let log_service = process::arg(options.operand() + 1);
    if upgrade {
        return ask_for_upgrade(scan_dir);
    }

    let handover = upgrade::handed_over();
    let inherited = handover.map(Inherited::take).unwrap_or_default();
    fd::fill_missing(fd::Missing::NullForChildren);
    match Scanner::begin(keep, scan_dir, log_service, inherited) {
        Ok(mut scanner) => {
            if let Some(patience) = patience {
                scanner.roster.limit_stop(patience);
            }
            scanner.run();
            0
        }
        Err(code) => code,
    }
}

/// Tells the svscan of a directory to become the newly installed program.
fn ask_for_upgrade(scan_dir: Option<&CStr>) -> i32 {
    let path = scan_dir.unwrap_or(c".");
    let shown = path.to_bytes();
    let dir = match fs::open_dir(fs::HERE, path) {
        Ok(dir) => dir,
        Err(error) => return diag::fatal("svscan", &[b"unable to open ", shown], error),
    };
    let found = holder::hold(dir.as_fd()).filter(|(pid, _)| !holder::is_strangers(*pid));
    let Some((_, svscan)) = found else {
        diag::say(&[b"svscan: fatal: no svscan runs on ", shown]);
        return diag::PERMANENT;
    };
    match svscan.signal(signal::USR2) {
        Ok(()) => 0,
        Err(error) => diag::fatal("svscan", &[b"unable to signal the svscan of ", shown], error),
    }
}

/// What the svscan before us in this process has handed over.
#[derive(Default)]
struct Inherited {
    mask: Option<u64>,
    lock: Option<OwnedFd>,
    open_files: Option<OpenFiles>,
    services: Vec<InheritedService>,
}

struct InheritedService {
    id: DirId,
    name: Vec<u8>,
    /// The supervise and that of the logger, if they are our children.
    children: [Option<Pid>; 2],
    pipe: Option<(OwnedFd, OwnedFd)>,
}

impl Inherited {
    fn take(handover: Handover) -> Self {
        let lock = handover.descriptor(b"lock").and_then(fd::take_inherited);
        let service = |Service { directory, children, pipe, name }| {
            let ends = pipe.map(|ends: [i32; 2]| ends.map(fd::take_inherited));
            let pipe = ends.and_then(|[read, write]| Some((read?, write?)));
            InheritedService { id: directory_id(directory), name, children, pipe }
        };
        Self {
            mask: Some(handover.mask),
            lock,
            open_files: handover.open_files.map(OpenFiles::raised_from),
            services: handover.services.into_iter().map(service).collect(),
        }
    }

    fn service(&mut self, id: DirId) -> Option<&mut InheritedService> {
        self.services.iter_mut().find(|service| service.id == id)
    }
}

/// The other way round.
fn directory_id([major, minor, inode, born]: [u64; 4]) -> DirId {
    let part = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    DirId { device: (part(major), part(minor)), inode, born: born.into() }
}

/// The pipe between a service and its logger, which outlives both.
struct LogPipe {
    read_end: OwnedFd,
    /// None when nobody is to write any more.
    write_end: Option<OwnedFd>,
    /// It was said that there is something left in it.
    said: bool,
}

/// What a directory is, in numbers.
fn numbers(id: DirId) -> [u64; 4] {
    let (major, minor) = id.device;
    [major.into(), minor.into(), id.inode, u64::try_from(id.born).unwrap_or(0)]
}

/// A `svscan` at work.
struct Scanner {
    signals: Signals,
    /// None where changes cannot be watched.
    watch: Option<Watch>,
    /// What the links lead to; none where that cannot be watched.
    targets: Option<Targets>,
    /// Changes may come unannounced.
    blind: bool,
    roster: Roster<DirId>,
    /// The scan directory, to come back to.
    home: OwnedFd,
    /// Supervises that an earlier svscan has started, and that are not our children.
    adopted: BTreeMap<Pid, Handle>,
    /// Tells when one of them has ended.
    ends: Option<Ends>,
    /// Processes that have become our children because their supervise was killed, and where their
    /// records are: the service's name, and whether it is its logger's.
    orphans: BTreeMap<Pid, (CString, bool)>,
    /// By which they are found; only as long as we do not wait.
    locks: Option<Table>,
    /// What the roster wants done.
    todo: Vec<Effect>,
    /// Signals that could not be sent, and when that is tried again.
    unsent: Vec<(Pid, i32)>,
    resend: Option<Instant>,
    /// The pipe to the logger, by slot number.
    pipes: Vec<Option<LogPipe>>,
    next_scan: Instant,
    /// Names with which something is wrong, each said once, and the scan that found it last.
    troubles: BTreeMap<Box<[u8]>, u64>,
    /// The number of the scan.
    scans: u64,
    /// Reading the directory failed the last time.
    unreadable: bool,
    /// Our children get process groups of their own, so that Ctrl-C comes to us alone and
    /// everything ends in order.
    own_groups: bool,
    /// Our children's limit of open files, if we had to raise ours.
    open_files: Option<OpenFiles>,
    leaving: bool,
    /// We were told to upgrade, and do so when nothing is being stopped.
    upgrade_due: bool,
    lock: Option<OwnedFd>,
    /// The highest number of a descriptor that our children inherit without our knowledge; none where
    /// that cannot be told.
    last_inherited: Option<i32>,
    /// Where we were started.
    start: Option<OwnedFd>,
    inherited: Inherited,
}

impl Scanner {
    /// Everything that has to work before the first scan.
    fn begin(
        keep: bool,
        scan_dir: Option<&CStr>,
        log_service: Option<&CStr>,
        mut inherited: Inherited,
    ) -> core::result::Result<Self, i32> {
        const WANTED: [i32; 4] = [signal::TERM, signal::INT, signal::HUP, signal::USR2];
        let shown = scan_dir.map_or(&b"."[..], CStr::to_bytes);
        let signals = Signals::take_over_again(&WANTED, inherited.mask)
            .map_err(|e| diag::fatal("svscan", &[b"unable to take signals"], e))?;
        let start = fs::reach_dir(fs::HERE, c".").ok();
        if let Some(scan_dir) = scan_dir {
            fs::chdir(scan_dir)
                .map_err(|e| diag::fatal("svscan", &[b"unable to chdir to ", shown], e))?;
        }
        let lock = match inherited.lock.take() {
            None => holder::lock_scan_dir("svscan", shown)?,
            lock => lock,
        };
        let home = fs::reach_dir(fs::HERE, c".")
            .map_err(|e| diag::fatal("svscan", &[b"unable to open ", shown], e))?;
        // A service whose supervise is killed becomes our child until the next one has taken it
        // over, and after: then we are the one who reaps it.
        process::adopt_orphans();
        let blind = lock.as_ref().is_some_and(|dir| dir::changes_unseen(dir.as_fd()));
        let watch = match Watch::current_dir() {
            Ok(watch) => Some(watch),
            Err(error) => {
                diag::warning("svscan", &[b"unable to watch ", shown], error);
                None
            }
        };
        let mut scanner = Self {
            signals,
            blind: blind || watch.is_none(),
            targets: Targets::new().ok(),
            watch,
            home,
            adopted: BTreeMap::new(),
            ends: None,
            orphans: BTreeMap::new(),
            locks: None,
            roster: Roster::new(keep),
            todo: Vec::new(),
            unsent: Vec::new(),
            resend: None,
            pipes: Vec::new(),
            next_scan: instant(),
            troubles: BTreeMap::new(),
            scans: 0,
            unreadable: false,
            own_groups: process::in_foreground(),
            open_files: inherited.open_files,
            leaving: false,
            upgrade_due: false,
            lock,
            last_inherited: fd::last_inherited().ok(),
            start,
            inherited,
        };
        if let Some(name) = log_service {
            scanner.start_own_logger(name);
        }
        scanner.resume();
        Ok(scanner)
    }

    /// Goes on with what was handed over. What has no name any more, the first scan will tell.
    fn resume(&mut self) {
        let services = self.inherited.services.iter();
        let known: Vec<_> = services
            // Our own logger was started before.
            .filter(|service| self.roster.slots().all(|(_, slot)| slot.id() != service.id))
            .map(|service| (service.name.clone(), service.id, service.pipe.is_some()))
            .collect();
        for (name, id, log) in known {
            self.tell(Event::Seen(&name, id, Contents { log, run: true }));
        }
        self.inherited.services.clear();
    }

    fn run(&mut self) {
        // The end of a child before an upgrade may have come when nobody could be told.
        self.reap();
        while !self.leaving {
            if self.upgrade_due && self.roster.is_at_rest() {
                self.upgrade();
            }
            if self.next_scan <= instant() && !self.roster.is_stopping() {
                self.scan();
                continue;
            }
            self.locks = None;
            let events = [
                Some(self.signals.fd()),
                self.watch.as_ref().map(Watch::fd),
                self.ends.as_ref().map(Ends::fd),
                self.targets.as_ref().map(Targets::fd),
            ];
            let [signalled, changed, ended, replaced] = poll::readable_if(events, self.timeout());
            if signalled {
                self.take_signals();
            }
            if ended {
                self.take_ends();
            }
            // Before the names: that a directory was made is nothing new to a link that was not there.
            if replaced && self.targets.as_ref().is_some_and(Targets::have_changed) {
                self.next_scan = instant();
            }
            if changed {
                self.take_changes();
            }
            self.send_again();
            self.tell(Event::Tick);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        // No more looking about when what there is is being stopped.
        let scan = (!self.roster.is_stopping()).then_some(self.next_scan);
        let due = self.roster.deadline().into_iter().chain(scan).chain(self.resend).min();
        due.map(|due| due.after(instant()))
    }

    fn take_signals(&mut self) {
        let (mut stop, mut upgrade) = (false, false);
        for signal in self.signals.pending() {
            match signal {
                signal::TERM | signal::INT => stop = true,
                // The terminal in whose foreground we are has gone.
                signal::HUP if self.own_groups => stop = true,
                signal::HUP => self.next_scan = instant(),
                signal::USR2 => upgrade = true,
                _ => {}
            }
        }
        self.reap();
        if stop {
            self.tell(Event::Stop);
        }
        self.upgrade_due |= upgrade;
    }

    fn reap(&mut self) {
        while let Some((pid, how)) = reap() {
            self.note_orphan(pid, how);
            self.mourn(pid, how);
            self.tell(Event::Ended(pid, how));
        }
    }

    /// The service of a supervise that was killed becomes our child: how it ends, only we are told by
    /// a kernel before Linux 6.15, and the next supervise reads it in the record.
    fn note_orphan(&mut self, pid: Pid, how: Ended) {
        match (self.roster.service_of(pid), how) {
            (Some((no, role)), Ended::Killed(_)) => {
                let slot = self.roster.slot(no);
                let name = slot.and_then(|slot| CString::new(slot.name()).ok()).unwrap_or_default();
                let inside = role == Role::Log && !slot.is_some_and(|slot| slot.is_own_logger());
                if let Some(orphan) = self.in_service(&name, inside, identity::recorded) {
                    self.orphans.insert(orphan, (name, inside));
                }
            }
            (Some(_), _) => {}
            (None, _) => {
                if let Some((name, inside)) = self.orphans.remove(&pid) {
                    self.in_service(&name, inside, |state| identity::note_end(state, pid, how));
                }
            }
        }
    }

    /// Gives `with` the state directory of a service, or of its logger.
    fn in_service<T>(
        &self,
        name: &CStr,
        inside: bool,
        with: impl FnOnce(BorrowedFd<'_>) -> Option<T>,
    ) -> Option<T> {
        if !self.enter(name, inside) {
            return None;
        }
        let state = StateDir::of_current_dir()
            .and_then(|state| state.with_path(|path| fs::reach_dir(fs::HERE, path)));
        self.go_home();
        with(state.ok()?.as_fd())
    }

    /// Goes to a service, or to its logger inside; `false` if it cannot, and has come back.
    fn enter(&self, name: &CStr, inside: bool) -> bool {
        let entered = fs::chdir(name).is_ok();
        if entered && inside && fs::chdir(c"log").is_err() {
            self.go_home();
            return false;
        }
        entered
    }

    /// Comes back to where all names are meant: nothing can be done before.
    fn go_home(&self) {
        let mut said = false;
        while let Err(error) = fs::fchdir(self.home.as_fd()) {
            if !said {
                let what = b"unable to switch to scan directory, pausing";
                diag::warning("svscan", &[what], error);
            }
            said = true;
            poll::pause(PAUSE);
        }
    }

    /// Becomes the newly installed program, and so does every supervise. Comes back if that fails.
    fn upgrade(&mut self) {
        self.upgrade_due = false;
        let supervises: Vec<Pid> = self.roster.supervises().collect();
        for pid in supervises.into_iter().filter(|pid| upgrade::is_awaited_by(*pid)) {
            self.signal(pid, signal::USR2);
        }
        let mut kept = Vec::new();
        let mut handover = Handover {
            mask: self.signals.inherited_mask(),
            open_files: self.open_files.map(OpenFiles::inherited),
            ..Handover::default()
        };
        if let Some(lock) = &self.lock {
            handover.descriptors.push((b"lock".to_vec(), fd::number(lock.as_fd())));
            kept.push(lock.as_fd());
        }
        for (no, slot) in self.roster.slots() {
            if matches!(slot.phase(), Phase::Settling { .. }) {
                continue;
            }
            let pipe = self.pipes.get(no.0).and_then(Option::as_ref);
            let ends = pipe
                .and_then(|pipe| Some([pipe.read_end.as_fd(), pipe.write_end.as_ref()?.as_fd()]));
            kept.extend(ends.into_iter().flatten());
            let child = |role| match slot.supervise(role) {
                Supervise::Running { pid, .. } if !self.adopted.contains_key(&pid) => Some(pid),
                _ => None,
            };
            handover.services.push(Service {
                directory: numbers(slot.id()),
                children: [child(Role::Main), child(Role::Log)],
                pipe: ends.map(|ends| ends.map(fd::number)),
                name: slot.name().to_vec(),
            });
        }
        // Our arguments are seen from there.
        if self.start.as_ref().is_some_and(|start| fs::fchdir(start.as_fd()).is_ok()) {
            upgrade::run("svscan", &handover, &kept);
        }
        self.go_home();
    }

    /// Supervises that are not our children.
    fn take_ends(&mut self) {
        while let Some(key) = self.ends.as_ref().and_then(Ends::next) {
            let pid = i32::try_from(key).ok().and_then(Pid::new);
            let Some((pid, handle)) = pid.and_then(|pid| self.adopted.remove_entry(&pid)) else {
                return;
            };
            let how = identity::end_of(&handle);
            drop(handle);
            self.mourn(pid, how);
            self.tell(Event::Ended(pid, how));
        }
        if self.adopted.is_empty() {
            self.ends = None;
        }
    }

    /// A supervise leaves by exit; a signal is worth a word.
    fn mourn(&self, pid: Pid, how: Ended) {
        if let (Some((no, role)), Ended::Killed(signal)) = (self.roster.service_of(pid), how)
            && let Some(slot) = self.roster.slot(no)
        {
            diag::say(&[
                b"svscan: warning: supervise ",
                slot.name(),
                suffix(role),
                b" was killed by signal ",
                Decimal::new(signal.into()).as_bytes(),
            ]);
        }
    }

    fn take_changes(&mut self) {
        // Taken out for the time of the loop, which needs the rest of us.
        let Some(watch) = self.watch.take() else {
            return;
        };
        watch.changes(|change| match change {
            Change::Came(name) => self.look(name),
            Change::Went(name) => {
                self.troubles.remove(name.to_bytes());
                self.tell(Event::Lost(name.to_bytes()));
            }
            Change::Lost => self.next_scan = instant(),
        });
        self.watch = Some(watch);
    }

    /// Looks at the whole directory.
    fn scan(&mut self) {
        self.roster.begin_scan();
        self.scans += 1;
        if let Some(targets) = &mut self.targets {
            targets.begin_scan();
        }
        let read = dir::names_here(|name| self.look(name));
        match read {
            Ok(()) => {
                let this = self.scans;
                self.troubles.retain(|_, scan| *scan == this);
                self.roster.end_scan(instant(), &mut self.todo);
                self.perform();
            }
            Err(error) if !self.unreadable => {
                diag::warning("svscan", &[b"unable to read directory"], error);
            }
            Err(_) => {}
        }
        self.unreadable = read.is_err();
        let blind = self.blind || self.unreadable || !self.troubles.is_empty();
        self.next_scan = instant() + if blind { BLIND_INTERVAL } else { NET_INTERVAL };
    }

    /// Looks where a name leads, and tells the roster.
    fn look(&mut self, name: &CStr) {
        self.observe(name);
        self.perform();
    }

    fn observe(&mut self, name: &CStr) {
        let bytes = name.to_bytes();
        // Before the look, so that nothing comes in between.
        if self.targets.as_mut().is_some_and(|targets| targets.note(name).is_err()) {
            self.blind = true;
        }
        let event = match Self::inspect(name) {
            Ok(Some((id, contents))) => {
                self.troubles.remove(bytes);
                Event::Seen(bytes, id, contents)
            }
            Ok(None) => {
                self.troubles.remove(bytes);
                Event::Lost(bytes)
            }
            // The name itself has gone again: no dangling link.
            Err(Trouble("", Errno::NOENT))
                if fs::readlink(fs::HERE, name, &mut [0; 8]) == Err(Errno::NOENT) =>
            {
                self.troubles.remove(bytes);
                Event::Lost(bytes)
            }
            Err(Trouble(file, error)) => {
                if self.troubles.insert(bytes.into(), self.scans).is_none() {
                    let what = [b"unable to stat ", bytes, file.as_bytes()];
                    diag::warning("svscan", &what, error);
                    // It will not be announced when this gets better.
                    self.next_scan = self.next_scan.min(instant() + BLIND_INTERVAL);
                }
                match error {
                    Errno::NOENT | Errno::NOTDIR => Event::Lost(bytes),
                    _ => Event::Unsure(bytes),
                }
            }
        };
        self.roster.step(event, instant(), &mut self.todo);
    }

    /// What a name leads to, `None` if it is no directory; or the file of it that could not be
    /// looked at, and why.
    fn inspect(name: &CStr) -> core::result::Result<Option<(DirId, Contents)>, Trouble> {
        let fs::Found::Dir(id) = fs::look(fs::HERE, name).map_err(|error| Trouble("", error))?
        else {
            return Ok(None);
        };
        let mut room = [0; PATH_MAX];
        let mut below = |file: &[u8]| match join(&mut room, name.to_bytes(), file) {
            Some(path) => fs::look(fs::HERE, path),
            None => Err(Errno::NAMETOOLONG),
        };
        let log = match below(b"log") {
            Ok(found) => matches!(found, fs::Found::Dir(_)),
            Err(Errno::NOENT) => false,
            Err(error) => return Err(Trouble("/log", error)),
        };
        Ok(Some((id, Contents { log, run: below(b"run") != Err(Errno::NOENT) })))
    }

    /// Gives the roster an event, and does what follows from it.
    fn tell(&mut self, event: Event<'_, DirId>) {
        self.roster.step(event, instant(), &mut self.todo);
        self.perform();
    }

    /// Does what there is to do, in order. What comes of it may add more at the end.
    fn perform(&mut self) {
        let mut done = 0;
        while let Some(&effect) = self.todo.get(done) {
            done += 1;
            match effect {
                Effect::Exit => self.leaving = true,
                Effect::For(no, Action::Spawn(role)) => {
                    let answer = match self.spawn(no, role) {
                        Some(pid) => Event::Spawned(no, role, pid),
                        None => Event::SpawnFailed(no, role),
                    };
                    self.roster.step(answer, instant(), &mut self.todo);
                }
                Effect::For(_, Action::Terminate(pid)) => self.signal(pid, signal::TERM),
                Effect::For(_, Action::Finish(pid)) => self.signal(pid, signal::USR1),
                Effect::For(no, Action::Kill(role, pid)) => self.kill(no, role, pid),
                Effect::For(no, Action::EndInput) => self.end_input(no),
                Effect::For(no, Action::CheckInput) => {
                    let answer =
                        if self.is_unread(no) { Event::Unread(no) } else { Event::AllRead(no) };
                    self.roster.step(answer, instant(), &mut self.todo);
                }
                Effect::For(no, Action::DropPipe | Action::Forget) => {
                    self.end_input(no);
                    if let Some(pipe) = self.pipes.get_mut(no.0) {
                        *pipe = None;
                    }
                }
                Effect::For(no, Action::Look) => {
                    let name = self.roster.slot(no).and_then(|s| CString::new(s.name()).ok());
                    if let Some(name) = name {
                        self.observe(&name);
                    }
                }
            }
        }
        self.todo.clear();
    }

    /// Sends a signal to a supervise; later, if that does not work now.
    fn signal(&mut self, pid: Pid, number: i32) {
        let Err(error) = self.try_signal(pid, number) else { return };
        if let Some((no, role)) = self.roster.service_of(pid)
            && let Some(slot) = self.roster.slot(no)
        {
            let what = [b"unable to signal supervise ", slot.name(), suffix(role), b", pausing"];
            diag::warning("svscan", &what, error);
        }
        self.unsent.push((pid, number));
        self.resend = Some(instant() + PAUSE);
    }

    fn try_signal(&self, pid: Pid, number: i32) -> Result<()> {
        let sent = match self.adopted.get(&pid) {
            Some(handle) => handle.signal(number),
            // Our child, not reaped yet, so that the number is still its own.
            None => process::kill(pid, number),
        };
        match sent {
            // Whom it does not reach any more, it need not reach.
            Err(Errno::SRCH) => Ok(()),
            sent => sent,
        }
    }

    /// Sends what could not be sent, to those that are still there.
    fn send_again(&mut self) {
        if self.resend.is_none_or(|due| due > instant()) {
            return;
        }
        let mut unsent = core::mem::take(&mut self.unsent);
        unsent.retain(|&(pid, number)| {
            self.roster.service_of(pid).is_some() && self.try_signal(pid, number).is_err()
        });
        self.resend = (!unsent.is_empty()).then(|| instant() + BLIND_INTERVAL);
        self.unsent = unsent;
    }

    /// Whoever has not ended in time.
    fn kill(&mut self, no: SlotNo, role: Role, pid: Pid) {
        if let Some(slot) = self.roster.slot(no) {
            let (name, suffix) = (slot.name(), suffix(role));
            diag::say(&[
                b"svscan: warning: killing ",
                name,
                suffix,
                b", which has not ended in time",
            ]);
        }
        self.signal(pid, signal::QUIT);
    }

    /// Who is there already for a service, or for its logger.
    fn find(&mut self, name: &CStr, inside: bool) -> Found {
        if !self.enter(name, inside) {
            return Found::default();
        }
        let found = Found::here(&mut self.locks);
        self.go_home();
        found
    }

    /// Whoever had this number before has ended, and is to be known by it no more.
    fn forget_earlier(&mut self, pid: Pid) {
        if self.adopted.get(&pid).is_some_and(Handle::has_ended)
            && let Some(handle) = self.adopted.remove(&pid)
        {
            let how = identity::end_of(&handle);
            self.mourn(pid, how);
            self.roster.step(Event::Ended(pid, how), instant(), &mut self.todo);
        }
    }

    /// Takes over a supervise that runs already.
    fn adopt(&mut self, pid: Pid, handle: Handle) -> bool {
        self.forget_earlier(pid);
        // After an upgrade it is still our child.
        if process::is_child(pid) {
            return true;
        }
        let ends = match &self.ends {
            Some(ends) => ends,
            None => match Ends::new() {
                Ok(ends) => {
                    // There may be more like it than we have descriptors.
                    self.open_files = self.open_files.or_else(OpenFiles::raise);
                    self.ends.insert(ends)
                }
                Err(_) => return false,
            },
        };
        if ends.add(&handle, pid.get().cast_unsigned().into()).is_err() {
            return false;
        }
        self.adopted.insert(pid, handle);
        true
    }

    /// The pipe that a service and its logger use already. If those who are there die while we look,
    /// others know it, so we look again.
    fn find_pipe(
        &mut self,
        name: &CStr,
        role: Role,
        own: bool,
        there: &mut Found,
    ) -> Option<(OwnedFd, OwnedFd)> {
        for _ in 0..SURVEYS {
            let other = self.find(name, role == Role::Main);
            let pipe = match role {
                Role::Main => takeover::pipe_between(Some(there), &other),
                Role::Log => takeover::pipe_between((!own).then_some(&other), there),
            };
            match pipe {
                Ok(None) if there.is_empty() && other.is_empty() => break,
                Ok(None) => *there = self.find(name, role == Role::Log && !own),
                Ok(found) => return found,
                Err(error) => {
                    let shown = name.to_bytes();
                    diag::say(&[
                        b"svscan: warning: unable to get back the pipe from ",
                        shown,
                        b" to its logger: ",
                        why(error).as_bytes(),
                        b"; to connect them anew: svc -x ",
                        shown,
                        b"/log; svc -dx ",
                        shown,
                    ]);
                    break;
                }
            }
        }
        None
    }

    /// Starts a supervise, or takes over the one that runs already. What fails is said here.
    fn spawn(&mut self, no: SlotNo, role: Role) -> Option<Pid> {
        let slot = self.roster.slot(no)?;
        let name = CString::new(slot.name()).ok()?;
        let (logged, own, id) = (slot.is_logged(), slot.is_own_logger(), slot.id());
        let shown = name.to_bytes();
        if let Some(service) = self.inherited.service(id) {
            let (pipe, child) = (service.pipe.take(), service.children[role as usize].take());
            if logged && !self.has_pipe(no) && pipe.is_some() {
                let _ = self.make_pipe(no, pipe);
            }
            // It need not be one yet that others can find.
            if let Some(pid) = child.filter(|pid| process::is_child(*pid)) {
                return Some(pid);
            }
        }
        let mut there = self.find(&name, role == Role::Log && !own);
        if logged && !self.has_pipe(no) {
            let pipe = self.find_pipe(&name, role, own, &mut there);
            if let Err(error) = self.make_pipe(no, pipe) {
                diag::warning("svscan", &[b"unable to create pipe for ", shown], error);
                return None;
            }
        }
        if let Some((pid, handle)) = there.supervise
            && self.adopt(pid, handle)
        {
            return Some(pid);
        }
        let pipe = self.pipes.get(no.0).and_then(Option::as_ref).filter(|_| logged);
        // The logger of our own messages is reached by its name, others as `log` from inside
        // their service.
        let inside = role == Role::Log && !own;
        let end = match (pipe, role) {
            (Some(LogPipe { write_end: Some(end), .. }), Role::Main) => Some((fd::stdout(), end)),
            (Some(pipe), Role::Log) => Some((fd::stdin(), &pipe.read_end)),
            (_, Role::Main) | (None, Role::Log) => None,
        };
        // Below all the pipes of others, if there is a number left.
        let copy = end.and_then(|(_, end)| fd::copy_low(end.as_fd()).ok());
        let end = end.map(|(to, end)| (to, copy.as_ref().unwrap_or(end).as_fd()));
        let lock = self.lock.as_ref().map(OwnedFd::as_fd);
        // All that a child needs; what it inherits without our knowledge is below that.
        let ours = end.map(|(_, end)| end).into_iter().chain(lock).map(fd::number);
        let last = self.last_inherited.map(|inherited| ours.fold(inherited, i32::max));
        let gate = lock.map(gate::variable);
        let mut environment: Vec<&CStr> = process::environ().collect();
        environment.extend(gate.as_deref());
        let environment = Strings::of(environment);
        let mut child = || {
            let warn = |what: &[u8], error| {
                diag::warning("svscan", &[what, shown, suffix(role)], error);
                TEMPORARY
            };
            if self.own_groups {
                // Fails only for the leader of a session, which a new process is not.
                let _ = process::lead_new_group();
            }
            if let Some(limit) = self.open_files {
                limit.put_back();
            }
            if let Some((to, end)) = end
                && let Err(error) = fd::replace(to, end)
            {
                return warn(b"unable to set up descriptors for ", error);
            }
            if inside && let Err(error) = fs::chdir(&name) {
                diag::warning("svscan", &[b"unable to switch to ", shown], error);
                return TEMPORARY;
            }
            self.signals.give_back();
            let args = [c"supervise", if inside { c"log" } else { &name }];
            if let Some(lock) = lock {
                fd::set_inherited(lock, true);
            }
            let path = process::env("PATH").map(CStr::to_bytes);
            let error = exec(c"supervise", &Strings::of(args), &environment, path);
            warn(b"unable to start supervise ", error)
        };
        let spawned = match last {
            Some(last) => process::spawn_with(last, &mut child),
            None => process::spawn(&mut child),
        };
        match spawned {
            Ok(pid) => {
                self.forget_earlier(pid);
                Some(pid)
            }
            Err(error) => {
                diag::warning("svscan", &[b"unable to fork for ", shown, suffix(role)], error);
                None
            }
        }
    }

    fn has_pipe(&self, no: SlotNo) -> bool {
        self.pipes.get(no.0).is_some_and(Option::is_some)
    }

    /// Makes the pipe between a service and its logger, unless it is there.
    fn make_pipe(&mut self, no: SlotNo, there: Option<(OwnedFd, OwnedFd)>) -> Result<()> {
        if self.pipes.len() <= no.0 {
            self.pipes.resize_with(no.0 + 1, || None);
        }
        if let Some(place @ None) = self.pipes.get_mut(no.0) {
            let made = match there.map_or_else(fd::pipe, Ok) {
                Err(Errno::MFILE) if self.open_files.is_none() => {
                    self.open_files = OpenFiles::raise();
                    fd::pipe()
                }
                other => other,
            };
            let (read_end, write_end) = made?;
            let [read_end, write_end] = [read_end, write_end].map(fd::put_away);
            *place = Some(LogPipe { read_end, write_end: Some(write_end), said: false });
        }
        Ok(())
    }

    /// Lets the logger see the end of its input. The other end stays ours, to see what is left.
    fn end_input(&mut self, no: SlotNo) {
        let Some(write_end) = self.pipe_mut(no).and_then(|pipe| pipe.write_end.take()) else {
            return;
        };
        if self.roster.slot(no).is_some_and(|slot| slot.is_own_logger())
            && let Ok(null) = fs::open_write(fs::HERE, c"/dev/null")
        {
            // Our own messages have nobody to read them from here on.
            let _ = fd::replace(fd::stdout(), null.as_fd());
            let _ = fd::replace(fd::stderr(), null.as_fd());
        }
        drop(write_end);
    }

    /// Whether there is something that the logger has not read, which is said once.
    fn is_unread(&mut self, no: SlotNo) -> bool {
        let Some(pipe) = self.pipe_mut(no) else {
            return false;
        };
        let unread = fd::unread(pipe.read_end.as_fd()).is_ok_and(|bytes| bytes > 0);
        let said = core::mem::replace(&mut pipe.said, true);
        if unread
            && !said
            && let Some(slot) = self.roster.slot(no)
        {
            diag::say(&[
                b"svscan: warning: waiting until the logger of ",
                slot.name(),
                b" has read everything",
            ]);
        }
        unread
    }

    fn pipe_mut(&mut self, no: SlotNo) -> Option<&mut LogPipe> {
        self.pipes.get_mut(no.0)?.as_mut()
    }

    /// encore's second argument: a service which gets everything that we, the supervises and the
    /// services without a logger say. Left out if there is no such directory.
    fn start_own_logger(&mut self, name: &CStr) {
        let Ok(fs::Found::Dir(id)) = fs::look(fs::HERE, name) else {
            return;
        };
        let now = instant();
        self.roster.add_own_logger(name.to_bytes(), id, now, &mut self.todo);
        self.perform();
        let pipe = self.pipes.first().and_then(Option::as_ref);
        if let Some(write_end) = pipe.and_then(|pipe| pipe.write_end.as_ref()) {
            let _ = fd::replace(fd::stdout(), write_end.as_fd());
            let _ = fd::replace(fd::stderr(), write_end.as_fd());
            diag::say(&[b"svscan: info: starting"]);
        }
    }
}

/// A file in a service directory, as it follows the name, which could not be looked at.
struct Trouble(&'static str, Errno);

/// How messages tell a logger from its service.
const fn suffix(role: Role) -> &'static [u8] {
    match role {
        Role::Main => b"",
        Role::Log => b"/log",
    }
}
