//! The identity record: the process that a supervise has started, written down so that the next
//! supervise can tell for certain whether it still runs.
//!
//! A process id is used again, and files get copied. So the record says when its process was
//! started, and where all of this is true: in which boot, in which namespace of process ids, and
//! for which state directory. Only where all of it is the same does it speak of our process.
//!
//! It is a text of `key=value` lines, always [`LEN`] bytes long. Each of its three parts, filled up
//! with spaces, can be overwritten in place with a single write, which a KILL cannot interrupt and
//! for which a full disk has room: a new process and its supervise may write at the same time.

use crate::decimal::{self, Decimal};
use crate::status::{self, StateCode};
use crate::supervise::{Kept, Machine, Past, Script};
use crate::time::Now;
use crate::{Ended, Pid};
use core::ops::Range;
use core::time::Duration;

/// The length of a record.
pub const LEN: usize = END.end;

/// The part of the text that says whether its supervise leaves.
pub const LEAVING: Range<usize> = 0..12;

/// The part that says which process it is, and where that is true.
pub const PROCESS: Range<usize> = LEAVING.end..256;

/// The part that says how a process has ended.
pub const END: Range<usize> = PROCESS.end..288;

/// The length of a boot id.
pub const BOOT_LEN: usize = 36;

/// The kernel's unit for the start of a process, in milliseconds: `USER_HZ` is 100 wherever we run.
const TICK: u64 = 10;

/// What a process can run that is not the service itself, and the words for it.
const ASIDE: [(Script, &[u8]); 3] =
    [(Script::Start, b"start"), (Script::Stop, b"stop"), (Script::Finish, b"finish")];

/// A process, as nobody else can ever be it in this [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// When it was started: field 22 of `/proc/PID/stat`, in ticks since the boot. It stays the
    /// same whatever the process becomes by exec.
    pub start: u64,
}

impl Process {
    /// A process by the text of its `/proc/PID/stat`.
    #[must_use]
    pub fn from_stat(text: &[u8]) -> Option<Self> {
        // The second field is the program's name in parentheses, with anything in it.
        let name_end = text.iter().rposition(|&c| c == b')')?;
        let pid = text.split(|&c| c == b' ').next().and_then(pid)?;
        let mut fields = text.get(name_end..)?.split(|&c| c == b' ');
        // The parenthesis stands for field 2.
        Some(Self { pid, start: decimal::parse(fields.nth(20)?)? })
    }

    /// How long ago it was started, the boot having been so long ago; rather less than more.
    fn age(self, since_boot: Duration) -> Duration {
        since_boot.saturating_sub(self.started_by())
    }

    /// How long after the boot it was there for certain.
    #[must_use]
    pub const fn started_by(self) -> Duration {
        Duration::from_millis(self.start.saturating_add(1).saturating_mul(TICK))
    }
}

/// What a directory is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The device, major and minor number.
    pub device: (u32, u32),
    /// The inode.
    pub inode: u64,
    /// When the inode was made, in nanoseconds since 1970, or 0: tells a directory from a later
    /// one with the same number.
    pub born: u64,
}

/// Where a record is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The kernel's boot id.
    pub boot: [u8; BOOT_LEN],
    /// The inode of the namespace of process ids.
    pub namespace: u64,
    /// When process 1 of it was started, or 0 if that is hidden: the inode of a namespace is used
    /// again, often by the next start of the same container.
    pub init: u64,
    /// The state directory.
    pub directory: Directory,
}

/// What a supervise leaves to the next one, in case it cannot leave in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is true.
    pub place: Place,
    /// It was told to leave: the next one begins anew, except that a process still has to be
    /// watched.
    pub leaving: bool,
    /// The last process that was started.
    pub process: Option<Process>,
    /// What it runs.
    pub script: Script,
    /// How the last one has ended of which that was seen: its id, and what is known.
    pub end: Option<(Pid, Ended)>,
}

