//! svscan's system calls around its real roster.
//!
//! A change of `crates/tools/src/svscan/` or `survive/` needs the same change here: functions have the
//! same names and the same order of system calls. Messages, failing calls and svscan's own logger are
//! left out.

use crate::kernel::{
    DIRS, Handed, Kernel, Kind, Open, Program, Protection, SECOND, SERVICES, Wait, number, pid,
    signal, trace,
};
use crate::supervise::{end_of, find_named, open_process, take};
use crate::sys::Sys;
use daemontools_core::Pid;
use daemontools_core::state_dir::process_record::RecordFile;
use daemontools_core::svscan::roster::{Roster, RosterEffect, RosterEvent};
use daemontools_core::svscan::slot::{Action, Contents, SlotNo};
use daemontools_core::svscan::supervise_process::{SuperviseProcess, SuperviseRole};
use daemontools_core::time::Instant;

const PIPE_LOOKS: u32 = 5;
const SCAN_INTERVAL: u64 = 60 * SECOND;
const TEMPORARY: u8 = 111;

/// The services' names, which never change.
const NAMES: [&[u8]; SERVICES] = [b"0", b"1", b"2"];

pub(crate) async fn main(sys: Sys, upgraded: bool) -> u8 {
    match Scanner::begin(sys, upgraded).await {
        Some(mut scanner) => {
            scanner.run().await;
            0
        }
        None => TEMPORARY,
    }
}

/// Why there is no supervise after a start.
enum NoChild {
    Failed,
    NameGone,
}

struct Scanner {
    sys: Sys,
    roster: Roster<usize>,
    adopted: Vec<(Pid, Open)>,
    effects: Vec<RosterEffect>,
    /// Read end, and write end until the logger's input ends.
    pipes: Vec<Option<(Open, Option<Open>)>>,
    /// The services of the handover, until their slots have taken them.
    inherited: [Option<Handed>; SERVICES],
    /// The processes that stood in each service directory at the last look.
    standing: Option<[Vec<usize>; DIRS]>,
    next_scan: u64,
    leaving: bool,
    upgrade_due: bool,
}

const fn dir(service: usize, role: SuperviseRole) -> usize {
    2 * service + matches!(role, SuperviseRole::Log) as usize
}

impl Scanner {
    async fn begin(sys: Sys, upgraded: bool) -> Option<Self> {
        sys.call("take over signals", |k, own| k.block(own)).await;
        if !upgraded {
            sys.idle("chdir").await;
            let lock = sys.call("open .", |k, own| k.open(own, Kind::ScanLock)).await;
            take(&sys, lock).await?;
            sys.call("open .", |k, own| k.open(own, Kind::Plain)).await;
            sys.call("adopt orphans", |k, own| k.become_subreaper(own)).await;
        }
        sys.call("watch", |k, own| k.open(own, Kind::Watch)).await;
        let next_scan = sys.instant().0;
        let mut scanner = Self {
            sys,
            roster: Roster::new(false),
            adopted: Vec::new(),
            effects: Vec::new(),
            pipes: Vec::new(),
            inherited: [None; SERVICES],
            standing: None,
            next_scan,
            leaving: false,
            upgrade_due: false,
        };
        if upgraded {
            scanner.take_handed().await;
        }
        Some(scanner)
    }

    async fn run(&mut self) {
        if self.sys.kernel.borrow().has(Protection::ReapAfterUpgrade) {
            self.reap().await;
        }
        while !self.leaving {
            let rests = self.roster.is_at_rest()
                || !self.sys.kernel.borrow().has(Protection::UpgradeAtRest);
            if self.upgrade_due && rests && !self.roster.is_stopping() {
                self.upgrade().await;
            }
            if self.next_scan <= self.sys.instant().0 && !self.roster.is_stopping() {
                self.scan().await;
                continue;
            }
            self.standing = None;
            let scan = (!self.roster.is_stopping()).then_some(self.next_scan);
            let wait = Wait {
                signals: true,
                watch: true,
                ends: self.adopted.iter().fold(0, |set, &(_, process)| set | 1 << process),
                until: self.roster.deadline().map(|due| due.0).into_iter().chain(scan).min(),
                ..Wait::default()
            };
            let woken = self.sys.wait(wait).await;
            if woken.signals {
                self.take_signals().await;
            }
            if woken.ends != 0 {
                self.take_adopted_ends().await;
            }
            if woken.watch {
                self.take_changes().await;
            }
            self.step(RosterEvent::Tick).await;
        }
    }

