//! supervise: keeps the service of one directory as it is wanted.
//!
//! Start-up makes `supervise/` with its files and may fail; after that nothing is fatal. The loop
//! waits for a signal, a command or the machine's deadline, hands it to the machine of
//! `daemontools-core`, and performs what comes back.

mod care;
mod cgroup;
mod child;
mod directory;
mod files;
mod log;
mod needs;
mod scripts;
mod tree;

use crate::children::reap;
use crate::diag::{self, TEMPORARY};
use crate::gate;
use crate::identity;
use crate::time::{instant, now};
use crate::upgrade;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::command::{Command, Decoder, Scope, Signal, Target};
use daemontools_core::decimal::Decimal;
use daemontools_core::detail::{Phase, Reason};
use daemontools_core::handover::Handover;
use daemontools_core::options::Reach;
use daemontools_core::sd_notify::{self, Line};
use daemontools_core::status::Want;
use daemontools_core::supervise::{Effect, Event, Machine, Policy, Script, State, Word};
use daemontools_core::time::Instant;
use daemontools_core::{Ended, Pid};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, Forked};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, Result, fd, fs, poll, random};

use care::{Care, Obstacle, Reaped};
use directory::{Asked, Wrong};
use files::{Beginning, Files, Handed, Locked, Remembered};
use log::Log;
use needs::Verdict;

/// After a status that could not be written, how long until the next try.
const RETRY_STATUS: Duration = Duration::from_secs(5);

/// So much of what is said on a notify socket is heard at once: others than the service can speak
/// there without a pause, and commands are to be obeyed all the same.
const HEARD_AT_ONCE: usize = 64;

/// How long a process may live on after a KILL; then we leave it alone.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// Exit code: 0 after `x`, 100 for bad usage, 111 when the directory cannot be supervised.
pub(crate) fn main() -> i32 {
    let (Some(dir), None) = (process::arg(1), process::arg(2)) else {
        return diag::usage("supervise", "supervise dir");
    };
    let gate = gate::inherited();
    let handover = upgrade::handed_over();
    let handed = handover.as_ref().and_then(Handed::take);
    fd::fill_missing(fd::Missing::ClosedForChildren);
    // Left where it is: the stack of a supervise is to stay small.
    match &mut Supervisor::begin(dir, handover.as_ref(), handed) {
        Ok((supervisor, remembered, normally_up)) => {
            let remembered = core::mem::take(remembered);
            if let Err(code) = supervisor.appear(remembered, *normally_up, handover.as_ref()) {
                return code;
            }
            drop(gate);
            supervisor.run()
        }
        Err(code) => *code,
    }
}

/// A `supervise` at work.
struct Supervisor {
    /// The argument.
    name: &'static CStr,
    /// The same, as it appears in messages.
    dir: &'static [u8],
    signals: Signals,
    files: Files,
    machine: Machine,
    /// Where we were started.
    home: Option<OwnedFd>,
    /// The process, if it was started by another supervise and is not our child.
    adopted: Option<Handle>,
    /// What the last commands chose, while there may be more of the same message.
    decoder: Decoder,
    /// Something that others read is newer than its file.
    unpublished: bool,
    /// What the status says is wanted.
    shown_want: Want,
    /// The status could not be written the last time, which was said then.
    status_trouble: bool,
    /// Whether we are leaving, as the identity record says, if that is right otherwise.
    recorded: Option<bool>,
    /// The identity record could not be written the last time, which was said then.
    record_trouble: bool,
    /// For a service whose directory asks for more than the original gives.
    care: Option<Box<Care>>,
    /// For a service with a logger in its own directory.
    log: Option<Box<Log>>,
    /// Why the service is not started, which was said.
    complaint: Vec<u8>,
    /// We were told to leave without regard to what the service has to do, and do so now at the
    /// latest.
    last_moment: Option<Instant>,
    /// Where the service was when that was last told to its `notify`.
    told: Phase,
}

