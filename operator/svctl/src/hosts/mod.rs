//! The same verb on other machines: `--host`. It runs their svctl through ssh(1), side by side, and
//! merges what they print.

mod merged_logs;
mod remote;
mod show;

pub(crate) use merged_logs::logs;

use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE, warn};
use crate::interrupt::Interrupt;
use crate::logs::local_zone::LocalZone;
use crate::logs::time_argument;
use crate::options::{DIR, DOWN, FAILED, HOST, JSON, LINES, LONG, Opt, SINCE};
use crate::output::{Colour, escape, json_line, line};
use crate::shell_words::quoted;
use crate::view::SCHEMA;
use remote::{Remote, Silence, pump};
use serde_json::{Value, json};
use servicedir::read_regular_file;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// How many machines are asked at the same time.
const AT_ONCE: usize = 64;

/// The largest file of host names that is read.
const LIMIT: u64 = 1024 * 1024;

/// The largest answer of one machine.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// The longest line of a change, as JSON.
const LONGEST_CHANGE: usize = 1024 * 1024;

/// What a machine has answered.
struct Answer {
    host: String,
    /// Its output, exit code and warnings, or why there is none.
    result: Result<(Vec<u8>, u8, Vec<String>), Silence>,
}

/// `svctl list --host`.
pub(crate) fn list(arguments: &Arguments) -> Result<u8, Failure> {
    let (services, failed, code) =
        objects(&command("list", arguments, &["--json"]), arguments, "services")?;
    if arguments.has(&JSON) {
        print_json("services", &services, &failed);
    } else {
        show::list(arguments.output, &services, arguments.has(&LONG));
        name_failed(&failed);
    }
    Ok(code)
}

/// `svctl status --host`.
pub(crate) fn status(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.operands.is_empty() {
        return Err(Failure::new(USAGE, "usage: svctl status --host HOST NAME..."));
    }
    one_after_the_other("status", arguments, "services", None)
}

/// `svctl doctor --host`.
pub(crate) fn doctor(arguments: &Arguments) -> Result<u8, Failure> {
    one_after_the_other("doctor", arguments, "findings", None)
}

/// `svctl history --host`. All machines get the same moment for `--since`.
pub(crate) fn history(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.operands.is_empty() {
        return Err(Failure::new(USAGE, "usage: svctl history --host HOST NAME..."));
    }
    let since = arguments.value(SINCE.long).map(|text| {
        let moment = time_argument::parse(&text.to_string_lossy(), LocalZone::system())?;
        Ok(format!("--{}={}", SINCE.long, moment.label()))
    });
    one_after_the_other("history", arguments, "services", since.transpose()?)
}

/// A person sees what the other svctl shows, below the name of the machine. The JSON is one object with
/// the array `member` of all machines.
fn one_after_the_other(
    verb: &str,
    arguments: &Arguments,
    member: &str,
    word: Option<String>,
) -> Result<u8, Failure> {
    let is_json = arguments.has(&JSON);
    let mut words = if is_json { vec!["--json"] } else { vec!["--color", "never"] };
    words.extend(word.as_deref());
    let command = command(verb, arguments, &words);
    if is_json {
        let (objects, failed, code) = objects(&command, arguments, member)?;
        print_json(member, &objects, &failed);
        return Ok(code);
    }
    let answers = ask(&names(arguments)?, &command);
    let mut code = DONE;
    let mut failed = Vec::new();
    for Answer { host, result } in answers {
        match result {
            Ok((text, its, warnings)) => {
                let head = format!("== {} ==", escape(&host));
                line(&arguments.output.paint(Some(Colour::Bold), &head));
                String::from_utf8_lossy(&text).lines().for_each(|text| line(&escape(text)));
                warn_of(&host, &warnings);
                code = code.max(its);
            }
            Err(silence) => failed.push((host, silence)),
        }
    }
    name_failed(&failed);
    Ok(worst(code, &failed))
}

