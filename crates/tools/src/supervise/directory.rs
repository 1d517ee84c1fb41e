//! What the service directory asks for: its option files and its scripts.

use crate::diag::why;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;
use daemontools_core::options::{Check, File, Mistake, Options, Personality};
use daemontools_core::supervise::{Policy, Scripts};
use daemontools_sys::{Errno, dir, fs, process};

/// The variable that chooses the personality of all services below a svscan or supervise.
const VARIABLE: &str = "DAEMONTOOLS_PERSONALITY";

/// More is no option file.
const LARGEST: usize = 64 * 1024;

/// How often runit's `check` is asked, where nothing is said about it.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How many deaths s6 remembers where nothing is said about it.
const S6_TALLY: u16 = 100;

/// What a service directory asks for.
pub(super) struct Asked {
    pub(super) options: Options,
    pub(super) personality: Personality,
    /// encore's `notify`.
    pub(super) notify: bool,
    /// encore's file `log`.
    pub(super) log: bool,
    /// How many deaths s6's list of them keeps, if there is one.
    pub(super) tally: Option<u16>,
    /// runit's directory `control`.
    pub(super) control: bool,
    pub(super) policy: Policy,
}

impl Asked {
    /// What a directory asks for of which nothing is known.
    pub(super) fn nothing() -> Box<Self> {
        Box::new(Found::default().judge(Options::default(), Personality::default()))
    }
}

