//! The text form of a scenario, for regressions and for replay:
//! `SEED INPUT-SEED LINES | SCRIPT | FAULTS OF LOGGER 1 | FAULTS OF LOGGER 2`. A fault is the process (`L` is
//! the logger, `S` its standby process), the number of the call, and what happens: `L85:error/0`.

use super::scenario::{Kind, PlannedFault, Role, Scenario};
use std::fmt;
use std::str::FromStr;

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.role == Role::Logger { 'L' } else { 'S' };
        write!(f, "{role}{}:", self.call)?;
        match self.kind {
            Kind::Kill => f.write_str("kill"),
            Kind::Terminate => f.write_str("term"),
            Kind::Alarm => f.write_str("alarm"),
            Kind::Error(choice) => write!(f, "error/{choice}"),
            Kind::Short(most) => write!(f, "short/{most}"),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, (input, lines)) = (self.seed, self.input);
        write!(f, "{seed} {input} {lines} | {}", self.script.join(" "))?;
        for faults in &self.loggers {
            f.write_str(" |")?;
            faults.iter().try_for_each(|fault| write!(f, " {fault}"))?;
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
        let script = parts.next().ok_or(NotAScenario)?.split_whitespace();
        let script = script.map(str::to_owned).collect();
        let faults = |text: &str| text.split_whitespace().map(str::parse).collect();
        let loggers = parts.map(faults).collect::<Result<_, _>>()?;
        Ok(Self { seed, script, input: (input, lines), loggers })
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
