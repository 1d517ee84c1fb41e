//! What the user asked for: the verb's operands and options.

use crate::escape::escape;
use crate::failure::{Failure, USAGE};
use crate::options::Opt;
use crate::output::Output;
use crate::times::parse_duration;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// The parsed command line behind the verb.
pub(crate) struct Arguments {
    /// The verb and its operands as the help shows them, for a usage error.
    pub(crate) synopsis: String,
    /// The operands before `--`.
    pub(crate) operands: Vec<OsString>,
    /// The words behind `--`.
    pub(crate) command: Vec<OsString>,
    /// The long names of the options, with their values.
    pub(crate) options: Vec<(&'static str, Option<OsString>)>,
    pub(crate) output: Output,
}

impl Arguments {
    /// Whether an option was given.
    pub(crate) fn has(&self, option: &Opt) -> bool {
        self.options.iter().any(|(name, _)| *name == option.long)
    }

    /// The last value of an option.
    pub(crate) fn value(&self, long: &str) -> Option<&OsStr> {
        self.options.iter().rev().find(|(name, _)| *name == long)?.1.as_deref()
    }

    /// All values of an option.
    pub(crate) fn values(&self, option: &Opt) -> impl Iterator<Item = &OsStr> {
        self.options
            .iter()
            .filter(|(name, _)| *name == option.long)
            .filter_map(|(_, value)| value.as_deref())
    }

    /// The value of an option that is a duration.
    pub(crate) fn duration(&self, option: &Opt) -> Result<Option<Duration>, Failure> {
        self.value(option.long).map(|text| parse_duration(&text.to_string_lossy())).transpose()
    }

    /// The value of an option that is a number.
    pub(crate) fn number(&self, option: &Opt) -> Result<Option<usize>, Failure> {
        let Some(text) = self.value(option.long).map(OsStr::to_string_lossy) else {
            return Ok(None);
        };
        let wrong = |_| {
            let message =
                format!("unable to use --{} {}: not a number", option.long, escape(&text));
            Failure::new(USAGE, message)
        };
        text.parse().map(Some).map_err(wrong)
    }
}
