//! Reports the decisions that supervise takes without a command.

use super::supervised::Role;
use crate::common::clock::instant;
use crate::common::diag;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::supervise::{Report, Script};
use daemontools_core::text::decimal::Decimal;
use daemontools_core::time::Instant;

/// A service that fails again and again gets at most so many lines in one period.
const LINES: u32 = 10;

/// The period in which the lines are counted.
const PERIOD: Duration = Duration::from_secs(60);

/// Counts the lines about one service.
#[derive(Default)]
pub(super) struct ReportLimit {
    /// The end of the current period.
    end: Option<Instant>,
    printed: u32,
    omitted: u32,
}

impl ReportLimit {
    /// Whether a line may be printed now. If so, returns how many were omitted before it.
    fn admit(&mut self, now: Instant) -> Option<u32> {
        if self.end.is_none_or(|end| end <= now) {
            self.end = Some(now + PERIOD);
            self.printed = 0;
        }
        if self.printed >= LINES {
            self.omitted = self.omitted.saturating_add(1);
            return None;
        }
        self.printed += 1;
        Some(core::mem::take(&mut self.omitted))
    }

    /// The same for a line without that number, which the next other line tells.
    fn admit_alone(&mut self) -> bool {
        let Some(omitted) = self.admit(instant()) else { return false };
        self.omitted = omitted;
        true
    }

    /// Prints that the service in `dir` has closed its `notification-fd` without a newline, unless there
    /// were too many lines.
    pub(super) fn print_closed_pipe(&mut self, dir: &CStr, number: u16) {
        if !self.admit_alone() {
            return;
        }
        diag::say(&[
            b"supervise: warning: ",
            dir.to_bytes(),
            b" has closed descriptor ",
            Decimal::new(number.into()).as_bytes(),
            b" (notification-fd) without a newline: it does not become ready by it",
        ]);
    }

    /// Prints that the service in `dir` has reached a limit of its control group, unless there were too
    /// many lines.
    pub(super) fn print_limit(&mut self, dir: &CStr, what: &[u8]) {
        if self.admit_alone() {
            diag::say(&[b"supervise: warning: ", dir.to_bytes(), what]);
        }
    }

    /// Prints a line about a decision for the service in `dir`, unless there were too many. `stays` says
    /// that the supervisor stays, so that a command can start the service again.
    #[inline(never)]
    pub(super) fn print(&mut self, dir: &CStr, role: Role, report: Report, stays: bool) {
        let admitted = self.admit(instant());
        // It is the last one until a command comes.
        let is_final = matches!(report, Report::Failed(_));
        let Some(omitted) = admitted.or(is_final.then_some(0)) else { return };
        let log: &[u8] = if role == Role::Logger { b"/log" } else { b"" };
        let dir = dir.to_bytes();
        let suffix = Decimal::new(omitted.into());
        let suffix: [&[u8]; 3] = match omitted {
            0 => [b""; 3],
            _ => [b" (", suffix.as_bytes(), b" messages omitted)"],
        };
        let [open, number, close] = suffix;
        let print = |pieces: [&[u8]; 6]| {
            let [a, b, c, d, e, f] = pieces;
            diag::say(&[b"supervise: ", a, b, c, d, e, f, open, number, close]);
        };
        match report {
            Report::Stopped(reason) => {
                print([b"warning: stopping ", dir, log, b": ", reason.words().as_bytes(), b""]);
            }
            Report::Failed(reason) => {
                let words = reason.words().as_bytes();
                print([
                    b"warning: ",
                    dir,
                    log,
                    b" has failed: ",
                    words,
                    if stays { b"; svc -u starts it again" } else { b"" },
                ]);
            }
            Report::Killed(script, pid) => {
                let pid = Decimal::new(pid.get().cast_unsigned().into());
                let script: &[u8] = match script {
                    Script::Run => log,
                    Script::Start => b"/start",
                    Script::Stop => b"/stop",
                    Script::Finish => b"/finish",
                };
                let late = b": it has not ended in time";
                print([b"warning: killing process ", pid.as_bytes(), b" of ", dir, script, late]);
            }
            Report::QuickExits(_) => {
                print([
                    b"warning: ",
                    dir,
                    log,
                    b" goes into the background, and starts again and again:",
                    b" it needs an option that keeps it in the foreground, or the file background",
                    b"",
                ]);
            }
            Report::Delayed(delay) => {
                let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                let delay = Decimal::new(milliseconds);
                let ms = b" ms";
                print([
                    b"info: delaying the next start of ",
                    dir,
                    log,
                    b" by ",
                    delay.as_bytes(),
                    ms,
                ]);
            }
        }
    }
}