impl Supervisor {
    /// What has to work before others see us. What is on the stack meanwhile is gone when the service
    /// is started, so that both need only the same few pages.
    #[inline(never)]
    fn begin(
        dir: &'static CStr,
        handover: Option<&Handover>,
        handed: Option<Handed>,
    ) -> core::result::Result<(Self, Remembered, bool), i32> {
        const WANTED: [i32; 6] =
            [signal::TERM, signal::INT, signal::HUP, signal::QUIT, signal::USR1, signal::USR2];
        let shown = dir.to_bytes();
        let fatal = |what: &[&[u8]], error| diag::fatal("supervise", what, error);
        let signals = Signals::take_over_again(&WANTED, handover.map(|handover| handover.mask))
            .map_err(|e| fatal(&[b"unable to create pipe for ", shown], e))?;
        let home = fs::reach_dir(fs::HERE, c".").ok();
        // Its name may have gone since.
        let there = handover.and_then(|handover| handover.descriptor(b"directory"));
        let entered = match there.and_then(fd::take_inherited) {
            Some(there) => fs::fchdir(there.as_fd()),
            None => fs::chdir(dir),
        };
        entered.map_err(|e| fatal(&[b"unable to chdir to ", shown], e))?;
        let locked = Locked::take(shown, handed)?;
        let down = fs::exists(fs::HERE, c"down")
            .map_err(|e| fatal(&[b"unable to stat ", shown, b"/down"], e))?;
        let mut files = locked.open_files()?;
        let Beginning { machine, adopted, recorded, remembered } =
            files.begin(!down, handover.is_some_and(|h| !h.foreign))?;
        let supervisor = Self {
            name: dir,
            dir: shown,
            signals,
            files,
            shown_want: machine.record().want,
            machine,
            home,
            adopted,
            decoder: Decoder::default(),
            unpublished: true,
            status_trouble: false,
            recorded,
            record_trouble: false,
            care: None,
            log: None,
            complaint: Vec::new(),
            last_moment: None,
            told: Phase::Down,
        };
        Ok((supervisor, remembered, !down))
    }

    /// The rest of it: what the last supervise has `remembered` of the service.
    #[inline(never)]
    fn appear(
        &mut self,
        remembered: Remembered,
        normally_up: bool,
        handover: Option<&Handover>,
    ) -> core::result::Result<(), i32> {
        self.look_at_directory(remembered, handover);
        self.make_log(normally_up, handover)?;
        if handover.is_some_and(|handover| handover.leaving) {
            self.step(Event::Command(Command::Exit, Scope::Process));
        }
        // The status is there before ok, which tells others that it is.
        self.publish();
        self.files.open_ok()?;
        // Those who need a service that runs already believe it only now.
        self.unpublished |= self.machine.pid().is_some();
        Ok(())
    }

    /// From the first start to the last end.
    #[inline(never)]
    fn run(&mut self) -> i32 {
        // Its reader first.
        self.step_log(Event::Begin);
        self.step(Event::Begin);
        // Our child before an upgrade may have ended in between.
        self.reap();
        while !self.is_over() {
            if self.last_moment.is_some() && self.leave_in_haste() {
                return TEMPORARY;
            }
            if self.unpublished {
                self.publish();
            }
            let care = self.care.as_deref();
            // What a service said before it ended is there when its end is.
            let events = [
                Some(self.signals.fd()),
                Some(self.files.control()),
                self.adopted.as_ref().map(Handle::fd),
                care.and_then(Care::notification),
                care.and_then(Care::socket),
                care.and_then(|care| care.outside(self.machine.state())),
                self.log.as_ref().and_then(|log| log.end()),
            ];
            let [signalled, commanded, ended, notified, spoken, changed, log_ended] =
                poll::readable_if(events, self.timeout());
            if notified || spoken {
                self.hear();
            }
            if signalled {
                self.take_signals();
            }
            if ended {
                self.take_end();
            }
            if log_ended {
                self.take_end_of_log();
            }
            // Not before what concerns us ourselves: at the end of all, there is no need any more.
            if changed {
                self.look_outside();
            }
            if self.machine.deadline().is_some() {
                self.step(Event::Tick);
            }
            if self.log.as_ref().is_some_and(|log| log.machine.deadline().is_some()) {
                self.step_log(Event::Tick);
            }
            if commanded {
                self.take_commands();
            }
        }
        self.publish();
        if let Some(care) = &mut self.care {
            care.leave_cgroup();
        }
        0
    }

    /// Whether all that we are there for is over.
    fn is_over(&mut self) -> bool {
        self.machine.state() == State::Gone && self.end_log()
    }

