//! The system calls of supervise around its real machine.
//!
//! Keep this in step with `crates/tools/src/supervise/` and with `process_record.rs` and
//! `lock_holder.rs` in `crates/tools/src/survive/`. The functions here have the names of the
//! functions there and make the same system calls in the same order. Error paths and messages are
//! left out. `Supervisor` here has the methods of `Supervisor` and of `Performer` there.

use crate::kernel::{
    Kernel, Kind, MS, Open, Part, Program, Protection, Wait, number, pid, signal, trace,
};
use crate::sys::Sys;
use core::ops::Range;
use core::time::Duration;
use daemontools_core::state_dir::control::{Command, Decoder, Letters, Scope, Signal, Target};
use daemontools_core::state_dir::process_record::{
    END, LEAVING, LEN, PROCESS, ProcessIdentity, Record, RecordFile,
};
use daemontools_core::state_dir::status::{StatusRecord, Want};
use daemontools_core::supervise::{Effect, Event, Machine, SavedState, Script, State, resume};
use daemontools_core::{Ended, Pid};

const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_PAUSE: u64 = 10 * MS;
const TEMPORARY: u8 = 111;

pub(crate) async fn main(sys: Sys, dir: usize, upgraded: Option<bool>) -> u8 {
    match Supervisor::begin(sys, dir, upgraded).await {
        Some(mut supervisor) => supervisor.run().await,
        None => TEMPORARY,
    }
}

struct Supervisor {
    sys: Sys,
    dir: usize,
    machine: Machine,
    adopted: Option<Open>,
    decoder: Decoder,
    unpublished: bool,
    shown_want: Want,
    recorded: Option<bool>,
}

impl Supervisor {
    async fn begin(sys: Sys, dir: usize, handed: Option<bool>) -> Option<Self> {
        let upgraded = handed.is_some();
        sys.call("take over signals", |k, own| k.block(own)).await;
        if !upgraded {
            sys.idle("chdir").await;
            take_state_dir(&sys, dir).await?;
        }
        let down = sys.call("stat down", |k, _| k.dirs[dir].down).await;
        if !upgraded {
            open_files(&sys, dir).await;
        }
        let (machine, adopted, recorded) = resume_service(&sys, dir, !down, upgraded).await;
        let mut supervisor = Self {
            sys: sys.clone(),
            dir,
            shown_want: machine.record().want,
            machine,
            adopted,
            decoder: Decoder::default(),
            unpublished: true,
            recorded,
        };
        if handed == Some(true) {
            supervisor.step(Event::Command(Command::Exit, Scope::Process)).await;
        }
        supervisor.publish().await;
        if !upgraded {
            sys.call("open ok", |k, own| k.open(own, Kind::Ok(dir))).await;
            sys.call("close the gate", |k, own| k.close_kind(own, Kind::ScanLock)).await;
        }
        Some(supervisor)
    }

    async fn run(&mut self) -> u8 {
        self.step(Event::Begin).await;
        let is_up = matches!(self.machine.state(), State::Up { .. });
        if is_up && self.machine.record().want == Want::Down {
            self.sys.idle("look for a service that needs this one").await;
        }
        self.reap().await;
        while self.machine.state() != State::Gone {
            if self.unpublished {
                self.publish().await;
            }
            let wait = Wait {
                signals: true,
                control: Some(self.dir),
                ends: self.adopted.map_or(0, |process| 1 << process),
                until: self.machine.deadline().map(|due| due.0),
                ..Wait::default()
            };
            {
                let mut kernel = self.sys.kernel.borrow_mut();
                kernel.ledgers[self.dir].settle(self.shown_want);
            }
            let woken = self.sys.wait(wait).await;
            if woken.signals {
                self.take_signals().await;
            }
            if woken.ends != 0 {
                self.adopted_ended().await;
            }
            if self.machine.deadline().is_some() {
                self.step(Event::Tick).await;
            }
            if woken.control {
                self.take_commands().await;
            }
        }
        self.publish().await;
        0
    }

    async fn take_signals(&mut self) {
        let dir = self.dir;
        let pending = self
            .sys
            .call("take signals", |k, own| {
                let pending = k.take_signals(own);
                if pending & signal::TERM != 0 {
                    k.ledgers[dir].note(Command::Down);
                }
                if pending & (signal::TERM | signal::USR1) != 0 {
                    k.ledgers[dir].note(Command::Exit);
                }
                pending
            })
            .await;
        let mut asked = [None; 2];
        if pending & signal::TERM != 0 {
            asked = [Some(Command::Down), Some(Command::Exit)];
        }
        if pending & signal::USR1 != 0 {
            asked = [asked[0], Some(Command::Exit)];
        }
        for command in asked.into_iter().flatten() {
            self.obey(command, Scope::Process).await;
        }
        self.reap().await;
        if pending & signal::UPGRADE != 0 {
            self.upgrade().await;
        }
    }

