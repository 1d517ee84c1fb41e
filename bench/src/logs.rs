//! `svctl logs` beside other ways to read the logs of several services.

use crate::suite::Suite;
use crate::table::{median, two_digits};
use crate::{Context, Measured, WorkDir, counts, guard, milliseconds, now};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

/// The services, each with a log directory.
const SERVICES: u64 = 8;

/// The files of a directory, `current` included.
const FILES: u64 = 10;

/// The directories of the search for the last five minutes.
const DIRECTORIES: u64 = 100;

/// 1970 in the seconds of a label.
const EPOCH: u64 = (1 << 62) + 10;

/// 2024-03-09 16:00:00 UTC.
const FIRST: u64 = 1_710_000_000;

const DEADLINE: Duration = Duration::from_secs(600);

/// The memory is looked at after so much output.
const SAMPLE: usize = 1 << 20;

/// What a program has used for its output.
struct Used {
    milliseconds: f64,
    cpu: f64,
    /// The most memory, in KiB, as far as it was seen.
    memory: f64,
    lines: u64,
}

/// A way to read the logs: its command for all lines, and for the last 50.
struct Reader {
    name: &'static str,
    all: Vec<String>,
    last: Option<Vec<String>>,
    /// All of it is one process, whose memory tells.
    is_one_process: bool,
}

/// Measures and prints the table. Returns whether all work was done.
pub(crate) fn measure(
    work_dir: &WorkDir,
    suites: &[Suite],
    long: bool,
    most: Option<u32>,
    machine: &str,
) -> Measured<bool> {
    let svctl = env::var("DAEMONTOOLS_SVCTL").context("read DAEMONTOOLS_SVCTL: use bench/run")?;
    let lines = u64::from(most.unwrap_or(2_000_000)) / SERVICES * SERVICES;
    let dir = work_dir.fresh("logs")?;
    eprintln!("writing {lines} lines");
    write_logs(&dir, lines)?;
    let mut notes = vec![];
    let readers = readers(&dir, &svctl, suites, lines, &mut notes)?;
    let mut rows: Vec<(&str, Vec<String>)> = vec![];
    let mut row = |name, values| rows.push((name, values));
    let (mut seconds, mut cpu, mut memory, mut last) = (vec![], vec![], vec![], vec![]);
    for reader in &readers {
        eprintln!("{}", reader.name);
        let found = trials(&dir, &reader.all, lines, long, reader.name, &mut notes);
        seconds.push(cell(&found, |used| used.milliseconds / 1000.0));
        cpu.push(cell(&found, |used| used.cpu / 1000.0));
        memory.push(match reader.is_one_process {
            true => cell(&found, |used| used.memory / 1024.0),
            false => "-".to_owned(),
        });
        let found = reader
            .last
            .as_ref()
            .map(|command| trials(&dir, command, 50, long, reader.name, &mut notes));
        last.push(found.map_or_else(|| "-".to_owned(), |found| cell(&found, |u| u.milliseconds)));
    }
    row("all lines, s", seconds);
    row("processor time for them, s", cpu);
    row("memory for them, MiB", memory);
    row("the last 50 lines, ms", last);
    eprintln!("the last five minutes of {DIRECTORIES} directories");
    let recent = recent_command(&dir, &svctl)?;
    let found = trials(&dir, &recent, DIRECTORIES * 31, long, "svctl logs", &mut notes);
    let ours_only = |value: String| {
        let others = readers.len().saturating_sub(1);
        [vec![value], vec!["-".to_owned(); others]].concat()
    };
    row("five minutes of 100 directories, ms", ours_only(cell(&found, |used| used.milliseconds)));
    row(
        "files opened of one of these, at most",
        ours_only(shown(opened(&dir, &recent), &mut notes)),
    );
    eprintln!("following");
    let (middle, longest) = match latency(&dir, &svctl, suites) {
        Ok(times) => (
            median(&times).map_or_else(|| "-".to_owned(), two_digits),
            times.iter().copied().reduce(f64::max).map_or_else(|| "-".to_owned(), two_digits),
        ),
        Err(why) => {
            notes.push(format!("FAILED: following: {why}"));
            ("failed".to_owned(), "failed".to_owned())
        }
    };
    row("a line until `-f` shows it, ms", ours_only(middle));
    row("the longest of 200 times, ms", ours_only(longest));
    print!("{}", render(&readers, &rows, lines, &notes));
    println!("\n{machine}");
    Ok(!notes.iter().any(|note| note.starts_with("FAILED")))
}

