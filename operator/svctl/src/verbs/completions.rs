//! `svctl completions`: completions for bash, zsh and fish, from the table of verbs.
//!
//! The names of services come from svctl itself, so they are always current. No shell may evaluate
//! them: bash would do so with the words of `compgen -W`.

use crate::command_line::Arguments;
use crate::failure::{DONE, Failure, USAGE};
use crate::options::{GLOBAL, Opt};
use crate::output::line;
use crate::verb_table::{Operand, VERBS, Verb};
use daemontools_core::sorting::sort;
use std::fmt::Write as _;

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let shell = arguments.operands.first().map(|shell| shell.to_string_lossy().into_owned());
    let text = match shell.as_deref() {
        Some("bash") => bash(),
        Some("zsh") => zsh(),
        Some("fish") => fish(),
        _ => return Err(Failure::new(USAGE, "usage: svctl completions bash|fish|zsh")),
    };
    line(text.trim_end());
    Ok(DONE)
}

/// All names of verbs.
fn names() -> String {
    let names: Vec<_> =
        VERBS.iter().flat_map(|verb| verb.aliases.iter().chain([&verb.name])).copied().collect();
    names.join(" ")
}

fn options(verb: &Verb) -> impl Iterator<Item = &'static Opt> {
    verb.options.iter().copied().chain(GLOBAL)
}

/// The names of a verb, with `separator` between them.
fn patterns(verb: &Verb, separator: &str) -> String {
    let mut names = vec![verb.name];
    names.extend(verb.aliases);
    names.join(separator)
}

/// The letters and names of all options with a value of this kind, as a pattern for `case`.
fn with_value(is_it: impl Fn(&str) -> bool) -> String {
    let mut patterns = Vec::new();
    for option in VERBS.iter().flat_map(options) {
        if !option.value.is_some_and(&is_it) {
            continue;
        }
        patterns.extend(option.short.map(|letter| format!("-{letter}")));
        patterns.push(format!("--{}", option.long));
    }
    sort(&mut patterns);
    patterns.dedup();
    patterns.join("|")
}

/// Whether the value of an option has completions of its own.
fn is_known(value: &str) -> bool {
    ["DIR", "USER", "WHEN"].contains(&value)
}

const BASH_HEAD: &str = r#"# bash completion for svctl
_svctl_services() {
    local i name dir=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in -d|--dir) dir=(-d "${COMP_WORDS[i + 1]}") ;; esac
    done
    svctl "${dir[@]}" list --color never 2>/dev/null | cut -f1 |
        while IFS= read -r name; do printf '%q\n' "$name"; done
}
# Offers the lines that begin with the current word. Nothing evaluates them.
_svctl_offer() {
    local line
    while IFS= read -r line; do
        [[ $line == "$current"* ]] && COMPREPLY+=("$line")
    done
}
# Offers words, each behind what the current word has before its last comma.
_svctl_states() {
    local word before=
    [[ $current == *,* ]] && before=${current%,*},
    for word; do echo "$before$word"; done
}
_svctl() {
    local i verb= options= words= kind= current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    case ${COMP_WORDS[COMP_CWORD - 1]} in
"#;

const BASH_TAIL: &str = r#"    esac
    case $current in -*) words=$options kind= ;; esac
    case $kind in
    directories) compopt -o filenames; COMPREPLY=($(compgen -d -- "$current")); return ;;
    services) _svctl_offer < <(_svctl_services); return ;;
    states) _svctl_offer < <(_svctl_services; _svctl_states $words); return ;;
    files)
        if [ "${COMP_WORDS[COMP_CWORD - 1]}" != "$verb" ]; then
            compopt -o filenames
            COMPREPLY=($(compgen -f -- "$current"))
            return
        fi
        ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _svctl svctl
"#;