/// Why a record says nothing to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It is no record.
    Malformed,
    /// The machine, or the container, was started anew since.
    Earlier,
    /// It was copied here with a service directory.
    Copied,
    /// Its process id belongs to others.
    OtherNamespace,
    /// The file can have come from somebody else.
    Forgeable,
}

impl Foreign {
    /// In words.
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

/// What is found where a record may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: the last supervise has left in order, or there was none.
    Nothing,
    /// A record that is true here.
    Ours(Record),
    /// A record that is not.
    Foreign(Foreign),
}

impl Record {
    /// The text.
    #[must_use]
    pub fn to_text(&self) -> [u8; LEN] {
        let mut text = [b' '; LEN];
        let mut leaving = Text::part(&mut text, LEAVING);
        leaving.line(b"leaving=", &[if self.leaving { b"yes" } else { b"no" }]);

        let Place { boot, namespace, init, directory } = &self.place;
        let (pid, start) = self.process.map_or((0, 0), |p| (p.pid.get().cast_unsigned(), p.start));
        let mut process = Text::part(&mut text, PROCESS);
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
        // What is left out is what it nearly always is.
        if let Some((_, word)) = ASIDE.iter().find(|(script, _)| *script == self.script) {
            process.line(b"script=", &[word]);
        }

        let mut end = Text::part(&mut text, END);
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

    /// A record from its text. Lines with other keys mean nothing.
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
        let directory = Directory { device, inode: part()?, born: part()? };
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
            digits => Some(Process { pid: pid(digits)?, start: number(b"start")? }),
        };
        let script = match value(b"script") {
            None => Script::Run,
            Some(word) => ASIDE.iter().find(|(_, known)| *known == word)?.0,
        };
        Some(Self { place, leaving, process, script, end: value(b"ended").and_then(end) })
    }
}

