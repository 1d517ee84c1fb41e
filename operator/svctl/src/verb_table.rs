//! Every verb, described once: the parser, the help and the completions use this table.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::options::{self as opt, Opt};
use crate::verbs;

/// What an operand is, for completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A service of the scan directory.
    Service,
    /// A directory.
    Directory,
    /// A verb.
    Verb,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, and then files.
    WordThenFiles(&'static [&'static str]),
    /// Services, and then states with commas between them.
    ServicesThenStates(&'static [&'static str]),
    /// Something that cannot be completed, or nothing.
    Other,
}

/// A verb.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// Other names for it, which say so.
    pub(crate) aliases: &'static [&'static str],
    /// The operands as the help shows them.
    pub(crate) operands: &'static str,
    /// What the operands are.
    pub(crate) operand: Operand,
    /// One line for the list of verbs.
    pub(crate) summary: &'static str,
    pub(crate) options: &'static [&'static Opt],
    /// What to know beyond the summary.
    pub(crate) about: &'static str,
    /// Command lines and what they do.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// Returns the exit code.
    pub(crate) run: fn(&Arguments) -> Result<u8, Failure>,
}

/// The name of the verb that is used without a verb.
pub(crate) const DEFAULT: &str = "list";

/// The verb of a name or an alias.
pub(crate) fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name || verb.aliases.contains(&name))
}

/// A verb without options, aliases and examples, to be completed with `..`.
const PLAIN: Verb = Verb {
    name: "",
    aliases: &[],
    operands: "",
    operand: Operand::Service,
    summary: "",
    options: &[],
    about: "",
    examples: &[],
    run: |_| Ok(0),
};

/// The options of the verbs that change the state of services.
const WAITING: &[&Opt] = &[&opt::NO_WAIT, &opt::TIMEOUT];

