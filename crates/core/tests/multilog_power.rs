//! A log directory whose machine loses power after any single operation.
//!
//! The model keeps beside what a program sees what may be on disk. Writing, until the file is
//! synced, may be lost from its end on. What is done to the directory and to modes is lost from
//! the end on as well, in order, as file systems with a journal do it. Syncing a file may or may
//! not write the journal. Whatever the moment: what was in `current` when it was synced is there,
//! nothing is there twice or out of order, and files called safe are whole.

use daemontools_core::multilog::batch::{Batch, Mark};
use daemontools_core::multilog::directory::{
    Code, Directory, File, Keep, OldName, Progress, Stat, Step, Store, surplus,
};
use daemontools_core::multilog::script::Settings;
use daemontools_core::tai::Tai64n;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The bytes of a file, each as its number among all that were ever written.
type Data = Vec<usize>;

#[derive(Clone, Debug, Default)]
struct Node {
    data: Data,
    /// What is on disk for certain.
    synced: Data,
}

/// What an interrupted journal may say.
#[derive(Clone, Debug, Default)]
struct Journal {
    names: BTreeMap<Vec<u8>, usize>,
    /// The files whose mode says that they are complete.
    complete: BTreeMap<usize, bool>,
    /// What was written to a file after a mode which this one does not know, it does not know
    /// either.
    most: BTreeMap<usize, usize>,
}

/// Why an operation failed: the logger is dead, or something is in its way for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Dead,
    Passing,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    nodes: Vec<Node>,
    /// The directory as it was after each operation which may not have reached the disk, and
    /// before the first of them. The last one is what a program sees.
    journal: Vec<Journal>,
    /// Syncing a file makes the names durable, too.
    names_follow_files: bool,
    current: Option<usize>,
    /// How many operations are left to the logger.
    left: usize,
    /// Operations that fail once although the logger lives on, by their number from now.
    failing: Vec<usize>,
    /// How many bytes were written, from the beginning.
    written: usize,
    /// The bytes which were in `current` when it was synced, and its name was.
    promised: Vec<usize>,
    processing: bool,
    /// The marks since the boot, and one of an earlier boot perhaps.
    marks: Vec<Mark>,
    /// How often the machine was started.
    boot: u64,
}

impl Disk {
    fn new(names_follow_files: bool) -> Self {
        Self { journal: vec![Journal::default()], names_follow_files, ..Self::default() }
    }

