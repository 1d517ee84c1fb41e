//! A program inherits everything unchanged through a chain loader, except for the loader's purpose.
//! Each test compares a loader with a run of the program without one, under the same conditions.

use harness::{Cmd, DEADLINE, Process, Tree, account, is_root, process, wait_for};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

/// The state of a process that other processes can see.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    arguments: Vec<OsString>,
    environment: Vec<OsString>,
    directory: Option<PathBuf>,
    /// The open descriptors by number: file and flags.
    descriptors: BTreeMap<i32, (PathBuf, String)>,
    /// Lines of `status`: ids, signals, mask, privileges.
    status: BTreeMap<String, String>,
    /// Lines of `limits` by their names.
    limits: BTreeMap<String, String>,
    nice: String,
    oom: String,
    /// Parent, group and session.
    relatives: [Option<u32>; 3],
}

impl Seen {
    #[track_caller]
    fn of(pid: u32) -> Self {
        let file = |name: &str| {
            fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the program runs")
        };
        let status = file("status")
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| {
                let kept = ["Uid", "Gid", "Groups", "Umask", "NoNewPrivs", "Seccomp"];
                let kept = kept.contains(name) || name.starts_with("Cap");
                // Pending, blocked, ignored and caught signals.
                kept || name.starts_with("Sig") && *name != "SigQ" || *name == "ShdPnd"
            })
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let limits = file("limits")
            .lines()
            .skip(1)
            .map(|line| (line[..26].trim().to_owned(), line[26..].to_owned()))
            .collect();
        let stat = file("stat");
        let (_, stat) = stat.rsplit_once(") ").expect("a name in parentheses");
        Self {
            arguments: process::arguments(pid),
            environment: process::environment(pid),
            directory: process::directory(pid),
            descriptors: process::descriptors(pid)
                .into_iter()
                .map(|(number, target)| (number, (target, file(&format!("fdinfo/{number}")))))
                .collect(),
            status,
            limits,
            nice: stat.split(' ').nth(16).expect("the nice value").to_owned(),
            oom: file("oom_score_adj"),
            relatives: [process::parent(pid), process::group(pid), process::session(pid)],
        }
    }

    /// The numbers of the open descriptors below 10. Larger ones may come from the caller of the tests.
    fn open(&self) -> Vec<i32> {
        self.descriptors.keys().copied().filter(|&number| number < 10).collect()
    }

    /// Whether all these signals are in a line of `status`.
    #[track_caller]
    fn has_signals(&self, line: &str, mask: u64) -> bool {
        let found = u64::from_str_radix(&self.status[line], 16).expect("hexadecimal digits");
        found & mask == mask
    }
}

const LOADERS: [&str; 7] =
    ["envdir", "envuidgid", "setuidgid", "softlimit", "setlock", "pgrphack", "fghack"];

/// The words before the program for each loader.
fn words(tree: &Tree, loader: &str) -> Vec<OsString> {
    let mut words = vec![loader.into()];
    match loader {
        "envdir" => {
            tree.write("loaders/env/ADDED", "by envdir \n");
            tree.write("loaders/env/CHANGED", "by envdir\n");
            tree.write("loaders/env/REMOVED", "");
            words.push(tree.path("loaders/env").into());
        }
        "envuidgid" | "setuidgid" => words.push(account().0.into()),
        "softlimit" => words.extend(["-c".into(), "0".into(), "-t".into(), "12345".into()]),
        "setlock" => words.push(tree.path("loaders/lock").into()),
        _ => {}
    }
    words
}

