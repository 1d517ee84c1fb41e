//! A log directory whose logger is killed after every single operation.
//!
//! The store is a model of a directory. It stops at a chosen operation, from which on everything
//! fails; then a new logger recovers what is there and goes on with the lines that the first had
//! not written. Whatever the moment, every written line is in the logs once, in order. With the
//! input in a pipe that is looked at before it is consumed, every line is, written or not.

use daemontools_core::multilog::batch::{Batch, LONGEST_HELD, Mark, Stage, digest};
use daemontools_core::multilog::directory::{
    Directory, File, Keep, OldName, Progress, Stat, Step, Store, surplus,
};
use daemontools_core::multilog::router::{Outputs, Router};
use daemontools_core::multilog::script::{Script, Settings};
use daemontools_core::tai::Tai64n;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Clone, Debug, Default)]
struct Node {
    data: Vec<u8>,
    complete: bool,
}

/// Why an operation failed: the logger is dead, or the disk is full for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Dead,
    Full,
}

#[derive(Clone, Debug, Default)]
struct Model {
    nodes: Vec<Node>,
    names: BTreeMap<Vec<u8>, usize>,
    current: Option<usize>,
    /// How many operations are left to the logger, in all its directories.
    left: Rc<Cell<usize>>,
    /// Operations that fail once although the logger lives on, by their number from now.
    full: Vec<usize>,
    /// What reached `current`, from the beginning.
    written: Vec<u8>,
    /// The processor was started and has not ended.
    processing: bool,
    /// The file beside the log, with the mark of a batch and what is held.
    marks: Vec<u8>,
}

impl Model {
    fn operation(&mut self) -> Result<(), Fault> {
        self.left.set(self.left.get().checked_sub(1).ok_or(Fault::Dead)?);
        let fails = self.full.contains(&0);
        self.full.retain(|n| *n != 0);
        self.full.iter_mut().for_each(|n| *n -= 1);
        if fails { Err(Fault::Full) } else { Ok(()) }
    }

    fn node(&self, file: File) -> Option<usize> {
        self.names.get(file.name().as_bytes()).copied()
    }

    fn create(&mut self, file: File) -> usize {
        self.node(file).unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.names.insert(file.name().into(), self.nodes.len() - 1);
            self.nodes.len() - 1
        })
    }

    /// What the processor does: it copies, in two steps between which a crash may come.
    fn run_processor(&mut self) -> Result<(), Fault> {
        let previous = self.node(File::Previous).expect("the processor has its input");
        let processed = self.create(File::Processed);
        self.nodes[processed] = Node::default();
        self.operation()?;
        self.nodes[processed].data = self.nodes[previous].data.clone();
        self.create(File::NewState);
        self.operation()
    }

    fn old(&self) -> Vec<(&Vec<u8>, &Node)> {
        let old = self.names.iter().filter(|(name, _)| name.starts_with(b"@"));
        old.map(|(name, node)| (name, &self.nodes[*node])).collect()
    }

    /// The names, with sizes and beginnings, for a failure's message.
    fn listing(&self) -> String {
        let names = self.names.iter().map(|(name, n)| {
            let data = &self.nodes[*n].data;
            let (name, head) = (String::from_utf8_lossy(name), data.iter().take(4).copied());
            let head = String::from_utf8_lossy(&head.collect::<Vec<_>>()).into_owned();
            format!("{name} {} {} {head}; ", data.len(), self.nodes[*n].complete)
        });
        format!("{} written: {}", self.written.len(), names.collect::<String>())
    }

    /// All files of the log, oldest first. A file with two names is there once.
    fn files(&self) -> Vec<usize> {
        let mut files: Vec<usize> = Vec::new();
        let named = |file: File| self.node(file);
        let old = self.names.iter().filter(|(name, _)| name.starts_with(b"@")).map(|(_, n)| *n);
        // A processed file and what it was made of are the same lines.
        let behind = match (named(File::Processed), named(File::Previous)) {
            (Some(processed), _) if self.nodes[processed].complete => Some(processed),
            (_, previous) => previous,
        };
        for node in old.chain(behind).chain(named(File::Current)) {
            if !files.contains(&node) {
                files.push(node);
            }
        }
        files
    }

    /// What is in them.
    fn everything(&self) -> Vec<u8> {
        self.files().iter().flat_map(|n| self.nodes[*n].data.clone()).collect()
    }
}

