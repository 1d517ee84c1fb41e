//! The process record, `supervise/process`: the process that a supervisor started last. With it the
//! next supervisor can tell for certain whether that process still runs.
//!
//! The kernel reuses process ids, and people copy directories. So the record also says when its
//! process started, and where the record is valid: in which boot, in which PID namespace, and for
//! which state directory. Only if all of them match does the record name our process.
//!
//! It is a text of `key=value` lines, always [`LEN`] bytes long. It has three parts, padded with
//! spaces. A new process and its supervisor may write at the same time, so each overwrites its own
//! part in place with one write: a KILL cannot interrupt it, and a full disk has room for it.

use crate::state_dir::{Script, parse_pid};
use crate::text::decimal::{self, Decimal};
use crate::time::tai::Tai64n;
use crate::{Ended, Pid};
use core::ops::Range;
use core::time::Duration;

/// The length of a record.
pub const LEN: usize = END.end;

/// The part that says whether the supervisor is leaving.
pub const LEAVING: Range<usize> = 0..12;

/// The part that says which process it is, and where the record is valid.
pub const PROCESS: Range<usize> = LEAVING.end..256;

/// The part that says how a process ended.
pub const END: Range<usize> = PROCESS.end..288;

/// The length of a boot id.
pub const BOOT_LEN: usize = 36;

/// The unit of start times in `/proc`, in milliseconds: `USER_HZ` is 100 on every supported CPU.
const TICK: u64 = 10;

/// How long after the fork a busy supervisor may date the start of a process.
const LATE_LABEL: Duration = Duration::from_secs(5);

/// How far the two clocks may have moved against each other since the start of a process.
const CLOCK_ERROR: Duration = Duration::from_millis(100);

/// The words for helper scripts. The service itself, [`Script::Run`], has none.
const SCRIPT_WORDS: [(Script, &[u8]); 3] =
    [(Script::Start, b"start"), (Script::Stop, b"stop"), (Script::Finish, b"finish")];

/// A process, identified for ever within a [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// Its id.
    pub pid: Pid,
    /// Its start time: field 22 of `/proc/PID/stat` (proc(5)), in ticks since the boot. An exec does
    /// not change it.
    pub start: u64,
}

impl ProcessIdentity {
    /// Parses the text of `/proc/PID/stat`.
    #[must_use]
    pub fn from_stat(text: &[u8]) -> Option<Self> {
        // Field 2 is the program's name in parentheses. It may contain parentheses and spaces.
        let name_end = text.iter().rposition(|&c| c == b')')?;
        let pid = text.split(|&c| c == b' ').next().and_then(parse_pid)?;
        let mut fields = text.get(name_end..)?.split(|&c| c == b' ');
        // The last parenthesis ends field 2, so the 20th field after it is field 22.
        Some(Self { pid, start: decimal::parse(fields.nth(20)?)? })
    }

    /// Its age, given the time since the boot. Rounded down.
    pub(crate) fn age(self, since_boot: Duration) -> Duration {
        since_boot.saturating_sub(self.started_by())
    }

    /// Whether it can be the process whose start a supervisor without process records has dated with
    /// `label`. `now` and `since_boot` are the present on both clocks.
    ///
    /// A supervisor dates a process after the fork. A later process with the same id started after
    /// that, for the id was in use then. Never true if the time of day was set since.
    #[must_use]
    pub fn was_started_at(self, label: Tai64n, now: Tai64n, since_boot: Duration) -> bool {
        let start = Duration::from_millis(self.start.saturating_mul(TICK));
        let start = now.minus(since_boot.saturating_sub(start));
        let within = |nanoseconds: u64, most: Duration| u128::from(nanoseconds) <= most.as_nanos();
        within(start.nanoseconds_after(label), CLOCK_ERROR)
            && within(label.nanoseconds_after(start), LATE_LABEL)
    }

    /// The time since the boot at which it had certainly started.
    #[must_use]
    pub const fn started_by(self) -> Duration {
        Duration::from_millis(self.start.saturating_add(1).saturating_mul(TICK))
    }
}

