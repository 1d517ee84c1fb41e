//! svscan, as far as the kernel sees it, around its real roster.
//!
//! This has to be kept in step with `crates/tools/src/svscan.rs` and `takeover.rs` there: functions
//! have the same names and the same order of system calls. Left out is what only fails, or is only
//! said, and svscan's own logger.

use crate::kernel::{
    DIRS, Handed, Kernel, Kind, Open, Program, Protection, SECOND, SERVICES, Wait, number, pid,
    signal, trace,
};
use crate::supervise::{LOCK_PAUSE, LOCK_TRIES, end_of, lives, take, take_hold};
use crate::sys::Sys;
use core::time::Duration;
use daemontools_core::Pid;
use daemontools_core::identity::Found as FoundRecord;
use daemontools_core::roster::{Action, Contents, Effect, Event, Role, Roster, SlotNo, Supervise};
use daemontools_core::time::Instant;

const SURVEYS: u32 = 5;
const NET_INTERVAL: u64 = 60 * SECOND;
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

struct Scanner {
    sys: Sys,
    roster: Roster<usize>,
    adopted: Vec<(Pid, Open)>,
    todo: Vec<Effect>,
    /// Read end, and write end until the logger is to see the end.
    pipes: Vec<Option<(Open, Option<Open>)>>,
    /// Supervises that were handed over, by slot.
    children: Vec<[Option<Pid>; 2]>,
    /// `holder::Table`
    locks: Option<Table>,
    next_scan: u64,
    leaving: bool,
    upgrade_due: bool,
}

const fn dir(service: usize, role: Role) -> usize {
    2 * service + matches!(role, Role::Log) as usize
}

impl Scanner {
    async fn begin(sys: Sys, upgraded: bool) -> Option<Self> {
        sys.call("take over signals", |k, own| k.block(own)).await;
        if !upgraded {
            sys.idle("chdir").await;
            let lock = sys.call("open .", |k, own| k.open(own, Kind::ScanLock)).await;
            take(&sys, lock, Kind::ScanLock).await?;
            sys.call("open .", |k, own| k.open(own, Kind::Plain)).await;
            sys.call("adopt orphans", |k, own| k.become_subreaper(own)).await;
        }
        sys.call("watch", |k, own| k.open(own, Kind::Watch)).await;
        let next_scan = sys.instant().0;
        let mut scanner = Self {
            sys,
            roster: Roster::new(false),
            adopted: Vec::new(),
            todo: Vec::new(),
            pipes: Vec::new(),
            children: Vec::new(),
            locks: None,
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
        if self.sys.kernel.borrow().has(Protection::Reap) {
            self.reap().await;
        }
        while !self.leaving {
            let rests = self.roster.is_at_rest() || !self.sys.kernel.borrow().has(Protection::Rest);
            if self.upgrade_due && rests && !self.roster.is_stopping() {
                self.upgrade().await;
            }
            if self.next_scan <= self.sys.instant().0 && !self.roster.is_stopping() {
                self.scan().await;
                continue;
            }
            self.locks = None;
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
                self.take_ends().await;
            }
            if woken.watch {
                self.take_changes().await;
            }
            self.tell(Event::Tick).await;
        }
    }

    async fn take_signals(&mut self) {
        let pending = self.sys.call("take signals", |k, own| k.take_signals(own)).await;
        self.reap().await;
        if pending & signal::TERM != 0 {
            self.tell(Event::Stop).await;
        }
        self.upgrade_due |= pending & signal::UPGRADE != 0;
    }

    async fn reap(&mut self) {
        while let Some((pid, how)) = self.sys.call("reap", |k, own| k.reap(own)).await {
            self.tell(Event::Ended(pid, how)).await;
        }
    }

