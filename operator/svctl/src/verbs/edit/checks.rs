//! What a file of a service directory is for, the mistakes in its text, and when a change counts.

use super::replacement::Place;
use crate::output::escape;
use crate::selection::Target;
use crate::spelling::distance;
use servicedir::{option_file_names, option_lookalike, option_mistake};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The scripts that supervise starts, of all personalities.
const SCRIPTS: [&str; 6] = ["run", "start", "stop", "finish", "check", "notify"];

/// Shells whose `-n` reads a script and runs nothing of it.
const SHELLS: [&str; 4] = ["/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/bash"];

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// supervise starts it.
    Script,
    /// supervise reads it.
    Option,
    /// A variable for envdir.
    Variable,
    /// `down`: its existence counts.
    Down,
    /// The service may read it.
    Other,
}

impl Kind {
    /// What a path below a service directory is for.
    pub(super) fn of(file: &Path) -> Self {
        let parts: Vec<&str> = file.iter().map(|part| part.to_str().unwrap_or_default()).collect();
        match *parts.as_slice() {
            ["down"] | ["log", "down"] => Self::Down,
            ["log"] | ["control", _] | ["log", "control", _] => Self::Script,
            [name] | ["log", name] if SCRIPTS.contains(&name) => Self::Script,
            [name] | ["log", name] if option_file_names().any(|known| known == name) => {
                Self::Option
            }
            ["env", _] | ["log", "env", _] => Self::Variable,
            _ => Self::Other,
        }
    }

    pub(super) fn is_script(self) -> bool {
        self == Self::Script
    }

    /// Whether an empty text means that the user has changed their mind.
    pub(super) const fn needs_text(self) -> bool {
        matches!(self, Self::Script | Self::Other | Self::Variable)
    }

    /// The mistakes in a text, each as one sentence.
    pub(super) fn mistakes(
        self,
        file: &Path,
        text: &[u8],
        place: &Place,
        copy: &Path,
    ) -> Vec<String> {
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        match self {
            Self::Script => script(text, place, copy),
            Self::Option if name == "command" => command(text, place),
            Self::Option => option_mistake(name, text).into_iter().collect(),
            Self::Variable => variable(text),
            Self::Other if place.is_new() => misspelt(file, name).into_iter().collect(),
            Self::Down | Self::Other => Vec::new(),
        }
    }

    /// When a change of the file counts, and what to do.
    pub(super) fn consequence(self, target: &Target, file: &Path, is_new: bool) -> String {
        let is_logger = file.starts_with("log") && file != Path::new("log");
        let service = if is_logger { format!("{}/log", target.shown()) } else { target.shown() };
        let dir = if is_logger { target.dir.logger() } else { Some(target.dir.clone()) };
        let status = dir.and_then(|dir| dir.status().ok().flatten());
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_helper = self.is_script() && !["run", "start", "log"].contains(&name);
        match status {
            None => "it counts when the service is started".to_owned(),
            Some(_) if self == Self::Down => {
                "the service is not started at the next boot".to_owned()
            }
            Some(_) if is_helper && !is_new => "it counts from its next use on".to_owned(),
            Some(status) if status.pid.is_none() => "it counts from the next start on".to_owned(),
            Some(_) if self == Self::Other => {
                format!("if the service reads it only at its start: svctl restart {service}")
            }
            Some(_) => format!("it counts from the next start on: svctl restart {service}"),
        }
    }
}

/// The mistakes in `command`. Whether a program without a slash is in PATH, supervise decides.
fn command(text: &[u8], place: &Place) -> Vec<String> {
    let mut mistakes: Vec<String> = option_mistake("command", text).into_iter().collect();
    if place.has_sibling("run") {
        mistakes.push("supervise ignores it, because there is a file run".to_owned());
    }
    let program = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let path = Path::new(OsStr::from_bytes(program));
    if mistakes.is_empty()
        && path.is_absolute()
        && let Some(why) = unusable(path)
    {
        mistakes.push(format!("the program {} {why}", escape(&path.to_string_lossy())));
    }
    mistakes
}