    /// How long to wait for events: for ever, if nothing is due.
    fn timeout(&self) -> Option<Duration> {
        let now = instant();
        let log = self.log.as_ref().and_then(|log| log.deadline());
        let due = self.machine.deadline().into_iter().chain(log);
        let due = due.map(|deadline| deadline.after(now));
        let retry = self.unpublished.then_some(RETRY_STATUS);
        let last = self.last_moment.map(|moment| moment.after(now));
        due.chain(retry).chain(last).min()
    }

    fn take_signals(&mut self) {
        let mut asked = [None; 2];
        let mut upgrade = false;
        for signal in self.signals.pending() {
            match signal {
                signal::TERM | signal::INT => asked = [Some(Command::Down), Some(Command::Exit)],
                // USR1 is what svscan tells a logger's supervise whose end of file is near. HUP
                // comes from a terminal that is closed, and the service gets it as well.
                signal::HUP | signal::USR1 => asked = [asked[0], Some(Command::Exit)],
                // What svscan says at last to those who do not come to an end.
                signal::QUIT => {
                    asked = [Some(Command::Down), Some(Command::Exit)];
                    self.last_moment.get_or_insert_with(|| instant() + LAST_PATIENCE);
                }
                signal::USR2 => upgrade = true,
                _ => {}
            }
        }
        // Wishes before deaths: a service that ended with us is not to be started once more.
        for command in asked.into_iter().flatten() {
            self.step(Event::Command(command, Scope::Process));
        }
        self.reap();
        if upgrade {
            self.upgrade();
        }
    }

    fn reap(&mut self) {
        while let Some((pid, how)) = reap() {
            // Others than ours can be children of whoever became us by exec.
            if self.machine.pid() == Some(pid) {
                // It may have become our child since it was taken hold of.
                self.adopted = None;
                self.take_death(how);
            } else if self.log.as_ref().is_some_and(|log| log.machine.pid() == Some(pid)) {
                self.step_log(Event::Ended(how));
            } else if let Some(event) = self.care.as_mut().and_then(|care| care.reaped(pid, how)) {
                match event {
                    Reaped::Checked(well) => self.step(Event::Checked(well)),
                    // The process it was for may have ended meanwhile.
                    Reaped::Declined(pid, signal, scope) if self.machine.pid() == Some(pid) => {
                        let _ = self.signal(pid, signal_number(signal), scope);
                    }
                    Reaped::Declined(..) => {}
                }
            }
        }
        if self.machine.state() == State::Sweeping
            && self.care.as_ref().is_none_or(|care| care.has_nothing_left())
        {
            self.step(Event::Swept);
        }
    }

    /// The service's process has ended. One that puts itself into the background goes on in another.
    fn take_death(&mut self, how: Ended) {
        if let (State::Up { pid, .. }, Some(care)) = (self.machine.state(), &self.care)
            // One that we have ended may just have been about to.
            && (how == Ended::Exited(0) || self.machine.is_ending())
            && let Some(successor) = care.successor(pid)
            && self.move_to(successor)
        {
            return;
        }
        self.step(Event::Ended(how));
    }

    /// The service is this process from now on, if it is there to be watched and one of its own.
    fn move_to(&mut self, pid: Pid) -> bool {
        let adopted = if process::is_child(pid) {
            None
        } else {
            // Whoever it is a child of, we see its end.
            let Ok(Some(handle)) = Handle::open(pid) else {
                return false;
            };
            Some(handle)
        };
        // Looked at after we have hold of it: if the number is the service's now, it was then.
        let main = self.machine.pid();
        if !self.care.as_ref().is_some_and(|care| care.owns(pid, main)) {
            return false;
        }
        self.adopted = adopted;
        self.files.note(true, |record| record.write_process(pid, Script::Run));
        self.step(Event::Moved(pid));
        true
    }

    /// Kills what is there, of the service and its other scripts. Tells whether we leave without
    /// having seen its end, as if we had been killed: then the record names it, for the next one.
    #[inline(never)]
    fn leave_in_haste(&mut self) -> bool {
        match (self.machine.state(), self.machine.pid()) {
            (State::Sweeping, _) if self.sweep(Signal::Kill) => self.step(Event::Swept),
            (_, Some(pid)) => {
                let scope = match self.machine.policy().stop.reach {
                    Reach::Process => Scope::Process,
                    Reach::Group => Scope::Group,
                    Reach::Tree => Scope::Tree,
                };
                let _ = self.signal(pid, signal::KILL, scope);
            }
            _ => {}
        }
        let over = self.last_moment.is_some_and(|moment| moment <= instant());
        if over && let Some(pid) = self.machine.pid() {
            let digits = Decimal::new(pid.get().cast_unsigned().into());
            let what = [b"process ", digits.as_bytes(), b" of ", self.dir, b" refuses to die"];
            diag::say(&[b"supervise: warning: leaving, although ", &what.concat()]);
        }
        if over {
            self.kill_log();
        }
        over
    }

