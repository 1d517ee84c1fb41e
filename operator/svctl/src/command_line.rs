//! The command line: a verb, its options and its operands.

pub(crate) use crate::arguments::Arguments;

use crate::failure::{Failure, USAGE};
use crate::options::{GLOBAL, Opt};
use crate::output::{ColourChoice, Output, escape};
use crate::spelling::distance;
use crate::verb_table::{self, VERBS, Verb};
use lexopt::{Arg, Parser};
use std::ffi::{OsStr, OsString};

/// A verb, and what it gets.
type Parsed = (&'static Verb, Arguments);

/// Parses the words behind the program's name.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Parsed, Failure> {
    let mut words: Vec<OsString> = words.collect();
    let command = match words.iter().position(|word| word == "--") {
        Some(at) => words.split_off(at).split_off(1),
        None => Vec::new(),
    };
    let mut parser = Parser::from_args(words);
    let mut verb: Option<&'static Verb> = None;
    let mut operands = Vec::new();
    let mut options = Vec::new();
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Value(word) if verb.is_none() => verb = Some(find_verb(&word)?),
            Arg::Value(word) => operands.push(word),
            Arg::Long("version") => verb = verb_table::find("version"),
            Arg::Short('h') | Arg::Long("help") => {
                return help_of(verb);
            }
            Arg::Short(letter) => {
                let option = find_option(verb, |option| option.short == Some(letter));
                let option = option.ok_or_else(|| unknown(verb, &format!("-{letter}")))?;
                options.push((option.long, value(&mut parser, option)?));
            }
            Arg::Long(name) => {
                let name = name.to_owned();
                let option = find_option(verb, |option| option.long == name);
                let option = option.ok_or_else(|| unknown(verb, &format!("--{name}")))?;
                options.push((option.long, value(&mut parser, option)?));
            }
        }
    }
    let verb = verb.unwrap_or_else(default_verb);
    if !command.is_empty() && verb.name != "new" {
        operands.extend(command);
        return finish(verb, operands, Vec::new(), options);
    }
    finish(verb, operands, command, options)
}

fn finish(
    verb: &'static Verb,
    operands: Vec<OsString>,
    command: Vec<OsString>,
    options: Vec<(&'static str, Option<OsString>)>,
) -> Result<Parsed, Failure> {
    let mut arguments = Arguments {
        synopsis: format!("{} {}", verb.name, verb.operands),
        operands,
        command,
        options,
        output: Output::new(ColourChoice::Auto),
    };
    if let Some(word) = arguments.value("color") {
        arguments.output = Output::new(ColourChoice::parse(&word.to_string_lossy())?);
    }
    Ok((verb, arguments))
}

fn default_verb() -> &'static Verb {
    verb_table::find(verb_table::DEFAULT).unwrap_or(&VERBS[0])
}

/// The arguments of `help VERB`.
fn help_of(verb: Option<&'static Verb>) -> Result<Parsed, Failure> {
    let help = verb_table::find("help").unwrap_or_else(default_verb);
    let operands = verb.map(|verb| verb.name.into()).into_iter().collect();
    finish(help, operands, Vec::new(), Vec::new())
}

/// The option of a verb, or of the default verb before a verb is known.
fn find_option(verb: Option<&'static Verb>, is_it: impl Fn(&Opt) -> bool) -> Option<&'static Opt> {
    let own = verb.unwrap_or_else(default_verb).options;
    own.iter().copied().chain(GLOBAL).find(|option| is_it(option))
}

fn value(parser: &mut Parser, option: &Opt) -> Result<Option<OsString>, Failure> {
    option.value.map(|_| parser.value().map_err(wrong)).transpose()
}

fn find_verb(word: &OsStr) -> Result<&'static Verb, Failure> {
    let text = word.to_string_lossy();
    verb_table::find(&text).ok_or_else(|| {
        let near = VERBS
            .iter()
            .flat_map(|verb| verb.aliases.iter().chain([&verb.name]))
            .map(|name| (distance(name, &text), name))
            // A short word is near to many others.
            .filter(|(distance, _)| *distance <= 2 && distance + 2 <= text.len())
            .min();
        let hint = near.map_or_else(
            || "svctl help lists the verbs, svctl status NAME shows a service".to_owned(),
            |(_, name)| format!("did you mean {name}?"),
        );
        Failure::new(USAGE, format!("unable to find verb {}: {hint}", escape(&text)))
    })
}

fn unknown(verb: Option<&'static Verb>, option: &str) -> Failure {
    let verb = verb.unwrap_or_else(default_verb).name;
    let option = escape(option);
    Failure::new(
        USAGE,
        format!("unable to use option {option}: svctl help {verb} lists those of {verb}"),
    )
}

fn wrong(error: lexopt::Error) -> Failure {
    Failure::new(USAGE, format!("unable to read the arguments: {}", escape(&error.to_string())))
}