/// Asserts that the loader has done its work, and removes this work from the state.
#[track_caller]
fn undo(tree: &Tree, loader: &str, bare: &Seen, seen: &mut Seen) {
    match loader {
        "envdir" => {
            let mut expected = bare.environment.clone();
            expected.retain(|variable| {
                let variable = variable.to_string_lossy();
                !variable.starts_with("CHANGED=") && !variable.starts_with("REMOVED=")
            });
            expected.extend(["ADDED=by envdir".into(), "CHANGED=by envdir".into()]);
            expected.sort();
            // The original also changes the order.
            seen.environment.sort();
            assert_eq!(seen.environment, expected);
            seen.environment.clone_from(&bare.environment);
        }
        "envuidgid" => {
            let (_, uid, gid) = account();
            let mut expected = bare.environment.clone();
            expected.extend([format!("GID={gid}").into(), format!("UID={uid}").into()]);
            expected.sort();
            seen.environment.sort();
            assert_eq!(seen.environment, expected);
            seen.environment.clone_from(&bare.environment);
        }
        "setuidgid" => {
            let (_, uid, gid) = account();
            assert_eq!(seen.status["Uid"], format!("{uid}\t{uid}\t{uid}\t{uid}"));
            assert_eq!(seen.status["Gid"], format!("{gid}\t{gid}\t{gid}\t{gid}"));
            assert_eq!(seen.status["Groups"], gid.to_string());
            for name in ["Uid", "Gid", "Groups", "CapPrm", "CapEff"] {
                seen.status.insert(name.to_owned(), bare.status[name].clone());
            }
        }
        "softlimit" => {
            for name in ["Max core file size", "Max cpu time"] {
                seen.limits.insert(name.to_owned(), bare.limits[name].clone());
            }
        }
        "setlock" => {
            let lock = tree.path("loaders/lock");
            let before = seen.descriptors.len();
            seen.descriptors.retain(|_, (target, _)| *target != lock);
            assert_eq!(seen.descriptors.len(), before - 1, "one descriptor for the lock");
        }
        "fghack" => {
            let mut pipes: Vec<_> = seen.descriptors.values().map(|(target, _)| target).collect();
            pipes.retain(|target| target.to_string_lossy().starts_with("pipe:"));
            let pipe = pipes[0].clone();
            seen.descriptors.retain(|_, (target, _)| *target != pipe);
            seen.relatives[0] = bare.relatives[0];
        }
        _ => {}
    }
}

/// A program that sleeps.
const PROGRAM: [&str; 2] = ["sleep", "1000"];

/// Waits until the program runs. Returns its pid.
#[track_caller]
fn program(started: &Process, loader: &str) -> u32 {
    let pid = if loader == "fghack" {
        wait_for("fghack's program", DEADLINE, || {
            let mut below = process::descendants(started.pid()).into_iter();
            below.find(|&pid| process::arguments(pid) == PROGRAM)
        })
    } else {
        // Only fghack makes a process.
        started.pid()
    };
    process::wait_asleep(pid, PROGRAM[0]);
    pid
}

/// Compares every loader with a run without one. `start` starts the given words under the conditions of
/// the test.
#[track_caller]
fn compare<'t>(tree: &'t Tree, start: impl Fn(&[OsString]) -> Cmd<'t>, check: impl Fn(&Seen)) {
    let run = |loader: Option<&str>| {
        let mut all = loader.map(|loader| words(tree, loader)).unwrap_or_default();
        all.extend(PROGRAM.map(OsString::from));
        let started = start(&all).start();
        let pid = program(&started, loader.unwrap_or("none"));
        if loader.is_some_and(|loader| loader != "fghack") {
            assert_eq!(process::descendants(pid), [], "nothing was left behind");
        }
        (Seen::of(pid), pid, started)
    };
    let (bare, ..) = run(None);
    check(&bare);
    for loader in LOADERS {
        if loader == "setuidgid" && !is_root() {
            continue;
        }
        let (mut seen, pid, _started) = run(Some(loader));
        undo(tree, loader, &bare, &mut seen);
        if loader == "pgrphack" {
            assert_eq!(seen.relatives[1..], [Some(pid), Some(pid)]);
            seen.relatives = bare.relatives;
        }
        if loader == "fghack" {
            // Pending signals belong to a process, and fghack's program is a new process.
            for name in ["SigPnd", "ShdPnd"] {
                seen.status.insert(name.to_owned(), bare.status[name].clone());
            }
        }
        assert_eq!(seen, bare, "through {loader}");
    }
}

/// As [`compare`]. A shell sets up the conditions, and the standard descriptors have fixed names.
#[track_caller]
fn compare_after(setup: &str, check: impl Fn(&Seen)) {
    let tree = Tree::new();
    for name in ["in", "out", "err"] {
        tree.write(name, "");
    }
    // The program of setuidgid writes there as another user.
    tree.mkdir("loaders");
    tree.chmod("loaders", 0o777);
    let script = format!("exec <in >>out 2>>err; {setup} \"$@\"");
    compare(&tree, |words| tree.sh(&script).arg("sh").args(words), check);
    assert_eq!((tree.text("out"), tree.text("err")), (String::new(), String::new()));
}

