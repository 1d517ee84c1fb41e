//! The chain loaders: what only ours have, and what they may cost.

use harness::{Cmd, DEADLINE, Process, Signal, Tree, is_root, note, process, skip, wait_until};
use std::fs;
use std::iter;
use std::path::Path;
use std::time::Duration;
use system::{PROMPT, find_below, tree, wait_reaped};

/// The programs and how they are used. envdir and its sister say so with another exit code than
/// everybody else.
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

/// The line by which a program says how it is used.
fn usage(program: &str) -> String {
    let (_, _, synopsis) =
        USAGE.iter().find(|(name, ..)| *name == program).expect("one of the programs");
    format!("{program}: usage: {synopsis}\n")
}

/// Shows the environment, as [`variables`] reads it.
const ENVIRON: [&str; 2] = ["cat", "/proc/self/environ"];

/// The variables a program shows, sorted, without those which are always there.
#[track_caller]
fn variables(command: Cmd<'_>) -> Vec<String> {
    let output = command.run();
    assert!(output.code == Some(0) && output.stderr.is_empty(), "{output}");
    let text = output.out();
    let mut found: Vec<_> = text
        .split_terminator('\0')
        .filter(|variable| !variable.starts_with("PATH=") && !variable.starts_with("HARNESS_TREE="))
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

/// Runs a program which has to fail with that message and exit code 111.
#[track_caller]
fn fails(command: Cmd<'_>, message: &str) {
    command.run().is(111, "", format!("{message}\n"));
}

/// What a program sees of its ids.
const SHOW: [&str; 4] = ["sed", "-n", "s/^\\(Uid\\|Gid\\|Groups\\):[\t ]*//p", "/proc/self/status"];

/// What [`SHOW`] shows of someone with these ids and groups.
fn ids(uid: u32, gid: u32, groups: &str) -> String {
    format!("{uid}\t{uid}\t{uid}\t{uid}\n{gid}\t{gid}\t{gid}\t{gid}\n{groups} \n")
}

/// Says that a test needs root, if it is not there.
fn without_root() -> bool {
    if !is_root() {
        skip("only root can change ids");
    }
    !is_root()
}

/// The tree as a place where every user may make files.
fn open_tree() -> Tree {
    let tree = tree();
    tree.chmod("", 0o777);
    tree
}

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
fn an_option_nobody_knows_is_named() {
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
fn a_program_which_is_not_there_is_told() {
    let tree = tree();
    tree.write("file", "");
    for words in [&["envini", "file"][..], &["envfile", "file"], &["fghack", "-f"]] {
        let command = tree.cmd(words[0]).args(&words[1..]).args(["no-such-prog", "x"]);
        let what = "unable to run no-such-prog: file does not exist";
        fails(command, &format!("{}: fatal: {what}", words[0]));
    }
}

// envdir

#[test]
fn envdirs_prefix_is_put_before_every_name_which_is_set() {
    let tree = tree();
    tree.write("env/A", "1");
    tree.write("env/B", "2");
    let command = tree.cmd("envdir").args(["-p", "X_", "env"]).args(ENVIRON);
    let command = command.env("A", "old").env("X_A", "old").env("X_C", "old");
    assert_eq!(variables(command), ["A=old", "X_A=1", "X_B=2", "X_C=old"]);
    // The last one counts, and it may be empty or stuck to its letter.
    for options in [&["-p", "X_", "-p", "Y"][..], &["-pY"]] {
        let command = tree.cmd("envdir").args(options).arg("env").args(ENVIRON);
        assert_eq!(variables(command), ["YA=1", "YB=2"]);
    }
    let command = tree.cmd("envdir").args(["-p", "", "--", "env"]).args(ENVIRON);
    assert_eq!(variables(command), ["A=1", "B=2"]);
}

#[test]
fn envdirs_prefix_is_put_before_every_name_which_is_removed() {
    let tree = tree();
    tree.write("env/A", "");
    let command = tree.cmd("envdir").args(["-p", "X_", "env"]).args(ENVIRON);
    let command = command.env("A", "1").env("X_A", "2").env("X_", "3");
    assert_eq!(variables(command), ["A=1", "X_=3"]);
}

/// As with a name of a file, what stands before the first equal sign is the variable's name.
#[test]
fn an_equal_sign_in_envdirs_prefix_ends_the_variables_name() {
    let tree = tree();
    tree.write("env/X", "1");
    tree.write("env/Y", "2");
    let command = tree.cmd("envdir").args(["-p", "A=", "env"]).args(ENVIRON).env("A", "old");
    let found = variables(command);
    assert!(found == ["A=X=1"] || found == ["A=Y=2"], "{found:?}");
}

#[test]
fn envdir_skips_dangling_links() {
    let tree = tree();
    tree.symlink("none", "env/A");
    tree.symlink("B", "env/B2");
    tree.write("env/B", "1");
    tree.symlink("none", "env/C");
    let command = tree.cmd("envdir").arg("env").args(ENVIRON).env("A", "a").env("C", "c");
    assert_eq!(variables(command), ["A=a", "B2=1", "B=1", "C=c"]);
}

#[test]
fn envdir_skips_files_which_vanish_while_it_reads() {
    let tree = tree();
    tree.write("env/A", "1");
    // The directory is opened first, and then the only file in it.
    let injected = ["-e", "inject=open,openat,openat2:error=ENOENT:when=2"];
    let command = traced(tree.cmd("envdir"), injected).arg("env").args(ENVIRON);
    assert_eq!(variables(command.env("A", "a").env("B", "b")), ["A=a", "B=b"]);
    assert!(tree.text("trace").contains("INJECTED"), "{}", tree.text("trace"));
}

#[test]
fn every_inherited_entry_of_a_variable_is_replaced() {
    let tree = tree();
    tree.write("env/A", "new");
    tree.write("env/B", "");
    tree.write("ini", "A=new\n");
    // The further entries of `A` have a name with an equal sign for the standard library, and it
    // does not mind.
    let inherit = |command: Cmd<'_>| {
        let command = command.env("A", "1").env("A=2", "").env("A=3", "").env("C", "c");
        variables(command.env("B", "1").env("B=2", "").args(ENVIRON))
    };
    // This is how they come.
    assert_eq!(
        inherit(tree.cmd("pgrphack")),
        ["A=1", "A=2=", "A=3=", "B=1", "B=2=", "C=c"],
        "the entries are inherited"
    );
    assert_eq!(inherit(tree.cmd("envdir").arg("env")), ["A=new", "C=c"]);
    assert_eq!(inherit(tree.cmd("envini").arg("ini")), ["A=new", "B=1", "B=2=", "C=c"]);
    assert_eq!(inherit(tree.cmd("envfile").arg("ini")), ["A=new", "B=1", "B=2=", "C=c"]);
    let command = tree.cmd("envuidgid").arg("7:8").env("UID", "1").env("UID=2", "");
    assert_eq!(variables(command.args(ENVIRON)), ["GID=8", "UID=7"]);
}

/// Some are set, some removed: what compares each with each other needs longer than the deadline,
/// and what does not is done in time even if other tests have the processors.
#[test]
fn a_hundred_thousand_files_are_read_before_long_and_their_variables_are_too_many() {
    let tree = tree();
    let dir = tree.mkdir("env");
    let long = "x".repeat(200);
    for number in 0..100_000 {
        let content = if number % 2 == 0 { "" } else { &long };
        fs::write(dir.join(format!("VARIABLE{number}")), content).expect("write a file");
    }
    let command = tree.cmd("envdir").args(["env", "touch", "ran"]).deadline(Duration::from_secs(8));
    fails(command, "envdir: fatal: unable to run touch: argument list too long");
    assert!(!tree.exists("ran"));
}

/// Each of them twice, so that the first one is to be found and replaced.
#[test]
fn a_hundred_thousand_settings_are_read_before_long_and_are_too_many() {
    let tree = tree();
    let long = "x".repeat(200);
    let settings: String =
        (0..200_000).map(|number| format!("VARIABLE{}={long}\n", number % 100_000)).collect();
    tree.write("file", settings);
    for program in ["envini", "envfile"] {
        let command = tree.cmd(program).args(["file", "touch", "ran"]);
        let message = format!("{program}: fatal: unable to run touch: argument list too long");
        fails(command.deadline(Duration::from_secs(8)), &message);
    }
    assert!(!tree.exists("ran"));
}

/// Small pieces of memory, large ones, and large ones that grow.
#[test]
fn who_gets_no_memory_says_so_and_runs_nothing() {
    let tree = tree();
    let long = "x".repeat(300);
    let dir = tree.mkdir("env");
    for number in 0..6000 {
        fs::write(dir.join(format!("VARIABLE{number}")), &long).expect("write a file");
    }
    let settings: String = (0..10_000).map(|number| format!("VARIABLE{number}={long}\n")).collect();
    tree.write("file", settings);
    for (program, from, limit) in [
        ("envdir", "env", "--as=2500000"),
        ("envini", "file", "--as=2500000"),
        ("envfile", "file", "--as=6000000"),
    ] {
        let command = tree.cmd(program).args([from, "touch", "ran"]);
        fails(command.under(["prlimit", limit]), &format!("{program}: fatal: out of memory"));
    }
    assert!(!tree.exists("ran"));
}

// envini

/// What `envini -p PREFIX` makes of a file.
#[track_caller]
fn ini(prefix: &str, text: &str) -> Vec<String> {
    let tree = tree();
    tree.write("ini", text);
    variables(tree.cmd("envini").args(["-p", prefix, "ini"]).args(ENVIRON).env("old", "o"))
}

#[test]
fn envini_reads_the_lines_of_encores_manual() {
    for (text, wanted) in [
        ("", &[][..]),
        ("\n \t \r\n", &[]),
        ("a=1", &["a=1"]),
        ("a=1\n", &["a=1"]),
        ("a=1\r\nb=2\r\n", &["a=1", "b=2"]),
        (" \ta=1", &["a=1"]),
        ("b=  two words  \t\n", &["b=two words"]),
        ("d=\n", &["d="]),
        ("e = x=y\n", &["e=x=y"]),
        ("g\t=\tx\n", &["g=x"]),
        ("=noname\n", &["=noname"]),
        ("[sec]\nk=v\n", &["sec_k=v"]),
        ("  [sec]  \nk=v\n", &["sec_k=v"]),
        ("[ sp ]\nk2=v2\n", &[" sp _k2=v2"]),
        ("[]\nk=v\n", &["_k=v"]),
        ("[a]\nk=1\n[b]\nk=2\n", &["a_k=1", "b_k=2"]),
        ("a=1\n[bad\nb=2\n", &["a=1", "b=2"]),
        ("[a=b]\nk=v\n", &["a=b_k=v"]),
        ("a\r=1\nb\rc=2\n", &["a=1"]),
        ("# c = 1\n", &[]),
        ("; c = 1\n  ;c=1\n", &[]),
        ("k 5=v\n", &[]),
        ("no equal sign\n", &[]),
        ("f =\"q\"\n", &["f=\"q\""]),
        ("h=a ; b # c\n", &["h=a ; b # c"]),
        ("i=\\\nj=1\n", &["i=\\", "j=1"]),
        ("a=1\na=2\n", &["a=2"]),
    ] {
        let mut wanted = wanted.to_vec();
        wanted.push("old=o");
        wanted.sort_unstable();
        assert_eq!(ini("", text), wanted, "{text:?}");
    }
}

#[test]
fn envini_replaces_what_is_inherited_and_removes_nothing() {
    assert_eq!(ini("", "old=new\n"), ["old=new"]);
    assert_eq!(ini("", "old=\n"), ["old="]);
    assert_eq!(ini("", "[old=x]\nk=v\n"), ["old=x_k=v"]);
    assert_eq!(ini("old=", "k=v\n"), ["old=k=v"]);
}

#[test]
fn envinis_prefix_comes_before_the_section() {
    assert_eq!(ini("P_", "a=1\n[sec]\nb=2\n"), ["P_a=1", "P_sec_b=2", "old=o"]);
    assert_eq!(ini("P_", "=noname\n"), ["P_=noname", "old=o"]);
    assert_eq!(ini("o", "ld=new\n"), ["old=new"]);
}

#[test]
fn an_ini_file_which_is_not_there_is_empty() {
    let tree = tree();
    for file in ["none", "none/ini"] {
        let command = tree.cmd("envini").arg(file).args(ENVIRON).env("A", "1");
        assert_eq!(variables(command), ["A=1"]);
    }
}

#[test]
fn an_ini_file_which_cannot_be_read_is_told() {
    let tree = tree();
    tree.mkdir("dir");
    tree.write("secret", "a=1");
    tree.chmod("secret", 0);
    for (file, error) in
        [("dir", "is a directory"), ("secret", "access denied"), ("secret/x", "not a directory")]
    {
        let command = tree.cmd("envini").args([file, "touch", "ran"]).unprivileged();
        fails(command, &format!("envini: fatal: unable to read {file}: {error}"));
    }
    assert!(!tree.exists("ran"));
}

// envfile

#[test]
fn envfile_reads_lines_as_a_shell_would_without_expanding_anything() {
    for (text, wanted) in [
        ("", &[][..]),
        ("\n  \n# A=1\n; B=2\n  # C=3\n", &[]),
        ("A=1\nB=2", &["A=1", "B=2"]),
        ("A=1\r\nB='2'\r\n", &["A=1", "B=2"]),
        ("  A = two words \t\n", &["A=two words"]),
        ("A=\nB=''\nC=\"\"\n", &["A=", "B=", "C="]),
        ("A=x=y # z\n", &["A=x=y # z"]),
        ("A=1\nA=2\n", &["A=2"]),
        ("export A=1\nexport\tB = 2\n", &["A=1", "B=2"]),
        ("exportA=1\nexport=2\n", &["export=2", "exportA=1"]),
        ("A=' b '\nB=\" c \"  \n", &["A= b ", "B= c "]),
        ("A='it\"s'\nB=\"it's\"\n", &["A=it\"s", "B=it's"]),
        ("A=it's\nB=a\"b\n", &["A=it's", "B=a\"b"]),
        ("A=\"\\\"\\\\\\$\\`\\n\"\n", &["A=\"\\$`\\n"]),
        ("A='\\'\nB=\\n\n", &["A=\\", "B=\\n"]),
        ("A=$HOME\nB=\"`x` $(y)\"\n", &["A=$HOME", "B=`x` $(y)"]),
        ("A='one\n# two\n\nthree=3'\nB=2\n", &["A=one\n# two\n\nthree=3", "B=2"]),
        ("A=\"one\ntwo\"\n", &["A=one\ntwo"]),
        ("a.b-c=1\n", &["a.b-c=1"]),
    ] {
        let tree = tree();
        tree.write("file", text);
        let found = variables(tree.cmd("envfile").arg("file").args(ENVIRON));
        assert_eq!(found, wanted, "{text:?}");
    }
}

#[test]
fn envfile_replaces_what_is_inherited_and_keeps_the_rest() {
    let tree = tree();
    tree.write("file", "A=new\n");
    let command = tree.cmd("envfile").arg("file").args(ENVIRON).env("A", "old").env("B", "b");
    assert_eq!(variables(command), ["A=new", "B=b"]);
}

#[test]
fn mistakes_in_envfiles_file_are_told_with_their_line() {
    let tree = tree();
    for (text, line, what) in [
        ("nonsense\n", 1, "no equal sign"),
        ("A=1\n\n# x\nexport A\n", 4, "no equal sign"),
        ("=1\n", 1, "bad name"),
        ("A=1\nexport a b=1\n", 2, "bad name"),
        ("a b=1\n", 1, "bad name"),
        ("A='x\ny'\n\nB='\nC=1\n", 4, "a quote without its end"),
        ("A=\"x\\\"\n", 1, "a quote without its end"),
        ("A='x\ny\n'z\n", 1, "text behind a quote"),
        ("A=1\r\nB=\"x\"y\r\n", 2, "text behind a quote"),
    ] {
        tree.write("file", text);
        let message = format!("envfile: fatal: unable to read ./file, line {line}: {what}\n");
        tree.cmd("envfile").args(["./file", "touch", "ran"]).run().is(100, "", message);
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn a_file_which_envfile_cannot_read_is_told() {
    let tree = tree();
    tree.mkdir("dir");
    tree.write("secret", "a=1");
    tree.chmod("secret", 0);
    for (file, error) in [
        ("dir", "is a directory"),
        ("secret", "access denied"),
        ("none", "file does not exist"),
        ("", "file does not exist"),
    ] {
        let command = tree.cmd("envfile").args([file, "touch", "ran"]).unprivileged();
        fails(command, &format!("envfile: fatal: unable to read {file}: {error}"));
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn a_setting_with_a_nul_in_it_is_as_if_it_were_not_there() {
    let tree = tree();
    tree.write("file", "A=1\nA=x\0y\nB=x\0y\nC\0D=1\n");
    for program in ["envini", "envfile"] {
        let command = tree.cmd(program).arg("file").args(ENVIRON).env("B", "old").env("C", "old");
        assert_eq!(variables(command), ["A=1", "B=old", "C=old"], "{program}");
    }
}

// Accounts

/// A script to stand for the system's getent: it writes into `asked` what it was asked, and what
/// its environment was, and then does as it is told.
fn getent(tree: &Tree, answer: &str) {
    let asked = tree.path("asked");
    let script = format!(
        "#!/bin/sh\n{{ printf '[%s]' \"$@\"; echo; tr '\\0' '\\n' </proc/$$/environ; }} >>{}\n\
         {answer}\n",
        asked.display()
    );
    tree.script("getent", script);
}

/// Programs in a namespace where `etc` lies over /etc and `getent` over the system's. `None` where
/// that is not to be had, which is said.
fn with_own_accounts<'t, P: AsRef<[u8]>>(
    tree: &'t Tree,
    passwd: P,
) -> Option<impl Fn(&str) -> Cmd<'t> + use<'t, P>> {
    tree.write("etc/passwd", passwd);
    getent(tree, "exit 2");
    let start = move |program: &str| -> Cmd<'t> { with_accounts_of(tree, program) };
    let trial = start("true").run();
    if trial.code == Some(0) {
        return Some(start);
    }
    skip(&format!("a namespace with another /etc and getent is needed: {trial}"));
    None
}

fn with_accounts_of<'t>(tree: &'t Tree, program: &str) -> Cmd<'t> {
    let script = "mount --bind \"$1\" /usr/bin/getent && mount --bind \"$2\" /etc && \
                  shift 2 && exec \"$@\"";
    let command = tree.sh(script).arg("sh").arg(tree.path("getent")).arg(tree.path("etc"));
    in_namespace(command.arg(program))
}

/// Gives a program mounts of its own. Root keeps all ids; everybody else becomes root there.
fn in_namespace(command: Cmd<'_>) -> Cmd<'_> {
    if is_root() {
        command.under(["unshare", "--mount"])
    } else {
        command.under(["unshare", "--map-root-user", "--mount"])
    }
}

/// Asserts that an account has these ids, or that it is unknown.
#[track_caller]
fn assert_account(command: Cmd<'_>, name: &str, wanted: Option<(u32, u32)>) {
    let command = command.args([name, "sh", "-c", "echo $UID:$GID"]);
    match wanted {
        Some((uid, gid)) => command.run().is(0, format!("{uid}:{gid}\n"), ""),
        None => fails(command, &format!("envuidgid: fatal: unknown account {name}")),
    }
}

#[test]
fn uid_and_gid_in_digits_are_an_account_nobody_is_asked_for() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "7:8:1:2::/:/\n") else { return };
    for (name, wanted) in [
        ("7:8", (7, 8)),
        ("0:0", (0, 0)),
        ("4294967294:1", (4_294_967_294, 1)),
        ("1:4294967294", (1, 4_294_967_294)),
    ] {
        assert_account(start("envuidgid"), name, Some(wanted));
    }
    assert!(!tree.exists("asked"));
}

#[test]
fn other_numbers_are_unknown() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    // The system's would give the line of the user with that id.
    getent(&tree, "echo app:x:7:8::/:/");
    for name in ["0", "7", "65534", "4294967295"] {
        assert_account(start("envuidgid"), name, None);
    }
    tree.remove("asked");
    for name in [
        "4294967296:1",
        "1:4294967296",
        "18446744073709551617:1",
        "-1:1",
        "+1:1",
        " 1:1",
        "1:1 ",
        "0x1:1",
        "1:",
        ":1",
        ":",
        "1:2:3",
        "root:0",
        "0:root",
    ] {
        assert_account(start("envuidgid"), name, None);
    }
    assert!(!tree.exists("asked"));
}