/// Why that cannot be told.
pub(super) enum Wrong {
    /// A file with a mistake in it.
    Mistake(Mistake),
    /// A file that cannot be read.
    Unreadable(&'static str, Errno),
    /// The variable names no personality.
    Unknown(Vec<u8>),
    /// A file that means nothing, or something else, as the others are; and what would be right.
    Alone(File, &'static str),
}

impl Wrong {
    /// In words.
    pub(super) fn message(&self) -> Vec<u8> {
        match self {
            Self::Mistake(mistake) => mistake.message(),
            Self::Unreadable(file, error) => {
                [b"unable to read ", file.as_bytes(), b": ", why(*error).as_bytes()].concat()
            }
            Self::Unknown(word) => {
                [VARIABLE.as_bytes(), b": \"", word, b"\": want daemontools, encore, s6 or runit"]
                    .concat()
            }
            Self::Alone(file, right) => {
                [file.name().as_bytes(), b": want ", right.as_bytes()].concat()
            }
        }
    }
}

/// Reads what the current directory asks for; `None` if that is nothing.
///
/// # Errors
/// What is wrong with it.
pub(super) fn look() -> Result<Option<Box<Asked>>, Wrong> {
    let mut found = Found::default();
    // Who may not list it can know all names all the same.
    if dir::entries_here(|name, _| found.note(name.to_bytes())).is_err() {
        found = Found::everything();
    }
    let common = process::env(VARIABLE).map(CStr::to_bytes).filter(|word| !word.is_empty());
    if found.files.is_empty() && common.is_none() {
        return Ok(None);
    }
    read_all(&found, common)
}

/// Apart from [`look`], so that a service without options does not pay for the room.
#[inline(never)]
fn read_all(found: &Found, common: Option<&[u8]>) -> Result<Option<Box<Asked>>, Wrong> {
    let mut options = Options::default();
    for &file in &found.files {
        read(&mut options, file)?;
    }
    let personality = match (options.personality, common) {
        (Some(personality), _) => personality,
        (None, None) => Personality::default(),
        (None, Some(word)) => {
            Personality::named(word).ok_or_else(|| Wrong::Unknown(word.to_vec()))?
        }
    };
    if found.files.is_empty() && personality == Personality::Daemontools {
        return Ok(None);
    }
    let asked = found.judge(options, personality);
    match found.misfit(&asked) {
        Some((file, right)) => Err(Wrong::Alone(file, right)),
        None => Ok(Some(Box::new(asked))),
    }
}

/// Reads one file.
#[inline(never)]
fn read(options: &mut Options, file: File) -> Result<(), Wrong> {
    let mut room = [0; 64];
    let name = file.name();
    if let Some(place) = room.get_mut(..name.len()) {
        place.copy_from_slice(name.as_bytes());
    }
    let path = CStr::from_bytes_until_nul(&room).unwrap_or_default();
    let text = match fs::read_whole(fs::HERE, path, LARGEST) {
        Ok(text) => text,
        // Gone since, or something else that has this name: a directory, say.
        Err(Errno::NOENT | Errno::ISDIR | Errno::INVAL) => return Ok(()),
        Err(error) => return Err(Wrong::Unreadable(name, error)),
    };
    options.read(file, &text).map_err(Wrong::Mistake)
}

/// The names in a service directory that may mean something.
#[derive(Default)]
struct Found {
    files: Vec<File>,
    start: bool,
    run: bool,
    stop: bool,
    finish: bool,
    check: bool,
    notify: bool,
    log: bool,
    control: bool,
}

impl Found {
    fn note(&mut self, name: &[u8]) {
        match name {
            b"start" => self.start = true,
            b"run" => self.run = true,
            b"stop" => self.stop = true,
            b"finish" => self.finish = true,
            b"check" => self.check = true,
            b"notify" => self.notify = true,
            b"log" => self.log = true,
            b"control" => self.control = true,
            _ => self.files.extend(File::named(name)),
        }
    }

    fn everything() -> Self {
        let there = |name| fs::exists(fs::HERE, name) == Ok(true);
        Self {
            files: File::ALL.to_vec(),
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

    /// A file that does not go with the others, and what would be right.
    fn misfit(&self, asked: &Asked) -> Option<(File, &'static str)> {
        let Asked { options, policy, .. } = asked;
        let Options { ready, lock_descriptor: lock, .. } = options;
        let is_socket = |number: u16| (3..3 + options.listen.len()).contains(&number.into());
        let misfits = [
            (
                options.check_interval.is_some() && !self.check,
                File::CheckInterval,
                "a program check beside it",
            ),
            (
                ready.timeout.is_some() && !policy.announces && policy.check.is_none(),
                File::TimeoutReady,
                "notification-fd, notify-socket or check-interval beside it",
            ),
            (
                options.watchdog.is_some() && !ready.socket,
                File::TimeoutWatchdog,
                "notify-socket beside it",
            ),
            (
                options.on_demand && options.listen.is_empty(),
                File::ListenOnDemand,
                "listen beside it",
            ),
            (
                ready.descriptor.is_some_and(is_socket),
                File::NotificationFd,
                "another descriptor than those from 3 on that listen has",
            ),
            (
                lock.is_some_and(is_socket),
                File::LockFd,
                "another descriptor than those from 3 on that listen has",
            ),
            (
                lock.is_some() && *lock == ready.descriptor,
                File::LockFd,
                "another descriptor than that of notification-fd",
            ),
        ];
        misfits.into_iter().find_map(|(is, file, right)| is.then_some((file, right)))
    }

    /// Which of the names count under this personality, and what follows from all of it.
    fn judge(&self, options: Options, personality: Personality) -> Asked {
        let encore = personality == Personality::Encore;
        let runit = personality == Personality::Runit;
        let scripts = Scripts {
            start: encore && self.start && fs::is_executable(fs::HERE, c"start"),
            runless: encore && !self.run,
            stop: encore && self.stop && fs::is_executable(fs::HERE, c"stop"),
            finish: (runit || personality == Personality::S6) && self.finish,
        };
        let mut check = options.check();
        if runit && check.is_none() {
            // runit's says whether the service is ready, and no more.
            let timeout = options.check_timeout;
            check = Some(Check { interval: CHECK_INTERVAL, timeout, failures: 0 });
        }
        let check = check.filter(|_| self.check);
        let policy = Policy {
            personality,
            scripts,
            stop: options.stop,
            finish_timeout: options.finish_timeout.filter(|_| !runit),
            announces: options.ready.descriptor.is_some() || options.ready.socket,
            ready_timeout: options.ready.timeout,
            watchdog: options.watchdog,
            check,
            restart: options.restart,
            limit: options.limit,
        };
        Asked {
            personality,
            notify: encore && self.notify && fs::is_executable(fs::HERE, c"notify"),
            log: encore && self.log && fs::is_executable(fs::HERE, c"log"),
            tally: options.tally.or((personality == Personality::S6).then_some(S6_TALLY)),
            control: runit && self.control,
            policy,
            options,
        }
    }
}
