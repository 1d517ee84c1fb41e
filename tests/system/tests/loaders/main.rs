//! The chain loaders: what only ours have, and what they may cost.

mod accounts;
mod costs;
mod fghack;
mod identity;
mod inheritance;
mod setlock;
mod softlimit;
mod variables;

use harness::{Cmd, Tree, skip, with_mounts};
use system::tree;

/// The programs, their exit codes for wrong usage, and their synopses. envdir and envini use
/// another code than the others.
const USAGE: [(&str, i32, &str); 10] = [
    ("envdir", 111, "envdir dir child"),
    ("envfile", 100, "envfile file child"),
    ("envini", 111, "envini [ -p prefix ] inifile child"),
    ("envuidgid", 100, "envuidgid account child"),
    ("fghack", 100, "fghack child"),
    ("pgrphack", 100, "pgrphack child"),
    ("setlock", 100, "setlock [ -nNxX ] file program [ arg ... ]"),
    ("setuidgid", 100, "setuidgid account child"),
    ("setuser", 100, "setuser account child"),
    (
        "softlimit",
        100,
        "softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] \
         [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] \
         [-t cpusecs] child",
    ),
];

/// The usage line of a program.
fn usage(program: &str) -> String {
    let (_, _, synopsis) =
        USAGE.iter().find(|(name, ..)| *name == program).expect("one of the programs");
    format!("{program}: usage: {synopsis}\n")
}

/// Asserts exit code 111 and that message.
#[track_caller]
fn fails(command: Cmd<'_>, message: &str) {
    command.run().is(111, "", format!("{message}\n"));
}

/// A tree in which every user may create files.
fn open_tree() -> Tree {
    let tree = tree();
    tree.chmod("", 0o777);
    tree
}

/// Runs a program under strace with these options. The file `trace` gets the output.
fn traced<'t, 'o>(command: Cmd<'t>, options: impl IntoIterator<Item = &'o str>) -> Cmd<'t> {
    // `-qq` suppresses the messages of strace itself.
    let base = ["strace", "-f", "-qq", "-o", "trace"];
    command.under(base.into_iter().chain(options).chain(["--"]))
}

/// Writes a script in the place of the system's getent. It appends its arguments and environment to
/// `asked`, then runs `answer`.
fn getent(tree: &Tree, answer: &str) {
    let asked = tree.path("asked");
    let script = format!(
        "#!/bin/sh\n{{ printf '[%s]' \"$@\"; echo; tr '\\0' '\\n' </proc/$$/environ; }} >>{}\n\
         {answer}\n",
        asked.display()
    );
    tree.script("getent", script);
}

/// Starts programs in a namespace with `etc` in the place of /etc and `getent` in the place of the
/// system's. `None` where that is impossible; then reports a skip.
fn with_own_accounts<'t, P: AsRef<[u8]>>(
    tree: &'t Tree,
    passwd: P,
) -> Option<impl Fn(&str) -> Cmd<'t> + use<'t, P>> {
    tree.write("etc/passwd", passwd);
    getent(tree, "exit 2");
    let start = move |program: &str| -> Cmd<'t> {
        with_mounts(tree, &[("getent", "/usr/bin/getent"), ("etc", "/etc")], program)
    };
    let trial = start("true").run();
    if trial.code == Some(0) {
        return Some(start);
    }
    skip(&format!("a namespace with another /etc and getent is needed: {trial}"));
    None
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:51:52:App,,,:HOME:/bin/app\n";

const GROUP: &str = "root:x:0:\nown:x:52:app\na:x:60:app\nb:x:62:other,app\nc:x:61:apple,ap\n\
    d:x:61:App\napp:x:63:\ne:x:66:app,other\ne:x:66:app\ndamaged:x:64x:app\ndamaged:x::app\n\
    none:x:4294967296:app\nshort:x:65\n:x:67:\nlast:x:59:other,app";

#[test]
fn every_loader_without_arguments_says_how_it_is_used() {
    let tree = tree();
    for (program, code, _) in USAGE {
        tree.cmd(program).run().is(code, "", usage(program));
    }
}

#[test]
fn every_loader_needs_a_program_to_run() {
    let tree = tree();
    tree.mkdir("env");
    for words in [
        &["envdir", "-p", "A", "env"][..],
        &["envfile", "none"],
        &["envini", "-p", "A", "none"],
        &["envuidgid", "7:8"],
        &["fghack", "-f"],
        &["pgrphack"],
        &["setlock", "lock"],
        &["setuidgid", "-s", "-e", "7:8"],
        &["setuser", "7:8"],
        &["softlimit", "-c", "0"],
    ] {
        let (_, code, _) = USAGE.iter().find(|(name, ..)| *name == words[0]).expect("a program");
        tree.cmd(words[0]).args(&words[1..]).run().is(*code, "", usage(words[0]));
    }
    assert!(!tree.exists("lock"));
}

#[test]
fn an_unknown_option_is_named() {
    let tree = tree();
    for program in ["envdir", "envini", "setlock", "setuidgid", "softlimit"] {
        let (_, code, _) = USAGE.iter().find(|(name, ..)| *name == program).expect("a program");
        let message = format!("{program}: illegal option -- Q\n{}", usage(program));
        tree.cmd(program).args(["-Q", "x", "true"]).run().is(*code, "", message);
    }
    for program in ["envdir", "envini"] {
        let message = format!("{program}: option requires an argument -- p\n{}", usage(program));
        tree.cmd(program).arg("-p").run().is(111, "", message);
    }
}

#[test]
fn a_missing_program_is_reported() {
    let tree = tree();
    tree.write("file", "");
    for words in [&["envini", "file"][..], &["envfile", "file"], &["fghack", "-f"]] {
        let command = tree.cmd(words[0]).args(&words[1..]).args(["no-such-prog", "x"]);
        let what = "unable to run no-such-prog: file does not exist";
        fails(command, &format!("{}: fatal: {what}", words[0]));
    }
}

#[test]
fn a_missing_interpreter_is_named() {
    let tree = tree();
    tree.script("bin2/windows", "#!/bin/sh\r\nexit 0\r\n");
    tree.script("bin2/other", "#!/nowhere/sh -e\nexit 0\n");
    let windows = "interpreter \"/bin/sh\" with a carriage return at its end does not exist: \
                   the file has the line ends of Windows";
    let other = "interpreter \"/nowhere/sh\" does not exist";
    for (name, reason) in [("windows", windows), ("other", other)] {
        for program in ["pgrphack", "fghack"] {
            for (typed, path) in [(format!("bin2/{name}"), "none"), (name.into(), "none:bin2")] {
                let message = format!(
                    "{program}: fatal: unable to run {typed}: file does not exist: {reason}"
                );
                fails(tree.cmd(program).arg(typed).env("PATH", path), &message);
            }
        }
    }
    // A file that the search finds and that cannot be executed for another reason.
    tree.write("bin2/text", "");
    let message = "pgrphack: fatal: unable to run text: access denied";
    fails(tree.cmd("pgrphack").arg("text").env("PATH", "bin2"), message);
}