/// 4294967295 as a user or a group means "leave it as it is" to some system calls, so that a
/// program which gets it in UID, and goes by that, would stay root.
#[test]
fn the_number_which_means_no_change_is_no_account() {
    let tree = open_tree();
    for name in ["4294967295:1", "1:4294967295", "4294967295:4294967295"] {
        for program in ["setuidgid", "setuser", "envuidgid"] {
            let command = tree.cmd(program).args([name, "touch", "ran"]);
            fails(command, &format!("{program}: fatal: unknown account {name}"));
            assert!(!tree.exists("ran"), "{program} {name}");
        }
        assert_account(tree.cmd("envuidgid"), name, None);
    }
}

#[test]
fn names_which_no_account_can_have_are_unknown_and_nobody_is_asked() {
    let tree = tree();
    let passwd = ":x:1:1::/:/\nroot:x:0:0::/:/\napp:x:1:1::/:/\n+::0:0:::\n-x:x:1:1::/:/\n";
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    getent(&tree, "echo \"$3:x:7:8::/:/\"");
    for name in
        ["", "app:", "app:x", ":", "\n", "app\n", "\napp", "x\napp", "+", "+x", "-x", "--help"]
    {
        assert_account(start("envuidgid"), name, None);
    }
    assert!(!tree.exists("asked"));
}

