//! envdir, envini and envfile.

use crate::{fails, traced};
use harness::{Cmd, ENVIRON, strace_works, variables};
use std::fs;
use std::time::Duration;
use system::tree;

// envdir

#[test]
fn envdirs_prefix_is_put_before_every_name_that_is_set() {
    let tree = tree();
    tree.write("env/A", "1");
    tree.write("env/B", "2");
    let command = tree.cmd("envdir").args(["-p", "X_", "env"]).args(ENVIRON);
    let command = command.env("A", "old").env("X_A", "old").env("X_C", "old");
    assert_eq!(variables(command), ["A=old", "X_A=1", "X_B=2", "X_C=old"]);
    // The last -p counts. The prefix may be empty, or follow its letter without a space.
    for options in [&["-p", "X_", "-p", "Y"][..], &["-pY"]] {
        let command = tree.cmd("envdir").args(options).arg("env").args(ENVIRON);
        assert_eq!(variables(command), ["YA=1", "YB=2"]);
    }
    let command = tree.cmd("envdir").args(["-p", "", "--", "env"]).args(ENVIRON);
    assert_eq!(variables(command), ["A=1", "B=2"]);
}

#[test]
fn envdirs_prefix_is_put_before_every_name_that_is_removed() {
    let tree = tree();
    tree.write("env/A", "");
    let command = tree.cmd("envdir").args(["-p", "X_", "env"]).args(ENVIRON);
    let command = command.env("A", "1").env("X_A", "2").env("X_", "3");
    assert_eq!(variables(command), ["A=1", "X_=3"]);
}

/// As in a file's name, the part before the first equal sign is the variable's name.
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
fn envdir_skips_files_that_vanish_while_it_reads() {
    if !strace_works(&tree()) {
        return;
    }
    let tree = tree();
    tree.write("env/A", "1");
    // envdir opens the directory first, then the only file in it.
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
    // For the standard library the further entries of `A` are variables with an equal sign in their
    // name.
    let inherit = |command: Cmd<'_>| {
        let command = command.env("A", "1").env("A=2", "").env("A=3", "").env("C", "c");
        variables(command.env("B", "1").env("B=2", "").args(ENVIRON))
    };
    // The entries as they are inherited.
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

/// Half of the variables are set, half are removed. Quadratic time would exceed the deadline;
/// linear time is far below it on a busy machine.
#[test]
fn envdir_reads_a_hundred_thousand_files_in_linear_time() {
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

/// Each setting comes twice, so the second replaces the first.
#[test]
fn envini_and_envfile_read_a_hundred_thousand_settings_in_linear_time() {
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

/// Small allocations, large ones, and growing ones fail.
#[test]
fn a_loader_without_memory_reports_it_and_runs_nothing() {
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

/// The variables that `envini -p PREFIX` sets from a file.
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
fn a_missing_ini_file_is_empty() {
    let tree = tree();
    for file in ["none", "none/ini"] {
        let command = tree.cmd("envini").arg(file).args(ENVIRON).env("A", "1");
        assert_eq!(variables(command), ["A=1"]);
    }
}

#[test]
fn an_ini_file_that_cannot_be_read_is_reported() {
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
fn mistakes_in_envfiles_file_are_reported_with_their_line() {
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
fn a_file_that_envfile_cannot_read_is_reported() {
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
fn a_setting_with_a_nul_byte_is_ignored() {
    let tree = tree();
    tree.write("file", "A=1\nA=x\0y\nB=x\0y\nC\0D=1\n");
    for program in ["envini", "envfile"] {
        let command = tree.cmd(program).arg("file").args(ENVIRON).env("B", "old").env("C", "old");
        assert_eq!(variables(command), ["A=1", "B=old", "C=old"], "{program}");
    }
}
