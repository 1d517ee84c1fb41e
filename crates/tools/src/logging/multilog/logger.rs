//! The loop of multilog: waits for input, routes it, and writes it.

use super::directory_writer::DirectoryWriter;
use super::input::{self, Input, InputReader};
use super::outputs::LoggerOutputs;
use super::status_output::StatusOutput;
use super::wall_clock::WallClock;
use crate::common::clock::instant;
use crate::common::diag;
use crate::common::unsent;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::multilog::batch::digest;
use daemontools_core::multilog::clock_step::{is_step, time_after};
use daemontools_core::multilog::router::Router;
use daemontools_core::multilog::script::{LogScript, Stamp};
use daemontools_core::text::lines;
use daemontools_core::time::tai::Tai64n;
use daemontools_sys::process;
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, Errno, fd, fs};

/// Number of bytes that are routed before they are written.
const SLICE: usize = 64 * 1024;

/// Idle time before large buffers are freed and dropped lines are reported.
const IDLE: Duration = Duration::from_secs(1);

/// A running multilog.
pub(super) struct Logger<'a> {
    pub(super) script: &'a LogScript<'a>,
    /// The pipe on standard input, if batches are possible.
    pub(super) pipe: Option<u64>,
    pub(super) input: InputReader,
    pub(super) router: Router<'a>,
    pub(super) outputs: LoggerOutputs<'a>,
    /// The digest of the arguments: another script has other output for the same batch.
    pub(super) seed: u64,
    /// The time in the last stamp.
    pub(super) last_moment: Tai64n,
    clock: WallClock,
}

impl<'a> Logger<'a> {
    /// Opens all outputs.
    ///
    /// # Errors
    /// The exit code, after a message.
    pub(super) fn start(script: &'a LogScript<'a>) -> Result<Self, i32> {
        let fatal = |what: &[u8], error| diag::fatal("multilog", &[what], error);
        fs::set_umask(0o022);
        let working_dir = fs::open_read(fs::HERE, c".")
            .map_err(|e| fatal(b"unable to switch to current directory", e))?;
        let signals = Signals::take_over(&[signal::TERM, signal::ALRM])
            .map_err(|e| fatal(b"unable to take signals", e))?;
        let mut status_files = Vec::new();
        for name in &script.statuses {
            status_files.push(StatusOutput::open(working_dir.as_fd(), name)?);
        }
        let mut outputs = LoggerOutputs {
            signals,
            terminating: false,
            rotation_requested: false,
            status_files,
            // A vector that grows has room for four from the start.
            directories: Vec::with_capacity(script.directories.len()),
            stderr_is_stuck: false,
            standby: None,
            is_standby: false,
        };
        // The next logger cannot repeat the output of a rate limit.
        let is_repeatable = script.directories.iter().all(|settings| settings.rate.is_none());
        let pipe = if is_repeatable {
            // For batch marks.
            insist(&mut outputs, b"identify the pipe on standard input", |_| input::pipe_id())?
        } else {
            None
        };
        for settings in &script.directories {
            let writer = DirectoryWriter::open(settings, pipe, || outputs.pause_at_start())?;
            outputs.directories.push(writer);
        }
        let clock = WallClock::new();
        let last_moment = insist(&mut outputs, b"look for the last stamp", |outputs| {
            last_moment(script.stamp, outputs, clock.label())
        })?;
        let pipe = pipe.filter(|_| !outputs.directories.is_empty());
        Ok(Self {
            script,
            pipe,
            input: InputReader::new(pipe.is_some()),
            router: Router::new(script),
            outputs,
            seed: process::args(1).fold(0, |seed, arg| digest(seed, arg.to_bytes())),
            last_moment,
            clock,
        })
    }

    /// Runs until the end of the input, or until TERM at the end of a line.
    pub(super) fn run(&mut self) {
        self.resume_unfinished_batch();
        loop {
            self.outputs.flush();
            // ALRM may have arrived while a flush waited for a processor.
            if core::mem::take(&mut self.outputs.rotation_requested) {
                self.outputs.rotate();
            }
            if self.outputs.terminating && !self.is_in_line() {
                break;
            }
            if !self.wait_for_input() {
                continue;
            }
            // After TERM, the text after the present line belongs to the next logger.
            let input = self.input.next(self.router.is_in_line(), self.outputs.terminating);
            if input == Input::End {
                break;
            }
            self.take_input(input);
        }
        if self.router.is_in_line() {
            self.outputs.end_batch();
            let now = self.now();
            self.router.route(b"\n", now, &mut self.outputs);
        }
        let now = self.now();
        self.router.report_all_dropped(now, &mut self.outputs);
        self.outputs.close();
    }