/// `svctl events --host`: the lines of all machines as they come.
pub(crate) fn events(arguments: &Arguments) -> Result<u8, Failure> {
    let interrupt = Interrupt::new().map_err(|e| Failure::system("wait for signals", &e))?;
    let command = command("events", arguments, &["--json"]);
    let mut remotes = Vec::new();
    let mut code = DONE;
    let mut lost = |host: &str, why: &str| {
        warn(&format!("{host}: {why}"));
        code = CANNOT;
    };
    for host in names(arguments)? {
        match Remote::start(&host, &command) {
            Ok(remote) => remotes.push(remote),
            Err(silence) => lost(&host, &silence.why),
        }
    }
    while !remotes.is_empty() {
        if pump(&mut remotes, Some(&interrupt)).map_err(|e| Failure::system("wait for ssh", &e))? {
            remotes.iter_mut().for_each(Remote::kill);
            return Ok(DONE);
        }
        for remote in &mut remotes {
            while let Some(text) = remote.take_line(LONGEST_CHANGE) {
                match serde_json::from_slice(&text) {
                    Ok(Value::Object(mut object)) => {
                        object.insert("host".to_owned(), remote.host.clone().into());
                        let object = Value::Object(object);
                        if arguments.has(&JSON) {
                            json_line(&object);
                        } else {
                            show::event(arguments.output, &object);
                        }
                    }
                    _ => warn(&format!("{}: a line that is not JSON was skipped", remote.host)),
                }
            }
        }
        for at in (0..remotes.len()).rev() {
            if remotes[at].is_at_end(LONGEST_CHANGE) {
                let remote = remotes.swap_remove(at);
                let host = remote.host.clone();
                let why = match remote.finish() {
                    Ok((_, code, _)) => format!("its svctl has ended with {code}"),
                    Err(silence) => silence.why,
                };
                lost(&host, &why);
            }
        }
    }
    Ok(code)
}

/// The objects of all machines, each with the member `host`; the machines that do not answer; the
/// exit code.
type Objects = (Vec<Value>, Vec<(String, Silence)>, u8);

/// The array `member` of all machines.
fn objects(command: &str, arguments: &Arguments, member: &str) -> Result<Objects, Failure> {
    let mut objects = Vec::new();
    let mut failed = Vec::new();
    let mut code = DONE;
    for Answer { host, result } in ask(&names(arguments)?, command) {
        let parsed = result.and_then(|(text, its, warnings)| {
            let found = parse(&text, member).map_err(Silence::new)?;
            warn_of(&host, &warnings);
            Ok((found, its))
        });
        match parsed {
            Ok((found, its)) => {
                objects.extend(found.into_iter().map(|mut object| {
                    object["host"] = host.clone().into();
                    object
                }));
                code = code.max(its);
            }
            Err(silence) => failed.push((host, silence)),
        }
    }
    let code = worst(code, &failed);
    Ok((objects, failed, code))
}

/// The array `member` of an answer.
fn parse(text: &[u8], member: &str) -> Result<Vec<Value>, String> {
    let wrong = || "its svctl answered something else than JSON".to_owned();
    let mut answer: Value = serde_json::from_slice(text).map_err(|_| wrong())?;
    if answer["schema"] != SCHEMA {
        return Err(format!("its svctl has another schema than {SCHEMA}"));
    }
    match answer.get_mut(member).map(Value::take) {
        Some(Value::Array(objects)) if objects.iter().all(Value::is_object) => Ok(objects),
        _ => Err(wrong()),
    }
}

/// The exit code, with that of the machines without an answer.
fn worst(code: u8, failed: &[(String, Silence)]) -> u8 {
    failed.iter().map(|(_, silence)| silence.code).fold(code, u8::max)
}

fn print_json(member: &str, objects: &[Value], failed: &[(String, Silence)]) {
    let unreachable: Vec<Value> =
        failed.iter().map(|(host, it)| json!({"host": host, "reason": it.why})).collect();
    let object = json!({"schema": SCHEMA, member: objects, "unreachable": unreachable});
    json_line(&object);
}

