//! The accounts of the system, as far as files say.

use daemontools_core::loaders::accounts::{Account, parse_passwd_line};
use std::fs;
use std::io;

/// The name services whose accounts are in /etc/passwd, or never those of services.
const LOCAL: [&str; 4] = ["files", "compat", "systemd", "db"];

/// The accounts of /etc/passwd.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    passwd: Vec<u8>,
    /// Whether /etc/nsswitch.conf names a service that can know other accounts.
    pub(crate) has_others: bool,
}

impl Accounts {
    /// Reads /etc/passwd. Without /etc/nsswitch.conf there are no other accounts.
    ///
    /// # Errors
    /// Those of reading /etc/passwd.
    pub(crate) fn read() -> io::Result<Self> {
        let nsswitch = fs::read("/etc/nsswitch.conf").unwrap_or_default();
        Ok(Self::new(fs::read("/etc/passwd")?, &String::from_utf8_lossy(&nsswitch)))
    }

    fn new(passwd: Vec<u8>, nsswitch: &str) -> Self {
        let services = nsswitch.lines().find_map(|line| line.trim().strip_prefix("passwd:"));
        let is_other = |word: &str| !LOCAL.contains(&word) && !word.starts_with('[');
        let has_others = services.is_some_and(|it| it.split_ascii_whitespace().any(is_other));
        Self { passwd, has_others }
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.passwd.split(|&byte| byte == b'\n')
    }

    /// The account of a name.
    pub(crate) fn of(&self, name: &[u8]) -> Option<Account<'_>> {
        self.lines().find_map(|line| parse_passwd_line(line, name))
    }

    /// The name of the first account with this user id.
    pub(crate) fn name_of(&self, uid: u32) -> Option<String> {
        let named = self.lines().find_map(|line| {
            let name = line.split(|&byte| byte == b':').next()?;
            (parse_passwd_line(line, name)?.uid == uid).then_some(name)
        });
        named.map(|name| String::from_utf8_lossy(name).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Accounts;

    #[test]
    fn accounts_and_name_services_are_parsed() {
        let passwd = b"root:x:0:0::/root:/bin/sh\nbad\n".to_vec();
        let local = Accounts::new(passwd, "passwd: files systemd\n");
        let uid = |name: &[u8]| local.of(name).map(|account| account.uid);
        assert_eq!((uid(b"root"), uid(b"bad"), local.has_others), (Some(0), None, false));
        assert_eq!((local.name_of(0).as_deref(), local.name_of(1)), (Some("root"), None));
        assert!(Accounts::new(Vec::new(), "passwd: files [NOTFOUND=continue] sss\n").has_others);
    }
}
