//! Lines of /etc/passwd (passwd(5)) and /etc/group (group(5)).

/// An account, as its line in /etc/passwd describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// The user id.
    pub uid: u32,
    /// The id of the primary group.
    pub gid: u32,
    /// The home directory.
    pub home: &'a [u8],
    /// The shell.
    pub shell: &'a [u8],
}

/// Parses an id in decimal digits.
///
/// 4294967295, which the kernel reads as "no id", is accepted: the kernel refuses it.
#[must_use]
pub fn parse_id(text: &[u8]) -> Option<u32> {
    u32::try_from(crate::text::decimal::parse(text)?).ok()
}

/// Whether an account can have this name.
///
/// A colon or a newline would end the name in its line. Lines that begin with `+` or `-` are
/// instructions for the name service: `+::0:0:::` includes the accounts of NIS. The C library
/// returns no account for them.
#[must_use]
pub fn is_valid_name(name: &[u8]) -> bool {
    !matches!(name, [] | [b'+' | b'-', ..]) && !name.iter().any(|c| b":\n".contains(c))
}

/// Parses a line of /etc/passwd, without its newline.
///
/// `None` if it is the line of another account, lacks fields, or has invalid ids.
#[must_use]
pub fn parse_passwd_line<'a>(line: &'a [u8], name: &[u8]) -> Option<Account<'a>> {
    // The C library skips blanks at the beginning of a line, and comments.
    let line = line.trim_ascii_start();
    if line.starts_with(b"#") || !is_valid_name(name) {
        return None;
    }
    let rest = line.strip_prefix(name)?.strip_prefix(b":")?;
    let mut fields = rest.split(|&c| c == b':');
    let _password = fields.next()?;
    let (uid, gid) = (parse_id(fields.next()?)?, parse_id(fields.next()?)?);
    let _full_name = fields.next()?;
    Some(Account { uid, gid, home: fields.next()?, shell: fields.next()? })
}

/// Parses a line of /etc/group: the id of the group if `name` is a member, else `None`.
#[must_use]
pub fn parse_group_line(line: &[u8], name: &[u8]) -> Option<u32> {
    // Comments, and instructions for the name service.
    if matches!(line.trim_ascii_start(), [b'#' | b'+' | b'-', ..]) || !is_valid_name(name) {
        return None;
    }
    let mut fields = line.split(|&c| c == b':');
    let _name = fields.next()?;
    let _password = fields.next()?;
    let gid = parse_id(fields.next()?)?;
    let mut members = fields.next()?.split(|&c| c == b',');
    members.any(|member| member == name).then_some(gid)
}

/// Parses `UID:GID` in digits: an account without a line in /etc/passwd.
#[must_use]
pub fn parse_uid_gid(text: &[u8]) -> Option<Account<'static>> {
    let at = text.iter().position(|&c| c == b':')?;
    let (uid, gid) = (parse_id(text.get(..at)?)?, parse_id(text.get(at + 1..)?)?);
    // -1 means "no change" to setresuid(2) and setresgid(2).
    let valid = uid != u32::MAX && gid != u32::MAX;
    valid.then_some(Account { uid, gid, home: b"/", shell: b"/bin/sh" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn the_whole_name_must_match() {
        let line = b"www:x:33:34:Web,,,:/var/www:/bin/sh";
        let www = Account { uid: 33, gid: 34, home: b"/var/www", shell: b"/bin/sh" };
        assert_eq!(parse_passwd_line(line, b"www"), Some(www));
        for other in [&b""[..], b"ww", b"www-data", b"www:x", b"WWW"] {
            assert_eq!(parse_passwd_line(line, other), None);
        }
    }

    #[test]
    fn damaged_lines_are_no_account() {
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
            assert_eq!(parse_passwd_line(line, b"a"), None);
            assert_eq!(parse_passwd_line(line, b""), None);
        }
    }

    #[test]
    fn instructions_for_the_name_service_are_no_account() {
        for line in [&b"+::0:0:::"[..], b"+x:x:0:0::/:/", b"-x:x:0:0::/:/", b" +x:x:0:0::/:/"] {
            for name in [&b""[..], b"+", b"+x", b"-", b"-x", b"x"] {
                assert_eq!(parse_passwd_line(line, name), None);
            }
        }
        for line in [&b"+:::x,+x"[..], b"+x:x:0:x,+x", b"-x:x:0:x", b" +x:x:0:x", b"a:x:0:+x"] {
            for name in [&b"+x"[..], b"x"] {
                assert_eq!(parse_group_line(line, name), None);
            }
        }
        assert_eq!(
            parse_passwd_line(b"a+-:x:1:2::/:/", b"a+-").map(|a| (a.uid, a.gid)),
            Some((1, 2))
        );
    }

    #[test]
    fn members_are_whole_names() {
        assert_eq!(parse_group_line(b"adm:*:4:syslog,www", b"www"), Some(4));
        assert_eq!(parse_group_line(b"adm:*:4:syslog,www", b"ww"), None);
        assert_eq!(parse_group_line(b"adm:*:4:", b""), None);
        assert_eq!(parse_group_line(b"adm:*:x:www", b"www"), None);
    }

    #[test]
    fn a_pair_of_numbers_is_an_account() {
        assert_eq!(parse_uid_gid(b"7:8").map(|a| (a.uid, a.gid)), Some((7, 8)));
        for text in [&b"7"[..], b"7:", b":8", b"7:8:9", b"4294967295:1", b"1:4294967295", b"a:b"] {
            assert_eq!(parse_uid_gid(text), None);
        }
    }

    proptest! {
        #[test]
        fn lines_are_read_back(
            blanks in "[ \t]{0,2}", name in "[a-z][a-z+-]{0,7}", uid in 0..u32::MAX, gid in 0..u32::MAX,
            home in "[^:\n]{0,20}", shell in "[^:\n]{0,20}",
        ) {
            let line = alloc::format!("{blanks}{name}:x:{uid}:{gid}:any body:{home}:{shell}");
            let account = parse_passwd_line(line.as_bytes(), name.as_bytes()).unwrap();
            prop_assert_eq!((account.uid, account.gid), (uid, gid));
            prop_assert_eq!((account.home, account.shell), (home.as_bytes(), shell.as_bytes()));
            let pair = alloc::format!("{uid}:{gid}");
            let numeric = parse_uid_gid(pair.as_bytes()).unwrap();
            prop_assert_eq!((numeric.uid, numeric.gid), (uid, gid));
        }

        #[test]
        fn invalid_names_have_no_account(line in any::<Vec<u8>>(), name in any::<Vec<u8>>()) {
            prop_assert!(parse_passwd_line(&line, &name).is_none() || is_valid_name(&name));
            prop_assert!(parse_group_line(&line, &name).is_none() || is_valid_name(&name));
        }
    }
}
