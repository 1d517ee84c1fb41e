//! A process of a process-compose file as the files of a service directory.

use super::compose_fields::Fields;
use super::draft::{Draft, Source, command};
use super::yaml::{Node, Value, YamlError};
use crate::command_line::Arguments;
use crate::failure::Failure;
use crate::shell_words::quoted_text;
use std::ffi::OsStr;
use std::path::PathBuf;

/// Why a file is not imported.
pub(super) enum Problem {
    Yaml(YamlError),
    Failure(Failure),
}

impl From<YamlError> for Problem {
    fn from(error: YamlError) -> Self {
        Self::Yaml(error)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// What counts for all processes of a file.
pub(super) struct Project {
    /// The names of all processes.
    pub(super) names: Vec<String>,
    /// The names of those with a probe.
    pub(super) checked: Vec<String>,
    /// The variables of all processes, with their lines.
    pub(super) environment: Vec<(usize, String)>,
    pub(super) env_file: Option<PathBuf>,
    /// Whether the shell is one, and the words before a command.
    pub(super) shell: (bool, Vec<u8>),
    pub(super) texts: Texts,
}

/// What replaces parts of a text.
#[derive(Clone)]
pub(super) struct Texts {
    /// The variables of templates. The last one of a name counts.
    pub(super) vars: Vec<(String, String)>,
    /// Whether process-compose replaces `$VARIABLES`.
    pub(super) expands: bool,
}

impl Texts {
    /// Adds variables of templates.
    pub(super) fn add_vars(&mut self, fields: Fields) -> Result<(), YamlError> {
        for (name, node) in fields.into_entries() {
            let Value::Scalar(value) = node.value else {
                let reason = format!("vars.{name} is not a scalar");
                return Err(YamlError { line: node.line, reason });
            };
            self.vars.push((name, value));
        }
        Ok(())
    }

    /// A text with its templates replaced. Of the language of templates it knows the variables.
    fn template(&self, line: usize, text: &str) -> Result<String, YamlError> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once("{{") {
            result.push_str(before);
            let unknown = || {
                let reason =
                    "a template that is not {{.VARIABLE}} with a variable of vars".to_owned();
                YamlError { line, reason }
            };
            let (inside, after) = tail.split_once("}}").ok_or_else(unknown)?;
            let name = inside.trim().strip_prefix('.').ok_or_else(unknown)?;
            let value = self.vars.iter().rev().find(|(other, _)| other == name);
            result.push_str(&value.ok_or_else(unknown)?.1);
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }

    /// A text as process-compose would have it: `$$` is a dollar sign. With `None` it has a variable
    /// whose value only process-compose has.
    fn literal(&self, text: &str) -> Option<String> {
        if !self.expands {
            return Some(text.to_owned());
        }
        let without = text.replace("$$", "");
        (!without.contains('$')).then(|| text.replace("$$", "$"))
    }

    /// The same for what only makes sense complete.
    pub(super) fn complete(
        &self,
        field: &str,
        line: usize,
        text: &str,
    ) -> Result<String, YamlError> {
        let text = self.template(line, text)?;
        self.literal(&text).ok_or_else(|| {
            let reason = format!("{field} has a $VARIABLE of process-compose's environment");
            YamlError { line, reason }
        })
    }
}

/// A process while it becomes a service.
pub(super) struct Process<'a> {
    project: &'a Project,
    /// Those of the file with the variables of this process.
    pub(super) texts: Texts,
    pub(super) draft: Draft,
    /// The fields that were not taken yet.
    pub(super) fields: Fields,
}

/// The service of a process.
pub(super) fn draft(
    arguments: &Arguments,
    source: &Source,
    project: &Project,
    name: &str,
    node: Node,
) -> Result<Draft, Problem> {
    let line = node.line;
    let mut fields = Fields::of(format!("{name}."), node)?;
    let mut texts = project.texts.clone();
    texts.add_vars(fields.nested("vars")?)?;
    texts.vars.push(("PC_REPLICA_NUM".to_owned(), "0".to_owned()));
    let mut dir = source.dir.clone();
    if let Some((line, text)) = fields.scalar("working_dir")? {
        dir.push(texts.complete("working_dir", line, &text)?);
    }
    let mut env_files: Vec<PathBuf> = Vec::new();
    if !fields.flag("is_dotenv_disabled")? {
        env_files.extend(project.env_file.clone());
    }
    for (line, text) in fields.list("env_file")? {
        env_files.push(source.dir.join(texts.complete("env_file", line, &text)?));
    }
    let keeps_root = fields.flag("is_elevated")?;
    let draft = Draft::new(arguments, source, OsStr::new(name), &dir, &env_files, keeps_root)?;
    let mut process = Process { project, texts, draft, fields };
    process.environment(name)?;
    process.draft.plan.variables_of(arguments)?;
    process.run(line)?;
    process.stop()?;
    process.restart()?;
    process.needs()?;
    process.check(&dir)?;
    Ok(process.finish()?)
}

impl Process<'_> {
    pub(super) fn differs(&mut self, text: impl Into<String>) {
        self.draft.notes.differences.push(text.into());
    }