    fn operation(&mut self) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Dead)?;
        let fails = self.failing.contains(&0);
        self.failing.retain(|n| *n != 0);
        self.failing.iter_mut().for_each(|n| *n -= 1);
        if fails { Err(Fault::Passing) } else { Ok(()) }
    }

    fn seen(&self) -> &Journal {
        self.journal.last().expect("there is always one")
    }

    fn node(&self, file: File) -> Option<usize> {
        self.seen().names.get(file.name().as_bytes()).copied()
    }

    fn is_complete(&self, node: usize) -> bool {
        self.seen().complete.get(&node) == Some(&true)
    }

    /// Does something to the directory.
    fn enter(&mut self, change: impl FnOnce(&mut Journal)) {
        let mut next = Journal { most: BTreeMap::new(), ..self.seen().clone() };
        change(&mut next);
        self.journal.push(next);
    }

    fn set_mode(&mut self, node: usize, complete: bool) {
        let length = self.nodes[node].data.len();
        for earlier in &mut self.journal {
            let most = earlier.most.entry(node).or_insert(length);
            *most = length.min(*most);
        }
        self.enter(|journal| {
            journal.complete.insert(node, complete);
        });
    }

    fn create(&mut self, file: File) -> usize {
        self.node(file).unwrap_or_else(|| {
            self.nodes.push(Node::default());
            let node = self.nodes.len() - 1;
            self.enter(|journal| {
                journal.names.insert(file.name().into(), node);
            });
            node
        })
    }

    fn unlink(&mut self, name: &[u8]) {
        if self.seen().names.contains_key(name) {
            self.enter(|journal| {
                journal.names.remove(name);
            });
        }
    }

    /// What fsync does to a file.
    fn sync(&mut self, node: usize) {
        self.nodes[node].synced = self.nodes[node].data.clone();
        let complete = self.is_complete(node);
        for journal in &mut self.journal {
            journal.complete.insert(node, complete);
            journal.most.remove(&node);
        }
        if self.names_follow_files {
            self.commit();
        }
    }

    /// What is in the file in use is on disk, and so is its name.
    fn promise(&mut self) {
        if let Some(current) = self.current {
            self.promised.extend(self.nodes[current].synced.iter().copied());
        }
    }

    /// What fsync does to a directory.
    fn commit(&mut self) {
        self.journal.drain(..self.journal.len() - 1);
    }

    /// Power is lost: `choose` gives a number from 0 to its argument.
    fn lose_power(&mut self, mut choose: impl FnMut(usize) -> usize) {
        let kept = self.journal[choose(self.journal.len() - 1)].clone();
        for (n, node) in self.nodes.iter_mut().enumerate() {
            let most = kept.most.get(&n).copied().unwrap_or(usize::MAX).min(node.data.len());
            if node.data.starts_with(&node.synced) {
                let least = node.synced.len();
                node.data.truncate(least + choose(most.saturating_sub(least)));
            } else if choose(1) == 0 {
                // It was emptied, and that is lost.
                node.data = node.synced.clone();
            } else {
                node.data.truncate(choose(most));
            }
            node.synced = node.data.clone();
        }
        self.journal = vec![Journal { most: BTreeMap::new(), ..kept }];
        // No pipe outlives the power, but any mark may.
        self.marks.truncate(choose(self.marks.len()));
        self.boot += 1;
    }

    /// What the processor does: it copies, in steps between which a crash may come.
    fn run_processor(&mut self) -> Result<(), Fault> {
        let previous = self.node(File::Previous).expect("the processor has its input");
        let processed = self.create(File::Processed);
        self.nodes[processed].data.clear();
        self.operation()?;
        self.nodes[processed].data = self.nodes[previous].data.clone();
        self.create(File::NewState);
        self.operation()
    }

    fn old(&self) -> Vec<(&Vec<u8>, usize)> {
        let names = self.seen().names.iter();
        names.filter(|(name, _)| name.starts_with(b"@")).map(|(name, n)| (name, *n)).collect()
    }

    /// All that is in the logs, oldest first. A file with two names is there once.
    fn everything(&self) -> Data {
        let mut files: Vec<usize> = Vec::new();
        // A processed file and what it was made of are the same lines.
        let behind = match (self.node(File::Processed), self.node(File::Previous)) {
            (Some(processed), _) if self.is_complete(processed) => Some(processed),
            (_, previous) => previous,
        };
        let old = self.old().into_iter().map(|(_, node)| node);
        for node in old.chain(behind).chain(self.node(File::Current)) {
            if !files.contains(&node) {
                files.push(node);
            }
        }
        files.iter().flat_map(|n| self.nodes[*n].data.clone()).collect()
    }

    /// The names, with sizes and the numbers of the first bytes, for a failure's message.
    fn listing(&self) -> String {
        let names = self.seen().names.iter().map(|(name, n)| {
            let (name, data) = (String::from_utf8_lossy(name), &self.nodes[*n].data);
            let complete = self.is_complete(*n);
            format!("{name} {} bytes from {:?} {complete}; ", data.len(), data.first())
        });
        names.collect()
    }

    /// What is wrong, if something is.
    fn fault(&self, size: u64) -> Option<String> {
        let all = self.everything();
        let fault = |text: String| Some(format!("{text}: {}", self.listing()));
        if let Some(pair) = all.windows(2).find(|pair| pair[0] >= pair[1]) {
            return fault(format!("{} comes before {}", pair[0], pair[1]));
        }
        if let Some(lost) = self.promised.iter().find(|n| all.binary_search(n).is_err()) {
            return fault(format!("{lost} is lost"));
        }
        for (name, node) in self.old() {
            let data = &self.nodes[node].data;
            if data.len() as u64 > size {
                return fault(format!("{} is too long", String::from_utf8_lossy(name)));
            }
            let in_a_row = data.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            if name.ends_with(b".s") && !(self.is_complete(node) && in_a_row) {
                return fault(format!("{} is not whole", String::from_utf8_lossy(name)));
            }
        }
        None
    }
}

