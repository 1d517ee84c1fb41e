//! `svctl env`: the environment of a running service, beside what its directory would give now. Without a
//! process, only the latter.

use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE};
use crate::options::SHOW_SECRETS;
use crate::output::{escape, line};
use crate::selection::named;
use crate::view::View;
use daemontools_core::loaders::envdir::{self, Setting};
use servicedir::read_regular_file;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

/// The names of secrets contain one of these.
const SECRET: [&str; 6] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH"];

/// The most bytes of the environment of a process that are read. The kernel allows no more at a start.
const LONGEST_ENVIRONMENT: u64 = 8 * 1024 * 1024;

/// The longest value of a file of `env`.
const LIMIT: u64 = 64 * 1024;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let targets = named(arguments)?;
    let [target] = targets.as_slice() else {
        return Err(Failure::new(USAGE, "usage: svctl env NAME"));
    };
    let view = View::read(target);
    let directory = of_directory(&target.dir.path().join("env"));
    let shown = |name: &str, value: &str| {
        let is_secret = SECRET.iter().any(|part| name.to_ascii_uppercase().contains(part));
        match is_secret && !arguments.has(&SHOW_SECRETS) {
            true => "(hidden)".to_owned(),
            false => escape(value),
        }
    };
    let Some(pid) = view.snapshot().and_then(|it| it.status.pid) else {
        let (name, word) = (target.shown(), view.word());
        if directory.is_empty() {
            let message = format!("unable to read the environment of {name}: it is {word}");
            return Err(Failure::new(CANNOT, message));
        }
        line(&format!("# {name} is {word} and has no process. env gives the next one:"));
        for (name, value) in &directory {
            let name_shown = escape(name);
            line(&value.as_ref().map_or_else(
                || format!("# {name_shown} is removed by env"),
                |value| format!("{name_shown}={}", shown(name, value)),
            ));
        }
        return Ok(DONE);
    };
    let path = format!("/proc/{pid}/environ");
    let mut text = Vec::new();
    // The process decides how long it is.
    fs::File::open(&path)
        .and_then(|file| file.take(LONGEST_ENVIRONMENT).read_to_end(&mut text))
        .map_err(|e| Failure::system(format!("read {path}"), &e))?;
    let running = parse(&text);
    for (name, value) in &running {
        line(&format!("{}={}", escape(name), shown(name, value)));
    }
    for (name, value) in directory {
        let now = running.get(&name);
        let name_shown = escape(&name);
        match (now, value) {
            (Some(now), Some(value)) if *now != value => {
                line(&format!(
                    "# {name_shown} is {} in env: it counts after a restart",
                    shown(&name, &value)
                ));
            }
            (None, Some(value)) => {
                line(&format!(
                    "# {name_shown}={} is in env, and not in the process",
                    shown(&name, &value)
                ));
            }
            (Some(_), None) => line(&format!("# {name_shown} is removed by env after a restart")),
            _ => {}
        }
    }
    Ok(DONE)
}

fn parse(text: &[u8]) -> BTreeMap<String, String> {
    let variables = text.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    let pairs = variables.filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let mut found = BTreeMap::new();
    found.extend(pairs);
    found
}

/// The variables of a directory for envdir: `None` is a variable that envdir removes.
fn of_directory(path: &Path) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(path) else { return found };
    let variable = |entry: fs::DirEntry| {
        let name = entry.file_name().to_str()?.to_owned();
        if name.starts_with('.') || name.contains('=') {
            return None;
        }
        let text = read_regular_file(&entry.path(), LIMIT + 1).ok()??;
        (text.len() as u64 <= LIMIT).then(|| (name, parse_value(&text)))
    };
    found.extend(entries.flatten().filter_map(variable));
    found
}

/// The value of a file for envdir; `None` if envdir removes the variable.
fn parse_value(file: &[u8]) -> Option<String> {
    match envdir::parse(file) {
        Setting::Remove => None,
        Setting::Set(value) => Some(String::from_utf8_lossy(&value).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn variables_are_separated_by_nul() {
        let found = parse(b"A=1\0B=x=y\0broken\0");
        assert_eq!(found.len(), 2);
        assert_eq!(found["B"], "x=y");
    }
}
