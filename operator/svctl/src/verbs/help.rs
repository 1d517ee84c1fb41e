//! `svctl help` and `svctl version`, from the table of verbs.

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure, USAGE};
use crate::options::GLOBAL;
use crate::output::{Colour, capital, escape, line, pad, wrap};
use crate::symptoms::SYMPTOMS;
use crate::verb_table::{VERBS, Verb, find};

pub(crate) fn version(_: &Arguments) -> Result<u8, Failure> {
    line(&format!("svctl {}", env!("CARGO_PKG_VERSION")));
    Ok(DONE)
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let Some(name) = arguments.operands.first() else {
        overview(arguments);
        return Ok(DONE);
    };
    let name = name.to_string_lossy();
    let verb = find(&name).ok_or_else(|| {
        Failure::new(
            USAGE,
            format!("unable to find verb {}: svctl help lists the verbs", escape(&name)),
        )
    })?;
    one(arguments, verb);
    Ok(DONE)
}

fn overview(arguments: &Arguments) {
    let title = |text: &str| line(&arguments.output.paint(Some(Colour::Bold), text));
    line("svctl shows, explains and controls the services of a scan directory.");
    line("");
    title("usage: svctl [OPTIONS] [VERB] [NAME...]");
    line("");
    for verb in VERBS {
        wrapped(arguments, &format!("  {}", pad(verb.name, 12)), 14, verb.summary);
    }
    line("");
    line("A NAME is a service of the scan directory, a pattern such as 'web*', or a path.");
    line("The scan directory is that of -d, else SVDIR, else /etc/service, else /service.");
    line("svctl help VERB shows the options of a verb, and examples.");
    line("");
    // Last, because a small terminal shows the end.
    title("at three in the morning");
    for (symptom, command) in SYMPTOMS {
        line(&format!("  {}{command}", pad(symptom, 36)));
    }
}

fn one(arguments: &Arguments, verb: &Verb) {
    let title = |text: &str| line(&arguments.output.paint(Some(Colour::Bold), text));
    title(format!("svctl {} {}", verb.name, verb.operands).trim_end());
    line("");
    wrapped(arguments, "  ", 2, &format!("{}.", capital(verb.summary)));
    if !verb.aliases.is_empty() {
        line(&format!("  Another name: {}", verb.aliases.join(", ")));
    }
    if !verb.about.is_empty() {
        line("");
        wrapped(arguments, "  ", 2, verb.about);
    }
    line("");
    title("options");
    for option in verb.options.iter().copied().chain(GLOBAL) {
        wrapped(arguments, &format!("  {}", pad(&option.shown(), 24)), 26, option.help);
    }
    if !verb.examples.is_empty() {
        line("");
        title("examples");
        for (command, what) in verb.examples {
            line(&format!("  {command}"));
            wrapped(arguments, "      ", 6, what);
        }
    }
}

/// Prints a text behind a heading, with further lines indented.
fn wrapped(arguments: &Arguments, heading: &str, indent: usize, text: &str) {
    for text in wrap(heading, indent, text, arguments.output.width) {
        line(&text);
    }
}
