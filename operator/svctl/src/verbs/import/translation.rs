//! A unit of systemd as the files of a service directory.

use super::command_words::{ExecLine, split};
use super::unit_file::{Unit, is_true};
use super::{listen_lines, resources};
use crate::command_line::Arguments;
use crate::failure::{CANNOT, Failure};
use crate::output::escape;
use crate::service_plan::Plan;
use crate::shell_words::quoted_text as shell;
use crate::times::spans;
use servicedir::option_mistake;
use std::ffi::OsStr;
use std::time::Duration;

/// systemd's default for the time to start and to stop.
const USUAL_TIMEOUT: Duration = Duration::from_secs(90);

/// The directories that systemd makes, and where.
const DIRECTORIES: [(&str, &str); 5] = [
    ("RuntimeDirectory", "/run"),
    ("StateDirectory", "/var/lib"),
    ("CacheDirectory", "/var/cache"),
    ("LogsDirectory", "/var/log"),
    ("ConfigurationDirectory", "/etc"),
];

/// The service directory for a unit, and what it does not have of the unit.
pub(super) struct Translation {
    pub(super) plan: Plan,
    pub(super) user: Option<String>,
    /// What works in another way than under systemd.
    pub(super) differences: Vec<String>,
    /// The directives without a counterpart.
    pub(super) missing: Vec<String>,
    unit: Unit,
    /// The lines at the beginning of each script.
    head: String,
    /// The lines of `run` before the service.
    preparation: String,
    /// The beginning of the commands that run as the user.
    account: String,
}

impl Translation {
    pub(super) fn of(
        arguments: &Arguments,
        unit: Unit,
        name: &OsStr,
        file: &str,
    ) -> Result<Self, Failure> {
        let mut it = Self {
            plan: Plan::new(arguments, name)?,
            user: None,
            differences: Vec::new(),
            missing: Vec::new(),
            unit,
            head: format!("#!/bin/sh\n# Imported from {file}.\nexec 2>&1\n"),
            preparation: String::new(),
            account: String::new(),
        };
        it.account();
        it.environment();
        it.directories();
        it.main(file)?;
        it.reload_and_stop();
        it.stopping();
        it.restarting();
        it.limits_and_sockets();
        let account = it.user.as_ref().map(|user| format!("setuidgid {} ", shell(user)));
        it.plan.logger(arguments, account.unwrap_or_default().as_bytes())?;
        it.skip_descriptions();
        for directive in it.unit.rest() {
            // Several files may have the same one.
            if !it.missing.contains(&directive) {
                it.missing.push(directive);
            }
        }
        Ok(it)
    }

    /// The last value of a directive of `[Service]`, with its specifiers replaced.
    fn last(&mut self, key: &str) -> Option<String> {
        self.all(key)?.pop()
    }

    fn all(&mut self, key: &str) -> Option<Vec<String>> {
        let values = self.unit.take("Service", key)?;
        let mut expanded = Vec::new();
        for value in values {
            match self.unit.instance.expand(&value) {
                Ok(value) => expanded.push(value),
                Err(why) => self.missing.push(format!("{key}={value} ({why})")),
            }
        }
        Some(expanded)
    }

    /// A command line of a directive; `None` for one without a counterpart.
    fn command(&mut self, key: &str, value: &str) -> Option<ExecLine> {
        match ExecLine::parse(value) {
            Ok(line) => Some(line),
            Err(why) => {
                self.missing.push(format!("{key}={value} ({why})"));
                None
            }
        }
    }

    /// Writes an option file, unless supervise would refuse it.
    fn option(&mut self, name: &str, text: &str, directive: String) {
        if option_mistake(name, text.as_bytes()).is_none() {
            self.plan.file(name, text);
        } else {
            self.missing.push(directive);
        }
    }

    fn account(&mut self) {
        self.user = self.last("User").filter(|user| user != "root");
        if let Some(user) = &self.user {
            self.account = format!("setuidgid -s {} ", shell(user));
        }
        if let Some(group) = self.last("Group").filter(|group| Some(group) != self.user.as_ref()) {
            self.missing.push(format!("Group={group} (setuidgid takes the groups of the user)"));
        }
    }