    pub(super) fn lacks(&mut self, text: impl Into<String>) {
        self.draft.notes.missing.push(text.into());
    }

    fn environment(&mut self, name: &str) -> Result<(), YamlError> {
        self.draft.variable(&format!("PC_PROC_NAME={name}"));
        self.draft.variable("PC_REPLICA_NUM=0");
        let own = self.fields.list("environment")?;
        for (_, word) in self.project.environment.iter().chain(&own) {
            match self.texts.literal(word) {
                Some(word) => self.draft.variable(&word),
                None => {
                    self.lacks(format!("environment: {word} (only process-compose has the value)"))
                }
            }
        }
        Ok(())
    }

    /// A command line for the end of a script.
    pub(super) fn command(
        &mut self,
        field: &str,
        line: usize,
        text: &str,
    ) -> Result<Vec<u8>, YamlError> {
        let text = self.texts.template(line, text)?;
        let text = match self.texts.literal(&text) {
            Some(text) => text,
            None => {
                self.differs(format!(
                    "{field}: the shell replaces $VARIABLES at each start, with those of the service"
                ));
                text.replace("$$", "$")
            }
        };
        let (is_shell, shell) = &self.project.shell;
        if *is_shell {
            return Ok(command(text.as_bytes(), shell));
        }
        Ok([shell, &b" "[..], quoted_text(&text).as_bytes()].concat())
    }

