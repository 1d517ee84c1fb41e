//! The command line.

use crate::failure::Failure;
use lexopt::{Arg, Parser, ValueExt as _};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The usage, in one line.
pub(crate) const USAGE: &str = "usage: svweb [-d DIR] [--listen ADDRESS:PORT] [--socket PATH] [--token-file FILE] \
     [--control] [--allow-remote] [--allow-host NAME] [--ready-fd N]";

/// The options, each with the name of its value and a sentence without a full stop.
pub(crate) const OPTIONS: [(&str, &str, &str); 10] = [
    ("-d, --dir", "DIR", "the scan directory"),
    ("--listen", "ADDRESS:PORT", "serve on this address; may be repeated"),
    ("--socket", "PATH", "serve on this Unix socket"),
    ("--token-file", "FILE", "the token is the first line of FILE; HUP reads it again"),
    ("--control", "", "let clients with the token control services"),
    (
        "--allow-remote",
        "",
        "allow an address that is not of this machine; every request needs the token",
    ),
    ("--allow-host", "NAME", "answer requests for this host name, too; may be repeated"),
    ("--ready-fd", "N", "write a line to descriptor N when svweb is ready"),
    ("-h, --help", "", "show this help"),
    ("--version", "", "show the version"),
];

/// What the command line asks for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) dir: PathBuf,
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) control: bool,
    pub(crate) allow_remote: bool,
    pub(crate) allow_hosts: Vec<String>,
    pub(crate) ready_fd: Option<u32>,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Request {
    Serve(Options),
    Help,
    Version,
}

/// Reads the command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, Failure> {
    let mut options = Options::default();
    let mut dir = None;
    let mut parser = Parser::from_args(arguments);
    let wrong =
        |error: lexopt::Error| Failure::usage(format!("unable to use the command line: {error}"));
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Short('d') | Arg::Long("dir") => {
                dir = Some(PathBuf::from(parser.value().map_err(wrong)?))
            }
            Arg::Long("listen") => {
                let text = parser.value().map_err(wrong)?;
                let text = text.to_string_lossy();
                let address = text.parse().map_err(|_| {
                    Failure::usage(format!(
                        "unable to use address {text}: not ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080"
                    ))
                })?;
                options.listen.push(address);
            }
            Arg::Long("socket") => options.socket = Some(parser.value().map_err(wrong)?.into()),
            Arg::Long("token-file") => {
                options.token_file = Some(parser.value().map_err(wrong)?.into());
            }
            Arg::Long("control") => options.control = true,
            Arg::Long("allow-remote") => options.allow_remote = true,
            Arg::Long("allow-host") => {
                let name = parser.value().map_err(wrong)?.string().map_err(wrong)?;
                options.allow_hosts.push(name.trim_end_matches('.').to_ascii_lowercase());
            }
            Arg::Long("ready-fd") => {
                options.ready_fd = Some(parser.value().map_err(wrong)?.parse().map_err(wrong)?);
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("version") => return Ok(Request::Version),
            Arg::Value(word) => {
                let word = word.to_string_lossy();
                return Err(Failure::usage(format!("unable to use the word {word}: {USAGE}")));
            }
            Arg::Short(_) | Arg::Long(_) => return Err(wrong(argument.unexpected())),
        }
    }
    let dir = dir.unwrap_or_else(svctl::usual_scan_dir);
    // The reader of a page does not know where svweb runs.
    options.dir = std::path::absolute(&dir).unwrap_or(dir);
    if options.control && options.token_file.is_none() {
        let message = "unable to use --control without --token-file: control needs a token";
        return Err(Failure::usage(message));
    }
    if options.allow_remote && options.token_file.is_none() {
        let message =
            "unable to use --allow-remote without --token-file: each request needs the token then";
        return Err(Failure::usage(message));
    }
    if let Some(address) = options.listen.iter().find(|it| !it.ip().to_canonical().is_loopback())
        && !options.allow_remote
    {
        return Err(Failure::usage(format!(
            "unable to use address {address}: it is not of this machine alone (--allow-remote allows it)"
        )));
    }
    Ok(Request::Serve(options))
}

/// The help.
pub(crate) fn help() -> String {
    let mut help = format!("{USAGE}\n\n");
    for (names, value, text) in OPTIONS {
        help.push_str(&format!("  {:<28}{text}\n", format!("{names} {value}")));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, Failure> {
        parse(line.split(' ').filter(|word| !word.is_empty()).map(OsString::from))
    }

    #[test]
    fn an_address_beyond_this_machine_needs_a_permission_and_a_token() {
        for (line, works) in [
            ("--listen 127.0.0.1:80", true),
            ("--listen [::1]:80", true),
            ("--listen 127.9.9.9:80", true),
            ("--listen [::ffff:127.0.0.1]:80", true),
            ("--listen 0.0.0.0:80", false),
            ("--listen [::]:80", false),
            ("--listen 192.0.2.1:80 --token-file t", false),
            ("--listen 192.0.2.1:80 --allow-remote", false),
            ("--listen 192.0.2.1:80 --allow-remote --token-file t", true),
            ("--control", false),
            ("--control --token-file t", true),
            ("--listen localhost:80", false),
            ("--listen 80", false),
            ("--nonsense", false),
            ("word", false),
        ] {
            match parsed(line) {
                Ok(_) => assert!(works, "{line}"),
                Err(failure) => {
                    assert!(!works && failure.code == 100, "{line}: {}", failure.message)
                }
            }
        }
    }

    #[test]
    fn usage_and_help_name_every_option() {
        for (names, ..) in OPTIONS {
            let long = names.rsplit(", ").next().unwrap_or_default();
            assert!(help().contains(long), "{long}");
            assert!(
                matches!(long, "--dir" | "--help" | "--version") || USAGE.contains(long),
                "{long}"
            );
        }
    }

    /// The page without the escapes of roff.
    fn manual() -> String {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../man/svweb.8");
        std::fs::read_to_string(page).expect("man/svweb.8").replace("\\-", "-")
    }

    #[test]
    fn the_manual_page_has_the_sections_of_every_page() {
        let page = manual();
        let sections: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        let order = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "EXAMPLES",
            "NOTES",
            "BUGS",
            "SEE ALSO",
        ];
        assert_eq!(sections, order);
    }

    #[test]
    fn the_manual_page_has_the_options_of_the_table() {
        let page = manual();
        let (_, options) = page.split_once(".SH OPTIONS").expect("options");
        let options = options.split(".SH ").next().unwrap_or_default();
        let tags = options.split("\n.TP\n").skip(1).filter_map(|item| item.lines().next());
        let words = |text: &str| -> Vec<String> {
            let words = text.split(|it: char| it.is_whitespace() || "\",".contains(it));
            words.filter(|word| word.starts_with('-')).map(str::to_owned).collect()
        };
        let of_page: Vec<_> = tags.map(words).collect();
        let of_table: Vec<_> = OPTIONS.iter().map(|(names, ..)| words(names)).collect();
        assert_eq!(of_page, of_table);
        let (_, synopsis) = page.split_once(".SH SYNOPSIS").expect("a synopsis");
        let synopsis = synopsis.split(".SH ").next().unwrap_or_default();
        for word in USAGE.split(' ').filter_map(|word| word.strip_prefix('[')) {
            assert!(synopsis.contains(word.trim_end_matches(']')), "{word}");
        }
    }
}
