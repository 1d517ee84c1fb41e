//! The manual pages against the table of programs and the option files: every program has a page,
//! whose sections, synopsis and options are the program's own.

use daemontools_core::options::OptionFile;
use daemontools_core::programs::Program;
use std::fs;
use std::path::PathBuf;

/// The sections of a page, in the order of man-pages(7).
const SECTIONS: [&str; 11] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "EXIT STATUS",
    "FILES",
    "ENVIRONMENT",
    "EXAMPLES",
    "NOTES",
    "BUGS",
    "SEE ALSO",
];

/// The sections that every page has.
const REQUIRED: [&str; 4] = ["NAME", "DESCRIPTION", "NOTES", "SEE ALSO"];

/// A manual page, split at its `.SH` lines.
struct Page {
    file: String,
    sections: Vec<(String, Vec<String>)>,
}

impl Page {
    fn read(file: &str) -> Self {
        let text = fs::read_to_string(manuals().join(file))
            .unwrap_or_else(|error| panic!("man/{file}: {error}"));
        let mut sections: Vec<(String, Vec<String>)> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix(".SH "), sections.last_mut()) {
                (Some(title), _) => sections.push((title.trim_matches('"').into(), Vec::new())),
                (None, Some((_, lines))) => lines.push(line.into()),
                (None, None) => {}
            }
        }
        Self { file: file.into(), sections }
    }

    fn of(program: Program) -> Self {
        Self::read(&format!("{}.8", program.name()))
    }

    fn has(&self, section: &str) -> bool {
        self.sections.iter().any(|(title, _)| title == section)
    }

    /// The lines of a section; none if the page lacks it.
    fn lines(&self, section: &str) -> Vec<&str> {
        let lines = self.sections.iter().filter(|(title, _)| title == section);
        lines.flat_map(|(_, lines)| lines.iter().map(String::as_str)).collect()
    }

    /// The tags of the `.TP` items of a section.
    fn tags(&self, section: &str) -> Vec<&str> {
        let lines = self.lines(section);
        let items = lines
            .windows(2)
            .filter(|pair| [".TP", ".TQ"].contains(&pair[0].split(' ').next().unwrap_or_default()));
        items.map(|pair| pair[1]).collect()
    }
}

fn manuals() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../man")
}

/// An option of the table: its letter, and whether it takes a value.
fn options(program: Program) -> Vec<(char, bool)> {
    let letters: Vec<char> = program.options().chars().collect();
    let options = letters.iter().enumerate().filter(|(_, letter)| **letter != ':');
    options.map(|(n, &letter)| (letter, letters.get(n + 1) == Some(&':'))).collect()
}

/// The option of a tag line: `.B \-x`, or `.BI \-x " value"`.
fn option(tag: &str) -> Option<(char, bool)> {
    let (rest, has_value) = match tag.strip_prefix(".B \\-") {
        Some(rest) => (rest, false),
        None => (tag.strip_prefix(".BI \\-")?, true),
    };
    let mut letters = rest.chars();
    let letter = letters.next()?;
    let value = letters.as_str();
    let is_value = value.len() > 3 && value.starts_with(" \" ") && value.ends_with('"');
    (if has_value { is_value } else { value.is_empty() }).then_some((letter, has_value))
}

/// The text of a line of a page. A macro of two fonts, as `.RB`, joins its words; `.br` is a newline.
fn plain_text(line: &str) -> String {
    let line = line.replace("\\-", "-").replace("\\&", "");
    if line == ".br" {
        return "\n".into();
    }
    let Some((name, text)) = line.strip_prefix('.').and_then(|rest| rest.split_once(' ')) else {
        return line;
    };
    // The odd parts are in quotes.
    let parts = text.split('"').enumerate();
    let words = parts.flat_map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect::<Vec<_>>().join(if name.len() == 1 { " " } else { "" })
}

/// The letters of the options that a synopsis names, with those of clusters such as `\-ku`.
fn letters_of_synopsis(lines: &[&str]) -> String {
    let words = lines.iter().flat_map(|line| line.split_whitespace());
    let letters = words.filter_map(|word| word.strip_prefix("\\-"));
    // `--` is no option.
    letters.filter(|letters| !letters.starts_with('\\')).collect()
}