fn end(text: &[u8]) -> Option<(Pid, Ended)> {
    let mut words = text.split(|&c| c == b' ');
    let pid = pid(words.next()?)?;
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

impl Found {
    /// What a text is to a supervise in this place.
    #[must_use]
    pub fn judge(text: &[u8], here: &Place) -> Self {
        if text.trim_ascii().is_empty() {
            return Self::Nothing;
        }
        let Some(record) = Record::parse(text) else {
            return Self::Foreign(Foreign::Malformed);
        };
        let Place { boot, namespace, init, directory } = record.place;
        // A boot first: numbers of an earlier one mean nothing.
        let foreign = if boot != here.boot {
            Foreign::Earlier
        } else if directory != here.directory {
            Foreign::Copied
        } else if namespace != here.namespace {
            Foreign::OtherNamespace
        } else if init != here.init {
            Foreign::Earlier
        } else {
            return Self::Ours(record);
        };
        Self::Foreign(foreign)
    }
}

/// The machine of a supervise that follows one which could not leave in order: it goes on as that
/// one would have. `lives` says whether the record's process does, `status` is the other's last
/// word, `kept` what else it knew, and the boot was `since_boot` ago. One that had been told to
/// leave counts as gone: what is wanted then is what `normally_up` says.
#[must_use]
pub fn succeed(
    record: &Record,
    lives: bool,
    status: Option<status::Record>,
    kept: Kept,
    normally_up: bool,
    now: Now,
    since_boot: Duration,
) -> Machine {
    let fresh = Machine::new(normally_up, now);
    if record.leaving && !lives {
        return fresh;
    }
    let age = record.process.map(|process| process.age(since_boot));
    let up = record.process.filter(|_| lives).map(|process| process.pid);
    // While `finish` runs, the service is down.
    let aside = record.script == Script::Finish;
    // A status that does not name the process is older than its start, or newer than its end.
    let named = status.filter(|status| {
        up.is_some_and(|pid| status.names(pid)) || (up.is_some() && aside && status.pid == 0)
    });
    let since = match (up, named, status) {
        (_, Some(named), _) => named.since,
        (Some(_), None, _) => now.label.before(age.unwrap_or_default()),
        (None, None, Some(status)) if status.pid == 0 => status.since,
        // It ended while nobody watched.
        (None, None, _) => now.label,
    };
    let dead = record.process.filter(|_| !lives);
    let end = dead.map(|process| {
        let end = record.end.filter(|(pid, _)| *pid == process.pid);
        end.map_or(Ended::Unknown, |(_, how)| how)
    });
    let ended = end.filter(|_| record.script == Script::Run);
    let shown = status.and_then(|status| status.state);
    let begun = record.script == Script::Start && end == Some(Ended::Exited(0));
    // What is known of another process than that is not known of it.
    let ready = kept.ready.filter(|_| named.is_some());
    let past = Past {
        up: up.map(|pid| (pid, record.script, named.is_some_and(|named| named.paused))),
        ended,
        unseen: ended.is_some()
            && status.zip(dead).is_some_and(|(status, process)| status.names(process.pid)),
        first: up.is_none() && !begun && (dead.is_none() || shown == Some(StateCode::Starting)),
        started: (dead.is_none() || record.script != Script::Run)
            && shown == Some(StateCode::Started),
        stopped: record.script == Script::Stop,
        want: status.filter(|_| !record.leaving).map_or(fresh.record().want, |status| status.want),
        since,
        last_start: age.map(|age| now.instant.before(age)),
        kept: Kept { ready, ..kept },
    };
    Machine::resume(past, now)
}

/// A process id from its digits.
pub(crate) fn pid(digits: &[u8]) -> Option<Pid> {
    Pid::new(i32::try_from(decimal::parse(digits)?).ok()?)
}

/// A part of a text being written, which ends with a newline; what does not fit is left out.
struct Text<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl<'a> Text<'a> {
    fn part(text: &'a mut [u8; LEN], part: Range<usize>) -> Self {
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
mod tests {
    use super::*;
    use crate::detail::Reason;
    use crate::options::Personality;
    use crate::status::Want;
    use crate::supervise::{Effect, Event, Policy, Scripts, State};
    use crate::tai::Tai64n;
    use crate::time::Instant;
    use alloc::vec::Vec;

    const PLACE: Place = Place {
        boot: *b"6c9670b8-664d-44a1-bfc1-84a24eb4494f",
        namespace: 4_026_531_836,
        init: 24,
        directory: Directory { device: (254, 0), inode: 1234, born: 1_795_233_999_749_913_500 },
    };

    fn process(number: i32, start: u64) -> Process {
        Process { pid: Pid::new(number).unwrap(), start }
    }

    fn record(number: i32, start: u64) -> Record {
        let process = Some(process(number, start));
        Record { place: PLACE, leaving: false, process, script: Script::Run, end: None }
    }

    const TEXT: &str = "leaving=no\npid=4711\nstart=123456\n\
        boot=6c9670b8-664d-44a1-bfc1-84a24eb4494f\nnamespace=4026531836\ninit=24\n\
        directory=254:0:1234:1795233999749913500";

    #[test]
    fn a_record_is_text_of_one_length_and_is_read_again() {
        let text = record(4711, 123_456).to_text();
        let lines = str::from_utf8(&text).unwrap().lines().map(str::trim_end);
        assert_eq!(lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"), TEXT);
        assert_eq!(Found::judge(&text, &PLACE), Found::Ours(record(4711, 123_456)));
        let place = Place {
            namespace: u64::MAX,
            init: u64::MAX,
            directory: Directory { device: (u32::MAX, u32::MAX), inode: u64::MAX, born: u64::MAX },
            ..PLACE
        };
        for process in [None, Some(process(i32::MAX, u64::MAX)), Some(process(1, 0))] {
            for leaving in [false, true] {
                let pid = Pid::new(i32::MAX).unwrap();
                for how in [Ended::Unknown, Ended::Exited(255), Ended::Killed(255)] {
                    let longest = Record {
                        place,
                        leaving,
                        process,
                        script: Script::Finish,
                        end: Some((pid, how)),
                    };
                    assert_eq!(Record::parse(&longest.to_text()), Some(longest));
                }
            }
        }
    }

    #[test]
    fn each_part_of_a_record_has_its_own_writer() {
        let end = Some((Pid::new(4700).unwrap(), Ended::Killed(9)));
        let old = Record { leaving: true, end, ..record(4711, 123_456) };
        let new = Record { leaving: false, end: None, ..record(5, 6) };
        let merged = |parts: &[Range<usize>]| {
            let mut text = old.to_text();
            for part in parts {
                text[part.clone()].copy_from_slice(&new.to_text()[part.clone()]);
            }
            Record::parse(&text)
        };
        assert_eq!(merged(&[LEAVING]), Some(Record { leaving: false, ..old }));
        assert_eq!(
            merged(&[PROCESS]),
            Some(Record { process: new.process, script: new.script, ..old })
        );
        assert_eq!(merged(&[END]), Some(Record { end: None, ..old }));
        assert_eq!(merged(&[LEAVING, PROCESS, END]), Some(new));
    }

    #[test]
    fn how_the_last_process_ended_can_be_read() {
        for (how, shown) in [
            (Ended::Exited(3), "ended=4711 code 3"),
            (Ended::Killed(9), "ended=4711 signal 9"),
            (Ended::Unknown, "ended=4711 unknown"),
        ] {
            let end = Some((Pid::new(4711).unwrap(), how));
            let text = Record { end, ..record(4711, 1) }.to_text();
            let last = str::from_utf8(&text).unwrap().lines().last().unwrap().trim_end();
            assert_eq!(last, shown);
        }
        for strange in ["", "4711", "4711 code", "4711 code 256", "4711 gone", "x code 1"] {
            let text = alloc::format!("{TEXT}\nended={strange}\n");
            assert_eq!(Record::parse(text.as_bytes()), Some(record(4711, 123_456)), "{strange}");
        }
    }

    #[test]
    fn other_lines_mean_nothing_and_missing_ones_spoil_it() {
        let more = alloc::format!("version=2\n{TEXT}\n\nnote\n");
        assert_eq!(Record::parse(more.as_bytes()), Some(record(4711, 123_456)));
        for missing in 0..7 {
            let kept = TEXT.lines().enumerate().filter(|(n, _)| *n != missing).map(|(_, l)| l);
            let text = kept.collect::<Vec<_>>().join("\n");
            assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
        }
        for end in 0..TEXT.len() - 18 {
            assert_eq!(Record::parse(&TEXT.as_bytes()[..end]), None);
        }
        for (good, bad) in [
            ("pid=4711", "pid=-1"),
            ("pid=4711", "pid=4294967297"),
            ("start=123456", "start="),
            ("leaving=no", "leaving=perhaps"),
            ("boot=6", "boot="),
            (":1234:", ":"),
        ] {
            assert_eq!(Record::parse(TEXT.replace(good, bad).as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn only_what_was_written_in_this_very_place_is_ours() {
        let judged = |place| {
            let text = Record { place, ..record(4711, 1) }.to_text();
            match Found::judge(&text, &PLACE) {
                Found::Foreign(foreign) => foreign,
                other => panic!("{other:?}"),
            }
        };
        let directory = Directory { inode: 1235, ..PLACE.directory };
        assert_eq!(judged(Place { directory, ..PLACE }), Foreign::Copied);
        let directory = Directory { born: 0, ..PLACE.directory };
        assert_eq!(judged(Place { directory, ..PLACE }), Foreign::Copied);
        let directory = Directory { device: (254, 1), ..PLACE.directory };
        assert_eq!(judged(Place { directory, ..PLACE }), Foreign::Copied);
        assert_eq!(judged(Place { namespace: 1, ..PLACE }), Foreign::OtherNamespace);
        // A container that was started anew, and a machine.
        assert_eq!(judged(Place { init: 99, ..PLACE }), Foreign::Earlier);
        let boot = *b"6c9670b8-664d-44a1-bfc1-84a24eb4494e";
        assert_eq!(judged(Place { boot, directory, namespace: 1, ..PLACE }), Foreign::Earlier);
        assert_eq!(Found::judge(b"", &PLACE), Found::Nothing);
        assert_eq!(Found::judge(b" \n\n", &PLACE), Found::Nothing);
        assert_eq!(Found::judge(&[0; LEN], &PLACE), Found::Foreign(Foreign::Malformed));
    }

    #[test]
    fn a_process_by_its_stat_whatever_its_name() {
        let stat = |name: &str| {
            alloc::format!(
                "4711 ({name}) S 1 0 0 0 -1 4194560 92106 12 0 38517 636 4198 2669 2335 20 0 13 0 \
                 24 42307584 3111"
            )
        };
        for name in ["sleep", "a b", ") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "("]
        {
            assert_eq!(Process::from_stat(stat(name).as_bytes()), Some(process(4711, 24)));
        }
        for text in ["", "4711", "4711 (sleep) S 1 0", "x (y) S 1"] {
            assert_eq!(Process::from_stat(text.as_bytes()), None, "{text}");
        }
    }

    /// Ten seconds after the boot, and what time it is then.
    const SINCE_BOOT: Duration = Duration::from_secs(10);

    fn now() -> Now {
        let label = Tai64n::from_unix(1_700_000_000, 0);
        Now { instant: Instant(5_000_000_000), label }
    }

    fn status(pid: u32, want: Want) -> status::Record {
        let since = Tai64n::from_unix(1_699_999_993, 500);
        status::Record { since, pid, paused: pid != 0, want, state: None }
    }

    fn succeeds(lives: bool, leaving: bool, status: Option<status::Record>) -> Machine {
        succeed(
            &Record { leaving, ..record(7, 300) },
            lives,
            status,
            Kept::default(),
            true,
            now(),
            SINCE_BOOT,
        )
    }

    #[test]
    fn a_living_process_is_taken_over_as_it_was() {
        let machine = succeeds(true, false, Some(status(7, Want::Down)));
        assert_eq!(machine.state(), State::Up { pid: Pid::new(7).unwrap(), paused: true });
        assert_eq!(machine.record(), status(7, Want::Down));
        assert!(!machine.is_leaving());
    }

    #[test]
    fn a_status_from_before_its_start_tells_what_is_wanted_and_nothing_else() {
        for status in [status(0, Want::Once), status(6, Want::Once)] {
            let machine = succeeds(true, false, Some(status));
            assert_eq!(machine.state(), State::Up { pid: Pid::new(7).unwrap(), paused: false });
            assert_eq!(machine.record().want, Want::Once);
            // It was started 3 s after the boot.
            let since = Tai64n::from_unix(1_699_999_993, 10_000_000);
            assert_eq!(machine.record().since, since);
        }
        assert_eq!(succeeds(true, false, None).record().want, Want::Up);
    }

    #[test]
    fn without_a_process_the_wish_is_kept_and_the_distance_between_starts() {
        for (want, effects) in [
            (Want::Up, &[Effect::Publish, Effect::Prepare][..]),
            (Want::Down, &[Effect::Publish]),
            // It was started, and once is enough.
            (Want::Once, &[Effect::Publish]),
        ] {
            let mut machine = succeeds(false, false, Some(status(0, want)));
            assert_eq!(machine.record(), status::Record { paused: false, ..status(0, want) });
            assert_eq!(machine.step(Event::Begin, now()).collect::<Vec<_>>(), effects);
        }
        let young = record(7, 930);
        let mut machine = succeed(
            &young,
            false,
            Some(status(7, Want::Up)),
            Kept::default(),
            true,
            now(),
            SINCE_BOOT,
        );
        assert_eq!(machine.record().since, now().label, "nobody saw when it ended");
        assert_eq!(machine.step(Event::Begin, now()).collect::<Vec<_>>(), [Effect::Publish]);
        // 690 ms after the start.
        assert_eq!(machine.deadline(), Some(now().instant + Duration::from_millis(310)));
    }

    #[test]
    fn after_one_that_was_to_leave_only_the_process_counts() {
        let machine = succeeds(true, true, Some(status(7, Want::Down)));
        assert_eq!(machine.record(), status(7, Want::Up));
        let mut machine = succeeds(false, true, Some(status(7, Want::Down)));
        assert_eq!(machine.record(), Machine::new(true, now()).record());
        assert_eq!(machine.step(Event::Begin, now()).last(), Some(Effect::Prepare));
    }

    #[test]
    fn a_record_without_a_process_keeps_the_wish() {
        let none = Record { process: None, ..record(7, 1) };
        let machine = succeed(
            &none,
            false,
            Some(status(0, Want::Down)),
            Kept::default(),
            true,
            now(),
            SINCE_BOOT,
        );
        assert_eq!(machine.record().want, Want::Down);
        assert_eq!(machine.state(), State::Down);
    }

    #[test]
    fn what_the_process_runs_is_in_the_record_unless_it_is_the_service() {
        for (script, line) in
            [(Script::Start, "start"), (Script::Stop, "stop"), (Script::Finish, "finish")]
        {
            let text = alloc::format!("{TEXT}\nscript={line}");
            let written = Record { script, ..record(4711, 123_456) };
            assert_eq!(Record::parse(text.as_bytes()), Some(written));
            assert_eq!(Record::parse(&written.to_text()), Some(written));
            // It goes with its process.
            let mut text = written.to_text();
            text[PROCESS].copy_from_slice(&record(5, 6).to_text()[PROCESS]);
            assert_eq!(Record::parse(&text), Some(record(5, 6)));
        }
        // One that says what we do not know is not ours to judge.
        for strange in ["", "run", "begin"] {
            let text = alloc::format!("{TEXT}\nscript={strange}");
            assert_eq!(Record::parse(text.as_bytes()), None, "{strange}");
        }
    }

    const FINISH: Policy = Policy {
        scripts: Scripts { finish: true, ..Policy::ORIGINAL.scripts },
        ..Policy::ORIGINAL
    };

    const ENCORE: Policy = Policy {
        personality: Personality::Encore,
        scripts: Scripts { start: true, stop: true, ..Policy::ORIGINAL.scripts },
        ..Policy::ORIGINAL
    };

    /// The machine after this record, with what it does first.
    fn begins(
        policy: Policy,
        record: Record,
        lives: bool,
        status: status::Record,
    ) -> (Machine, Vec<Effect>) {
        let kept = Kept::default();
        let mut machine = succeed(&record, lives, Some(status), kept, true, now(), SINCE_BOOT);
        machine.configure(policy, 0);
        let did = machine.step(Event::Begin, now()).collect();
        (machine, did)
    }

    #[test]
    fn the_next_supervise_runs_the_finish_that_was_not_run() {
        let finish = [Effect::Publish, Effect::Spawn(Script::Finish)];
        let pid = Pid::new(7).unwrap();
        for (end, how) in [
            (Some((pid, Ended::Exited(3))), Ended::Exited(3)),
            (Some((Pid::new(6).unwrap(), Ended::Exited(3))), Ended::Unknown),
            (None, Ended::Unknown),
        ] {
            let died = Record { end, ..record(7, 300) };
            for (status, failures) in [(status(7, Want::Up), 1), (status(0, Want::Up), 0)] {
                let (machine, did) = begins(FINISH, died, false, status);
                assert_eq!((&did[..], machine.last_end()), (&finish[..], how));
                assert_eq!(machine.failures(), failures, "seen or not");
            }
            let (machine, did) = begins(FINISH, died, false, status(7, Want::Down));
            assert_eq!((&did[..], machine.failures()), (&finish[..], 0), "it was told to");
        }
        // If it was run, or runs, it is not run again.
        let finished = Record { script: Script::Finish, ..record(7, 300) };
        let (_, did) = begins(FINISH, finished, false, status(0, Want::Up));
        assert_eq!(did, [Effect::Publish, Effect::Prepare]);
        let (machine, did) = begins(FINISH, finished, true, status(0, Want::Down));
        assert_eq!(machine.state(), State::Aside { script: Script::Finish, pid });
        assert_eq!(did, []);
        let shown = machine.record();
        assert_eq!((shown.pid, shown.since), (0, status(0, Want::Down).since));
        // One that is to leave sees to the end of it, and no more.
        let leaving = Record { leaving: true, ..record(7, 300) };
        let (_, did) = begins(FINISH, leaving, false, status(7, Want::Down));
        assert_eq!(did, [Effect::Publish, Effect::Prepare]);
    }

    #[test]
    fn the_next_supervise_knows_whether_start_or_stop_come_next() {
        let script = |script, end: Option<Ended>| {
            let pid = Pid::new(7).unwrap();
            Record { script, end: end.map(|how| (pid, how)), ..record(7, 300) }
        };
        let says = |pid, want, code| status::Record { state: Some(code), ..status(pid, want) };
        let first = |record, status| {
            let (mut machine, did) = begins(ENCORE, record, false, status);
            assert_eq!(did, [Effect::Publish, Effect::Prepare]);
            let did: Vec<Effect> = machine.step(Event::Prepared, now()).collect();
            did == [Effect::Spawn(Script::Start)]
        };
        let starting = says(7, Want::Up, StateCode::Starting);
        assert!(!first(script(Script::Start, Some(Ended::Exited(0))), starting));
        assert!(first(script(Script::Start, Some(Ended::Killed(9))), starting));
        assert!(first(script(Script::Start, None), starting), "nobody knows what it has done");
        // Wanted up again, but the next process was not there yet.
        let again = says(0, Want::Up, StateCode::Starting);
        assert!(first(script(Script::Stop, None), again));
        assert!(first(script(Script::Run, None), again));
        assert!(first(Record { process: None, ..record(7, 300) }, again));
        assert!(!first(script(Script::Run, None), says(7, Want::Up, StateCode::Running)));

        let down = |record, status| begins(ENCORE, record, false, status).1;
        let stopping = says(7, Want::Down, StateCode::Stopping);
        assert_eq!(
            down(script(Script::Run, None), stopping),
            [Effect::Publish, Effect::Spawn(Script::Stop)]
        );
        let stopped = says(7, Want::Down, StateCode::Stopped);
        assert_eq!(down(script(Script::Stop, None), stopped), [Effect::Publish]);
        let started = says(0, Want::Once, StateCode::Started);
        let (machine, _) = begins(ENCORE, script(Script::Start, None), false, started);
        assert_eq!((machine.state(), machine.record()), (State::Started, started));
    }

    #[test]
    fn what_else_was_known_is_known_again_but_of_another_process() {
        let ready = Some(Tai64n::from_unix(1_699_999_995, 0));
        let kept =
            Kept { ready, failures: 3, reason: Some(Reason::Check), failed: false, next: None };
        let next = |lives, status| {
            succeed(&record(7, 300), lives, Some(status), kept, true, now(), SINCE_BOOT)
        };
        let machine = next(true, status(7, Want::Up));
        assert_eq!((machine.ready(), machine.failures()), (ready, 3));
        assert_eq!(machine.reason(), Some(Reason::Check));
        assert_eq!(next(true, status(6, Want::Up)).ready(), None);
        assert_eq!(next(false, status(7, Want::Up)).ready(), None);
        let kept = Kept { failed: true, ..kept };
        let status = status(0, Want::Down);
        let failed = succeed(&record(7, 300), false, Some(status), kept, true, now(), SINCE_BOOT);
        assert_eq!(failed.state(), State::Failed);
    }

    #[test]
    fn a_machine_that_runs_for_years_is_no_trouble() {
        let years = Duration::from_secs(10 * 365 * 86_400);
        assert_eq!(process(1, 0).age(years), years - Duration::from_millis(10));
        let late = years.as_secs() * 100 - 100;
        assert_eq!(process(1, late).age(years), Duration::from_millis(990));
        assert_eq!(process(1, u64::MAX).age(years), Duration::ZERO);
    }
}
