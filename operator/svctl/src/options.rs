//! The options, each described once: the parser, the help and the completions use them.

/// An option.
#[derive(Debug)]
pub(crate) struct Opt {
    /// Its name behind `--`.
    pub(crate) long: &'static str,
    /// Its letter behind `-`.
    pub(crate) short: Option<char>,
    /// What its value is, if it has one.
    pub(crate) value: Option<&'static str>,
    /// One sentence without a full stop.
    pub(crate) help: &'static str,
}

const fn flag(long: &'static str, help: &'static str) -> Opt {
    Opt { long, short: None, value: None, help }
}

const fn valued(long: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt { long, short: None, value: Some(value), help }
}

impl Opt {
    const fn letter(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// As the help shows it: `-T, --timeout TIME`.
    pub(crate) fn shown(&self) -> String {
        let short = self.short.map_or_else(String::new, |letter| format!("-{letter}, "));
        let value = self.value.map_or_else(String::new, |value| format!(" {value}"));
        format!("{short}--{}{value}", self.long)
    }
}

pub(crate) const DIR: Opt = valued("dir", "DIR", "the scan directory").letter('d');
pub(crate) const JSON: Opt = flag("json", "print JSON, as svctl-json(5) describes it");
pub(crate) const COLOR: Opt = valued("color", "WHEN", "auto, always or never");
pub(crate) const HELP: Opt = flag("help", "show the help of the verb").letter('h');

/// The options of every verb.
pub(crate) const GLOBAL: [&Opt; 3] = [&DIR, &COLOR, &HELP];

pub(crate) const FAILED: Opt =
    flag("failed", "only services that have failed or wait after a death");
pub(crate) const DOWN: Opt = flag("down", "only services that are not up");
pub(crate) const LONG: Opt =
    flag("long", "with memory, processor time and the number of processes").letter('l');
pub(crate) const LINES: Opt = valued("lines", "N", "how many log lines to show (10)").letter('n');
pub(crate) const NO_WAIT: Opt = flag("no-wait", "send the command and do not wait");
pub(crate) const TIMEOUT: Opt =
    valued("timeout", "TIME", "give up after this time, such as 30s").letter('T');
pub(crate) const ROLLING: Opt =
    flag("rolling", "one service after the other, each when the last is ready");
pub(crate) const KILL_AFTER: Opt =
    valued("kill-after", "TIME", "send KILL to a service that is still up then");
pub(crate) const GROUP: Opt = flag("group", "send it to the process group of the service");
pub(crate) const ANY: Opt = flag("any", "end when one service has reached the state");
pub(crate) const DRY_RUN: Opt = flag("dry-run", "say what would be done, and do nothing");
pub(crate) const USER: Opt = valued("user", "USER", "run it as this user").letter('u');
pub(crate) const ENV: Opt =
    valued("env", "KEY=VALUE", "set a variable; may be repeated").letter('e');
pub(crate) const LOG: Opt =
    valued("log", "DIR", "log into this directory; without it into log/main");
pub(crate) const NO_LOG: Opt = flag("no-log", "make no logger");
pub(crate) const READY_FD: Opt =
    valued("ready-fd", "N", "it writes a line to descriptor N when it is ready");
pub(crate) const ADD: Opt = flag("add", "add it to the scan directory at once");
pub(crate) const IN: Opt = valued("in", "DIR", "make the directory below DIR (/etc/sv)");
pub(crate) const READ: Opt = valued("read", "GROUP", "let the group see the services");
pub(crate) const CONTROL: Opt =
    valued("control", "GROUP", "let the group see and control the services");
pub(crate) const REVOKE: Opt = flag("revoke", "take the rights of groups away");
pub(crate) const HOST: Opt = valued(
    "host",
    "[USER@]HOST",
    "ask svctl on this machine through ssh; may be repeated; @FILE names a file of names",
);
pub(crate) const NAME: Opt = valued("name", "NAME", "the name of the service");
pub(crate) const NOW: Opt =
    flag("now", "change each service now: supervise adopts its process, which runs on");
pub(crate) const RESTART: Opt = flag("restart", "as --now, and restart what cannot be adopted");
pub(crate) const TO: Opt =
    valued("to", "DIR", "the programs that take over are in DIR, and not in PATH");
pub(crate) const UNIT: Opt =
    valued("unit", "UNIT", "start this unit of systemd instead of svscan itself");
pub(crate) const SHOW_SECRETS: Opt = flag("show-secrets", "show all values");
pub(crate) const DOT: Opt = flag("dot", "print a graph for dot(1)");
pub(crate) const LOG_DIR: Opt =
    valued("log-dir", "DIR", "read this log directory; may be repeated");
pub(crate) const LAST: Opt = valued("lines", "N", "only the last N lines").letter('n');
pub(crate) const FOLLOW: Opt =
    flag("follow", "go on with the lines that come; without -n or --since after the last 10")
        .letter('f');
pub(crate) const SINCE: Opt = valued("since", "TIME", "nothing before this time");
pub(crate) const UNTIL: Opt = valued("until", "TIME", "nothing after this time");
pub(crate) const GREP: Opt =
    valued("grep", "PATTERN", "only lines whose message matches this regular expression")
        .letter('g');
pub(crate) const LINE_FORM: Opt =
    valued("output", "FORM", "short, iso, tai, cat or json").letter('o');
pub(crate) const UTC: Opt = flag("utc", "times in UTC instead of local time");
pub(crate) const TAI: Opt =
    valued("tai", "WRITER", "labels count as those of djb or of s6, which are 27 seconds ahead");
pub(crate) const CURSOR: Opt = valued(
    "cursor",
    "FILE",
    "begin where the last run with this file ended; or the text of such a file",
);
pub(crate) const TEXTFILE: Opt = valued(
    "textfile",
    "FILE",
    "replace FILE in one step instead of printing; for node_exporter it ends with .prom",
);
pub(crate) const COMPAT: Opt = valued(
    "compat",
    "COLLECTOR",
    "the series of node_exporter for runit or for supervisord, for dashboards that exist",
);
pub(crate) const OPENMETRICS: Opt =
    flag("openmetrics", "the format OpenMetrics instead of the text format of Prometheus");
pub(crate) const NO_PAGER: Opt = flag("no-pager", "do not start a pager on a terminal");