// Descriptors

#[test]
fn no_other_than_the_standard_descriptors_is_open() {
    compare_after("exec", |bare| assert_eq!(bare.open(), [0, 1, 2]));
}

#[test]
fn closed_standard_descriptors_stay_closed() {
    for (close, open) in [
        ("<&-", &[1, 2][..]),
        (">&-", &[0, 2]),
        ("2>&-", &[0, 1]),
        ("<&- >&-", &[2]),
        ("<&- 2>&-", &[1]),
        (">&- 2>&-", &[0]),
        ("<&- >&- 2>&-", &[]),
    ] {
        compare_after(&format!("exec {close}; exec"), |bare| assert_eq!(bare.open(), open));
    }
}

#[test]
fn further_descriptors_are_inherited() {
    compare_after("exec 3<in 4>>out 5<>err 7</ 9<&3; exec", |bare| {
        assert_eq!(bare.open(), [0, 1, 2, 3, 4, 5, 7, 9]);
    });
    compare_after("exec <&- 3<in 9</dev/null; exec", |bare| {
        assert_eq!(bare.open(), [1, 2, 3, 9]);
    });
}

#[test]
fn a_descriptor_is_inherited_at_its_position() {
    let setup = "echo 0123456789 >file; exec 3<file; read -r x <&3; exec 3<file; \
                 dd bs=1 count=4 <&3 >/dev/null 2>&1; exec";
    compare_after(setup, |bare| {
        assert!(bare.descriptors[&3].1.starts_with("pos:\t4\n"), "{bare:?}");
    });
}

// Signals

#[test]
fn ignored_signals_stay_ignored() {
    for (signals, mask) in [
        ("PIPE", 0x1000),
        ("INT", 0x2),
        ("HUP", 0x1),
        ("HUP INT QUIT USR1 PIPE ALRM TERM TSTP TTIN TTOU", 0x387207),
    ] {
        compare_after(&format!("trap '' {signals}; exec"), |bare| {
            assert!(bare.has_signals("SigIgn", mask));
        });
    }
    compare_after("exec env --ignore-signal=CHLD", |bare| {
        assert!(bare.has_signals("SigIgn", 0x1_0000));
    });
}

#[test]
fn blocked_signals_stay_blocked() {
    for (signals, mask) in [
        ("PIPE", 0x1000),
        ("CHLD", 0x10000),
        ("HUP,INT,USR1,ALRM,TERM,CHLD,CONT,RTMIN,RTMAX", 0x8000000200036203),
    ] {
        compare_after(&format!("exec env --block-signal={signals}"), |bare| {
            assert!(bare.has_signals("SigBlk", mask));
        });
    }
}

#[test]
fn blocked_and_pending_signals_stay_pending() {
    let setup = "exec env --block-signal=USR1 sh -c 'kill -s USR1 $$; exec \"$@\"' sh";
    compare_after(setup, |bare| assert!(bare.has_signals("ShdPnd", 0x200)));
}

// Other attributes

#[test]
fn the_umask_is_inherited() {
    for umask in ["0000", "0022", "0077", "0137", "0777"] {
        compare_after(&format!("umask {umask}; exec"), |bare| {
            assert_eq!(bare.status["Umask"], umask);
        });
    }
}

#[test]
fn limits_are_inherited() {
    let setup = "exec prlimit --nofile=70:80 --fsize=1000000:2000000 --nproc=1000:2000 \
                 --stack=1000000:2000000 --data=1000000000:2000000000 --as=1000000000:2000000000 \
                 --rss=1000000:2000000 --memlock=10000:20000 --locks=10:20 --sigpending=10:20 \
                 --msgqueue=10:20 --nice=0:0 --rtprio=0:0";
    compare_after(setup, |bare| {
        let limit = bare.limits["Max open files"].split_whitespace().collect::<Vec<_>>();
        assert_eq!(limit, ["70", "80", "files"]);
    });
}

#[test]
fn the_directory_is_inherited() {
    compare_after("mkdir -p sub; cd sub; exec", |bare| {
        assert!(bare.directory.as_ref().is_some_and(|dir| dir.ends_with("sub")));
    });
    compare_after("cd /; exec", |bare| assert_eq!(bare.directory, Some("/".into())));
}