impl Store for Disk {
    type Error = Fault;

    fn stat(&mut self, file: File) -> Result<Option<Stat>, Fault> {
        self.operation()?;
        Ok(self.node(file).map(|n| Stat {
            complete: self.is_complete(n),
            links: self.seen().names.values().filter(|other| **other == n).count() as u64,
            size: self.nodes[n].data.len() as u64,
            inode: n as u64 + 1,
            modified: 0,
        }))
    }

    fn open_current(&mut self) -> Result<u64, Fault> {
        self.operation()?;
        let current = self.create(File::Current);
        self.current = Some(current);
        Ok(current as u64 + 1)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.operation()?;
        // Short writes are normal.
        let n = bytes.len().min(700);
        let current = self.current.expect("current is open");
        self.nodes[current].data.extend(self.written..self.written + n);
        self.written += n;
        Ok(n)
    }

    fn sync_current(&mut self) -> Result<(), Fault> {
        self.operation()?;
        let current = self.current.expect("current is open");
        self.sync(current);
        if self.names_follow_files {
            self.promise();
        }
        Ok(())
    }

    fn sync_names(&mut self) -> Result<(), Fault> {
        self.operation()?;
        self.commit();
        self.promise();
        Ok(())
    }

    fn set_mode_of_current(&mut self, complete: bool) -> Result<(), Fault> {
        self.operation()?;
        let current = self.current.expect("current is open");
        self.set_mode(current, complete);
        Ok(())
    }

    fn complete_previous(&mut self) -> Result<(), Fault> {
        self.operation()?;
        let previous = self.node(File::Previous).expect("previous is there");
        self.set_mode(previous, true);
        Ok(())
    }

    fn rename(&mut self, from: File, to: File) -> Result<(), Fault> {
        self.operation()?;
        self.enter(|journal| {
            let node = journal.names.remove(from.name().as_bytes()).expect("it is there");
            let over = journal.names.insert(to.name().into(), node);
            assert!(to == File::State || over.is_none(), "{to:?} was overwritten");
        });
        Ok(())
    }

    fn link(&mut self, file: File, name: &OldName) -> Result<(), Fault> {
        self.operation()?;
        let node = self.node(file).expect("it is there");
        let on_disk = self.nodes[node].synced == self.nodes[node].data;
        assert!(
            on_disk || name.code == Code::Unfinished,
            "{file:?} is called safe and is not on disk"
        );
        self.enter(|journal| {
            assert_eq!(journal.names.insert(name.text(b"s"), node), None, "the name is new");
        });
        Ok(())
    }

    fn remove(&mut self, file: File) -> Result<(), Fault> {
        self.operation()?;
        self.unlink(file.name().as_bytes());
        Ok(())
    }

    fn truncate(&mut self, file: File) -> Result<(), Fault> {
        self.operation()?;
        let node = self.create(file);
        self.nodes[node].data.clear();
        Ok(())
    }

    fn settle(&mut self, file: File, complete: bool) -> Result<(), (Step, Fault)> {
        // Three operations, and any of them may be the last.
        let step = |disk: &mut Self, step| disk.operation().map_err(|fault| (step, fault));
        step(self, Step::Create(file))?;
        let node = self.create(file);
        step(self, Step::Sync(file))?;
        self.sync(node);
        if complete {
            step(self, Step::Mode(file))?;
            self.set_mode(node, true);
        }
        Ok(())
    }

    fn newest(&mut self) -> Result<Option<Tai64n>, Fault> {
        self.operation()?;
        Ok(self.seen().names.keys().filter_map(|name| Tai64n::from_label(name)).max())
    }

    fn prune(&mut self, keep: &Keep) -> Result<(), Fault> {
        self.operation()?;
        let files = self.seen().names.keys().map(|name| (name.clone(), 0)).collect();
        let kept = keep.name.map(|name| name.text(b"s"));
        for name in surplus(files, keep, kept.as_deref()) {
            self.unlink(&name);
        }
        Ok(())
    }

    fn mark(&mut self, mark: &Mark, _: Option<&[u8]>) -> Result<(), Fault> {
        self.operation()?;
        self.marks.push(*mark);
        Ok(())
    }