    async fn reap(&mut self) {
        while let Some((pid, how)) = self.sys.call("reap", |k, own| k.reap(own)).await {
            if self.machine.pid() == Some(pid) {
                self.step(Event::Ended(how)).await;
            }
        }
    }

    /// Another image of the same process. It knows of a child only by the record, which a new one
    /// may not have written yet.
    async fn upgrade(&mut self) {
        if self.machine.state() == State::Gone {
            return;
        }
        self.publish().await;
        let records = self.sys.kernel.borrow().has(Protection::RecordBeforeUpgrade);
        if let Some(pid) = self.machine.pid().filter(|_| self.adopted.is_none() && records) {
            write_process(&self.sys, self.dir, number(pid)).await;
        }
        self.sys.call("upgrade", |k, _| k.stats.upgrades += 1).await;
        let leaving = self.machine.is_leaving();
        let next = Program::Supervise { dir: self.dir, upgraded: Some(leaving) };
        self.sys.exec(next, true).await;
    }

    async fn adopted_ended(&mut self) {
        let Some(process) = self.adopted else {
            return;
        };
        if self.sys.call("poll", |k, _| k.has_ended(process)).await {
            self.adopted = None;
            let how = end_of(&self.sys, process).await;
            self.sys.call("close", |k, own| k.close(own, process)).await;
            self.step(Event::Ended(how)).await;
        }
    }

    async fn take_commands(&mut self) {
        let dir = self.dir;
        let bytes = self.sys.call("read commands", |k, _| k.read_control(dir)).await;
        for byte in bytes {
            if let Some((Target::Main, command, scope)) = self.decoder.feed(byte, Letters::Common) {
                self.obey(command, scope).await;
            }
        }
        self.decoder = Decoder::default();
    }

    async fn obey(&mut self, command: Command, scope: Scope) {
        let is_up = matches!(self.machine.state(), State::Up { .. });
        if command == Command::Down && is_up && !self.machine.is_ending() {
            self.sys.idle("look for a service that needs this one").await;
        }
        self.step(Event::Command(command, scope)).await;
    }

    async fn step(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            if let (Event::Ended(how), Some(pid)) = (event, self.machine.pid()) {
                write_end(&self.sys, self.dir, pid, how).await;
            }
            let now = self.sys.now();
            for effect in self.machine.step(event, now) {
                match effect {
                    Effect::Prepare => next = Some(Event::Prepared),
                    Effect::Spawn(_) => {
                        if self.shown_want != self.machine.record().want {
                            self.publish().await;
                        }
                        next = Some(self.spawn().await.map_or(Event::SpawnFailed, Event::Spawned));
                    }
                    Effect::Signal { pid, signal, .. } => self.signal(pid, signal).await,
                    Effect::Publish => self.unpublished = true,
                    Effect::Exit => {}
                    // Only a message.
                    Effect::Report(_) => {}
                    Effect::StartCheck | Effect::StopCheck | Effect::Sweep(_) => {
                        unreachable!("the original asks for nothing")
                    }
                }
            }
        }
    }

    async fn signal(&self, pid: Pid, signal: Signal) {
        let (dir, adopted) = (self.dir, self.adopted);
        let send = |k: &mut crate::kernel::Kernel, own: usize| {
            let target = match adopted {
                Some(adopted) => k.held(adopted),
                None => Some(number(pid)),
            };
            k.ledgers[dir].note_signal(signal);
            let Some(target) = target else {
                return;
            };
            let service = Program::Service { dir };
            let known = [service, Program::NewService { dir }];
            let program = k.processes[target].program;
            assert!(known.contains(&program), "{own} signals a foreign process: {program:?}");
            trace!(k, "{own} sends {signal:?} to {target}");
            match signal {
                Signal::Kill => k.end(target, Ended::Killed(9)),
                Signal::Term => k.send(target, signal::TERM),
                Signal::Stop => k.stop(target),
                Signal::Cont => k.cont(target),
                _ => {}
            }
        };
        self.sys.call("kill", send).await;
    }

    async fn spawn(&self) -> Option<Pid> {
        let child = Program::NewService { dir: self.dir };
        self.sys.call("fork", |k, own| k.fork(own, child)).await.map(pid)
    }

    async fn publish(&mut self) {
        let dir = self.dir;
        let leaving = self.machine.is_leaving();
        if self.machine.state() == State::Gone {
            self.sys.call("unlink process", |k, _| k.dirs[dir].record = None).await;
        } else if leaving {
            self.update_record(leaving).await;
        }
        let record = self.machine.record();
        self.sys.idle("open status.new").await;
        self.sys.idle("write status.new").await;
        let text = record.to_bytes();
        self.sys.call("rename status.new", |k, _| k.dirs[dir].status = Some(text)).await;
        self.shown_want = record.want;
        if !leaving {
            self.update_record(leaving).await;
        }
        self.unpublished = self.recorded.is_none();
    }

    async fn update_record(&mut self, leaving: bool) {
        match self.recorded {
            Some(same) if same == leaving => return,
            Some(_) => write_leaving(&self.sys, self.dir, leaving).await,
            None => write_record(&self.sys, self.dir, leaving, self.machine.pid()).await,
        }
        self.recorded = Some(leaving);
    }
}

