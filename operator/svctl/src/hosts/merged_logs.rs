//! `svctl logs --host`: the lines of several machines in the order of time. Each machine sends its own
//! lines in order; what one sends too early waits in its pipe.

use super::names;
use super::remote::{Remote, Silence, pump_until};
use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE, warn};
use crate::interrupt::Interrupt;
use crate::logs::file_scan::LineHead;
use crate::logs::line_printer::{LineForm, LineName, LinePrinter};
use crate::logs::line_reader::Extent;
use crate::logs::local_zone::LocalZone;
use crate::logs::log_output::LogOutput;
use crate::logs::stamp::Moment;
use crate::logs::time_argument;
use crate::options::{
    CURSOR, DIR, FOLLOW, GREP, LAST, LINE_FORM, LOG_DIR, NO_PAGER, SINCE, TAI, UNTIL, UTC,
};
use crate::shell_words::quoted;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

/// The longest line of a machine, in its JSON.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// The most bytes of lines that are kept for `-n`.
const MOST_KEPT: usize = 64 * 1024 * 1024;

/// The most services of a machine, and the longest name of one.
const MOST_SERVICES: usize = 1000;
const LONGEST_NAME: usize = 4096;

/// How long a new line waits for earlier ones of other machines while logs are followed.
const PATIENCE: Duration = Duration::from_millis(300);

/// A line of a machine.
struct RemoteLine {
    moment: Moment,
    service: String,
    label: Option<String>,
    message: String,
    came: Instant,
}

/// A machine and its next line.
struct RemoteLog {
    remote: Option<Remote>,
    host: String,
    next: Option<RemoteLine>,
}

/// With `-n`: the last lines so far, with the numbers of their machines.
struct KeptLines {
    most: usize,
    lines: VecDeque<(usize, RemoteLine)>,
    bytes: usize,
    /// Lines were left out because their bytes were too many.
    is_cut: bool,
}

impl KeptLines {
    const fn new(most: usize) -> Self {
        Self { most, lines: VecDeque::new(), bytes: 0, is_cut: false }
    }

    fn push(&mut self, machine: usize, line: RemoteLine) {
        self.bytes += line.size();
        self.lines.push_back((machine, line));
        while self.lines.len() > self.most || self.bytes > MOST_KEPT {
            self.is_cut |= self.lines.len() <= self.most;
            let Some((_, first)) = self.lines.pop_front() else { return };
            self.bytes -= first.size();
        }
    }
}

/// The lines of all machines.
struct MergedLogs {
    machines: Vec<RemoteLog>,
    printer: LinePrinter,
    out: LogOutput,
    names: Vec<LineName>,
    numbers: BTreeMap<(usize, String), usize>,
    kept: Option<KeptLines>,
    follows: bool,
    code: u8,
}

pub(crate) fn logs(arguments: &Arguments) -> Result<u8, Failure> {
    let text = |long: &str| arguments.value(long).map(|text| text.to_string_lossy());
    if arguments.has(&CURSOR) {
        return Err(Failure::new(
            USAGE,
            "unable to use --cursor with --host: a cursor is a place in files of this machine",
        ));
    }
    let zone = if arguments.has(&UTC) { LocalZone::utc() } else { LocalZone::system() };
    let command = command(arguments, &zone)?;
    let form = text(LINE_FORM.long).map(|it| LineForm::parse(&it)).transpose()?;
    let output = arguments.output;
    let follows = arguments.has(&FOLLOW);
    let interrupt = follows.then(Interrupt::new).transpose();
    let interrupt = interrupt.map_err(|error| Failure::system("wait for signals", &error))?;
    let out = if output.terminal && !arguments.has(&NO_PAGER) && !follows {
        LogOutput::pager()
    } else {
        LogOutput::stdout()
    };
    let mut out = out.map_err(|error| Failure::system("write output", &error))?;
    if let Some(interrupt) = &interrupt {
        out.end_at(interrupt).map_err(|error| Failure::system("wait for signals", &error))?;
    }
    let last = arguments.number(&LAST)?.filter(|_| !follows);
    let mut merged = MergedLogs {
        machines: Vec::new(),
        printer: LinePrinter::new(form.unwrap_or_default(), zone, &[], output),
        out,
        names: Vec::new(),
        numbers: BTreeMap::new(),
        kept: last.map(KeptLines::new),
        follows,
        code: DONE,
    };
    for host in names(arguments)? {
        let remote = match Remote::start(&host, &command) {
            Ok(remote) => Some(remote),
            Err(silence) => {
                merged.lost(&host, &silence);
                None
            }
        };
        merged.machines.push(RemoteLog { remote, host, next: None });
    }
    let is_paged = merged.out.is_paged();
    let code = match merged.run(interrupt.as_ref()) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            if is_paged {
                DONE
            } else {
                CANNOT
            }
        }
        Err(error) => return Err(Failure::system("merge the logs", &error)),
    };
    Ok(code)
}