/// The verbs in the order of the help.
pub(crate) static VERBS: &[Verb] = &[
    Verb {
        name: "list",
        operands: "[NAME...]",
        summary: "show services, one line each; the default",
        options: &[&opt::FAILED, &opt::DOWN, &opt::LONG, &opt::HOST, &opt::JSON],
        about: "Each line has a symbol and the state, the time since the last start or exit, the process, and \
                what else one should know. Entries of the scan directory that are not supervised are listed \
                with the reason. Without a terminal the columns are separated by tabs: name, state, seconds, \
                process, note. With --host, \
                svctl runs on the other machines through ssh(1), without passwords, and the machine is the first \
                column. Machines that do not answer are named, and the exit code is then 111.",
        examples: &[
            ("svctl", "all services"),
            ("svctl list --failed", "services that need attention"),
            ("svctl list --failed --host web1 --host root@web2", "those of two machines"),
            ("svctl list 'web*'", "services whose names begin with web"),
        ],
        run: verbs::list::run,
        ..PLAIN
    },
    Verb {
        name: "status",
        operands: "NAME...",
        summary: "show everything about services, with their last log lines",
        options: &[&opt::LINES, &opt::HOST, &opt::JSON],
        about: "The exit code is 0 if all are up (and ready, if they report it), 3 if one is not, and 4 if one \
                is unknown or may not be looked at.",
        examples: &[
            ("svctl status web", "one service on one screen"),
            ("svctl status -n 50 web", "with 50 log lines"),
        ],
        run: verbs::status::run,
        ..PLAIN
    },
    Verb {
        name: "why",
        operands: "NAME...",
        summary: "explain the state of services, and what to do",
        options: &[&opt::JSON],
        about: "Follows dependencies to the one that keeps the service down, and shows the reason, the last end \
                and the last log lines. At the end are the findings of doctor for the service.",
        examples: &[("svctl why web", "why web is in its state")],
        run: verbs::why::run,
        ..PLAIN
    },
    Verb {
        name: "logs",
        operands: "[NAME...]",
        summary: "show the log lines of services, merged in the order of time",
        options: &[
            &opt::FOLLOW,
            &opt::LAST,
            &opt::SINCE,
            &opt::UNTIL,
            &opt::GREP,
            &opt::LINE_FORM,
            &opt::UTC,
            &opt::LOG_DIR,
            &opt::TAI,
            &opt::CURSOR,
            &opt::NO_PAGER,
            &opt::HOST,
        ],
        about: "Without NAME it shows all services that log into a directory. It reads the directories of multilog, \
                svlogd and s6-log with each of their stamps, and files that gzip, zstd, xz or bzip2 have compressed. \
                The labels of s6-log are 27 seconds ahead of the others, which is corrected: the logger, or the times of \
                the files, show who wrote them. A line without a stamp has the time of the line before, or else \
                that of its file, which is marked with ~. TIME is YYYY-MM-DD HH:MM:SS in local time, RFC 3339, HH:MM, today, \
                yesterday, now, a TAI64N label, or a duration ago such as 5m or -5m. The lines of a directory stay in \
                their order, and a line that a logger has split over two files is one line. In files above 1 MiB, TIME is found by binary search, so that lines there have to be in \
                the order of their stamps. PATTERN is matched against the message behind the stamp, and \
                in a line that is longer than the buffer (4 KiB to 256 KiB) against its beginning. With -o, short has local \
                times and a line for each day, iso has dates, tai has the lines of the files, cat has the messages, and \
                json has an object a line. Control characters are escaped in short and iso, and everywhere on a terminal. A \
                directory that cannot be read is named, the rest is shown, and the exit code is 111. With -f it goes on \
                across the rotations of loggers and with services that are added, until Ctrl-C or until its reader ends. With \
                --cursor it begins behind the cursor, and writes the file at most once a second and at its end. \
                It finds its place again in a file that a processor has written anew, by the text before the \
                place. Otherwise a warning says what may be missing, and the exit code is 111. \
                With --host the svctl of each machine sends its lines, and with -f a line waits 0.3 seconds for \
                earlier ones of other machines.",
        examples: &[
            ("svctl logs -n 50", "the last 50 lines of all services"),
            ("svctl logs -f web", "the last lines of web, and those that come"),
            ("svctl logs web db --since -5m", "two services in the last five minutes"),
            ("svctl logs --since 'yesterday' --until today -g 'error|fatal'", "yesterday's errors"),
            ("svctl logs -f --host web1 --host root@web2 web", "a service of two machines"),
            ("svctl logs -o json --cursor /var/lib/ship/cursor", "what is new since the last run"),
        ],
        run: verbs::logs::run,
        ..PLAIN
    },
    Verb {
        name: "history",
        operands: "NAME...",
        summary: "show the last changes of services: when, why, and who asked",
        options: &[&opt::SINCE, &opt::HOST, &opt::JSON],
        about: "Each line has the time, the phase before and after, and what is known: how the process ended, why \
                supervise acted, and which command or signal it received. A command of svctl is shown with its user, \
                the user of the login, the terminal and the command line; svc leaves no such note. supervise keeps \
                the last 64 commands and the last 64 other changes in supervise/history. The exit code is 111 if a \
                service has no history. With --host the changes of each machine follow its name.",
        examples: &[
            ("svctl history web", "who stopped web, when, and what happened before"),
            ("svctl history --host web1 --host root@web2 web", "the same on two machines"),
            ("svctl history --since -1h web", "the last hour"),
        ],
        run: verbs::history::run,
        ..PLAIN
    },
    Verb {
        name: "doctor",
        operands: "[NAME...]",
        summary: "find what is wrong with services, and what mends it",
        options: &[&opt::HOST, &opt::JSON],
        about: "Each finding has a name, what was seen, a command to copy and the manual page to read; FINDINGS \
                lists them. Without NAME it examines all services, svscan and the limits of the system. \
                Nothing of a service is executed and nothing is changed. The exit code is 0 without findings, \
                1 with warnings and 2 with errors.",
        examples: &[
            ("svctl doctor", "examine everything"),
            ("svctl doctor web", "examine web and its logger"),
        ],
        run: verbs::doctor::run,
        ..PLAIN
    },
    Verb {
        name: "up",
        aliases: &["start"],
        operands: "NAME...",
        summary: "start services, keep them up, and wait until they are ready",
        options: WAITING,
        about: "A service that does not report its readiness is ready when it has been up for a second. The exit \
                code is 1 if one fails or ends right after its start, and 99 after the timeout.",
        examples: &[
            ("svctl up web", "start web"),
            ("svctl up -T 30s web db", "wait at most 30 seconds"),
        ],
        run: verbs::control::up,
        ..PLAIN
    },
    Verb {
        name: "down",
        aliases: &["stop"],
        operands: "NAME...",
        summary: "stop services, keep them down, and wait until they are down",
        options: &[&opt::NO_WAIT, &opt::TIMEOUT, &opt::KILL_AFTER],
        about: "supervise sends TERM and CONT, or what the files of the service directory say. A service is \
                down when neither it nor one of its scripts runs.",
        examples: &[("svctl down --kill-after 10s web", "send KILL after ten seconds")],
        run: verbs::control::down,
        ..PLAIN
    },
    Verb {
        name: "restart",
        operands: "NAME...",
        summary: "stop and start services, and wait until they are ready again",
        options: &[&opt::NO_WAIT, &opt::TIMEOUT, &opt::ROLLING],
        about: "A service that is down is started. With --rolling the next service is restarted when the last \
                one is ready, and none after one that fails.",
        examples: &[("svctl restart --rolling 'web*'", "never more than one down at a time")],
        run: verbs::control::restart,
        ..PLAIN
    },
    Verb {
        name: "once",
        operands: "NAME...",
        summary: "start services once, without a restart when they end",
        options: WAITING,
        about: "The wait ends when the service is up, or was up and has ended.",
        examples: &[("svctl once backup", "run backup now, and leave it down when it has ended")],
        run: verbs::control::once,
        ..PLAIN
    },
    Verb {
        name: "reload",
        operands: "NAME...",
        summary: "tell services to read their configuration again: HUP",
        options: WAITING,
        about: "It waits until supervise has sent the signal. What HUP does is up to the service, and many end. \
                Only a service with notify-socket can say that it reloads: if it sends RELOADING=1 within a \
                second, svctl waits for its READY=1. A reload that ends at once may not be seen.",
        examples: &[("svctl reload nginx", "nginx reads its files again, without a new process")],
        run: verbs::reload::run,
        ..PLAIN
    },
    Verb {
        name: "pause",
        operands: "NAME...",
        summary: "stop processes where they are: STOP",
        examples: &[("svctl pause batch", "give the processor to others for a while")],
        run: verbs::control::pause,
        ..PLAIN
    },
    Verb {
        name: "cont",
        operands: "NAME...",
        summary: "let paused processes go on: CONT",
        examples: &[("svctl cont batch", "go on where pause has stopped it")],
        run: verbs::control::cont,
        ..PLAIN
    },
    Verb {
        name: "signal",
        operands: "SIGNAL NAME...",
        summary: "send a signal, such as USR1",
        options: &[&opt::GROUP],
        about: "The wanted state does not change: a service that ends and is wanted up starts again. The \
                signals are HUP, ALRM, INT, TERM, KILL, QUIT, USR1, USR2, WINCH, STOP and CONT.",
        examples: &[("svctl signal USR1 nginx", "nginx opens its log files again")],
        run: verbs::control::signal,
        ..PLAIN
    },
    Verb {
        name: "halt",
        operands: "[CODE]",
        operand: Operand::Other,
        summary: "stop every service in order and end svscan, with an exit code",
        about: "The code is 0 unless another one is given. In a container whose process 1 is svscan, this ends \
                the container. A service manager may start svscan again.",
        examples: &[("svctl halt 3", "the container ends with exit code 3")],
        run: verbs::halt::halt,
        ..PLAIN
    },
    Verb {
        name: "wait",
        operands: "NAME... STATE",
        operand: Operand::ServicesThenStates(&["up", "ready", "down", "failed", "gone"]),
        summary: "wait until services are up, ready, down, failed or gone",
        options: &[&opt::TIMEOUT, &opt::ANY],
        about: "STATE may be several, separated by commas: the first one that is reached ends the wait. Nothing \
                is sent.",
        examples: &[("svctl wait db ready -T 1m", "continue when db is ready")],
        run: verbs::wait::run,
        ..PLAIN
    },
    Verb {
        name: "is-up",
        operands: "NAME...",
        summary: "exit with 0 if all are up, else with 1; print nothing",
        about: "The exit code is 4 if a service is unknown or may not be looked at.",
        examples: &[("svctl is-up db || svctl up db", "start db if it is not up")],
        run: verbs::is::up,
        ..PLAIN
    },
    Verb {
        name: "is-ready",
        operands: "NAME...",
        summary: "exit with 0 if all are ready, else with 1; print nothing",
        examples: &[("svctl is-ready web && deploy", "only if web answers")],
        run: verbs::is::ready,
        ..PLAIN
    },
    Verb {
        name: "is-failed",
        operands: "NAME...",
        summary: "exit with 0 if one has failed, else with 1; print nothing",
        examples: &[(
            "svctl is-failed '*' && svctl list --failed | mail -s failed root",
            "a line for cron(8)",
        )],
        run: verbs::is::failed,
        ..PLAIN
    },
    Verb {
        name: "add",
        aliases: &["enable"],
        operands: "DIR [NAME]",
        operand: Operand::Directory,
        summary: "link a service directory into the scan directory, and wait for its start",
        options: &[&opt::DRY_RUN, &opt::NO_WAIT, &opt::TIMEOUT],
        about: "NAME is the last part of DIR by default. The link appears complete: it is made under a \
                temporary name and renamed.",
        examples: &[("svctl add /etc/sv/web", "the same as ln -s /etc/sv/web /service/web")],
        run: verbs::links::add,
    },
    Verb {
        name: "remove",
        aliases: &["disable"],
        operands: "NAME...",
        summary: "remove the link of a service, stop it and its logger, and wait",
        options: &[&opt::DRY_RUN, &opt::TIMEOUT],
        about: "The service directory itself stays. A real directory in the scan directory is not removed.",
        examples: &[("svctl remove web", "rm /service/web, then svc -dx for web and its logger")],
        run: verbs::links::remove,
        ..PLAIN
    },
    Verb {
        name: "hold",
        operands: "NAME...",
        summary: "do not start services at the next boot: make the file down",
        options: &[&opt::DRY_RUN],
        about: "The service runs on until it is stopped.",
        examples: &[("svctl hold web; svctl down web", "web stays down, also after the next boot")],
        run: verbs::links::hold,
        ..PLAIN
    },
    Verb {
        name: "release",
        operands: "NAME...",
        summary: "start services at the next boot again: remove the file down",
        options: &[&opt::DRY_RUN],
        examples: &[(
            "svctl release web; svctl up web",
            "web runs again, also after the next boot",
        )],
        run: verbs::links::release,
        ..PLAIN
    },
    Verb {
        name: "new",
        operands: "NAME -- COMMAND...",
        operand: Operand::Other,
        summary: "make a service directory that runs a command",
        options: &[
            &opt::USER,
            &opt::ENV,
            &opt::LOG,
            &opt::NO_LOG,
            &opt::READY_FD,
            &opt::IN,
            &opt::ADD,
            &opt::TIMEOUT,
            &opt::DRY_RUN,
        ],
        about: "The directory appears complete: it is made under a temporary name and renamed. It has run, \
                env, and log/run with multilog. It is not added to the scan directory without --add.",
        examples: &[
            ("svctl new web --user www -- /usr/sbin/webd -f", "make /etc/sv/web"),
            ("svctl new web --add -- /usr/sbin/webd -f", "make it and start it"),
        ],
        run: verbs::new::run,
        ..PLAIN
    },
    Verb {
        name: "import",
        operands: "unit|compose|procfile FILE...",
        operand: Operand::WordThenFiles(&["compose", "procfile", "unit"]),
        summary: "make service directories from a systemd unit, a process-compose file or a Procfile",
        options: &[
            &opt::NAME,
            &opt::USER,
            &opt::ENV,
            &opt::LOG,
            &opt::NO_LOG,
            &opt::IN,
            &opt::ADD,
            &opt::TIMEOUT,
            &opt::DRY_RUN,
        ],
        about: "The result names each directive without a counterpart, and what works in another way. \
                The directories are made as by new. Have a look at them before you add them. \
                Behind unit, further files are drop-ins, or the socket unit of the service. A template needs a \
                name with an instance. \
                Behind compose and procfile, one file describes several services, and further operands choose \
                some of them. Their commands begin in the directory of the file. The shell runs only commands \
                that need one. A file .env beside the file is read at each start. Services that others need are \
                made first. Of YAML, the parts that such files use are understood; others, such as anchors, are \
                refused with their line.",
        examples: &[
            (
                "svctl import unit --dry-run /lib/systemd/system/cron.service",
                "show what would be made",
            ),
            (
                "svctl import unit postgresql@.service --name postgresql@15-main",
                "make /etc/sv/postgresql@15-main",
            ),
            (
                "svctl import compose process-compose.yaml --user app --add",
                "make all processes of the file services of the user app, and start them",
            ),
            (
                "svctl import procfile Procfile web --env PORT=5000",
                "make /etc/sv/web from one line of a Procfile",
            ),
        ],
        run: verbs::import::run,
        ..PLAIN
    },
    Verb {
        name: "edit",
        operands: "NAME [FILE]",
        summary: "edit a file of a service directory (run), and check it before it is used",
        about: "VISUAL, EDITOR or vi edits a copy. Option files are checked as supervise reads them. Scripts are \
                checked for an interpreter behind #!, for the line ends of Windows and for permission to execute, \
                and shell scripts for their syntax. With a mistake, svctl asks what to do; without a terminal it \
                keeps the copy and says where. The file is replaced in one step and keeps its owner and mode.",
        examples: &[
            ("svctl edit web", "edit the script run of web"),
            ("svctl edit web timeout-kill", "edit or make an option file"),
        ],
        run: verbs::edit::run,
        ..PLAIN
    },
    Verb {
        name: "grant",
        operands: "[NAME...]",
        summary: "let the members of a group see or control services without root",
        options: &[&opt::READ, &opt::CONTROL, &opt::REVOKE, &opt::DRY_RUN],
        about: "Changes the group and mode of the state directory and of its FIFOs, for the service and its logger, \
                and prints each change. The rights stay when supervise starts again. Without NAME it is done for \
                all services of today. With both --read and --control, the members of the second group have to be in \
                the first one as well. What was granted before is replaced. A group that loses the right to \
                control cannot use a FIFO that its members have open either.",
        examples: &[
            ("svctl grant --read adm", "members of adm see all services"),
            ("svctl grant --control www web", "members of www also control web"),
            ("svctl grant --revoke web", "only the owner sees web"),
        ],
        run: verbs::grant::run,
        ..PLAIN
    },
    Verb {
        name: "takeover",
        operands: "[DIR]",
        operand: Operand::Directory,
        summary: "supervise a scan directory instead of daemontools or runit, while services run",
        options: &[&opt::NOW, &opt::RESTART, &opt::TO, &opt::UNIT, &opt::DRY_RUN],
        about: "Kills the svscan or runsvdir of DIR, which stops no service, and starts the svscan of daemontools-rs \
                with the same environment, limits and outputs. The old supervisors run on. Each leaves when its \
                service ends by itself, and then ours starts the service. With --now our supervise adopts each process \
                instead, as supervise(8) describes. A runsv is always replaced in this way, because it never leaves \
                without its service, and so is a supervise of daemontools-encore that runs the logger as well. A \
                service that is down stays down; for that it has a file down for a moment. Under \
                systemd, the unit of the old svscan gets KillMode=process until the next boot, and is stopped. With \
                --to, an svscan of another suite takes over from ours; its supervise adopts no process. \
                Services of s6 are refused. \
                The exit code is 1 if a service stays under its old supervisor or has another process, and 99 if a \
                new supervisor does not come. Run it again to change what is left.",
        examples: &[
            ("svctl takeover --dry-run /etc/service", "show what would happen to each service"),
            ("svctl takeover --now /etc/service", "change everything now; all processes stay"),
            (
                "svctl takeover --now --unit daemontools-rs.service /etc/service",
                "the same, with a unit of systemd",
            ),
            (
                "svctl takeover --to /opt/daemontools/bin /service",
                "go back to the original, as the services end",
            ),
        ],
        run: verbs::takeover::run,
        ..PLAIN
    },
    Verb {
        name: "tree",
        operands: "[NAME...]",
        summary: "show svscan, supervisors, services and their processes, with memory",
        examples: &[
            ("svctl tree", "everything below svscan"),
            ("svctl tree web", "one service with its logger"),
        ],
        run: verbs::tree::run,
        ..PLAIN
    },
    Verb {
        name: "env",
        operands: "NAME",
        summary: "show the environment of the running service, without secrets",
        options: &[&opt::SHOW_SECRETS],
        about: "Lines with # say what the directory env gives the next process. Without a process, its variables are \
                all that is shown. \
                Values of variables whose names contain PASS, SECRET, TOKEN, KEY, CREDENTIAL or AUTH are hidden.",
        examples: &[
            ("svctl env web", "what web was started with"),
            ("svctl env --show-secrets web | grep TOKEN", "a value that is hidden otherwise"),
        ],
        run: verbs::env::run,
        ..PLAIN
    },
    Verb {
        name: "events",
        operands: "[NAME...]",
        summary: "print a line for every change, until Ctrl-C",
        options: &[&opt::HOST, &opt::JSON],
        about: "Follows services that are added and removed meanwhile.",
        examples: &[
            ("svctl events", "each change as it happens"),
            ("svctl events --json 'web*' | jq -r .state", "for a program"),
        ],
        run: verbs::events::run,
        ..PLAIN
    },
    Verb {
        name: "top",
        operand: Operand::Other,
        summary: "show all services on the screen, and follow their changes",
        about: "Enter opens a service, l the logs of the marked services, w why, d doctor and t the tree of processes. \
                / searches, f filters by state, s sorts, Space marks, p pauses, Esc goes back, and ? lists all keys. \
                m lets the wheel of the mouse scroll and a click select; until then, and after another m, the mouse \
                selects text. Why, doctor and the tree are read again when a service changes. \
                It only looks until ! is pressed; then u, d, r, h and o send up, down, restart, HUP and once to the marked services, or to \
                the one under the cursor. What can end a process is asked first. Memory and processor time are \
                measured for the services on the screen only. Without a change and without an age on the screen, it \
                sleeps. It needs a terminal, and ends with 100 without one.",
        examples: &[("svctl top", "look at all services; ? shows the keys")],
        run: verbs::top::run,
        ..PLAIN
    },
    Verb {
        name: "graph",
        operands: "[NAME...]",
        summary: "show which service needs which",
        options: &[&opt::DOT],
        examples: &[("svctl graph --dot | dot -Tsvg >needs.svg", "draw it")],
        run: verbs::graph::run,
        ..PLAIN
    },
    Verb {
        name: "metrics",
        operands: "[NAME...]",
        summary: "print metrics of services for Prometheus",
        options: &[&opt::TEXTFILE, &opt::COMPAT, &opt::OPENMETRICS],
        about: "Each service has the label service. A byte of its name that is not UTF-8 or that a terminal may obey is \
                shown as \\x and two digits, and a backslash as two. up, ready, wanted_up, paused and failed are 0 or 1; \
                a service without a supervise is not up. A service that this user may not look at has no series and is \
                counted in daemontools_services_denied. supervise counts starts_total and deaths_total{cause} in \
                supervise/history, so that they survive its death, an upgrade and a reboot; they begin at 0 again \
                when that file is removed, and the original's supervise does not count. Ends that the end of the \
                machine caused are not counted. The cause is exit, signal, stop (a command or a lost dependency), \
                unhealthy (watchdog, health check or readiness timeout) or unknown (no supervise saw the end). \
                memory_bytes, cpu_seconds_total and processes are of the process and its descendants. \
                cpu_seconds_total begins at 0 with each process, and falls when a descendant ends whose parent \
                does not wait for it. --compat runit and --compat supervisord print the deprecated series node_service_ and \
                node_supervisord_ of node_exporter instead. The files in examples/monitoring use the metrics.",
        examples: &[
            ("svctl metrics", "all metrics, as text"),
            (
                "svctl metrics --textfile /var/lib/prometheus/node-exporter/services.prom",
                "for the textfile collector of node_exporter, from cron",
            ),
            ("svctl metrics --compat supervisord", "what --collector.supervisord showed before"),
        ],
        run: verbs::metrics::run,
        ..PLAIN
    },
    Verb {
        name: "completions",
        operands: "SHELL",
        operand: Operand::Word(&["bash", "fish", "zsh"]),
        summary: "print completions for bash, fish or zsh",
        examples: &[("svctl completions bash >/etc/bash_completion.d/svctl", "for bash")],
        run: verbs::completions::run,
        ..PLAIN
    },
    Verb {
        name: "help",
        operands: "[VERB]",
        operand: Operand::Verb,
        summary: "show this help, or that of a verb",
        examples: &[("svctl help restart", "the options of restart, and examples")],
        run: verbs::help::run,
        ..PLAIN
    },
    Verb {
        name: "version",
        operand: Operand::Other,
        summary: "print the version",
        run: verbs::help::version,
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_texts_are_complete() {
        let names: Vec<_> =
            VERBS.iter().flat_map(|verb| verb.aliases.iter().chain([&verb.name])).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!names.iter().skip(at + 1).any(|other| other == name), "{name}");
        }
        for verb in VERBS {
            assert!(!verb.summary.is_empty() && !verb.summary.ends_with('.'), "{}", verb.name);
            assert!(verb.about.is_empty() || verb.about.ends_with('.'), "{}", verb.name);
            assert!(verb.examples.is_empty() == (verb.name == "version"), "{}", verb.name);
            let mut letters: Vec<_> =
                opt::GLOBAL.iter().chain(verb.options).map(|o| o.long).collect();
            letters.sort_unstable();
            letters.dedup();
            assert_eq!(letters.len(), opt::GLOBAL.len() + verb.options.len(), "{}", verb.name);
        }
        assert!(find(DEFAULT).is_some());
        let states: Vec<_> = servicedir::Goal::ALL.iter().map(|goal| goal.word()).collect();
        let wait = find("wait").map(|verb| verb.operand);
        assert!(matches!(wait, Some(Operand::ServicesThenStates(words)) if words == states));
    }
}