    /// What the service says of itself.
    #[inline(never)]
    fn hear(&mut self) {
        let main = self.machine.pid();
        let Some(care) = &mut self.care else {
            return;
        };
        if care.read_notification() {
            self.step(Event::Said(Word::Ready));
        }
        let roots: Vec<Pid> = main.into_iter().chain([process::id()]).collect();
        for _ in 0..HEARD_AT_ONCE {
            let care = self.care.as_mut();
            let Some(said) = care.and_then(|care| care.read_datagram(self.name, &roots)) else {
                return;
            };
            for line in sd_notify::lines(&said) {
                match line {
                    Line::Word(word) => self.step(Event::Said(word)),
                    Line::Main(pid) if self.machine.pid() == Some(pid) => {}
                    Line::Main(pid) => {
                        // Another script is not the service, whatever it says.
                        if matches!(self.machine.state(), State::Up { .. }) {
                            let _ = self.move_to(pid);
                        }
                    }
                    Line::Status(text) => {
                        if let Some(care) = &mut self.care {
                            care.message = text.to_vec();
                        }
                        self.unpublished = true;
                    }
                }
            }
        }
    }

    /// Something may have come that the service waits for, or gone that it needs.
    #[inline(never)]
    fn look_outside(&mut self) {
        let state = self.machine.state();
        let Some(care) = &mut self.care else {
            return;
        };
        if care.first_connection.as_ref().is_some_and(poll::Any::is_ready) {
            return self.step(Event::Available);
        }
        match (care.judge_needs(), state) {
            (Some(Verdict::Met), State::Blocked) if care.first_connection.is_none() => {
                self.step(Event::Available);
            }
            (Some(Verdict::Lacking(name)), State::Blocked) => {
                self.unpublished |= care.lacking.as_ref() != Some(&name);
                care.lacking = Some(name);
            }
            (Some(Verdict::Bereft(name)), State::Up { .. }) if !self.machine.is_ending() => {
                diag::say(&[
                    b"supervise: warning: restarting ",
                    self.dir,
                    b": it needs ",
                    &name,
                    b", which has gone",
                ]);
                self.step(Event::Bereft);
            }
            _ => {}
        }
    }

    /// What the service directory asks for, when we begin. A process that runs already is watched
    /// all the same if there is a mistake in it.
    #[inline(never)]
    fn look_at_directory(&mut self, remembered: Remembered, handover: Option<&Handover>) {
        match directory::look() {
            Ok(None) => self.files.remove_state(),
            Ok(Some(asked)) => {
                self.machine.configure(asked.policy, 0);
                let mut care = Box::new(Care::new(asked));
                let Remembered { socket, message } = remembered;
                care.message = message;
                if let Some(handover) = handover {
                    care.take_handed(handover, &socket);
                }
                let state = self.files.state();
                if let Some(pid) = self.machine.pid() {
                    let home = self.home.as_ref().map(OwnedFd::as_fd);
                    let running = (pid, self.machine.script());
                    care.resume(self.name, home, state, self.adopted.as_ref(), running, &socket);
                } else {
                    care.end_leftovers(self.name, state);
                }
                self.care = Some(care);
            }
            Err(wrong) => self.complain_of(&wrong),
        }
    }

    /// Says what is wrong with the directory.
    fn complain_of(&mut self, wrong: &Wrong) {
        self.complain([b"supervise: warning: ", self.dir, b"/", &wrong.message()].concat());
        // To be seen in the state as well.
        self.care.get_or_insert_with(|| Box::new(Care::new(Asked::nothing())));
    }

    /// Says why the service is not started, once.
    fn complain(&mut self, words: Vec<u8>) {
        if self.complaint != words {
            diag::say(&[&words]);
            self.complaint = words;
        }
    }

