//! The configuration of a service: its option files, and the scripts that its personality has.

use crate::common::diag::{self, why};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::options::{
    Essential, HealthCheck, Lookalike, OptionError, OptionFile, Personality, ServiceOptions,
};
use daemontools_core::state_dir::control::Scope;
use daemontools_core::supervise::{Policy, Scripts};
use daemontools_sys::dir::EntryKind;
use daemontools_sys::{Errno, dir, fs, process};

/// The variable that sets the personality of all services below a svscan or supervise.
const VARIABLE: &str = "DAEMONTOOLS_PERSONALITY";

/// The largest option file that is read.
const FILE_LIMIT: usize = 64 * 1024;

/// The most unknown names that are reported.
const LOOKALIKE_LIMIT: usize = 16;

/// How often runit's `check` runs without a file `check-interval`.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How many deaths s6 remembers without a file that says so.
const S6_TALLY: u16 = 100;

/// What the files of a service directory say about its supervision.
pub(super) struct ServiceConfig {
    /// The option files.
    pub(super) options: ServiceOptions,
    pub(super) personality: Personality,
    /// encore's `notify` is run.
    pub(super) notify: bool,
    /// encore's file `log` is the logger.
    pub(super) log: bool,
    /// How many deaths s6's `death_tally` keeps, if there is one.
    pub(super) death_tally: Option<u16>,
    /// runit's scripts in `control/` are run.
    pub(super) control: bool,
    pub(super) policy: Policy,
}

impl ServiceConfig {
    /// The configuration of an empty directory.
    pub(super) fn none() -> Box<Self> {
        Box::new(
            DirectoryNames::default().combine(ServiceOptions::default(), Personality::default()),
        )
    }

    /// Whether each script leads a session of its own.
    pub(super) fn leads_session(&self) -> bool {
        let has_sessions = matches!(self.personality, Personality::Encore | Personality::S6);
        has_sessions && !self.options.no_session
    }

    /// Whether each script leads a process group of its own.
    pub(super) fn leads_group(&self) -> bool {
        let stop = &self.options.stop;
        self.leads_session() || stop.scope == Scope::Group || stop.kill_group
    }
}