    fn read_mark(&mut self) -> Result<Option<(Mark, Vec<u8>)>, Fault> {
        self.operation()?;
        Ok(self.marks.last().map(|mark| (*mark, Vec::new())))
    }

    fn start_processor(&mut self) -> Result<(), Fault> {
        self.operation()?;
        self.processing = true;
        Ok(())
    }
}

/// A clock that never shows the same time twice.
struct Clock(i64);

impl Clock {
    fn now(&mut self) -> Tai64n {
        self.0 += 1;
        Tai64n::from_unix(self.0, 500)
    }
}

fn work(directory: &mut Directory, disk: &mut Disk, clock: &mut Clock) -> Result<(), Fault> {
    loop {
        match directory.work(disk, clock.now()) {
            Ok(Progress::Done) => return Ok(()),
            Ok(Progress::Waiting) => end_processor(directory, disk)?,
            Err(trouble) if trouble.error == Fault::Passing => {}
            Err(_) => return Err(Fault::Dead),
        }
    }
}

fn end_processor(directory: &mut Directory, disk: &mut Disk) -> Result<(), Fault> {
    assert!(disk.processing, "waiting for a processor that does not run");
    disk.processing = false;
    match disk.run_processor() {
        Ok(()) => directory.processor_ended(true),
        Err(Fault::Passing) => directory.processor_ended(false),
        Err(Fault::Dead) => return Err(Fault::Dead),
    }
    Ok(())
}

/// One life of a logger: it recovers, writes lines while it can, and ends well if it may. Gives
/// how many lines it had taken.
fn live(disk: &mut Disk, settings: &Settings<'_>, lines: &[Vec<u8>], clock: &mut Clock) -> usize {
    let mut directory = Directory::new(settings, Some(disk.boot));
    disk.current = None;
    disk.processing = false;
    let mut taken = 0;
    let mut life = || -> Result<(), Fault> {
        while let Err((_, trouble)) = directory.recover(disk, clock.now()) {
            if trouble.error == Fault::Dead {
                return Err(Fault::Dead);
            }
        }
        let marked = directory.left().map(|_| disk.marks.last().map(|mark| mark.source));
        assert!(marked.is_none_or(|source| source == Some(disk.boot)), "a mark of another boot");
        for line in lines {
            let batch =
                Batch { length: line.len() as u64, digest: taken as u64, moment: clock.now() };
            while directory.begin_batch(disk, batch, &[], 0).is_err_and(|f| f == Fault::Passing) {}
            directory.add(line);
            taken += 1;
            work(&mut directory, disk, clock)?;
            let _ = directory.end_batch(disk);
            // The processor takes its time.
            if disk.processing && taken % 3 == 0 {
                end_processor(&mut directory, disk)?;
            }
        }
        work(&mut directory, disk, clock)?;
        while directory.is_processing() {
            end_processor(&mut directory, disk)?;
            work(&mut directory, disk, clock)?;
        }
        // As the program does it, whatever becomes of it.
        let synced = [disk.sync_current(), disk.sync_names()];
        if synced.contains(&Err(Fault::Dead)) {
            return Err(Fault::Dead);
        }
        disk.set_mode_of_current(true)
    };
    let _ = life();
    taken
}

/// How a life ends.
#[derive(Clone, Debug)]
struct End {
    /// After how many operations it does, if it is not over before.
    operations: usize,
    /// Whether power is lost and not the process killed.
    power: bool,
    /// What is lost then.
    luck: u64,
}

fn ends() -> impl Strategy<Value = Vec<End>> {
    let end = (0_usize..90, prop::bool::weighted(0.8), any::<u64>())
        .prop_map(|(operations, power, luck)| End { operations, power, luck });
    prop::collection::vec(end, 0..6)
}

/// Numbers up to a limit; those at the ends come often.
fn chooser(mut luck: u64) -> impl FnMut(usize) -> usize {
    move |limit| {
        luck = luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = usize::try_from(luck >> 33).expect("small");
        match number % 4 {
            0 => 0,
            1 => limit,
            _ => number / 4 % (limit + 1),
        }
    }
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let length = prop_oneof![4 => 1_usize..200, 1 => 1000_usize..3000];
    let line = length.prop_map(|n| [vec![b'x'; n - 1], b"\n".to_vec()].concat());
    prop::collection::vec(line, 1..60)
}