    fn environment(&mut self) {
        let mut has_variables = false;
        for value in self.all("Environment").unwrap_or_default() {
            for word in split(&value).unwrap_or_default() {
                match self.plan.variable(OsStr::new(&word)) {
                    Ok(()) => has_variables = true,
                    Err(why) => self.missing.push(format!("Environment={word} ({why})")),
                }
            }
        }
        let files = self.all("EnvironmentFile").unwrap_or_default();
        if !has_variables && files.is_empty() {
            return;
        }
        let mut script =
            String::from("#!/bin/sh\n# Runs a program with the environment of the unit.\n");
        // The last one is the innermost, whose variables win.
        for file in files.iter().rev() {
            let path = file.strip_prefix('-');
            let quoted = shell(path.unwrap_or(file));
            let condition = path.map(|_| format!("[ ! -e {quoted} ] || ")).unwrap_or_default();
            script += &format!("{condition}set -- envfile {quoted} \"$@\"\n");
        }
        script += "exec envdir ./env \"$@\"\n";
        self.plan.script("environment", script);
        self.head += "if [ -z \"$HAS_ENVIRONMENT\" ]; then\n    export HAS_ENVIRONMENT=1\n    \
                      exec ./environment \"$0\" \"$@\"\nfi\nunset HAS_ENVIRONMENT\n";
    }

    fn directories(&mut self) {
        if let Some(mask) = self.last("UMask") {
            self.preparation += &format!("umask {}\n", shell(&mask));
        }
        for (key, base) in DIRECTORIES {
            let mode = self.last(&format!("{key}Mode")).unwrap_or_else(|| "0755".to_owned());
            for value in self.all(key).unwrap_or_default() {
                for name in value.split_whitespace() {
                    // systemd leaves /etc to root.
                    let owner = self.user.as_ref().filter(|_| base != "/etc");
                    let owner = owner.map(|it| format!("-o {0} -g \"$(id -gn {0})\" ", shell(it)));
                    let (mode, owner) = (shell(&mode), owner.unwrap_or_default());
                    let path = shell(&format!("{base}/{name}"));
                    self.preparation += &format!("install -d -m {mode} {owner}{path} || exit 1\n");
                }
            }
        }
        if let Some(dir) = self.last("WorkingDirectory") {
            let path = dir.trim_start_matches('-');
            if path.starts_with('/') {
                let otherwise = if dir.starts_with('-') { ":" } else { "exit 1" };
                self.preparation += &format!("cd {} || {otherwise}\n", shell(path));
            } else {
                self.missing.push(format!("WorkingDirectory={dir}"));
            }
        }
    }

