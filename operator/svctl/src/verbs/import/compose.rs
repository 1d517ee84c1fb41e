//! `svctl import compose`: a service directory for each process of a process-compose file.

use super::compose_fields::Fields;
use super::compose_process::{Problem, Project, Texts, draft};
use super::draft::{Draft, Notes, Source};
use super::yaml::{Node, Value, YamlError, parse};
use crate::command_line::Arguments;
use crate::failure::Failure;
use crate::shell_words::quoted_text;
use std::ffi::{OsStr, OsString};

/// Shells, in whose place a plain command can run. Another program reads its own language.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "ksh", "zsh"];

pub(super) fn run(arguments: &Arguments, operands: &[OsString]) -> Result<u8, Failure> {
    let source = Source::read(arguments, operands, "compose")?;
    let mut notes = Notes::default();
    let drafts = drafts(arguments, &source, &mut notes).map_err(|problem| match problem {
        Problem::Yaml(error) => source.mistake(error),
        Problem::Failure(failure) => failure,
    })?;
    source.carry_out(arguments, drafts, notes)
}

fn drafts(
    arguments: &Arguments,
    source: &Source,
    notes: &mut Notes,
) -> Result<Vec<Draft>, Problem> {
    let text = str::from_utf8(&source.text).map_err(|error| {
        let before = source.text.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        YamlError { line, reason: "not UTF-8".to_owned() }
    })?;
    let mut document = Fields::of(String::new(), parse(text)?)?;
    let processes = document.nested("processes")?.into_entries();
    source.check_number(processes.len())?;
    let env_file = source.env_file(&mut notes.differences);
    let shell = shell(&mut document, notes)?;
    let expands = !document.flag("disable_env_expansion")?;
    let mut texts = Texts { vars: Vec::new(), expands };
    texts.add_vars(document.nested("vars")?)?;
    let with_probe = processes.iter().filter(|(_, node)| has_probe(node));
    let project = Project {
        names: processes.iter().map(|(name, _)| name.clone()).collect(),
        checked: with_probe.map(|(name, _)| name.clone()).collect(),
        environment: document.list("environment")?,
        env_file,
        shell,
        texts,
    };
    // These say nothing about the services.
    for key in ["version", "is_strict", "log_level", "log_length", "is_tui_disabled"] {
        let _ = document.take(key);
    }
    document.rest(&mut notes.missing);
    let mut drafts = Vec::new();
    for (name, node) in processes {
        if source.is_wanted(OsStr::new(&name)) {
            drafts.push(draft(arguments, source, &project, &name, node)?);
        }
    }
    Ok(drafts)
}

/// The shell, if it is one, and the words before a command.
fn shell(document: &mut Fields, notes: &mut Notes) -> Result<(bool, Vec<u8>), YamlError> {
    let mut fields = document.nested("shell")?;
    let program = fields.text("shell_command")?.unwrap_or_else(|| "bash".to_owned());
    let argument = fields.text("shell_argument")?.unwrap_or_else(|| "-c".to_owned());
    fields.rest(&mut notes.missing);
    let name = program.rsplit('/').next().unwrap_or_default();
    let words = format!("{} {}", quoted_text(&program), quoted_text(&argument));
    Ok((SHELLS.contains(&name) && argument == "-c", words.into_bytes()))
}

/// Whether a process has a probe, by which it becomes ready.
fn has_probe(node: &Node) -> bool {
    let Value::Mapping(entries) = &node.value else { return false };
    entries.iter().any(|(key, _)| key == "readiness_probe" || key == "liveness_probe")
}
