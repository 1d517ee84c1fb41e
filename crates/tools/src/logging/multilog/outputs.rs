//! The outputs of multilog, and the signals that arrive while it waits for them.

use super::directory_writer::{DirectoryWriter, PAUSE, WriteOutcome};
use super::standby::StandbyProcess;
use super::status_output::StatusOutput;
use crate::common::clock::instant;
use crate::common::diag::TEMPORARY;
use crate::common::unsent;
use alloc::vec::Vec;
use core::time::Duration;
use daemontools_core::multilog::router::Outputs;
use daemontools_sys::poll;
use daemontools_sys::process;
use daemontools_sys::signal::{self, Signals};

/// How long a line waits for a reader of standard error that reads nothing.
const STDERR_PATIENCE: Duration = Duration::from_secs(2);

/// The outputs of a logger.
pub(super) struct LoggerOutputs<'a> {
    pub(super) signals: Signals,
    /// TERM has arrived.
    pub(super) terminating: bool,
    /// ALRM has arrived.
    pub(super) rotation_requested: bool,
    pub(super) status_files: Vec<StatusOutput<'a>>,
    pub(super) directories: Vec<DirectoryWriter<'a>>,
    /// A line has waited in vain for standard error: the next lines do not wait.
    pub(super) stderr_is_stuck: bool,
    /// Present under load.
    pub(super) standby: Option<StandbyProcess>,
    /// This process is the standby process of a killed logger.
    pub(super) is_standby: bool,
}

impl<'a> LoggerOutputs<'a> {
    /// Reads the pending signals, and reaps children.
    pub(super) fn take_signals(&mut self) {
        for signal in self.signals.pending() {
            self.terminating |= signal == signal::TERM;
            self.rotation_requested |= signal == signal::ALRM;
        }
        while let Some((pid, how)) = process::reap() {
            if self.standby.as_mut().is_some_and(|standby| standby.has_ended(pid)) {
                self.standby = None;
            }
            let mut directories = self.directories.iter_mut();
            if let Some(writer) = directories.find(|writer| writer.processor() == Some(pid)) {
                writer.processor_ended(how);
            }
        }
    }

    /// Writes all added text, however long that takes.
    pub(super) fn flush(&mut self) {
        self.work(DirectoryWriter::work);
    }

    /// Replaces each `current` that is not empty.
    pub(super) fn rotate(&mut self) {
        self.work(DirectoryWriter::rotate);
    }

    /// Writes all added text, waits for the processors, and completes each `current`.
    pub(super) fn close(&mut self) {
        self.flush();
        while self.directories.iter().any(DirectoryWriter::is_processor_running) {
            self.wait_for_processors(None);
            self.flush();
        }
        self.work(DirectoryWriter::close);
    }

    /// Repeats `step` for each directory until it is done.
    fn work(&mut self, step: impl Fn(&mut DirectoryWriter<'a>) -> WriteOutcome) {
        for n in 0..self.directories.len() {
            while let Some(writer) = self.directories.get_mut(n) {
                match step(writer) {
                    WriteOutcome::Done => break,
                    // The next logger waits for this process.
                    WriteOutcome::Failed if self.is_standby => process::exit(TEMPORARY),
                    // The logger cannot write its text, and must not ignore TERM for ever.
                    WriteOutcome::Failed if self.terminating && writer.needs_help() => {
                        process::exit(writer.give_up())
                    }
                    WriteOutcome::WaitingForProcessor => self.wait_for_processors(None),
                    WriteOutcome::Failed => self.pause(),
                }
            }
        }
    }

    /// Waits for a signal or for [`PAUSE`].
    pub(super) fn pause(&mut self) {
        self.wait_for_processors(Some(PAUSE));
    }

    /// Waits before the next try to start. Nothing is read yet, so TERM ends the logger and loses nothing.
    ///
    /// # Errors
    /// The exit code, after TERM.
    pub(super) fn pause_at_start(&mut self) -> Result<(), i32> {
        self.pause();
        if self.terminating { Err(0) } else { Ok(()) }
    }

    /// Waits for a signal, for the time to start a failed processor again, or for `limit`.
    fn wait_for_processors(&mut self, limit: Option<Duration>) {
        let retry = self.directories.iter().filter_map(DirectoryWriter::retry).min();
        let retry = retry.map(|due| due.duration_since(instant()));
        let timeout = retry.into_iter().chain(limit).min();
        let [signalled] = unsent::wait([Some(self.signals.fd())], timeout);
        if signalled {
            self.take_signals();
        }
        self.retry_processors();
    }

    /// Lets the failed processors run again whose pause is over.
    pub(super) fn retry_processors(&mut self) {
        self.directories.iter_mut().for_each(DirectoryWriter::retry_processor);
    }

    /// The directories whose batch marks and last stamps count for all directories: those that no
    /// other user can write. If there are none, all count.
    pub(super) fn authorities(&mut self) -> impl Iterator<Item = &mut DirectoryWriter<'a>> {
        let has_private = self.directories.iter().any(DirectoryWriter::is_private);
        self.directories.iter_mut().filter(move |writer| writer.is_private() || !has_private)
    }

    /// Ends the open batch in all directories.
    pub(super) fn end_batch(&mut self) {
        self.directories.iter_mut().for_each(DirectoryWriter::end_batch);
    }
}

impl Outputs for LoggerOutputs<'_> {
    fn directory(&mut self, number: usize, text: &[u8]) {
        if let Some(writer) = self.directories.get_mut(number) {
            writer.add(text);
        }
    }

    /// Prints a line, or its first 200 bytes and three dots.
    ///
    /// A reader that is slower than the log gets all lines. One that reads nothing holds the log up once.
    fn stderr(&mut self, line: &[u8]) {
        const LIMIT: usize = 200;
        if self.is_standby {
            // The killed logger has printed the line before it wrote it.
            return;
        }
        let patience = if self.stderr_is_stuck { Duration::ZERO } else { STDERR_PATIENCE };
        let written = match line.get(..LIMIT) {
            Some(first) if line.len() > LIMIT => unsent::say_within(&[first, b"..."], patience),
            _ => unsent::say_within(&[line], patience),
        };
        self.stderr_is_stuck = !written;
    }

    fn status(&mut self, number: usize, line: &[u8]) {
        let mut warned = false;
        while let Some(status) = self.status_files.get(number)
            && let Err(error) = status.show(line)
        {
            if !warned {
                status.warn(error);
            }
            warned = true;
            // A status file keeps no lines: TERM does not wait for it.
            if self.terminating {
                return;
            }
            let [signalled] = poll::readable([self.signals.fd()], Some(PAUSE));
            if signalled {
                self.take_signals();
            }
        }
    }
}