fn render(
    readers: &[Reader],
    rows: &[(&str, Vec<String>)],
    lines: u64,
    notes: &[String],
) -> String {
    let mut text = format!("{lines} lines in {SERVICES} log directories of {FILES} files.\n\n|");
    for reader in readers {
        let _ = write!(text, " | {}", reader.name);
    }
    let _ = writeln!(text, " |\n|---|{}", "---:|".repeat(readers.len()));
    for (name, values) in rows {
        let _ = writeln!(text, "| {name} | {} |", values.join(" | "));
    }
    for note in notes {
        let _ = write!(text, "\n{note}\n");
    }
    text
}

fn cell(found: &[Used], value: impl Fn(&Used) -> f64) -> String {
    let values: Vec<f64> = found.iter().map(value).collect();
    median(&values).map_or_else(|| "failed".to_owned(), two_digits)
}

fn shown(value: Measured<f64>, notes: &mut Vec<String>) -> String {
    value.map(two_digits).unwrap_or_else(|why| {
        notes.push(format!("FAILED: {why}"));
        "failed".to_owned()
    })
}

/// The label of a moment in microseconds since 1970.
fn label(microseconds: u64) -> String {
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    format!("@{:016x}{:08x}", EPOCH + seconds, rest * 1000)
}

/// The moment of a line: a thousand lines a second.
fn moment(number: u64) -> u64 {
    FIRST * 1_000_000 + number * 1000 + 123
}

fn message(number: u64) -> String {
    format!("GET /some/path/{number:07} HTTP/1.1 200 and so many bytes: {}", number % 9973)
}

fn create(path: &Path) -> Measured<BufWriter<File>> {
    File::create(path).map(BufWriter::new).context("write a log")
}

/// Writes the directories, and a copy of each as one file with dates for lnav.
fn write_logs(dir: &Path, lines: u64) -> Measured<()> {
    let of_service = lines / SERVICES;
    for service in 0..SERVICES {
        let log = dir.join(format!("service{service}"));
        fs::create_dir(&log).context("make a directory")?;
        let mut dated = create(&dir.join(format!("service{service}.log")))?;
        for file in 0..FILES {
            let numbers = file * of_service / FILES..(file + 1) * of_service / FILES;
            let last = (numbers.end.max(1) - 1) * SERVICES + service;
            let name = match file + 1 {
                FILES => "current".to_owned(),
                _ => format!("{}.s", label(moment(last) + 1)),
            };
            let mut log = create(&log.join(name))?;
            for number in numbers.map(|number| number * SERVICES + service) {
                let at = moment(number);
                writeln!(log, "{} {}", label(at), message(number)).context("write a log")?;
                // The first moment is 16:00.
                let second = at / 1_000_000 - FIRST;
                let (hour, minute, second) = (16 + second / 3600, second / 60 % 60, second % 60);
                let fraction = at % 1_000_000;
                writeln!(
                    dated,
                    "2024-03-09T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z {}",
                    message(number)
                )
                .context("write a log")?;
            }
            log.flush().context("write a log")?;
        }
        dated.flush().context("write a log")?;
    }
    Ok(())
}

/// The readers that are here. The notes say which are not.
fn readers(
    dir: &Path,
    svctl: &str,
    suites: &[Suite],
    lines: u64,
    notes: &mut Vec<String>,
) -> Measured<Vec<Reader>> {
    let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<String>>();
    let directories = (0..SERVICES).map(|n| format!(" --log-dir service{n}")).collect::<String>();
    let ours = words(&format!("{svctl} logs --no-pager{directories}"));
    let mut readers = vec![Reader {
        name: "`svctl logs`",
        last: Some([&ours[..], &words("-n 50")].concat()),
        all: ours,
        is_one_process: true,
    }];
    if is_here("lnav") {
        let files = (0..SERVICES).map(|n| format!(" service{n}.log")).collect::<String>();
        let all = words(&format!("lnav -n{files}"));
        // It has no option for the last lines: its SQL gets them.
        let query = ";SELECT log_raw_text FROM all_logs ORDER BY log_line DESC LIMIT 50";
        let asks = ["-c", query, "-c", ":write-raw-to -"].map(ToOwned::to_owned);
        let last = Some([&all[..], &asks].concat());
        readers.push(Reader { name: "`lnav`", all, last, is_one_process: true });
    } else {
        notes.push("not here: lnav (Debian's package lnav)".to_owned());
    }
    match write_journal(dir, lines) {
        Ok(()) => {
            let all = words("journalctl --file all*.journal --no-pager -o short-precise");
            let last = Some([&all[..], &words("-n 50")].concat());
            readers.push(Reader { name: "`journalctl`", all, last, is_one_process: true });
        }
        Err(why) => notes.push(format!("not here: journalctl ({why})")),
    }
    let programs = suites.iter().find(|suite| suite.name == "daemontools").or(suites.first());
    let path = programs.ok_or("no suite")?.path();
    let files = "service*/@* service*/current";
    let shell = |script: String| vec!["sh".to_owned(), "-c".to_owned(), script];
    readers.push(Reader {
        name: "`cat`, `tai64nlocal`, not merged",
        all: shell(format!("cat {files} | PATH={path} tai64nlocal")),
        last: None,
        is_one_process: false,
    });
    readers.push(Reader {
        name: "`sort -m`, labels",
        all: shell(format!("LC_ALL=C exec sort -m {files}")),
        last: None,
        is_one_process: true,
    });
    Ok(readers)
}