/// Whether a process is stopped by a signal, from the text of `/proc/PID/stat` (proc_pid_stat(5)).
#[must_use]
pub fn is_stopped(stat: &[u8]) -> Option<bool> {
    // As in `ProcessIdentity::from_stat`. The state follows the name.
    let name_end = stat.iter().rposition(|&c| c == b')')?;
    Some(*stat.get(name_end + 2)? == b'T')
}

/// The identity of a directory, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryId {
    /// The device, major and minor number.
    pub device: (u32, u32),
    /// The inode.
    pub inode: u64,
    /// The birth time of the inode in nanoseconds since 1970, or 0 if unknown: a later directory may
    /// get the same inode number.
    pub born: u64,
}

/// Where a record is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The kernel's boot id.
    pub boot: [u8; BOOT_LEN],
    /// The inode of the PID namespace.
    pub namespace: u64,
    /// The start time of process 1 in that namespace, or 0 if `/proc` hides it: the next start of a
    /// container often gets the same namespace inode.
    pub init: u64,
    /// The state directory.
    pub directory: DirectoryId,
}

/// What a supervisor records for the next one, in case it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is valid.
    pub place: Place,
    /// The supervisor was told to exit. Its successor only waits for the process, and otherwise
    /// starts afresh.
    pub leaving: bool,
    /// The last process that was started.
    pub process: Option<ProcessIdentity>,
    /// What it runs.
    pub script: Script,
    /// The last process whose end was seen, and how it ended.
    pub end: Option<(Pid, Ended)>,
}

/// Why a record is not valid here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It is not a record.
    Malformed,
    /// The machine or the container has been restarted since.
    Earlier,
    /// It belongs to another directory, and was copied together with a service directory.
    Copied,
    /// It belongs to another PID namespace.
    OtherNamespace,
    /// Another user can have written the file.
    Forgeable,
}

impl Invalid {
    /// A description for a message.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Earlier => "made before the last start of this machine",
            Self::Copied => "made for another directory",
            Self::OtherNamespace => "made in another namespace of process ids",
            Self::Forgeable => "others can have made it",
        }
    }
}

/// The contents of a record file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFile {
    /// No record: the last supervisor exited in order, or there was none.
    Absent,
    /// A record that is valid here.
    Valid(Record),
    /// A record that is not valid here.
    Invalid(Invalid),
}

impl Record {
    /// The text.
    #[must_use]
    pub fn to_text(&self) -> [u8; LEN] {
        let mut text = [b' '; LEN];
        let mut leaving = PartWriter::new(&mut text, LEAVING);
        leaving.line(b"leaving=", &[if self.leaving { b"yes" } else { b"no" }]);

        let Place { boot, namespace, init, directory } = &self.place;
        let (pid, start) = self.process.map_or((0, 0), |p| (p.pid.get().cast_unsigned(), p.start));
        let mut process = PartWriter::new(&mut text, PROCESS);
        process.line(b"pid=", &[Decimal::new(pid.into()).as_bytes()]);
        process.line(b"start=", &[Decimal::new(start).as_bytes()]);
        process.line(b"boot=", &[boot]);
        process.line(b"namespace=", &[Decimal::new(*namespace).as_bytes()]);
        process.line(b"init=", &[Decimal::new(*init).as_bytes()]);
        process.line(b"directory=", &[Decimal::new(directory.device.0.into()).as_bytes()]);
        for part in [directory.device.1.into(), directory.inode, directory.born] {
            process.push(b":");
            process.push(Decimal::new(part).as_bytes());
        }
        if let Some((_, word)) = SCRIPT_WORDS.iter().find(|(script, _)| *script == self.script) {
            process.line(b"script=", &[word]);
        }

        let mut end = PartWriter::new(&mut text, END);
        if let Some((pid, how)) = self.end {
            let pid = Decimal::new(pid.get().cast_unsigned().into());
            let (word, number) = match how {
                Ended::Exited(code) => (&b" code "[..], Some(code)),
                Ended::Killed(signal) => (&b" signal "[..], Some(signal)),
                Ended::Unknown => (&b" unknown"[..], None),
            };
            end.line(b"ended=", &[pid.as_bytes(), word]);
            if let Some(number) = number {
                end.push(Decimal::new(number.into()).as_bytes());
            }
        }
        text
    }