    async fn take_ends(&mut self) {
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
            self.tell(Event::Ended(pid, how)).await;
        }
    }

    async fn take_changes(&mut self) {
        let changes =
            self.sys.call("read changes", |k, _| core::mem::take(&mut k.world.changes)).await;
        for (service, came) in changes {
            if came {
                self.look(service).await;
            } else {
                self.tell(Event::Lost(NAMES[service])).await;
            }
        }
    }

    async fn scan(&mut self) {
        self.roster.begin_scan();
        let linked = self.sys.call("read directory", |k, _| k.world.linked).await;
        for service in (0..SERVICES).filter(|&service| linked[service]) {
            self.look(service).await;
        }
        self.roster.end_scan(self.instant(), &mut self.todo);
        self.perform().await;
        self.next_scan = self.instant().0 + NET_INTERVAL;
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
                let contents = Contents { log: k.world.logged[service], run: true };
                k.world.linked[service].then_some(contents)
            })
            .await;
        let event = match contents {
            Some(contents) => Event::Seen(name, service, contents),
            None => Event::Lost(name),
        };
        self.roster.step(event, self.instant(), &mut self.todo);
    }

    async fn tell(&mut self, event: Event<'_, usize>) {
        self.roster.step(event, self.instant(), &mut self.todo);
        self.perform().await;
    }

    async fn perform(&mut self) {
        let mut done = 0;
        while let Some(&effect) = self.todo.get(done) {
            done += 1;
            match effect {
                Effect::Exit => self.leaving = true,
                Effect::For(no, Action::Spawn(role)) => {
                    let answer = match self.spawn(no, role).await {
                        Some(pid) => Event::Spawned(no, role, pid),
                        None => Event::SpawnFailed(no, role),
                    };
                    self.roster.step(answer, self.instant(), &mut self.todo);
                }
                Effect::For(_, Action::Terminate(pid)) => self.signal(pid, signal::TERM).await,
                Effect::For(_, Action::Finish(pid)) => self.signal(pid, signal::USR1).await,
                // Without an option, nobody is ever late.
                Effect::For(_, Action::Kill(..)) => {}
                Effect::For(no, Action::EndInput) => self.end_input(no).await,
                Effect::For(no, Action::CheckInput) => {
                    let answer = if self.is_unread(no).await {
                        Event::Unread(no)
                    } else {
                        Event::AllRead(no)
                    };
                    self.roster.step(answer, self.instant(), &mut self.todo);
                }
                Effect::For(no, Action::DropPipe | Action::Forget) => self.drop_pipe(no).await,
                Effect::For(no, Action::Look) => {
                    if let Some(service) = self.service(no) {
                        self.observe(service).await;
                    }
                }
            }
        }
        self.todo.clear();
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
                "svscan {own} signals a stranger: {program:?}"
            );
            trace!(k, "{own} tells {target} to leave: {signal}");
            k.send(target, signal);
        };
        self.sys.call("kill", send).await;
    }

    /// Who had this number before has ended, and is to be known by it no more.
    async fn forget_earlier(&mut self, pid: Pid) {
        if !self.sys.kernel.borrow().has(Protection::Reuse) {
            return;
        }
        if let Some(n) = self.adopted.iter().position(|&(other, _)| other == pid)
            && self.sys.kernel.borrow().has_ended(self.adopted[n].1)
        {
            let (_, process) = self.adopted.remove(n);
            let how = end_of(&self.sys, process).await;
            self.close(process).await;
            self.roster.step(Event::Ended(pid, how), self.instant(), &mut self.todo);
        }
    }

    /// Takes over a supervise that runs already.
    async fn adopt(&mut self, pid: Pid, handle: Open) {
        self.forget_earlier(pid).await;
        let ours = self.sys.call("waitid", |k, own| {
            k.stats.takeovers += 1;
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

    async fn spawn(&mut self, no: SlotNo, role: Role) -> Option<Pid> {
        let service = self.service(no)?;
        let logged = self.roster.slot(no)?.is_logged();
        let handed = self.children.get_mut(no.0).and_then(|pids| pids[role as usize].take());
        if let Some(pid) = handed
            && self.sys.call("waitid", |k, own| k.is_child(number(pid), own)).await
        {
            return handed;
        }
        let mut there = self.find(dir(service, role)).await;
        if logged && !self.has_pipe(no) {
            let pipe = self.find_pipe(service, role, &mut there).await;
            self.make_pipe(no, service, pipe).await;
        }
        if let Some((pid, handle)) = there.supervise {
            self.adopt(pid, handle).await;
            return Some(pid);
        }
        let pipe = self.pipes.get(no.0).copied().flatten().filter(|_| logged);
        let pipe = pipe.and_then(|(read_end, write_end)| match role {
            Role::Main => write_end,
            Role::Log => Some(read_end),
        });
        let program = Program::NewSupervise { dir: dir(service, role), pipe };
        let child = self.sys.call("spawn", |k, own| k.fork(own, program)).await?;
        self.forget_earlier(pid(child)).await;
        // It uses our memory until it has another.
        let generation = self.sys.kernel.borrow().processes[child].generation;
        self.sys.wait(Wait { born: Some((child, generation)), ..Wait::default() }).await;
        Some(pid(child))
    }

    async fn find_pipe(
        &mut self,
        service: usize,
        role: Role,
        there: &mut Found,
    ) -> Option<(Open, Open)> {
        let surveys = if self.sys.kernel.borrow().has(Protection::LookAgain) { SURVEYS } else { 1 };
        let other_role = if role == Role::Main { Role::Log } else { Role::Main };
        for _ in 0..surveys {
            let other = self.find(dir(service, other_role)).await;
            let pipe = match role {
                Role::Main => self.pipe_between(there, &other).await,
                Role::Log => self.pipe_between(&other, there).await,
            };
            let nobody = there.is_empty() && other.is_empty();
            self.let_go(&other).await;
            if pipe.is_some() || nobody {
                return pipe;
            }
            self.let_go(there).await;
            *there = self.find(dir(service, role)).await;
        }
        None
    }

    async fn let_go(&self, found: &Found) {
        if let Some((_, handle)) = found.supervise {
            self.close(handle).await;
        }
    }

    /// `Found::here`
    async fn find(&mut self, dir: usize) -> Found {
        self.sys.idle("chdir").await;
        let listens = self.sys.call("open ok", |k, _| k.listens(dir)).await;
        if !listens && self.is_free(dir).await {
            return Found { supervise: None, process: self.living(dir).await };
        }
        let mut supervise = self.hold_locker(dir).await;
        if let Some((_, handle)) = supervise.filter(|_| !listens) {
            self.close(handle).await;
            supervise = None;
        }
        Found { supervise, process: self.living(dir).await }
    }

    /// `holder::is_free`
    async fn is_free(&self, dir: usize) -> bool {
        let lock = self.sys.call("open lock", |k, own| k.open(own, Kind::Lock(dir))).await;
        let free = self.sys.call("flock", |k, own| k.try_lock(own, lock)).await;
        self.close(lock).await;
        free
    }

    /// `Table::hold`
    async fn hold_locker(&mut self, dir: usize) -> Option<(Pid, Open)> {
        if self.locks.is_none() {
            let read = self.sys.kernel.borrow().since_boot();
            let holders = self.sys.call("read /proc/locks", |k, _| {
                core::array::from_fn(|dir| k.lock_holder(Kind::Lock(dir)))
            });
            self.locks = Some(Table { read, holders: holders.await });
        }
        let Table { read, holders } = self.locks.as_ref()?;
        let before = holders[dir];
        if let Some(before) = before
            && let Some(found) = hold_still(&self.sys, before, *read).await
        {
            return Some(found);
        }
        if let Some(found) = hold(&self.sys, dir).await {
            return Some(found);
        }
        if before.is_some() && self.sys.kernel.borrow().has(Protection::LookAgain) {
            for _ in 0..LOCK_TRIES {
                if lives(&self.sys, Kind::Lock(dir)).await != Some(false) {
                    break;
                }
                self.sys.sleep(LOCK_PAUSE).await;
            }
        }
        None
    }

    /// `identity::living`
    async fn living(&self, dir: usize) -> Option<usize> {
        let record = self.sys.call("read process", |k, _| k.read_record(dir)).await;
        let FoundRecord::Ours(record) = record else {
            return None;
        };
        let process = record.process?;
        let handle = take_hold(&self.sys, process).await?;
        self.close(handle).await;
        Some(number(process.pid))
    }

    /// `takeover::pipe_between`
    async fn pipe_between(&self, main: &Found, log: &Found) -> Option<(Open, Open)> {
        let pid = |found: &Found| found.supervise.map(|(pid, _)| number(pid));
        for reader in [pid(log), log.process].into_iter().flatten() {
            if self.sys.call("readlink", |k, _| k.pipe_of(reader, false)).await.is_none() {
                continue;
            }
            let write_end = self.sys.call("open to write", |k, own| {
                let pipe = k.pipe_of(reader, false)?;
                Some(k.open(own, Kind::WriteEnd(pipe)))
            });
            if let Some(write_end) = write_end.await
                && let Some(pipe) = self.open_with(reader, false, write_end).await
            {
                return Some(pipe);
            }
        }
        for writer in [pid(main), main.process].into_iter().flatten() {
            if self.sys.call("readlink", |k, _| k.pipe_of(writer, true)).await.is_none() {
                continue;
            }
            let write_end = self.sys.call("open to write", |k, own| {
                let pipe = k.pipe_of(writer, true)?;
                Some(k.open(own, Kind::WriteEnd(pipe)))
            });
            let Some(write_end) = write_end.await else {
                continue;
            };
            if !self.sys.call("poll", |k, _| k.has_no_reader(write_end)).await {
                self.close(write_end).await;
            } else if let Some(pipe) = self.open_with(writer, true, write_end).await {
                return Some(pipe);
            }
        }
        None
    }

    async fn open_with(&self, n: usize, output: bool, write_end: Open) -> Option<(Open, Open)> {
        let read_end = self.sys.call("open to read", |k, own| {
            let pipe = k.pipe_of(n, output)?;
            Some(k.open(own, Kind::ReadEnd(pipe)))
        });
        let Some(read_end) = read_end.await else {
            self.close(write_end).await;
            return None;
        };
        Some((read_end, write_end))
    }

    fn has_pipe(&self, no: SlotNo) -> bool {
        self.pipes.get(no.0).is_some_and(Option::is_some)
    }

    async fn make_pipe(&mut self, no: SlotNo, service: usize, there: Option<(Open, Open)>) {
        if self.pipes.len() <= no.0 {
            self.pipes.resize_with(no.0 + 1, || None);
        }
        let made = match there {
            Some(pipe) => {
                self.sys.call("set blocking", |k, own| k.take_back(own, service, pipe)).await;
                pipe
            }
            None => self.sys.call("pipe", |k, own| k.make_pipe(own, service)).await,
        };
        self.pipes[no.0] = Some((made.0, Some(made.1)));
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

    /// Another image of the same process, whose children these stay. It is handed the services with
    /// their pipes, or it would not know of one whose link goes meanwhile.
    async fn upgrade(&mut self) {
        self.upgrade_due = false;
        let pids: Vec<Pid> = self.roster.supervises().collect();
        for pid in pids {
            self.signal(pid, signal::UPGRADE).await;
        }
        let children = self.sys.kernel.borrow().has(Protection::Children);
        let mut handed = [None; SERVICES];
        for (no, slot) in self.roster.slots() {
            if let Some(service) = self.service(no) {
                let pipe = self.pipes.get(no.0).copied().flatten();
                let pipe = pipe.and_then(|(read_end, write_end)| Some((read_end, write_end?)));
                // Only children: nobody else has their numbers before we have reaped them.
                let supervises = [Role::Main, Role::Log].map(|role| match slot.supervise(role) {
                    Supervise::Running { pid, .. } => {
                        let adopted = self.adopted.iter().any(|&(other, _)| other == pid);
                        Some(pid).filter(|_| children && !adopted)
                    }
                    Supervise::Absent { .. } | Supervise::Spawning { .. } => None,
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
        for (service, handed) in handed.into_iter().enumerate() {
            let Some(Handed { pipe, supervises }) = handed else {
                continue;
            };
            // The slots are given out in order.
            let log = pipe.is_some();
            self.pipes.push(pipe.map(|(read_end, write_end)| (read_end, Some(write_end))));
            self.children.push(supervises);
            let contents = Contents { log, run: true };
            self.tell(Event::Seen(NAMES[service], service, contents)).await;
        }
    }
}

/// Who is there for a service.
#[derive(Default)]
struct Found {
    supervise: Option<(Pid, Open)>,
    process: Option<usize>,
}

impl Found {
    const fn is_empty(&self) -> bool {
        self.supervise.is_none() && self.process.is_none()
    }
}

/// Who had the locks at one moment.
struct Table {
    read: Duration,
    holders: [Option<usize>; DIRS],
}

/// `Table::hold_still`
async fn hold_still(sys: &Sys, holder: usize, read: Duration) -> Option<(Pid, Open)> {
    let handle = sys.call("pidfd_open", |k, own| k.hold(own, holder)).await?;
    let process = sys.call("read stat", |k, _| k.identify(holder)).await;
    if process.is_some_and(|process| process.started_by() <= read)
        && !sys.call("poll", |k, _| k.has_ended(handle)).await
    {
        return Some((pid(holder), handle));
    }
    sys.call("close", |k, own| k.close(own, handle)).await;
    None
}

/// `holder::hold`
async fn hold(sys: &Sys, dir: usize) -> Option<(Pid, Open)> {
    let lock = Kind::Lock(dir);
    let holder = sys.call("read /proc/locks", |k, _| k.lock_holder(lock)).await?;
    let handle = sys.call("pidfd_open", |k, own| k.hold(own, holder)).await?;
    let still = sys.call("read /proc/locks", |k, _| k.lock_holder(lock)).await == Some(holder);
    if still && !sys.call("poll", |k, _| k.has_ended(handle)).await {
        return Some((pid(holder), handle));
    }
    sys.call("close", |k, own| k.close(own, handle)).await;
    None
}

/// The closure in `Scanner::spawn`.
pub(crate) async fn new_supervise(sys: Sys, dir: usize, pipe: Option<Open>) -> u8 {
    if let Some(end) = pipe {
        sys.call("dup2", |k, own| k.replace(own, dir.is_multiple_of(2), end)).await;
    }
    sys.idle("chdir").await;
    sys.call("give back signals", |k, own| k.unblock(own)).await;
    sys.exec(Program::Supervise { dir, upgraded: None }, false).await
}