    async fn take_signals(&mut self) {
        let pending = self.sys.call("take signals", |k, own| k.take_signals(own)).await;
        self.reap().await;
        if pending & signal::TERM != 0 {
            self.step(RosterEvent::Stop).await;
        }
        self.upgrade_due |= pending & signal::UPGRADE != 0;
    }

    async fn reap(&mut self) {
        while let Some((pid, how)) = self.sys.call("reap", |k, own| k.reap(own)).await {
            self.step(RosterEvent::Ended(pid, how)).await;
        }
    }

    async fn take_adopted_ends(&mut self) {
        loop {
            let adopted = self.adopted.clone();
            let ended = self.sys.call("epoll_wait", |k, _| {
                adopted.into_iter().position(|(_, process)| k.has_ended(process))
            });
            let Some(n) = ended.await else {
                return;
            };
            let (pid, process) = self.adopted.remove(n);
            let how = end_of(&self.sys, process).await;
            self.sys.call("close", |k, own| k.close(own, process)).await;
            self.step(RosterEvent::Ended(pid, how)).await;
        }
    }

    async fn take_changes(&mut self) {
        let changes =
            self.sys.call("read changes", |k, _| core::mem::take(&mut k.world.changes)).await;
        for (service, came) in changes {
            if came {
                self.look(service).await;
            } else {
                self.step(RosterEvent::Lost(NAMES[service])).await;
            }
        }
    }

    async fn scan(&mut self) {
        self.roster.begin_scan();
        let linked = self.sys.call("read directory", |k, _| k.world.linked).await;
        for service in (0..SERVICES).filter(|&service| linked[service]) {
            self.look(service).await;
        }
        self.roster.end_scan(self.instant(), &mut self.effects);
        self.perform().await;
        self.next_scan = self.instant().0 + SCAN_INTERVAL;
    }

    fn instant(&self) -> Instant {
        self.sys.instant()
    }

    async fn look(&mut self, service: usize) {
        self.observe(service).await;
        self.perform().await;
    }

    async fn observe(&mut self, service: usize) {
        let name = NAMES[service];
        let contents = self
            .sys
            .call("look", |k, _| {
                k.world.known[service] |= k.world.linked[service];
                let contents = Contents { log: k.world.logged[service], run: true, quiet_in: None };
                k.world.linked[service].then_some(contents)
            })
            .await;
        let event = match contents {
            Some(contents) => RosterEvent::Seen(name, service, contents),
            None => RosterEvent::Lost(name),
        };
        self.roster.step(event, self.instant(), &mut self.effects);
    }

    async fn step(&mut self, event: RosterEvent<'_, usize>) {
        self.roster.step(event, self.instant(), &mut self.effects);
        self.perform().await;
    }

    async fn perform(&mut self) {
        let mut done = 0;
        while let Some(&effect) = self.effects.get(done) {
            done += 1;
            match effect {
                RosterEffect::Exit => self.leaving = true,
                // Only a message.
                RosterEffect::ReportStop => {}
                RosterEffect::For(no, Action::Spawn(role)) => {
                    let answer = match self.start_or_adopt(no, role).await {
                        Ok(pid) => RosterEvent::Spawned(no, role, pid),
                        Err(NoChild::Failed) => RosterEvent::SpawnFailed(no, role),
                        Err(NoChild::NameGone) => RosterEvent::NotSpawned(no, role),
                    };
                    self.roster.step(answer, self.instant(), &mut self.effects);
                }
                RosterEffect::For(_, Action::Terminate(pid)) => {
                    self.signal(pid, signal::TERM).await
                }
                RosterEffect::For(_, Action::Finish(pid)) => self.signal(pid, signal::USR1).await,
                // Only with `-t`, which the simulated svscan is not given.
                RosterEffect::For(_, Action::Kill(..)) => {}
                // A service of the simulation has one name.
                RosterEffect::For(_, Action::Rename(_)) => {}
                RosterEffect::For(_, Action::ReportLateLog) => {}
                RosterEffect::For(no, Action::EndInput) => self.end_input(no).await,
                RosterEffect::For(no, Action::CheckInput) => {
                    let answer = if self.is_unread(no).await {
                        RosterEvent::Unread(no)
                    } else {
                        RosterEvent::AllRead(no)
                    };
                    self.roster.step(answer, self.instant(), &mut self.effects);
                }
                RosterEffect::For(no, Action::DropPipe | Action::Forget) => {
                    self.drop_pipe(no).await
                }
                RosterEffect::For(no, Action::Look) => {
                    if let Some(service) = self.service(no) {
                        self.observe(service).await;
                    }
                }
            }
        }
        self.effects.clear();
    }