    /// Parses a text: `None` if a line is missing or malformed. Unknown keys and a malformed `ended`
    /// are ignored.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let value = |key: &[u8]| {
            let mut lines = text.split(|&c| c == b'\n');
            lines
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(b"="))
                .map(<[u8]>::trim_ascii_end)
        };
        let number = |key: &[u8]| decimal::parse(value(key)?);
        let mut directory = value(b"directory")?.split(|&c| c == b':').map(decimal::parse);
        let mut part = || directory.next()?;
        let device = (u32::try_from(part()?).ok()?, u32::try_from(part()?).ok()?);
        let directory = DirectoryId { device, inode: part()?, born: part()? };
        let place = Place {
            boot: value(b"boot")?.try_into().ok()?,
            namespace: number(b"namespace")?,
            init: number(b"init")?,
            directory,
        };
        let leaving = match value(b"leaving")? {
            b"yes" => true,
            b"no" => false,
            _ => return None,
        };
        let process = match value(b"pid")? {
            b"0" => None,
            digits => Some(ProcessIdentity { pid: parse_pid(digits)?, start: number(b"start")? }),
        };
        let script = match value(b"script") {
            None => Script::Run,
            Some(word) => SCRIPT_WORDS.iter().find(|(_, known)| *known == word)?.0,
        };
        Some(Self { place, leaving, process, script, end: value(b"ended").and_then(parse_end) })
    }
}

/// Parses the value of `ended=`.
pub(super) fn parse_end(text: &[u8]) -> Option<(Pid, Ended)> {
    let mut words = text.split(|&c| c == b' ');
    let pid = parse_pid(words.next()?)?;
    let (word, number) = (words.next()?, words.next().and_then(decimal::parse));
    let number = number.and_then(|number| u8::try_from(number).ok());
    let how = match word {
        b"code" => Ended::Exited(number?),
        b"signal" => Ended::Killed(number?),
        b"unknown" => Ended::Unknown,
        _ => return None,
    };
    Some((pid, how))
}

impl RecordFile {
    /// Whether a supervisor that keeps no records may have run here since the record was made. The
    /// status of a copied directory was copied too, and ids of another namespace mean nothing here.
    #[must_use]
    pub const fn may_be_outdated(&self) -> bool {
        matches!(self, Self::Absent | Self::Valid(_) | Self::Invalid(Invalid::Earlier))
    }

    /// Checks whether the text of a record file is valid in the place `here`.
    #[must_use]
    pub fn classify(text: &[u8], here: &Place) -> Self {
        if text.trim_ascii().is_empty() {
            return Self::Absent;
        }
        let Some(record) = Record::parse(text) else {
            return Self::Invalid(Invalid::Malformed);
        };
        let Place { boot, namespace, init, directory } = record.place;
        // The boot comes first: inode numbers of an earlier boot mean nothing.
        let invalid = if boot != here.boot {
            Invalid::Earlier
        } else if directory != here.directory {
            Invalid::Copied
        } else if namespace != here.namespace {
            Invalid::OtherNamespace
        } else if init != here.init {
            Invalid::Earlier
        } else {
            return Self::Valid(record);
        };
        Self::Invalid(invalid)
    }
}

/// Writes one part of the text, which ends with a newline. Bytes that do not fit are left out.
struct PartWriter<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl<'a> PartWriter<'a> {
    fn new(text: &'a mut [u8; LEN], part: Range<usize>) -> Self {
        let mut room = text.get_mut(part).unwrap_or_default();
        if let Some((last, before)) = core::mem::take(&mut room).split_last_mut() {
            *last = b'\n';
            room = before;
        }
        Self { room, used: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.used + bytes.len();
        if let Some(place) = self.room.get_mut(self.used..end) {
            place.copy_from_slice(bytes);
            self.used = end;
        }
    }

    fn line(&mut self, key: &[u8], value: &[&[u8]]) {
        self.push(if self.used == 0 { b"" } else { b"\n" });
        self.push(key);
        for part in value {
            self.push(part);
        }
    }
}

#[cfg(test)]
#[path = "process_record_tests.rs"]
mod tests;