fn bash() -> String {
    let mut text = String::from(BASH_HEAD);
    let directories = with_value(|value| value == "DIR");
    let users = with_value(|value| value == "USER");
    let colours = with_value(|value| value == "WHEN");
    let others = with_value(|value| !is_known(value));
    let globals: Vec<String> = GLOBAL.iter().map(|option| format!("--{}", option.long)).collect();
    let _ = write!(
        text,
        "    {directories}) compopt -o filenames; COMPREPLY=($(compgen -d -- \"$current\")); return ;;
    {users}) COMPREPLY=($(compgen -u -- \"$current\")); return ;;
    {colours}) COMPREPLY=($(compgen -W 'auto always never' -- \"$current\")); return ;;
    {others}) return ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in -d|--dir|--color) ((i++)) ;; -*) ;; *) verb=${{COMP_WORDS[i]}}; break ;; esac
    done
    case $verb in
    '') options='{}' words='{}' ;;
",
        globals.join(" "),
        names()
    );
    for verb in VERBS {
        let options: Vec<String> =
            options(verb).map(|option| format!("--{}", option.long)).collect();
        let operands = match verb.operand {
            Operand::Service => "kind=services".to_owned(),
            Operand::Directory => "kind=directories".to_owned(),
            Operand::Verb => format!("words='{}'", names()),
            Operand::Word(words) => format!("words='{}'", words.join(" ")),
            Operand::WordThenFiles(words) => format!("kind=files words='{}'", words.join(" ")),
            Operand::ServicesThenStates(words) => {
                format!("kind=states words='{}'", words.join(" "))
            }
            Operand::Other => String::new(),
        };
        let _ = writeln!(
            text,
            "    {}) options='{}' {operands} ;;",
            patterns(verb, "|"),
            options.join(" ")
        );
    }
    text + BASH_TAIL
}

const ZSH_HEAD: &str = r#"#compdef svctl
_svctl_services() {
    local -a names
    names=(${(f)"$(svctl $svctl_dir list --color never 2>/dev/null | cut -f1)"})
    compadd "$@" -a names
}
_svctl_wait() {
    compset -P '*,' || _svctl_services
    compadd "$@"
}
_svctl() {
    local curcontext=$curcontext state line i
    local -a svctl_dir
    typeset -A opt_args
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in -d|--dir) svctl_dir=(-d ${(Q)words[i + 1]}) ;; esac
    done
"#;

/// An option for `_arguments`.
fn zsh_option(option: &Opt) -> String {
    let help = zsh_text(option.help).replace(['[', ']'], "");
    let value = option.value.map_or_else(String::new, |value| {
        let action = match value {
            "DIR" => "_files -/",
            "USER" => "_users",
            "WHEN" => "(auto always never)",
            _ => " ",
        };
        format!(":{}:{action}", zsh_text(value).replace(['[', ']'], ""))
    });
    let long = option.long;
    match option.short {
        Some(letter) => format!("'(-{letter} --{long})'{{-{letter},--{long}}}'[{help}]{value}'"),
        None => format!("'--{long}[{help}]{value}'"),
    }
}

fn zsh_text(text: &str) -> String {
    text.replace('\'', "'\\''").replace(':', "\\:")
}