/// The command line for the shell of the other machines. All get the same moments.
fn command(arguments: &Arguments, zone: &LocalZone) -> Result<String, Failure> {
    let mut words: Vec<Vec<u8>> =
        ["svctl", "logs", "-o", "json", "--no-pager"].map(|word| word.as_bytes().to_vec()).into();
    let mut add = |long: &str, value: &[u8]| {
        words.push(quoted(format!("--{long}={}", String::from_utf8_lossy(value)).as_bytes()));
    };
    for long in [SINCE.long, UNTIL.long] {
        if let Some(text) = arguments.value(long) {
            let moment = time_argument::parse(&text.to_string_lossy(), zone.clone())?;
            add(long, moment.label().as_bytes());
        }
    }
    for option in [&DIR, &LAST, &GREP, &TAI] {
        if let Some(value) = arguments.value(option.long) {
            add(option.long, value.as_bytes());
        }
    }
    arguments.values(&LOG_DIR).for_each(|path| add(LOG_DIR.long, path.as_bytes()));
    if arguments.has(&FOLLOW) {
        words.push(format!("--{}", FOLLOW.long).into_bytes());
    }
    words.push(b"--".to_vec());
    words.extend(arguments.operands.iter().map(|name| quoted(name.as_bytes())));
    Ok(String::from_utf8_lossy(&words.join(&b' ')).into_owned())
}

impl MergedLogs {
    fn lost(&mut self, host: &str, silence: &Silence) {
        warn(&format!("{host}: {}", silence.why));
        self.code = self.code.max(silence.code);
    }

    /// Prints until all machines have ended, or until Ctrl-C.
    fn run(mut self, interrupt: Option<&Interrupt>) -> io::Result<u8> {
        loop {
            self.take_lines();
            while self.print_first()? {
                self.take_lines();
            }
            let waits = self.machines.iter().any(|machine| machine.remote.is_some());
            if !waits {
                break;
            }
            if self.follows {
                self.out.flush()?;
            }
            let oldest =
                self.machines.iter().filter_map(|machine| Some(machine.next.as_ref()?.came)).min();
            let timeout = oldest
                .filter(|_| self.follows)
                .map(|came| (came + PATIENCE).saturating_duration_since(Instant::now()));
            let missing = self.machines.iter_mut().filter(|machine| machine.next.is_none());
            let mut missing: Vec<&mut Remote> =
                missing.filter_map(|machine| machine.remote.as_mut()).collect();
            if pump_until(&mut missing, interrupt, timeout)? {
                for remote in self.machines.iter_mut().filter_map(|it| it.remote.as_mut()) {
                    remote.kill();
                }
                self.out.finish()?;
                return Ok(DONE);
            }
        }
        if let Some(kept) = self.kept.take() {
            if kept.is_cut {
                warn(&format!("the lines before the last {} MiB are left out", MOST_KEPT >> 20));
                self.code = self.code.max(CANNOT);
            }
            for (machine, line) in kept.lines {
                self.print(machine, &line)?;
            }
        }
        self.out.finish()?;
        Ok(self.code)
    }

    /// Takes the next line of each machine, as far as it has come.
    fn take_lines(&mut self) {
        for index in 0..self.machines.len() {
            let Some(machine) = self.machines.get_mut(index) else { continue };
            while machine.next.is_none()
                && let Some(remote) = &mut machine.remote
            {
                if let Some(text) = remote.take_line(LONGEST_LINE) {
                    match RemoteLine::parse(&text) {
                        Some(line) => machine.next = Some(line),
                        None => {
                            warn(&format!(
                                "{}: a line that is not of a log was skipped",
                                remote.host
                            ));
                        }
                    }
                    continue;
                }
                if !remote.is_at_end(LONGEST_LINE) {
                    break;
                }
                let host = remote.host.clone();
                if let Some(remote) = machine.remote.take() {
                    match remote.finish_lines() {
                        Ok((code, messages)) => {
                            messages.iter().for_each(|text| warn(&format!("{host}: {text}")));
                            self.code = self.code.max(code);
                        }
                        Err(silence) => {
                            warn(&format!("{host}: {}", silence.why));
                            self.code = self.code.max(silence.code);
                        }
                    }
                }
            }
        }
    }