fn is_here(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Writes a journal with the same lines.
fn write_journal(dir: &Path, lines: u64) -> Measured<()> {
    let remote = ["/lib/systemd", "/usr/lib/systemd"]
        .iter()
        .map(|dir| Path::new(dir).join("systemd-journal-remote"))
        .find(|program| program.is_file());
    let remote: PathBuf = remote.ok_or("Debian's package systemd-journal-remote")?;
    eprintln!("writing a journal");
    let mut child = Command::new(remote)
        .args(["-o", "all.journal", "-"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start systemd-journal-remote")?;
    let mut input = BufWriter::new(child.stdin.take().ok_or("no pipe")?);
    for number in 0..lines {
        let service = number % SERVICES;
        write!(
            input,
            "__REALTIME_TIMESTAMP={}\nSYSLOG_IDENTIFIER=service{service}\nPRIORITY=6\nMESSAGE={}\n\n",
            moment(number),
            message(number)
        )
        .context("write to systemd-journal-remote")?;
    }
    input.flush().context("write to systemd-journal-remote")?;
    drop(input);
    match guard::wait(&mut child, DEADLINE) {
        Some(status) if status.success() => Ok(()),
        _ => Err("systemd-journal-remote failed".to_owned()),
    }
}

/// The values of several runs. The first one reads the files into the cache, and does not count.
fn trials(
    dir: &Path,
    command: &[String],
    lines: u64,
    long: bool,
    name: &str,
    notes: &mut Vec<String>,
) -> Vec<Used> {
    let mut found = vec![];
    for trial in 0..if long { 10 } else { 4 } {
        let used = run(dir, command).and_then(|used| match used.lines {
            // Some print a line for each day.
            printed if (lines..lines + 4).contains(&printed) => Ok(used),
            printed => Err(format!("{printed} lines instead of {lines}")),
        });
        match used {
            Ok(used) if trial > 0 => found.push(used),
            Ok(_) => {}
            Err(why) => {
                notes.push(format!("FAILED: {name}: {why}"));
                return vec![];
            }
        }
    }
    found
}

fn start(dir: &Path, command: &[String]) -> Measured<(Child, ChildStdout)> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .env("HOME", dir)
        .env("TERM", "dumb")
        .env("TZ", "Europe/Berlin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context(&format!("start {program}"))?;
    let output = child.stdout.take().ok_or("no pipe")?;
    Ok((child, output))
}

/// Runs a program, and counts the lines that it prints.
fn run(dir: &Path, command: &[String]) -> Measured<Used> {
    let (cpu_before, before) = (counts::cpu_of_children()?, now());
    let (mut child, mut output) = start(dir, command)?;
    let (mut lines, mut memory, mut since_sample) = (0, 0.0_f64, SAMPLE);
    let mut room = vec![0; 64 * 1024];
    loop {
        // The program lives on: it cannot write all of its output before this reads it.
        if since_sample >= SAMPLE {
            memory = memory.max(counts::most_memory(child.id()).unwrap_or(0.0));
            since_sample = 0;
        }
        let count = output.read(&mut room).context("read the output")?;
        if count == 0 {
            break;
        }
        since_sample += count;
        lines += room[..count].iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
    }
    let status = guard::wait(&mut child, DEADLINE).ok_or("no end")?;
    if !status.success() {
        return Err(format!("{} ended with {status}", command.join(" ")));
    }
    let milliseconds = milliseconds(before, now());
    Ok(Used { milliseconds, cpu: counts::cpu_of_children()? - cpu_before, memory, lines })
}

/// Writes directories with a line each ten seconds up to now. Returns the command that prints the
/// last five minutes.
fn recent_command(dir: &Path, svctl: &str) -> Measured<Vec<String>> {
    const OF_FILE: u64 = 100;
    let base = dir.join("recent");
    fs::create_dir(&base).context("make a directory")?;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().context("read the clock")?;
    let now = u64::try_from(now.as_micros()).context("read the clock")?;
    let mut command = vec![svctl.to_owned(), "logs".to_owned()];
    for number in 0..DIRECTORIES {
        let log = base.join(number.to_string());
        fs::create_dir(&log).context("make a directory")?;
        for file in 0..FILES {
            let at = |line: u64| now - (FILES * OF_FILE - 1 - line) * 10_000_000;
            let lines = file * OF_FILE..(file + 1) * OF_FILE;
            let name = match file + 1 {
                FILES => "current".to_owned(),
                _ => format!("{}.s", label(at(lines.end - 1) + 1)),
            };
            let mut file = create(&log.join(name))?;
            for line in lines {
                writeln!(file, "{} {}", label(at(line)), message(line)).context("write a log")?;
            }
            file.flush().context("write a log")?;
        }
        command.extend(["--log-dir".to_owned(), log.to_string_lossy().into_owned()]);
    }
    // The clock goes on while the trials run; this moment stays.
    command.extend(["--since".to_owned(), label(now - 300_000_000)]);
    Ok(command)
}

/// How many log files the command opens of one directory, at most.
fn opened(dir: &Path, command: &[String]) -> Measured<f64> {
    let trace = dir.join("trace");
    let strace = ["strace", "-f", "-y", "-e", "trace=openat", "-o"];
    let mut traced: Vec<String> = strace.map(ToOwned::to_owned).to_vec();
    traced.push(trace.to_string_lossy().into_owned());
    traced.extend_from_slice(command);
    run(dir, &traced)?;
    let text = fs::read_to_string(trace).context("read the trace")?;
    let mut files: BTreeMap<&str, u32> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.contains("ENOENT")) {
        if let Some((directory, name)) = line.split_once('>')
            && (name.contains("\"@4") || name.contains("\"current\""))
        {
            let path = directory.rsplit_once('<').map_or("", |(_, path)| path);
            *files.entry(path).or_default() += 1;
        }
    }
    if files.len() != usize::try_from(DIRECTORIES).unwrap_or(0) {
        return Err(format!("the trace names {} directories", files.len()));
    }
    Ok(files.into_values().max().map_or(0.0, f64::from))
}

/// The milliseconds from the writing of a line to the logger until `svctl logs -f` has printed it.
fn latency(dir: &Path, svctl: &str, suites: &[Suite]) -> Measured<Vec<f64>> {
    let path = suites.first().ok_or("no suite")?.path();
    let mut logger = Command::new("sh")
        .args(["-c", "exec multilog t ./live"])
        .env("PATH", path)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .spawn()
        .context("start multilog")?;
    let mut input = logger.stdin.take().ok_or("no pipe")?;
    let mut times = vec![];
    writeln!(input, "begin").context("write to multilog")?;
    let end = now() + 10_000_000_000;
    while fs::metadata(dir.join("live/current")).map_or(0, |file| file.len()) == 0 {
        if now() > end {
            return Err("multilog writes nothing".to_owned());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let command = ["logs", "-f", "-o", "cat", "--log-dir", "live"].map(ToOwned::to_owned);
    let command = [vec![svctl.to_owned()], command.to_vec()].concat();
    let (mut child, output) = start(dir, &command)?;
    let mut output = BufReader::new(output);
    for number in 0..=200 {
        // The follower and the logger have come to rest.
        thread::sleep(Duration::from_millis(5));
        let before = now();
        if number > 0 {
            writeln!(input, "{number}").context("write to multilog")?;
        }
        if !guard::readable(output.get_ref(), Duration::from_secs(10)) {
            return Err("a line is not shown".to_owned());
        }
        let mut line = String::new();
        output.read_line(&mut line).context("read the output")?;
        if number > 0 {
            times.push(milliseconds(before, now()));
        }
    }
    drop(input);
    let _ = child.kill();
    let _ = child.wait();
    let _ = guard::wait(&mut logger, DEADLINE);
    Ok(times)
}
