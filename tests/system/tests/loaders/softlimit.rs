//! softlimit: limits from the environment, and limits that are lifted.

use crate::{fails, traced, usage};
use harness::{Cmd, ENVIRON, is_root, note, skip, strace_works, variables};
use system::tree;

/// The limits of a program, as /proc shows them.
#[derive(Debug)]
struct Limits(String);

impl Limits {
    #[track_caller]
    fn of(command: Cmd<'_>) -> Self {
        let output = command.args(["cat", "/proc/self/limits"]).run();
        assert!(output.code == Some(0) && output.stderr.is_empty(), "{output}");
        Self(output.out())
    }

    /// The soft and the hard limit of that name; `u64::MAX` means unlimited.
    #[track_caller]
    fn get(&self, name: &str) -> (u64, u64) {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
        let mut numbers = line.split_whitespace().map(|number| match number {
            "unlimited" => u64::MAX,
            number => number.parse().expect("a number"),
        });
        (numbers.next().expect("a soft limit"), numbers.next().expect("a hard limit"))
    }
}

const SIZES: [&str; 4] =
    ["Max address space", "Max data size", "Max locked memory", "Max stack size"];

#[test]
fn softlimit_takes_limits_from_the_environment() {
    let tree = tree();
    let bare = Limits::of(tree.cmd("env"));
    for (variable, limit, value) in [
        ("ALLBYTES", "Max address space", 2_000_000_000),
        ("COREBYTES", "Max core file size", 5000),
        ("DATABYTES", "Max data size", 2_000_000_000),
        ("FILEBYTES", "Max file size", 1_000_000),
        ("LOCKEDBYTES", "Max locked memory", 5000),
        ("STACKBYTES", "Max stack size", 5_000_000),
        ("OPENFILES", "Max open files", 50),
        ("PROCS", "Max processes", 3000),
        ("RSSBYTES", "Max resident set", 7_000_000),
        ("CPUSECS", "Max cpu time", 1000),
    ] {
        let variable = format!("SOFTLIMIT_{variable}");
        let run = |value: &str| Limits::of(tree.cmd("softlimit").env(&variable, value));
        let (_, hard) = bare.get(limit);
        let text = value.to_string();
        let limits = run(&text);
        assert_eq!(limits.get(limit), (hard.min(value), hard), "{variable}");
        let others = |limits: &Limits| {
            let lines = limits.0.lines().filter(|line| !line.starts_with(limit));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(others(&limits), others(&bare), "{variable}");
        assert_eq!(run("=").get(limit), (hard, hard), "{variable}");
    }
    let limits = Limits::of(tree.cmd("softlimit").env("SOFTLIMIT_COREBYTES", ""));
    assert_eq!(limits.get("Max core file size").0, 0);
    let limits = Limits::of(tree.cmd("softlimit").env("SOFTLIMIT_MEMBYTES", "2000000000"));
    for limit in SIZES {
        let (_, hard) = bare.get(limit);
        assert_eq!(limits.get(limit), (hard.min(2_000_000_000), hard), "{limit}");
    }
}

#[test]
fn softlimits_variables_are_obeyed_in_their_order_and_options_after_them() {
    let tree = tree();
    let bare = Limits::of(tree.cmd("env"));
    for (variable, limit) in
        ["ALLBYTES", "DATABYTES", "LOCKEDBYTES", "STACKBYTES"].iter().zip(SIZES)
    {
        let (_, hard) = bare.get(limit);
        for (first, second) in [("1500000000", 2_000_000_000), ("2000000000", 1_500_000_000)] {
            let command = tree.cmd("softlimit").env("SOFTLIMIT_MEMBYTES", second.to_string());
            let limits = Limits::of(command.env(format!("SOFTLIMIT_{variable}"), first));
            assert_eq!(limits.get(limit), (hard.min(second), hard), "{variable}");
        }
    }
    let command =
        tree.cmd("softlimit").env("SOFTLIMIT_OPENFILES", "50").env("SOFTLIMIT_CPUSECS", "9");
    let limits = Limits::of(command.args(["-o", "40", "-c", "0"]));
    assert_eq!(limits.get("Max open files").0, 40);
    assert_eq!(limits.get("Max cpu time").0, 9);
    assert_eq!(limits.get("Max core file size").0, 0);
    // The first error decides: a refused limit before a wrong value, and the other way round.
    let run = |first: &str, second: &str| {
        let command = tree.cmd("softlimit").arg("true").env("SOFTLIMIT_OPENFILES", second);
        command.env("SOFTLIMIT_STACKBYTES", first).under(["prlimit", "--stack=8000000:8000000"])
    };
    let refused = "softlimit: fatal: setrlimit failed: permission denied";
    fails(run("-", "wrong").unprivileged(), refused);
    run("wrong", "-").unprivileged().run().is(100, "", usage("softlimit"));
}

#[test]
fn softlimits_variables_stay_in_the_environment() {
    let tree = tree();
    let command = tree.cmd("softlimit").args(ENVIRON).env("SOFTLIMIT_CPUSECS", "9");
    assert_eq!(variables(command), ["SOFTLIMIT_CPUSECS=9"]);
}

#[test]
fn a_bad_value_in_softlimits_environment_is_a_usage_error() {
    let tree = tree();
    for value in ["x", "1k", "-1", "+1", " 1", "1 ", "1.5", "0x10", "==", "=1", "--", "unlimited"] {
        for variable in ["SOFTLIMIT_ALLBYTES", "SOFTLIMIT_MEMBYTES", "SOFTLIMIT_CPUSECS"] {
            let command = tree.cmd("softlimit").args(["touch", "ran"]).env(variable, value);
            command.run().is(100, "", usage("softlimit"));
        }
        let command = tree.cmd("softlimit").args(["-o", value, "touch", "ran"]);
        command.run().is(100, "", usage("softlimit"));
    }
    assert!(!tree.exists("ran"));
    let limits = Limits::of(tree.cmd("softlimit").env("SOFTLIMIT_NOSUCH", "x"));
    assert_eq!(limits.0, Limits::of(tree.cmd("env")).0, "other variables mean nothing");
}

/// Soft and hard limits below the maximum.
const LOWERED: [&str; 3] = ["prlimit", "--core=1000:1000", "--rss=1000:1000"];

#[test]
fn softlimit_lifts_a_limit_with_the_right_to() {
    let tree = tree();
    let trial = tree.cmd("prlimit").args(["--core=unlimited:unlimited", "true"]);
    if trial.under(LOWERED).run().code != Some(0) {
        if is_root() {
            // Most containers are like that. The next test checks the system calls.
            note("root cannot lift a limit where CAP_SYS_RESOURCE was taken away");
        } else {
            skip("only root can lift a limit");
        }
        return;
    }
    let lifted = (u64::MAX, u64::MAX);
    let limits = Limits::of(tree.cmd("softlimit").args(["-c", "-"]).under(LOWERED));
    assert_eq!(limits.get("Max core file size"), lifted);
    assert_eq!(limits.get("Max resident set"), (1000, 1000));
    let command = tree.cmd("softlimit").env("SOFTLIMIT_RSSBYTES", "-").under(LOWERED);
    assert_eq!(Limits::of(command).get("Max resident set"), lifted);
    // A later option can lower it again.
    let limits = Limits::of(tree.cmd("softlimit").args(["-r-", "-r", "5000"]).under(LOWERED));
    assert_eq!(limits.get("Max resident set"), (5000, u64::MAX));
    let limits = Limits::of(tree.cmd("softlimit").args(["-m", "-"]));
    assert!(SIZES.iter().all(|limit| limits.get(limit) == lifted), "{limits:?}");
}

#[test]
fn softlimit_asks_the_system_for_no_limit_at_all() {
    if !strace_works(&tree()) {
        return;
    }
    let tree = tree();
    // strace pretends success.
    let pretended = ["-e", "inject=prlimit64,setrlimit:retval=0"];
    let command = traced(tree.cmd("softlimit"), pretended);
    let command = command.args(["-c", "-", "true"]).env("SOFTLIMIT_RSSBYTES", "-");
    command.under(LOWERED).run().is(0, "", "");
    let trace = tree.text("trace");
    let asked: Vec<_> = trace.lines().filter(|line| line.contains("rlim_max=")).collect();
    for (line, name) in asked.iter().zip(["RLIMIT_RSS", "RLIMIT_CORE"]) {
        let wanted = format!("{name}, {{rlim_cur=RLIM64_INFINITY, rlim_max=RLIM64_INFINITY}}");
        assert!(line.contains(&wanted), "no {wanted} in {line}");
    }
    assert!(asked.len() >= 2, "{trace}");
}

#[test]
fn softlimit_reports_a_refused_limit_and_runs_nothing() {
    let tree = tree();
    let refused = "softlimit: fatal: setrlimit failed: permission denied";
    let touch = |option: &str| tree.cmd("softlimit").args([option, "-", "touch", "ran"]);
    fails(touch("-c").unprivileged().under(LOWERED), refused);
    let command = tree.cmd("softlimit").args(["touch", "ran"]).env("SOFTLIMIT_RSSBYTES", "-");
    fails(command.unprivileged().under(LOWERED), refused);
    // Even root may not have unlimited files.
    fails(touch("-o"), refused);
    assert!(!tree.exists("ran"));
}

#[test]
fn every_user_may_lift_a_soft_limit_without_a_hard_limit() {
    let tree = tree();
    if Limits::of(tree.cmd("env")).get("Max resident set").1 != u64::MAX {
        skip("the limit of resident memory is a hard one");
        return;
    }
    let command = tree.cmd("softlimit").args(["-r", "-"]).unprivileged();
    let limits = Limits::of(command.under(["prlimit", "--rss=1000:unlimited"]));
    assert_eq!(limits.get("Max resident set"), (u64::MAX, u64::MAX));
}