#[test]
fn every_program_has_a_page_and_every_command_page_a_program() {
    let mut pages: Vec<String> = fs::read_dir(manuals())
        .expect("man/ is there")
        .map(|entry| entry.expect("man/ can be listed").file_name().into_string().expect("UTF-8"))
        .filter_map(|name| name.strip_suffix(".8").map(String::from))
        .collect();
    // The executable behind all names has a page, too. svweb has tests of its own.
    pages.retain(|page| page != "daemontools" && page != "svweb");
    pages.sort();
    assert_eq!(pages, Program::ALL.map(Program::name));
}

#[test]
fn sections_are_those_of_man_pages_in_their_order() {
    let others = ["service-directory.5", "daemontools.8"].map(Page::read);
    for page in Program::ALL.map(Page::of).iter().chain(&others) {
        let titles: Vec<&str> = page.sections.iter().map(|(title, _)| title.as_str()).collect();
        let ordered: Vec<&str> =
            SECTIONS.into_iter().filter(|title| titles.contains(title)).collect();
        assert_eq!(titles, ordered, "man/{}", page.file);
        for section in REQUIRED {
            assert!(page.has(section), "man/{}: no {section}", page.file);
        }
    }
}

#[test]
fn options_are_those_of_the_program() {
    for program in Program::ALL {
        let page = Page::of(program);
        let mut expected = options(program);
        let tags = page.tags("OPTIONS");
        let mut listed: Vec<(char, bool)> = tags
            .iter()
            .map(|tag| option(tag).unwrap_or_else(|| panic!("man/{}: {tag}", page.file)))
            .collect();
        expected.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, expected, "man/{}: OPTIONS", page.file);
        assert_eq!(page.has("OPTIONS"), !expected.is_empty(), "man/{}", page.file);
    }
}

#[test]
fn synopses_name_the_program_and_every_option() {
    for program in Program::ALL {
        let page = Page::of(program);
        let synopsis = page.lines("SYNOPSIS");
        let first = synopsis.first().and_then(|line| line.strip_prefix(".B "));
        assert_eq!(first, Some(program.name()), "man/{}", page.file);
        let letters = letters_of_synopsis(&synopsis);
        let known = options(program);
        for (letter, _) in &known {
            assert!(letters.contains(*letter), "man/{}: -{letter} in SYNOPSIS", page.file);
        }
        for letter in letters.chars() {
            assert!(known.iter().any(|(l, _)| *l == letter), "man/{}: -{letter}", page.file);
        }
    }
}

#[test]
fn help_texts_have_the_name_and_the_synopsis_of_the_page() {
    for program in Program::ALL {
        let page = Page::of(program);
        let name = page.lines("NAME").concat();
        assert_eq!(name, format!("{} \\- {}", program.name(), program.summary()));
        let mut expected = Vec::new();
        for arguments in program.synopsis() {
            expected.push(format!("{} {arguments}", program.name()).trim_end().to_owned());
        }
        let text: Vec<String> =
            page.lines("SYNOPSIS").iter().map(|line| plain_text(line)).collect();
        let synopsis = text.join(" ").replace(" \n ", "\n");
        assert_eq!(synopsis, expected.join("\n"), "man/{}: SYNOPSIS", page.file);
    }
}

#[test]
fn every_page_tells_of_help_and_version() {
    for program in Program::ALL {
        let page = Page::of(program);
        let notes = page.lines("NOTES");
        assert!(notes.contains(&".SS \"Help and version\""), "man/{}", page.file);
        for word in ["help", "version"] {
            let line = format!(".B \"{} \\-\\-{word}\"", program.name());
            assert!(notes.contains(&line.as_str()), "man/{}: --{word}", page.file);
        }
    }
}

#[test]
fn exit_statuses_are_lists() {
    for program in Program::ALL {
        let page = Page::of(program);
        let tags = page.tags("EXIT STATUS");
        assert!(!tags.is_empty(), "man/{}: EXIT STATUS is no list", page.file);
        for tag in tags {
            let code = tag.strip_prefix(".B ").and_then(|code| code.parse::<u8>().ok());
            assert!(code.is_some() || tag == ".I other", "man/{}: {tag}", page.file);
        }
    }
}

#[test]
fn every_option_file_has_an_item_in_the_page_of_the_directory() {
    let page = Page::read("service-directory.5");
    let tags = page.tags("DESCRIPTION");
    for file in OptionFile::ALL {
        let name = file.name().replace('-', "\\-");
        let is_item = |tag: &&str| tag.split_whitespace().nth(1) == Some(name.as_str());
        assert_eq!(tags.iter().filter(|tag| is_item(tag)).count(), 1, "{}", file.name());
    }
}