    /// `run`: the commands before the service, and the service.
    fn main(&mut self, file: &str) -> Result<(), Failure> {
        let cannot = |why: &str| Failure::new(CANNOT, format!("unable to import {file}: {why}"));
        let kind = self.last("Type").unwrap_or_else(|| "simple".to_owned());
        let pid_file = self.last("PIDFile");
        let start = self.last("TimeoutStartSec");
        match kind.as_str() {
            "simple" | "exec" | "idle" => {}
            "notify" | "notify-reload" => {
                self.plan.file("notify-socket", "");
                let time = start.as_deref().map_or(Some(Some(USUAL_TIMEOUT)), time);
                match (time, &start) {
                    (Some(Some(time)), _) => self.plan.file("timeout-ready", milliseconds(time)),
                    (None, Some(start)) => self.missing.push(format!("TimeoutStartSec={start}")),
                    _ => {}
                }
            }
            "forking" => {
                let text = pid_file.as_ref().map(|path| {
                    let path =
                        if path.starts_with('/') { path.clone() } else { format!("/run/{path}") };
                    format!("pid-file {path}\n")
                });
                let text = text.unwrap_or_else(|| "follow\n".to_owned());
                self.option("background", &text, "Type=forking".to_owned());
            }
            "oneshot" => return Err(cannot("Type=oneshot is no service that stays")),
            _ => self.missing.push(format!("Type={kind} (as simple)")),
        }
        let is_notifying = kind.starts_with("notify");
        if let Some(path) = pid_file.filter(|_| kind != "forking") {
            self.differences
                .push(format!("PIDFile={path} is not read: supervise knows the process"));
        }
        if let Some(start) = start.filter(|it| !is_notifying && time(it) != Some(None)) {
            self.missing.push(format!("TimeoutStartSec={start} (without Type=notify)"));
        }
        let mut splits = false;
        let mut lines = String::new();
        for key in ["ExecCondition", "ExecStartPre"] {
            for value in self.all(key).unwrap_or_default() {
                let Some(line) = self.command(key, &value) else { continue };
                splits |= line.splits;
                let otherwise = if line.may_fail { ":" } else { "exit 1" };
                lines += &format!("{} || {otherwise}\n", line.with(&self.account));
            }
        }
        let value = self.last("ExecStart").ok_or_else(|| cannot("it has no ExecStart"))?;
        let line = ExecLine::parse(&value)
            .map_err(|why| cannot(&format!("ExecStart={}: {why}", escape(&value))))?;
        splits |= line.splits;
        if line.may_fail {
            self.differences.push("ExecStart=-: each end counts the same for supervise".to_owned());
        }
        lines += &format!("exec {}\n", line.with(&self.account));
        let no_patterns = if splits { "set -f\n" } else { "" };
        let run = format!("{}{no_patterns}{}{lines}", self.head, self.preparation);
        self.plan.script("run", run);
        Ok(())
    }

    /// The helper scripts for ExecReload, ExecStop and ExecStopPost, which runit's names give.
    fn reload_and_stop(&mut self) {
        let mut is_runit = false;
        for (key, path, signal) in [
            ("ExecReload", "control/h", Some("HUP")),
            ("ExecStop", "control/t", None),
            ("ExecStopPost", "finish", None),
        ] {
            let values = self.all(key).unwrap_or_default();
            let mut script = format!("{}set -f\n", self.head);
            let mut commands = 0;
            let mut sends = false;
            for value in &values {
                let Some(line) = self.command(key, value) else { continue };
                match line.main_process_signal() {
                    Some(name) if Some(name) == signal => {
                        sends = true;
                        continue;
                    }
                    Some(name) if key == "ExecStop" && values.len() == 1 => {
                        self.option("down-signal", &format!("{name}\n"), format!("{key}={value}"));
                        continue;
                    }
                    _ => {}
                }
                if line.needs_main_pid() {
                    self.missing.push(format!("{key}={value} (the script does not know $MAINPID)"));
                    continue;
                }
                commands += 1;
                // After a failed check nothing is reloaded; after a failed stop supervise sends TERM.
                let otherwise = match (line.may_fail, key) {
                    (true, _) => ":",
                    (false, "ExecReload") => "exit 0",
                    (false, _) => "exit 1",
                };
                script += &format!("{} || {otherwise}\n", line.with(&self.account));
            }
            if commands == 0 {
                continue;
            }
            is_runit = true;
            script += if sends { "# supervise sends HUP.\nexit 1\n" } else { "exit 0\n" };
            self.plan.script(path, script);
        }
        if is_runit {
            self.plan.file("personality", "runit\n");
        }
    }

    fn stopping(&mut self) {
        match self.last("KillMode").as_deref() {
            None | Some("control-group") => self.plan.file("stop-scope", "tree\n"),
            Some("process") => {}
            Some("mixed") => {
                self.plan.file("stop-scope", "tree\n");
                self.differences.push(
                    "KillMode=mixed: the first signal, too, goes to all processes".to_owned(),
                );
            }
            Some(other) => self.missing.push(format!("KillMode={other}")),
        }
        if let Some(signal) = self.last("KillSignal") {
            self.option("down-signal", &format!("{signal}\n"), format!("KillSignal={signal}"));
        }
        let both = self.last("TimeoutSec");
        let stop = self.last("TimeoutStopSec").or(both);
        match stop.as_deref().map_or(Some(Some(USUAL_TIMEOUT)), time) {
            Some(Some(limit)) => self.plan.file("timeout-kill", milliseconds(limit)),
            Some(None) => {}
            None => self.missing.push(format!("TimeoutStopSec={}", stop.unwrap_or_default())),
        }
        if let Some(limit) = self.last("WatchdogSec") {
            match time(&limit) {
                Some(Some(limit)) => self.plan.file("timeout-watchdog", milliseconds(limit)),
                Some(None) => {}
                None => self.missing.push(format!("WatchdogSec={limit}")),
            }
        }
    }

