//! Names that look like those of option files: of another member of the family, or misspelt.

use super::OptionFile;

/// The beginnings of names that only option files have.
const PREFIXES: [&str; 6] =
    ["flag-", "timeout-", "restart-limit", "notification-fd", "max-death-", "resource-limit"];

/// The shortest name of an option file that is compared letter by letter. Shorter ones are words.
const SHORTEST: usize = 6;

/// What an unknown name looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookalike {
    /// The name of this option file, misspelt.
    Of(OptionFile),
    /// An option file that does not exist here.
    Unknown,
}

impl Lookalike {
    /// What a name that is no option file looks like; `None` for the name of an ordinary file.
    ///
    /// A name with other bytes than letters, digits, `-` and `_` is that of a backup, a document or a
    /// package manager's file.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        let is_part = |&c: &u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if !name.iter().all(is_part) || OptionFile::named(name).is_some() {
            return None;
        }
        let right = |file: &OptionFile| is_misspelt(name, file.name().as_bytes());
        if let Some(file) = OptionFile::ALL.into_iter().find(right) {
            return Some(Self::Of(file));
        }
        let is_of_family = PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
        is_of_family.then_some(Self::Unknown)
    }
}

/// Whether `name` differs from `right` only in case and separators, or in one letter.
fn is_misspelt(name: &[u8], right: &[u8]) -> bool {
    let letters = |c: &&u8| **c != b'-' && **c != b'_';
    let same_letters = name
        .iter()
        .filter(letters)
        .map(u8::to_ascii_lowercase)
        .eq(right.iter().filter(letters).copied());
    same_letters || (right.len() >= SHORTEST && differs_in_one_letter(name, right))
}

/// Whether one letter is missing, too many or wrong, or two neighbours have changed places.
fn differs_in_one_letter(name: &[u8], right: &[u8]) -> bool {
    let same = name.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (Some(a), Some(b)) = (name.get(same..), right.get(same..)) else { return false };
    match (a, b) {
        ([x, y, a @ ..], [v, w, b @ ..]) if (x, y) == (w, v) && a == b => true,
        _ => {
            let without_a = a.get(1..).unwrap_or_default();
            let without_b = b.get(1..).unwrap_or_default();
            // A wrong letter, one too many, one missing.
            without_a == without_b || without_a == b || a == without_b
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_are_recognised() {
        for (name, file) in [
            ("timeout-kil", OptionFile::TimeoutKill),
            ("timeout-kilL", OptionFile::TimeoutKill),
            ("timeout_kill", OptionFile::TimeoutKill),
            ("timeoutkill", OptionFile::TimeoutKill),
            ("Timeout-Kill", OptionFile::TimeoutKill),
            ("tiemout-kill", OptionFile::TimeoutKill),
            ("notification_fd", OptionFile::NotificationFd),
            ("notificationfd", OptionFile::NotificationFd),
            ("notify-sockets", OptionFile::NotifySocket),
            ("down_signal", OptionFile::DownSignal),
            ("NEEDS", OptionFile::Needs),
            ("no_setsid", OptionFile::NoSetsid),
            ("lock-f", OptionFile::LockFd),
            ("ersonality", OptionFile::Personality),
        ] {
            assert_eq!(Lookalike::of(name.as_bytes()), Some(Lookalike::Of(file)), "{name}");
        }
    }

    #[test]
    fn option_files_of_the_family_are_recognised() {
        for name in ["flag-newpidns", "timeout-up", "timeout-down", "flag-essential", "timeout-xyz"]
        {
            assert_eq!(Lookalike::of(name.as_bytes()), Some(Lookalike::Unknown), "{name}");
        }
    }

    #[test]
    fn ordinary_files_are_not_taken_for_option_files() {
        // Names from packages of Debian and other collections, and from editors.
        let names = "run finish log down check control supervise start stop notify env data root seed \
            Makefile README README.md readme NOTES LICENSE conf config config.sh rules peers tcp tcp.cdb \
            event instance instances template type dependencies dependencies.d up producer-for \
            consumer-for pipeline-name contents contents.d default-syslog .meta bin current lock \
            main status flag timeout limit limits listener need want notes backup reset restart \
            concurrencyremote timeout-kill~ timeout-kill.bak timeout-kill.orig .timeout-kill.swp \
            #timeout-kill# timeout-kill.dpkg-dist timeout-kill.dpkg-old 4913 personality.rpmnew \
            needs.example stop-scope.disabled resource-limits.txt";
        for name in names.split_whitespace() {
            assert_eq!(Lookalike::of(name.as_bytes()), None, "{name}");
        }
        for file in OptionFile::ALL {
            assert_eq!(Lookalike::of(file.name().as_bytes()), None, "{}", file.name());
        }
        assert_eq!(Lookalike::of(b""), None);
    }
}
