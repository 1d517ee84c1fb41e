//! supervise: keeps the service of one directory as it is wanted.
//!
//! Start-up makes `supervise/` with its files and may fail; after that nothing is fatal. The loop
//! waits for a signal, a command or the machine's deadline, hands it to the machine of
//! `daemontools-core`, and performs what comes back.

mod files;

use crate::children::reap;
use crate::diag;
use crate::gate;
use crate::identity;
use crate::time::{instant, now};
use crate::upgrade;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::command::{Command, Decoder, Scope, Signal, Target};
use daemontools_core::decimal::Decimal;
use daemontools_core::handover::Handover;
use daemontools_core::status::Want;
use daemontools_core::supervise::{Effect, Event, Machine, State};
use daemontools_sys::pidfd::Handle;
use daemontools_sys::process::{self, Forked, Strings};
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, OwnedFd, Result, fd, fs, poll};
use files::{Beginning, Files, Handed, Locked};

/// After a status that could not be written, how long until the next try.
const RETRY_STATUS: Duration = Duration::from_secs(5);

/// Exit code: 0 after `x`, 100 for bad usage, 111 when the directory cannot be supervised.
pub(crate) fn main() -> i32 {
    let (Some(dir), None) = (process::arg(1), process::arg(2)) else {
        return diag::usage("supervise", "supervise dir");
    };
    let gate = gate::inherited();
    let handover = upgrade::handed_over();
    let handed = handover.as_ref().and_then(Handed::take);
    fd::fill_missing(fd::Missing::ClosedForChildren);
    match Supervisor::begin(dir, handover.as_ref(), handed) {
        Ok(mut supervisor) => {
            drop(gate);
            supervisor.run()
        }
        Err(code) => code,
    }
}

/// A `supervise` at work.
struct Supervisor {
    /// The argument, as it appears in messages.
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
}

impl Supervisor {
    /// Everything that has to work before the first start.
    fn begin(
        dir: &'static CStr,
        handover: Option<&Handover>,
        handed: Option<Handed>,
    ) -> core::result::Result<Self, i32> {
        const WANTED: [i32; 5] =
            [signal::TERM, signal::INT, signal::HUP, signal::USR1, signal::USR2];
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
        let Beginning { machine, adopted, recorded } =
            files.begin(!down, handover.is_some_and(|h| !h.foreign))?;
        let mut supervisor = Self {
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
        };
        if handover.is_some_and(|handover| handover.leaving) {
            supervisor.step(Event::Command(Command::Exit, Scope::Process));
        }
        // The status is there before ok, which tells others that it is.
        supervisor.publish();
        supervisor.files.open_ok()?;
        Ok(supervisor)
    }

    /// From the first start to the last end.
    fn run(&mut self) -> i32 {
        self.step(Event::Begin);
        // Our child before an upgrade may have ended in between.
        self.reap();
        while self.machine.state() != State::Gone {
            if self.unpublished {
                self.publish();
            }
            let signals = self.signals.fd();
            let adopted = self.adopted.as_ref().map_or(signals, Handle::fd);
            let events = [signals, self.files.control(), adopted];
            let [signalled, commanded, ended] = poll::readable(events, self.timeout());
            if signalled {
                self.take_signals();
            }
            if ended {
                self.take_end();
            }
            if self.machine.deadline().is_some() {
                self.step(Event::Tick);
            }
            if commanded {
                self.take_commands();
            }
        }
        self.publish();
        0
    }

