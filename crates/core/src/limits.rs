//! softlimit's letters, variables and values.

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// All memory of the process, in bytes.
    AddressSpace,
    /// The size of a core file, in bytes.
    Core,
    /// Processor time, in seconds.
    Cpu,
    /// Heap and the like, in bytes.
    Data,
    /// The size of a file that is written, in bytes.
    FileSize,
    /// Locked memory, in bytes.
    LockedMemory,
    /// Open files.
    OpenFiles,
    /// Processes of the user.
    Processes,
    /// Resident memory, in bytes; Linux has no use for it.
    Resident,
    /// The stack, in bytes.
    Stack,
}

use Resource::{
    AddressSpace, Core, Cpu, Data, FileSize, LockedMemory, OpenFiles, Processes, Resident, Stack,
};

/// The resources which an option letter limits, in order; none for other letters.
#[must_use]
pub const fn resources(letter: u8) -> &'static [Resource] {
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

/// encore's environment variables, in the order in which they are obeyed, before any option.
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

/// What a limit is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The soft limit is this, or the hard limit if that is less.
    AtMost(u64),
    /// `=`: the soft limit is the hard limit.
    Hard,
    /// `-`: there is no limit, neither soft nor hard.
    Unlimited,
}

/// Reads a value: digits (none are 0, and what does not fit wraps around, as in the original),
/// `=` or `-`.
#[must_use]
pub fn value(text: &[u8]) -> Option<Value> {
    match text {
        b"=" => Some(Value::Hard),
        b"-" => Some(Value::Unlimited),
        digits => digits
            .iter()
            .try_fold(0_u64, |n, c| {
                let digit = c.is_ascii_digit().then(|| u64::from(c - b'0'))?;
                Some(n.wrapping_mul(10).wrapping_add(digit))
            })
            .map(Value::AtMost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(value(b""), Some(Value::AtMost(0)));
        assert_eq!(value(b"00020"), Some(Value::AtMost(20)));
        assert_eq!(value(b"18446744073709551615"), Some(Value::AtMost(u64::MAX)));
        assert_eq!(value(b"18446744073709551617"), Some(Value::AtMost(1)));
        assert_eq!(value(b"="), Some(Value::Hard));
        assert_eq!(value(b"-"), Some(Value::Unlimited));
        for text in [&b"-1"[..], b"+1", b" 1", b"1k", b"==", b"0x10"] {
            assert_eq!(value(text), None);
        }
    }

    #[test]
    fn every_letter_of_the_usage_line_limits_something() {
        assert!((0..=255).filter(|&l| !resources(l).is_empty()).eq(*b"acdflmoprst"));
    }
}
