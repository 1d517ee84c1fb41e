//! A service of a file that describes several ones, and how all of them are made.

use super::{read, report};
use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, USAGE};
use crate::options::{NAME, USER};
use crate::output::escape;
use crate::service_plan::{Plan, user_ids};
use crate::shell_words::quoted;
use daemontools_core::loaders::envfile;
use servicedir::option_mistake;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Words that only a shell understands.
const SHELL_WORDS: [&str; 36] = [
    "!", ".", ":", "[[", "break", "case", "cd", "command", "continue", "do", "done", "else",
    "eval", "exec", "exit", "export", "fi", "for", "function", "if", "local", "read", "readonly",
    "return", "set", "shift", "source", "then", "time", "times", "trap", "ulimit", "umask",
    "unset", "until", "while",
];

/// The most services of one file.
const MOST: usize = 1000;

/// A file that describes services, and what counts for all of them.
pub(super) struct Source {
    /// The last part of its path.
    pub(super) file: String,
    /// The directory where it is, without links. Its commands begin there.
    pub(super) dir: PathBuf,
    pub(super) text: Vec<u8>,
    /// The names that were asked for; all of them if it is empty.
    names: Vec<OsString>,
    /// The user of `--user`.
    user: Option<OsString>,
    user_ids: Option<(u32, u32)>,
}

impl Source {
    /// Reads the file that the operands name. Further operands are names of services.
    pub(super) fn read(
        arguments: &Arguments,
        operands: &[OsString],
        format: &str,
    ) -> Result<Self, Failure> {
        let Some((file, names)) = operands.split_first() else {
            let usage = format!("usage: svctl import {format} FILE [NAME...]");
            return Err(Failure::new(USAGE, usage));
        };
        if arguments.has(&NAME) {
            let why = "the file names its services";
            return Err(Failure::new(USAGE, format!("unable to use --name: {why}")));
        }
        let path = Path::new(file);
        let text = read(path)?;
        let shown = escape(&path.to_string_lossy());
        let find = |e| Failure::system(format!("find the directory of {shown}"), &e);
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = fs::canonicalize(dir.unwrap_or(Path::new("."))).map_err(find)?;
        let file = escape(&path.file_name().unwrap_or_default().to_string_lossy());
        let user = arguments.value(USER.long).map(OsStr::to_owned);
        let user_ids = user.as_deref().map(user_ids).transpose()?;
        Ok(Self { file, dir, text, names: names.to_vec(), user, user_ids })
    }

    /// Whether a service was asked for.
    pub(super) fn is_wanted(&self, name: &OsStr) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    /// An error in the file.
    pub(super) fn mistake(&self, why: impl std::fmt::Display) -> Failure {
        Failure::new(CANNOT, format!("unable to import {}: {why}", self.file))
    }

    /// Refuses more services than one file may have.
    pub(super) fn check_number(&self, services: usize) -> Result<(), Failure> {
        if services > MOST {
            return Err(self.mistake(format_args!("it has more than {MOST} services")));
        }
        Ok(())
    }

    /// The file `.env` beside the file, which the original reads as well. A mistake in it is added to
    /// `differences`.
    pub(super) fn env_file(&self, differences: &mut Vec<String>) -> Option<PathBuf> {
        let path = self.dir.join(".env");
        path.symlink_metadata().ok()?;
        let mistake = match read(&path) {
            Ok(text) => envfile::settings(&text, |_, _| {})
                .err()
                .map(|error| format!(".env, line {}: {}", error.line, error.message)),
            Err(failure) => Some(failure.message),
        };
        differences
            .extend(mistake.map(|it| format!("{it}; envfile(8) will not start the service")));
        Some(path)
    }

    /// Makes the services, those that others need first. Each is complete or missing; a service that
    /// cannot be made keeps no other one from being made.
    pub(super) fn carry_out(
        &self,
        arguments: &Arguments,
        drafts: Vec<Draft>,
        mut notes: Notes,
    ) -> Result<u8, Failure> {
        for name in &self.names {
            if !drafts.iter().any(|draft| draft.plan.name() == name) {
                let name = escape(&name.to_string_lossy());
                return Err(self.mistake(format_args!("it has no {name}")));
            }
        }
        if drafts.is_empty() {
            return Err(self.mistake("it has no services"));
        }
        let mut code = DONE;
        let mut has_made = false;
        for draft in self.in_order(drafts)? {
            match draft.plan.carry_out(arguments) {
                Ok(DONE) => {}
                Ok(other) => code = other,
                Err(failure) => {
                    failure.print();
                    code = failure.code;
                    continue;
                }
            }
            has_made = true;
            let name = escape(&draft.plan.name().to_string_lossy());
            draft.notes.report(&format!("{name} is"), &format!("of {name}"));
        }
        if has_made {
            if self.user.is_none() {
                let why = "they run as the user of supervise; --user names another one";
                notes.differences.push(why.to_owned());
            }
            notes.report("all of them are", &format!("of {}", self.file));
        }
        Ok(code)
    }

    /// The services in the order of their needs.
    fn in_order(&self, mut drafts: Vec<Draft>) -> Result<Vec<Draft>, Failure> {
        let mut ordered: Vec<Draft> = Vec::new();
        while !drafts.is_empty() {
            let is_free = |draft: &Draft| {
                !draft.needs.iter().any(|need| drafts.iter().any(|it| it.plan.name() == need))
            };
            let Some(at) = drafts.iter().position(is_free) else {
                let names: Vec<_> =
                    drafts.iter().map(|it| escape(&it.plan.name().to_string_lossy())).collect();
                let names = names.join(", ");
                return Err(self.mistake(format_args!("some of {names} depend on each other")));
            };
            ordered.push(drafts.remove(at));
        }
        Ok(ordered)
    }
}

