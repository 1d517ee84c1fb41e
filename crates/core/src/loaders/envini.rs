//! Ini files with environment variables, as in daemontools-encore.

use alloc::vec::Vec;

/// Calls `set` with the name and the value of every setting in `text`, in order.
///
/// The name consists of `prefix`, the section with a `_`, and the name of the setting. Other lines
/// are skipped; no line is an error. If the section contains an equal sign, the variable's name ends
/// there, and the rest of the name is part of its value, as in encore.
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

/// `text` without spaces, tabs and line ends at both ends.
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
    fn lines_are_read_as_by_encore() {
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
        // From the source of encore; the others were observed.
        assert_eq!(read("[a=b]\nk=v"), ["Pa=b_k=v"]);
        assert_eq!(read("a\r=1\nb\rc=2"), ["Pa=1"]);
    }

    proptest! {
        #[test]
        fn settings_are_read_back(
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
        fn names_and_values_are_parts_of_one_line(text in any::<Vec<u8>>()) {
            settings(&text, b"", |name, value| {
                assert!(!name.contains(&b'\n') && !value.contains(&b'\n'));
                assert_eq!(trim(value), value);
            });
        }
    }
}