    fn restarting(&mut self) {
        if let Some(when) = self.last("Restart").filter(|when| when != "always") {
            self.differences.push(format!(
                "Restart={when}: supervise restarts it after each end, unless it is told to stop"
            ));
        }
        if let Some(delay) = self.last("RestartSec") {
            match time(&delay) {
                Some(Some(time)) => {
                    self.option(
                        "restart-delay",
                        &milliseconds(time),
                        format!("RestartSec={delay}"),
                    );
                }
                Some(None) => {}
                None => self.missing.push(format!("RestartSec={delay}")),
            }
        }
        let mut limit = |names: [&str; 3]| {
            let mut find = |section, key| self.unit.take(section, key)?.pop();
            find("Unit", names[0])
                .or_else(|| find("Service", names[0]))
                .or_else(|| find("Unit", names[1]).or_else(|| find("Service", names[2])))
        };
        let burst = limit(["StartLimitBurst"; 3]);
        let interval = limit(["StartLimitIntervalSec", "StartLimitInterval", "StartLimitInterval"]);
        if burst.is_none() && interval.is_none() {
            return;
        }
        let within = interval.as_deref().map_or(Some(Some(Duration::from_secs(10))), time);
        let (burst, interval) =
            (burst.unwrap_or_else(|| "5".to_owned()), interval.unwrap_or_default());
        match within {
            // No limit.
            Some(None) => {}
            Some(Some(within)) => {
                let text = format!("{burst} in {}", milliseconds(within));
                self.option("restart-limit", &text, format!("StartLimitBurst={burst}"));
            }
            None => self.missing.push(format!("StartLimitIntervalSec={interval}")),
        }
    }

    fn limits_and_sockets(&mut self) {
        let limits = resources::text(&mut self.unit, self.user.is_some(), &mut self.missing);
        if !limits.is_empty() {
            self.plan.file("resource-limits", limits);
        }
        let sockets = listen_lines::text(&mut self.unit, &mut self.missing);
        if !sockets.is_empty() {
            self.plan.file("listen", sockets);
            self.plan.file("listen-on-demand", "");
        }
    }

    /// What only describes the unit, and the start at boot, which is `svctl add`.
    fn skip_descriptions(&mut self) {
        for (section, key) in
            [("Unit", "Description"), ("Unit", "Documentation"), ("Install", "WantedBy")]
        {
            let _ = self.unit.take(section, key);
        }
        // supervise leaves SIGPIPE alone, which this asks for.
        if let Some(value) = self.last("IgnoreSIGPIPE").filter(|value| is_true(value)) {
            self.missing.push(format!("IgnoreSIGPIPE={value}"));
        }
    }
}

/// A time of systemd.time(7): `Some(None)` is without a limit, `None` is not a time.
fn time(text: &str) -> Option<Option<Duration>> {
    if text == "infinity" {
        return Some(None);
    }
    spans(text).map(|time| Some(time).filter(|time| !time.is_zero()))
}

/// A time for an option file.
fn milliseconds(time: Duration) -> String {
    match time.as_millis() {
        whole if whole % 1000 == 0 => format!("{}s\n", whole / 1000),
        other => format!("{other}ms\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_systemd_become_times_of_option_files() {
        for (text, seconds) in [("90", 90), ("1min 30s", 90), ("1h", 3600), ("5 s", 5)] {
            assert_eq!(time(text), Some(Some(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!(time("infinity"), Some(None));
        assert_eq!(time("0"), Some(None));
        assert_eq!(time("soon"), None);
        assert_eq!(milliseconds(Duration::from_millis(1500)), "1500ms\n");
    }
}
