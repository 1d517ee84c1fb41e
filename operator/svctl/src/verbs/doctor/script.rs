//! Checks of `run` and of `command`: whether the kernel can execute them, and what they do.

use super::elf::Elf;
use super::examination::{Examination, Run, Subject};
use super::files;
use super::finding::{
    self as check, EXEC_IN_PIPELINE, GOES_BACKGROUND, PROGRAM_NOT_FOUND, Report, quote,
};
use rustix::fs::{StatVfsMountFlags, statvfs};
use servicedir::End;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(crate) fn examine(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    let run = subject.path().join("run");
    match &subject.run {
        Run::File(found, text) => {
            of_file(system, subject, &run, found, text, report);
            unknown_users(system, subject, report);
            of_script(subject, &run, report);
            program_not_found(subject, report);
        }
        Run::Missing if subject.has_command() => of_command(system, subject, report),
        Run::Missing => missing(subject, &run, report),
        Run::Unreadable => {}
    }
}

/// Checks a file that the kernel is to execute: `run`, or the program of `command`.
fn of_file(
    system: &Examination<'_>,
    subject: &Subject,
    file: &Path,
    found: &Metadata,
    text: &[u8],
    report: &mut Report,
) {
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o111 == 0 {
        let evidence = format!("{} has mode {mode:04o}", file.display());
        let remedy = format!("chmod +x {}", quote(file));
        report.add(&check::RUN_NOT_EXECUTABLE, Some(subject.name()), evidence, remedy);
    }
    noexec(subject, file, report);
    if text.starts_with(b"#!") {
        of_interpreter(system, subject, file, text, report);
    } else if let Some(elf) = Elf::parse(text) {
        of_program(system, subject, file, &elf, report);
    } else {
        no_interpreter_line(subject, file, text, report);
    }
}

/// Checks `command`. A mistake in it is one of an option file, and reported there.
fn of_command(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    let Some(program) = subject.command.as_ref().and_then(|command| command.first()) else {
        return;
    };
    let word = OsStr::from_bytes(program.to_bytes());
    let Some(file) = command_program(system, subject, word) else {
        // supervise looks in its own PATH, which can be unknown.
        let Some(place) = command_place(system, subject, word) else { return };
        let shown = word.to_string_lossy();
        let evidence = format!("{} names {shown}, and {place}", subject.start_file().display());
        let remedy = format!("command -v {}", quote(word));
        return report.add(&PROGRAM_NOT_FOUND, Some(subject.name()), evidence, remedy);
    };
    if let (Ok(found), Ok(Some(text))) = (fs::metadata(&file), files::read(&file)) {
        of_file(system, subject, &file, &found, &text, report);
    }
    unknown_users(system, subject, report);
    program_not_found(subject, report);
}

/// The `PATH` in which supervise looks for a program.
fn search_path(system: &Examination<'_>, subject: &Subject) -> Option<String> {
    let supervise = subject.supervise.or(system.svscan())?;
    files::variable(supervise, "PATH")
}

/// The file that supervise executes for the first line of `command`, if it exists.
fn command_program(system: &Examination<'_>, subject: &Subject, word: &OsStr) -> Option<PathBuf> {
    if word.as_bytes().contains(&b'/') {
        let file = subject.path().join(word);
        return file.is_file().then_some(file);
    }
    let path = search_path(system, subject)?;
    let found = |dir: &str| subject.path().join(dir).join(word);
    let is_executable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    path.split(':').map(found).find(is_executable)
}

/// Where the program of `command` is missing, in words; `None` if that is unknown.
fn command_place(system: &Examination<'_>, subject: &Subject, word: &OsStr) -> Option<String> {
    if word.as_bytes().contains(&b'/') {
        return Some(format!("{} does not exist", subject.path().join(word).display()));
    }
    let path = search_path(system, subject)?;
    Some(format!("it is not in the PATH of supervise, {path}"))
}

/// Under encore a service with `start` needs no `run`.
fn missing(subject: &Subject, run: &Path, report: &mut Report) {
    if subject.has_file("start")
        && files::text(subject.path().join("personality")).trim() == "encore"
    {
        return;
    }
    let evidence = format!("{} does not exist", run.display());
    let path = quote(run);
    let remedy =
        format!("printf '#!/bin/sh\\nexec 2>&1\\nexec COMMAND\\n' >{path} && chmod +x {path}");
    report.add(&check::RUN_MISSING, Some(subject.name()), evidence, remedy);
}

