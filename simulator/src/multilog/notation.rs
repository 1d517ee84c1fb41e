//! The text form of a scenario, for regressions and for replay:
//! `SEED INPUT-SEED LINES | SCRIPT | FAULTS OF LOGGER 1 | FAULTS OF LOGGER 2`. A fault is the process (`L` is
//! the logger, `S` its standby process, `P` a processor), the number of the call, and what happens:
//! `L85:error/0`. The word `original` before the faults makes the logger the original's. Behind the number of
//! lines there can be a file system (`ext4`, `xfs`, `posix`), and `ends-in-line`.

use super::scenario::{Life, Scenario};
use crate::kernel::FileSystem;
use crate::notation::{NotAScenario, number};
use std::fmt;
use std::str::FromStr;

/// The file systems by their names.
const SYSTEMS: [(&str, FileSystem); 3] =
    [("ext4", FileSystem::Ext4), ("xfs", FileSystem::Xfs), ("posix", FileSystem::Posix)];

const ENDS_IN_LINE: &str = "ends-in-line";

const ORIGINAL: &str = "original";

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, (input, lines)) = (self.seed, self.input);
        write!(f, "{seed} {input} {lines}")?;
        if let Some((name, _)) = SYSTEMS.iter().find(|it| Some(it.1) == self.disk) {
            write!(f, " {name}")?;
        }
        if self.ends_in_line {
            write!(f, " {ENDS_IN_LINE}")?;
        }
        write!(f, " | {}", self.script.join(" "))?;
        for life in &self.loggers {
            f.write_str(" |")?;
            if life.is_original {
                write!(f, " {ORIGINAL}")?;
            }
            life.faults.iter().try_for_each(|fault| write!(f, " {fault}"))?;
        }
        Ok(())
    }
}

impl FromStr for Scenario {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let mut parts = text.split('|');
        let mut numbers = parts.next().ok_or(NotAScenario)?.split_whitespace();
        let (seed, input) = (number(numbers.next())?, number(numbers.next())?);
        let lines = number(numbers.next())?;
        let (mut disk, mut ends_in_line) = (None, false);
        for word in numbers {
            match SYSTEMS.iter().find(|(name, _)| *name == word) {
                Some((_, system)) => disk = Some(*system),
                None if word == ENDS_IN_LINE => ends_in_line = true,
                None => return Err(NotAScenario),
            }
        }
        let script = parts.next().ok_or(NotAScenario)?.split_whitespace();
        let script = script.map(str::to_owned).collect();
        let loggers = parts.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { seed, script, input: (input, lines), ends_in_line, disk, loggers })
    }
}

impl FromStr for Life {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let mut words = text.split_whitespace().peekable();
        let is_original = words.next_if_eq(&ORIGINAL).is_some();
        let faults = words.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { is_original, faults })
    }
}