fn zsh() -> String {
    let mut text = String::from(ZSH_HEAD);
    let globals: Vec<String> = GLOBAL.iter().map(|option| zsh_option(option)).collect();
    let _ = write!(
        text,
        "    _arguments -C -A '-*' {} '1:verb:->verb' '*::operand:->operand'
    case $state in
    verb)
        local -a verbs
        verbs=(
",
        globals.join(" ")
    );
    for verb in VERBS {
        let _ = writeln!(text, "            '{}:{}'", verb.name, zsh_text(verb.summary));
    }
    text += "        )\n        _describe verb verbs\n        ;;\n    operand)\n        case $line[1] in\n";
    for verb in VERBS {
        let options: Vec<String> = options(verb).map(zsh_option).collect();
        let operands = match verb.operand {
            Operand::Service => "'*:service:_svctl_services'".to_owned(),
            Operand::Directory => "'*:directory:_files -/'".to_owned(),
            Operand::Verb => format!("'*:word:({})'", names()),
            Operand::Word(words) => format!("'*:word:({})'", words.join(" ")),
            Operand::WordThenFiles(words) => {
                format!("'1:word:({})' '*:file:_files'", words.join(" "))
            }
            // Behind a blank, the words are the only arguments.
            Operand::ServicesThenStates(words) => {
                format!("'*:service: _svctl_wait {}'", words.join(" "))
            }
            Operand::Other => String::new(),
        };
        let _ = writeln!(
            text,
            "        {}) _arguments {} {operands} ;;",
            patterns(verb, "|"),
            options.join(" ")
        );
    }
    text + "        esac
        ;;
    esac
}
if [ \"$funcstack[1]\" = _svctl ]; then _svctl \"$@\"; else compdef _svctl svctl; fi
"
}

const FISH_HEAD: &str = r#"# fish completion for svctl
function __svctl_services
    set -l words (commandline -opc)
    set -l dir
    for i in (seq (count $words))
        if contains -- $words[$i] -d --dir
            set dir -d $words[(math $i + 1)]
        end
    end
    svctl $dir list --color never 2>/dev/null | cut -f1
end
# Whether the verb of the command line is one of these words; without words, whether there is none.
function __svctl_uses
    set -l verb
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case -d --dir --color
                set skip 1
            case '-*'
            case '*'
                set verb $word
                break
        end
    end
    if test -z "$verb"
        test (count $argv) = 0
    else
        contains -- $verb $argv
    end
end
# Prints words, each behind what the current word has before its last comma.
function __svctl_states
    set -l before (commandline -ct | string replace -r '[^,]*$' '')
    for word in $argv
        echo $before$word
    end
end
complete -c svctl -f
"#;

fn fish_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn fish() -> String {
    let mut text = String::from(FISH_HEAD);
    for option in GLOBAL {
        text += &fish_option("", option);
    }
    for verb in VERBS {
        let _ = writeln!(
            text,
            "complete -c svctl -n __svctl_uses -a {} -d '{}'",
            verb.name,
            fish_text(verb.summary)
        );
        let condition = format!("__svctl_uses {}", patterns(verb, " "));
        for option in verb.options {
            text += &fish_option(&condition, option);
        }
        let operands = match verb.operand {
            Operand::Service => "-a '(__svctl_services)'".to_owned(),
            Operand::Directory => "-a '(__fish_complete_directories)'".to_owned(),
            Operand::Verb => format!("-a '{}'", names()),
            Operand::Word(words) => format!("-a '{}'", words.join(" ")),
            Operand::WordThenFiles(words) => {
                let _ = writeln!(
                    text,
                    "complete -c svctl -n '{condition}; and contains -- (commandline -opc)[-1] {}' -a '{}'",
                    patterns(verb, " "),
                    words.join(" ")
                );
                "-F".to_owned()
            }
            Operand::ServicesThenStates(words) => {
                format!("-a '(__svctl_services; __svctl_states {})'", words.join(" "))
            }
            Operand::Other => continue,
        };
        let _ = writeln!(text, "complete -c svctl -n '{condition}' {operands}");
    }
    text
}

fn fish_option(condition: &str, option: &Opt) -> String {
    let condition = if condition.is_empty() { String::new() } else { format!(" -n '{condition}'") };
    let short = option.short.map_or_else(String::new, |letter| format!(" -s {letter}"));
    let value = match option.value {
        None => "",
        Some("DIR") => " -x -a '(__fish_complete_directories)'",
        Some("USER") => " -x -a '(__fish_complete_users)'",
        Some("WHEN") => " -x -a 'auto always never'",
        Some(_) => " -x",
    };
    let help = fish_text(option.help);
    format!("complete -c svctl{condition}{short} -l {}{value} -d '{help}'\n", option.long)
}
