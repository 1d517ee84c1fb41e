//! The start-up of supervise: what has to work before other programs see it.

use super::beginning::{self, Beginning, SavedRuntime, Start};
use super::history::History;
use super::performer::Performer;
use super::published_record::PublishedRecord;
use super::reports::ReportLimit;
use super::runtime::ServiceRuntime;
use super::service_config::{self, Lookalikes};
use super::state_files::{InheritedFiles, LockedStateDir};
use super::supervised::Supervised;
use super::supervisor::Supervisor;
use crate::common::diag;
use crate::survive::log_pipe_offer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::handover::Handover;
use daemontools_core::state_dir::control::Decoder;
use daemontools_core::state_dir::phase::Phase;
use daemontools_core::svscan::supervise_process::NAME_GONE;
use daemontools_sys::signal::{self, Signals};
use daemontools_sys::{AsFd as _, Errno, OwnedFd, fd, fs};

/// The signals that supervise reads from a descriptor.
const SIGNALS: [i32; 7] = [
    signal::TERM,
    signal::INT,
    signal::HUP,
    signal::QUIT,
    signal::USR1,
    signal::USR2,
    log_pipe_offer::SIGNAL,
];

impl Supervisor {
    /// Enters the service directory, locks it and finds out about an earlier supervisor. On failure
    /// it prints a message and returns the exit code.
    ///
    /// Not inlined: its stack is free again when the service starts, so that both use the same few
    /// pages.
    #[inline(never)]
    pub(super) fn begin(
        dir: &'static CStr,
        handover: Option<&Handover>,
        inherited: Option<InheritedFiles>,
        of_svscan: bool,
    ) -> core::result::Result<(Self, SavedRuntime, Start), i32> {
        let shown = dir.to_bytes();
        let fatal = |what: &[&[u8]], error| diag::fatal("supervise", what, error);
        let signals =
            Signals::take_over_after_upgrade(&SIGNALS, handover.map(|handover| handover.mask))
                .map_err(|e| fatal(&[b"unable to create pipe for ", shown], e))?;
        let start_dir = fs::reach_dir(fs::HERE, c".").ok();
        // By descriptor: since the last start the directory may have got another name.
        let handed = handover.and_then(|handover| handover.descriptor(b"directory"));
        let entered = match handed.and_then(fd::take_inherited) {
            Some(handed) => fs::fchdir(handed.as_fd()),
            None => fs::chdir(dir),
        };
        entered.map_err(|error| match error {
            // Since svscan has started this process, the directory has got another name, or was
            // removed. svscan knows, and looks again.
            Errno::NOENT if of_svscan => NAME_GONE.into(),
            _ => fatal(&[b"unable to chdir to ", shown], error),
        })?;
        let locked = LockedStateDir::take(shown, inherited)?;
        let down = fs::exists(fs::HERE, c"down")
            .map_err(|e| fatal(&[b"unable to stat ", shown, b"/down"], e))?;
        let files = locked.open_files()?;
        let upgraded = handover.is_some_and(|handover| !handover.unknown_version);
        let start = Start { normally_up: !down, upgraded };
        let mut record = PublishedRecord::SERVICE;
        let earlier = record.open(&files)?;
        let Beginning { machine, adopted, saved } =
            beginning::service(&files, &mut record, earlier, start)?;
        let history = History::open(&files);
        // One expression: each variable would be one more copy on the stack.
        let supervisor = Self {
            performer: Performer {
                dir,
                signals,
                files,
                start_dir,
                service: Supervised::new(machine, adopted, record),
                logger: None,
                runtime: None,
                unpublished: true,
                status_failed: false,
                printed_refusal: Vec::new(),
                lookalikes: Lookalikes::default(),
                has_log_dir: false,
                report_limit: ReportLimit::default(),
                history,
            },
            decoder: Decoder::default(),
            exit_due: None,
            held_stop: None,
            next_command: None,
        };
        Ok((supervisor, saved, start))
    }

    /// Reads the options, makes the logger, and shows other programs that supervise runs. On failure
    /// it prints a message and returns the exit code.
    #[inline(never)]
    pub(super) fn finish_startup(
        &mut self,
        saved: SavedRuntime,
        start: Start,
        handover: Option<&Handover>,
    ) -> core::result::Result<(), i32> {
        let performer = &mut self.performer;
        // A service that is ready already is announced to `notify` once more.
        performer.service.notified_phase = Phase::Down;
        performer.read_first_options(saved, handover);
        performer.make_logger(start, handover)?;
        if handover.is_some_and(|handover| handover.leaving) {
            performer.service.machine.resume_leaving();
        }
        // When `ok` has a reader, other programs read the status.
        performer.publish();
        performer.files.open_ok()?;
        // Services that need an adopted one believe its status only since `ok` is open. They wait
        // for the status to change.
        performer.unpublished |= performer.service.machine.pid().is_some();
        Ok(())
    }
}

impl Performer {
    /// Reads the options at start-up. An adopted process is supervised even if there is a mistake in
    /// them.
    #[inline(never)]
    fn read_first_options(&mut self, saved: SavedRuntime, handover: Option<&Handover>) {
        match service_config::read(self.dir, &mut self.lookalikes, &mut self.has_log_dir) {
            Ok(None) => self.files.remove_state(),
            Ok(Some(config)) => {
                let machine = &mut self.service.machine;
                machine.configure(config.policy, 0);
                let mut runtime = Box::new(ServiceRuntime::new(config));
                let SavedRuntime { socket_name, status_text, last_process } = saved;
                runtime.status_text = status_text;
                if let Some(handover) = handover {
                    runtime.take_inherited(handover, self.files.dir(), &socket_name);
                }
                let (dir, state_dir) = (self.dir, self.files.dir());
                if let Some(pid) = machine.pid() {
                    let start_dir = self.start_dir.as_ref().map(OwnedFd::as_fd);
                    let running = (pid, machine.script(), machine.ready().is_some());
                    let adopted = self.service.adopted();
                    runtime.resume(dir, start_dir, state_dir, adopted, running, &socket_name);
                } else {
                    runtime.kill_earlier_leftovers(dir, state_dir, last_process);
                }
                self.runtime = Some(runtime);
            }
            Err(error) => self.refuse_config(&error),
        }
    }
}