/// Why the configuration cannot be used.
pub(super) enum ConfigError {
    /// A mistake in an option file.
    Invalid(OptionError),
    /// An option file that cannot be read.
    Unreadable(&'static str, Errno),
    /// The variable has this value, which is no personality.
    UnknownPersonality(Vec<u8>),
    /// A file that has no meaning without another one, or contradicts it; and what would be right.
    Misfit(OptionFile, &'static str),
}

impl ConfigError {
    /// The error in words, with the path of the file in the service directory `dir`.
    pub(super) fn message(&self, dir: &[u8]) -> Vec<u8> {
        match self {
            Self::Invalid(error) => [dir, b"/", &error.message()].concat(),
            Self::Unreadable(file, error) => {
                let why = why(*error).as_bytes();
                [b"unable to read ", dir, b"/", file.as_bytes(), b": ", why].concat()
            }
            Self::UnknownPersonality(word) => {
                let variable = VARIABLE.as_bytes();
                let right = b"\": want daemontools, encore, s6 or runit";
                [dir, b"/", variable, b": \"", word, right].concat()
            }
            Self::Misfit(file, right) => {
                [dir, b"/", file.name().as_bytes(), b": want ", right.as_bytes()].concat()
            }
        }
    }
}

/// Reads the configuration of the current directory, which messages call `shown`; `None` for a service
/// without options. Tells whether there is a directory `log`, or a link.
pub(super) fn read(
    shown: &CStr,
    lookalikes: &mut Lookalikes,
    has_log_dir: &mut bool,
) -> Result<Option<Box<ServiceConfig>>, ConfigError> {
    let mut names = DirectoryNames::default();
    let listed = dir::entries_here(|name, kind| {
        let name = name.to_bytes();
        *has_log_dir |= name == b"log" && kind != EntryKind::File;
        if !names.note(name) && kind != EntryKind::Dir {
            lookalikes.note(shown, name);
        }
    });
    // A directory that cannot be listed can still be searched for each name.
    if listed.is_err() {
        names = DirectoryNames::probe();
    }
    if names.drop_command() && listed.is_ok() {
        lookalikes.note_command(shown);
    }
    let inherited = process::env(VARIABLE).map(CStr::to_bytes).filter(|word| !word.is_empty());
    if names.files.is_empty() && inherited.is_none() {
        return Ok(None);
    }
    names.read_files(inherited)
}

/// The unknown names that look like option files, and were reported.
#[derive(Default)]
pub(super) struct Lookalikes(Vec<Box<[u8]>>);

impl Lookalikes {
    /// Reports once that `run` is there, so that `command` means nothing.
    #[inline(never)]
    fn note_command(&mut self, shown: &CStr) {
        if !self.0.iter().any(|known| **known == *b"command") {
            self.0.push((*b"command").into());
            let dir = shown.to_bytes();
            diag::say(&[b"supervise: warning: ignoring ", dir, b"/command: there is a file run"]);
        }
    }

    /// Reports a name without a meaning once, if it looks like an option file.
    #[inline(never)]
    fn note(&mut self, shown: &CStr, name: &[u8]) {
        let Some(lookalike) = Lookalike::of(name) else { return };
        if self.0.len() >= LOOKALIKE_LIMIT || self.0.iter().any(|known| **known == *name) {
            return;
        }
        self.0.push(name.into());
        let dir = shown.to_bytes();
        let head: [&[u8]; 5] = [b"supervise: warning: ignoring ", dir, b"/", name, b": "];
        let [a, b, c, d, e] = head;
        match lookalike {
            Lookalike::Of(file) => {
                let right = file.name().as_bytes();
                diag::say(&[a, b, c, d, e, b"no option file has this name; want ", right]);
            }
            Lookalike::Unknown => diag::say(&[a, b, c, d, e, b"this option file is not supported"]),
        }
    }
}

/// The names in a service directory that can have a meaning.
#[derive(Default)]
struct DirectoryNames {
    files: Vec<OptionFile>,
    start: bool,
    run: bool,
    stop: bool,
    finish: bool,
    check: bool,
    notify: bool,
    log: bool,
    control: bool,
}

impl DirectoryNames {
    /// The directory has this name. Returns whether the name can have a meaning.
    fn note(&mut self, name: &[u8]) -> bool {
        match name {
            b"start" => self.start = true,
            b"run" => self.run = true,
            b"stop" => self.stop = true,
            b"finish" => self.finish = true,
            b"check" => self.check = true,
            b"notify" => self.notify = true,
            b"log" => self.log = true,
            b"control" => self.control = true,
            _ => {
                let file = OptionFile::named(name);
                self.files.extend(file);
                return file.is_some();
            }
        }
        true
    }

    /// Without `run`, `command` takes its place. Returns whether there are both.
    fn drop_command(&mut self) -> bool {
        let before = self.files.len();
        if self.run {
            self.files.retain(|file| *file != OptionFile::Command);
        }
        self.files.len() < before
    }

    /// Probes each name. All option files are assumed to exist, which reading them decides.
    fn probe() -> Self {
        let there = |name| fs::exists(fs::HERE, name) == Ok(true);
        Self {
            files: OptionFile::ALL.to_vec(),
            start: there(c"start"),
            run: there(c"run"),
            stop: there(c"stop"),
            finish: there(c"finish"),
            check: there(c"check"),
            notify: there(c"notify"),
            log: there(c"log"),
            control: there(c"control"),
        }
    }

    /// Reads the option files. `inherited` is the value of the variable.
    ///
    /// Not inlined: the stack of services without options stays small.
    #[inline(never)]
    fn read_files(
        &self,
        inherited: Option<&[u8]>,
    ) -> Result<Option<Box<ServiceConfig>>, ConfigError> {
        let mut options = ServiceOptions::default();
        for &file in &self.files {
            read_file(&mut options, file)?;
        }
        let personality = match (options.personality, inherited) {
            (Some(personality), _) => personality,
            (None, None) => Personality::default(),
            (None, Some(word)) => Personality::named(word)
                .ok_or_else(|| ConfigError::UnknownPersonality(word.to_vec()))?,
        };
        if self.files.is_empty() && personality == Personality::Daemontools {
            return Ok(None);
        }
        let config = self.combine(options, personality);
        match self.misfit(&config) {
            Some((file, right)) => Err(ConfigError::Misfit(file, right)),
            None => Ok(Some(Box::new(config))),
        }
    }

    /// Finds a file that does not fit the others, and what would be right.
    fn misfit(&self, config: &ServiceConfig) -> Option<(OptionFile, &'static str)> {
        let ServiceConfig { options, policy, .. } = config;
        let ServiceOptions { ready, lock_descriptor: lock, .. } = options;
        // encore and s6 have exit codes that make a service fail.
        let can_fail = options.restart_limit.is_some()
            || matches!(config.personality, Personality::Encore | Personality::S6);
        let is_socket = |number: u16| (3..3 + options.listen.len()).contains(&number.into());
        let misfits = [
            (
                options.check_interval.is_some() && !self.check,
                OptionFile::CheckInterval,
                "a program check beside it",
            ),
            (
                ready.timeout.is_some() && !policy.notifies_readiness && policy.check.is_none(),
                OptionFile::TimeoutReady,
                "notification-fd, notify-socket or check-interval beside it",
            ),
            (
                options.watchdog.is_some() && !ready.socket,
                OptionFile::TimeoutWatchdog,
                "notify-socket beside it",
            ),
            (
                options.on_demand && options.listen.is_empty(),
                OptionFile::ListenOnDemand,
                "listen beside it",
            ),
            (
                ready.descriptor.is_some_and(is_socket),
                OptionFile::NotificationFd,
                "another descriptor than those from 3 on that listen has",
            ),
            (
                lock.is_some_and(is_socket),
                OptionFile::LockFd,
                "another descriptor than those from 3 on that listen has",
            ),
            (
                options.essential == Some(Essential::Failed) && !can_fail,
                OptionFile::Essential,
                "restart-limit beside it, or the word any",
            ),
            (
                lock.is_some() && *lock == ready.descriptor,
                OptionFile::LockFd,
                "another descriptor than that of notification-fd",
            ),
        ];
        misfits.into_iter().find_map(|(is, file, right)| is.then_some((file, right)))
    }

    /// Combines what the option files say with the scripts that count under this personality.
    fn combine(&self, options: ServiceOptions, personality: Personality) -> ServiceConfig {
        let encore = personality == Personality::Encore;
        let runit = personality == Personality::Runit;
        let scripts = Scripts {
            start: encore && self.start && fs::is_executable(fs::HERE, c"start"),
            runless: encore && !self.run && options.command.is_none(),
            stop: encore && self.stop && fs::is_executable(fs::HERE, c"stop"),
            finish: (runit || personality == Personality::S6) && self.finish,
        };
        let mut check = options.check();
        if runit && check.is_none() {
            // runit's check only tells when the service is ready.
            let timeout = options.check_timeout;
            check = Some(HealthCheck { interval: CHECK_INTERVAL, timeout, failures: 0 });
        }
        let check = check.filter(|_| self.check);
        let policy = Policy {
            personality,
            scripts,
            stop: options.stop,
            finish_timeout: options.finish_timeout.filter(|_| !runit),
            notifies_readiness: options.ready.descriptor.is_some() || options.ready.socket,
            ready_timeout: options.ready.timeout,
            watchdog: options.watchdog,
            check,
            restart: options.restart_delay,
            limit: options.restart_limit,
            essential: options.essential,
        };
        ServiceConfig {
            personality,
            notify: encore && self.notify && fs::is_executable(fs::HERE, c"notify"),
            log: encore && self.log && fs::is_executable(fs::HERE, c"log"),
            death_tally: options
                .max_death_tally
                .or((personality == Personality::S6).then_some(S6_TALLY)),
            control: runit && self.control,
            policy,
            options,
        }
    }
}

/// Reads one option file.
#[inline(never)]
fn read_file(options: &mut ServiceOptions, file: OptionFile) -> Result<(), ConfigError> {
    let mut room = [0; 64];
    let name = file.name();
    if let Some(place) = room.get_mut(..name.len()) {
        place.copy_from_slice(name.as_bytes());
    }
    let path = CStr::from_bytes_until_nul(&room).unwrap_or_default();
    let text = match fs::read_whole(fs::HERE, path, FILE_LIMIT) {
        Ok(text) => text,
        Err(Errno::NOENT) if fs::readlink(fs::HERE, path, &mut [0; 1]).is_ok() => {
            return Err(ConfigError::Unreadable(name, Errno::NOENT));
        }
        // It is gone, or is no file but a directory, say.
        Err(Errno::NOENT | Errno::ISDIR | Errno::INVAL) => return Ok(()),
        Err(error) => return Err(ConfigError::Unreadable(name, error)),
    };
    options.read(file, &text).map_err(ConfigError::Invalid)
}