    /// Whether the beginning of a line is consumed and its end is not.
    fn is_in_line(&self) -> bool {
        self.router.is_in_line() || !self.input.held().is_empty()
    }

    /// The time for stamps. Stamps do not go back: while the clock is behind by at most a day, they
    /// stand still.
    pub(super) fn now(&mut self) -> Tai64n {
        self.last_moment = time_after(self.last_moment, self.clock.label());
        self.last_moment
    }

    /// Waits for input, a signal or a due time. Returns whether to read the input.
    fn wait_for_input(&mut self) -> bool {
        let directories = &self.outputs.directories;
        let due = directories.iter().filter_map(DirectoryWriter::due).min();
        let has_large_buffers =
            self.input.is_peeking() || directories.iter().any(DirectoryWriter::has_large_buffer);
        let idle = has_large_buffers.then_some(IDLE);
        let dropped = self.router.has_dropped().then_some(IDLE);
        let due = due.map(|due| due.duration_since(instant()));
        let timeout = due.into_iter().chain(idle).chain(dropped).min();
        let [readable, signalled] =
            unsent::wait([Some(fd::stdin()), Some(self.outputs.signals.fd())], timeout);
        if signalled {
            self.outputs.take_signals();
        }
        if !readable {
            if has_large_buffers && !signalled {
                self.free_large_buffers();
            }
            let now = self.now();
            self.router.report_dropped(now, &mut self.outputs);
        }
        self.outputs.retry_processors();
        readable
            && !self.outputs.rotation_requested
            && (!self.outputs.terminating || self.is_in_line())
    }

    /// Frees the memory, descriptors and the standby process that a load has needed.
    fn free_large_buffers(&mut self) {
        if self.input.is_peeking() {
            let held = self.input.stop_peeking();
            self.take_input(held);
            self.outputs.standby = None;
        }
        self.outputs.directories.iter_mut().for_each(DirectoryWriter::shrink);
    }

    /// Routes the first `length` bytes of the text, and writes all but the last slice.
    pub(super) fn route(&mut self, length: usize, now: Tai64n) {
        let mut done = 0;
        while done < length {
            if done > 0 {
                self.outputs.flush();
            }
            let text = self.input.text(done, length.min(done + SLICE));
            // A slice ends at the end of a line, if it contains one.
            let text = match lines::complete(text) {
                [] => text,
                whole => whole,
            };
            self.router.route(text, now, &mut self.outputs);
            done += text.len();
        }
    }
}

/// Tries something at the start until it succeeds: descriptors or memory are short. Reports the first error as
/// that of `what`.
///
/// # Errors
/// The exit code, if TERM ends the wait.
fn insist<'a, T>(
    outputs: &mut LoggerOutputs<'a>,
    what: &[u8],
    mut attempt: impl FnMut(&mut LoggerOutputs<'a>) -> Result<T, Errno>,
) -> Result<T, i32> {
    let mut is_reported = false;
    loop {
        let error = match attempt(outputs) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !is_reported {
            diag::warning("multilog", &[b"unable to ", what, b", pausing"], error);
        }
        is_reported = true;
        outputs.pause_at_start()?;
    }
}

/// The time of the last TAI64N stamp in the directories, so that a clock that was set back while no
/// logger ran does not move stamps back.
///
/// A label more than a day ahead comes from a wrong clock, and is ignored. Another user can have
/// written any label in a directory that is not private.
///
/// # Errors
/// A shortage that passes.
fn last_moment(
    stamp: Stamp,
    outputs: &mut LoggerOutputs<'_>,
    now: Tai64n,
) -> Result<Tai64n, Errno> {
    let mut last = Tai64n::default();
    if stamp == Stamp::Tai64n {
        for writer in outputs.authorities() {
            let label = writer.last_label()?.filter(|label| *label <= now || !is_step(now, *label));
            last = last.max(label.unwrap_or_default());
        }
    }
    Ok(last)
}
