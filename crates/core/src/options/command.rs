//! `command`: a program and its arguments, in the place of `run`. It needs no shell.

use super::{OptionError, OptionFile};
use alloc::ffi::CString;
use alloc::vec::Vec;

/// Each line is one argument, with all its bytes. The last line may end without a newline.
pub(super) fn parse(text: &[u8]) -> Result<Vec<CString>, OptionError> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut arguments = Vec::new();
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let error = |expected| OptionError::new(OptionFile::Command, number, (line, expected));
        if line.is_empty() {
            let first =
                "a program on the first line and an argument on each other one, as in nginx";
            return Err(error(first));
        }
        if line.ends_with(b"\r") {
            return Err(error("no carriage return at the end of the line, as in nginx"));
        }
        arguments
            .push(CString::new(line).map_err(|_| error("an argument without a NUL, as in nginx"))?);
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn each_line_is_an_argument() {
        assert_eq!(parse(b"a").unwrap(), [CString::from(c"a")]);
        assert_eq!(
            parse(b"/bin/a\n -b c \n# d\n").unwrap(),
            [c"/bin/a", c" -b c ", c"# d"].map(CString::from)
        );
        let many = b"x\n".repeat(32_768);
        assert_eq!(parse(&many).unwrap().len(), 32_768);
    }

    #[test]
    fn mistakes_name_their_line() {
        let message = |text: &[u8]| String::from_utf8(parse(text).unwrap_err().message()).unwrap();
        let empty =
            "want a program on the first line and an argument on each other one, as in nginx";
        for (text, line) in [(&b""[..], 1), (b"\n", 1), (b"a\n\nb\n", 2), (b"a\nb\n\n", 3)] {
            assert_eq!(message(text), format!("command line {line}: \"\": {empty}"));
        }
        assert_eq!(
            message(b"a\r\nb\r\n"),
            "command line 1: \"a?\": want no carriage return at the end of the line, as in nginx"
        );
        assert_eq!(
            message(b"a\nb\0c"),
            "command line 2: \"b?c\": want an argument without a NUL, as in nginx"
        );
    }
}