#[test]
fn a_name_with_a_colon_does_not_shift_the_fields_of_a_line() {
    let tree = tree();
    let passwd = "app:x:51:52:53:54:55:56:57:58\n";
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    assert_account(start("envuidgid"), "app", Some((51, 52)));
    for name in ["app:x", "app:x:51"] {
        assert_account(start("envuidgid"), name, None);
    }
}

#[test]
fn a_line_of_a_megabyte_does_no_harm() {
    let tree = tree();
    let long = "x".repeat(1_000_000);
    let passwd = format!("{long}\n{long}:x:1:1::/:/\nlong:x:51:52:{long}:/:/\napp:x:61:62::/:/");
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    assert_account(start("envuidgid"), "long", Some((51, 52)));
    assert_account(start("envuidgid"), "app", Some((61, 62)));
    assert_account(start("envuidgid"), "x", None);
}

#[test]
fn damaged_lines_are_nobodys_and_the_others_count() {
    let tree = tree();
    let passwd = b"\n\0\n:::::::::\nshort:x:5\nshort:x:5:6\nnouser:x::6::/:/\nnogroup:x:6:::/:/\n\
        large:x:4294967296:7::/:/\n\
        huge:x:99999999999999999999:7::/:/\nminus:x:-5:7::/:/\nletters:x:6x:7::/:/\n \
        blank:x:1:1::/:/\nnul:x:1:1::/\0:/\n+:x:1:1::/:/\n+app\n#note:x:1:1::/:/\n\xff\xfe:x:1:1::/:/\n\
        twice:x:damaged:1::/:/\ntwice:x:3:4::/:/\napp:x:61:62::/:/";
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    for name in
        ["short", "nouser", "nogroup", "large", "huge", "minus", "letters", "nul", "note", "#note"]
    {
        assert_account(start("envuidgid"), name, None);
    }
    // The C library passes over blanks as well.
    assert_account(start("envuidgid"), "blank", Some((1, 1)));
    assert_account(start("envuidgid"), "twice", Some((3, 4)));
    assert_account(start("envuidgid"), "app", Some((61, 62)));
}

#[test]
fn without_passwd_everybody_is_asked_for_elsewhere() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/");
    for remove in [false, true] {
        if remove {
            tree.remove("etc/passwd");
        }
        assert_account(start("envuidgid"), "app", Some((51, 52)));
        assert_account(start("envuidgid"), "root", None);
    }
}

/// Else somebody in there would be another one elsewhere, or nobody.
#[test]
fn a_passwd_which_cannot_be_read_is_told_and_nobody_is_asked() {
    let tree = open_tree();
    for program in ["envuidgid", "setuidgid", "setuser"] {
        let command = tree.cmd(program).args(["root", "touch", "ran"]);
        let why = "unable to read /etc/passwd: process cannot open more files";
        fails(command.under(["prlimit", "--nofile=3"]), &format!("{program}: fatal: {why}"));
    }
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/");
    tree.remove("etc/passwd");
    tree.mkdir("etc/passwd");
    let command = start("envuidgid").args(["app", "touch", "ran"]);
    fails(command, "envuidgid: fatal: unable to read /etc/passwd: is a directory");
    assert!(!tree.exists("ran") && !tree.exists("asked"));
    // Here there is nothing to be read.
    assert_account(start("envuidgid"), "7:8", Some((7, 8)));
}

#[test]
fn a_name_which_is_not_in_passwd_is_asked_of_getent() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\napp:x:1:2::/:/\n") else { return };
    getent(&tree, "echo remote:x:51:52:::/bin/sh");
    assert_account(start("envuidgid"), "app", Some((1, 2)));
    assert!(!tree.exists("asked"), "what passwd has is not asked for");
    let command = start("envuidgid").env("LD_PRELOAD", "").env("A", "1").env("IFS", "x");
    assert_account(command, "remote", Some((51, 52)));
    // Nothing of the caller's environment, which may be somebody else's, reaches it.
    assert_eq!(tree.text("asked"), "[--][passwd][remote]\nPATH=/usr/bin:/bin\n");
    // A name is nothing but a name.
    for name in ["a b", "*", "$(touch ran)", "root "] {
        tree.remove("asked");
        assert_account(start("envuidgid"), name, None);
        let asked = tree.text("asked");
        assert!(asked.starts_with(&format!("[--][passwd][{name}]\n")), "{asked}");
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn getent_is_asked_even_if_the_first_descriptors_are_closed_or_children_are_ignored() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/");
    for closed in ["<&-", ">&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"] {
        let script = format!("exec envuidgid app sh -c 'echo $UID:$GID >out' {closed}");
        start("sh").arg("-c").arg(script).run().is(0, "", "");
        assert_eq!(tree.text("out"), "51:52\n", "{closed}");
        tree.remove("out");
    }
    assert_account(start("env").args(["--ignore-signal=CHLD", "envuidgid"]), "app", Some((51, 52)));
}