    /// Looks what the service directory asks for before a start, and opens what is needed for it.
    #[inline(never)]
    fn prepare(&mut self) -> Event {
        match directory::look() {
            Ok(None) => {
                self.complaint.clear();
                // What it had is gone with the options.
                if let Some(mut care) = self.care.take() {
                    care.leave_cgroup();
                    self.files.remove_state();
                }
                self.machine.configure(Policy::ORIGINAL, 0);
                Event::Prepared
            }
            Err(wrong) => {
                self.complain_of(&wrong);
                Event::Refused(Reason::Options)
            }
            Ok(Some(asked)) => self.prepare_for(asked),
        }
    }

    /// The same for a service that asks for something.
    #[inline(never)]
    fn prepare_for(&mut self, asked: Box<Asked>) -> Event {
        let chance = if asked.policy.restart.is_some() { random::random_u32() } else { 0 };
        let policy = asked.policy;
        let log = self.log.as_ref().and_then(|log| log.machine.pid());
        let care = match &mut self.care {
            Some(care) => {
                care.renew(asked);
                care
            }
            place => place.insert(Box::new(Care::new(asked))),
        };
        care.log = log;
        let home = self.home.as_ref().map(OwnedFd::as_fd);
        match care.prepare(self.name, home, self.files.state()) {
            Err(Obstacle::Refusal(Reason::Cycle, words)) => {
                // Not tried again by itself, so that it is worth a word each time.
                diag::say(&[&words]);
                return Event::Refused(Reason::Cycle);
            }
            Err(Obstacle::Refusal(reason, words)) => {
                self.complain(words);
                return Event::Refused(reason);
            }
            Err(Obstacle::Lacking) => {
                self.complaint.clear();
                return Event::Lacking;
            }
            Ok(()) => self.complaint.clear(),
        }
        // It may have come with the personality, after we began.
        if self.log.is_none() {
            if self.make_log(true, None).is_err() {
                return Event::Refused(Reason::Options);
            }
            self.step_log(Event::Begin);
        }
        self.machine.configure(policy, chance);
        Event::Prepared
    }

    /// Becomes the newly installed program, with the same service. What we know, it finds in the
    /// status and the identity record. Comes back if that fails.
    #[inline(never)]
    fn upgrade(&mut self) {
        if self.machine.state() == State::Gone {
            return;
        }
        self.publish();
        let unknown = self.machine.pid().filter(|pid| !self.is_on_record(*pid));
        let log = self.log.as_ref().filter(|log| !log.is_on_record(&self.files));
        if let Some(pid) = unknown.or_else(|| log?.machine.pid()) {
            let digits = Decimal::new(pid.get().cast_unsigned().into());
            return diag::say(&[
                b"supervise: warning: unable to write down process ",
                digits.as_bytes(),
                b" of ",
                self.dir,
                b", going on without upgrade",
            ]);
        }
        let Ok(here) = fs::reach_dir(fs::HERE, c".") else {
            return;
        };
        let directory = (&b"directory"[..], here.as_fd());
        let own = self.files.to_hand_over().chain([directory]);
        let own = own.map(|(name, fd)| (name.to_vec(), fd));
        let cared = self.care.as_ref().map(|care| care.to_hand_over()).unwrap_or_default();
        let logs = self.log.as_ref().map(|log| log.to_hand_over()).unwrap_or_default();
        let (names, kept): (Vec<_>, Vec<_>) = own.chain(cared).chain(logs).unzip();
        let numbered = names.into_iter().zip(&kept).map(|(name, fd)| (name, fd::number(*fd)));
        let handover = Handover {
            mask: self.signals.inherited_mask(),
            leaving: self.machine.is_leaving(),
            descriptors: numbered.collect(),
            ..Handover::default()
        };
        // Our arguments are seen from there.
        if self.home.as_ref().is_some_and(|home| fs::fchdir(home.as_fd()).is_ok()) {
            upgrade::run("supervise", &handover, &kept);
        }
        let _ = fs::fchdir(here.as_fd());
    }

    /// Whether the next supervise will know of a process. A new one may not have written itself down
    /// yet.
    fn is_on_record(&self, pid: Pid) -> bool {
        let trouble = self.record_trouble || self.recorded.is_none() || !self.files.keeps_record();
        let script = self.machine.script();
        let written = || self.files.note(false, |record| record.write_process(pid, script));
        !trouble && (self.adopted.is_some() || written())
    }

