//! The text form of a scenario, for regressions and for replay:
//! `SEED LETTERS SERVICE | OPTIONS | SUPERVISE 1 | SUPERVISE 2`. LETTERS are the last command. The options are
//! `down`, `ends`, `disk/NAME`, `pids/NUMBER`, and a `NAME=TEXT` for each option file. A supervise is its patience, its events, such as `200:-d`,
//! `200:kill`, `200:write/NAME/TEXT` (`_` stands for a blank) and `200:stranger`, and its faults: the process (`S` is supervise, `C` its
//! children), the number of the call, and what happens: `S85:error/0`.

use super::options::Options;
use super::scenario::{Action, Event, Scenario, Supervise};
use crate::kernel::FileSystem;
use crate::notation::{NotAScenario, number};
use std::fmt;
use std::str::FromStr;

/// A text of a file, with `_` for each blank.
fn in_one_word(text: &str) -> String {
    text.replace(' ', "_")
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.after)?;
        match &self.action {
            Action::Letters(letters) => write!(f, "-{letters}"),
            Action::KillService => f.write_str("kill"),
            Action::Terminate => f.write_str("term"),
            Action::Stranger => f.write_str("stranger"),
            Action::Upgrade => f.write_str("upgrade"),
            Action::Second => f.write_str("second"),
            Action::Clock(seconds) => write!(f, "clock/{seconds}"),
            Action::Power => f.write_str("power"),
            Action::Write(name, text) => write!(f, "write/{name}/{}", in_one_word(text)),
            Action::Remove(name) => write!(f, "remove/{name}"),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} |", self.seed, self.end, self.service)?;
        let options = [(self.down, " down"), (self.tells_ends, " ends")];
        options.iter().filter(|it| it.0).try_for_each(|it| f.write_str(it.1))?;
        if let Some(disk) = self.disk {
            write!(f, " disk/{disk:?}")?;
        }
        for (name, text) in &self.options.0 {
            write!(f, " {name}={}", in_one_word(text.trim_end()))?;
        }
        if self.pids != 0 {
            write!(f, " pids/{}", self.pids)?;
        }
        for Supervise { patience, faults, events } in &self.supervises {
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
        if let Some(rest) = action.strip_prefix("write/") {
            let (name, text) = rest.split_once('/').ok_or(NotAScenario)?;
            let action = Action::Write(name.into(), text.replace('_', " "));
            return Ok(Self { after: number(Some(after))?, action });
        }
        let (kind, value) =
            action.split_once('/').map_or((action, None), |(kind, it)| (kind, Some(it)));
        let action = match kind {
            "upgrade" => Action::Upgrade,
            "second" => Action::Second,
            "clock" => Action::Clock(number(value)?),
            "power" => Action::Power,
            "remove" => Action::Remove(value.ok_or(NotAScenario)?.into()),
            "kill" => Action::KillService,
            "term" => Action::Terminate,
            "stranger" => Action::Stranger,
            _ => Action::Letters(action.strip_prefix('-').ok_or(NotAScenario)?.into()),
        };
        Ok(Self { after: number(Some(after))?, action })
    }
}

impl FromStr for Supervise {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let mut words = text.split_whitespace();
        let mut supervise = Self { patience: number(words.next())?, ..Self::default() };
        for word in words {
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                supervise.events.push(word.parse()?);
            } else {
                supervise.faults.push(word.parse()?);
            }
        }
        Ok(supervise)
    }
}

impl FromStr for Scenario {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        let mut parts = text.split('|');
        let mut words = parts.next().ok_or(NotAScenario)?.split_whitespace();
        let (seed, end) = (number(words.next())?, words.next().ok_or(NotAScenario)?.into());
        let service = words.collect::<Vec<_>>().join(" ");
        let options = parts.next().ok_or(NotAScenario)?;
        let has = |name| options.split_whitespace().any(|option| option == name);
        let disk = options.split_whitespace().find_map(|option| option.strip_prefix("disk/"));
        let disk = disk.map(|name| match name {
            "Ext4" => Ok(FileSystem::Ext4),
            "Xfs" => Ok(FileSystem::Xfs),
            "Posix" => Ok(FileSystem::Posix),
            _ => Err(NotAScenario),
        });
        let disk = disk.transpose()?;
        let pids = options.split_whitespace().find_map(|option| option.strip_prefix("pids/"));
        let (down, tells_ends) = (has("down"), has("ends"));
        let pids = pids.map_or(Ok(0), |pids| number(Some(pids)))?;
        let files = options.split_whitespace().filter_map(|word| word.split_once('='));
        let files = files.map(|(name, text)| {
            let text = text.replace('_', " ");
            let end = if text.starts_with("#!") { "\n" } else { "" };
            (name.to_owned(), text + end)
        });
        let files = Options(files.collect());
        let supervises = parts.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { seed, service, down, tells_ends, disk, options: files, pids, supervises, end })
    }
}
