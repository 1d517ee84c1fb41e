//! The text form of a scenario, for regressions and for replay: `SEED OPTIONS | SERVICES | SVSCAN 1 | SVSCAN 2`.
//! The options are `keeps`, `ends` and `pids/NUMBER`. A service is its kind, with `+log` for a logger, and `new:`
//! before it if it is copied. A svscan is its patience, its events, such as `200:link/0`, and its faults: the
//! process (`S` is svscan, `C` its children, `V` the supervises), the number of the call, and what happens.

use super::scenario::{Action, Event, Scenario, Service, Svscan};
use crate::notation::{NotAScenario, number};
use std::fmt;
use std::str::FromStr;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.after)?;
        match self.action {
            Action::Link(n) => write!(f, "link/{n}"),
            Action::Remove(n) => write!(f, "remove/{n}"),
            Action::Rename(n) => write!(f, "rename/{n}"),
            Action::Letter(letter, n) => write!(f, "-{letter}/{n}"),
            Action::KillService(n) => write!(f, "kill/{n}"),
            Action::KillSupervise(n) => write!(f, "supervise/{n}"),
            Action::KillLogSupervise(n) => write!(f, "log-supervise/{n}"),
            Action::EndLogger(n) => write!(f, "logger/{n}"),
            Action::Upgrade => f.write_str("upgrade"),
            Action::Another => f.write_str("another"),
            Action::Terminate => f.write_str("term"),
            Action::Reread => f.write_str("hup"),
            Action::Flood => f.write_str("flood"),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.is_copied { "new:" } else { "" };
        let after = if self.has_logger { "+log" } else { "" };
        write!(f, "{before}{}{after}", self.kind)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        let options = [(self.keeps, " keeps"), (self.tells_ends, " ends")];
        options.iter().filter(|it| it.0).try_for_each(|it| f.write_str(it.1))?;
        if self.pids != 0 {
            write!(f, " pids/{}", self.pids)?;
        }
        f.write_str(" |")?;
        self.services.iter().try_for_each(|service| write!(f, " {service}"))?;
        for Svscan { patience, faults, events } in &self.svscans {
            write!(f, " | {patience}")?;
            events.iter().try_for_each(|event| write!(f, " {event}"))?;
            faults.iter().try_for_each(|fault| write!(f, " {fault}"))?;
        }
        Ok(())
    }
}

impl FromStr for Event {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let (after, action) = text.split_once(':').ok_or(NotAScenario)?;
        let (what, of) = action.split_once('/').map_or((action, None), |(a, n)| (a, Some(n)));
        let n = || number(of);
        let action = match what {
            "link" => Action::Link(n()?),
            "remove" => Action::Remove(n()?),
            "rename" => Action::Rename(n()?),
            "kill" => Action::KillService(n()?),
            "supervise" => Action::KillSupervise(n()?),
            "log-supervise" => Action::KillLogSupervise(n()?),
            "logger" => Action::EndLogger(n()?),
            "upgrade" => Action::Upgrade,
            "another" => Action::Another,
            "term" => Action::Terminate,
            "hup" => Action::Reread,
            "flood" => Action::Flood,
            _ => {
                let letter = what.strip_prefix('-').and_then(|it| it.chars().next());
                Action::Letter(letter.ok_or(NotAScenario)?, n()?)
            }
        };
        Ok(Self { after: number(Some(after))?, action })
    }
}

impl FromStr for Service {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let (is_copied, rest) = text.strip_prefix("new:").map_or((false, text), |it| (true, it));
        let (has_logger, kind) = rest.strip_suffix("+log").map_or((false, rest), |it| (true, it));
        Ok(Self { kind: kind.into(), has_logger, is_copied })
    }
}

impl FromStr for Svscan {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let mut words = text.split_whitespace();
        let mut svscan = Self { patience: number(words.next())?, ..Self::default() };
        for word in words {
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                svscan.events.push(word.parse()?);
            } else {
                svscan.faults.push(word.parse()?);
            }
        }
        Ok(svscan)
    }
}

impl FromStr for Scenario {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let mut parts = text.split('|');
        let options = parts.next().ok_or(NotAScenario)?;
        let seed = number(options.split_whitespace().next())?;
        let has = |name| options.split_whitespace().any(|option| option == name);
        let pids = options.split_whitespace().find_map(|option| option.strip_prefix("pids/"));
        let pids = pids.map_or(Ok(0), |pids| number(Some(pids)))?;
        let services = parts.next().ok_or(NotAScenario)?.split_whitespace();
        let services = services.map(str::parse).collect::<Result<Vec<Service>, _>>()?;
        let svscans = parts.map(str::parse).collect::<Result<Vec<Svscan>, _>>()?;
        if svscans.is_empty() || services.is_empty() {
            return Err(NotAScenario);
        }
        Ok(Self { seed, keeps: has("keeps"), tells_ends: has("ends"), pids, services, svscans })
    }
}