/// `Performer::become_child`
pub(crate) async fn become_child(sys: Sys, dir: usize) -> u8 {
    let own = sys.own;
    write_process(&sys, dir, own).await;
    sys.call("give back signals", |k, own| k.unblock(own)).await;
    sys.exec(Program::Service { dir }, false).await
}

/// `LockedStateDir::take`
async fn take_state_dir(sys: &Sys, dir: usize) -> Option<()> {
    let lock = sys.call("open lock", |k, own| k.open(own, Kind::Lock(dir))).await;
    take(sys, lock).await
}

/// `lock_holder::take`
pub(crate) async fn take(sys: &Sys, lock: Open) -> Option<()> {
    let until = sys.instant() + LOCK_PATIENCE;
    loop {
        if sys.call("flock", |k, own| k.try_lock(own, lock)).await {
            return Some(());
        }
        if sys.instant() >= until {
            return None;
        }
        sys.sleep(LOCK_PAUSE).await;
    }
}

/// `LockedStateDir::open_files`
async fn open_files(sys: &Sys, dir: usize) {
    sys.call("open control to read", |k, own| k.open(own, Kind::ControlReader(dir))).await;
    sys.call("open control to write", |k, own| k.open(own, Kind::ControlWriter(dir))).await;
}

/// `beginning::service`
async fn resume_service(
    sys: &Sys,
    dir: usize,
    normally_up: bool,
    upgraded: bool,
) -> (Machine, Option<Open>, Option<bool>) {
    sys.idle("look where we are").await;
    if !upgraded {
        sys.call("open process", |k, own| k.open(own, Kind::Plain)).await;
    }
    let found = sys.call("read process", |k, _| k.read_record(dir)).await;
    assert!(matches!(found, RecordFile::Valid(_) | RecordFile::Absent), "{found:?}");
    let status = sys.call("read status", |k, _| k.status(dir)).await;
    let Some(record) = newest(sys, dir, found, status).await else {
        sys.kernel.borrow_mut().ledgers[dir].begin_anew();
        return (Machine::new(normally_up, sys.now()), None, None);
    };
    let mut adopted = None;
    let mut own = false;
    if let Some(process) = record.process {
        own = sys.call("waitid", |k, own| k.is_child(number(process.pid), own)).await
            && sys.call("read stat", |k, _| k.identify(number(process.pid))).await == Some(process);
        if !own {
            adopted = open_process(sys, process).await;
        }
    }
    let lives = own || adopted.is_some();
    if let Some(process) = record.process
        && !lives
        && record.end.is_none_or(|(pid, _)| pid != process.pid)
    {
        write_end(sys, dir, process.pid, Ended::Unknown).await;
    }
    {
        let mut k = sys.kernel.borrow_mut();
        if record.leaving && !lives {
            k.ledgers[dir].begin_anew();
        }
        k.stats.adoptions += u64::from(adopted.is_some());
        let Record { leaving, process, .. } = record;
        trace!(k, "{} finds {process:?}, leaving {leaving}, {lives}, {status:?}", sys.own);
    }
    let since_boot = sys.kernel.borrow().since_boot();
    let recorded = Some(record.leaving);
    let record = Record { leaving: record.leaving && !upgraded, ..record };
    let machine =
        resume(&record, lives, status, SavedState::default(), normally_up, sys.now(), since_boot);
    (machine, adopted, recorded)
}