#[test]
fn an_answer_of_getent_for_somebody_else_is_none() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    for answer in [
        "echo other:x:51:52::/:/",
        "echo root:x:0:0::/:/",
        "echo APP:x:51:52::/:/",
        "echo app2:x:51:52::/:/",
        "echo app:x:51",
        "echo app:x:4294967296:52::/:/",
        "echo app",
        "echo",
        ":",
        "exit 2",
    ] {
        getent(&tree, answer);
        assert_account(start("envuidgid"), "app", None);
        assert_account(start("env").args(["--ignore-signal=CHLD", "envuidgid"]), "app", None);
    }
    // The right one among others is as good as alone.
    getent(&tree, "echo other:x:1:1::/:/; printf app:x:51:52::/:/; exit 3");
    assert_account(start("envuidgid"), "app", Some((51, 52)));
}

#[test]
fn a_getent_that_fails_is_told() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    for answer in ["exit 1", "exit 3", "kill -KILL $$", "echo other:x:51:52::/:/; exit 1"] {
        getent(&tree, answer);
        let why = "unknown account app (not found in /etc/passwd, and getent failed)";
        for ignored in ["--", "--ignore-signal=CHLD"] {
            let command = start("env").args([ignored, "envuidgid", "app", "true"]);
            fails(command, &format!("envuidgid: fatal: {why}"));
        }
    }
}

#[test]
fn that_the_ends_of_children_are_ignored_is_inherited_though_getent_was_waited_for() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/");
    for ignored in ["--", "--ignore-signal=CHLD"] {
        let run = |loader: &[&str]| {
            let command = start("env").arg(ignored).args(loader);
            command.args(["grep", "^SigIgn", "/proc/self/status"]).run()
        };
        let bare = run(&[]);
        assert_eq!(bare.code, Some(0), "{bare}");
        assert_eq!(run(&["envuidgid", "app"]), bare);
    }
    assert!(tree.exists("asked"));
}

#[test]
fn getent_is_not_waited_for_when_it_says_too_much() {
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "") else { return };
    getent(&tree, "echo app:x:51:52::/:/; exec cat /dev/zero");
    let command = start("envuidgid").deadline(Duration::from_secs(10));
    assert_account(command, "app", Some((51, 52)));
}

#[test]
fn without_getent_the_message_says_so() {
    let tree = tree();
    tree.write("etc/passwd", "root:x:0:0::/:/\n");
    tree.mkdir("empty");
    let script = "mount --bind \"$1\" /etc && mount --bind \"$2\" /usr/bin && exec \"$3\" app x";
    let start = |program: &Path| {
        let command = tree.sh(script).arg("sh").arg(tree.path("etc")).arg(tree.path("empty"));
        in_namespace(command.arg(program))
    };
    // A path which is there, but no program.
    let trial = start(&tree.path("etc/passwd")).run();
    if trial.code != Some(126)
        || Path::new("/bin/getent").exists() && !Path::new("/bin").is_symlink()
    {
        skip(&format!("a namespace without getent is needed: {trial}"));
        return;
    }
    for program in ["envuidgid", "setuidgid", "setuser"] {
        let why = "unknown account app (not found in /etc/passwd, and getent could not be asked)";
        let command = start(&tree.suite().program(program));
        fails(command, &format!("{program}: fatal: {why}"));
    }
}

// Identity

/// Everything that gives up rights, on the way to the account of user 54321.
const IDENTITIES: [&[&str]; 4] = [
    &["setuidgid", "54321:12345"],
    &["setuidgid", "-s", "54321:12345"],
    &["setuidgid", "-e", "54321:12345"],
    &["setuser", "54321:12345"],
];

/// Runs a program under strace, with these options for it; see `trace` for what it found.
///
/// # Panics
///
/// If there is no strace.
fn traced<'t, 'o>(command: Cmd<'t>, options: impl IntoIterator<Item = &'o str>) -> Cmd<'t> {
    let found = ["/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join("strace").is_file());
    assert!(
        found,
        "system calls are counted and made to fail by strace: install the package strace"
    );
    // `-qq`: what it has to say itself, nobody wants to know.
    let base = ["strace", "-f", "-qq", "-o", "trace"];
    command.under(base.into_iter().chain(options).chain(["--"]))
}

/// The system calls by which a process becomes somebody else, and the programs it executes.
fn steps(tree: &Tree) -> Vec<String> {
    let trace = tree.text("trace");
    let calls = trace.lines().filter_map(|line| line.split_whitespace().nth(1));
    let names = calls.map(|call| call.split('(').next().unwrap_or_default().to_owned());
    let wanted = ["setgroups", "setgid", "setuid", "execve"];
    names.filter(|name| wanted.contains(&name.as_str())).collect()
}

#[test]
fn groups_and_group_and_user_are_changed_in_this_order_and_then_the_program_runs() {
    for words in IDENTITIES {
        let tree = tree();
        // Nobody needs rights for what is only pretended.
        let pretended = ["-e", "inject=setgroups,setgid,setuid:retval=0"];
        let program = tree.suite().program("true");
        let command = traced(tree.cmd(words[0]), pretended);
        command.args(&words[1..]).arg(program).run().is(0, "", "");
        let expected = if supplementary(words) {
            &["execve", "setgroups", "setgid", "setgroups", "setuid", "execve"][..]
        } else {
            &["execve", "setgroups", "setgid", "setuid", "execve"]
        };
        assert_eq!(steps(&tree), expected, "{words:?}");
    }
}

/// Whether all groups of the account are taken, in a second step.
fn supplementary(words: &[&str]) -> bool {
    words[0] == "setuser" || words[1] == "-s"
}

#[test]
fn whichever_step_fails_nothing_is_run() {
    for words in IDENTITIES {
        for (step, what) in [
            ("setgroups", "setgid"),
            ("setgid", "setgid"),
            ("second setgroups", "initgroups"),
            ("setuid", "setuid"),
        ] {
            let (call, when) = match step.strip_prefix("second ") {
                None => (step, ""),
                // The first one cannot be pretended then.
                Some(call) if supplementary(words) && is_root() => (call, ":when=2"),
                Some(_) => continue,
            };
            for (name, error) in [
                ("EPERM", "permission denied"),
                ("EAGAIN", "temporary failure"),
                ("ENOMEM", "out of memory"),
            ] {
                let tree = open_tree();
                let others = ["setgroups", "setgid", "setuid"].into_iter().filter(|c| *c != call);
                let pretended = others.map(|call| format!("inject={call}:retval=0"));
                let failing = format!("inject={call}:error={name}{when}");
                let injected: Vec<_> = pretended.chain([failing]).collect();
                let options = injected.iter().flat_map(|expression| ["-e", expression.as_str()]);
                let command = traced(tree.cmd(words[0]), options);
                let message = format!("{}: fatal: unable to {what}: {error}", words[0]);
                fails(command.args(&words[1..]).args(["touch", "ran"]), &message);
                assert!(!tree.exists("ran"), "{words:?} {step} {name}");
                let executed = steps(&tree).iter().filter(|call| *call == "execve").count();
                assert_eq!(executed, 1, "{words:?} {step} {name}");
            }
        }
    }
}

