//! All seven chain loaders run another program in the same way.

use harness::{Cmd, Tree, is_root};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A loader that is to run a program, with options that do not affect the test.
struct Loader<'t> {
    tree: &'t Tree,
    name: &'static str,
    words: Vec<OsString>,
}

impl<'t> Loader<'t> {
    fn cmd(&self) -> Cmd<'t> {
        self.tree.cmd(self.name).args(&self.words)
    }

    /// Asserts that the loader cannot run the program, for this reason.
    #[track_caller]
    fn fails(&self, program: &str, error: &str, arrange: impl Fn(Cmd<'t>) -> Cmd<'t>) {
        let line = format!("{}: fatal: unable to run {program}: {error}\n", self.name);
        arrange(self.cmd().args([program, "argument"])).run().is(111, "", line);
    }
}

/// Runs the test with every loader. Only root can use setuidgid.
#[track_caller]
fn each(tree: &Tree, test: impl Fn(&Loader<'_>)) {
    let loader = |name, words: &[&OsStr]| {
        test(&Loader { tree, name, words: words.iter().map(Into::into).collect() });
    };
    let (env, lock) = (tree.mkdir("loaders/env"), tree.path("loaders/lock"));
    loader("envdir", &[env.as_os_str()]);
    loader("envuidgid", &["root".as_ref()]);
    if is_root() {
        loader("setuidgid", &["root".as_ref()]);
    }
    loader("softlimit", &[]);
    loader("setlock", &[lock.as_os_str()]);
    loader("pgrphack", &[]);
    loader("fghack", &[]);
}

/// Valid and invalid programs. The valid ones print the name of their directory.
fn programs(tree: &Tree) {
    for dir in ["one", "two"] {
        tree.script(format!("{dir}/good"), format!("#!/bin/sh\necho {dir}\n"));
    }
    tree.script("two/mixed", "#!/bin/sh\necho two\n");
    tree.write("plain/mixed", "#!/bin/sh\necho plain\n");
    tree.mkdir("dir/mixed");
    tree.script("text/mixed", "echo text\n");
    tree.script("empty/mixed", "");
    tree.script("interpreter/mixed", "#!/no/such/interpreter\n");
    tree.symlink("mixed", "loop/mixed");
    tree.symlink("nowhere", "dangling/mixed");
    tree.write("file", "");
}

/// The error of `mixed` in each directory, and whether the search goes on after it.
const BAD: [(&str, &str, bool); 7] = [
    ("plain", "access denied", true),
    ("dir", "access denied", true),
    ("text", "exec format error", false),
    ("empty", "exec format error", false),
    ("interpreter", "file does not exist", true),
    ("loop", "symbolic link loop", false),
    ("dangling", "file does not exist", true),
];

// A name with a slash

#[test]
fn a_name_with_a_slash_is_not_searched() {
    let tree = Tree::new();
    programs(&tree);
    tree.script("one/two/good", "#!/bin/sh\necho wrong\n");
    let absolute = tree.path("one/good");
    each(&tree, |loader| {
        for name in ["one/good", "./one/good", "one/../one//good", absolute.to_str().expect("text")]
        {
            loader.cmd().arg(name).env("PATH", "two").run().is(0, "one\n", "");
        }
        loader.fails("two/none", "file does not exist", |cmd| cmd.env("PATH", "one"));
        loader.fails("two/good", "file does not exist", |cmd| cmd.cwd("two").env("PATH", "../one"));
    });
}

#[test]
fn the_reason_why_a_program_cannot_be_run_is_reported() {
    let tree = Tree::new();
    programs(&tree);
    let long = format!("./{}", "x".repeat(300));
    each(&tree, |loader| {
        for (dir, error, _) in BAD {
            let named = tree.suite().differs("ours names a missing interpreter");
            let error = match dir {
                "interpreter" if named => {
                    format!("{error}: interpreter \"/no/such/interpreter\" does not exist")
                }
                _ => error.to_owned(),
            };
            loader.fails(&format!("./{dir}/mixed"), &error, |cmd| cmd);
        }
        for (name, error) in [
            ("./none", "file does not exist"),
            ("none/none", "file does not exist"),
            ("file/none", "not a directory"),
            ("two/good/", "not a directory"),
            ("one/", "access denied"),
            ("/", "access denied"),
            ("./", "access denied"),
            (&long, "file name too long"),
        ] {
            loader.fails(name, error, |cmd| cmd);
        }
    });
}

#[test]
fn a_program_in_a_closed_directory_is_denied() {
    let tree = Tree::new();
    programs(&tree);
    tree.chmod("two", 0);
    each(&tree, |loader| {
        if loader.name != "setuidgid" {
            loader.fails("two/good", "access denied", Cmd::unprivileged);
            loader.fails("mixed", "access denied", |cmd| cmd.env("PATH", "two").unprivileged());
            let command = loader.cmd().arg("good").env("PATH", "two:one");
            command.unprivileged().run().is(0, "one\n", "");
        }
    });
}

#[test]
fn no_shell_reads_a_text_without_an_interpreter() {
    let tree = Tree::new();
    tree.script("text", "echo text\n");
    tree.script("bare", "#!\n");
    tree.script("blank", "#! \t\n");
    // Its interpreter is not executable.
    tree.script("nested", "#!text\n");
    each(&tree, |loader| {
        for name in ["./text", "./bare", "./blank", "./nested"] {
            loader.fails(name, "exec format error", |cmd| cmd);
        }
        loader.fails("text", "exec format error", |cmd| cmd.env("PATH", "."));
    });
}

// The search

#[test]
fn the_first_directory_which_has_the_program_wins() {
    let tree = Tree::new();
    programs(&tree);
    each(&tree, |loader| {
        for (path, wanted) in [
            ("one", "one\n"),
            ("one:two", "one\n"),
            ("two:one", "two\n"),
            ("none:two:one", "two\n"),
            ("none/also:./two/:one", "two\n"),
            ("dir:plain:one", "one\n"),
        ] {
            loader.cmd().arg("good").env("PATH", path).run().is(0, wanted, "");
        }
        let absolute = format!("{}:{}", tree.path("none").display(), tree.path("two").display());
        loader.cmd().arg("good").env("PATH", absolute).run().is(0, "two\n", "");
    });
}

#[test]
fn a_program_in_no_directory_does_not_exist() {
    let tree = Tree::new();
    programs(&tree);
    each(&tree, |loader| {
        for path in ["one:two", "none", "none:one:none", "", ":", "one::two"] {
            loader.fails("nothing", "file does not exist", |cmd| cmd.env("PATH", path));
        }
    });
}

#[test]
fn the_search_goes_on_after_some_errors_and_ends_with_others() {
    let tree = Tree::new();
    programs(&tree);
    each(&tree, |loader| {
        for (dir, error, goes_on) in BAD {
            let path = format!("{dir}:two");
            if goes_on {
                loader.cmd().arg("mixed").env("PATH", path).run().is(0, "two\n", "");
            } else {
                loader.fails("mixed", error, |cmd| cmd.env("PATH", &path));
            }
        }
    });
}

#[test]
fn a_denied_access_is_remembered_to_the_end() {
    let tree = Tree::new();
    programs(&tree);
    each(&tree, |loader| {
        for path in ["plain", "plain:one", "one:plain:none", "none:dir", "dir:interpreter:one"] {
            loader.fails("mixed", "access denied", |cmd| cmd.env("PATH", path));
        }
        // An error that ends the search has precedence.
        loader.fails("mixed", "exec format error", |cmd| cmd.env("PATH", "plain:text"));
        loader.fails("mixed", "symbolic link loop", |cmd| cmd.env("PATH", "dir:loop:two"));
        loader.fails("mixed", "not a directory", |cmd| cmd.env("PATH", "plain:file:two"));
    });
}

#[test]
fn a_file_in_the_path_ends_the_search() {
    let tree = Tree::new();
    programs(&tree);
    each(&tree, |loader| {
        loader.fails("good", "not a directory", |cmd| cmd.env("PATH", "file:one"));
        loader.fails("good", "not a directory", |cmd| cmd.env("PATH", "none:one/good:one"));
        loader.cmd().arg("good").env("PATH", "one:file").run().is(0, "one\n", "");
    });
}

#[test]
fn a_name_too_long_ends_the_search() {
    let tree = Tree::new();
    programs(&tree);
    let name = "x".repeat(256);
    let component = "y".repeat(256);
    let path = "z/".repeat(3000);
    each(&tree, |loader| {
        loader.fails(&name, "file name too long", |cmd| cmd);
        for long in [&component, &path] {
            let search = format!("{long}:one");
            loader.fails("good", "file name too long", |cmd| cmd.env("PATH", &search));
            let search = format!("one:{long}");
            loader.cmd().arg("good").env("PATH", search).run().is(0, "one\n", "");
        }
    });
}

#[test]
fn a_long_path_is_searched_to_its_end() {
    let tree = Tree::new();
    programs(&tree);
    let path = format!("{}one", "none/of/these:".repeat(5000));
    each(&tree, |loader| {
        loader.cmd().arg("good").env("PATH", &path).run().is(0, "one\n", "");
    });
}

#[test]
fn an_empty_component_is_the_current_directory() {
    let tree = Tree::new();
    programs(&tree);
    tree.write("here/denied", "");
    tree.script("here/good", "#!/bin/sh\necho here\n");
    each(&tree, |loader| {
        for path in ["", ":", "::", ":../one", "none:", "none::../one", ".", "..::"] {
            let command = loader.cmd().arg("good").cwd("here").env("PATH", path);
            command.run().is(0, "here\n", "");
            loader.fails("denied", "access denied", |cmd| cmd.cwd("here").env("PATH", path));
        }
        let command = loader.cmd().arg("good").cwd("here").env("PATH", "../one:");
        command.run().is(0, "one\n", "");
    });
}

#[test]
fn without_a_path_bin_and_usr_bin_are_searched() {
    let tree = Tree::new();
    tree.script("here", "#!/bin/sh\necho here\n");
    each(&tree, |loader| {
        loader.fails("here", "file does not exist", |cmd| cmd.env_remove("PATH"));
        loader.cmd().args(["echo", "hi"]).env_remove("PATH").run().is(0, "hi\n", "");
        loader.cmd().args(["env", "-i", "true"]).env_remove("PATH").run().is(0, "", "");
        // Only the variable PATH counts.
        let command = loader.cmd().args(["echo", "hi"]).env_remove("PATH");
        command.env("PATHS", "none").env("PAT", "none").run().is(0, "hi\n", "");
    });
}

#[test]
fn no_path_is_passed_on_where_none_was() {
    let tree = Tree::new();
    each(&tree, |loader| {
        let output = loader.cmd().args(["cat", "/proc/self/environ"]).env_remove("PATH").run();
        assert_eq!(output.code, Some(0), "{output}");
        assert!(!output.out().contains("PATH="), "{output}");
    });
}

#[test]
fn the_empty_name_is_denied() {
    let tree = Tree::new();
    programs(&tree);
    each(&tree, |loader| {
        loader.fails("", "access denied", |cmd| cmd);
        for path in ["", "one", "none:one", "one:none", "."] {
            loader.fails("", "access denied", |cmd| cmd.env("PATH", path));
        }
        loader.fails("", "access denied", |cmd| cmd.env_remove("PATH"));
        loader.fails("", "file does not exist", |cmd| cmd.env("PATH", "none"));
        loader.fails("", "not a directory", |cmd| cmd.env("PATH", "file"));
    });
}

#[test]
fn the_names_of_the_directory_itself_are_denied() {
    let tree = Tree::new();
    each(&tree, |loader| {
        for name in [".", ".."] {
            loader.fails(name, "access denied", |cmd| cmd);
            loader.fails(name, "access denied", |cmd| cmd.env("PATH", ""));
        }
    });
}

// Arguments, output and environment

#[test]
fn the_name_is_argv_0_as_it_was_typed() {
    let tree = Tree::new();
    // A binary sees argument 0. A script sees the name of its file.
    tree.symlink("/bin/cat", "bin/cat");
    each(&tree, |loader| {
        for name in ["cat", "bin/cat", "./bin//cat", "/bin/cat"] {
            let command = loader.cmd().args([name, "/proc/self/cmdline"]).env("PATH", "bin");
            command.run().is(0, format!("{name}\0/proc/self/cmdline\0"), "");
        }
    });
}

#[test]
fn a_script_is_run_by_the_name_it_was_found_under() {
    let tree = Tree::new();
    tree.script("sub/prog", "#!/bin/sh\necho \"$0\"\n");
    each(&tree, |loader| {
        for (path, wanted) in [("sub", "sub/prog\n"), ("none:./sub", "./sub/prog\n")] {
            loader.cmd().arg("prog").env("PATH", path).run().is(0, wanted, "");
        }
        let command = loader.cmd().arg("prog").cwd("sub").env("PATH", "");
        command.run().is(0, "./prog\n", "");
    });
}

#[test]
fn the_arguments_are_passed_as_they_are() {
    let tree = Tree::new();
    each(&tree, |loader| {
        let command = loader.cmd().args(["sh", "-c", "printf '<%s>' \"$@\"", "sh"]);
        let command = command.args(["", " ", "-x", "--", "a b", "*", "\n", "$HOME", ""]);
        let command = command.arg(OsStr::from_bytes(b"\xff\xfe"));
        let mut wanted = b"<>< ><-x><--><a b><*><\n><$HOME><>".to_vec();
        wanted.extend(b"<\xff\xfe>");
        command.run().is(0, wanted, "");
    });
}

#[test]
fn many_and_long_arguments_are_passed_in_full() {
    let tree = Tree::new();
    let long = "x".repeat(100_000);
    each(&tree, |loader| {
        let command = loader.cmd().args(["sh", "-c", "echo $# ${#1}", "sh", &long]);
        let command = command.args((0..5000).map(|number| number.to_string()));
        command.run().is(0, "5001 100000\n", "");
    });
}

#[test]
fn the_name_is_printed_as_it_is() {
    let tree = Tree::new();
    each(&tree, |loader| {
        let mut line = format!("{}: fatal: unable to run ", loader.name).into_bytes();
        line.extend(b"\xff\n%s: file does not exist\n");
        loader.cmd().arg(OsStr::from_bytes(b"\xff\n%s")).run().is(111, "", line);
        let long = format!("none/{}", "x/".repeat(500));
        loader.fails(&long, "file does not exist", |cmd| cmd);
    });
}

#[test]
fn the_message_names_the_loader_however_it_was_called() {
    let tree = Tree::new();
    each(&tree, |loader| {
        loader.fails("no-such-prog", "file does not exist", |cmd| cmd.arg0("/some/where/else"));
        loader.fails("no-such-prog", "file does not exist", |cmd| cmd.arg0(""));
    });
}

// Exit codes

#[test]
fn the_exit_code_is_the_programs() {
    let tree = Tree::new();
    each(&tree, |loader| {
        for code in [0, 1, 2, 99, 100, 111, 126, 127, 128, 137, 255] {
            let words = ["sh", "-c", "exit $1", "sh", &code.to_string()];
            loader.cmd().args(words).run().is(code, "", "");
        }
    });
}

#[test]
fn a_signal_which_ends_the_program_ends_the_loader() {
    let tree = Tree::new();
    each(&tree, |loader| {
        for (name, number) in [("KILL", 9), ("TERM", 15), ("PIPE", 13)] {
            let output = loader.cmd().args(["sh", "-c", &format!("kill -{name} $$")]).run();
            if loader.name == "fghack" {
                output.is(111, "", "fghack: fatal: child crashed\n");
            } else {
                assert_eq!(output.signal, Some(number), "{}: {output}", loader.name);
            }
        }
    });
}

#[test]
fn nothing_is_printed_on_success() {
    let tree = Tree::new();
    each(&tree, |loader| loader.cmd().arg("true").run().is(0, "", ""));
}

#[test]
fn a_message_without_a_reader_does_no_harm() {
    let tree = Tree::new();
    let script = "exec 2>&-; exec \"$@\"";
    each(&tree, |loader| {
        let mut words = vec![OsString::from("sh"), loader.name.into()];
        words.extend(loader.words.iter().cloned());
        let failing = |script: &str| tree.sh(script).args(&words).arg("no-such-prog").run();
        failing(script).is(111, "", "");
        failing("exec >&- 2>&-; exec \"$@\"").is(111, "", "");
        failing("exec <&- >&- 2>&-; exec \"$@\"").is(111, "", "");
        failing("exec 2>/dev/full; exec \"$@\"").is(111, "", "");
    });
}

// Chains

#[test]
fn all_loaders_in_a_row() {
    let tree = Tree::new();
    tree.write("env/A", "from a file");
    let mut command = tree.cmd("envdir").args(["env", "envuidgid", "root"]);
    if is_root() {
        command = command.args(["setuidgid", "root"]);
    }
    command
        .args(["softlimit", "-o", "60", "setlock", "-n", "lock", "pgrphack", "fghack"])
        .args(["sh", "-c", "echo $A $UID:$GID $(ulimit -n); exit 42"])
        .run()
        .is(42, "from a file 0:0 60\n", "");
}

#[test]
fn a_chain_names_the_loader_which_failed() {
    let tree = Tree::new();
    tree.mkdir("env");
    let line = "softlimit: fatal: unable to run no-such-prog: file does not exist\n";
    let words = ["env", "setlock", "lock", "softlimit", "no-such-prog"];
    tree.cmd("envdir").args(words).run().is(111, "", line);
    let line = "envdir: fatal: unable to switch to directory none: file does not exist\n";
    tree.cmd("softlimit").args(["envdir", "none", "true"]).run().is(111, "", line);
}