/// Directories of one logger.
fn models(count: usize) -> Vec<Model> {
    let left = Rc::new(Cell::new(usize::MAX));
    (0..count).map(|_| Model { left: Rc::clone(&left), ..Model::default() }).collect()
}

impl Store for Model {
    type Error = Fault;

    fn stat(&mut self, file: File) -> Result<Option<Stat>, Fault> {
        self.operation()?;
        Ok(self.node(file).map(|n| Stat {
            complete: self.nodes[n].complete,
            links: self.names.values().filter(|other| **other == n).count() as u64,
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
        self.nodes[current].data.extend_from_slice(&bytes[..n]);
        self.written.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn sync_current(&mut self) -> Result<(), Fault> {
        self.operation()
    }

    fn sync_names(&mut self) -> Result<(), Fault> {
        self.operation()
    }

    fn set_mode_of_current(&mut self, complete: bool) -> Result<(), Fault> {
        self.operation()?;
        let current = self.current.expect("current is open");
        self.nodes[current].complete = complete;
        Ok(())
    }

    fn complete_previous(&mut self) -> Result<(), Fault> {
        self.operation()?;
        let previous = self.node(File::Previous).expect("previous is there");
        self.nodes[previous].complete = true;
        Ok(())
    }

    fn rename(&mut self, from: File, to: File) -> Result<(), Fault> {
        self.operation()?;
        let node = self.names.remove(from.name().as_bytes()).expect("it is there");
        let over = self.names.insert(to.name().into(), node);
        assert!(to == File::State || over.is_none(), "{to:?} was overwritten");
        Ok(())
    }

    fn link(&mut self, file: File, name: &OldName) -> Result<(), Fault> {
        self.operation()?;
        let node = self.node(file).expect("it is there");
        assert_eq!(self.names.insert(name.text(b"s"), node), None, "the name is new");
        Ok(())
    }

    fn remove(&mut self, file: File) -> Result<(), Fault> {
        self.operation()?;
        self.names.remove(file.name().as_bytes());
        Ok(())
    }

    fn truncate(&mut self, file: File) -> Result<(), Fault> {
        self.operation()?;
        let node = self.create(file);
        self.nodes[node].data.clear();
        Ok(())
    }

    fn settle(&mut self, file: File, complete: bool) -> Result<(), (Step, Fault)> {
        self.operation().map_err(|fault| (Step::Sync(file), fault))?;
        let node = self.create(file);
        self.nodes[node].complete = complete;
        Ok(())
    }

    fn newest(&mut self) -> Result<Option<Tai64n>, Fault> {
        self.operation()?;
        Ok(self.names.keys().filter_map(|name| Tai64n::from_label(name)).max())
    }

    fn prune(&mut self, keep: &Keep) -> Result<(), Fault> {
        self.operation()?;
        let size = |n: &usize| self.nodes[*n].data.len() as u64;
        let files = self.names.iter().map(|(name, n)| (name.clone(), size(n))).collect();
        let kept = keep.name.map(|name| name.text(b"s"));
        for name in surplus(files, keep, kept.as_deref()) {
            self.names.remove(&name);
        }
        Ok(())
    }

    fn mark(&mut self, mark: &Mark, held: Option<&[u8]>) -> Result<(), Fault> {
        self.operation()?;
        let bytes = [&mark.to_bytes()[..], held.unwrap_or_default()].concat();
        let behind = self.marks.get(bytes.len()..).unwrap_or_default().to_vec();
        self.marks = [bytes, behind].concat();
        Ok(())
    }

    fn read_mark(&mut self) -> Result<Option<(Mark, Vec<u8>)>, Fault> {
        self.operation()?;
        Ok(Mark::from_bytes(&self.marks).map(|(mark, held)| (mark, held.to_vec())))
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

/// Does the work until it is done or the logger is dead.
fn work(directory: &mut Directory, model: &mut Model, clock: &mut Clock) -> Result<(), Fault> {
    loop {
        match directory.work(model, clock.now()) {
            Ok(Progress::Done) => return Ok(()),
            Ok(Progress::Waiting) => end_processor(directory, model)?,
            Err(trouble) if trouble.error == Fault::Full => {}
            Err(_) => return Err(Fault::Dead),
        }
    }
}

fn end_processor(directory: &mut Directory, model: &mut Model) -> Result<(), Fault> {
    assert!(model.processing, "waiting for a processor that does not run");
    model.processing = false;
    match model.run_processor() {
        Ok(()) => directory.processor_ended(true),
        Err(Fault::Full) => directory.processor_ended(false),
        Err(Fault::Dead) => return Err(Fault::Dead),
    }
    Ok(())
}

/// One life of a logger: it recovers, writes lines while it can, and ends well if it is not killed.
/// Gives how many lines it had taken.
fn live(model: &mut Model, settings: &Settings<'_>, lines: &[Vec<u8>], clock: &mut Clock) -> usize {
    let mut directory = Directory::new(settings, None);
    model.current = None;
    model.processing = false;
    let mut taken = 0;
    let mut life = || -> Result<(), Fault> {
        while let Err((_, trouble)) = directory.recover(model, clock.now()) {
            if trouble.error == Fault::Dead {
                return Err(Fault::Dead);
            }
        }
        for line in lines {
            directory.add(line);
            taken += 1;
            work(&mut directory, model, clock)?;
            // The processor takes its time.
            if model.processing && taken % 3 == 0 {
                end_processor(&mut directory, model)?;
            }
        }
        work(&mut directory, model, clock)?;
        while directory.is_processing() {
            end_processor(&mut directory, model)?;
            work(&mut directory, model, clock)?;
        }
        loop {
            match model.set_mode_of_current(true) {
                Err(Fault::Full) => {}
                other => return other,
            }
        }
    };
    let _ = life();
    taken
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    lines_of(1000..3000)
}

/// Lines of which some have such lengths.
fn lines_of(long: core::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let line = prop_oneof![
        4 => 10_usize..200,
        1 => long,
    ];
    prop::collection::vec(line, 1..40).prop_map(numbered)
}

/// Lines of about these lengths.
fn numbered(lengths: Vec<usize>) -> Vec<Vec<u8>> {
    let line = |(n, length): (usize, usize)| {
        let mut line = format!("{n:04} ").into_bytes();
        // No part of it is found in another place.
        while line.len() < length {
            line.extend_from_slice(format!("{n}.{} ", line.len()).as_bytes());
        }
        line.push(b'\n');
        line
    };
    lengths.into_iter().enumerate().map(line).collect()
}

#[test]
fn what_was_left_beside_a_complete_file_is_not_overwritten() {
    let settings = Settings { size: 4096, ..Settings::default_for(b".") };
    let mut model = Model { left: Rc::new(Cell::new(usize::MAX)), ..Model::default() };
    let mut clock = Clock(0);
    let left = model.create(File::Previous);
    model.nodes[left].data = b"left\n".to_vec();
    let current = model.create(File::Current);
    model.nodes[current].complete = true;
    let line = [b"x".repeat(3000), b"\n".to_vec()].concat();
    live(&mut model, &settings, &[line.clone(), line.clone()], &mut clock);
    let all = model.everything();
    assert_eq!(all, [b"left\n".to_vec(), line.clone(), line].concat());
    assert!(model.old().iter().any(|(name, _)| name.ends_with(b".u")));
}

/// What the pattern `*7.*` says: the first 7 is followed by a period.
fn dropped(line: &[u8]) -> bool {
    let seven = line.iter().position(|c| *c == b'7');
    seven.is_some_and(|at| line.get(at + 1) == Some(&b'.'))
}

/// A pipe, which outlives its reader.
#[derive(Debug, Default)]
struct Pipe {
    /// What was written to it, and how much of that was consumed.
    text: Vec<u8>,
    consumed: usize,
    /// How much the writer has written; the rest is yet to come.
    there: usize,
}

/// Where the router's lines go.
struct Sinks<'a>(&'a mut [Directory]);

impl Outputs for Sinks<'_> {
    fn directory(&mut self, n: usize, text: &[u8]) {
        self.0[n].add(text);
    }
    fn stderr(&mut self, _: &[u8]) {}
    fn status(&mut self, _: usize, _: &[u8]) {}
}

/// How the input comes.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// So much more each time somebody looks.
    most: usize,
    /// Every so often nothing comes for a second, and then little.
    quiet: bool,
}

/// How much is read at once where little comes.
const PIECE: usize = 2048;

/// What tells the pipe from others.
const SOURCE: Option<u64> = Some(1);

/// A multilog with its directories, reading from a pipe.
struct Logger<'a> {
    models: &'a mut [Model],
    directories: Vec<Directory>,
    router: Router<'a>,
    held: Vec<u8>,
    pipe: &'a mut Pipe,
    clock: &'a mut Clock,
}

impl<'a> Logger<'a> {
    fn begin(
        models: &'a mut [Model],
        script: &'a Script<'_>,
        pipe: &'a mut Pipe,
        clock: &'a mut Clock,
    ) -> Result<Self, Fault> {
        let mut directories = Vec::new();
        for (settings, model) in script.directories.iter().zip(&mut *models) {
            let mut directory = Directory::new(settings, SOURCE);
            model.current = None;
            model.processing = false;
            while let Err((_, trouble)) = directory.recover(model, clock.now()) {
                if trouble.error == Fault::Dead {
                    return Err(Fault::Dead);
                }
            }
            directories.push(directory);
        }
        Ok(Self { models, directories, router: Router::new(script), held: Vec::new(), pipe, clock })
    }

    /// What the heir of a logger does when that is dead.
    fn inherit(
        models: &'a mut [Model],
        script: &'a Script<'_>,
        pipe: &'a mut Pipe,
        clock: &'a mut Clock,
    ) -> Result<(), Fault> {
        let mut is_marked = false;
        for model in &mut *models {
            is_marked = is_marked || Directory::is_marked(model)?;
        }
        if !is_marked {
            return Ok(());
        }
        let mut directories = Vec::new();
        for (settings, model) in script.directories.iter().zip(&mut *models) {
            let mut directory = Directory::new(settings, SOURCE);
            model.current = None;
            if !directory.go_on(model)? {
                model.processing = false;
                directory.recover(model, clock.now()).map_err(|(_, trouble)| trouble.error)?;
            }
            directories.push(directory);
        }
        let router = Router::new(script);
        let mut heir = Self { models, directories, router, held: Vec::new(), pipe, clock };
        heir.take_up_what_was_left()?;
        heir.each(work)
    }

    fn each(
        &mut self,
        mut step: impl FnMut(&mut Directory, &mut Model, &mut Clock) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut each = self.directories.iter_mut().zip(&mut *self.models);
        each.try_for_each(|(directory, model)| step(directory, model, self.clock))
    }

    /// A moment between two operations, at which one can die as well.
    fn moment(&mut self) -> Result<(), Fault> {
        self.models[0].operation()
    }

    fn batch(text: &[u8], moment: Tai64n) -> Batch {
        Batch { length: text.len() as u64, digest: digest(0, text), moment }
    }

    fn take_batch(
        &mut self,
        text: &[u8],
        moment: Tai64n,
        written: impl Fn(&Directory) -> u64,
    ) -> Result<(), Fault> {
        let held = core::mem::take(&mut self.held);
        let batch = Self::batch(text, moment);
        self.each(|directory, model, _| {
            directory.begin_batch(model, batch, &held, written(directory))
        })?;
        self.router.take(&[&held[..], text].concat(), moment, &mut Sinks(&mut self.directories));
        self.each(work)?;
        self.moment()?;
        self.pipe.consumed += text.len();
        self.each(|directory, model, _| directory.end_batch(model))
    }

    fn take_piece(&mut self, text: &[u8]) -> Result<(), Fault> {
        self.each(|directory, model, _| directory.end_batch(model))?;
        self.moment()?;
        self.pipe.consumed += text.len();
        self.moment()?;
        self.router.take(text, self.clock.now(), &mut Sinks(&mut self.directories));
        self.each(work)
    }

    fn hold(&mut self, text: &[u8]) -> Result<(), Fault> {
        let batch = Self::batch(text, self.clock.now());
        let held = [&self.held[..], text].concat();
        self.directories[0].hold(&mut self.models[0], batch, &held, Stage::Holding)?;
        self.moment()?;
        self.pipe.consumed += text.len();
        self.directories[0].hold(&mut self.models[0], batch, &held, Stage::Held)?;
        self.held = held;
        Ok(())
    }

    /// Gives what is held to the router, which does nothing with it before there is more.
    fn end_to_peek(&mut self) -> Result<(), Fault> {
        let held = core::mem::take(&mut self.held);
        self.router.take(&held, self.clock.now(), &mut Sinks(&mut self.directories));
        assert!(self.directories.iter().all(|directory| directory.waiting() == 0));
        self.each(work)
    }

    /// Gives whether what the earlier logger held is all there is to begin with.
    fn take_up_what_was_left(&mut self) -> Result<bool, Fault> {
        let Some(left) = self.directories.iter().find_map(|d| d.left().cloned()) else {
            return Ok(false);
        };
        let seen = self.pipe.text[self.pipe.consumed..self.pipe.there].to_vec();
        let batch = seen.get(..left.batch.length as usize);
        let same = left.stage != Stage::Held
            && batch.is_some_and(|text| digest(0, text) == left.batch.digest);
        self.held = if same { left.held_before() } else { left.held_after() }.to_vec();
        if left.stage == Stage::Writing {
            if !same {
                return self.each(|directory, model, _| directory.end_batch(model)).map(|()| false);
            }
            let written = |directory: &Directory| {
                let same = directory.left().filter(|other| other.batch == left.batch);
                same.map_or(0, |left| left.written)
            };
            self.take_batch(&seen[..left.batch.length as usize], left.batch.moment, written)?;
        }
        Ok(left.stage == Stage::Held)
    }

    /// What multilog does, in one life.
    fn live(&mut self, pace: Pace) -> Result<(), Fault> {
        let mut reads = self.take_up_what_was_left()? && pace.quiet;
        if reads {
            self.end_to_peek()?;
        }
        for turn in 1.. {
            self.pipe.there = (self.pipe.there + pace.most).min(self.pipe.text.len());
            let seen = self.pipe.text[self.pipe.consumed..self.pipe.there].to_vec();
            let is_end = seen.is_empty() && self.pipe.there == self.pipe.text.len();
            let whole = seen.iter().rposition(|c| *c == b'\n').map_or(0, |at| at + 1);
            if is_end {
                break;
            } else if reads {
                let piece = &seen[..seen.len().min(PIECE)];
                self.take_piece(piece)?;
                reads = piece.len() < PIECE && turn % 4 != 0;
            } else if pace.quiet && turn % 3 == 0 {
                self.end_to_peek()?;
                reads = true;
            } else if self.router.is_in_line() {
                let end = seen.iter().position(|c| *c == b'\n').map_or(seen.len(), |at| at + 1);
                self.take_piece(&seen[..end])?;
            } else if whole > 0 {
                let moment = self.clock.now();
                self.take_batch(&seen[..whole], moment, |_| 0)?;
            } else if !seen.is_empty() && self.held.len() + seen.len() < LONGEST_HELD {
                self.hold(&seen)?;
            } else if !seen.is_empty() {
                self.end_to_peek()?;
                self.take_piece(&seen)?;
            }
        }
        self.each(|directory, model, clock| {
            work(directory, model, clock)?;
            while directory.is_processing() {
                end_processor(directory, model)?;
                work(directory, model, clock)?;
            }
            directory.end_batch(model)?;
            model.set_mode_of_current(true)
        })
    }
}

fn live_on_pipe(
    models: &mut [Model],
    script: &Script<'_>,
    pipe: &mut Pipe,
    pace: Pace,
    clock: &mut Clock,
) -> Result<(), Fault> {
    Logger::begin(models, script, pipe, clock)?.live(pace)
}

/// Checks that a log has all lines that `is_wanted`, once and in order, with stamps that never go
/// back.
#[track_caller]
fn assert_whole(model: &Model, text: &[u8], stamp: usize, is_wanted: impl Fn(&[u8]) -> bool) {
    let logged = model.everything();
    let lines = || logged.split_inclusive(|c| *c == b'\n');
    let got: Vec<u8> = lines().flat_map(|l| l.get(stamp..).unwrap_or_default()).copied().collect();
    let wanted: Vec<&[u8]> =
        text.split_inclusive(|c| *c == b'\n').filter(|line| is_wanted(line)).collect();
    assert!(got == wanted.concat(), "{} {}", model.listing(), wanted.concat().len());
    assert!(lines().map(|line| &line[..stamp]).is_sorted(), "{}", model.listing());
}

/// Checks that all that is in a log, each line whole or a part of one, is in the input in this
/// order, once, and that not more is missing than so much.
#[track_caller]
fn assert_true(model: &Model, text: &[u8], most: usize) {
    let (mut at, mut logged) = (0, 0);
    for file in model.files() {
        for part in model.nodes[file].data.split_inclusive(|c| *c == b'\n') {
            let found = memchr::memmem::find(&text[at..], part);
            let part_text = String::from_utf8_lossy(part);
            let found = found.unwrap_or_else(|| panic!("{part_text:?} in {}", model.listing()));
            at += found + part.len();
            logged += part.len();
        }
    }
    let lost = text.len() - logged;
    assert!(lost <= most, "{lost} bytes lost of {}: {}", text.len(), model.listing());
}

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A case: what is logged, and how.
fn case(random: &mut Random) -> (Vec<String>, Vec<u8>, Pace) {
    let stamp = random.below(2) == 0;
    let mut args = vec![String::from(if stamp { "t" } else { "" }), "n1000".into()];
    for dir in 0..1 + random.below(3) {
        args.push(format!("s{}", 4096 + random.below(1000)));
        args.push(if random.below(3) == 0 { "!cat".into() } else { "!".into() });
        if random.below(3) == 0 && dir > 0 {
            args.push("-*7.*".into());
        }
        args.push(format!("./{dir}"));
    }
    let quiet = !stamp && random.below(2) == 0;
    let mut lengths = Vec::new();
    for _ in 0..6 + random.below(14) {
        let length = match random.below(8) {
            0 | 1 => 500 + random.below(440),
            // What has come of these before their end is not held.
            2 if quiet => 900 + random.below(2000),
            _ => random.below(300),
        };
        lengths.push(usize::try_from(length).expect("small"));
    }
    let most = usize::try_from(100 + random.below(3000)).expect("small");
    let pace = Pace { most, quiet };
    (args, numbered(lengths).concat(), pace)
}

/// Kills after every single operation of some hundred cases, and in each second case once more in
/// what comes then.
#[test]
fn nothing_is_lost_or_doubled_whichever_operation_is_the_last() {
    let mut random = Random(1);
    let (mut runs, mut heirs) = (0, 0);
    for _ in 0..CASES {
        let (args, text, pace) = case(&mut random);
        let script = Script::parse(args.iter().map(|arg| arg.as_bytes()));
        let again = random.below(2) == 0;
        let has_heir = random.below(3) > 0;
        let heir_lives = random.below(2) == 0;
        let stamp = if args[0].is_empty() { 0 } else { 26 };
        let is_dropped = |n: usize, line: &[u8]| {
            let selects = args.iter().position(|arg| arg.starts_with('-'));
            let place = args.iter().position(|arg| *arg == format!("./{n}"));
            selects.is_some_and(|at| Some(at) < place) && dropped(line)
        };
        for operations in 0.. {
            let mut models = models(script.directories.len());
            let mut clock = Clock(0);
            let mut pipe = Pipe { text: text.clone(), ..Pipe::default() };
            let mut live = |models: &mut [Model], operations, heir: Option<usize>| {
                models[0].left.set(operations);
                let lived = live_on_pipe(models, &script, &mut pipe, pace, &mut clock);
                let Some(heir) = heir.filter(|_| lived.is_err()) else {
                    return lived;
                };
                models[0].left.set(heir);
                let inherited = Logger::inherit(models, &script, &mut pipe, &mut clock);
                if inherited.is_ok() && !pace.quiet {
                    // Nobody needs to know of marks to go on from here.
                    heirs += 1;
                    let consumed = &text[..pipe.consumed];
                    let whole = consumed.iter().rposition(|c| *c == b'\n').map_or(0, |at| at + 1);
                    for (n, model) in models.iter().enumerate() {
                        assert_whole(model, &text[..whole], stamp, |line| !is_dropped(n, line));
                    }
                }
                lived
            };
            let heir = match has_heir {
                true if heir_lives => Some(usize::MAX),
                true => Some(usize::try_from(random.below(30)).expect("small")),
                false => None,
            };
            let is_last = live(&mut models, operations, heir).is_ok();
            let mut kills = 1;
            if again {
                kills += 1;
                let operations = usize::try_from(random.below(60)).expect("small");
                let _ = live(&mut models, operations, heir);
            }
            live(&mut models, usize::MAX, None).expect("it lives");
            for (n, model) in models.iter().enumerate() {
                if !pace.quiet {
                    assert_whole(model, &text, stamp, |line| !is_dropped(n, line));
                } else if !args.iter().any(|arg| arg.starts_with('-')) {
                    assert_true(model, &text, kills * (PIECE + LONGEST_HELD));
                }
            }
            runs += 1;
            if is_last {
                break;
            }
        }
    }
    assert!(runs > 10_000 && heirs > 2000, "{runs} runs, {heirs} heirs");
}

/// How many cases have each of their operations tried.
const CASES: usize = 200;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_written_byte_is_lost_or_doubled_whenever_the_logger_is_killed(
        lines in lines(),
        size in 4096_u64..9000,
        processor in any::<bool>(),
        lives in prop::collection::vec(0_usize..60, 0..6),
        full in prop::collection::vec(0_usize..200, 0..5),
    ) {
        // More files than there will be, so that nothing is removed for its age.
        let command: Option<&[u8]> = processor.then_some(b"cat");
        let settings = Settings { size, files: 1000, processor: command, ..Settings::default_for(b".") };
        let removals_fail = !full.is_empty();
        let mut model = Model { full, ..Model::default() };
        let mut clock = Clock(0);
        let mut next = 0;
        for operations in lives {
            model.left.set(operations);
            next += live(&mut model, &settings, &lines[next..], &mut clock);
            prop_assert!(model.everything() == model.written, "{}", model.listing());
        }
        model.left.set(usize::MAX);
        live(&mut model, &settings, &lines[next..], &mut clock);
        prop_assert!(model.everything() == model.written, "{}", model.listing());
        for (_, node) in model.old() {
            prop_assert!(node.data.len() as u64 <= size);
        }
        let current = model.node(File::Current).unwrap();
        prop_assert!(model.nodes[current].complete);
        prop_assert!(model.node(File::Previous).is_none());
        prop_assert!(removals_fail || model.node(File::Processed).is_none());
    }

    #[test]
    fn there_are_never_more_files_than_asked_for_and_they_are_the_newest(
        lines in lines(),
        files in 2_u64..6,
        lives in prop::collection::vec(0_usize..60, 0..4),
    ) {
        let settings = Settings { size: 4096, files, ..Settings::default_for(b".") };
        let mut model = Model::default();
        let mut clock = Clock(0);
        let mut next = 0;
        for operations in lives {
            model.left.set(operations);
            next += live(&mut model, &settings, &lines[next..], &mut clock);
        }
        model.left.set(usize::MAX);
        live(&mut model, &settings, &lines[next..], &mut clock);
        prop_assert!((model.old().len() as u64) < files.max(2) + 1);
        prop_assert!(model.written.ends_with(&model.everything()));
    }

    #[test]
    fn no_line_of_the_pipe_is_lost_or_doubled_whenever_the_logger_is_killed(
        // What has come of a longer line before its end is not held.
        lines in lines_of(500..LONGEST_HELD - 20),
        size in 4096_u64..9000,
        stamp in any::<bool>(),
        processor in any::<bool>(),
        paces in prop::collection::vec(1_usize..5000, 8),
        lives in prop::collection::vec(0_usize..40, 0..8),
    ) {
        let size = format!("s{size}");
        let processor = if processor { "!cat" } else { "" };
        let stamp = if stamp { "t" } else { "" };
        let args = [stamp, &size, "n1000", processor, "./c", "-*7.*", "./d", "s5000", "./e"];
        let script = Script::parse(args.iter().map(|arg| arg.as_bytes()));
        let mut models = models(3);
        let mut clock = Clock(0);
        let mut pipe = Pipe { text: lines.concat(), ..Pipe::default() };
        for (operations, most) in lives.iter().zip(&paces) {
            models[0].left.set(*operations);
            let pace = Pace { most: *most, quiet: false };
            let _ = live_on_pipe(&mut models, &script, &mut pipe, pace, &mut clock);
        }
        models[0].left.set(usize::MAX);
        let pace = Pace { most: paces[0], quiet: false };
        live_on_pipe(&mut models, &script, &mut pipe, pace, &mut clock).expect("it lives");
        let stamp = if stamp.is_empty() { 0 } else { 26 };
        assert_whole(&models[0], &pipe.text, stamp, |_| true);
        assert_whole(&models[1], &pipe.text, stamp, |line| !dropped(line));
        assert_whole(&models[2], &pipe.text, stamp, |line| !dropped(line));
    }

    #[test]
    fn no_line_is_doubled_or_joined_to_another_where_the_input_pauses(
        lines in lines(),
        processor in any::<bool>(),
        paces in prop::collection::vec(1_usize..3000, 8),
        lives in prop::collection::vec(0_usize..60, 0..8),
    ) {
        let args = ["s4096", "n1000", if processor { "!cat" } else { "" }, "./c", "s5000", "./d"];
        let script = Script::parse(args.iter().map(|arg| arg.as_bytes()));
        let mut models = models(2);
        let mut clock = Clock(0);
        let mut pipe = Pipe { text: lines.concat(), ..Pipe::default() };
        for (operations, most) in lives.iter().zip(&paces) {
            models[0].left.set(*operations);
            let pace = Pace { most: *most, quiet: true };
            let _ = live_on_pipe(&mut models, &script, &mut pipe, pace, &mut clock);
        }
        models[0].left.set(usize::MAX);
        let pace = Pace { most: paces[0], quiet: true };
        live_on_pipe(&mut models, &script, &mut pipe, pace, &mut clock).expect("it lives");
        for model in &models {
            assert_true(model, &pipe.text, lives.len() * (PIECE + LONGEST_HELD));
        }
    }
}