    /// The end of a process that is not our child.
    fn take_end(&mut self) {
        if let Some(process) = self.adopted.take_if(|process| process.has_ended()) {
            let how = match (identity::end_of(&process), self.machine.pid()) {
                (Ended::Unknown, Some(pid)) => self.files.told_end(pid),
                (how, _) => how,
            };
            self.take_death(how);
        }
    }

    #[inline(never)]
    fn take_commands(&mut self) {
        let mut bytes = [0; 512];
        // An error or a false alarm is an empty message; the next wait will tell.
        let n = fd::read(self.files.control(), &mut bytes).unwrap_or(0);
        for &byte in bytes.iter().take(n) {
            match self.decoder.feed(byte) {
                // We leave whole, whoever was addressed.
                Some((Target::Main, command, scope) | (_, command @ Command::Exit, scope)) => {
                    self.tell_control(command);
                    self.step(Event::Command(command, scope));
                }
                // Without encore's log script, commands for it are for nobody.
                Some((Target::Log, command, scope)) => {
                    self.step_log(Event::Command(command, scope));
                }
                None => {}
            }
        }
        // What came in one piece is over; a full buffer may hold half a message.
        if n < bytes.len() {
            self.decoder = Decoder::default();
        }
    }

    /// Lets the machine take an event, and performs what it says, until there is nothing left.
    fn step(&mut self, event: Event) {
        let mut next = Some(event);
        let mut refusal = None;
        while let Some(event) = next.take() {
            let before = (self.machine.pid(), self.machine.script());
            if let (Event::Ended(how), (Some(pid), _)) = (event, before) {
                // For those who want to know; without it, nothing is wrong.
                self.files.note(true, |record| record.write_end(pid, how));
                let most = self.care.as_ref().and_then(|care| care.asked.tally);
                if let (Some(most), Script::Run) = (most, before.1) {
                    self.files.write_death(now().label, how, most);
                }
            }
            for effect in self.machine.step(event, now()) {
                match effect {
                    Effect::Prepare => next = Some(self.prepare()),
                    Effect::Spawn(script) => {
                        // Whoever finds the process knows by what wish it was started.
                        if self.shown_want != self.machine.record().want {
                            self.publish();
                        }
                        match self.spawn(script) {
                            Ok(pid) => next = Some(Event::Spawned(pid)),
                            Err(error) => {
                                refusal = Some(error);
                                next = Some(Event::SpawnFailed);
                            }
                        }
                    }
                    Effect::Signal(pid, signal, scope) => {
                        // What goes with the end of the service is not asked for.
                        let asked = match event {
                            Event::Command(Command::Down, _) => signal != Signal::Cont,
                            event => matches!(event, Event::Command(..)),
                        };
                        if !(asked && self.ask_control(pid, signal, scope)) {
                            let sent = self.signal(pid, signal_number(signal), scope);
                            // Whom it does not reach any more, it need not reach.
                            if asked
                                && let Err(error) = sent
                                && error != Errno::SRCH
                            {
                                diag::warning(
                                    "supervise",
                                    &[b"unable to signal ", self.dir],
                                    error,
                                );
                            }
                        }
                    }
                    Effect::Check => {
                        if let Err(error) = self.check() {
                            diag::warning("supervise", &[b"unable to fork for ", self.dir], error);
                            next = Some(Event::Checked(false));
                        }
                    }
                    Effect::StopCheck => {
                        if let Some(care) = &mut self.care {
                            care.stop_check();
                        }
                    }
                    Effect::Sweep(signal) => {
                        if self.sweep(signal) {
                            next = Some(Event::Swept);
                        }
                    }
                    Effect::Publish => self.unpublished = true,
                    // The loop sees the state.
                    Effect::Exit => {}
                }
            }
            self.tell(event, before);
        }
        if let Some(error) = refusal {
            self.say_fork_failed(self.machine.fork_pause(), error);
        }
    }

    fn say_fork_failed(&self, pause: Duration, error: Errno) {
        let pause = Decimal::new(pause.as_secs());
        let what =
            [b"unable to fork for ", self.dir, b", sleeping ", pause.as_bytes(), b" seconds"];
        diag::warning("supervise", &what, error);
    }

    fn signal(&self, pid: Pid, number: i32, scope: Scope) -> Result<()> {
        let scope = match (scope, &self.care) {
            (Scope::Tree, Some(care)) => {
                care.signal_below(pid, number);
                Scope::Process
            }
            (Scope::Tree, None) => Scope::Process,
            (scope, _) => scope,
        };
        match signal_to(self.adopted.as_ref(), pid, number, scope) {
            // It was started before its directory asked for a group of its own.
            Err(Errno::SRCH)
                if scope == Scope::Group && self.machine.policy().stop.reach == Reach::Group =>
            {
                signal_to(self.adopted.as_ref(), pid, number, Scope::Process)
            }
            other => other,
        }
    }

