//! Lines of /etc/passwd, /etc/group and /proc/locks, ids and limits, against simpler parsers.
#![no_main]

use daemontools_core::loaders::accounts::{self, Account};
use daemontools_core::loaders::limits::{self, Limit};
use daemontools_core::loaders::path_search;
use daemontools_core::text::proc_locks;
use daemontools_fuzz::parts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [name, line] = parts(data);
    // The name of the line as well, which the fuzzer would have to guess.
    let own = line.trim_ascii_start().split(|&c| c == b':').next().unwrap_or_default();
    for name in [name, own] {
        let valid = !name.is_empty()
            && !b"+-".contains(&name[0])
            && name.iter().all(|&c| c != b':' && c != b'\n');
        assert_eq!(accounts::is_valid_name(name), valid);
        assert_eq!(accounts::parse_passwd_line(line, name), account(line, name).filter(|_| valid));
        assert_eq!(accounts::parse_group_line(line, name), group(line, name).filter(|_| valid));
    }
    // Other fields of the line are no names.
    for field in line.split(|&c| c == b':').skip(1) {
        let named = line.trim_ascii_start().split(|&c| c == b':').next() == Some(field);
        assert!(accounts::parse_passwd_line(line, field).is_none() || named);
    }
    assert_eq!(accounts::parse_id(name), number(name));
    if let Some(account) = accounts::parse_uid_gid(name) {
        let Account { uid, gid, .. } = account;
        assert!(uid != u32::MAX && gid != u32::MAX);
        assert_eq!(accounts::parse_uid_gid(format!("{uid}:{gid}").as_bytes()), Some(account));
    }
    let limit = match name {
        b"=" => Some(Limit::Hard),
        b"-" => Some(Limit::Unlimited),
        _ if name.iter().all(u8::is_ascii_digit) => {
            // Numbers beyond 64 bits wrap around.
            let digits = name.iter().map(|c| u128::from(c - b'0'));
            let number = digits.fold(0, |n, digit| (n * 10 + digit) % (1 << 64));
            Some(Limit::AtMost(u64::try_from(number).expect("below 2^64")))
        }
        _ => None,
    };
    assert_eq!(limits::parse(name), limit);
    for (inode, (major, minor), pid) in proc_locks::holders(line) {
        // The kernel's text for the same lock is read back.
        let text = format!("1: FLOCK  ADVISORY  WRITE {pid} {major:02x}:{minor:02x}:{inode} 0 EOF");
        let again: Vec<_> = proc_locks::holders(text.as_bytes()).collect();
        assert_eq!(again, [(inode, (major, minor), pid)]);
        assert!(pid.get() > 0);
    }
    let directories: Vec<&[u8]> = path_search::directories(name, Some(line)).collect();
    assert!(name.contains(&b'/') || directories.len() == line.split(|&c| c == b':').count());
});

fn text(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|&c| c == b':').collect()
}

fn number(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    // `parse` accepts a sign.
    text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok())?
}

fn account<'a>(line: &'a [u8], name: &[u8]) -> Option<Account<'a>> {
    let line = line.trim_ascii_start();
    if line.starts_with(b"#") {
        return None;
    }
    match text(line)[..] {
        [first, _, uid, gid, _, home, shell, ..] if first == name => {
            Some(Account { uid: number(uid)?, gid: number(gid)?, home, shell })
        }
        _ => None,
    }
}

fn group(line: &[u8], name: &[u8]) -> Option<u32> {
    let first = line.trim_ascii_start().first();
    if first.is_some_and(|c| b"#+-".contains(c)) {
        return None;
    }
    match text(line)[..] {
        [_, _, gid, members, ..] if members.split(|&c| c == b',').any(|it| it == name) => {
            number(gid)
        }
        _ => None,
    }
}
