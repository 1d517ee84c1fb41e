//! Files of `NAME=VALUE` lines, as shells, systemd (`EnvironmentFile=`) and containers use them.

use alloc::vec::Vec;

/// A mistake in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvfileError {
    /// The line where the setting begins, counted from 1.
    pub line: u64,
    /// A description of the mistake.
    pub message: &'static str,
}

/// Calls `set` with the name and the value of every setting in `text`, in order.
///
/// Empty lines, lines that begin with `#` or `;`, and a word `export` before a name are skipped. A
/// value is the rest of its line without blanks at both ends, or text in single or double quotes,
/// which may contain newlines. In double quotes a backslash escapes `"`, `\`, `$` and backquote.
/// Nothing is expanded.
///
/// # Errors
/// A line without `=`, a name that is empty or contains blanks, a quote without its end, or text
/// after a quote. `set` was called for the settings before the mistake.
pub fn settings(text: &[u8], mut set: impl FnMut(&[u8], &[u8])) -> Result<(), EnvfileError> {
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let end = rest.iter().position(|&c| c == b'\n').unwrap_or(rest.len());
        let (this, after) = rest.split_at(end);
        let content = this.trim_ascii();
        if content.is_empty() || content.starts_with(b"#") || content.starts_with(b";") {
            rest = after.get(1..).unwrap_or_default();
            line += 1;
            continue;
        }
        let error = |message| Err(EnvfileError { line, message });
        let Some(equal) = this.iter().position(|&c| c == b'=') else {
            return error("no equal sign");
        };
        let (name, value) = rest.split_at(equal);
        let name = name.trim_ascii();
        let name = match name.strip_prefix(b"export") {
            Some(rest) if rest.starts_with(b" ") || rest.starts_with(b"\t") => rest.trim_ascii(),
            _ => name,
        };
        if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
            return error("bad name");
        }
        let value = value.get(1..).unwrap_or_default();
        let blanks = value.iter().take_while(|&&c| c == b' ' || c == b'\t').count();
        let value = value.get(blanks..).unwrap_or_default();
        let end = match value.first() {
            Some(&quote @ (b'\'' | b'"')) => {
                let Some((unquoted, length)) = unquote(value, quote) else {
                    return error("a quote without its end");
                };
                let after = value.get(length..).unwrap_or_default();
                let end = after.iter().position(|&c| c == b'\n').unwrap_or(after.len());
                if !after.get(..end).unwrap_or_default().trim_ascii().is_empty() {
                    return error("text behind a quote");
                }
                set(name, &unquoted);
                length + end
            }
            _ => {
                let end = value.iter().position(|&c| c == b'\n').unwrap_or(value.len());
                set(name, value.get(..end).unwrap_or_default().trim_ascii());
                end
            }
        };
        let (used, after) = value.split_at(end);
        line += 1 + used.iter().fold(0, |n, &c| n + u64::from(c == b'\n'));
        rest = after.get(1..).unwrap_or_default();
    }
    Ok(())
}

/// The text in the quotes at the beginning of `value`, and its length with the quotes.
///
/// `None` if the closing quote is missing.
fn unquote(value: &[u8], quote: u8) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::new();
    let mut bytes = value.iter().copied().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quote == b'"' => match bytes.next()?.1 {
                escaped @ (b'"' | b'\\' | b'$' | b'`') => out.push(escaped),
                other => out.extend_from_slice(&[b'\\', other]),
            },
            _ if byte == quote => return Some((out, at + 1)),
            _ => out.push(byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<String>, EnvfileError> {
        let mut all = Vec::new();
        settings(text.as_bytes(), |name, value| {
            all.push(String::from_utf8([name, b"=", value].concat()).unwrap());
        })?;
        Ok(all)
    }

    #[test]
    fn plain_values() {
        let text = "# c\n; d\n\nA=1\nexport B = two words \nC=\nD=x=y # not a comment\nexportE=5";
        let expected = ["A=1", "B=two words", "C=", "D=x=y # not a comment", "exportE=5"];
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("A=1\r\nB=2\r\n").unwrap(), ["A=1", "B=2"]);
    }

    #[test]
    fn quoted_values() {
        assert_eq!(read("A=' b '  \nC=d").unwrap(), ["A= b ", "C=d"]);
        assert_eq!(read(r#"A="a\"b\\c\$d\n""#).unwrap(), [r#"A=a"b\c$d\n"#]);
        assert_eq!(read(r"A='\'").unwrap(), [r"A=\"]);
        assert_eq!(
            read("KEY=\"-----\nline\n-----\"\nB=2").unwrap(),
            ["KEY=-----\nline\n-----", "B=2"]
        );
    }

    #[test]
    fn errors_name_their_line() {
        let error = |line, message| Err(EnvfileError { line, message });
        assert_eq!(read("A=1\nnonsense\n"), error(2, "no equal sign"));
        assert_eq!(read("=1"), error(1, "bad name"));
        assert_eq!(read("a b=1"), error(1, "bad name"));
        assert_eq!(read("A='x\ny'\nB='\n"), error(3, "a quote without its end"));
        assert_eq!(read("A='x'y"), error(1, "text behind a quote"));
    }

    proptest! {
        #[test]
        fn single_quotes_are_read_back(
            value in "[^'\u{0}]{0,20}", before in 0_u64..3,
        ) {
            let blank = "\n".repeat(usize::try_from(before).unwrap());
            let text = alloc::format!("{blank}NAME='{value}'\nB=1");
            prop_assert_eq!(read(&text).unwrap(), [alloc::format!("NAME={value}"), "B=1".into()]);
        }

        #[test]
        fn errors_name_a_line_of_the_text(text in any::<Vec<u8>>()) {
            let lines = text.split(|&c| c == b'\n').count() as u64;
            if let Err(error) = settings(&text, |_, _| {}) {
                prop_assert!((1..=lines).contains(&error.line));
            }
        }
    }
}
