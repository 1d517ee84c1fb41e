//! svscan's table of services.
//!
//! A service is identified by its directory (`Id`: device, inode, time of birth). Two names for one
//! directory are one service, and a renamed link changes nothing. [`Roster`] finds the slots that an
//! event is for, and keeps names, processes and timers; `slot.rs` decides for a single service.

use super::slot::{Action, Actions, Contents, Context, Slot, SlotEvent, SlotNo, SlotPhase};
use super::supervise_process::{ProcessEvent, SuperviseRole};
use super::timers::SlotTimers;
use crate::supervise::ESSENTIAL_ENDED;
use crate::time::Instant;
use crate::{Ended, Pid};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// Time between two rounds of [`Action::Kill`], once a stop has taken too long.
pub const KILL_INTERVAL: Duration = Duration::from_secs(5);

/// When a stop that goes on is reported.
pub const STOP_REPORT: Duration = Duration::from_secs(5);

/// An event for the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RosterEvent<'a, Id> {
    /// A name leads to this directory.
    Seen(&'a [u8], Id, Contents),
    /// A name leads to no directory.
    Lost(&'a [u8]),
    /// The look at a name failed, with an error that does not mean "gone".
    Unsure(&'a [u8]),
    /// The answer to [`Action::Spawn`].
    Spawned(SlotNo, SuperviseRole, Pid),
    /// The answer to [`Action::Spawn`].
    SpawnFailed(SlotNo, SuperviseRole),
    /// The answer to [`Action::Spawn`]: the name does not lead to the directory any more.
    NotSpawned(SlotNo, SuperviseRole),
    /// The answer to [`Action::CheckInput`].
    Unread(SlotNo),
    /// The answer to [`Action::CheckInput`].
    AllRead(SlotNo),
    /// A process has ended.
    Ended(Pid, Ended),
    /// A supervise has ended because its essential service has ended for good: stop all services, then
    /// exit.
    EndedForGood(Pid),
    /// Time has passed.
    Tick,
    /// Stop all services, then exit. May come several times.
    Stop,
}

/// An order to svscan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RosterEffect {
    /// An action for one service.
    For(SlotNo, Action),
    /// The stop takes long: print for which processes it waits. [`Roster::late`] has them.
    ReportStop,
    /// Exit.
    Exit,
}

/// The part of a service directory that may not be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The service was started with its logger, or stops.
    Nothing,
    /// The service was started without a logger.
    Logger,
    /// The service is unknown, or was not started under its present names.
    Everything,
}

/// A name in the scan directory.
#[derive(Clone, Copy, Debug)]
struct Name {
    slot: SlotNo,
    /// The number of the last scan that saw it.
    scan: u64,
}

/// The stop of everything.
#[derive(Clone, Copy, Debug)]
struct Stop {
    requested: bool,
    /// How long it may take.
    timeout: Option<Duration>,
    /// When the supervise processes that still run are to kill their services.
    kill_due: Option<Instant>,
    /// When the processes that still run are to be named.
    report_due: Option<Instant>,
}

/// How many slots there are of some kinds. Leaving and waiting slots are rare: a count of zero saves
/// a search.
#[derive(Clone, Copy, Debug)]
struct Counts {
    used: usize,
    leaving: usize,
    waiting: usize,
}

impl Counts {
    /// Adds a slot.
    fn add<Id>(&mut self, slot: &Slot<Id>) {
        self.used += 1;
        self.leaving += usize::from(slot.is_leaving());
        self.waiting += usize::from(slot.is_waiting());
    }

    /// Subtracts a slot: in the state in which it was added.
    fn subtract<Id>(&mut self, slot: &Slot<Id>) {
        self.used -= 1;
        self.leaving -= usize::from(slot.is_leaving());
        self.waiting -= usize::from(slot.is_waiting());
    }
}

/// All services. `Id` identifies a directory.
#[derive(Clone, Debug)]
pub struct Roster<Id> {
    slots: Vec<Option<Slot<Id>>>,
    free: Vec<SlotNo>,
    by_id: BTreeMap<Id, SlotNo>,
    by_name: BTreeMap<Box<[u8]>, Name>,
    by_pid: BTreeMap<Pid, (SlotNo, SuperviseRole)>,
    timers: SlotTimers,
    counts: Counts,
    /// The number of the current scan.
    scan: u64,
    /// A service without a name keeps running.
    keep: bool,
    stop: Stop,
    own_logger: Option<SlotNo>,
}