#[test]
fn who_may_not_change_ids_runs_nothing() {
    let tree = open_tree();
    for words in IDENTITIES {
        let command = tree.cmd(words[0]).args(&words[1..]).args(["touch", "ran"]);
        let message = format!("{}: fatal: unable to setgid: permission denied", words[0]);
        fails(command.unprivileged(), &message);
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn who_may_change_groups_but_not_the_user_runs_nothing() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    for words in IDENTITIES {
        let command = tree.cmd(words[0]).args(&words[1..]).args(["touch", "ran"]);
        let wrapper = ["setpriv", "--inh-caps=-setuid", "--bounding-set=-setuid", "--"];
        let message = format!("{}: fatal: unable to setuid: permission denied", words[0]);
        fails(command.under(wrapper), &message);
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn a_user_who_has_all_the_processes_he_may_have_gets_no_other() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    // One process more than the limit is what the kernel lets run.
    let others = [(); 2].map(|()| {
        let other = tree.cmd("setuidgid").args(["54321:12345", "sleep", "1000"]).start();
        process::wait_asleep(other.pid(), "sleep");
        other
    });
    for words in IDENTITIES {
        let touch = tree.path("ran");
        let run = |limit: &str| {
            let command = tree.cmd(words[0]).args(&words[1..]).arg("touch").arg(&touch);
            command.under(["prlimit", limit, "--"])
        };
        let message = format!("{}: fatal: unable to run touch: temporary failure", words[0]);
        fails(run("--nproc=1"), &message);
        assert!(!tree.exists("ran"), "{words:?}");
        // It was the limit and nothing else.
        run("--nproc=1000").run().is(0, "", "");
        tree.remove("ran");
    }
    drop(others);
}

#[test]
fn setuidgid_takes_numbers() {
    if without_root() {
        return;
    }
    let tree = tree();
    for options in [&[][..], &["-s"]] {
        let command = tree.cmd("setuidgid").args(options).arg("54321:12345").args(SHOW);
        let command = command.under(["setpriv", "--groups=1,2,77", "--"]);
        command.run().is(0, ids(54321, 12345, "12345"), "");
    }
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:51:52:App,,,:HOME:/bin/app\n";

const GROUP: &str = "root:x:0:\nown:x:52:app\na:x:60:app\nb:x:62:other,app\nc:x:61:apple,ap\n\
    d:x:61:App\napp:x:63:\ne:x:66:app,other\ne:x:66:app\ndamaged:x:64x:app\ndamaged:x::app\n\
    none:x:4294967296:app\nshort:x:65\n:x:67:\nlast:x:59:other,app";

#[test]
fn setuidgid_takes_all_groups_of_the_account_if_asked_to() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, PASSWD) else { return };
    tree.write("etc/group", GROUP);
    let run = |options: &[&str], name: &str| {
        // None of the caller's groups may be left.
        let command = start("setpriv").args(["--groups=1,2,77", "--", "setuidgid"]);
        command.args(options).arg(name).args(SHOW).run()
    };
    run(&[], "app").is(0, ids(51, 52, "52"), "");
    run(&["-s"], "app").is(0, ids(51, 52, "52 59 60 62 66"), "");
    run(&["-s"], "root").is(0, ids(0, 0, "0"), "");
    let many: Vec<_> = (1000..3000).map(|gid| format!("g{gid}:x:{gid}:app")).collect();
    let all: Vec<_> = iter::once(52).chain(1000..3000).map(|gid| gid.to_string()).collect();
    tree.write("etc/group", many.join("\n"));
    run(&["-s"], "app").is(0, ids(51, 52, &all.join(" ")), "");
    tree.remove("etc/group");
    run(&["-s"], "app").is(0, ids(51, 52, "52"), "");
    assert!(!tree.exists("asked"));
}

/// Whoever takes somebody's rights away like this means it.
#[test]
fn a_group_which_is_commented_out_is_not_taken() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, PASSWD) else { return };
    tree.write("etc/group", "#a:x:60:app\n # b:x:61:app\n+d:x:63:app\nc:x:62:app\n");
    start("setuidgid").args(["-s", "app"]).args(SHOW).run().is(0, ids(51, 52, "52 62"), "");
}

#[test]
fn groups_which_cannot_be_found_out_are_not_passed_over() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    let ran = tree.path("ran");
    let passwd = PASSWD.replace("HOME", "/");
    let Some(start) = with_own_accounts(&tree, passwd) else { return };
    tree.mkdir("etc/group");
    for words in [&["setuidgid", "-s", "app", "touch"][..], &["setuser", "app", "touch"]] {
        let command = start(words[0]).args(&words[1..]).arg(&ran);
        fails(command, &format!("{}: fatal: unable to read /etc/group: is a directory", words[0]));
    }
    assert!(!tree.exists("ran"));
    // Nobody but a name is a member.
    start("setuidgid").args(["-s", "51:52"]).args(SHOW).run().is(0, ids(51, 52, "52"), "");
}

#[test]
fn groups_which_getent_fails_to_tell_are_not_passed_over() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    let ran = tree.path("ran");
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    for failure in ["exit 1", "exit 3", "kill -KILL $$", "echo app 52 70; kill -KILL $$"] {
        getent(&tree, &format!("case $2 in passwd) echo app:x:51:52::/:/;; *) {failure};; esac"));
        for words in [&["setuidgid", "-s", "app", "touch"][..], &["setuser", "app", "touch"]] {
            for ignored in ["--", "--ignore-signal=CHLD"] {
                let command = start("env").arg(ignored).args(words).arg(&ran);
                fails(
                    command,
                    &format!("{}: fatal: unable to initgroups: getent failed", words[0]),
                );
            }
        }
    }
    assert!(!tree.exists("ran"));
}

#[test]
fn the_groups_of_an_account_which_getent_knows_are_asked_of_getent() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, "root:x:0:0::/:/\n") else { return };
    tree.write("etc/group", GROUP);
    let passwd = format!("passwd) echo app:x:51:52::{}:/bin/app;;", tree.path("").display());
    getent(&tree, &format!("case $2 in {passwd} *) echo 'app      52 71 70 x 4294967296';; esac"));
    start("setuidgid").args(["-s", "app"]).args(SHOW).run().is(0, ids(51, 52, "52 70 71"), "");
    let path = "PATH=/usr/bin:/bin";
    let asked = format!("[--][passwd][app]\n{path}\n[--][initgroups][app]\n{path}\n");
    assert_eq!(tree.text("asked"), asked);
    start("setuser").arg("app").args(SHOW).run().is(0, ids(51, 52, "52 70 71"), "");
    // None, or those of others.
    for answer in ["exit 2", ":", "echo app2 52 72; echo; echo ap 73"] {
        getent(&tree, &format!("case $2 in {passwd} *) {answer};; esac"));
        start("setuidgid").args(["-s", "app"]).args(SHOW).run().is(0, ids(51, 52, "52"), "");
    }
}

#[test]
fn setuidgid_sets_the_variables_of_a_login_if_asked_to() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, PASSWD) else { return };
    let run = |options: &[&str], name: &str| {
        let command = start("setuidgid").args(options).arg(name).args(ENVIRON);
        variables(command.env("HOME", "/root").env("USER", "root").env("UID", "0"))
    };
    let pwd = format!("PWD={}", tree.path("").display());
    assert_eq!(run(&[], "app"), ["HOME=/root", &pwd, "UID=0", "USER=root"]);
    let wanted = ["HOME=HOME", &pwd, "SHELL=/bin/app", "UID=0", "USER=app"];
    assert_eq!(run(&["-e"], "app"), wanted);
    assert_eq!(run(&["-es"], "app"), wanted);
    let wanted = ["HOME=/", &pwd, "SHELL=/bin/sh", "UID=0", "USER=7:8"];
    assert_eq!(run(&["-e"], "7:8"), wanted);
}

#[test]
fn setuser_runs_the_program_as_the_account_would_log_in() {
    if without_root() {
        return;
    }
    let tree = tree();
    let home = tree.mkdir("home");
    let home = home.to_str().expect("a text");
    let Some(start) = with_own_accounts(&tree, PASSWD.replace("HOME", home)) else { return };
    tree.write("etc/group", GROUP);
    let start = || start("setpriv").args(["--groups=1,2,77", "--", "setuser", "app"]);
    start().args(SHOW).run().is(0, ids(51, 52, "52 59 60 62 66"), "");
    start().args(["readlink", "/proc/self/cwd"]).run().is(0, format!("{home}\n"), "");
    let command = start().args(ENVIRON).env("HOME", "/root").env("UID", "0").env("KEPT", "1");
    let pwd = format!("PWD={}", tree.path("").display());
    let home = format!("HOME={home}");
    let wanted = ["GID=52", &home, "KEPT=1", &pwd, "SHELL=/bin/app", "UID=51", "USER=app"];
    assert_eq!(variables(command), wanted);
}

#[test]
fn setuser_refuses_a_home_where_the_account_cannot_be() {
    if without_root() {
        return;
    }
    let tree = open_tree();
    let closed = tree.mkdir("closed");
    // Root could go there.
    tree.chmod("closed", 0o700);
    let file = tree.write("file", "");
    let ran = tree.path("ran");
    for (home, error) in [
        (tree.path("none"), "file does not exist"),
        (closed, "access denied"),
        (file, "not a directory"),
        ("".into(), "file does not exist"),
    ] {
        let home = home.to_str().expect("a text");
        let passwd = PASSWD.replace("HOME", home);
        let Some(start) = with_own_accounts(&tree, passwd) else { return };
        let command = start("setuser").args(["app", "touch"]).arg(&ran);
        fails(command, &format!("setuser: fatal: unable to chdir to {home}: {error}"));
    }
    assert!(!tree.exists("ran"));
}

// What is inherited. For the original's loaders and what they have in common with ours, the
// compliance tests say it.

