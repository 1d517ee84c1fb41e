//! What the doctor finds, and the table of its checks.

use crate::output::escape;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// It can become a problem, or makes one worse.
    Warning,
    /// Something does not work, or will not at the next start.
    Error,
}

impl Severity {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A check of the doctor.
#[derive(Debug)]
pub(crate) struct Check {
    /// Its name, which never changes.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// The manual page to read.
    pub(crate) page: &'static str,
    /// What is wrong: one sentence without a full stop.
    pub(crate) what: &'static str,
}

/// Something that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) check: &'static Check,
    /// The name of the service; `None` for what concerns all of them.
    pub(crate) service: Option<OsString>,
    /// What was seen, without control characters.
    pub(crate) evidence: String,
    /// A command to copy, without control characters.
    pub(crate) remedy: String,
}

/// The findings so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn add(
        &mut self,
        check: &'static Check,
        service: Option<&OsStr>,
        evidence: impl AsRef<str>,
        remedy: impl AsRef<str>,
    ) {
        self.findings.push(Finding {
            check,
            service: service.map(OsStr::to_owned),
            evidence: escape(evidence.as_ref()),
            remedy: escape(remedy.as_ref()),
        });
    }
}

/// A path as a word of the shell.
pub(crate) fn quote(path: impl AsRef<Path>) -> String {
    let text = path.as_ref().to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Defines the checks and their table.
macro_rules! checks {
    ($($name:ident = $severity:ident $id:literal $page:literal $what:literal;)*) => {
        $(pub(crate) static $name: Check =
            Check { id: $id, severity: Severity::$severity, page: $page, what: $what };)*
        /// Every check, in the order of the manual, which is made from it.
        #[cfg(test)]
        pub(crate) static CHECKS: &[&Check] = &[$(&$name,)*];
    };
}

checks! {
    LINK_DANGLING = Error "link-dangling" "svscan(8)" "an entry of the scan directory is a link to a path that does not exist";
    RUN_MISSING = Error "run-missing" "service-directory(5)" "a service directory has no run";
    RUN_NOT_EXECUTABLE = Error "run-not-executable" "service-directory(5)" "the file run may not be executed";
    RUN_NO_INTERPRETER = Error "run-no-interpreter-line" "supervise(8)" "the file run is no program, and does not begin with #!";
    RUN_CRLF = Error "run-crlf" "supervise(8)" "the file run has the line ends of Windows";
    INTERPRETER_MISSING = Error "interpreter-missing" "supervise(8)" "the interpreter of run, or the loader of the program, does not exist";
    NOEXEC_MOUNT = Error "noexec-mount" "supervise(8)" "the file run is on a file system that is mounted with noexec";
    WRONG_ARCHITECTURE = Error "wrong-architecture" "supervise(8)" "the file run is a program for another processor";
    SHELL_WITHOUT_EXEC = Warning "shell-without-exec" "service-directory(5)" "a shell runs between supervise and the service, and gets the signals in its place";
    EXEC_IN_PIPELINE = Warning "exec-in-pipeline" "service-directory(5)" "the file run pipes its service into another program, so supervise watches the shell; a logger does it right";
    GOES_BACKGROUND = Error "goes-background" "service-directory(5)" "the service puts itself into the background, where supervise loses it";
    ORPHAN = Warning "orphan" "supervise(8)" "a process of an earlier life of the service still runs";
    UNKNOWN_USER = Error "unknown-user" "setuidgid(8)" "the file run changes to a user that does not exist";
    PROGRAM_NOT_FOUND = Error "program-not-found" "supervise(8)" "the program of the service does not exist, or its PATH does not lead to it";
    OPTION_MISTAKE = Error "option-mistake" "service-directory(5)" "an option file has a mistake, so supervise does not start the service";
    LIMIT_REFUSED = Error "limit-refused" "service-directory(5)" "a limit of the service is beyond what supervise may set, so the service does not start";
    OPTION_MISSPELT = Warning "option-misspelt" "service-directory(5)" "a file has nearly the name of an option file, and no effect";
    NEEDS_UNKNOWN = Error "needs-unknown" "service-directory(5)" "a service needs one that is not in the scan directory";
    NEEDS_CYCLE = Error "needs-cycle" "service-directory(5)" "services need each other, so none of them starts";
    WAITS_FOR_NEEDS = Warning "waits-for-needs" "service-directory(5)" "a service waits for another one that is not ready";
    NOT_READY = Warning "not-ready" "service-directory(5)" "a service has not reported its readiness for a minute";
    CRASH_LOOP = Error "crash-loop" "supervise(8)" "the service ends again and again, or has failed";
    PORT_TAKEN = Error "port-taken" "supervise(8)" "another process has the address of the service";
    STOP_HANGS = Error "stop-hangs" "service-directory(5)" "the service was told to stop, and ignores the signal or cannot get it";
    LOGGER_NOT_PICKED_UP = Warning "logger-not-picked-up" "svscan(8)" "the directory log has come later than the service, which does not write to it";
    LOGGER_DOWN = Warning "logger-down" "svscan(8)" "the logger of a running service does not run";
    STDERR_NOT_LOGGED = Warning "stderr-not-logged" "service-directory(5)" "the error messages of the service do not go to its logger";
    LOG_DIR_OWNER = Error "log-dir-owner" "multilog(8)" "the user of the logger may not write to the log directory";
    LOG_DIR_SHARED = Error "log-dir-shared" "multilog(8)" "two loggers write to one directory";
    DISK_FULL = Error "disk-full" "multilog(8)" "the file system of the log or of the state directory is full";
    LOG_PIPE_FULL = Error "log-pipe-full" "svscan(8)" "the pipe to the logger is full, so the service waits";
    STATE_READ_ONLY = Error "state-read-only" "supervise(8)" "supervise cannot make its state directory: the file system is read-only";
    STATE_DANGLING = Error "state-dangling" "supervise(8)" "the state directory is a link to a directory that does not exist";
    STATE_WRITABLE = Error "state-writable" "supervise(8)" "other users can change the state directory or send commands";
    STATE_COPIED = Warning "state-copied" "supervise(8)" "the state directory is a copy of that of another service";
    LINKED_TWICE = Error "linked-twice" "svscan(8)" "two entries of the scan directory are the same service directory";
    CLOCK = Warning "clock" "supervise(8)" "the status of a service is from the future: the clock was set back";
    OLD_EXECUTABLE = Warning "old-executable" "svscan(8)" "a supervisor still runs an executable that was replaced";
    DESCRIPTORS = Warning "descriptors" "softlimit(8)" "a process has nearly as many open files as it may have";
    MEMORY_LIMIT = Warning "memory-limit" "softlimit(8)" "a process has nearly as much memory as its limits allow";
    INOTIFY_LIMIT = Warning "inotify-limit" "svscan(8)" "the user of svscan has nearly as many inotify instances or watches as the kernel allows";
    PROCESS_LIMIT = Warning "process-limit" "softlimit(8)" "there are nearly as many processes as the system, a control group or a limit of a user allows";
    SVSCAN_MISSING = Error "svscan-missing" "svscanboot(8)" "no svscan runs on the scan directory";
    TWO_SVSCANS = Error "two-svscans" "svscan(8)" "two svscans have the same service";
    UNIT_KILLS_SERVICES = Error "unit-kills-services" "svscanboot(8)" "systemd kills all services when the unit of svscan stops or restarts";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_have_different_ids_and_complete_texts() {
        for (at, check) in CHECKS.iter().enumerate() {
            assert!(CHECKS.iter().skip(at + 1).all(|other| other.id != check.id), "{}", check.id);
            assert!(!check.what.ends_with('.') && check.page.ends_with(')'), "{}", check.id);
        }
    }

    #[test]
    fn each_check_has_a_test_with_the_real_fault() {
        let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/black_box/doctor");
        let texts: Vec<String> = std::fs::read_dir(tests)
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        for check in CHECKS {
            let id = format!("\"{}\"", check.id);
            assert!(texts.iter().any(|text| text.contains(&id)), "{id}");
        }
    }

    #[test]
    fn paths_become_words_of_the_shell() {
        assert_eq!(quote("/service/web"), "/service/web");
        assert_eq!(quote("a b'c"), "'a b'\\''c'");
    }
}
