//! `svctl history`: the last changes of a service, with their causes.

use crate::change_words::{change_object, circumstances, transition};
use crate::command_line::Arguments;
use crate::failure::{CANNOT, DONE, Failure, reason, warn};
use crate::hosts;
use crate::logs::local_zone::LocalZone;
use crate::logs::time_argument;
use crate::options::{HOST, JSON, SINCE};
use crate::output::{Colour, json_line, line, pad, wrap};
use crate::selection::{Target, named};
use crate::times::local;
use crate::view::SCHEMA;
use serde_json::json;
use servicedir::Change;

/// The columns of the times and of the changes of the phase.
const COLUMNS: (usize, usize) = (17, 21);

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.has(&HOST) {
        return hosts::history(arguments);
    }
    let targets = named(arguments)?;
    let since = match arguments.value(SINCE.long) {
        Some(text) => {
            let moment = time_argument::parse(&text.to_string_lossy(), LocalZone::system())?;
            Some(moment.to_system_time())
        }
        None => None,
    };
    let mut code = DONE;
    let mut objects = Vec::new();
    for target in &targets {
        let changes = read(target);
        if changes.is_none() {
            code = CANNOT;
        }
        let changes: Option<Vec<Change>> = changes.map(|mut changes| {
            changes.retain(|change| since.is_none_or(|since| change.at >= since));
            changes
        });
        if arguments.has(&JSON) {
            objects.push(json!({
                "name": target.name.to_string_lossy(),
                "path": target.dir.path().to_string_lossy(),
                "changes": changes.map(|it| it.iter().map(change_object).collect::<Vec<_>>()),
            }));
        } else if let Some(changes) = changes {
            if targets.len() > 1 {
                line(&arguments.output.paint(Some(Colour::Bold), &target.shown()));
            }
            changes.iter().for_each(|change| show(arguments, change));
        }
    }
    if arguments.has(&JSON) {
        json_line(&json!({"schema": SCHEMA, "services": objects}));
    }
    Ok(code)
}

/// The changes of a service. Prints a warning if there is no history.
fn read(target: &Target) -> Option<Vec<Change>> {
    let name = target.shown();
    match target.dir.history() {
        Ok(Some(changes)) => Some(changes),
        Ok(None) => {
            let why = "its supervise keeps none (the original's, or one of ours before 0.2.0)";
            let why = if target.dir.state_dir().is_dir() { why } else { "it was never supervised" };
            warn(&format!("{name} has no history: {why}"));
            None
        }
        Err(error) => {
            warn(&format!("unable to read the history of {name}: {}", reason(&error)));
            None
        }
    }
}

fn show(arguments: &Arguments, change: &Change) {
    let output = arguments.output;
    let (first, second) = COLUMNS;
    let heading = format!("{}{}", pad(&local(change.at), first), pad(&transition(change), second));
    let circumstances = circumstances(change);
    let text = format!("{heading}{circumstances}");
    if !output.terminal || circumstances.is_empty() {
        return line(text.trim_end());
    }
    wrap(&heading, first + second, &circumstances, output.width).iter().for_each(|it| line(it));
}
