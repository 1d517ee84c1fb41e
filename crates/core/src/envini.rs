//! encore's ini files as environment.

use alloc::vec::Vec;

/// Calls `set` with the name and the value of every setting in `text`, in order, where the name
/// is `prefix`, then the section and `_`, then the setting's own. Nothing in such a file is an
/// error: lines that are no settings are passed over. A setting's own name has no equal sign, but
/// its section may: as in encore, what follows the first one is then part of the value.
pub fn settings(text: &[u8], prefix: &[u8], mut set: impl FnMut(&[u8], &[u8])) {
    let mut section = Vec::new();
    for line in text.split(|&c| c == b'\n') {
        let line = trim(line);
        match line {
            [] | [b';', ..] => {}
            [b'[', name @ .., b']'] => {
                section.clear();
                section.extend_from_slice(name);
                section.push(b'_');
            }
            _ => {
                let end = line.iter().position(|c| b"= \t\r".contains(c)).unwrap_or(line.len());
                let (name, rest) = line.split_at(end);
                if let Some(value) = trim(rest).strip_prefix(b"=") {
                    set(&[prefix, &section, name].concat(), trim(value));
                }
            }
        }
    }
}

/// Without blanks, tabs and line ends at both ends.
fn trim(text: &[u8]) -> &[u8] {
    let visible = |c: &u8| !b" \t\r\n".contains(c);
    let start = text.iter().position(visible).unwrap_or(text.len());
    let end = text.iter().rposition(visible).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        settings(text.as_bytes(), b"P", |name, value| {
            all.push(String::from_utf8([name, b"=", value].concat()).unwrap());
        });
        all
    }

    #[test]
    fn encores_observed_lines() {
        assert_eq!(read("b=  two words  \t"), ["Pb=two words"]);
        assert_eq!(read("d="), ["Pd="]);
        assert_eq!(read("e = x=y"), ["Pe=x=y"]);
        assert_eq!(read("=noname"), ["P=noname"]);
        assert_eq!(read("[sec]\nk=v"), ["Psec_k=v"]);
        assert_eq!(read("[ sp ]\nk2=v2"), ["P sp _k2=v2"]);
        assert_eq!(read("[]\nk=v"), ["P_k=v"]);
        assert_eq!(read("[bad\n# c = 1\nk 5=v\n; x=y\n\n"), [""; 0]);
        assert_eq!(read("f =\"q\""), ["Pf=\"q\""]);
        assert_eq!(read("a=1\r\nb=2"), ["Pa=1", "Pb=2"]);
        // These two follow from its source.
        assert_eq!(read("[a=b]\nk=v"), ["Pa=b_k=v"]);
        assert_eq!(read("a\r=1\nb\rc=2"), ["Pa=1"]);
    }

    proptest! {
        #[test]
        fn a_setting_is_what_its_line_says_behind_its_section(
            section in "[^\n]{0,9}", before in "[ \t\r]{0,2}",
            name in "[^\\[;= \t\r\n][^= \t\r\n]{0,5}", around in "[ \t\r]{0,2}",
            value in "([^ \t\r\n]([^\n]{0,9}[^ \t\r\n])?)?", after in "[ \t\r]{0,2}",
        ) {
            let setting = alloc::format!("{before}{name}{around}={around}{value}{after}");
            let text = alloc::format!("{before}[{section}]{after}\n{setting}\n");
            prop_assert_eq!(read(&setting), [alloc::format!("P{name}={value}")]);
            prop_assert_eq!(read(&text), [alloc::format!("P{section}_{name}={value}")]);
        }

        #[test]
        fn any_text_gives_only_what_one_line_can_hold(text in any::<Vec<u8>>()) {
            settings(&text, b"", |name, value| {
                assert!(!name.contains(&b'\n') && !value.contains(&b'\n'));
                assert_eq!(trim(value), value);
            });
        }
    }
}
