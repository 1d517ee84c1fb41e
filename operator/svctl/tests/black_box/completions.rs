//! Completions, in the shells themselves.

use crate::Services;
use harness::requires;
use std::path::Path;

/// Services with the completions of a shell in the file `completions`.
fn services(shell: &str) -> Services {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/worker");
        // A name that a shell must not evaluate.
        tree.mkdir("s/wicked$(touch evaluated)");
    });
    services.tree.write("completions", services.run(&["completions", shell]).out());
    services
}

/// Where svctl is.
fn directory() -> &'static str {
    let directory = Path::new(env!("CARGO_BIN_EXE_svctl")).parent();
    directory.and_then(Path::to_str).expect("the directory of svctl")
}

/// Where `tests/programs` puts the shells that this machine lacks. Their own paths are those of an
/// installed shell.
fn programs() -> String {
    format!("{}/../../target/programs", env!("CARGO_MANIFEST_DIR"))
}

impl Services {
    /// The lines that a shell prints.
    #[track_caller]
    fn shell_lines(&self, words: &[&str], script: &str) -> Vec<String> {
        let shell = self.tree.cmd(words[0]).args(&words[1..]).arg(script);
        let output = shell.env("HOME", self.tree.path("")).run();
        assert_eq!(output.code, Some(0), "{output}");
        assert!(!self.tree.exists("evaluated"), "a name was evaluated");
        output.out().lines().map(str::to_owned).collect()
    }
}

/// Command lines, and the completions of each that have to be offered.
const CASES: [(&str, &[&str]); 13] = [
    ("svctl stat", &["status"]),
    ("svctl -d s statu", &["status"]),
    ("svctl -d s status we", &["web"]),
    ("svctl -d s status wor", &["worker"]),
    ("svctl down -d s w", &["web", "worker"]),
    ("svctl -d s down --kill", &["--kill-after"]),
    ("svctl -d s wait web rea", &["ready"]),
    ("svctl -d s wait web up,rea", &["up,ready"]),
    ("svctl completions f", &["fish"]),
    ("svctl --color a", &["always", "auto"]),
    ("svctl help rest", &["restart"]),
    ("svctl import pro", &["procfile"]),
    ("svctl import unit comp", &["completions"]),
];

/// Compares what a shell offers with [`CASES`]. The wicked name may be offered as the shell quotes it.
#[track_caller]
fn check(mut offer: impl FnMut(&str) -> Vec<String>) {
    for (line, expected) in CASES {
        let mut offered = offer(line);
        offered.retain(|word| !word.starts_with("wicked"));
        offered.sort();
        offered.dedup();
        assert_eq!(offered, expected, "{line}");
    }
}

#[test]
fn bash_completes_verbs_services_options_and_states() {
    let services = services("bash");
    let complete = |line: &str| {
        let count = line.split(' ').count() - 1;
        let script = format!(
            "PATH={}:$PATH; . ./completions; complete -p svctl >&2; COMP_WORDS=({line}); COMP_CWORD={count}\n\
             _svctl 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            directory()
        );
        services.shell_lines(&["bash", "-c"], &script)
    };
    check(complete);
    let offered = complete("svctl -d s status wi");
    assert_eq!(offered, ["wicked\\$\\(touch\\ evaluated\\)"]);
}

#[test]
fn zsh_completes_verbs_services_options_and_states() {
    if !requires("zsh") {
        return;
    }
    let services = services("zsh");
    // A shell in a terminal of its own gets the keys of a person. What compadd is given is printed
    // between the marks, with the part of the word that it keeps.
    let paths = format!(
        "PATH={}:$PATH; module_path+=({1}/*/usr/lib/*/zsh/*(N))\n\
         fpath+=({1}/*/usr/share/zsh/functions/**/*(N/))\n",
        directory(),
        programs()
    );
    let setup = "PROMPT=; autoload -Uz compinit; compinit -u -D; . ./completions\n\
         compadd() {\n\
             local -a hits; local prefix=$IPREFIX\n\
             builtin compadd -A hits \"$@\"; (( $#hits )) && print -rl -- $prefix$^hits >>offered\n\
             builtin compadd \"$@\"\n\
         }\n\
         first() { : >offered; BUFFER=; }; last() { print -n $'\\nE''ND\\n'; BUFFER=; }\n\
         zle -N first; bindkey '^B' first; zle -N last; bindkey '^E' last; unsetopt list_beep\n\
         print -n $'RE''ADY\\n'\n";
    // A fetched shell finds the module of its editor only now.
    services.tree.write("setup", format!("{paths}setopt zle; bindkey -e\n{setup}"));
    let offer = |line: &str| {
        let script = format!(
            "{paths}zmodload zsh/zpty; zpty shell zsh -f -i; zpty -w shell '. ./setup'\n\
             zpty -r shell x '*READY*' && zpty -w -n shell $'\\x02{line}\\t\\x05' && zpty -r shell x '*END*'\n\
             cat offered"
        );
        services.shell_lines(&["zsh", "-f", "-c"], &script)
    };
    check(offer);
}

#[test]
fn fish_completes_verbs_services_options_and_states() {
    if !requires("fish") {
        return;
    }
    let services = services("fish");
    check(|line| {
        let script = format!(
            "set PATH {} $PATH; set -p fish_function_path {}/*/usr/share/fish/functions\n\
             source ./completions; complete -C '{line}'",
            directory(),
            programs()
        );
        let lines = services.shell_lines(&["fish", "--no-config", "-c"], &script);
        lines.iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    });
}
