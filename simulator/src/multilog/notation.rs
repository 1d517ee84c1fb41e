//! The text form of a scenario, for regressions and for replay:
//! `SEED INPUT-SEED LINES | SCRIPT | FAULTS OF LOGGER 1 | FAULTS OF LOGGER 2`. A fault is the process (`L` is
//! the logger, `S` its standby process, `P` a processor), the number of the call, and what happens:
//! `L85:error/0`. The word `original` before the faults makes the logger the original's. Behind the number of
//! lines there can be a file system (`ext4`, `xfs`, `posix`), and `ends-in-line`.

use super::faults::{Kind, PlannedFault, Role};
use super::scenario::{Life, Scenario};
use crate::kernel::FileSystem;
use std::fmt;
use std::str::FromStr;

/// The file systems by their names.
const SYSTEMS: [(&str, FileSystem); 3] =
    [("ext4", FileSystem::Ext4), ("xfs", FileSystem::Xfs), ("posix", FileSystem::Posix)];

const ENDS_IN_LINE: &str = "ends-in-line";

const ORIGINAL: &str = "original";

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Logger => 'L',
            Role::Standby => 'S',
            Role::Processor => 'P',
        };
        write!(f, "{role}{}:", self.call)?;
        match self.kind {
            Kind::Kill => f.write_str("kill"),
            Kind::Terminate => f.write_str("term"),
            Kind::Alarm => f.write_str("alarm"),
            Kind::Error(choice) => write!(f, "error/{choice}"),
            Kind::Short(most) => write!(f, "short/{most}"),
            Kind::Power => f.write_str("power"),
            Kind::Clock(seconds) => write!(f, "clock/{seconds}"),
            Kind::Memory => f.write_str("memory"),
        }
    }
}

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

/// Not a scenario.
#[derive(Debug)]
pub struct NotAScenario;

fn number<T: FromStr>(text: Option<&str>) -> Result<T, NotAScenario> {
    text.and_then(|text| text.parse().ok()).ok_or(NotAScenario)
}

impl FromStr for PlannedFault {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let (place, kind) = text.split_once(':').ok_or(NotAScenario)?;
        let role = match place.get(..1) {
            Some("L") => Role::Logger,
            Some("S") => Role::Standby,
            Some("P") => Role::Processor,
            _ => return Err(NotAScenario),
        };
        let (kind, value) =
            kind.split_once('/').map_or((kind, None), |(kind, it)| (kind, Some(it)));
        let kind = match kind {
            "kill" => Kind::Kill,
            "term" => Kind::Terminate,
            "alarm" => Kind::Alarm,
            "error" => Kind::Error(number(value)?),
            "short" => Kind::Short(number(value)?),
            "power" => Kind::Power,
            "clock" => Kind::Clock(number(value)?),
            "memory" => Kind::Memory,
            _ => return Err(NotAScenario),
        };
        Ok(Self { role, call: number(place.get(1..))?, kind })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_its_text() {
        for seed in 0..100 {
            let scenario = Scenario::new(seed);
            let again = scenario.to_string().parse::<Scenario>().expect("a scenario");
            assert_eq!(scenario, again);
        }
    }
}