/// Shell commands which arrange conditions and then run the words they are given, and what is to be
/// seen of that in a program.
const CONDITIONS: [(&str, &str); 7] = [
    ("exec", "\n0 -> "),
    ("exec <&- >&- 2>&-; exec", "\nSigIgn:"),
    ("exec 3<in 4>>out 5<>err 7</ 9<&3; umask 0137; cd sub; exec", "\nUmask:\t0137\n"),
    (
        "trap '' HUP INT QUIT USR1 PIPE ALRM TERM TSTP; exec env --ignore-signal=CHLD",
        "97207\nSigCgt:",
    ),
    (
        "exec env --block-signal=PIPE,USR2,TERM,CHLD sh -c 'kill -s USR2 $$; exec \"$@\"' sh",
        "\nShdPnd:\t0000000000000800\n",
    ),
    (
        "exec env --block-signal=CHLD sh -c 'kill -s CHLD $$; exec \"$@\"' sh",
        "\nShdPnd:\t0000000000010000\n",
    ),
    (
        "exec prlimit --nofile=70:80 --fsize=1000000:2000000 --nproc=1000:2000 \
         --stack=1000000:2000000 --data=1000000000:2000000000 --as=1000000000:2000000000 \
         --rss=1000000:2000000 --memlock=10000:20000 --sigpending=10:20 --core=0:10",
        "\nMax open files            70                   80 ",
    ),
];

/// What a program has of its parent, ids and environment aside: descriptors, directory, signals,
/// umask and limits.
#[track_caller]
fn inherited(pid: u32) -> String {
    let file =
        |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the program runs");
    let mut seen = format!("{}\n", process::directory(pid).expect("a directory").display());
    for (number, target) in process::descriptors(pid) {
        seen += &format!("{number} -> {}\n", target.display());
        let info = file(&format!("fdinfo/{number}"));
        // The mount's number is another one in each namespace.
        let kept =
            info.lines().filter(|line| line.starts_with("pos:") || line.starts_with("flags:"));
        seen.extend(kept.map(|line| format!("  {line}\n")));
    }
    let status = file("status");
    let kept = ["Sig", "ShdPnd", "Umask", "NoNewPrivs", "Seccomp", "CapBnd", "CapInh"];
    let lines = status.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    // How many signals wait is counted for each user.
    seen.extend(lines.filter(|line| !line.starts_with("SigQ")).map(|line| format!("{line}\n")));
    seen + &file("limits")
}

/// Compares loaders with no loader, under each of the conditions. `start` starts a program.
#[track_caller]
fn inherit_alike<'t>(tree: &'t Tree, start: impl Fn(&str) -> Cmd<'t>, loaders: &[&[&str]]) {
    for name in ["in", "out", "err"] {
        tree.write(name, "");
    }
    tree.mkdir("sub");
    for (condition, visible) in CONDITIONS {
        let script = format!("exec <in >>out 2>>err; {condition} \"$@\"");
        let run = |loader: &[&str]| {
            let command = start("sh").args(["-c", &script, "sh"]).args(loader);
            let started = command.args(["sleep", "1000"]).start();
            process::wait_asleep(started.pid(), "sleep");
            assert_eq!(process::descendants(started.pid()), [], "nothing is left behind");
            inherited(started.pid())
        };
        let bare = run(&[]);
        assert!(bare.contains(visible), "no {visible:?} in {bare}");
        for loader in loaders {
            let mut seen = run(loader);
            if loader[0] == "setuser" {
                // This is what it is for.
                let (directory, rest) = seen.split_once('\n').expect("a line");
                assert_eq!(directory, "/");
                seen = format!("{}\n{rest}", bare.lines().next().expect("a line"));
            }
            assert!(seen == bare, "{loader:?}, {condition}: {seen}\nbut without it {bare}");
        }
    }
    assert_eq!((tree.text("out"), tree.text("err")), (String::new(), String::new()));
}

#[test]
fn what_sets_variables_changes_nothing_else() {
    let tree = tree();
    let file = tree.write("file", "A=1\nB=2\n");
    let file = file.to_str().expect("a text");
    tree.write("env/A", "1");
    let env = tree.path("env");
    let env = env.to_str().expect("a text");
    inherit_alike(
        &tree,
        |program| tree.cmd(program),
        &[
            &["envini", file],
            &["envini", "-p", "X_", file],
            &["envini", "none"],
            &["envfile", file],
            &["envdir", "-p", "X_", env],
            &["envuidgid", "7:8"],
        ],
    );
}

#[test]
fn what_gives_up_rights_changes_nothing_else() {
    if without_root() {
        return;
    }
    let tree = tree();
    let Some(start) = with_own_accounts(&tree, PASSWD.replace("HOME", "/")) else { return };
    tree.write("etc/group", GROUP);
    let passwd = "passwd) echo remote:x:61:62::/:/bin/sh;;";
    getent(&tree, &format!("case $2 in {passwd} *) echo remote 62 71;; esac"));
    inherit_alike(
        &tree,
        start,
        &[
            &["setuidgid", "54321:12345"],
            &["setuidgid", "-s", "54321:12345"],
            &["setuidgid", "-e", "54321:12345"],
            &["setuidgid", "-se", "app"],
            &["setuidgid", "-se", "remote"],
            &["setuser", "54321:12345"],
            &["setuser", "app"],
            &["setuser", "remote"],
            &["envuidgid", "remote"],
        ],
    );
    assert!(tree.exists("asked"));
}

// softlimit

/// The limits a program shows, soft and hard.
#[derive(Debug)]
struct Limits(String);

impl Limits {
    #[track_caller]
    fn of(command: Cmd<'_>) -> Self {
        let output = command.args(["cat", "/proc/self/limits"]).run();
        assert!(output.code == Some(0) && output.stderr.is_empty(), "{output}");
        Self(output.out())
    }

