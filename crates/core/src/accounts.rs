//! Lines of /etc/passwd and /etc/group.

/// What an account's line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// The user id.
    pub uid: u32,
    /// The primary group's id.
    pub gid: u32,
    /// The home directory.
    pub home: &'a [u8],
    /// The shell.
    pub shell: &'a [u8],
}

/// An id in decimal digits. The largest, which means "none" to the kernel, is one as well: the
/// kernel refuses to give it to anybody.
#[must_use]
pub fn id(text: &[u8]) -> Option<u32> {
    u32::try_from(crate::decimal::parse(text)?).ok()
}

/// Whether an account can have this name. A colon or a newline would end it in its line, and what
/// begins with `+` or `-` is a remark for the name service there (`+::0:0:::` takes in the
/// accounts of NIS), which the C library gives to nobody either.
#[must_use]
pub fn possible(name: &[u8]) -> bool {
    !matches!(name, [] | [b'+' | b'-', ..]) && !name.iter().any(|c| b":\n".contains(c))
}

/// Reads a line of /etc/passwd, without its newline, if it is that of `name`. A line that lacks
/// fields or has no valid ids is nobody's.
#[must_use]
pub fn account<'a>(line: &'a [u8], name: &[u8]) -> Option<Account<'a>> {
    // As in the C library: blanks before a line count for nothing, and comments for none.
    let line = line.trim_ascii_start();
    if line.starts_with(b"#") || !possible(name) {
        return None;
    }
    let rest = line.strip_prefix(name)?.strip_prefix(b":")?;
    let mut fields = rest.split(|&c| c == b':');
    let _password = fields.next()?;
    let (uid, gid) = (id(fields.next()?)?, id(fields.next()?)?);
    let _full_name = fields.next()?;
    Some(Account { uid, gid, home: fields.next()?, shell: fields.next()? })
}

/// Reads a line of /etc/group: its id, if `name` is one of its members.
#[must_use]
pub fn group_of(line: &[u8], name: &[u8]) -> Option<u32> {
    // Comments, and remarks for the name service.
    if matches!(line.trim_ascii_start(), [b'#' | b'+' | b'-', ..]) || !possible(name) {
        return None;
    }
    let mut fields = line.split(|&c| c == b':');
    let _name = fields.next()?;
    let _password = fields.next()?;
    let gid = id(fields.next()?)?;
    let mut members = fields.next()?.split(|&c| c == b',');
    members.any(|member| member == name).then_some(gid)
}

/// Reads `UID:GID`, both in digits: an account that needs no line.
#[must_use]
pub fn numeric(text: &[u8]) -> Option<Account<'static>> {
    let at = text.iter().position(|&c| c == b':')?;
    let (uid, gid) = (id(text.get(..at)?)?, id(text.get(at + 1..)?)?);
    // For a program that goes by what it is told, the largest number is no id but "no change".
    let real = uid != u32::MAX && gid != u32::MAX;
    real.then_some(Account { uid, gid, home: b"/", shell: b"/bin/sh" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn the_line_of_the_name_and_no_other() {
        let line = b"www:x:33:34:Web,,,:/var/www:/bin/sh";
        let www = Account { uid: 33, gid: 34, home: b"/var/www", shell: b"/bin/sh" };
        assert_eq!(account(line, b"www"), Some(www));
        for other in [&b""[..], b"ww", b"www-data", b"www:x", b"WWW"] {
            assert_eq!(account(line, other), None);
        }
    }

    #[test]
    fn damaged_lines_are_nobodys() {
        for line in [
            &b"a"[..],
            b"a:",
            b"a:x:1:1::",
            b"a:x::1::/:/",
            b"a:x:-1:1::/:/",
            b"a:x:4294967296:1::/:/",
            b"a:x:0x1:1::/:/",
            b":x:1:1::/:/",
            b"#a:x:1:1::/:/",
        ] {
            assert_eq!(account(line, b"a"), None);
            assert_eq!(account(line, b""), None);
        }
    }

    #[test]
    fn remarks_for_the_name_service_are_nobodys() {
        for line in [&b"+::0:0:::"[..], b"+x:x:0:0::/:/", b"-x:x:0:0::/:/", b" +x:x:0:0::/:/"] {
            for name in [&b""[..], b"+", b"+x", b"-", b"-x", b"x"] {
                assert_eq!(account(line, name), None);
            }
        }
        for line in [&b"+:::x,+x"[..], b"+x:x:0:x,+x", b"-x:x:0:x", b" +x:x:0:x", b"a:x:0:+x"] {
            for name in [&b"+x"[..], b"x"] {
                assert_eq!(group_of(line, name), None);
            }
        }
        assert_eq!(account(b"a+-:x:1:2::/:/", b"a+-").map(|a| (a.uid, a.gid)), Some((1, 2)));
    }

    #[test]
    fn members_are_whole_names() {
        assert_eq!(group_of(b"adm:*:4:syslog,www", b"www"), Some(4));
        assert_eq!(group_of(b"adm:*:4:syslog,www", b"ww"), None);
        assert_eq!(group_of(b"adm:*:4:", b""), None);
        assert_eq!(group_of(b"adm:*:x:www", b"www"), None);
    }

    #[test]
    fn a_pair_of_numbers_is_an_account() {
        assert_eq!(numeric(b"7:8").map(|a| (a.uid, a.gid)), Some((7, 8)));
        for text in [&b"7"[..], b"7:", b":8", b"7:8:9", b"4294967295:1", b"1:4294967295", b"a:b"] {
            assert_eq!(numeric(text), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(
            blanks in "[ \t]{0,2}", name in "[a-z][a-z+-]{0,7}", uid in 0..u32::MAX, gid in 0..u32::MAX,
            home in "[^:\n]{0,20}", shell in "[^:\n]{0,20}",
        ) {
            let line = alloc::format!("{blanks}{name}:x:{uid}:{gid}:any body:{home}:{shell}");
            let account = account(line.as_bytes(), name.as_bytes()).unwrap();
            prop_assert_eq!((account.uid, account.gid), (uid, gid));
            prop_assert_eq!((account.home, account.shell), (home.as_bytes(), shell.as_bytes()));
            let pair = alloc::format!("{uid}:{gid}");
            let numeric = numeric(pair.as_bytes()).unwrap();
            prop_assert_eq!((numeric.uid, numeric.gid), (uid, gid));
        }

        #[test]
        fn any_line_is_read_or_nobodys(line in any::<Vec<u8>>(), name in any::<Vec<u8>>()) {
            prop_assert!(account(&line, &name).is_none() || possible(&name));
            prop_assert!(group_of(&line, &name).is_none() || possible(&name));
        }
    }
}
