//! The interpreter of a script, for the message that it is missing.

use alloc::vec::Vec;

/// Explains why the kernel reports that an existing file does not exist: its interpreter is missing.
///
/// `start` is the beginning of the file. The kernel takes the interpreter from its first line, without
/// the blanks before it, up to a blank, a NUL or the end of the line (execve(2)). A carriage return
/// before the newline thus belongs to the name.
#[must_use]
pub fn explain_missing(start: &[u8]) -> Vec<u8> {
    let Some(line) = start.strip_prefix(b"#!") else {
        return b"its loader does not exist".to_vec();
    };
    let is_blank = |c: &u8| matches!(c, b' ' | b'\t');
    let line = line.split(|&c| c == b'\n').next().unwrap_or_default();
    let begin = line.iter().position(|c| !is_blank(c)).unwrap_or(line.len());
    let line = line.get(begin..).unwrap_or_default();
    let end = line.iter().position(|c| is_blank(c) || *c == 0).unwrap_or(line.len());
    let name = line.get(..end).unwrap_or_default();
    match name.strip_suffix(b"\r") {
        Some(name) => {
            let reason = b"\" with a carriage return at its end does not exist: \
                           the file has the line ends of Windows";
            [b"interpreter \"", name, &reason[..]].concat()
        }
        None => [b"interpreter \"", name, b"\" does not exist"].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn explain(start: &str) -> String {
        String::from_utf8(explain_missing(start.as_bytes())).expect("UTF-8")
    }

    #[test]
    fn the_interpreter_is_named() {
        for line in ["#!/no/sh", "#!/no/sh\n", "#! \t/no/sh -e\nx", "#!/no/sh\t-e", "#!/no/sh\0x"] {
            assert_eq!(explain(line), "interpreter \"/no/sh\" does not exist");
        }
        assert_eq!(explain("#!"), "interpreter \"\" does not exist");
        assert_eq!(explain("\u{7f}ELF"), "its loader does not exist");
        assert_eq!(explain(""), "its loader does not exist");
    }

    #[test]
    fn the_carriage_return_is_named() {
        let text = "interpreter \"/bin/sh\" with a carriage return at its end does not exist: \
                    the file has the line ends of Windows";
        assert_eq!(explain("#!/bin/sh\r\nexec true\r\n"), text);
        assert_eq!(explain("#!/bin/sh\r"), text);
        // Here the carriage return is an argument of the interpreter.
        assert_eq!(explain("#!/bin/sh -e\r\n"), "interpreter \"/bin/sh\" does not exist");
    }
}