    /// How long to wait for events: for ever, if nothing is due.
    fn timeout(&self) -> Option<Duration> {
        let now = instant();
        let due = self.machine.deadline().map(|deadline| deadline.after(now));
        let retry = self.unpublished.then_some(RETRY_STATUS);
        due.into_iter().chain(retry).min()
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
                self.step(Event::Ended(how));
            }
        }
    }

    /// Becomes the newly installed program, with the same service. What we know, it finds in the
    /// status and the identity record. Comes back if that fails.
    fn upgrade(&mut self) {
        if self.machine.state() == State::Gone {
            return;
        }
        self.publish();
        if let Some(pid) = self.machine.pid()
            && !self.is_on_record(pid)
        {
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
        let (names, kept): (Vec<_>, Vec<_>) = self.files.to_hand_over().chain([directory]).unzip();
        let numbered = names.iter().zip(&kept).map(|(name, fd)| (name.to_vec(), fd::number(*fd)));
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
        let written = || self.files.note(false, |record| record.write_process(pid));
        !trouble && (self.adopted.is_some() || written())
    }

    /// The end of a process that is not our child.
    fn take_end(&mut self) {
        if let Some(process) = self.adopted.take_if(|process| process.has_ended()) {
            self.step(Event::Ended(identity::end_of(&process)));
        }
    }

    fn take_commands(&mut self) {
        let mut bytes = [0; 512];
        // An error or a false alarm is an empty message; the next wait will tell.
        let n = fd::read(self.files.control(), &mut bytes).unwrap_or(0);
        for &byte in bytes.iter().take(n) {
            // Without encore's log script, commands for it are for nobody.
            if let Some((Target::Main, command, scope)) = self.decoder.feed(byte) {
                self.step(Event::Command(command, scope));
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
            if let (Event::Ended(how), Some(pid)) = (event, self.machine.pid()) {
                // For those who want to know; without it, nothing is wrong.
                self.files.note(true, |record| record.write_end(pid, how));
            }
            for effect in self.machine.step(event, now()) {
                match effect {
                    Effect::Spawn => {
                        // Whoever finds the process knows by what wish it was started.
                        if self.shown_want != self.machine.record().want {
                            self.publish();
                        }
                        match self.spawn() {
                            Ok(pid) => next = Some(Event::Spawned(pid)),
                            Err(error) => {
                                refusal = Some(error);
                                next = Some(Event::SpawnFailed);
                            }
                        }
                    }
                    // Whom it does not reach any more, it need not reach.
                    Effect::Signal(pid, signal, scope) => {
                        let _ = self.signal(pid, signal_number(signal), scope);
                    }
                    Effect::Publish => self.unpublished = true,
                    // The loop sees the state.
                    Effect::Exit => {}
                }
            }
        }
        if let Some(error) = refusal {
            let pause = Decimal::new(self.machine.fork_pause().as_secs());
            let what =
                [b"unable to fork for ", self.dir, b", sleeping ", pause.as_bytes(), b" seconds"];
            diag::warning("supervise", &what, error);
        }
    }

    fn signal(&self, pid: Pid, number: i32, scope: Scope) -> Result<()> {
        match (scope, &self.adopted) {
            // Our child, not yet reaped, so that the number is still its own. A process group that
            // does not exist gets nothing.
            (Scope::Process, None) => process::kill(pid, number),
            (Scope::Group, None) => process::kill_group(pid, number),
            (Scope::Process, Some(adopted)) => adopted.signal(number),
            // Others reap it: then the number may be that of another group.
            (Scope::Group, Some(adopted)) if adopted.has_ended() => Ok(()),
            (Scope::Group, Some(_)) => process::kill_group(pid, number),
        }
    }

    /// Starts `./run`.
    fn spawn(&self) -> Result<Pid> {
        match process::fork()? {
            Forked::Parent(pid) => Ok(pid),
            Forked::Child => {
                // It is known to others before it is the service. If there is trouble with the
                // record, we write it later. First of all, because a limit of file size sends a
                // signal.
                if !self.record_trouble {
                    self.files.note(false, |record| record.write_process(process::id()));
                }
                self.signals.give_back();
                let args = Strings::of([c"./run"]);
                let error = process::exec(c"./run", &args, &Strings::own_environment());
                let what = [b"unable to start ", self.dir, b"/run"];
                process::exit(diag::fatal("supervise", &what, error))
            }
        }
    }

    /// Writes the status, and the identity record if the process has not done it. What fails is
    /// said once, and tried again later.
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
        let written = self.files.write_status(&record, self.status_trouble);
        self.shown_want = record.want;
        self.status_trouble = !written;
        if !leaving {
            self.record(leaving);
        }
        self.unpublished = !written || self.recorded.is_none();
    }

    fn record(&mut self, leaving: bool) {
        if self.recorded == Some(leaving) {
            return;
        }
        let written = self.files.note(self.record_trouble, |record| match self.recorded {
            Some(_) => record.write_leaving(leaving),
            None => record.write(leaving, self.machine.pid()),
        });
        self.recorded = written.then_some(leaving);
        self.record_trouble = !written;
    }
}

const fn signal_number(signal: Signal) -> i32 {
    match signal {
        Signal::Hup => signal::HUP,
        Signal::Alrm => signal::ALRM,
        Signal::Int => signal::INT,
        Signal::Term => signal::TERM,
        Signal::Kill => signal::KILL,
        Signal::Quit => signal::QUIT,
        Signal::Usr1 => signal::USR1,
        Signal::Usr2 => signal::USR2,
        Signal::Winch => signal::WINCH,
        Signal::Stop => signal::STOP,
        Signal::Cont => signal::CONT,
    }
}
