//! The options, variables and values of softlimit.

/// A resource of setrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// All memory of the process, in bytes.
    AddressSpace,
    /// The size of a core file, in bytes.
    Core,
    /// Processor time, in seconds.
    Cpu,
    /// The data segment: heap and static data, in bytes.
    Data,
    /// The size of files that the process writes, in bytes.
    FileSize,
    /// Locked memory, in bytes.
    LockedMemory,
    /// Open files.
    OpenFiles,
    /// Processes of the user.
    Processes,
    /// Resident memory, in bytes; Linux ignores this limit.
    Resident,
    /// The stack, in bytes.
    Stack,
}

use Resource::{
    AddressSpace, Core, Cpu, Data, FileSize, LockedMemory, OpenFiles, Processes, Resident, Stack,
};

/// The resources that an option letter limits, in order; none for other letters.
#[must_use]
pub const fn resources_of(letter: u8) -> &'static [Resource] {
    match letter {
        b'a' => &[AddressSpace],
        b'c' => &[Core],
        b'd' => &[Data],
        b'f' => &[FileSize],
        b'l' => &[LockedMemory],
        b'm' => &[Data, Stack, LockedMemory, AddressSpace],
        b'o' => &[OpenFiles],
        b'p' => &[Processes],
        b'r' => &[Resident],
        b's' => &[Stack],
        b't' => &[Cpu],
        _ => &[],
    }
}

/// The environment variables of daemontools-encore, in the order in which they take effect.
///
/// All of them take effect before the options.
pub const VARIABLES: &[(&str, Resource)] = &[
    ("SOFTLIMIT_ALLBYTES", AddressSpace),
    ("SOFTLIMIT_MEMBYTES", AddressSpace),
    ("SOFTLIMIT_COREBYTES", Core),
    ("SOFTLIMIT_DATABYTES", Data),
    ("SOFTLIMIT_MEMBYTES", Data),
    ("SOFTLIMIT_FILEBYTES", FileSize),
    ("SOFTLIMIT_LOCKEDBYTES", LockedMemory),
    ("SOFTLIMIT_MEMBYTES", LockedMemory),
    ("SOFTLIMIT_STACKBYTES", Stack),
    ("SOFTLIMIT_MEMBYTES", Stack),
    ("SOFTLIMIT_OPENFILES", OpenFiles),
    ("SOFTLIMIT_PROCS", Processes),
    ("SOFTLIMIT_RSSBYTES", Resident),
    ("SOFTLIMIT_CPUSECS", Cpu),
];

/// The new value of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The soft limit is this, or the hard limit if that is lower.
    AtMost(u64),
    /// `=`: the soft limit is the hard limit.
    Hard,
    /// `-`: both the soft and the hard limit are removed.
    Unlimited,
}

/// Parses digits, `=` or `-`.
///
/// As in the original, no digits are 0, and numbers beyond 64 bits wrap around.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Limit> {
    match text {
        b"=" => Some(Limit::Hard),
        b"-" => Some(Limit::Unlimited),
        digits => digits
            .iter()
            .try_fold(0_u64, |n, c| {
                let digit = c.is_ascii_digit().then(|| u64::from(c - b'0'))?;
                Some(n.wrapping_mul(10).wrapping_add(digit))
            })
            .map(Limit::AtMost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_signs() {
        assert_eq!(parse(b""), Some(Limit::AtMost(0)));
        assert_eq!(parse(b"00020"), Some(Limit::AtMost(20)));
        assert_eq!(parse(b"18446744073709551615"), Some(Limit::AtMost(u64::MAX)));
        assert_eq!(parse(b"18446744073709551617"), Some(Limit::AtMost(1)));
        assert_eq!(parse(b"="), Some(Limit::Hard));
        assert_eq!(parse(b"-"), Some(Limit::Unlimited));
        for text in [&b"-1"[..], b"+1", b" 1", b"1k", b"==", b"0x10"] {
            assert_eq!(parse(text), None);
        }
    }

    #[test]
    fn every_letter_of_the_usage_line_limits_something() {
        assert!((0..=255).filter(|&l| !resources_of(l).is_empty()).eq(*b"acdflmoprst"));
    }
}
