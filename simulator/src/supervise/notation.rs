//! The text form of a scenario, for regressions and for replay:
//! `SEED LETTERS SERVICE | OPTIONS | SUPERVISE 1 | SUPERVISE 2`. LETTERS are the last command. The options are
//! `down`, `ends`, `disk/NAME`, `pids/NUMBER`, and a `NAME=TEXT` for each option file. Actions are `-d`, `kill`,
//! `write/NAME/TEXT` (`_` stands for a blank), `stranger` and others. A fault hits `S`, supervise, or `C`, its children.

use super::options::Options;
use super::scenario::{Action, Scenario};
use crate::kernel::FileSystem;
use crate::notation::{NotAScenario, number};
use std::fmt;
use std::str::FromStr;

/// A text of a file, with `_` for each blank.
fn in_one_word(text: &str) -> String {
    text.replace(' ', "_")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letters(letters) => write!(f, "-{letters}"),
            Self::KillService => f.write_str("kill"),
            Self::Terminate => f.write_str("term"),
            Self::Stranger => f.write_str("stranger"),
            Self::Upgrade => f.write_str("upgrade"),
            Self::Second => f.write_str("second"),
            Self::Clock(seconds) => write!(f, "clock/{seconds}"),
            Self::Power => f.write_str("power"),
            Self::Write(name, text) => write!(f, "write/{name}/{}", in_one_word(text)),
            Self::Remove(name) => write!(f, "remove/{name}"),
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
        self.supervises.iter().try_for_each(|it| write!(f, " | {it}"))
    }
}

impl FromStr for Action {
    type Err = NotAScenario;

    fn from_str(text: &str) -> Result<Self, NotAScenario> {
        if let Some(rest) = text.strip_prefix("write/") {
            let (name, text) = rest.split_once('/').ok_or(NotAScenario)?;
            return Ok(Self::Write(name.into(), text.replace('_', " ")));
        }
        let (kind, value) =
            text.split_once('/').map_or((text, None), |(kind, it)| (kind, Some(it)));
        Ok(match kind {
            "upgrade" => Self::Upgrade,
            "second" => Self::Second,
            "clock" => Self::Clock(number(value)?),
            "power" => Self::Power,
            "remove" => Self::Remove(value.ok_or(NotAScenario)?.into()),
            "kill" => Self::KillService,
            "term" => Self::Terminate,
            "stranger" => Self::Stranger,
            _ => Self::Letters(text.strip_prefix('-').ok_or(NotAScenario)?.into()),
        })
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