fn noexec(subject: &Subject, run: &Path, report: &mut Report) {
    let Ok(found) = statvfs(run) else { return };
    if !found.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return;
    }
    let mount = mount_point(run).unwrap_or_else(|| "/".to_owned());
    let evidence = format!("{} is below {mount}, which is mounted with noexec", run.display());
    let remedy = format!("mount -o remount,exec {}", quote(&mount));
    report.add(&check::NOEXEC_MOUNT, Some(subject.name()), evidence, remedy);
}

/// The place where the file system of a path is mounted.
pub(crate) fn mount_point(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = files::of_process(std::process::id(), "mountinfo");
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    // Blanks and backslashes are octal.
    let decode = |point: &str| {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
            .iter()
            .fold(point.to_owned(), |text, (code, c)| text.replace(code, c))
    };
    points.map(decode).filter(|point| path.starts_with(point)).max_by_key(String::len)
}

fn of_interpreter(
    system: &Examination<'_>,
    subject: &Subject,
    run: &Path,
    text: &[u8],
    report: &mut Report,
) {
    let name = Some(subject.name());
    let line = text.split(|&c| c == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.get(2..).unwrap_or_default()).into_owned();
    if line.ends_with('\r') {
        let evidence = format!(
            "the first line of {} ends with a carriage return: \"#!{line}\"",
            run.display()
        );
        report.add(&check::RUN_CRLF, name, evidence, format!("sed -i 's/\\r$//' {}", quote(run)));
        return;
    }
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else {
        return no_interpreter_line(subject, run, text, report);
    };
    if interpreter.starts_with('/') && !Path::new(interpreter).exists() {
        let evidence = format!("\"#!{}\" in {}: {interpreter} does not exist", line, run.display());
        let remedy =
            format!("command -v {}", quote(interpreter.rsplit('/').next().unwrap_or_default()));
        report.add(&check::INTERPRETER_MISSING, name, evidence, remedy);
        return;
    }
    if let Some(elf) = system.program(Path::new(interpreter)) {
        of_program(system, subject, Path::new(interpreter), &elf, report);
    }
    // env searches for the interpreter in the PATH of supervise.
    if let Some(program) = words.next().filter(|word| {
        interpreter.ends_with("/env") && !word.starts_with('-') && !word.contains(['=', '/'])
    }) && let Some(path) =
        subject.supervise.or(system.svscan()).and_then(|pid| files::variable(pid, "PATH"))
        && !is_in_path(&path, program)
    {
        let evidence = format!(
            "\"#!{line}\" in {}: {program} is not in the PATH of supervise, {path}",
            run.display()
        );
        report.add(
            &check::INTERPRETER_MISSING,
            name,
            evidence,
            format!("command -v {}", quote(program)),
        );
    }
}