impl<Id: Ord + Copy> Roster<Id> {
    /// An empty roster. With `keep`, a service without a name keeps running.
    #[must_use]
    pub const fn new(keep: bool) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_pid: BTreeMap::new(),
            timers: SlotTimers::new(),
            counts: Counts { used: 0, leaving: 0, waiting: 0 },
            scan: 0,
            keep,
            stop: Stop { requested: false, timeout: None, kill_due: None, report_due: None },
            own_logger: None,
        }
    }

    /// Limits the time of a stop. Then every supervise that still runs gets [`Action::Kill`].
    pub const fn set_stop_timeout(&mut self, timeout: Duration) {
        self.stop.timeout = Some(timeout);
    }

    /// The limit of the time of a stop.
    #[must_use]
    pub const fn stop_timeout(&self) -> Option<Duration> {
        self.stop.timeout
    }

    /// The service in a slot.
    #[must_use]
    pub fn slot(&self, no: SlotNo) -> Option<&Slot<Id>> {
        self.slots.get(no.0)?.as_ref()
    }

    /// All services.
    pub fn slots(&self) -> impl Iterator<Item = (SlotNo, &Slot<Id>)> {
        self.slots.iter().enumerate().filter_map(|(n, slot)| Some((SlotNo(n), slot.as_ref()?)))
    }

    /// What of a service directory another program may still be making.
    #[must_use]
    pub fn unfinished(&self, id: Id) -> Unfinished {
        let Some(slot) = self.by_id.get(&id).and_then(|no| self.slot(*no)) else {
            return Unfinished::Everything;
        };
        match slot.phase() {
            SlotPhase::Waiting | SlotPhase::Settling { .. } => Unfinished::Everything,
            SlotPhase::Active if !slot.has_logger() => Unfinished::Logger,
            _ => Unfinished::Nothing,
        }
    }

    /// The service and role of a supervise.
    #[must_use]
    pub fn service_of(&self, pid: Pid) -> Option<(SlotNo, SuperviseRole)> {
        self.by_pid.get(&pid).copied()
    }

    /// All running supervise processes.
    pub fn supervises(&self) -> impl Iterator<Item = Pid> {
        self.by_pid.keys().copied()
    }

    /// Whether [`RosterEvent::Stop`] has come.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stop.requested
    }

    /// Whether no service is stopping or waits for another one. Only then can a new svscan find out
    /// the state of all services by itself.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let rests = |slot: &Slot<Id>| !slot.is_waiting() && !slot.is_stopping();
        !self.stop.requested && self.slots().all(|(_, slot)| rests(slot))
    }

    /// When the next [`RosterEvent::Tick`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let stop = self.stop.kill_due.into_iter().chain(self.stop.report_due);
        self.timers.first().into_iter().chain(stop).min()
    }

    /// Makes this directory the logger of svscan's own messages: started first, stopped last. Returns
    /// its slot.
    pub fn add_own_logger(
        &mut self,
        name: &[u8],
        id: Id,
        now: Instant,
        out: &mut Vec<RosterEffect>,
    ) -> SlotNo {
        let no = self.add(Slot::new_own_logger(name, id, now));
        self.own_logger = Some(no);
        self.step_slot(
            no,
            SlotEvent::Seen(Contents { log: true, run: true, quiet_in: None }),
            now,
            out,
        );
        no
    }

    /// Begins a scan of the whole directory.
    pub const fn begin_scan(&mut self) {
        self.scan += 1;
    }

    /// Ends a complete scan: the names that it did not see are gone.
    pub fn end_scan(&mut self, now: Instant, out: &mut Vec<RosterEffect>) {
        let scan = self.scan;
        let gone: Vec<Box<[u8]>> = self
            .by_name
            .iter()
            .filter(|(_, entry)| entry.scan != scan)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.step(RosterEvent::Lost(&name), now, out);
        }
    }

    /// Takes one event, and appends the effects to `out`, in order.
    pub fn step(&mut self, event: RosterEvent<'_, Id>, now: Instant, out: &mut Vec<RosterEffect>) {
        match event {
            RosterEvent::Seen(name, id, contents) => self.see_name(name, id, contents, now, out),
            RosterEvent::Lost(name) => {
                if let Some(entry) = self.by_name.remove(name) {
                    self.remove_name(entry.slot, name, SlotEvent::Unlinked, now, out);
                }
            }
            RosterEvent::Unsure(name) => {
                let scan = self.scan;
                if let Some(entry) = self.by_name.get_mut(name) {
                    entry.scan = scan;
                    let no = entry.slot;
                    self.step_slot(no, SlotEvent::Unsure, now, out);
                }
            }
            RosterEvent::Spawned(no, role, pid) => {
                self.by_pid.insert(pid, (no, role));
                self.step_slot(no, SlotEvent::Process(role, ProcessEvent::Spawned(pid)), now, out);
            }
            RosterEvent::SpawnFailed(no, role) => {
                self.step_slot(no, SlotEvent::Process(role, ProcessEvent::SpawnFailed), now, out);
            }
            RosterEvent::NotSpawned(no, role) => {
                self.step_slot(no, SlotEvent::Process(role, ProcessEvent::NotSpawned), now, out);
            }
            RosterEvent::Unread(no) => self.step_slot(no, SlotEvent::Unread, now, out),
            RosterEvent::AllRead(no) => self.step_slot(no, SlotEvent::AllRead, now, out),
            RosterEvent::Ended(pid, how) => {
                if let Some((no, role)) = self.by_pid.remove(&pid) {
                    let event = SlotEvent::Process(role, ProcessEvent::Ended(how));
                    self.step_slot(no, event, now, out);
                }
            }
            RosterEvent::EndedForGood(pid) => self.end_for_good(pid, now, out),
            RosterEvent::Tick => self.tick(now, out),
            RosterEvent::Stop => self.stop(now, out),
        }
    }

    fn see_name(
        &mut self,
        name: &[u8],
        id: Id,
        contents: Contents,
        now: Instant,
        out: &mut Vec<RosterEffect>,
    ) {
        if self.stop.requested {
            return;
        }
        let scan = self.scan;
        let mut predecessor = None;
        if let Some(entry) = self.by_name.get_mut(name) {
            entry.scan = scan;
            let no = entry.slot;
            if let Some(slot) = self.slot_mut(no).filter(|slot| slot.id == id) {
                slot.set_name(name);
                self.step_slot(no, SlotEvent::Seen(contents), now, out);
                return;
            }
            self.by_name.remove(name);
            predecessor = self.replace_name(no, name, now, out);
        } else if self.counts.leaving > 0 {
            predecessor = self.replace_leaving(name, id, now, out);
        }
        let known = self.by_id.get(&id).copied();
        if let Some(slot) = known.and_then(|no| self.slot_mut(no)) {
            slot.names += 1;
            slot.set_name(name);
        }
        let no = known.unwrap_or_else(|| {
            // With `keep` the predecessor keeps running.
            let waits_for = predecessor.filter(|&no| !self.keep && self.slot(no).is_some());
            self.add(Slot::new(name, id, waits_for, now))
        });
        self.by_name.insert(name.into(), Name { slot: no, scan });
        self.step_slot(no, SlotEvent::Seen(contents), now, out);
        self.rename_supervise(no, out);
    }

    /// Makes a supervise take the present name of its service if the one with which it was started is
    /// gone.
    fn rename_supervise(&mut self, no: SlotNo, out: &mut Vec<RosterEffect>) {
        let by_name = &self.by_name;
        let is_gone = |name: &[u8]| by_name.get(name).is_none_or(|entry| entry.slot != no);
        let slot = self.slots.get_mut(no.0).and_then(Option::as_mut);
        let rename = slot.and_then(|slot| slot.take_rename(is_gone));
        out.extend(rename.map(|action| RosterEffect::For(no, action)));
    }

    /// The name of a slot leads to another directory now. Returns the slot that the new directory has
    /// to wait for.
    fn replace_name(
        &mut self,
        no: SlotNo,
        name: &[u8],
        now: Instant,
        out: &mut Vec<RosterEffect>,
    ) -> Option<SlotNo> {
        // The successor of a waiting slot waits for the same slot.
        let waits_for = self.slot(no).and_then(|slot| slot.waits_for);
        self.remove_name(no, name, SlotEvent::Replaced, now, out);
        // A service that has another name stays.
        waits_for.or_else(|| self.slot(no).is_some_and(|slot| slot.names == 0).then_some(no))
    }

    /// Stops the leaving service whose last name was `name`: that name leads to another directory now.
    fn replace_leaving(
        &mut self,
        name: &[u8],
        id: Id,
        now: Instant,
        out: &mut Vec<RosterEffect>,
    ) -> Option<SlotNo> {
        let is_predecessor = |slot: &Slot<Id>| {
            slot.is_leaving() && slot.names == 0 && slot.name() == name && slot.id != id
        };
        let (no, _) = self.slots().find(|(_, slot)| is_predecessor(slot))?;
        self.step_slot(no, SlotEvent::Replaced, now, out);
        Some(no)
    }

    /// Takes a name from a slot. `event` is for the slot if that was its last name.
    fn remove_name(
        &mut self,
        no: SlotNo,
        name: &[u8],
        event: SlotEvent,
        now: Instant,
        out: &mut Vec<RosterEffect>,
    ) {
        let Some(slot) = self.slot_mut(no) else {
            return;
        };
        slot.names = slot.names.saturating_sub(1);
        if slot.names == 0 {
            self.step_slot(no, event, now, out);
            return;
        }
        if slot.name() == name {
            let other = self.by_name.iter().find(|(_, entry)| entry.slot == no);
            let other = other.map(|(name, _)| name.clone());
            if let (Some(other), Some(slot)) = (other, self.slot_mut(no)) {
                slot.set_name(&other);
                // A start may be due that the look at the removed name was to answer.
                self.step_slot(no, SlotEvent::Tick, now, out);
            }
        }
        self.rename_supervise(no, out);
    }

    fn slot_mut(&mut self, no: SlotNo) -> Option<&mut Slot<Id>> {
        self.slots.get_mut(no.0)?.as_mut()
    }

    fn add(&mut self, slot: Slot<Id>) -> SlotNo {
        let no = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            SlotNo(self.slots.len() - 1)
        });
        self.counts.add(&slot);
        self.by_id.insert(slot.id, no);
        if let Some(place) = self.slots.get_mut(no.0) {
            *place = Some(slot);
        }
        no
    }

    /// Steps a slot, and updates timers, counts and waiting slots.
    fn step_slot(
        &mut self,
        no: SlotNo,
        event: SlotEvent,
        now: Instant,
        out: &mut Vec<RosterEffect>,
    ) {
        let context = Context { now, keep: self.keep, stopping: self.stop.requested };
        let Some(slot) = self.slots.get_mut(no.0).and_then(Option::as_mut) else {
            return;
        };
        let was_leaving = slot.is_leaving();
        self.counts.subtract(slot);
        let actions: Actions = slot.step(event, context);
        self.counts.add(slot);
        let has = |action| actions.contains(&Some(action));
        // The answer to a look comes at once, so that it needs no timer.
        let timer = if has(Action::Look) { None } else { slot.deadline() };
        let old_timer = core::mem::replace(&mut slot.timer, timer);
        self.timers.replace(no, old_timer, timer);
        let settles_again = was_leaving && matches!(slot.phase(), SlotPhase::Settling { .. });
        out.extend(actions.into_iter().flatten().map(|action| RosterEffect::For(no, action)));
        if has(Action::Forget) {
            self.free_slot(no, now, out);
        } else if settles_again {
            self.release_waiting(no, now, out);
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<RosterEffect>) {
        while let Some(no) = self.timers.pop_due(now) {
            if let Some(slot) = self.slot_mut(no) {
                slot.timer = None;
            }
            self.step_slot(no, SlotEvent::Tick, now, out);
        }
        if self.stop.kill_due.is_some_and(|due| due <= now) {
            self.stop.kill_due = Some(now + KILL_INTERVAL);
            // The warnings name them.
            self.stop.report_due = None;
            out.extend(
                self.late().map(|(no, role, pid)| RosterEffect::For(no, Action::Kill(role, pid))),
            );
        }
        if self.stop.report_due.take_if(|due| *due <= now).is_some() && self.late().next().is_some()
        {
            out.push(RosterEffect::ReportStop);
        }
    }

    /// The supervise processes that a stop waits for.
    pub fn late(&self) -> impl Iterator<Item = (SlotNo, SuperviseRole, Pid)> {
        self.slots().filter_map(|(no, slot)| {
            let (role, pid) = slot.late_process()?;
            Some((no, role, pid))
        })
    }

    /// The service of this supervise goes first: it restarts no more, and its logger reads the rest.
    fn end_for_good(&mut self, pid: Pid, now: Instant, out: &mut Vec<RosterEffect>) {
        self.begin_stop(now);
        if let Some((no, role)) = self.by_pid.remove(&pid) {
            let ended = Ended::Exited(ESSENTIAL_ENDED);
            let event = SlotEvent::Process(role, ProcessEvent::Ended(ended));
            self.step_slot(no, event, now, out);
        }
        self.stop_services(now, out, |slot| !slot.is_stopping());
    }

    fn stop(&mut self, now: Instant, out: &mut Vec<RosterEffect>) {
        self.begin_stop(now);
        let own_logger = self.own_logger;
        // With services, the end of the last one exits.
        if self.slots().all(|(no, _)| Some(no) == own_logger) {
            self.exit_if_empty(now, out);
        }
        self.stop_services(now, out, |_| true);
    }

    fn begin_stop(&mut self, now: Instant) {
        if !self.stop.requested {
            self.stop.report_due = Some(now + STOP_REPORT);
        }
        self.stop.requested = true;
        self.stop.kill_due = self.stop.kill_due.or_else(|| Some(now + self.stop.timeout?));
    }

    /// Stops the services that `wanted` selects: all but the own logger.
    fn stop_services(
        &mut self,
        now: Instant,
        out: &mut Vec<RosterEffect>,
        wanted: impl Fn(&Slot<Id>) -> bool,
    ) {
        let own_logger = self.own_logger;
        let services: Vec<SlotNo> =
            self.slots().map(|(no, _)| no).filter(|&no| Some(no) != own_logger).collect();
        for no in services {
            if !self.slot(no).is_some_and(&wanted) {
                continue;
            }
            self.step_slot(no, SlotEvent::Stop, now, out);
        }
    }

    fn free_slot(&mut self, no: SlotNo, now: Instant, out: &mut Vec<RosterEffect>) {
        let Some(slot) = self.slots.get_mut(no.0).and_then(Option::take) else {
            return;
        };
        self.free.push(no);
        self.counts.subtract(&slot);
        if self.own_logger == Some(no) {
            self.own_logger = None;
        }
        self.by_id.remove(&slot.id);
        self.timers.replace(no, slot.timer, None);
        if slot.names > 0 {
            self.by_name.retain(|_, entry| entry.slot != no);
        }
        self.release_waiting(no, now, out);
        self.exit_if_empty(now, out);
    }

    /// Releases the slots that wait for this one.
    fn release_waiting(&mut self, no: SlotNo, now: Instant, out: &mut Vec<RosterEffect>) {
        if self.counts.waiting == 0 {
            return;
        }
        let waiting: Vec<SlotNo> =
            self.slots().filter(|(_, s)| s.waits_for == Some(no)).map(|(no, _)| no).collect();
        for waiting in waiting {
            if let Some(slot) = self.slot_mut(waiting) {
                slot.waits_for = None;
            }
            self.step_slot(waiting, SlotEvent::Released, now, out);
        }
    }

    /// During a stop: stops the own logger when it is the last slot, and exits when none is left.
    fn exit_if_empty(&mut self, now: Instant, out: &mut Vec<RosterEffect>) {
        if !self.stop.requested {
            return;
        }
        match (self.counts.used, self.own_logger) {
            (0, _) => {
                self.stop.kill_due = None;
                self.stop.report_due = None;
                out.push(RosterEffect::Exit);
            }
            (1, Some(own_logger)) => self.step_slot(own_logger, SlotEvent::Stop, now, out),
            _ => {}
        }
    }
}
