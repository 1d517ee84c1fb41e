//! The command lines of unit files (systemd.service(5)), as commands of the shell.

use crate::shell_words::quoted_text as plain;

/// A command line of a unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExecLine {
    /// `-`: its failure does not count.
    pub(super) may_fail: bool,
    /// `+`, `!`: it keeps the rights of root.
    pub(super) privileged: bool,
    /// The words for the shell.
    pub(super) words: Vec<String>,
    /// A `$VARIABLE` is split at spaces, and the shell may not expand patterns in it.
    pub(super) splits: bool,
}

impl ExecLine {
    /// Parses the value of a directive such as `ExecStart`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut line =
            Self { may_fail: false, privileged: false, words: Vec::new(), splits: false };
        let mut expands = true;
        let mut rest = text.trim();
        while let Some(prefix) = rest.chars().next().filter(|it| "-+!:@".contains(*it)) {
            match prefix {
                '-' => line.may_fail = true,
                ':' => expands = false,
                '@' => return Err("another argv[0] (@)"),
                _ => line.privileged = true,
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        for word in split(rest)? {
            if word == ";" {
                return Err("several commands in one line");
            }
            line.words.push(if expands {
                line.splits |= splits(&word);
                shell(&word)
            } else {
                plain(&word)
            });
        }
        if line.words.is_empty() { Err("an empty command") } else { Ok(line) }
    }

    /// The command with a beginning, such as `setuidgid -s www `.
    pub(super) fn with(&self, account: &str) -> String {
        let account = if self.privileged { "" } else { account };
        format!("{account}{}", self.words.join(" "))
    }

    /// The signal, if the command is kill(1) for the main process.
    pub(super) fn main_process_signal(&self) -> Option<&str> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let signal = match *words.as_slice() {
            [kill, signal, "$MAINPID" | "\"${MAINPID}\""] if is_kill(kill) => {
                signal.strip_prefix('-')?
            }
            [kill, "-s", signal, "$MAINPID" | "\"${MAINPID}\""] if is_kill(kill) => signal,
            _ => return None,
        };
        Some(signal.strip_prefix("SIG").unwrap_or(signal))
    }

    /// Whether it needs the process id of the service, which a script does not know.
    pub(super) fn needs_main_pid(&self) -> bool {
        self.words.iter().any(|word| word.contains("MAINPID"))
    }
}

fn is_kill(word: &str) -> bool {
    word == "kill" || word.ends_with("/kill")
}

/// The name at the beginning of a text.
fn variable(text: &str) -> &str {
    let end = text.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// Whether a word is one `$VARIABLE`, which becomes several words.
fn splits(word: &str) -> bool {
    word.strip_prefix('$').is_some_and(|name| !name.is_empty() && variable(name) == name)
}

/// A word with its variables, for the shell. `$$` is a dollar sign.
fn shell(word: &str) -> String {
    if splits(word) {
        return word.to_owned();
    }
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        literal.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        let braced = after.strip_prefix('{').and_then(|it| it.split_once('}'));
        rest = match braced {
            Some((name, tail)) if !name.is_empty() && variable(name) == name => {
                if !literal.is_empty() {
                    parts.push(plain(&std::mem::take(&mut literal)));
                }
                parts.push(format!("\"${{{name}}}\""));
                tail
            }
            _ => {
                literal.push('$');
                after.strip_prefix('$').unwrap_or(after)
            }
        };
    }
    literal.push_str(rest);
    if !literal.is_empty() || parts.is_empty() {
        parts.push(plain(&literal));
    }
    parts.concat()
}

/// The words of a line, without their quotes.
pub(super) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => {
                let escaped = match characters.next().ok_or("a backslash at the end")? {
                    'n' => '\n',
                    't' => '\t',
                    's' => ' ',
                    other @ ('\\' | '"' | '\'' | ' ' | ';' | '$') => other,
                    _ => return Err("an unknown escape sequence"),
                };
                word.get_or_insert_default().push(escaped);
            }
            (_, Some(open)) if character == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(character),
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(character);
            }
            (' ' | '\t', None) => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err("a quote without an end");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> String {
        ExecLine::parse(text).unwrap().words.join(" ")
    }

    #[test]
    fn words_become_words_of_the_shell() {
        for (unit, shell) in [
            ("/bin/d -f $OPTS", "/bin/d -f $OPTS"),
            ("/bin/d --port=${PORT} x", "/bin/d --port=\"${PORT}\" x"),
            ("/bin/d -g 'daemon on; x'", "/bin/d -g 'daemon on; x'"),
            ("/bin/d a$$b $(reboot) `x` \"\"", "/bin/d 'a$b' '$(reboot)' '`x`' ''"),
            (":/bin/d $X", "/bin/d '$X'"),
            ("/bin/d ${a;reboot}", "/bin/d '${a;reboot}'"),
        ] {
            assert_eq!(command(unit), shell, "{unit}");
        }
        for wrong in ["", "/bin/a ; /bin/b", "@/bin/a b", "/bin/a 'x", "/bin/a \\q"] {
            assert!(ExecLine::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prefixes_and_kill_are_understood() {
        let line = ExecLine::parse("-!/bin/kill -s SIGQUIT $MAINPID").unwrap();
        assert!(line.may_fail && line.privileged);
        assert_eq!(line.main_process_signal(), Some("QUIT"));
        let line = ExecLine::parse("/bin/kill -HUP ${MAINPID}").unwrap();
        assert_eq!(line.main_process_signal(), Some("HUP"));
    }
}