#[test]
fn a_directory_which_was_removed_is_inherited() {
    compare_after("mkdir gone; cd gone; rmdir ../gone; exec", |bare| {
        let dir = bare.directory.as_ref().expect("a directory").to_string_lossy();
        assert!(dir.ends_with("gone (deleted)"), "{dir}");
    });
}

#[test]
fn nice_value_and_memory_score_are_inherited() {
    let stat = fs::read_to_string("/proc/self/stat").expect("read /proc/self/stat");
    // Field 19. The name in field 2 may contain any byte.
    let own = stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(16));
    let own: i32 = own.and_then(|nice| nice.parse().ok()).expect("a nice value");
    let nice = i32::min(own + 7, 19).to_string();
    compare_after("echo 321 >/proc/$$/oom_score_adj; exec nice -n 7", |bare| {
        assert_eq!((&bare.nice, bare.oom.as_str()), (&nice, "321\n"));
    });
}

#[test]
fn no_new_privileges_is_inherited() {
    compare_after("exec setpriv --no-new-privs --", |bare| {
        assert_eq!(bare.status["NoNewPrivs"], "1");
    });
}

#[test]
fn groups_are_inherited_or_replaced_on_purpose() {
    if is_root() {
        compare_after("exec setpriv --groups=5,77,100000 --", |bare| {
            assert_eq!(bare.status["Groups"], "5 77 100000");
        });
    }
}

#[test]
fn the_session_and_the_group_are_inherited() {
    compare_after("exec", |bare| {
        let test = std::process::id();
        assert_eq!(bare.relatives, [Some(test), process::group(test), process::session(test)]);
    });
}

// Environment

#[test]
fn the_environment_is_inherited() {
    let tree = Tree::new();
    tree.mkdir("loaders");
    tree.chmod("loaders", 0o777);
    let start = |words: &[OsString]| {
        let name = words[0].to_str().expect("a name");
        let command = tree
            .cmd(name)
            .args(&words[1..])
            .env("CHANGED", "before")
            .env("REMOVED", "before")
            .env("EMPTY", "")
            .env("SPACES", "  two  ")
            .env("LINES", "one\ntwo\n")
            .env("EQUALS", "=a=b=")
            .env("a", "lower case")
            .env("LD_SOMETHING", "x")
            .env("LONG", "x".repeat(100_000));
        // Otherwise each program has a different name for them.
        let output = || {
            let file = fs::OpenOptions::new().create(true).append(true).open(tree.path("output"));
            file.expect("open a file for output")
        };
        command.stdout_to(output()).stderr_to(output())
    };
    compare(&tree, start, |bare| {
        assert!(bare.environment.iter().any(|variable| variable == "EQUALS==a=b="));
        assert_eq!(bare.environment.len(), 11);
    });
}

/// perl calls the kernel directly, because tools pass on only well-formed variables. The words are: the
/// number of the system call, the count of variables, the variables, the file, the arguments.
const ANY_ENVIRONMENT: &str = "my ($call, $count) = splice @ARGV, 0, 2;
    my @variables = splice @ARGV, 0, $count;
    my $file = shift;
    my $arguments = pack('p*', @ARGV) . \"\\0\" x 8;
    my $environment = pack('p*', @variables) . \"\\0\" x 8;
    syscall($call + 0, $file, $arguments, $environment);
    die $!";

#[test]
fn whatever_else_is_in_the_environment_is_inherited_in_its_order() {
    let call = if cfg!(target_arch = "x86_64") { "59" } else { "221" };
    for variables in [
        &[][..],
        &["PATH=/usr/bin:/bin", "PATH=/nowhere"],
        &["B=2", "A=1", "B=3", "NOTHING", "=name", "A=1", "A", "B=2", "C="],
    ] {
        let tree = Tree::new();
        tree.mkdir("loaders");
        tree.chmod("loaders", 0o777);
        let start = |words: &[OsString]| {
            let file = tree.suite().program(words[0].to_str().expect("a name"));
            // Otherwise each program has a different name for them.
            let script = "exec </dev/null >>out 2>>err; exec perl -e \"$@\"";
            let command = tree.sh(script).args(["sh", ANY_ENVIRONMENT, call]);
            command.arg(variables.len().to_string()).args(variables).arg(file).args(words)
        };
        compare(&tree, start, |bare| assert_eq!(bare.environment, variables));
    }
}