fn is_in_path(path: &str, program: &str) -> bool {
    path.split(':').any(|dir| {
        let found = Path::new(dir).join(program).metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

/// Checks a program that the kernel loads: `run`, or its interpreter.
fn of_program(
    system: &Examination<'_>,
    subject: &Subject,
    path: &Path,
    elf: &Elf,
    report: &mut Report,
) {
    let name = Some(subject.name());
    let own = system.program(Path::new("/proc/self/exe"));
    // A program that runs is right, whatever emulates its processor.
    if let Some(own) = own.filter(|own| subject.pid().is_none() && !elf.runs_beside(own)) {
        let evidence =
            format!("{} is for {}, this machine is {}", path.display(), elf.name(), own.name());
        report.add(&check::WRONG_ARCHITECTURE, name, evidence, format!("file -L {}", quote(path)));
    } else if let Some(loader) = elf.loader.as_ref().filter(|loader| !Path::new(loader).exists()) {
        let evidence =
            format!("{} needs the loader {loader}, which does not exist", path.display());
        report.add(&check::INTERPRETER_MISSING, name, evidence, format!("file -L {}", quote(path)));
    }
}

fn no_interpreter_line(subject: &Subject, run: &Path, text: &[u8], report: &mut Report) {
    let line = text.split(|&c| c == b'\n').next().unwrap_or_default();
    let line: String = String::from_utf8_lossy(line).chars().take(60).collect();
    let (evidence, remedy) = if text.is_empty() {
        (
            format!("{} is empty", run.display()),
            format!("printf '#!/bin/sh\\nexec COMMAND\\n' >{}", quote(run)),
        )
    } else if text.starts_with(b"\xef\xbb\xbf") {
        let evidence = format!("{} begins with a byte order mark", run.display());
        (evidence, format!("sed -i '1s/^\\xEF\\xBB\\xBF//' {}", quote(run)))
    } else {
        let evidence = format!("{} begins with \"{line}\"", run.display());
        (evidence, format!("sed -i '1i #!/bin/sh' {}", quote(run)))
    };
    report.add(&check::RUN_NO_INTERPRETER, Some(subject.name()), evidence, remedy);
}

fn of_script(subject: &Subject, run: &Path, report: &mut Report) {
    let Some(script) = &subject.script else { return };
    let name = Some(subject.name());
    for line in script.lines.iter().filter(|line| line.is_exec_in_pipeline()) {
        let evidence = format!("line {} of {}: \"{}\"", line.number, run.display(), line.text);
        let log = quote(subject.path().join("log"));
        let remedy = format!(
            "mkdir -p {log} && printf '#!/bin/sh\\nexec multilog t ./main\\n' >{log}/run && chmod +x {log}/run"
        );
        report.add(&EXEC_IN_PIPELINE, name, evidence, remedy);
    }
    let last = script.lines.last().filter(|line| line.is_in_background());
    if let Some(line) =
        last.filter(|_| !script.contains(&["wait"]) && !subject.has_file("background"))
    {
        let evidence = format!("line {} of {}: \"{}\"", line.number, run.display(), line.text);
        let number = line.number;
        let remedy = format!(
            "sed -i -e '{number}s/^/exec /' -e '{number}s/&[[:space:]]*$//' {}",
            quote(run)
        );
        report.add(&GOES_BACKGROUND, name, evidence, remedy);
    }
}

fn unknown_users(system: &Examination<'_>, subject: &Subject, report: &mut Report) {
    let Some(script) = &subject.script else { return };
    let users = script.users();
    if users.is_empty() {
        return;
    }
    let accounts = system.accounts();
    // Another name service may know the user. A service that runs has found it.
    let is_certain = if accounts.has_others { subject.is_dying() } else { !subject.is_stable() };
    for (program, user) in
        users.into_iter().filter(|(_, user)| is_certain && accounts.of(user.as_bytes()).is_none())
    {
        let evidence = format!(
            "{} has \"{program} {user}\", and /etc/passwd has no {user}",
            subject.start_file().display()
        );
        let remedy =
            format!("useradd --system --no-create-home --shell /usr/sbin/nologin {}", quote(user));
        report.add(&check::UNKNOWN_USER, Some(subject.name()), evidence, remedy);
    }
}

/// The last program of run says that it cannot run the next one, as envdir and setuidgid do.
fn not_run_by_loader(subject: &Subject, report: &mut Report) {
    let Some(line) = subject.last_lines(1).lines().pop() else { return };
    let Some((_, program)) = line.split_once(": fatal: unable to run ") else { return };
    let Some((program, _)) = program.rsplit_once(": file does not exist") else { return };
    let file = subject.start_file();
    let remedy = format!("ls -l {} && cat {}", quote(program), quote(&file));
    let evidence = format!("{} ended with exit 111: \"{line}\"", file.display());
    report.add(&PROGRAM_NOT_FOUND, Some(subject.name()), evidence, remedy);
}

/// Exit codes 126 and 127 are those of a shell that cannot execute a program.
fn program_not_found(subject: &Subject, report: &mut Report) {
    let end = subject.snapshot().and_then(|it| it.last_end);
    let code = match end {
        Some(End::Exited(code @ (126 | 127))) if subject.is_dying() => code,
        Some(End::Exited(111)) if subject.is_dying() => return not_run_by_loader(subject, report),
        _ => return,
    };
    let path = subject.supervise.and_then(|pid| files::variable(pid, "PATH"));
    let path =
        path.map_or_else(String::new, |path| format!("; the PATH of its supervise is {path}"));
    let file = subject.start_file();
    let evidence = format!("{} ended with exit {code}{path}", file.display());
    let remedy = format!("cat {}", quote(&file));
    report.add(&PROGRAM_NOT_FOUND, Some(subject.name()), evidence, remedy);
}