/// `beginning::newest`
async fn newest(
    sys: &Sys,
    dir: usize,
    found: RecordFile,
    status: Option<StatusRecord>,
) -> Option<Record> {
    let (earlier, process) = match found {
        RecordFile::Valid(record) => (Some(record), record.process),
        _ => (None, None),
    };
    let is_named = status.is_some_and(|status| {
        status.pid != 0 && process.is_none_or(|process| !status.names(process.pid))
    });
    if !is_named {
        return earlier;
    }
    if let Some(process) = process
        && let Some(handle) = open_process(sys, process).await
    {
        sys.call("close", |k, own| k.close(own, handle)).await;
        return earlier;
    }
    let Some((process, handle)) = find_named(sys, dir).await else {
        return earlier;
    };
    sys.call("close", |k, own| k.close(own, handle)).await;
    let whole = Part { process: Some(process), ..Part::default() };
    write_part(sys, dir, whole, 0..LEN).await;
    let place = Kernel::place(dir);
    Some(Record { place, leaving: false, process: Some(process), script: Script::Run, end: None })
}

/// `status_process::find`
pub(crate) async fn find_named(sys: &Sys, dir: usize) -> Option<(ProcessIdentity, Open)> {
    let status = sys.call("read status", |k, _| k.status(dir)).await?;
    let named = i32::try_from(status.pid).ok().and_then(Pid::new)?;
    let handle = sys.call("pidfd_open", |k, own| k.hold(own, number(named))).await?;
    let process = sys.call("read stat", |k, _| k.identify(number(named))).await;
    let clock = sys.kernel.borrow().clock().label;
    let since_boot = sys.kernel.borrow().since_boot();
    if let Some(process) = process.filter(|it| it.was_started_at(status.since, clock, since_boot))
        && sys.call("look at cwd", |k, _| k.stands_in(number(named), dir)).await
        && !sys.call("poll", |k, _| k.has_ended(handle)).await
    {
        return Some((process, handle));
    }
    sys.call("close", |k, own| k.close(own, handle)).await;
    None
}

/// `process_record::open_process`
pub(crate) async fn open_process(sys: &Sys, process: ProcessIdentity) -> Option<Open> {
    let wanted = number(process.pid);
    let handle = sys.call("pidfd_open", |k, own| k.hold(own, wanted)).await?;
    let found = sys.call("read stat", |k, _| k.identify(wanted)).await;
    if found == Some(process) && !sys.call("poll", |k, _| k.has_ended(handle)).await {
        return Some(handle);
    }
    sys.call("close", |k, own| k.close(own, handle)).await;
    None
}

/// `process_record::end_of`
pub(crate) async fn end_of(sys: &Sys, process: Open) -> Ended {
    let how = sys.call("how it ended", |k, _| k.how_it_ended(process)).await;
    if how != Ended::Unknown {
        return how;
    }
    sys.sleep(Duration::from_millis(20).as_nanos() as u64).await;
    sys.call("how it ended", |k, _| k.how_it_ended(process)).await
}

/// `RecordWriter::write`
async fn write_record(sys: &Sys, dir: usize, leaving: bool, process: Option<Pid>) {
    let process = match process {
        Some(pid) => sys.call("read stat", |k, _| k.identify(number(pid))).await,
        None => None,
    };
    write_part(sys, dir, Part { leaving, process, end: None }, 0..LEN).await;
}

/// `RecordWriter::write_leaving`
async fn write_leaving(sys: &Sys, dir: usize, leaving: bool) {
    write_part(sys, dir, Part { leaving, ..Part::default() }, LEAVING).await;
}

/// `RecordWriter::write_process`
async fn write_process(sys: &Sys, dir: usize, n: usize) {
    let process = sys.call("read stat", |k, _| k.identify(n)).await;
    write_part(sys, dir, Part { process, ..Part::default() }, PROCESS).await;
}

/// `RecordWriter::write_end`
async fn write_end(sys: &Sys, dir: usize, pid: Pid, how: Ended) {
    write_part(sys, dir, Part { end: Some((pid, how)), ..Part::default() }, END).await;
}

async fn write_part(sys: &Sys, dir: usize, content: Part, part: Range<usize>) {
    sys.call("write process", |k, _| k.write_record(dir, content, part)).await;
}
