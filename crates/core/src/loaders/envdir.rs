//! Files of environment directories.

use alloc::vec::Vec;

/// The effect of a file on the variable with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The file is empty: the variable is removed.
    Remove,
    /// The variable is set to this value.
    Set(Vec<u8>),
}

/// Parses a file.
///
/// The value is the first line without spaces and tabs at its end. A NUL in it becomes a newline.
#[must_use]
pub fn parse(file: &[u8]) -> Setting {
    if file.is_empty() {
        return Setting::Remove;
    }
    let line = file.split(|&c| c == b'\n').next().unwrap_or_default();
    let end = line.iter().rposition(|&c| c != b' ' && c != b'\t').map_or(0, |last| last + 1);
    let value = line.iter().take(end).map(|&c| if c == 0 { b'\n' } else { c });
    Setting::Set(value.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_and_removals() {
        let set = |v: &[u8]| Setting::Set(v.to_vec());
        assert_eq!(parse(b""), Setting::Remove);
        assert_eq!(parse(b"\n"), set(b""));
        assert_eq!(parse(b" \t \nsecond"), set(b""));
        assert_eq!(parse(b" two words \t\nsecond\n"), set(b" two words"));
        assert_eq!(parse(b"one\0two\0\n"), set(b"one\ntwo\n"));
        assert_eq!(parse(b"cr\r\n"), set(b"cr\r"));
        assert_eq!(parse(b"no newline"), set(b"no newline"));
    }

    proptest! {
        #[test]
        fn a_value_is_the_first_line(file in any::<Vec<u8>>()) {
            let Setting::Set(value) = parse(&file) else {
                prop_assert!(file.is_empty());
                return Ok(());
            };
            prop_assert!(!value.contains(&0) && !value.ends_with(b" ") && !value.ends_with(b"\t"));
            let line = file.split(|&c| c == b'\n').next().unwrap();
            prop_assert!(value.len() <= line.len());
            prop_assert!(value.iter().zip(line).all(|(v, l)| v == l || (*v, *l) == (b'\n', 0)));
        }
    }
}
