//! A shell script, as far as it can be understood without running it.

use std::ffi::CString;

/// The names of shells.
pub(crate) const SHELLS: [&str; 9] =
    ["sh", "dash", "bash", "ash", "ksh", "mksh", "zsh", "busybox", "yash"];

/// A command line of a script. A line that ends with a backslash goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// The number of its first line, from 1 on.
    pub(crate) number: usize,
    /// As it is in the script.
    pub(crate) text: String,
    /// Without comments and quotes. What the shell would interpret without the quotes is replaced by
    /// U+0001.
    bare: String,
}

/// A shell script.
#[derive(Debug)]
pub(crate) struct ShellScript {
    pub(crate) lines: Vec<CommandLine>,
}

impl ShellScript {
    /// Parses a script. `None` if another program interprets it, or if it contains a here-document.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut words = text.lines().next()?.strip_prefix("#!")?.split_ascii_whitespace();
        let mut name = base(words.next()?);
        if name == "env" {
            name = base(words.next()?);
        }
        if !SHELLS.contains(&name) {
            return None;
        }
        let lines = split(text);
        if lines.iter().any(|line| line.bare.contains("<<")) {
            return None;
        }
        Some(Self { lines })
    }

    /// The arguments of the file `command`, as a script that executes them.
    pub(crate) fn of_arguments(arguments: &[CString]) -> Self {
        let words: Vec<_> = arguments.iter().map(|it| it.to_string_lossy()).collect();
        // No shell interprets them.
        let mask = |c| if is_plain(c) { c } else { '\u{1}' };
        let bare: Vec<String> = words.iter().map(|it| it.chars().map(mask).collect()).collect();
        let line = CommandLine {
            number: 1,
            text: words.join(" "),
            bare: format!("exec {}", bare.join(" ")),
        };
        Self { lines: vec![line] }
    }

    /// Whether a line executes a program in place of the shell.
    pub(crate) fn has_exec(&self) -> bool {
        self.lines.iter().any(CommandLine::is_exec)
    }

    /// Whether it contains one of these words.
    pub(crate) fn contains(&self, words: &[&str]) -> bool {
        self.lines.iter().any(|line| line.words().any(|word| words.contains(&word)))
    }

    /// The users that it changes to, with the program that does it.
    pub(crate) fn users(&self) -> Vec<(&str, &str)> {
        self.lines.iter().flat_map(CommandLine::users).collect()
    }
}

impl CommandLine {
    /// The words, without what separates commands.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.bare
            .split(|c: char| c.is_ascii_whitespace() || ";()".contains(c))
            .filter(|w| !w.is_empty())
    }

    /// Whether it executes a program in place of the shell. `exec 2>&1` does not.
    pub(crate) fn is_exec(&self) -> bool {
        self.exec_program().is_some()
    }

    /// The program behind `exec`.
    fn exec_program(&self) -> Option<&str> {
        let mut words = self.words().skip_while(|word| *word != "exec").skip(1);
        while let Some(word) = words.next() {
            if word.ends_with(['<', '>']) {
                words.next();
            } else if !word.contains(['<', '>']) && !word.starts_with('-') {
                return (!["|", "||", "&&", "&"].contains(&word)).then_some(word);
            }
        }
        None
    }

    /// Whether it executes a program in a pipeline, where the shell stays.
    pub(crate) fn is_exec_in_pipeline(&self) -> bool {
        self.bare.split([';', '\n']).any(|command| {
            let part = command.replace("||", ";").replace("&&", ";");
            part.split(';').any(|part| {
                part.split_ascii_whitespace().any(|word| word == "exec") && part.contains('|')
            })
        })
    }

    /// Whether one of its words is the program of a process, as the kernel names it.
    pub(crate) fn names(&self, process: &str) -> bool {
        // The kernel keeps 15 bytes of the name.
        self.words().any(|word| base(word).as_bytes().iter().take(15).eq(process.as_bytes()))
    }

    /// Whether the shell does not wait for its end.
    pub(crate) fn is_in_background(&self) -> bool {
        let end = self.bare.trim_end();
        end.ends_with('&') && !end.ends_with("&&")
    }

    fn users(&self) -> Vec<(&str, &str)> {
        let words: Vec<&str> = self.words().collect();
        let mut found = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let mut rest = words.iter().skip(at + 1);
            let user = match base(word) {
                "setuidgid" | "envuidgid" | "setuser" | "s6-setuidgid" | "s6-envuidgid" => {
                    rest.find(|word| !word.starts_with('-')).copied()
                }
                // `-u www` or `-uwww`.
                "chpst" => {
                    let option = rest.find(|word| word.starts_with("-u"));
                    let attached = option.and_then(|it| it.get(2..)).filter(|it| !it.is_empty());
                    option.and_then(|_| attached.or_else(|| rest.next().copied()))
                }
                _ => None,
            };
            let name =
                user.and_then(|user| user.split(':').next()).filter(|name| is_user_name(name));
            found.extend(name.map(|name| (base(word), name)));
        }
        found
    }
}