/// What a service directory does not have of its source.
#[derive(Default)]
pub(super) struct Notes {
    /// What works in another way.
    pub(super) differences: Vec<String>,
    /// The directives without a counterpart.
    pub(super) missing: Vec<String>,
}

impl Notes {
    fn report(&self, what: &str, of: &str) {
        report(&format!("{what} different from the original:"), &self.differences);
        report(&format!("these directives {of} have no counterpart:"), &self.missing);
    }
}

/// A service that is to be made.
pub(super) struct Draft {
    pub(super) plan: Plan,
    pub(super) notes: Notes,
    /// The names of the services that it needs.
    pub(super) needs: Vec<OsString>,
    /// The first lines of each script.
    head: Vec<u8>,
    /// Goes to the working directory.
    enter: Vec<u8>,
    /// The beginning of each command line: the programs that set environment and user.
    loaders: Vec<u8>,
}

impl Draft {
    /// A service whose commands run in `dir`, with the variables of `env_files`. A later file wins,
    /// and the directory `env` wins over all of them.
    pub(super) fn new(
        arguments: &Arguments,
        source: &Source,
        name: &OsStr,
        dir: &Path,
        env_files: &[PathBuf],
        keeps_root: bool,
    ) -> Result<Self, Failure> {
        let mut plan = Plan::new(arguments, name)?;
        plan.user = source.user_ids;
        let user = source.user.as_ref().map(|user| quoted(user.as_bytes()));
        let account = user.as_ref().map(|user| [b"setuidgid ", &user[..], b" "].concat());
        plan.logger(arguments, &account.unwrap_or_default())?;
        let mut loaders = Vec::new();
        for file in env_files {
            loaders.extend([b"envfile ", &quoted(file.as_os_str().as_bytes())[..], b" "].concat());
        }
        loaders.extend_from_slice(b"envdir \"$service/env\" ");
        if let Some(user) = user.filter(|_| !keeps_root) {
            loaders.extend([b"setuidgid -s ", &user[..], b" "].concat());
        }
        let dir = quoted(dir.as_os_str().as_bytes());
        Ok(Self {
            plan,
            notes: Notes::default(),
            needs: Vec::new(),
            head: format!("#!/bin/sh\n# Imported from {}.\nexec 2>&1\n", source.file).into_bytes(),
            enter: [b"service=$PWD\ncd ", &dir[..], b" || exit 111\n"].concat(),
            loaders,
        })
    }

    /// A script that becomes the command.
    pub(super) fn script(&mut self, path: &str, command: &[u8]) {
        let parts = [&self.head[..], &self.enter, b"exec ", &self.loaders, command, b"\n"];
        self.plan.script(path, parts.concat());
    }

    /// The helper script that stops the service in the place of a signal. After a failure supervise
    /// sends the signal.
    pub(super) fn stop_script(&mut self, command: &[u8]) {
        let end = b" || exit 1\nexit 0\n";
        let parts = [&self.head[..], &self.enter, &self.loaders, command, end];
        self.plan.script("control/t", parts.concat());
        // Only runit's personality has such scripts.
        self.plan.file("personality", "runit\n");
    }

    /// A script with these lines, which need neither environment nor directory of the service.
    pub(super) fn plain_script(&mut self, path: &str, lines: &str) {
        self.plan.script(path, [&self.head[..], lines.as_bytes()].concat());
    }

    /// Writes an option file, unless supervise would refuse it.
    pub(super) fn option(&mut self, name: &str, text: &str, directive: String) {
        if option_mistake(name, text.as_bytes()).is_none() {
            self.plan.file(name, text);
        } else {
            self.notes.missing.push(directive);
        }
    }

    /// Adds a variable, or says why it cannot be one.
    pub(super) fn variable(&mut self, word: &str) {
        if let Err(why) = self.plan.variable(OsStr::new(word)) {
            self.notes.missing.push(format!("environment: {word} ({why})"));
        }
    }
}

/// A command line for the end of a script: words as they are, or the shell with what only a shell
/// understands.
pub(super) fn command(text: &[u8], shell: &[u8]) -> Vec<u8> {
    let text = text.trim_ascii();
    let program = text.strip_prefix(b"exec ").map_or(text, <[u8]>::trim_ascii);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./=:,@%+ \t".contains(byte);
    let first = program.split(|byte| b" \t".contains(byte)).next().unwrap_or_default();
    let is_builtin = SHELL_WORDS.iter().any(|word| word.as_bytes() == first);
    if !first.is_empty() && program.iter().all(is_plain) && !first.contains(&b'=') && !is_builtin {
        return program.to_vec();
    }
    [shell, b" ", &quoted(text)].concat()
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn only_plain_commands_run_without_a_shell() {
        for (text, expected) in [
            ("bundle exec rails server -p 3000", "bundle exec rails server -p 3000"),
            (" exec bin/web  -x=y ", "bin/web  -x=y"),
            ("A=b bin/web", "sh -c 'A=b bin/web'"),
            ("cd app", "sh -c 'cd app'"),
            ("exec bin/web $PORT", "sh -c 'exec bin/web $PORT'"),
            ("bin/web $PORT", "sh -c 'bin/web $PORT'"),
            ("echo it's; x", "sh -c 'echo it'\\''s; x'"),
            ("a\nb", "sh -c 'a\nb'"),
        ] {
            assert_eq!(command(text.as_bytes(), b"sh -c"), expected.as_bytes(), "{text}");
        }
    }
}
