//! The service manager that has started svscan or svscanboot, such as systemd: it gets their state at
//! the socket in `NOTIFY_SOCKET`, in the protocol of sd_notify(3).

use crate::common::clock::instant;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::time::Instant;
use daemontools_sys::{Errno, notify, process};

/// The variable with the address of the socket.
pub(super) const VARIABLE: &str = "NOTIFY_SOCKET";

/// Time until the next attempt while the socket has no room.
const PAUSE: Duration = Duration::from_secs(1);

/// The environment without the variable: a service must not report in the place of svscan.
pub(super) fn environment_of_services() -> impl Iterator<Item = &'static CStr> + Clone {
    let is_address = |entry: &&CStr| {
        entry
            .to_bytes()
            .strip_prefix(VARIABLE.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"="))
    };
    process::environ().filter(move |entry| !is_address(entry))
}

/// The states that are reported.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// The services are being started.
    Ready,
    /// Everything is being stopped.
    Stopping,
}

/// The connection to the service manager.
pub(super) struct ServiceManager {
    /// `None` if there is none.
    address: Option<&'static CStr>,
    /// The state that was reported last.
    reported: Option<Report>,
    /// The time of the next attempt to send that state.
    due: Option<Instant>,
}

impl ServiceManager {
    /// The one in the environment. The variable stays there, for the program after a live upgrade.
    pub(super) fn of_environment() -> Self {
        let address = process::env(VARIABLE).filter(|address| !address.is_empty());
        Self { address, reported: None, due: None }
    }

    /// Whether there is one.
    pub(super) const fn exists(&self) -> bool {
        self.address.is_some()
    }

    /// Reports a state, once.
    pub(super) fn report(&mut self, report: Report) {
        if self.exists() && self.reported != Some(report) {
            self.reported = Some(report);
            self.due = Some(instant());
            self.send_due();
        }
    }

    /// Sends the state if that is due. A socket without room gets it later; any other error is final,
    /// because nothing receives messages there.
    pub(super) fn send_due(&mut self) {
        if self.due.take_if(|due| *due <= instant()).is_none() {
            return;
        }
        let message: &[u8] = match self.reported {
            Some(Report::Ready) => b"READY=1",
            Some(Report::Stopping) => b"STOPPING=1",
            None => return,
        };
        if self.address.map(|address| notify::send(address, message)) == Some(Err(Errno::AGAIN)) {
            self.due = Some(instant() + PAUSE);
        }
    }

    /// When [`ServiceManager::send_due`] is due.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}
