//! `svctl import procfile`: a service directory for each line `NAME: COMMAND` of a Procfile.

use super::draft::{Draft, Notes, Source, command};
use crate::command_line::Arguments;
use crate::failure::Failure;
use crate::options::ENV;
use crate::output::escape;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

pub(super) fn run(arguments: &Arguments, operands: &[OsString]) -> Result<u8, Failure> {
    let source = Source::read(arguments, operands, "procfile")?;
    let mut notes = Notes::default();
    let env_file: Vec<_> = source.env_file(&mut notes.differences).into_iter().collect();
    let mut drafts: Vec<Draft> = Vec::new();
    let mut seen = HashSet::new();
    for (index, text) in source.text.split(|&byte| byte == b'\n').enumerate() {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        let Some((name, line)) = entry(text) else {
            let text = String::from_utf8_lossy(text);
            notes.missing.push(format!("line {}: {text} (not NAME: COMMAND)", index + 1));
            continue;
        };
        if !seen.insert(name) {
            let name = escape(&String::from_utf8_lossy(name));
            return Err(source.mistake(format_args!("line {}: a second {name}", index + 1)));
        }
        let name = OsStr::from_bytes(name);
        if source.is_wanted(name) {
            source.check_number(drafts.len() + 1)?;
            drafts.push(draft(arguments, &source, name, line, &env_file)?);
        }
    }
    let has_port = arguments.values(&ENV).any(|word| word.as_bytes().starts_with(b"PORT="));
    if !has_port {
        let why = "foreman gives each process a port of its own; --env PORT=N sets one";
        notes.missing.push(format!("PORT ({why})"));
    }
    notes.missing.push("PS (the name and number of the process)".to_owned());
    notes
        .differences
        .push("supervise restarts a process that has ended; foreman ends all of them".to_owned());
    source.carry_out(arguments, drafts, notes)
}

/// The name and the command of a line.
fn entry(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&byte| byte == b':')?;
    let (name, command) = line.split_at(at);
    let command = command.get(1..).unwrap_or_default().trim_ascii();
    let is_word = !name.is_empty() && !name.iter().any(u8::is_ascii_whitespace);
    (is_word && !command.is_empty()).then_some((name, command))
}

fn draft(
    arguments: &Arguments,
    source: &Source,
    name: &OsStr,
    line: &[u8],
    env_file: &[PathBuf],
) -> Result<Draft, Failure> {
    let mut draft = Draft::new(arguments, source, name, &source.dir, env_file, false)?;
    draft.plan.variables_of(arguments)?;
    draft.script("run", &command(line, b"sh -c"));
    // As foreman: TERM for the process group, and KILL after five seconds.
    draft.plan.file("stop-scope", "group\n");
    draft.plan.file("timeout-kill", "5s\n");
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::entry;

    #[test]
    fn lines_are_names_and_commands() {
        assert_eq!(entry(b"web: bin/web -p 1"), Some((&b"web"[..], &b"bin/web -p 1"[..])));
        assert_eq!(entry(b"a\xff:x: y"), Some((&b"a\xff"[..], &b"x: y"[..])));
        for wrong in ["web", "web:", "web: ", ": x", "web worker: x"] {
            assert_eq!(entry(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