    fn run(&mut self, line: usize) -> Result<(), YamlError> {
        let entrypoint = self.fields.list("entrypoint")?;
        let text = match self.fields.scalar("command")? {
            Some((line, text)) if !text.trim().is_empty() => {
                if !entrypoint.is_empty() {
                    self.lacks("entrypoint: command counts, as for process-compose");
                }
                self.command("command", line, &text)?
            }
            _ => {
                let mut words = Vec::new();
                for (line, word) in &entrypoint {
                    words.push(quoted_text(&self.texts.complete("entrypoint", *line, word)?));
                }
                if words.is_empty() {
                    let reason = "a process without command and entrypoint".to_owned();
                    return Err(YamlError { line, reason });
                }
                words.join(" ").into_bytes()
            }
        };
        self.draft.script("run", &text);
        if self.fields.flag("disabled")? {
            self.draft.plan.file("down", "");
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), YamlError> {
        let is_daemon = self.fields.flag("is_daemon")?;
        let mut fields = self.fields.nested("shutdown")?;
        let scope = match (is_daemon, fields.flag("parent_only")?) {
            // It leaves the process group.
            (true, _) => "tree",
            (false, true) => "process",
            (false, false) => "group",
        };
        self.draft.plan.file("stop-scope", format!("{scope}\n"));
        if is_daemon {
            self.draft.plan.file("background", "follow\n");
        }
        let command = fields.scalar("command")?;
        let limit = fields.text("timeout_seconds")?;
        let limit = limit.or_else(|| command.is_some().then(|| "10".to_owned()));
        if let Some(limit) = limit.filter(|limit| limit != "0") {
            let directive = format!("shutdown.timeout_seconds: {limit}");
            self.draft.option("timeout-kill", &format!("{limit}s\n"), directive);
        }
        let signal = fields.text("signal")?;
        if let Some((line, text)) = command {
            let command = self.command("shutdown.command", line, &text)?;
            self.draft.stop_script(&command);
            if let Some(signal) = &signal {
                self.lacks(format!("shutdown.signal: {signal} (command counts)"));
            }
        } else if let Some(signal) = signal {
            let directive = format!("shutdown.signal: {signal}");
            self.draft.option("down-signal", &format!("{signal}\n"), directive);
        }
        fields.rest(&mut self.draft.notes.missing);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), YamlError> {
        let mut fields = self.fields.nested("availability")?;
        match fields.text("restart")?.as_deref() {
            Some("always") => {}
            None | Some("no") => {
                self.differs("restart: no: supervise starts it again after each end")
            }
            Some(when @ ("on_failure" | "exit_on_failure")) => self.differs(format!(
                "restart: {when}: supervise starts it again after each end, and ends nothing else"
            )),
            Some(other) => self.lacks(format!("availability.restart: {other}")),
        }
        if let Some(seconds) = fields.text("backoff_seconds")? {
            let directive = format!("availability.backoff_seconds: {seconds}");
            self.draft.option("restart-delay", &format!("{seconds}s\n"), directive);
        }
        if let Some(count) = fields.text("max_restarts")?.filter(|count| count != "0") {
            self.lacks(format!(
                "availability.max_restarts: {count} (restart-limit counts failures within a time)"
            ));
        }
        fields.rest(&mut self.draft.notes.missing);
        Ok(())
    }

    fn needs(&mut self) -> Result<(), YamlError> {
        let mut text = String::new();
        for (name, node) in self.fields.nested("depends_on")?.into_entries() {
            let line = node.line;
            if !self.project.names.contains(&name) {
                let reason = format!("depends_on: {name} is not a process of this file");
                return Err(YamlError { line, reason });
            }
            let mut fields = match node.value {
                // `NAME: CONDITION` is written as often.
                Value::Scalar(condition) => {
                    let node = Node { line, value: Value::Scalar(condition) };
                    let value = Value::Mapping(vec![("condition".to_owned(), node)]);
                    Fields::of(format!("depends_on.{name}."), Node { line, value })?
                }
                value => Fields::of(format!("depends_on.{name}."), Node { line, value })?,
            };
            match fields.text("condition")?.as_deref() {
                Some("process_healthy") => {}
                None | Some("process_started") => {
                    if self.project.checked.contains(&name) {
                        self.differs(format!("depends_on: {name}: it waits until {name} is ready"));
                    }
                }
                Some(other) => {
                    self.lacks(format!(
                        "depends_on.{name}.condition: {other} (needs waits until a service is up or ready)"
                    ));
                    fields.rest(&mut self.draft.notes.missing);
                    continue;
                }
            }
            fields.rest(&mut self.draft.notes.missing);
            text += &format!("{name}\n");
            self.draft.needs.push(name.into());
        }
        if !text.is_empty() {
            self.draft.option("needs", &text, "depends_on".to_owned());
        }
        Ok(())
    }

    /// The fields that say nothing about the service, and those without a counterpart.
    fn finish(mut self) -> Result<Draft, YamlError> {
        let _ = self.fields.take("description");
        if let Some(text) = self.fields.text("log_location")? {
            self.lacks(format!(
                "log_location: {text} (log/run writes into a directory, see --log)"
            ));
        }
        if let Some(count) = self.fields.text("replicas")?.filter(|count| count != "1") {
            self.lacks(format!("replicas: {count} (one service is made)"));
        }
        self.fields.rest(&mut self.draft.notes.missing);
        Ok(self.draft)
    }
}
