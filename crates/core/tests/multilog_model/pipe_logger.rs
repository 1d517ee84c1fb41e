//! A logger that reads a pipe, as the program does: pieces, batches, held text, and a standby
//! process that finishes for a killed logger.

use crate::multilog_model::disk::Disk;
use crate::multilog_model::line_logger::{end_processor, work};
use crate::multilog_model::{Clock, Fault};
use daemontools_core::multilog::batch::{Batch, HELD_LIMIT, digest};
use daemontools_core::multilog::batch_mark::BatchStage;
use daemontools_core::multilog::begun_lines::length_of_begun_lines;
use daemontools_core::multilog::file_operations::FileOperations as _;
use daemontools_core::multilog::output_directory::OutputDirectory;
use daemontools_core::multilog::output_directory::recovery::has_open_mark;
use daemontools_core::multilog::router::{Outputs, Router};
use daemontools_core::multilog::script::LogScript;
use daemontools_core::time::tai::Tai64n;

/// Size of a read without load, in bytes.
pub(crate) const READ_SIZE: usize = 2048;

/// The number of the pipe in batch marks.
const PIPE_ID: Option<u64> = Some(1);

/// A pipe, which survives its reader.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// All text that the writer has, and will have, written.
    pub(crate) text: Vec<u8>,
    /// Number of bytes that the reader has consumed.
    pub(crate) consumed: usize,
    /// Number of bytes that the writer has written.
    arrived: usize,
}

impl Pipe {
    pub(crate) fn new(text: Vec<u8>) -> Self {
        Self { text, ..Self::default() }
    }

    /// The content of the pipe.
    fn content(&self) -> Vec<u8> {
        self.text[self.consumed..self.arrived].to_vec()
    }

    fn is_at_end(&self) -> bool {
        self.consumed == self.text.len()
    }
}

/// The arrival of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Number of bytes that arrive between two looks into the pipe.
    pub(crate) step: usize,
    /// Load alternates with pauses of a second, after which the logger reads.
    pub(crate) pauses: bool,
}

/// The output directories of a router.
struct Directories<'a>(&'a mut [OutputDirectory]);

impl Outputs for Directories<'_> {
    fn directory(&mut self, n: usize, text: &[u8]) {
        self.0[n].add(text);
    }
    fn stderr(&mut self, _: &[u8]) {}
    fn status(&mut self, _: usize, _: &[u8]) {}
}

/// A multilog and its directories.
struct Logger<'a> {
    disks: &'a mut [Disk],
    directories: Vec<OutputDirectory>,
    router: Router<'a>,
    held: Vec<u8>,
    pipe: &'a mut Pipe,
    clock: &'a mut Clock,
    /// The script, in the standby process of a killed logger.
    standby_script: Option<&'a LogScript<'a>>,
}

/// Runs a logger until the end of the input, or until it dies.
pub(crate) fn log_pipe(
    disks: &mut [Disk],
    script: &LogScript<'_>,
    pipe: &mut Pipe,
    pace: Pace,
    clock: &mut Clock,
) -> Result<(), Fault> {
    Logger::start(disks, script, pipe, clock)?.run(pace)
}

/// Runs the standby process of a dead logger.
pub(crate) fn finish_for_killed_logger(
    disks: &mut [Disk],
    script: &LogScript<'_>,
    pipe: &mut Pipe,
    clock: &mut Clock,
) -> Result<(), Fault> {
    let mut is_marked = false;
    for disk in &mut *disks {
        is_marked = is_marked || has_open_mark(disk)?;
    }
    if !is_marked {
        return Ok(());
    }
    let mut directories = Vec::new();
    for (settings, disk) in script.directories.iter().zip(&mut *disks) {
        let mut directory = OutputDirectory::new(settings, PIPE_ID).for_standby();
        disk.current = None;
        if !directory.continue_current(disk)? {
            disk.processing = false;
            directory.recover(disk, clock.now()).map_err(|error| error.failure().error)?;
        }
        directories.push(directory);
    }
    let router = Router::new(script);
    let standby_script = Some(script);
    let held = Vec::new();
    let mut standby = Logger { disks, directories, router, held, pipe, clock, standby_script };
    standby.resume_unfinished_batch()?;
    standby.each(work)?;
    let mut directories = standby.directories.iter();
    assert!(!directories.any(OutputDirectory::is_processor_running), "it starts no processor");
    Ok(())
}

impl<'a> Logger<'a> {
    fn start(
        disks: &'a mut [Disk],
        script: &'a LogScript<'_>,
        pipe: &'a mut Pipe,
        clock: &'a mut Clock,
    ) -> Result<Self, Fault> {
        let mut directories = Vec::new();
        for (settings, disk) in script.directories.iter().zip(&mut *disks) {
            let mut directory = OutputDirectory::new(settings, PIPE_ID);
            disk.current = None;
            disk.processing = false;
            while let Err(error) = directory.recover(disk, clock.now()) {
                if error.failure().error == Fault::Dead {
                    return Err(Fault::Dead);
                }
            }
            directories.push(directory);
        }
        let router = Router::new(script);
        let held = Vec::new();
        Ok(Self { disks, directories, router, held, pipe, clock, standby_script: None })
    }

    fn each(
        &mut self,
        mut step: impl FnMut(&mut OutputDirectory, &mut Disk, &mut Clock) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut each = self.directories.iter_mut().zip(&mut *self.disks);
        each.try_for_each(|(directory, disk)| step(directory, disk, self.clock))
    }

    /// A time between two operations, when the logger may die too.
    fn pause(&mut self) -> Result<(), Fault> {
        self.disks[0].operation()
    }