    fn service(&self, no: SlotNo) -> Option<usize> {
        let name = self.roster.slot(no)?.name();
        NAMES.iter().position(|&other| other == name)
    }

    async fn signal(&self, pid: Pid, signal: u8) {
        let handle = self.adopted.iter().find(|&&(other, _)| other == pid).map(|&(_, h)| h);
        let send = |k: &mut Kernel, own: usize| {
            let Some(target) = handle.map_or(Some(number(pid)), |handle| k.held(handle)) else {
                return;
            };
            let program = k.processes[target].program;
            assert!(
                matches!(program, Program::Supervise { .. } | Program::NewSupervise { .. }),
                "svscan {own} signals another program: {program:?}"
            );
            trace!(k, "{own} tells {target} to leave: {signal}");
            k.send(target, signal);
        };
        self.sys.call("kill", send).await;
    }

    /// Reports the end of an adopted process that had this pid before.
    async fn forget_earlier(&mut self, pid: Pid) {
        if !self.sys.kernel.borrow().has(Protection::PidReuse) {
            return;
        }
        if let Some(n) = self.adopted.iter().position(|&(other, _)| other == pid)
            && self.sys.kernel.borrow().has_ended(self.adopted[n].1)
        {
            let (_, process) = self.adopted.remove(n);
            let how = end_of(&self.sys, process).await;
            self.close(process).await;
            self.roster.step(RosterEvent::Ended(pid, how), self.instant(), &mut self.effects);
        }
    }

    /// Adopts a supervise that runs already.
    async fn adopt(&mut self, pid: Pid, handle: Open) {
        self.forget_earlier(pid).await;
        let ours = self.sys.call("waitid", |k, own| {
            k.stats.supervises_adopted += 1;
            let program = k.processes[number(pid)].program;
            trace!(k, "{own} takes over {pid}: {program:?}");
            k.is_child(number(pid), own)
        });
        if ours.await {
            self.close(handle).await;
        } else {
            self.sys.idle("epoll_ctl").await;
            self.adopted.push((pid, handle));
        }
    }

    async fn close(&self, file: Open) {
        self.sys.call("close", |k, own| k.close(own, file)).await;
    }