    /// One of them; the numbers are `u64::MAX` for unlimited ones.
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
    // A limit which is refused before a value which is wrong, and the other way round.
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

/// A soft and a hard limit which softlimit is to lift.
const LOWERED: [&str; 3] = ["prlimit", "--core=1000:1000", "--rss=1000:1000"];

#[test]
fn softlimit_lifts_a_limit_for_those_who_may() {
    let tree = tree();
    let trial = tree.cmd("prlimit").args(["--core=unlimited:unlimited", "true"]);
    if trial.under(LOWERED).run().code != Some(0) {
        if is_root() {
            // So it is in most containers. What is asked of the system is tested below.
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
    // It can be lowered again by what follows.
    let limits = Limits::of(tree.cmd("softlimit").args(["-r-", "-r", "5000"]).under(LOWERED));
    assert_eq!(limits.get("Max resident set"), (5000, u64::MAX));
    let limits = Limits::of(tree.cmd("softlimit").args(["-m", "-"]));
    assert!(SIZES.iter().all(|limit| limits.get(limit) == lifted), "{limits:?}");
}

#[test]
fn softlimit_asks_the_system_for_no_limit_at_all() {
    let tree = tree();
    // Granted or not: it is only pretended.
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
fn softlimit_says_when_it_may_not_lift_a_limit_and_runs_nothing() {
    let tree = tree();
    let refused = "softlimit: fatal: setrlimit failed: permission denied";
    let touch = |option: &str| tree.cmd("softlimit").args([option, "-", "touch", "ran"]);
    fails(touch("-c").unprivileged().under(LOWERED), refused);
    let command = tree.cmd("softlimit").args(["touch", "ran"]).env("SOFTLIMIT_RSSBYTES", "-");
    fails(command.unprivileged().under(LOWERED), refused);
    // Not even root may have unlimited files.
    fails(touch("-o"), refused);
    assert!(!tree.exists("ran"));
}

#[test]
fn anybody_may_lift_a_soft_limit_whose_hard_limit_is_none() {
    let tree = tree();
    if Limits::of(tree.cmd("env")).get("Max resident set").1 != u64::MAX {
        skip("the limit of resident memory is a hard one");
        return;
    }
    let command = tree.cmd("softlimit").args(["-r", "-"]).unprivileged();
    let limits = Limits::of(command.under(["prlimit", "--rss=1000:unlimited"]));
    assert_eq!(limits.get("Max resident set"), (u64::MAX, u64::MAX));
}

// setlock

/// A shell which holds the lock by flock(1), once this returns, until it is killed.
#[track_caller]
fn flock(tree: &Tree) -> Process {
    let shell = tree.sh("exec 9>>lock; flock 9; echo >held; exec sleep 1000").start();
    tree.wait_lines("held", 1);
    tree.remove("held");
    shell
}

#[test]
fn setlock_respects_a_lock_of_flock() {
    let tree = tree();
    let holder = flock(&tree);
    let held = "setlock: fatal: unable to lock lock: temporary failure";
    fails(tree.cmd("setlock").args(["-n", "lock", "touch", "ran"]), held);
    tree.cmd("setlock").args(["-nx", "lock", "touch", "ran"]).run().is(0, "", "");
    let waiting = tree.cmd("setlock").args(["lock", "echo", "got it"]).start();
    let sleeping = || process::state(waiting.pid()) == Some('S');
    wait_until("setlock waits", DEADLINE, || {
        sleeping() && process::has_open(waiting.pid(), &tree.path("lock"))
    });
    assert_eq!(waiting.stdout(), "");
    assert!(!tree.exists("ran"));
    let _ = holder.kill();
    waiting.wait().is(0, "got it\n", "");
}

#[test]
fn flock_respects_a_lock_of_setlock() {
    let tree = tree();
    let script = "echo >held; exec sleep 1000";
    let holder = tree.cmd("setlock").args(["lock", "sh", "-c", script]).start();
    tree.wait_lines("held", 1);
    assert_eq!(tree.cmd("flock").args(["-n", "lock", "touch", "ran"]).run().code, Some(1));
    assert!(!tree.exists("ran"));
    let waiting = tree.cmd("flock").args(["lock", "echo", "got it"]).start();
    wait_until("flock waits", DEADLINE, || process::has_open(waiting.pid(), &tree.path("lock")));
    assert_eq!(waiting.stdout(), "");
    // The lock is the program's, and goes with it.
    let _ = holder.kill();
    waiting.wait().is(0, "got it\n", "");
}

// fghack

/// A daemon which appends the names of all signals which `svc` can send to `signals`, those aside
/// which nobody can catch, and ends after TERM. Its pid is in `started`.
fn write_daemon(tree: &Tree) {
    let mut script = String::from("#!/bin/sh\n");
    for (name, _) in SIGNALS {
        let end = if name == "TERM" { "; exit 9" } else { "" };
        script += &format!("trap 'echo {name} >>signals{end}' {name}\n");
    }
    // Reading from a FIFO that never has anything waits without a child.
    script += "mkfifo idle; exec 8<>idle\necho $$ >>started\nwhile :; do read -r line <&8; done\n";
    tree.script("daemon", script);
}

const SIGNALS: [(&str, Signal); 9] = [
    ("HUP", Signal::HUP),
    ("USR1", Signal::USR1),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("USR2", Signal::USR2),
    ("ALRM", Signal::ALARM),
    ("CONT", Signal::CONT),
    ("WINCH", Signal::WINCH),
    ("TERM", Signal::TERM),
];

/// The daemon's pid, once it runs.
#[track_caller]
fn daemon(tree: &Tree) -> u32 {
    tree.wait_lines("started", 1)[0].parse().expect("a pid")
}

/// Starts `fghack OPTIONS sh -c SCRIPT`, and waits until the daemon in there has lost its parent
/// and, if signals are handed on, got fghack instead.
#[track_caller]
fn fghack(tree: &Tree, options: &[&str], script: &str) -> (Process, u32) {
    write_daemon(tree);
    let fghack = tree.cmd("fghack").args(options).args(["sh", "-c", script]).start();
    let pid = daemon(tree);
    wait_until("the daemon is in the background", DEADLINE, || {
        let started = process::descendants(fghack.pid());
        let alone = !started.iter().any(|&pid| process::arguments(pid).iter().any(|a| a == script));
        alone && (options.is_empty() || process::parent(pid) == Some(fghack.pid()))
    });
    (fghack, pid)
}

#[test]
fn signals_reach_a_program_which_went_into_the_background() {
    // A shell's way into the background makes the program ignore INT and QUIT.
    for (script, ignored) in [
        ("./daemon & exit 7", &["INT", "QUIT"][..]),
        ("(./daemon &) ; exit 7", &["INT", "QUIT"]),
        ("(setsid ./daemon &) ; exit 7", &["INT", "QUIT"]),
        ("setsid -f ./daemon; exit 7", &[]),
        ("setsid -f setsid -f ./daemon; exit 7", &[]),
    ] {
        let tree = tree();
        let (fghack, pid) = fghack(&tree, &["-f"], script);
        let sent = SIGNALS.iter().filter(|(name, _)| !ignored.contains(name));
        for (number, (name, signal)) in sent.enumerate() {
            fghack.signal(*signal);
            let lines = tree.wait_lines("signals", number + 1);
            assert_eq!(lines[number], *name, "{script}");
        }
        // The exit code is the launcher's, as without -f.
        fghack.wait().is(7, "", "");
        // It gives up its files before it is gone.
        process::wait_gone(pid);
    }
}

#[test]
fn signals_reach_a_program_in_the_foreground() {
    let tree = tree();
    write_daemon(&tree);
    let fghack = tree.cmd("fghack").args(["-f", "./daemon"]).start();
    let pid = daemon(&tree);
    assert_eq!(process::parent(pid), Some(fghack.pid()));
    for (number, (name, signal)) in SIGNALS.iter().enumerate() {
        fghack.signal(*signal);
        assert_eq!(tree.wait_lines("signals", number + 1)[number], *name);
    }
    fghack.wait().is(9, "", "");
}

#[test]
fn signals_reach_every_program_in_the_background() {
    let tree = tree();
    write_daemon(&tree);
    tree.script("second", "#!/bin/sh\ncd two && exec ../daemon\n");
    tree.mkdir("two");
    let script = "setsid -f ./daemon; setsid -f ./second; exit 0";
    let fghack = tree.cmd("fghack").args(["-f", "sh", "-c", script]).start();
    let mut pids = Vec::new();
    for started in ["started", "two/started"] {
        let pid = tree.wait_lines(started, 1)[0].parse().expect("a pid");
        wait_until("it is fghack's", DEADLINE, || process::parent(pid) == Some(fghack.pid()));
        pids.push(pid);
    }
    // Else it would be killed by the signal.
    wait_until("the launcher has ended", DEADLINE, || {
        process::descendants(fghack.pid()).iter().all(|pid| pids.contains(pid))
    });
    fghack.signal(Signal::USR1);
    assert_eq!(tree.wait_lines("signals", 1), ["USR1"]);
    assert_eq!(tree.wait_lines("two/signals", 1), ["USR1"]);
    // One may end before the other; nothing is left of it.
    process::signal(pids[1], Signal::KILL);
    wait_reaped(pids[1]);
    fghack.signal(Signal::TERM);
    fghack.wait().is(0, "", "");
    process::wait_gone(pids[0]);
}

/// Starts a program, and ends with 7 when it has; a signal is noted, and does not end it.
const LAUNCHER: &str = "#!/bin/sh
trap 'echo launcher >>signals' USR1 TERM
\"$@\" &
wait; wait; wait
exit 7
";

#[test]
fn signals_reach_what_is_below_a_launcher_that_waits_each_process_once() {
    let tree = tree();
    write_daemon(&tree);
    tree.script("launcher", LAUNCHER);
    let command = tree.cmd("fghack").args(["-f", "./launcher", "setsid", "./launcher"]);
    let fghack = command.arg("./daemon").start();
    let pid = daemon(&tree);
    fghack.signal(Signal::USR1);
    let mut lines = tree.wait_lines("signals", 3);
    lines.sort();
    assert_eq!(lines, ["USR1", "launcher", "launcher"]);
    fghack.signal(Signal::TERM);
    fghack.wait().is(7, "", "");
    process::wait_gone(pid);
    let mut lines = tree.wait_lines("signals", 6);
    lines.sort();
    assert_eq!(lines, ["TERM", "USR1", "launcher", "launcher", "launcher", "launcher"]);
}

#[test]
fn a_signal_that_ends_the_launcher_reaches_the_daemon_as_well() {
    for script in ["setsid ./daemon & wait", "(./daemon & wait) & wait", "./daemon; exit 7"] {
        let tree = tree();
        write_daemon(&tree);
        let fghack = tree.cmd("fghack").args(["-f", "sh", "-c", script]).start();
        let pid = daemon(&tree);
        fghack.signal(Signal::TERM);
        fghack.wait().is(111, "", "fghack: fatal: child crashed\n");
        process::wait_gone(pid);
        assert_eq!(tree.wait_lines("signals", 1), ["TERM"], "{script}");
    }
}

#[test]
fn without_f_a_signal_ends_fghack_only() {
    let tree = tree();
    let (fghack, pid) = fghack(&tree, &[], "setsid -f ./daemon; exit 7");
    fghack.signal(Signal::TERM);
    let output = fghack.wait();
    assert_eq!((output.code, output.signal), (None, Some(15)), "{output}");
    assert!(process::is_alive(pid));
    assert!(!tree.exists("signals"));
}

#[test]
fn only_f_as_a_word_of_its_own_is_an_option_of_fghack() {
    let tree = tree();
    for words in [&["-ff", "true"][..], &["-Q", "true"], &["--", "true"], &["-f", "-f", "true"]] {
        let program = words[words.len() - 2];
        let message = format!("fghack: fatal: unable to run {program}: file does not exist");
        fails(tree.cmd("fghack").args(words), &message);
    }
    tree.cmd("fghack").args(["-f", "echo", "-f"]).run().is(0, "-f\n", "");
}

#[test]
fn with_f_the_exit_code_is_reported_all_the_same() {
    let tree = tree();
    for code in [0, 1, 100, 111, 255] {
        let script = format!("exit {code}");
        tree.cmd("fghack").args(["-f", "sh", "-c", &script]).run().is(code, "", "");
    }
    let command = tree.cmd("fghack").args(["-f", "sh", "-c", "kill -KILL $$"]);
    fails(command, "fghack: fatal: child crashed");
    // A program which does not care about TERM is killed by it.
    let fghack = tree.cmd("fghack").args(["-f", "sleep", "1000"]).start();
    process::wait_asleep(find_below(fghack.pid(), &["sleep", "1000"]), "sleep");
    fghack.signal(Signal::TERM);
    fghack.wait().is(111, "", "fghack: fatal: child crashed\n");
}

#[test]
fn signals_reach_a_program_which_closed_fghacks_pipe() {
    // It is still there, and fghack waits for its exit code.
    const SCRIPT: &str = "use POSIX; POSIX::close($_) for 3 .. 99;
        $SIG{TERM} = sub { exit 3 }; open F, '>ready'; close F; sleep 1 while 1";
    let tree = tree();
    let fghack = tree.cmd("fghack").args(["-f", "perl", "-e", SCRIPT]).start();
    wait_until("it is ready", DEADLINE, || tree.exists("ready"));
    process::wait_asleep(fghack.pid(), "fghack");
    fghack.signal(Signal::TERM);
    fghack.wait_within(Duration::from_secs(10)).is(3, "", "");
}

#[test]
fn fghacks_program_inherits_blocked_and_ignored_signals() {
    let tree = tree();
    let show = ["grep", "-E", "^Sig(Blk|Ign|Pnd)", "/proc/self/status"];
    for wrapper in [
        &[][..],
        &["--block-signal=USR1,TERM,CHLD,PIPE"],
        &["--ignore-signal=HUP,USR1,PIPE"],
        &["--block-signal=HUP", "--ignore-signal=TERM,INT,QUIT"],
    ] {
        let run = |command: Cmd<'_>| command.args(show).under(["env"].iter().chain(wrapper)).run();
        let bare = run(tree.cmd("env"));
        assert!(bare.code == Some(0) && bare.out().lines().count() == 3, "{bare}");
        assert_eq!(run(tree.cmd("fghack")), bare, "{wrapper:?}");
        assert_eq!(run(tree.cmd("fghack").arg("-f")), bare, "{wrapper:?} with -f");
    }
}

/// For their sender fghack stands for a program which may have changed that they are ignored. HUP and
/// INT, which are ignored on purpose behind nohup and in the background of a shell, stay so.
#[test]
fn signals_that_were_ignored_are_handed_on_but_for_hup_and_int() {
    let names = SIGNALS.map(|(name, _)| name);
    let script = format!(
        "for my $name (qw({})) {{
             $SIG{{$name}} = sub {{ open F, '>>signals'; print F \"$name\\n\"; close F;
                                   exit 9 if $name eq 'TERM' }}
         }}
         open F, '>started'; close F; sleep 1 while 1",
        names.join(" ")
    );
    let tree = tree();
    let ignored = format!("--ignore-signal={}", names.join(","));
    let command = tree.cmd("fghack").args(["-f", "perl", "-e", &script]);
    let fghack = command.under(["env", &ignored]).start();
    wait_until("the program is ready", DEADLINE, || tree.exists("started"));
    let mut count = 0;
    for (name, signal) in SIGNALS {
        fghack.signal(signal);
        if !["HUP", "INT"].contains(&name) {
            count += 1;
            assert_eq!(tree.wait_lines("signals", count)[count - 1], name);
        }
    }
    fghack.wait().is(9, "", "");
}

#[test]
fn fghacks_program_inherits_that_the_ends_of_children_are_ignored() {
    let tree = tree();
    let run = |command: Cmd<'_>| {
        let command = command.args(["grep", "^SigIgn", "/proc/self/status"]);
        command.under(["env", "--ignore-signal=CHLD"]).run()
    };
    let bare = run(tree.cmd("env"));
    assert_eq!(bare.code, Some(0), "{bare}");
    assert_eq!(run(tree.cmd("fghack").arg("-f")), bare);
}

#[test]
fn fghacks_program_gets_the_pipe_and_nothing_else() {
    let tree = tree();
    // The tests themselves may have been given more than three descriptors.
    let bare = tree.cmd("sleep").arg("1000").start();
    process::wait_asleep(bare.pid(), "sleep");
    let bare = process::descriptors(bare.pid());
    for options in [&[][..], &["-f"]] {
        let fghack = tree.cmd("fghack").args(options).args(["sleep", "1000"]).start();
        let pid = find_below(fghack.pid(), &["sleep", "1000"]);
        process::wait_asleep(pid, "sleep");
        let files = process::descriptors(pid);
        assert_eq!(files.len(), bare.len() + 31, "{files:?}");
        let copies = |pipe: &Path| files.iter().filter(|(_, file)| file == pipe).count();
        assert!(files.iter().any(|(_, file)| copies(file) == 31), "{files:?}");
    }
}

#[test]
fn fghack_ends_as_soon_as_the_last_descendant_does() {
    let tree = tree();
    let (fghack, pid) = fghack(&tree, &["-f"], "setsid -f ./daemon; exit 5");
    process::wait_asleep(fghack.pid(), "fghack");
    process::signal(pid, Signal::KILL);
    fghack.wait_within(PROMPT).is(5, "", "");
}

// Cost

/// The system calls a loader makes from its own start to that of its program, both included; of one
/// that stays, all of its own and those of its child up to there. How many, and which. Nobody becomes somebody else:
/// that is only pretended.
#[track_caller]
fn calls(words: &[&str]) -> (usize, Vec<String>) {
    let tree = tree();
    for name in ["A", "B", "C", "D", "E"] {
        tree.write(Path::new("env").join(name), "value\n");
    }
    tree.write("file", "A=1\nB=2\nC=3\nD=4\nE=5\n");
    let program = tree.suite().program("true");
    let pretended = ["-e", "inject=setgroups,setgid,setuid,chdir:retval=0"];
    let command = traced(tree.cmd(words[0]), pretended);
    command.args(&words[1..]).arg(&program).run().is(0, "", "");
    let trace = tree.text("trace");
    let start = format!("execve(\"{}\"", program.display());
    let mut became = None;
    let mut again = 0;
    let mut found = Vec::new();
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').expect("a process and what it did");
        let call = call.trim_start();
        // Under strace the end of a child interrupts a call, which is begun anew: it is one.
        if became != Some(pid) && call.contains("ERESTART") {
            again += 1;
        }
        // Neither a signal nor the second half of a call is one.
        if became == Some(pid) || !call.starts_with(|first: char| first.is_ascii_lowercase()) {
            continue;
        }
        if call.starts_with(&start) {
            became = Some(pid);
        }
        found.push(line.to_owned());
    }
    assert!(became.is_some(), "no {start} in {trace}");
    (found.len() - again, found)
}

