//! The programs of the package: their names, usage lines, options and help texts.
//!
//! The programs parse their arguments and print their usage and help from this table. The manual
//! pages are compared with it by a test.

use alloc::string::String;

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A program of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `envdir`
    Envdir,
    /// `envfile`
    Envfile,
    /// `envini`
    Envini,
    /// `envuidgid`
    Envuidgid,
    /// `fghack`
    Fghack,
    /// `multilog`
    Multilog,
    /// `pgrphack`
    Pgrphack,
    /// `readproctitle`
    Readproctitle,
    /// `setlock`
    Setlock,
    /// `setuidgid`
    Setuidgid,
    /// `setuser`
    Setuser,
    /// `softlimit`
    Softlimit,
    /// `supervise`
    Supervise,
    /// `svc`
    Svc,
    /// `svok`
    Svok,
    /// `svscan`
    Svscan,
    /// `svscanboot`
    Svscanboot,
    /// `svstat`
    Svstat,
    /// `svup`
    Svup,
    /// `tai64n`
    Tai64n,
    /// `tai64nlocal`
    Tai64nlocal,
}

/// One row of the table.
struct Row {
    name: &'static str,
    options: &'static str,
    usage: &'static str,
}

/// What `--help` shows of a program.
struct HelpRow {
    /// The sentence of the manual page's NAME.
    summary: &'static str,
    /// The arguments after the name, one entry for each line of the manual page's SYNOPSIS.
    synopsis: &'static [&'static str],
    /// Each option with the name of its value, and its meaning.
    options: &'static [(&'static str, &'static str)],
}

impl Program {
    /// All programs, in the order of their names.
    pub const ALL: [Self; 21] = [
        Self::Envdir,
        Self::Envfile,
        Self::Envini,
        Self::Envuidgid,
        Self::Fghack,
        Self::Multilog,
        Self::Pgrphack,
        Self::Readproctitle,
        Self::Setlock,
        Self::Setuidgid,
        Self::Setuser,
        Self::Softlimit,
        Self::Supervise,
        Self::Svc,
        Self::Svok,
        Self::Svscan,
        Self::Svscanboot,
        Self::Svstat,
        Self::Svup,
        Self::Tai64n,
        Self::Tai64nlocal,
    ];

    const fn row(self) -> Row {
        let [name, options, usage] = match self {
            Self::Envdir => ["envdir", "p:", "envdir: usage: envdir dir child"],
            Self::Envfile => ["envfile", "", "envfile: usage: envfile file child"],
            Self::Envini => ["envini", "p:", "envini: usage: envini [ -p prefix ] inifile child"],
            Self::Envuidgid => ["envuidgid", "", "envuidgid: usage: envuidgid account child"],
            Self::Fghack => ["fghack", "f", "fghack: usage: fghack child"],
            Self::Multilog => ["multilog", "", ""],
            Self::Pgrphack => ["pgrphack", "", "pgrphack: usage: pgrphack child"],
            Self::Readproctitle => ["readproctitle", "", ""],
            Self::Setlock => {
                ["setlock", "nNxX", "setlock: usage: setlock [ -nNxX ] file program [ arg ... ]"]
            }
            Self::Setuidgid => ["setuidgid", "se", "setuidgid: usage: setuidgid account child"],
            Self::Setuser => ["setuser", "", "setuser: usage: setuser account child"],
            Self::Softlimit => [
                "softlimit",
                "a:c:d:f:l:m:o:p:r:s:t:",
                "softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] \
                 [-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] \
                 [-r residentbytes] [-s stackbytes] [-t cpusecs] child",
            ],
            Self::Supervise => ["supervise", "", "supervise: usage: supervise dir"],
            Self::Svc => [
                "svc",
                "udopchaitkxq12wlL+=W:T:H:",
                "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, \
                 i interrupt, t term, k kill",
            ],
            Self::Svok => ["svok", "", "svok: usage: svok dir"],
            Self::Svscan => [
                "svscan",
                "jkpt:u",
                "svscan: usage: svscan [-jkpu] [-t seconds] [dir [logservice]]",
            ],
            Self::Svscanboot => [
                "svscanboot",
                "ke:l:t:",
                "svscanboot: usage: svscanboot [-k] [-e envdir] [-l logfile] [-t seconds] [dir]",
            ],
            Self::Svstat => ["svstat", "lLx", "svstat: usage: svstat [-L] [-l] [-x] dir [dir ...]"],
            Self::Svup => ["svup", "lLr", "svup: usage: svup [-L] [-l] [-r] dir"],
            Self::Tai64n => ["tai64n", "", ""],
            Self::Tai64nlocal => ["tai64nlocal", "", ""],
        };
        Row { name, options, usage }
    }

