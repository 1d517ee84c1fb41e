//! The end of an essential service: supervise tells svscan how it ended, and exits.

use super::performer::Performer;
use crate::common::diag;
use daemontools_core::state_dir::essential_end;
use daemontools_core::supervise::ESSENTIAL_ENDED;
use daemontools_sys::process;

impl Performer {
    /// The exit code of a supervisor that leaves in order. If its essential service has ended for
    /// good, writes the file that tells svscan how.
    pub(super) fn exit_code(&self) -> i32 {
        let Some(how) = self.service.machine.essential_end() else {
            return 0;
        };
        let text = essential_end::to_text(process::id(), how);
        if let Err(error) = self.files.write_essential_end(&text) {
            let [a, b, c] = self.files.path().parts();
            diag::warning("supervise", &[b"unable to write ", a, b, c, b"/essential"], error);
        }
        ESSENTIAL_ENDED.into()
    }
}
