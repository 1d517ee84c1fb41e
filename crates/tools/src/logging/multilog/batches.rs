//! How the logger takes input: as pieces, as batches, or as held text; and how it finishes the
//! batch of a killed logger.

use super::directory_writer::DirectoryWriter;
use super::file_access::is_temporary;
use super::input::{Input, InputReader, PEEK_SIZE, READ_SIZE};
use super::logger::Logger;
use super::standby::StandbyProcess;
use crate::common::diag;
use daemontools_core::multilog::batch::{Batch, HELD_LIMIT, digest};
use daemontools_core::multilog::batch_mark::BatchStage;
use daemontools_core::multilog::begun_lines::length_of_begun_lines;
use daemontools_core::multilog::router::Router;
use daemontools_core::text::lines;
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::{Errno, process};

/// The standby process leaves the batch to the next logger.
#[derive(Debug, PartialEq, Eq)]
struct GaveUp;

impl Logger<'_> {
    /// Routes the input that a read has returned.
    pub(super) fn take_input(&mut self, input: Input) {
        match input {
            Input::End | Input::Nothing => {}
            Input::Piece(length) if self.input.more_follows() => self.take_full_read(length),
            Input::Piece(length) => self.take_piece(length),
            Input::Held(length) => {
                // The router produces no output for held text, so the batch mark stays valid.
                let now = self.now();
                self.route(length, now);
            }
            Input::Batches => {
                self.start_standby();
                if self.outputs.standby.is_none() {
                    // Without a standby process, the original would write the batch again.
                    while let Some(length) = self.input.next_batch(READ_SIZE) {
                        self.take_piece(length);
                        self.outputs.flush();
                    }
                    return;
                }
                self.now();
                while let Some(length) = self.input.next_batch(PEEK_SIZE) {
                    // One stamp for all, unless a batch without a mark has got a later one.
                    self.take_batch(length, self.last_moment);
                }
                self.outputs.end_batch();
            }
            Input::LineStart(length) => self.hold(length),
        }
    }

    /// Takes text without a batch mark. A KILL may lose the text, and the held text before it, but
    /// never doubles it.
    fn take_piece(&mut self, length: usize) {
        self.outputs.end_batch();
        self.input.consume(length);
        self.write_consumed(length);
    }

    /// Writes text that is no longer in the pipe.
    fn write_consumed(&mut self, length: usize) {
        let now = self.now();
        self.route(length, now);
        self.input.advance(length);
    }

    /// Takes a read that filled its buffer, so that batches follow. The read usually ends within a
    /// line. The beginning of that line becomes held text: otherwise a KILL before the first batch
    /// would lose it, and the next logger would write the rest of the line.
    fn take_full_read(&mut self, length: usize) {
        self.outputs.end_batch();
        let whole = lines::complete(self.input.text(0, length)).len();
        let cut = length - whole;
        if whole == 0 || !(1..HELD_LIMIT).contains(&cut) {
            return self.write_consumed(length);
        }
        self.write_consumed(whole);
        // At once, and before the mark: a KILL must not lose more than before.
        self.outputs.flush();
        let now = self.now();
        let batch = self.batch(0, cut, now);
        let text = self.input.text(0, cut);
        let is_marked = self
            .outputs
            .authorities()
            .next()
            .is_some_and(|writer| writer.hold_batch(batch, text, BatchStage::Held));
        self.input.start_peeking();
        if is_marked && self.input.is_peeking() {
            self.input.keep(cut);
        } else {
            // The router writes nothing of it yet, so the mark stays valid.
            self.write_consumed(cut);
        }
    }

    /// Starts a standby process, unless there is one. Without it, a logger that ignores the batch
    /// mark writes the batch of a killed logger again.
    fn start_standby(&mut self) {
        if self.outputs.standby.is_none() && !self.outputs.is_standby {
            let standby = StandbyProcess::start(|| self.finish_for_killed_logger());
            self.outputs.standby = standby.ok();
        }
    }

    /// Runs in the standby process after the death of the logger: finishes the lines that the
    /// logger has begun to write, consumes them, and leaves everything else as a KILL does. On a
    /// failure or a wait it gives up, because the next logger waits for this process.
    fn finish_for_killed_logger(&mut self) {
        self.outputs.is_standby = true;
        // Status files are not worth a pause.
        self.outputs.terminating = true;
        if !self.outputs.directories.iter_mut().any(DirectoryWriter::has_open_mark) {
            return;
        }
        let directories = self.outputs.directories.iter_mut();
        for (writer, settings) in directories.zip(&self.script.directories) {
            if writer.continue_for_killed_logger(settings, self.pipe).is_err() {
                return;
            }
        }
        self.router = Router::new(self.script);
        self.input = InputReader::new(true);
        self.resume_unfinished_batch();
        self.outputs.flush();
    }

    /// Writes the held text and whole lines from the pipe, and consumes them afterwards. The batch
    /// marks stay open until the next batch.
    fn take_batch(&mut self, length: usize, moment: Tai64n) {
        if self.mark_batch(length, moment, |_| 0).is_ok() {
            return self.write_batch(length, moment, |_| 0);
        }
        // Without a mark, a KILL loses what is consumed and not written: as little as after a read.
        let length = self.input.next_batch(READ_SIZE).map_or(length, |first| first.min(length));
        self.take_piece(length);
        self.outputs.flush();
    }

    /// Marks the next batch in all directories. `written` is the number of its output bytes that a
    /// directory already contains.
    ///
    /// # Errors
    /// The number of the directory that could not be marked, and why.
    fn mark_batch(
        &mut self,
        length: usize,
        moment: Tai64n,
        written: impl Fn(&DirectoryWriter<'_>) -> u64,
    ) -> Result<(), (usize, Errno)> {
        let held = self.input.held();
        let batch = self.batch(held.len(), length, moment);
        for (number, writer) in self.outputs.directories.iter_mut().enumerate() {
            let written = written(writer);
            writer.begin_batch(batch, held, written).map_err(|error| (number, error))?;
        }
        Ok(())
    }

    /// Writes a marked batch, and consumes it.
    fn write_batch(
        &mut self,
        length: usize,
        moment: Tai64n,
        written: impl Fn(&DirectoryWriter<'_>) -> u64,
    ) {
        let length = if self.outputs.is_standby {
            let text = self.input.text(0, length);
            let held = self.input.held().len();
            let written = self.outputs.directories.iter().map(written);
            // The rest of the batch is for the next logger, whichever that is. The open mark is
            // void for it: the pipe begins with other text.
            length_of_begun_lines(self.script, text, held, moment, written)
        } else {
            length
        };
        self.route(length, moment);
        self.outputs.flush();
        self.input.consume(length);
        self.input.advance(length);
    }

    /// Consumes the beginning of a line whose end is not in the pipe, and holds it.
    fn hold(&mut self, length: usize) {
        let now = self.now();
        let batch = self.batch(self.input.held().len(), length, now);
        // One directory is enough: the next batch marks all of them.
        let Some(writer) = self.outputs.authorities().next() else {
            return self.take_piece(length);
        };
        if !writer.hold_batch(batch, self.input.text(0, length), BatchStage::Holding) {
            return self.take_piece(length);
        }
        self.input.hold(length);
        // On a failure, the next logger compares the batch with the pipe.
        let _ = writer.hold_batch(batch, self.input.held(), BatchStage::Held);
    }

    /// Describes a part of the text that is in the pipe.
    fn batch(&self, from: usize, end: usize, moment: Tai64n) -> Batch {
        let text = self.input.text(from, end);
        Batch { length: text.len() as u64, digest: digest(self.seed, text), moment }
    }

    /// Finishes the batch of a killed logger, or restores its held text.
    pub(super) fn resume_unfinished_batch(&mut self) {
        let mut authorities = self.outputs.authorities();
        let Some(unfinished) = authorities.find_map(|writer| writer.unfinished().cloned()) else {
            drop(authorities);
            return self.outputs.end_batch();
        };
        drop(authorities);
        let moment = unfinished.batch.moment;
        let in_pipe = if unfinished.stage == BatchStage::Held {
            None
        } else {
            self.input.restore_held(unfinished.held_before());
            match self.find_unfinished(&unfinished.batch) {
                Ok(found) => found,
                Err(GaveUp) => return,
            }
        };
        match (unfinished.stage, in_pipe) {
            (BatchStage::Writing, Some(length)) => {
                self.start_standby();
                self.last_moment = moment;
                let written = |writer: &DirectoryWriter<'_>| {
                    let own = writer.unfinished().filter(|own| own.batch == unfinished.batch);
                    own.map_or(0, |own| own.written)
                };
                // Without the marks, a part of the batch would be written twice.
                while let Err((number, error)) = self.mark_batch(length, moment, written) {
                    if let Some(writer) = self.outputs.directories.get_mut(number) {
                        writer.report_mark(error);
                    }
                    if self.wait_to_resume() == Err(GaveUp) {
                        return;
                    }
                }
                self.write_batch(length, moment, written);
                self.outputs.end_batch();
            }
            (_, Some(_)) => {}
            (BatchStage::Writing, None) => {
                self.input.restore_held(&[]);
                self.outputs.end_batch();
            }
            (_, None) => self.input.restore_held(unfinished.held_after()),
        }
        if !self.input.is_peeking() {
            let held = self.input.stop_peeking();
            self.take_input(held);
        }
    }

    /// Looks for the batch of a killed logger at the beginning of the pipe; returns the length of the
    /// held text and the batch. While descriptors or memory are short, waits: a batch that is not found
    /// would be written again.
    fn find_unfinished(&mut self, batch: &Batch) -> Result<Option<usize>, GaveUp> {
        let seed = self.seed;
        let mut is_reported = false;
        loop {
            match self.input.find_batch(batch.length, |text| digest(seed, text) == batch.digest) {
                Ok(found) => return Ok(found),
                Err(error) if is_temporary(error) => {
                    if !is_reported && !self.outputs.is_standby {
                        let what = b"unable to look into the pipe, pausing";
                        diag::warning("multilog", &[what], error);
                    }
                    is_reported = true;
                    self.wait_to_resume()?;
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// Waits before the next try to resume the batch of a killed logger. Nothing is consumed yet, so TERM
    /// ends the logger at once. The standby process gives up, because the next logger waits for it.
    fn wait_to_resume(&mut self) -> Result<(), GaveUp> {
        if self.outputs.is_standby {
            return Err(GaveUp);
        }
        self.outputs.pause();
        if self.outputs.terminating {
            process::exit(0);
        }
        Ok(())
    }
}