/// Whether a word is the name of a user, and not a variable or a number.
fn is_user_name(word: &str) -> bool {
    word.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))
        && word.chars().any(|c| !c.is_ascii_digit())
}

/// Whether a character means nothing special in a command line.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "/._-+,:@%=".contains(c)
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn split(text: &str) -> Vec<CommandLine> {
    let mut lines = Vec::new();
    let (mut raw, mut bare, mut begin, mut number) = (String::new(), String::new(), 1, 1);
    let mut quoted = None;
    let mut characters = text.chars().peekable();
    let mut in_comment = false;
    while let Some(c) = characters.next() {
        if c == '\n' {
            number += 1;
        }
        match (c, quoted) {
            ('\n', None) => {
                push(&mut lines, &mut raw, &mut bare, begin);
                begin = number;
                in_comment = false;
                continue;
            }
            _ if in_comment => {}
            ('\\', None | Some('"')) => {
                raw.push(c);
                match characters.next() {
                    Some('\n') => {
                        number += 1;
                        raw.pop();
                        bare.push(' ');
                    }
                    Some(next) => {
                        raw.push(next);
                        bare.push(mask(next));
                    }
                    None => {}
                }
                continue;
            }
            ('\'' | '"', None) => quoted = Some(c),
            (c, Some(quote)) if c == quote => quoted = None,
            ('#', None) if bare.is_empty() || bare.ends_with([' ', '\t', ';']) => in_comment = true,
            (c, Some(_)) => bare.push(mask(c)),
            (c, None) => bare.push(c),
        }
        raw.push(c);
    }
    push(&mut lines, &mut raw, &mut bare, begin);
    lines
}

/// Finishes a line. Lines without a command are left out.
fn push(lines: &mut Vec<CommandLine>, raw: &mut String, bare: &mut String, number: usize) {
    let (text, bare) = (std::mem::take(raw), std::mem::take(bare));
    if !bare.trim().is_empty() {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        lines.push(CommandLine { number, text: words.join(" "), bare });
    }
}

/// A quoted character: harmless if the shell would interpret it otherwise.
fn mask(c: char) -> char {
    if c.is_whitespace() || "|&;<>()$`#*?[".contains(c) { '\u{1}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> ShellScript {
        ShellScript::parse(format!("#!/bin/sh\n{text}").as_bytes()).unwrap()
    }

    #[test]
    fn command_lines_are_understood() {
        let found = script("# exec no\nexec 2>&1\nexec \\\n  webd 'a|b' # | c\n");
        let lines: Vec<_> = found.lines.iter().map(|line| (line.number, line.is_exec())).collect();
        assert_eq!(lines, [(3, false), (4, true)]);
        assert!(!found.lines[1].is_exec_in_pipeline());
        assert!(script("exec webd | tee x").lines[0].is_exec_in_pipeline());
        assert!(!script("exec webd || exit 1").lines[0].is_exec_in_pipeline());
        assert!(!script("a | b; exec webd").lines[0].is_exec_in_pipeline());
        assert!(script("setuidgid www /usr/bin/webd -f").lines[0].names("webd"));
        assert!(script("webd &").lines[0].is_in_background());
        assert!(!script("exec sh -c 'a\nb &\n'").lines[0].is_in_background());
        assert!(ShellScript::parse(b"#!/usr/bin/env bash\nx\n").is_some());
        assert!(ShellScript::parse(b"#!/usr/bin/python3\nx\n").is_none());
        assert!(ShellScript::parse(b"#!/bin/sh\ncat <<E\nE\n").is_none());
        assert!(!script("exec >log 2>&1\nexec < /dev/null\nwebd").has_exec());
        assert!(script("[ -x /bin/x ] && exec /bin/x").has_exec());
    }

    #[test]
    fn users_are_found() {
        let found = script(
            "exec setuidgid \"www\" webd\nexec chpst -e env -u db:adm dbd\nexec setuidgid $U x\nexec chpst -u :1:2 y\nexec chpst -ugit z\nexec chpst -e env w",
        );
        assert_eq!(found.users(), [("setuidgid", "www"), ("chpst", "db"), ("chpst", "git")]);
    }
}