    const fn help_row(self) -> HelpRow {
        match self {
            Self::Envdir => HelpRow {
                summary: "run a program with environment variables from a directory",
                synopsis: &["[-p prefix] dir prog [arg]..."],
                options: &[("-p prefix", "put this before the name of each variable")],
            },
            Self::Envfile => HelpRow {
                summary: "run a program with environment variables from a file of NAME=VALUE lines",
                synopsis: &["file prog [arg]..."],
                options: &[],
            },
            Self::Envini => HelpRow {
                summary: "run a program with environment variables from an ini file",
                synopsis: &["[-p prefix] file prog [arg]..."],
                options: &[("-p prefix", "put this before the name of each variable")],
            },
            Self::Envuidgid => HelpRow {
                summary: "run a program with the ids of an account in its environment",
                synopsis: &["account prog [arg]..."],
                options: &[],
            },
            Self::Fghack => HelpRow {
                summary: "keep a daemon that goes into the background under supervision",
                synopsis: &["[-f] prog [arg]..."],
                options: &[("-f", "forward signals to the daemon")],
            },
            Self::Multilog => HelpRow {
                summary: "write lines to rotated logs of limited size",
                synopsis: &["[action]..."],
                options: &[],
            },
            Self::Pgrphack => HelpRow {
                summary: "run a program in a new session and process group",
                synopsis: &["prog [arg]..."],
                options: &[],
            },
            Self::Readproctitle => HelpRow {
                summary: "show the last messages in the list of processes",
                synopsis: &["[label]... dots"],
                options: &[],
            },
            Self::Setlock => HelpRow {
                summary: "run a program with a file locked",
                synopsis: &["[-n | -N] [-x | -X] file prog [arg]..."],
                options: &[
                    ("-n", "fail if another process holds the lock"),
                    ("-N", "wait until the lock is free; the default"),
                    ("-x", "exit 0 without a message if the file cannot be opened or locked"),
                    ("-X", "print a message and exit 111 in that case; the default"),
                ],
            },
            Self::Setuidgid => HelpRow {
                summary: "run a program as another user",
                synopsis: &["[-s] [-e] account prog [arg]..."],
                options: &[
                    ("-s", "set the supplementary groups to all groups of the account"),
                    ("-e", "set HOME, SHELL, USER and LOGNAME"),
                ],
            },
            Self::Setuser => HelpRow {
                summary: "run a program as another user in the home directory of that user",
                synopsis: &["account prog [arg]..."],
                options: &[],
            },
            Self::Softlimit => HelpRow {
                summary: "run a program with other resource limits",
                synopsis: &["[-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] \
                             [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] \
                             [-r residentbytes] [-s stackbytes] [-t cpusecs] prog [arg]..."],
                options: &[
                    ("-a allbytes", "all memory of a process"),
                    ("-c corebytes", "the size of a core file"),
                    ("-d databytes", "the data segment of a process"),
                    ("-f filebytes", "the size of a file that a process writes"),
                    ("-l lockbytes", "the memory that a process locks"),
                    ("-m membytes", "the same as -d -s -l -a with this value"),
                    ("-o openfiles", "the open descriptors of a process"),
                    ("-p processes", "the processes of the user"),
                    ("-r residentbytes", "the resident memory of a process"),
                    ("-s stackbytes", "the stack of a process"),
                    ("-t cpusecs", "the processor time of a process in seconds"),
                ],
            },
            Self::Supervise => {
                HelpRow { summary: "keep one service running", synopsis: &["dir"], options: &[] }
            }
            Self::Svc => HelpRow {
                summary: "control services",
                synopsis: &[
                    "[-udopchaitkxq12wlL+=]... [-W state] [-T milliseconds] [dir]...",
                    "-H code scandir...",
                ],
                options: &[
                    ("-u", "up: start the service, and again whenever it ends"),
                    ("-d", "down: send TERM, then CONT, and do not start it again"),
                    ("-o", "once: start the service, and do not start it again when it ends"),
                    ("-x", "exit: supervise exits as soon as the service is down"),
                    ("-p", "pause: send STOP"),
                    ("-c", "continue: send CONT"),
                    ("-h", "send HUP"),
                    ("-a", "send ALRM"),
                    ("-i", "send INT"),
                    ("-t", "send TERM"),
                    ("-k", "send KILL"),
                    ("-q", "send QUIT"),
                    ("-1", "send USR1"),
                    ("-2", "send USR2"),
                    ("-w", "send WINCH"),
                    ("-l", "the letters after this one are for the service; the default"),
                    ("-L", "the letters after this one are for the log script"),
                    ("-+", "signals after this one go to the process group"),
                    ("-=", "signals after this one go to the service process; the default"),
                    ("-W state", "wait until all services are up, down or ready"),
                    ("-T milliseconds", "wait no longer than this time"),
                    ("-H code", "end the svscan of a scan directory with this exit code"),
                ],
            },
            Self::Svok => HelpRow {
                summary: "check whether a service has a running supervisor",
                synopsis: &["dir"],
                options: &[],
            },
            Self::Svscan => HelpRow {
                summary: "supervise every service in a scan directory",
                synopsis: &[
                    "[-jkp] [-t seconds] [dir [logservice]]",
                    "[-jkp] [-t seconds] dir [logservice] -- command [arg ...]",
                    "-u [dir]",
                ],
                options: &[
                    ("-j", "write the output of services as JSON, a line an object"),
                    ("-k", "keep a service running when its name is removed"),
                    ("-p", "write the name of its service in front of each line of output"),
                    ("-t seconds", "limit the stop: kill what is left after this time"),
                    ("-u", "upgrade the svscan that runs on the directory"),
                ],
            },
            Self::Svscanboot => HelpRow {
                summary: "start all services of a machine",
                synopsis: &["[-k] [-e envdir] [-l logfile] [-t seconds] [dir]"],
                options: &[
                    ("-k", "pass -k to svscan"),
                    ("-e envdir", "read the variables from this directory"),
                    ("-l logfile", "write the text to this file"),
                    ("-t seconds", "pass -t to svscan"),
                ],
            },
            Self::Svstat => HelpRow {
                summary: "show the state of services",
                synopsis: &["[-L] [-l] [-x] [dir]..."],
                options: &[
                    ("-l", "show the service only, not its log script"),
                    ("-L", "show the log script only"),
                    ("-x", "show extended output for the service"),
                ],
            },
            Self::Svup => HelpRow {
                summary: "check whether a service is up or ready",
                synopsis: &["[-L] [-l] [-r] dir"],
                options: &[
                    ("-l", "check the service and ignore its log script"),
                    ("-L", "check the log script and ignore the service"),
                    ("-r", "require that the service is ready, not only up"),
                ],
            },
            Self::Tai64n => HelpRow {
                summary: "put a TAI64N label before each line",
                synopsis: &[""],
                options: &[],
            },
            Self::Tai64nlocal => HelpRow {
                summary: "show TAI64N labels as local dates",
                synopsis: &[""],
                options: &[],
            },
        }
    }

