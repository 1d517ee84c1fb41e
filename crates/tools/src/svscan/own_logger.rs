//! The logger of svscan's own messages, encore's second argument.

use super::scanner::Scanner;
use crate::common::clock::instant;
use crate::common::diag;
use core::ffi::CStr;
use daemontools_sys::{AsFd as _, BorrowedFd, fd, fs};

impl Scanner {
    /// Starts a service that gets all output of svscan, of the supervise processes, and of the
    /// services without a logger. Does nothing if there is no such directory.
    pub(super) fn start_own_logger(&mut self, name: &CStr) {
        let Ok(Some(id)) = fs::dir_id(fs::HERE, name) else {
            return;
        };
        let no = self.roster.add_own_logger(name.to_bytes(), id, instant(), &mut self.effects);
        self.perform();
        let pipe = self.pipes.get(no);
        if let Some(write_end) = pipe.and_then(|pipe| pipe.write_end.as_ref()) {
            send_messages_to(write_end.as_fd());
            diag::say(&[b"svscan: info: starting"]);
        }
    }

    /// Detaches svscan's messages from the own logger, whose input ends.
    pub(super) fn leave_own_logger() {
        if let Ok(null) = fs::open_write(fs::HERE, c"/dev/null") {
            send_messages_to(null.as_fd());
        }
    }
}

fn send_messages_to(output: BorrowedFd<'_>) {
    let _ = fd::replace(fd::stdout(), output);
    let _ = fd::replace(fd::stderr(), output);
}