    /// Starts a script.
    #[inline(never)]
    fn spawn(&mut self, script: Script) -> Result<Pid> {
        let descriptor = self.care.as_ref().and_then(|care| care.asked.options.ready.descriptor);
        let (reading, writing) = match descriptor.filter(|_| script == Script::Run) {
            Some(_) => fd::pipe().map(|(reading, writing)| (Some(reading), Some(writing)))?,
            None => (None, None),
        };
        match process::fork()? {
            Forked::Parent(pid) => {
                self.adopted = None;
                if let (Some(care), Script::Run) = (&mut self.care, script) {
                    care.notification = reading;
                }
                Ok(pid)
            }
            Forked::Child => {
                // It is known to others before it is the service. If there is trouble with the
                // record, we write it later. First of all, because a limit of file size sends a
                // signal.
                if !self.record_trouble {
                    self.files.note(false, |record| record.write_process(process::id(), script));
                }
                self.signals.give_back();
                if let Some(pipe) = self.log.as_ref().and_then(|log| log.writer())
                    && let Err(error) = fd::place(pipe, 1)
                {
                    let what = [b"unable to set up descriptors for ", self.dir];
                    process::exit(diag::fatal("supervise", &what, error));
                }
                let Some(care) = &self.care else {
                    process::exit(child::become_plain(self.name, script));
                };
                let how = self.machine.last_end();
                let locks = self.files.locks();
                process::exit(child::become_script(self.name, script, care, how, &locks, writing))
            }
        }
    }

    /// Writes the status, and the identity record if the process has not done it. What fails is
    /// said once, and tried again later.
    #[inline(never)]
    fn publish(&mut self) {
        let leaving = self.machine.is_leaving();
        // What is wanted at the end of a supervise is not for the next one, which has to know that
        // before it can read it; otherwise the record says that the status is to be believed.
        if self.machine.state() == State::Gone {
            self.files.remove_record();
        } else if leaving {
            self.record(leaving);
        }
        let record = self.machine.record();
        // Before the status, whose change is what others wait for.
        if let Some(care) = &self.care {
            self.files.write_state(&self.detail(care));
        }
        let log = self.log.as_ref().map(|log| log.machine.record());
        let written = self.files.write_status(&record, log.as_ref(), self.status_trouble);
        self.shown_want = record.want;
        self.status_trouble = !written;
        if !leaving {
            self.record(leaving);
        }
        let over = self.machine.state() == State::Gone;
        let mut unrecorded = self.recorded.is_none() && !over;
        if let Some(log) = &mut self.log {
            let gone = over && log.machine.state() == State::Gone;
            log.publish(&self.files, leaving, gone);
            unrecorded |= log.is_unrecorded() && !gone;
        }
        self.unpublished = !written || unrecorded;
    }

    fn record(&mut self, leaving: bool) {
        if self.recorded == Some(leaving) {
            return;
        }
        let written = self.files.note(self.record_trouble, |record| match self.recorded {
            Some(_) => record.write_leaving(leaving),
            None => record.write(leaving, self.machine.pid(), self.machine.script()),
        });
        self.recorded = written.then_some(leaving);
        self.record_trouble = !written;
    }
}

/// Sends a signal to a process that we have started, unless it is `adopted`.
fn signal_to(adopted: Option<&Handle>, pid: Pid, number: i32, scope: Scope) -> Result<()> {
    match (scope, adopted) {
        // Our child, not yet reaped, so that the number is still its own. A process group that does
        // not exist gets nothing.
        (Scope::Process | Scope::Tree, None) => process::kill(pid, number),
        (Scope::Group, None) => process::kill_group(pid, number),
        (Scope::Process | Scope::Tree, Some(adopted)) => adopted.signal(number),
        // Others reap it: then the number may be that of another group.
        (Scope::Group, Some(adopted)) if adopted.has_ended() => Ok(()),
        (Scope::Group, Some(_)) => process::kill_group(pid, number),
    }
}

const fn signal_number(signal: Signal) -> i32 {
    signal.number() as i32
}