    /// The name of the command.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The option letters, each followed by `:` if it takes a value, as for
    /// [`Getopt`](crate::text::getopt::Getopt).
    ///
    /// fghack knows its only option as a whole first argument: every other word is the program
    /// that it runs. multilog has no options but a script of actions.
    #[must_use]
    pub const fn options(self) -> &'static str {
        self.row().options
    }

    /// The message for bad usage; empty if the program prints none.
    #[must_use]
    pub const fn usage(self) -> &'static str {
        self.row().usage
    }

    /// What the program does, as the NAME section of its manual page has it.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        self.help_row().summary
    }

    /// The arguments of the program, one entry for each line of its manual page's SYNOPSIS.
    #[must_use]
    pub const fn synopsis(self) -> &'static [&'static str] {
        self.help_row().synopsis
    }

    /// The text of `--help`.
    #[must_use]
    pub fn help(self) -> String {
        let mut text = String::new();
        for (n, arguments) in self.synopsis().iter().enumerate() {
            text.push_str(if n == 0 { "Usage: " } else { "       " });
            text.push_str(self.name());
            if !arguments.is_empty() {
                text.push(' ');
                text.push_str(arguments);
            }
            text.push('\n');
        }
        add(&mut text, &["\n", self.name(), " - ", self.summary(), "\n\n"]);
        let common = [("--help", "show this text"), ("--version", "show the version")];
        for (option, meaning) in self.help_row().options.iter().chain(&common) {
            let padding = PADDING.get(option.len()..).unwrap_or("  ");
            add(&mut text, &["  ", option, padding, meaning, "\n"]);
        }
        add(&mut text, &["\nThe manual is ", self.name(), "(8).\n"]);
        text
    }

    /// The text of `--version`.
    #[must_use]
    pub fn version(self) -> String {
        version_of(self.name())
    }

    /// The program with this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name().as_bytes() == name)
    }
}

