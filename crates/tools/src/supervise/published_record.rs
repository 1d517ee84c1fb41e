//! The process record of a service or of its logger, as it is on disk.

use super::state_files::StateFiles;
use crate::common::diag;
use crate::survive::process_record::{RecordError, RecordWriter, WriteResult};
use core::ffi::CStr;
use daemontools_core::state_dir::process_record::{ProcessIdentity, Record, RecordFile};
use daemontools_core::supervise::Script;
use daemontools_core::{Ended, Pid};
use daemontools_sys::fs;

/// The process record of one program.
pub(super) struct PublishedRecord {
    file: &'static CStr,
    /// What messages add to the name of the service.
    suffix: &'static [u8],
    /// `None` where processes cannot be identified; a warning was printed at start-up.
    writer: Option<RecordWriter>,
    /// Whether the record on disk says that the supervisor leaves; `None` while the whole record has
    /// to be written.
    leaving: Option<bool>,
    /// The last write of the record failed, and the warning was printed.
    failed: bool,
    /// At start-up: the status may name a newer process than the record.
    may_be_outdated: bool,
}

/// A record of this service that an earlier supervisor wrote.
pub(super) struct EarlierRecord {
    pub(super) record: Record,
    /// Its parts are at their places, so that each can be overwritten.
    pub(super) is_overwritable: bool,
}

impl PublishedRecord {
    /// The record of the service, not yet opened.
    pub(super) const SERVICE: Self = Self::new(c"process", b"");
    /// The record of encore's logger, not yet opened.
    pub(super) const LOGGER: Self = Self::new(c"log-process", b"/log");

    const fn new(file: &'static CStr, suffix: &'static [u8]) -> Self {
        Self { file, suffix, writer: None, leaving: None, failed: false, may_be_outdated: false }
    }

    /// Opens the record, and reads what an earlier supervisor wrote about this service.
    ///
    /// A service runs without a record too. But a record that exists and cannot be read may name a
    /// living process: then supervise prints a message and exits with the returned code.
    #[inline(never)]
    pub(super) fn open(
        &mut self,
        files: &StateFiles,
    ) -> core::result::Result<Option<EarlierRecord>, i32> {
        let [a, b, c] = files.path().parts();
        let file = self.file.to_bytes();
        let error = match RecordWriter::open(files.dir(), self.file) {
            Ok((writer, found, is_overwritable)) => {
                if let RecordFile::Invalid(invalid) = found {
                    let start = b"supervise: warning: ignoring ";
                    let why = invalid.reason().as_bytes();
                    diag::say(&[start, a, b, c, b"/", file, b": ", why]);
                }
                self.may_be_outdated = found.may_be_outdated();
                let earlier = match found {
                    RecordFile::Valid(record) => {
                        self.leaving = is_overwritable.then_some(record.leaving);
                        Some(EarlierRecord { record, is_overwritable })
                    }
                    RecordFile::Absent | RecordFile::Invalid(_) => None,
                };
                self.writer = Some(writer);
                return Ok(earlier);
            }
            Err(error) => error,
        };
        let (what, errno) = match error {
            RecordError::Record(errno) => ([b"unable to open ", a, b, c, b"/", file], errno),
            RecordError::Proc(errno) => {
                ([&b"unable to use /proc"[..], b"", b"", b"", b"", b""], errno)
            }
        };
        if fs::exists(files.dir(), self.file) != Ok(false) {
            return Err(diag::fatal("supervise", &what, errno));
        }
        diag::warning("supervise", &what, errno);
        Ok(None)
    }

    /// Whether the status may name a newer process than the record that was found at start-up.
    pub(super) const fn may_be_outdated(&self) -> bool {
        self.may_be_outdated
    }

    /// Replaces the record by one of a process that a supervisor without records has started; `None`
    /// where there are no records.
    pub(super) fn replace_with(
        &mut self,
        process: ProcessIdentity,
        script: Script,
    ) -> Option<EarlierRecord> {
        let (record, is_written) = self.writer.as_ref()?.write_adopted(process, script);
        // A failure is reported when the record is written next.
        self.leaving = is_written.then_some(false);
        Some(EarlierRecord { record, is_overwritable: is_written })
    }

    /// What messages add to the name of the service.
    pub(super) const fn suffix(&self) -> &'static [u8] {
        self.suffix
    }

    /// Whether the record on disk is up to date, except for the process.
    pub(super) const fn is_written(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether a later supervisor can find the process of this record.
    pub(super) const fn is_reliable(&self) -> bool {
        !self.failed && self.is_written() && self.writer.is_some()
    }

    /// Writes whether the supervisor leaves, or the whole record. Prints a warning at the first
    /// failure in a row.
    pub(super) fn update(
        &mut self,
        files: &StateFiles,
        leaving: bool,
        process: (Option<Pid>, Script),
    ) {
        if self.leaving == Some(leaving) {
            return;
        }
        let (pid, script) = process;
        let written = self.write(files, self.failed, |writer| match self.leaving {
            Some(_) => writer.write_leaving(leaving),
            None => writer.write(leaving, pid, script),
        });
        self.leaving = written.then_some(leaving);
        self.failed = !written;
    }

    /// Writes the process, with a warning on failure; called between fork and exec.
    ///
    /// Does nothing if the last write of the parent failed: the parent writes the whole record later.
    pub(super) fn write_new_process(&self, files: &StateFiles, pid: Pid, script: Script) {
        if !self.failed {
            self.write_process(files, pid, script, false);
        }
    }

    /// Writes the process; returns whether that succeeded.
    pub(super) fn write_process(
        &self,
        files: &StateFiles,
        pid: Pid,
        script: Script,
        quiet: bool,
    ) -> bool {
        self.write(files, quiet, |writer| writer.write_process(pid, script))
    }

    /// Writes how the process ended. A failure is silent: without it the next supervisor only does
    /// not know how.
    pub(super) fn write_end(&self, files: &StateFiles, pid: Pid, how: Ended) {
        self.write(files, true, |writer| writer.write_end(pid, how));
    }

    /// Removes the record: the supervisor leaves in order. A record that cannot be removed says that
    /// the supervisor was leaving, which has the same meaning.
    pub(super) fn remove(&self, files: &StateFiles) {
        let _ = fs::unlink(files.dir(), self.file);
    }

    /// Prints a warning on failure, unless `quiet`.
    fn write(
        &self,
        files: &StateFiles,
        quiet: bool,
        write: impl FnOnce(&RecordWriter) -> WriteResult,
    ) -> bool {
        let Some(writer) = &self.writer else {
            return true;
        };
        let written = write(writer);
        if let Err(why) = written
            && !quiet
        {
            let [a, b, c] = files.path().parts();
            let what = [b"unable to write ", a, b, c, b"/", self.file.to_bytes()];
            diag::warning_because("supervise", &what, why);
        }
        written.is_ok()
    }
}
