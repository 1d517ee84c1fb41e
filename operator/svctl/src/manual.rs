//! The manual page svctl(1), made from the table of verbs. The test compares it with the file.

use crate::options::{GLOBAL, Opt};
use crate::output::capital;
use crate::verb_table::VERBS;
use crate::verbs::doctor::finding::{CHECKS, Severity};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// A text with a line for each sentence, as manual pages have it.
fn sentences(text: &str) -> String {
    roff(text).replace(". ", ".\n")
}

fn option(page: &mut String, option: &Opt) {
    let mut names =
        option.short.map_or_else(String::new, |letter| format!("\\fB\\-{letter}\\fR, "));
    let _ = write!(names, "\\fB\\-\\-{}\\fR", roff(option.long));
    if let Some(value) = option.value {
        let _ = write!(names, " \\fI{}\\fR", roff(value));
    }
    let _ = write!(page, ".TP\n{names}\n{}.\n", roff(&capital(option.help)));
}

fn page() -> String {
    let mut page = String::from(include_str!("manual_head.roff"));
    for verb in VERBS {
        let names: Vec<&str> =
            [verb.name].into_iter().chain(verb.aliases.iter().copied()).collect();
        let _ = write!(page, ".SS \"{}\"\n.B svctl {}\n", names.join(", "), roff(verb.name));
        if !verb.operands.is_empty() {
            let _ = writeln!(page, ".I {}", roff(verb.operands));
        }
        let _ = write!(page, ".PP\n{}.\n", roff(&capital(verb.summary)));
        if !verb.about.is_empty() {
            let _ = writeln!(page, "{}", sentences(verb.about));
        }
        for each in verb.options {
            option(&mut page, each);
        }
    }
    page += ".SH OPTIONS\nEvery verb has these options:\n";
    for each in GLOBAL {
        option(&mut page, each);
    }
    findings(&mut page);
    let (before, after) =
        include_str!("manual_tail.roff").split_once("EXAMPLES\n").expect("a place");
    page += before;
    page += ".SH EXAMPLES\n";
    for (command, what) in VERBS.iter().flat_map(|verb| verb.examples) {
        let text = roff(&capital(what));
        let _ = write!(page, ".TP\n.B {}\n{text}.\n", roff(command));
    }
    page + after
}

/// What the doctor can find.
fn findings(page: &mut String) {
    *page += ".SH FINDINGS\n.B svctl doctor\nhas these findings:\n";
    for check in CHECKS {
        let what = roff(&capital(check.what));
        let (name, section) = check.page.split_once('(').expect("a page with its section");
        let severity = match check.severity {
            Severity::Warning => "A warning",
            Severity::Error => "An error",
        };
        let id = roff(check.id);
        let _ = write!(
            page,
            ".TP\n.B {id}\n{what}.\n{severity}; see\n.BR {} ({section}.\n",
            roff(name)
        );
    }
}

#[test]
fn the_manual_page_is_the_table() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../man/svctl.1");
    if std::env::var_os("DAEMONTOOLS_WRITE_MANUAL").is_some() {
        fs::write(&path, page()).expect("write the page");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page(),
        "man/svctl.1 is not that of the table: DAEMONTOOLS_WRITE_MANUAL=1 cargo test -p svctl manual"
    );
}