/// Lives through all of it, and gives what was wrong after one of the lives.
fn through(
    disk: &mut Disk,
    settings: &Settings<'_>,
    lines: &[Vec<u8>],
    ends: &[End],
    after: impl Fn(&Disk) -> Option<String>,
) -> Option<String> {
    let (mut clock, mut next) = (Clock(0), 0);
    let calm = disk.failing.is_empty();
    for end in ends {
        disk.left = end.operations;
        next += live(disk, settings, &lines[next..], &mut clock);
        if end.power {
            disk.lose_power(chooser(end.luck));
        }
        if let Some(fault) = after(disk) {
            return Some(fault);
        }
    }
    disk.left = usize::MAX;
    live(disk, settings, &lines[next..], &mut clock);
    let stays = [File::Previous, File::Processed].iter().any(|file| disk.node(*file).is_some());
    let current = disk.node(File::Current).expect("there is one at the end");
    if calm && stays {
        return Some(format!("something stays: {}", disk.listing()));
    }
    if calm && !disk.is_complete(current) {
        return Some(format!("it is not complete: {}", disk.listing()));
    }
    after(disk)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_synced_is_there_once_whenever_power_is_lost(
        lines in lines(),
        size in 4096_u64..9000,
        processor in any::<bool>(),
        names_follow_files in any::<bool>(),
        ends in ends(),
        failing in prop::collection::vec(0_usize..200, 0..4),
    ) {
        // More files than there will be, so that nothing is removed for its age.
        let command: Option<&[u8]> = processor.then_some(b"cat");
        let settings = Settings { size, files: 1000, processor: command, ..Settings::default_for(b".") };
        let mut disk = Disk { failing, ..Disk::new(names_follow_files) };
        let fault = through(&mut disk, &settings, &lines, &ends, |disk| disk.fault(size));
        prop_assert_eq!(fault, None);
    }

    #[test]
    fn there_are_no_more_files_than_asked_for_after_power_was_lost(
        lines in lines(),
        files in 2_u64..6,
        processor in any::<bool>(),
        ends in ends(),
    ) {
        let command: Option<&[u8]> = processor.then_some(b"cat");
        let settings = Settings { size: 4096, files, processor: command, ..Settings::default_for(b".") };
        let mut disk = Disk::new(true);
        let fault = through(&mut disk, &settings, &lines, &ends, |disk| {
            // One more while the one that is finished has its name and the oldest is not removed.
            (disk.old().len() as u64 > files).then(|| disk.listing())
        });
        prop_assert_eq!(fault, None);
        prop_assert!((disk.old().len() as u64) < files, "{}", disk.listing());
        let all = disk.everything();
        prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{}", disk.listing());
    }
}

#[test]
fn names_do_not_go_back_with_the_clock() {
    let settings = Settings { size: 4096, files: 1000, ..Settings::default_for(b".") };
    let mut disk = Disk { left: usize::MAX, ..Disk::new(true) };
    let mut directory = Directory::new(&settings, None);
    let mut seconds = 1_000_000_000;
    let mut now = || {
        // Back by an hour, on by a little, and sometimes not at all.
        seconds += [-3600, 1, 0, 7, -1, 3600, 0][usize::try_from(seconds % 7).expect("small")];
        Tai64n::from_unix(seconds, 500)
    };
    directory.recover(&mut disk, now()).expect("an empty directory");
    for _ in 0..50 {
        directory.add(&[vec![b'x'; 3000], b"\n".to_vec()].concat());
        let progress = directory.work(&mut disk, now()).expect("nothing fails");
        assert_eq!(progress, Progress::Done);
    }
    // Nor after a restart.
    let mut directory = Directory::new(&settings, None);
    directory.recover(&mut disk, Tai64n::from_unix(1000, 500)).expect("nothing fails");
    // In the order of their names they are in order, and nothing is missing.
    assert_eq!(disk.old().len(), 51);
    assert_eq!(disk.everything(), (0..disk.written).collect::<Data>());
}