    async fn start_or_adopt(&mut self, no: SlotNo, role: SuperviseRole) -> Result<Pid, NoChild> {
        let service = self.service(no).ok_or(NoChild::Failed)?;
        let logged = self.roster.slot(no).ok_or(NoChild::Failed)?.has_logger();
        let handed = match &mut self.inherited[service] {
            Some(Handed { pipe, supervises }) => {
                let pipe = pipe.take();
                let handed = supervises[role as usize].take();
                if let Some((read_end, write_end)) = pipe {
                    self.put_pipe(no, (read_end, write_end));
                }
                handed
            }
            None => None,
        };
        if let Some(pid) = handed
            && self.sys.call("waitid", |k, own| k.is_child(number(pid), own)).await
        {
            return Ok(pid);
        }
        let mut running = self.find(dir(service, role)).await;
        if logged && !self.has_pipe(no) {
            let slot = self.roster.slot(no).ok_or(NoChild::Failed)?;
            let is_first =
                matches!(slot.supervise(role), SuperviseProcess::Spawning { quick_deaths: 0 });
            let may_wait = is_first && self.sys.kernel.borrow().has(Protection::LookAgain);
            let Ok(pipe) = self.find_pipe(service, role, &mut running, may_wait).await else {
                self.close_handle(&running).await;
                return Err(NoChild::Failed);
            };
            self.make_pipe(no, service, pipe).await;
        }
        if let Some((_, handle)) = running.process {
            self.close(handle).await;
        }
        if let Some((pid, handle)) = running.supervise {
            self.adopt(pid, handle).await;
            return Ok(pid);
        }
        let pipe = self.pipes.get(no.0).copied().flatten().filter(|_| logged);
        let pipe = pipe.and_then(|(read_end, write_end)| match role {
            SuperviseRole::Main => write_end,
            SuperviseRole::Log => Some(read_end),
        });
        // `Scanner::leads_to`
        if !self.sys.call("statx", |k, _| k.world.linked[service]).await {
            return Err(NoChild::NameGone);
        }
        let program = Program::NewSupervise { dir: dir(service, role), pipe };
        let child = self.sys.call("spawn", |k, own| k.fork(own, program)).await;
        let child = child.ok_or(NoChild::Failed)?;
        self.forget_earlier(pid(child)).await;
        // The child shares svscan's memory until its exec.
        let generation = self.sys.kernel.borrow().processes[child].generation;
        self.sys.wait(Wait { born: Some((child, generation)), ..Wait::default() }).await;
        Ok(pid(child))
    }

    async fn find_pipe(
        &mut self,
        service: usize,
        role: SuperviseRole,
        running: &mut RunningService,
        may_wait: bool,
    ) -> Result<Option<(Open, Open)>, StillStarting> {
        let looks =
            if self.sys.kernel.borrow().has(Protection::LookAgain) { PIPE_LOOKS } else { 1 };
        let other_role =
            if role == SuperviseRole::Main { SuperviseRole::Log } else { SuperviseRole::Main };
        for _ in 0..looks {
            let other = self.find(dir(service, other_role)).await;
            let pipe = match role {
                SuperviseRole::Main => self.pipe_between(running, &other).await,
                SuperviseRole::Log => self.pipe_between(&other, running).await,
            };
            let none_runs = running.is_empty() && other.is_empty();
            let is_starting = running.is_starting || other.is_starting;
            self.close_handle(&other).await;
            if pipe.is_none() && may_wait && is_starting {
                return Err(StillStarting);
            }
            if pipe.is_some() || none_runs {
                return Ok(pipe);
            }
            self.close_handle(running).await;
            *running = self.find(dir(service, role)).await;
        }
        Ok(None)
    }

    async fn close_handle(&self, found: &RunningService) {
        for (_, handle) in found.processes() {
            self.close(handle).await;
        }
    }

    /// `RunningService::of_current_dir`
    async fn find(&mut self, dir: usize) -> RunningService {
        self.sys.idle("chdir").await;
        let listens = self.sys.call("open ok", |k, _| k.listens(dir)).await;
        if !listens {
            let is_starting = !self.is_free(dir).await;
            return RunningService {
                supervise: None,
                process: self.living(dir).await,
                is_starting,
            };
        }
        self.sys.idle("open lock").await;
        let mut supervise = None;
        for _ in 0..2 {
            if self.standing.is_none() {
                let look = self.sys.call("look at all processes", |k, _| {
                    core::array::from_fn(|dir| {
                        let all = k.alive().map(|(n, _)| n);
                        all.filter(|&n| k.stands_in(n, dir)).collect()
                    })
                });
                self.standing = Some(look.await);
            }
            supervise = self.holder_here(dir).await;
            if supervise.is_some() {
                break;
            }
            self.standing = None;
        }
        RunningService { supervise, process: self.living(dir).await, is_starting: false }
    }

    /// `lock_holder::is_free`
    async fn is_free(&self, dir: usize) -> bool {
        let lock = self.sys.call("open lock", |k, own| k.open(own, Kind::Lock(dir))).await;
        let free = self.sys.call("flock", |k, own| k.try_lock(own, lock)).await;
        self.close(lock).await;
        free
    }