    fn batch(text: &[u8], moment: Tai64n) -> Batch {
        Batch { length: text.len() as u64, digest: digest(0, text), moment }
    }

    fn route(&mut self, text: &[u8], moment: Tai64n) -> Result<(), Fault> {
        self.router.route(text, moment, &mut Directories(&mut self.directories));
        self.each(work)
    }

    fn consume(&mut self, length: usize) -> Result<(), Fault> {
        self.pause()?;
        self.pipe.consumed += length;
        Ok(())
    }

    fn take_batch(
        &mut self,
        text: &[u8],
        moment: Tai64n,
        written: impl Fn(&OutputDirectory) -> u64,
    ) -> Result<(), Fault> {
        let held = core::mem::take(&mut self.held);
        let batch = Self::batch(text, moment);
        self.each(|directory, disk, _| {
            directory.begin_batch(disk, batch, &held, written(directory))
        })?;
        let whole = [&held[..], text].concat();
        let length = match self.standby_script {
            Some(script) => {
                let written = self.directories.iter().map(written);
                length_of_begun_lines(script, &whole, held.len(), moment, written)
            }
            None => whole.len(),
        };
        self.route(&whole[..length], moment)?;
        self.consume(length.saturating_sub(held.len()))?;
        self.each(|directory, disk, _| directory.end_batch(disk))
    }

    fn take_piece(&mut self, text: &[u8]) -> Result<(), Fault> {
        self.each(|directory, disk, _| directory.end_batch(disk))?;
        self.consume(text.len())?;
        self.pause()?;
        let now = self.clock.now();
        self.route(text, now)
    }

    fn hold(&mut self, text: &[u8]) -> Result<(), Fault> {
        let batch = Self::batch(text, self.clock.now());
        let held = [&self.held[..], text].concat();
        self.directories[0].hold_batch(&mut self.disks[0], batch, &held, BatchStage::Holding)?;
        self.consume(text.len())?;
        self.directories[0].hold_batch(&mut self.disks[0], batch, &held, BatchStage::Held)?;
        self.held = held;
        Ok(())
    }

    /// Passes the held text to the router, which writes nothing of it before more text arrives.
    fn stop_peeking(&mut self) -> Result<(), Fault> {
        let held = core::mem::take(&mut self.held);
        self.router.route(&held, self.clock.now(), &mut Directories(&mut self.directories));
        assert!(self.directories.iter().all(|directory| directory.unwritten() == 0));
        self.each(work)
    }

    /// Finishes the batch of an earlier logger, or restores its held text. Returns whether the
    /// batch was part of the held text, so that the logger starts without a look into the pipe.
    fn resume_unfinished_batch(&mut self) -> Result<bool, Fault> {
        let mut unfinished = self.directories.iter().filter_map(OutputDirectory::unfinished);
        let Some(unfinished) = unfinished.next().cloned() else {
            return Ok(false);
        };
        let (wanted, stage) = (unfinished.batch, unfinished.stage);
        let content = self.pipe.content();
        let batch = content.get(..wanted.length as usize);
        let batch =
            batch.filter(|text| stage != BatchStage::Held && digest(0, text) == wanted.digest);
        let held = match batch {
            Some(_) => unfinished.held_before(),
            None => unfinished.held_after(),
        };
        self.held = held.to_vec();
        match (stage, batch) {
            (BatchStage::Writing, Some(text)) => {
                self.take_batch(text, wanted.moment, |directory| {
                    let own = directory.unfinished().filter(|own| own.batch == wanted);
                    own.map_or(0, |own| own.written)
                })?;
            }
            (BatchStage::Writing, None) => {
                self.each(|directory, disk, _| directory.end_batch(disk))?;
            }
            _ => {}
        }
        Ok(stage == BatchStage::Held)
    }

    fn run(&mut self, pace: Pace) -> Result<(), Fault> {
        let mut reads = self.resume_unfinished_batch()? && pace.pauses;
        if reads {
            self.stop_peeking()?;
        }
        for turn in 1.. {
            self.pipe.arrived = (self.pipe.arrived + pace.step).min(self.pipe.text.len());
            if self.pipe.is_at_end() {
                break;
            }
            let content = self.pipe.content();
            if reads {
                let piece = &content[..content.len().min(READ_SIZE)];
                self.take_piece(piece)?;
                reads = piece.len() < READ_SIZE && turn % 4 != 0;
            } else if pace.pauses && turn % 3 == 0 {
                self.stop_peeking()?;
                reads = true;
            } else {
                self.take_content(&content)?;
            }
        }
        self.each(|directory, disk, clock| {
            work(directory, disk, clock)?;
            while directory.is_processor_running() {
                end_processor(directory, disk)?;
                work(directory, disk, clock)?;
            }
            directory.end_batch(disk)?;
            disk.sync_current()?;
            disk.set_mode_of_current(true)
        })
    }

    /// Takes the content of the pipe under load.
    fn take_content(&mut self, content: &[u8]) -> Result<(), Fault> {
        let whole = content.iter().rposition(|c| *c == b'\n').map_or(0, |at| at + 1);
        if self.router.is_in_line() {
            let end = content.iter().position(|c| *c == b'\n').map_or(content.len(), |at| at + 1);
            self.take_piece(&content[..end])
        } else if whole > 0 {
            let moment = self.clock.now();
            self.take_batch(&content[..whole], moment, |_| 0)
        } else if content.is_empty() {
            Ok(())
        } else if self.held.len() + content.len() < HELD_LIMIT {
            self.hold(content)
        } else {
            self.stop_peeking()?;
            self.take_piece(content)
        }
    }
}
