//! The end of an essential service, after which its supervisor exits and svscan stops everything.

use super::Machine;
use super::stopping::StopCause;
use crate::Ended;
use crate::options::Essential;
use crate::state_dir::status::Want;

/// Exit code of a supervisor whose essential service has ended for good. The file of
/// [`essential_end`](crate::state_dir::essential_end) says how.
pub const ESSENTIAL_ENDED: u8 = 98;

impl Machine {
    /// How the essential service has ended for good, if it has.
    #[must_use]
    pub const fn essential_end(&self) -> Option<Ended> {
        self.essential_end
    }

    /// `run` has ended. Notes whether that is the end for good; `fails` says that the service fails.
    pub(super) fn note_essential_exit(&mut self, how: Ended, fails: bool) {
        let is_end = match self.policy().essential {
            None => return,
            Some(Essential::Failed) => fails,
            Some(Essential::Any) => fails || self.is_unexpected_end(how),
        };
        if is_end {
            self.set_essential_end(how);
        }
    }

    /// The service fails. Notes the end for good of an essential one; `how` its last script ended.
    pub(super) fn note_essential_failure(&mut self, how: Ended) {
        if self.policy().essential.is_some() {
            self.set_essential_end(how);
        }
    }

    /// A service that is wanted down ends because of a command. After `x` the supervisor exits in any
    /// case, and svscan starts the next one.
    fn set_essential_end(&mut self, how: Ended) {
        if self.want != Want::Down && !self.leaving {
            self.essential_end = Some(how);
        }
    }

    /// Whether neither a command nor a lost dependency has caused the end of `run`.
    fn is_unexpected_end(&self, how: Ended) -> bool {
        match self.stopping.cause {
            None => !self.stopping.is_by_signal_command(how),
            Some(StopCause::Outside) => false,
            Some(StopCause::Unhealthy) => true,
        }
    }
}