    /// `Standing::holder_here`
    async fn holder_here(&self, dir: usize) -> Option<(Pid, Open)> {
        for &n in &self.standing.as_ref()?[dir] {
            self.sys.idle("read the user").await;
            let Some(handle) = self.sys.call("pidfd_open", |k, own| k.hold(own, n)).await else {
                continue;
            };
            let is_it = self.sys.call("look at cwd", |k, _| k.stands_in(n, dir)).await
                && self.sys.call("read fdinfo", |k, _| k.has_taken_lock(n, dir)).await
                && !self.sys.call("poll", |k, _| k.has_ended(handle)).await;
            if is_it {
                return Some((pid(n), handle));
            }
            self.close(handle).await;
        }
        None
    }

    /// `adoption::service_process`
    async fn living(&self, dir: usize) -> Option<(usize, Open)> {
        if let Some(found) = self.recorded_living(dir).await {
            return Some(found);
        }
        let (process, handle) = find_named(&self.sys, dir).await?;
        Some((number(process.pid), handle))
    }

    /// `process_record::living`
    async fn recorded_living(&self, dir: usize) -> Option<(usize, Open)> {
        let record = self.sys.call("read process", |k, _| k.read_record(dir)).await;
        let RecordFile::Valid(record) = record else {
            return None;
        };
        let process = record.process?;
        Some((number(process.pid), open_process(&self.sys, process).await?))
    }

    /// `adoption::pipe_between`
    async fn pipe_between(
        &self,
        main: &RunningService,
        log: &RunningService,
    ) -> Option<(Open, Open)> {
        for (reader, handle) in log.processes() {
            let Some(pipe) = self.pipe_of(reader, handle, false).await else { continue };
            self.sys.idle("read the user").await;
            if let Some(ends) = self.open_pipe(pipe, false).await {
                return Some(ends);
            }
        }
        for (writer, handle) in main.processes() {
            let Some(pipe) = self.pipe_of(writer, handle, true).await else { continue };
            if let Some(ends) = self.open_pipe(pipe, true).await {
                return Some(ends);
            }
        }
        None
    }

    /// `adoption::pipe_of`
    async fn pipe_of(&self, n: usize, handle: Open, output: bool) -> Option<usize> {
        let pipe = self.sys.call("open with O_PATH", |k, _| k.pipe_of(n, output)).await?;
        (!self.sys.call("poll", |k, _| k.has_ended(handle)).await).then_some(pipe)
    }

    /// `adoption::open`, or `adoption::open_unread`. The simulation has no pipe without an end: if the
    /// last one was closed, the result is none, and svscan makes a new pipe.
    async fn open_pipe(&self, pipe: usize, unread: bool) -> Option<(Open, Open)> {
        let write_end = self
            .sys
            .call("open to write", |k, own| k.reopen_end(own, Kind::WriteEnd(pipe)))
            .await?;
        if unread && !self.sys.call("poll", |k, _| k.has_no_reader(write_end)).await {
            self.close(write_end).await;
            return None;
        }
        let read_end =
            self.sys.call("open to read", |k, own| k.reopen_end(own, Kind::ReadEnd(pipe))).await?;
        Some((read_end, write_end))
    }

    fn has_pipe(&self, no: SlotNo) -> bool {
        self.pipes.get(no.0).is_some_and(Option::is_some)
    }

    fn put_pipe(&mut self, no: SlotNo, (read_end, write_end): (Open, Open)) {
        if self.pipes.len() <= no.0 {
            self.pipes.resize_with(no.0 + 1, || None);
        }
        self.pipes[no.0] = Some((read_end, Some(write_end)));
    }

    async fn make_pipe(&mut self, no: SlotNo, service: usize, there: Option<(Open, Open)>) {
        let made = match there {
            Some(pipe) => {
                self.sys.call("set blocking", |k, own| k.reopen_pipe(own, service, pipe)).await;
                pipe
            }
            None => self.sys.call("pipe", |k, own| k.make_pipe(own, service)).await,
        };
        self.put_pipe(no, made);
    }