fn script(text: &[u8], place: &Place, copy: &Path) -> Vec<String> {
    let mut mistakes = Vec::new();
    if text.is_empty() {
        return vec!["a script may not be empty".to_owned()];
    }
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if !place.is_executable() {
        mistakes.push(format!("it is not executable: chmod +x {}", place.shown()));
    }
    let has_returns = text.windows(2).any(|pair| pair == b"\r\n");
    if has_returns {
        mistakes.push("it has the line ends of Windows (CR LF)".to_owned());
    }
    let Some(words) = first.strip_prefix(b"#!") else {
        mistakes.push("the first line does not begin with #! and an interpreter".to_owned());
        return mistakes;
    };
    let words = words.trim_ascii();
    let interpreter = words.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let path = Path::new(OsStr::from_bytes(interpreter));
    let shown = escape(&path.to_string_lossy());
    if interpreter.is_empty() {
        mistakes.push("no interpreter follows #!".to_owned());
    } else if !path.is_absolute() {
        mistakes.push(format!("the interpreter {shown} is not an absolute path"));
    } else if let Some(why) = unusable(path) {
        mistakes.push(format!("the interpreter {shown} {why}"));
    } else if !has_returns && SHELLS.iter().any(|shell| path == Path::new(shell)) {
        mistakes.extend(syntax(path, copy));
    }
    mistakes
}

/// Why a file cannot be executed.
fn unusable(path: &Path) -> Option<&'static str> {
    match path.metadata() {
        Err(_) => Some("does not exist"),
        Ok(found) if !found.is_file() => Some("is not a file"),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Some("is not executable"),
        Ok(_) => None,
    }
}

/// What the shell says about the syntax. It runs no command of the script.
fn syntax(shell: &Path, copy: &Path) -> Option<String> {
    let output = Command::new(shell).arg("-n").arg(copy).stdin(Stdio::null()).output().ok()?;
    if output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let path = copy.to_string_lossy().into_owned();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("a syntax error");
    let first = first.strip_prefix(&path).unwrap_or(first);
    Some(first.trim_start_matches([':', ' ']).to_owned())
}

fn variable(text: &[u8]) -> Vec<String> {
    let mut mistakes = Vec::new();
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let first = body.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if first.len() < body.len() {
        mistakes.push("envdir uses only the first line (a NUL becomes a line end)".to_owned());
    }
    if first.last() == Some(&b'\r') {
        mistakes.push("it has the line ends of Windows (CR LF)".to_owned());
    } else if first.last().is_some_and(|last| b" \t".contains(last)) {
        mistakes.push("envdir removes spaces and tabs at the end".to_owned());
    }
    mistakes
}

/// A new file whose name is nearly that of an option file or of a script.
fn misspelt(file: &Path, name: &str) -> Option<String> {
    if file.iter().count() > 1 && !file.starts_with("log") {
        return None;
    }
    // supervise itself warns of what looks like an option file.
    let near = option_lookalike(OsStr::new(name)).unwrap_or_else(|| {
        let scripts = SCRIPTS.into_iter().chain(["down"]);
        let (edits, near) = scripts.map(|known| (distance(known, name), known)).min()?;
        (edits <= 2 && edits * 3 <= name.len()).then_some(near)
    });
    if let Some(near) = near {
        return Some(format!("supervise does not know this name (did you mean {near}?)"));
    }
    let is_option = option_lookalike(OsStr::new(name)).is_some();
    is_option.then(|| "supervise does not know this option file".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_paths() {
        for (path, kind) in [
            ("run", Kind::Script),
            ("log/run", Kind::Script),
            ("control/t", Kind::Script),
            ("timeout-kill", Kind::Option),
            ("command", Kind::Option),
            ("log/needs", Kind::Option),
            ("env/HOME", Kind::Variable),
            ("down", Kind::Down),
            ("data/run", Kind::Other),
            ("redis.conf", Kind::Other),
        ] {
            assert_eq!(Kind::of(Path::new(path)), kind, "{path}");
        }
    }

    #[test]
    fn names_near_to_known_ones_are_mistakes() {
        let found = |name: &str| misspelt(Path::new(name), name);
        assert!(found("timeout-kil").unwrap().contains("timeout-kill"));
        assert!(found("rnu").is_none() && found("redis.conf").is_none());
        assert!(found("finsh").unwrap().contains("finish"));
        assert!(found("flag-newpidns").unwrap().contains("does not know this option file"));
    }

    #[test]
    fn only_the_first_line_of_a_variable_counts() {
        assert!(variable(b"value\n").is_empty() && variable(b"").is_empty());
        assert_eq!(variable(b"a\nb\n").len(), 1);
        assert_eq!(variable(b"a \n").len(), 1);
        assert_eq!(variable(b"a\r\n").len(), 1);
    }
}