    /// Prints the earliest line, if no earlier one can come. Returns whether it did.
    fn print_first(&mut self) -> io::Result<bool> {
        let is_complete =
            self.machines.iter().all(|machine| machine.next.is_some() || machine.remote.is_none());
        let first = self
            .machines
            .iter()
            .enumerate()
            .filter_map(|(index, machine)| Some((machine.next.as_ref()?.moment, index)))
            .min();
        let Some((_, index)) = first else { return Ok(false) };
        let is_overdue = || {
            let came = self.machines.iter().filter_map(|machine| Some(machine.next.as_ref()?.came));
            self.follows && came.min().is_some_and(|came| came.elapsed() >= PATIENCE)
        };
        if !is_complete && !is_overdue() {
            return Ok(false);
        }
        let Some(line) = self.machines.get_mut(index).and_then(|machine| machine.next.take())
        else {
            return Ok(false);
        };
        match &mut self.kept {
            Some(kept) => kept.push(index, line),
            None => self.print(index, &line)?,
        }
        Ok(true)
    }

    /// How many services of a machine had lines.
    fn services_of(&self, machine: usize) -> usize {
        self.numbers.range((machine, String::new())..(machine + 1, String::new())).count()
    }

    /// Reads no more of a machine.
    fn lose(&mut self, machine: usize) {
        let Some(machine) = self.machines.get_mut(machine) else { return };
        machine.next = None;
        if let Some(mut remote) = machine.remote.take() {
            remote.kill();
            let why = format!("its svctl names more than {MOST_SERVICES} services");
            warn(&format!("{}: {why}; its other lines are left out", remote.host));
        }
        self.code = self.code.max(CANNOT);
    }

    fn print(&mut self, machine: usize, line: &RemoteLine) -> io::Result<()> {
        let key = (machine, line.service.clone());
        let number = match self.numbers.get(&key) {
            Some(number) => *number,
            None if self.services_of(machine) >= MOST_SERVICES => {
                self.lose(machine);
                return Ok(());
            }
            None => {
                let host = self.machines.get(machine).map(|machine| machine.host.clone());
                self.names.push(LineName { host, service: line.service.clone() });
                self.printer.set_names(&self.names);
                self.numbers.insert(key, self.names.len() - 1);
                self.names.len() - 1
            }
        };
        let mut bytes = Vec::new();
        if let Some(label) = &line.label {
            bytes.extend_from_slice(label.as_bytes());
            bytes.push(b' ');
        }
        let message_at = bytes.len();
        bytes.extend_from_slice(line.message.as_bytes());
        let head = LineHead {
            moment: line.moment,
            is_bound: false,
            line: 0..bytes.len(),
            label_length: message_at.saturating_sub(1),
            message_at,
            extent: Extent::Whole,
        };
        self.printer.begin_line(number, &head, &bytes, &mut self.out.buffer);
        self.printer.end_line(&mut self.out.buffer);
        self.out.flush_if_large()
    }
}

/// Whether a stamp can have this byte. A stamp is printed as it is, also within JSON.
const fn is_of_label(byte: u8) -> bool {
    byte == b' ' || (byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

impl RemoteLine {
    /// The bytes of its texts.
    fn size(&self) -> usize {
        let label = self.label.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.service.len() + label + self.message.len()
    }

    /// Reads a line of JSON.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut object: Value = serde_json::from_slice(text).ok()?;
        let time = object.get("time")?.as_str()?;
        let moment = time_argument::with_zone(time.as_bytes())?;
        let mut text = |name: &str| match object.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(Self {
            moment,
            service: text("service").filter(|name| name.len() <= LONGEST_NAME)?,
            label: text("label").filter(|label| label.bytes().all(is_of_label)),
            message: text("message")?,
            came: Instant::now(),
        })
    }
}