/// Asserts that a loader makes no more system calls than that.
#[track_caller]
fn costs_at_most(words: &[&str], ceiling: usize) {
    let (count, calls) = calls(words);
    assert!(count <= ceiling, "{count} calls, not {ceiling}:\n{}", calls.join("\n"));
}

// Every service in the world is started through some of these. The numbers are ceilings, and what is
// needed today: they may only go down.

#[test]
fn envdir_with_five_files_makes_at_most_20_system_calls() {
    costs_at_most(&["envdir", "env"], 20);
}

#[test]
fn setuidgid_makes_at_most_8_system_calls() {
    // Root has the first line everywhere; further ones may need a further read.
    costs_at_most(&["setuidgid", "root"], 8);
}

#[test]
fn softlimit_with_one_limit_makes_at_most_4_system_calls() {
    costs_at_most(&["softlimit", "-o", "100"], 4);
}

#[test]
fn setlock_makes_at_most_4_system_calls() {
    costs_at_most(&["setlock", "lock"], 4);
}

#[test]
fn pgrphack_makes_at_most_3_system_calls() {
    costs_at_most(&["pgrphack"], 3);
}

#[test]
fn envuidgid_makes_at_most_5_system_calls() {
    costs_at_most(&["envuidgid", "root"], 5);
}

#[test]
fn envini_makes_at_most_6_system_calls() {
    costs_at_most(&["envini", "file"], 6);
}

#[test]
fn envfile_makes_at_most_6_system_calls() {
    costs_at_most(&["envfile", "file"], 6);
}

#[test]
fn setuser_makes_at_most_13_system_calls_and_one_for_every_2_kib_of_groups() {
    // Here as well the first line of /etc/passwd is enough. /etc/group is read to its end.
    let groups = fs::read("/etc/group").map_or(0, |text| text.len());
    costs_at_most(&["setuser", "root"], 13 + groups.div_ceil(2048));
}

#[test]
fn fghack_makes_at_most_41_system_calls() {
    // 30 of them copy the pipe.
    costs_at_most(&["fghack"], 41);
}
