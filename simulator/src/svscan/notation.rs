//! The text form of a scenario, for regressions and for replay: `SEED OPTIONS | SERVICES | SVSCAN 1 | SVSCAN 2`.
//! The options are `keeps`, `ends` and `pids/NUMBER`. A service is its kind, with `+log` for a logger, and `new:`
//! before it if it is copied. An action is its name with the number of a service: `link/0`. A fault hits `S`, svscan,
//! `C`, its children, or `V`, the supervises.

use super::scenario::{Action, Scenario, Service, Svscan};
use crate::notation::{NotAScenario, number};
use std::fmt;
use std::str::FromStr;

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(n) => write!(f, "link/{n}"),
            Self::Remove(n) => write!(f, "remove/{n}"),
            Self::Rename(n) => write!(f, "rename/{n}"),
            Self::Letter(letter, n) => write!(f, "-{letter}/{n}"),
            Self::KillService(n) => write!(f, "kill/{n}"),
            Self::KillSupervise(n) => write!(f, "supervise/{n}"),
            Self::KillLogSupervise(n) => write!(f, "log-supervise/{n}"),
            Self::EndLogger(n) => write!(f, "logger/{n}"),
            Self::Upgrade => f.write_str("upgrade"),
            Self::Another => f.write_str("another"),
            Self::Terminate => f.write_str("term"),
            Self::Reread => f.write_str("hup"),
            Self::Flood => f.write_str("flood"),
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
        self.svscans.iter().try_for_each(|it| write!(f, " | {it}"))
    }
}

impl FromStr for Action {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let (what, of) = text.split_once('/').map_or((text, None), |(a, n)| (a, Some(n)));
        let n = || number(of);
        Ok(match what {
            "link" => Self::Link(n()?),
            "remove" => Self::Remove(n()?),
            "rename" => Self::Rename(n()?),
            "kill" => Self::KillService(n()?),
            "supervise" => Self::KillSupervise(n()?),
            "log-supervise" => Self::KillLogSupervise(n()?),
            "logger" => Self::EndLogger(n()?),
            "upgrade" => Self::Upgrade,
            "another" => Self::Another,
            "term" => Self::Terminate,
            "hup" => Self::Reread,
            "flood" => Self::Flood,
            _ => {
                let letter = what.strip_prefix('-').and_then(|it| it.chars().next());
                Self::Letter(letter.ok_or(NotAScenario)?, n()?)
            }
        })
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