fn warn_of(host: &str, warnings: &[String]) {
    for warning in warnings {
        warn(&format!("{host}: {warning}"));
    }
}

fn name_failed(failed: &[(String, Silence)]) {
    for (host, silence) in failed {
        warn(&format!("{host}: {}", silence.why));
    }
}

/// Asks all machines. The answers are in the order of the names.
fn ask(names: &[String], command: &str) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = names.iter().map(|_| None).collect();
    let mut waiting: VecDeque<usize> = (0..names.len()).collect();
    let mut numbers = Vec::new();
    let mut remotes = Vec::new();
    while !(waiting.is_empty() && remotes.is_empty()) {
        while remotes.len() < AT_ONCE {
            let Some(number) = waiting.pop_front() else { break };
            let host = names[number].clone();
            match Remote::start(&host, command) {
                Ok(remote) => {
                    remotes.push(remote);
                    numbers.push(number);
                }
                Err(silence) => answers[number] = Some(Answer { host, result: Err(silence) }),
            }
        }
        if remotes.is_empty() {
            continue;
        }
        let polled = pump(&mut remotes, None);
        for at in (0..remotes.len()).rev() {
            if polled.is_err() || remotes[at].is_at_end(LARGEST_ANSWER) {
                let (remote, number) = (remotes.swap_remove(at), numbers.swap_remove(at));
                let host = remote.host.clone();
                answers[number] = Some(Answer { host, result: remote.finish() });
            }
        }
    }
    answers.into_iter().flatten().collect()
}

/// The command line for the shell of the other machine.
fn command(verb: &str, arguments: &Arguments, more: &[&str]) -> String {
    let mut words: Vec<Vec<u8>> = vec![b"svctl".to_vec(), verb.into()];
    let valued: [&Opt; 2] = [&DIR, &LINES];
    for option in valued {
        if let Some(value) = arguments.value(option.long) {
            words.push(quoted(format!("--{}", option.long).as_bytes()));
            words.push(quoted(value.as_bytes()));
        }
    }
    for flag in [&FAILED, &DOWN, &LONG].into_iter().filter(|flag| arguments.has(flag)) {
        words.push(format!("--{}", flag.long).into_bytes());
    }
    words.extend(more.iter().map(|word| word.as_bytes().to_vec()));
    words.push(b"--".to_vec());
    words.extend(arguments.operands.iter().map(|name| quoted(name.as_bytes())));
    String::from_utf8_lossy(&words.join(&b' ')).into_owned()
}

/// The names of the machines, each once.
fn names(arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for word in arguments.values(&HOST) {
        let found = match word.as_bytes().strip_prefix(b"@") {
            Some(path) => names_in(Path::new(OsStr::from_bytes(path)))?,
            None => vec![word.to_string_lossy().into_owned()],
        };
        for name in found {
            check(&name)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// The lines of a file, without empty ones and comments.
fn names_in(path: &Path) -> Result<Vec<String>, Failure> {
    let shown = escape(&path.to_string_lossy());
    let found = read_regular_file(path, LIMIT);
    let found = found.map_err(|error| Failure::system(format!("read {shown}"), &error))?;
    let text = found.ok_or_else(|| {
        Failure::new(CANNOT, format!("unable to read {shown}: not a regular file"))
    })?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let names = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Refuses a name that ssh would take for an option, or that is none.
fn check(name: &str) -> Result<(), Failure> {
    let host = name.rsplit_once('@').map_or(name, |(_, host)| host);
    let is_odd = |character: char| character.is_control() || character.is_whitespace();
    if name.starts_with('-') || host.starts_with('-') || host.is_empty() || name.contains(is_odd) {
        let shown = escape(name);
        return Err(Failure::new(
            USAGE,
            format!("unable to use host {shown}: not a name of a host"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_options() {
        for name in ["web1", "root@web1", "2001:db8::1", "ssh://web1:2222"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["-oProxyCommand=x", "root@-x", "", "root@", "a b", "a\nb"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