    async fn end_input(&mut self, no: SlotNo) {
        let write_end = self.pipes.get_mut(no.0).and_then(Option::as_mut);
        if let Some(end) = write_end.and_then(|(_, write_end)| write_end.take()) {
            self.sys.call("close", |k, own| k.drop_pipe(own, end)).await;
        }
    }

    async fn is_unread(&self, no: SlotNo) -> bool {
        let Some(&Some((read_end, _))) = self.pipes.get(no.0) else {
            return false;
        };
        self.sys.call("FIONREAD", |k, _| k.has_lines(read_end)).await
    }

    async fn drop_pipe(&mut self, no: SlotNo) {
        self.end_input(no).await;
        if let Some((read_end, _)) = self.pipes.get_mut(no.0).and_then(Option::take) {
            self.sys.call("close", |k, own| k.drop_pipe(own, read_end)).await;
        }
    }

    /// Executes svscan anew in the same process, which keeps its children. The handover has the
    /// services with their pipes: else the new svscan would not know one whose link goes meanwhile.
    async fn upgrade(&mut self) {
        self.upgrade_due = false;
        let pids: Vec<Pid> = self.roster.supervises().collect();
        for pid in pids {
            self.signal(pid, signal::UPGRADE).await;
        }
        let children = self.sys.kernel.borrow().has(Protection::HandoverChildren);
        let mut handed = [None; SERVICES];
        for (no, slot) in self.roster.slots() {
            if let Some(service) = self.service(no) {
                let pipe = self.pipes.get(no.0).copied().flatten();
                let pipe = pipe.and_then(|(read_end, write_end)| Some((read_end, write_end?)));
                // Only children: svscan reaps them, so their pids are their own.
                let supervises = [SuperviseRole::Main, SuperviseRole::Log].map(|role| {
                    match slot.supervise(role) {
                        SuperviseProcess::Running { pid, .. } => {
                            let adopted = self.adopted.iter().any(|&(other, _)| other == pid);
                            Some(pid).filter(|_| children && !adopted)
                        }
                        SuperviseProcess::Absent { .. } | SuperviseProcess::Spawning { .. } => None,
                    }
                });
                handed[service] = Some(Handed { pipe, supervises });
            }
        }
        self.sys
            .call("upgrade", |k, _| {
                k.stats.upgrades += 1;
                k.world.handed = handed;
            })
            .await;
        self.sys.exec(Program::Svscan { upgraded: true }, true).await;
    }

    async fn take_handed(&mut self) {
        let handed = self.sys.kernel.borrow().world.handed;
        self.inherited = handed;
        for (service, handed) in handed.into_iter().enumerate() {
            let Some(Handed { pipe, .. }) = handed else {
                continue;
            };
            let contents = Contents { log: pipe.is_some(), run: true, quiet_in: None };
            self.step(RosterEvent::Seen(NAMES[service], service, contents)).await;
        }
        self.inherited = [None; SERVICES];
    }
}

/// The processes that run already for a service.
#[derive(Default)]
struct RunningService {
    supervise: Option<(Pid, Open)>,
    process: Option<(usize, Open)>,
    is_starting: bool,
}

/// A process that a dead supervise was starting is not yet the service.
struct StillStarting;

impl RunningService {
    const fn is_empty(&self) -> bool {
        self.supervise.is_none() && self.process.is_none()
    }

    /// `PipeSide::processes`
    fn processes(&self) -> impl Iterator<Item = (usize, Open)> {
        [self.supervise.map(|(pid, handle)| (number(pid), handle)), self.process]
            .into_iter()
            .flatten()
    }
}

/// `Scanner::become_supervise`, in the child.
pub(crate) async fn new_supervise(sys: Sys, dir: usize, pipe: Option<Open>) -> u8 {
    if let Some(end) = pipe {
        sys.call("dup2", |k, own| k.replace(own, dir.is_multiple_of(2), end)).await;
    }
    sys.idle("chdir").await;
    sys.call("give back signals", |k, own| k.unblock(own)).await;
    sys.exec(Program::Supervise { dir, upgraded: None }, false).await
}