/// Fills the column of the options in the text of `--help`.
const PADDING: &str = "                  ";

fn add(text: &mut String, pieces: &[&str]) {
    pieces.iter().for_each(|piece| text.push_str(piece));
}

/// The text of `--version` for a name.
#[must_use]
pub fn version_of(name: &str) -> String {
    let mut text = String::new();
    add(&mut text, &[name, " (daemontools-rs) ", VERSION, "\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(Program::ALL.map(Program::name).is_sorted_by(|a, b| a < b));
        for program in Program::ALL {
            assert_eq!(Program::named(program.name().as_bytes()), Some(program));
        }
        assert_eq!(Program::named(b""), None);
    }

    #[test]
    fn option_letters_are_unique() {
        for program in Program::ALL {
            let letters: alloc::vec::Vec<char> =
                program.options().chars().filter(|&c| c != ':').collect();
            for (n, letter) in letters.iter().enumerate() {
                assert!(!letters[..n].contains(letter), "{program:?} {letter}");
            }
        }
    }

    #[test]
    fn help_describes_every_option_once() {
        for program in Program::ALL {
            let known = program.options().replace(':', "");
            let mut letters: alloc::vec::Vec<char> = program
                .help_row()
                .options
                .iter()
                .filter_map(|(option, _)| option.strip_prefix('-')?.chars().next())
                .collect();
            for (option, _) in program.help_row().options {
                let letter = option.strip_prefix('-').and_then(|rest| rest.chars().next());
                let has_value = option.len() > 2;
                let mut pattern = String::from(letter.unwrap_or_default());
                pattern.push(':');
                assert_eq!(program.options().contains(&pattern), has_value, "{program:?} {option}");
                assert!(option.len() < PADDING.len(), "{option}");
            }
            let mut expected: alloc::vec::Vec<char> = known.chars().collect();
            letters.sort_unstable();
            expected.sort_unstable();
            assert_eq!(letters, expected, "{program:?}");
        }
    }

    #[test]
    fn help_and_version_are_texts() {
        let help = Program::Svscan.help();
        let start = "Usage: svscan [-jkp] [-t seconds] [dir [logservice]]\n       \
                     svscan [-jkp] [-t seconds] dir [logservice] -- command [arg ...]\n       \
                     svscan -u [dir]\n\n\
                     svscan - supervise every service in a scan directory\n\n  -j  ";
        assert!(help.starts_with(start), "{help}");
        assert!(help.ends_with("\nThe manual is svscan(8).\n"), "{help}");
        assert!(Program::Tai64n.help().starts_with("Usage: tai64n\n\n"));
        let version = Program::Svok.version();
        assert!(version.starts_with("svok (daemontools-rs) 0."), "{version}");
    }
}
