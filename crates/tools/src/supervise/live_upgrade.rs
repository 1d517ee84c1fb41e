//! The live upgrade of a supervise: it becomes the newly installed program, with the same service.

use super::supervisor::Supervisor;
use crate::common::diag;
use crate::survive::upgrade;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use daemontools_core::handover::Handover;
use daemontools_core::supervise::State;
use daemontools_core::text::decimal::Decimal;
use daemontools_sys::process::{self, Strings};
use daemontools_sys::{AsFd as _, BorrowedFd, dir, fd, fs};

impl Supervisor {
    /// Becomes the newly installed program. It finds the state of the service in the status and the
    /// process record. Returns if that fails.
    #[inline(never)]
    pub(super) fn upgrade(&mut self) {
        let performer = &mut self.performer;
        if performer.service.machine.state() == State::Gone {
            return;
        }
        performer.publish();
        let missing = performer.service.missing_on_record(&performer.files);
        let logger = performer.logger.as_ref();
        let missing_logger =
            logger.and_then(|logger| logger.process.missing_on_record(&performer.files));
        if let Some(pid) = missing.or(missing_logger) {
            let digits = Decimal::new(pid.get().cast_unsigned().into());
            return diag::say(&[
                b"supervise: warning: unable to write down process ",
                digits.as_bytes(),
                b" of ",
                performer.dir.to_bytes(),
                b", going on without upgrade",
            ]);
        }
        let Ok(here) = fs::reach_dir(fs::HERE, c".") else {
            return;
        };
        let directory = (&b"directory"[..], here.as_fd());
        let own = performer.files.to_hand_over().chain([directory]);
        let own = own.map(|(name, fd)| (name.to_vec(), fd));
        let runtime = performer.runtime.as_ref();
        let helpers = runtime.map(|runtime| runtime.helpers.to_hand_over()).unwrap_or_default();
        let runtime = runtime.map(|runtime| runtime.to_hand_over()).unwrap_or_default();
        let logger = performer.logger.as_ref();
        let logger = logger.map(|logger| logger.to_hand_over()).unwrap_or_default();
        let (names, kept): (Vec<_>, Vec<_>) = own.chain(runtime).chain(logger).unzip();
        let numbered = names.into_iter().zip(&kept).map(|(name, fd)| (name, fd::number(*fd)));
        let handover = Handover {
            mask: performer.signals.inherited_mask(),
            leaving: performer.service.machine.is_leaving(),
            descriptors: numbered.collect(),
            helpers,
            ..Handover::default()
        };
        // The arguments are relative to the directory at start-up.
        if performer.start_dir.as_ref().is_some_and(|dir| fs::fchdir(dir.as_fd()).is_ok()) {
            let name = present_name(performer.dir, here.as_fd());
            let program = process::arg(0).unwrap_or_default();
            let args = [program, name.as_deref().unwrap_or(performer.dir)];
            upgrade::run("supervise", &Strings::of(args), &handover, &kept);
        }
        let _ = fs::fchdir(here.as_fd());
    }
}

/// The name that leads from the current directory, the scan directory, to the service directory `here`,
/// if the present one leads elsewhere: svscan sends USR2 when a link has been renamed. `None` for a
/// directory that has no such name.
fn present_name(name: &CStr, here: BorrowedFd<'_>) -> Option<CString> {
    let leads_here = |name: &CStr| {
        let id = fs::dir_id(fs::HERE, name);
        id.is_ok() && id == fs::dir_id(here, c".")
    };
    if name.to_bytes().contains(&b'/') || leads_here(name) {
        return None;
    }
    let mut found = None;
    // A directory that cannot be read leaves the name as it is.
    let _ = dir::names_here(|name| {
        if found.is_none() && leads_here(name) {
            found = Some(CString::from(name));
        }
    });
    found
}
