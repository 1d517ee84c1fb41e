//! The bytes that svc writes and supervise reads.

/// A signal by its meaning, where it has one for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `h`
    Hup,
    /// `a`
    Alrm,
    /// `i`
    Int,
    /// `t`, and part of [`Command::Down`]
    Term,
    /// `k`
    Kill,
    /// `q`
    Quit,
    /// `1`
    Usr1,
    /// `2`
    Usr2,
    /// `w`
    Winch,
    /// [`Command::Pause`]
    Stop,
    /// [`Command::Continue`], and part of [`Command::Down`]
    Cont,
    /// Of a service that is stuck: ends it and leaves a core file.
    Abrt,
    /// One that has no name here, by its number. Those that have one are never meant by it.
    Other(u8),
}

/// The names of Linux's signals from 1 on.
const SIGNAL_NAMES: [&[u8]; 31] = [
    b"HUP", b"INT", b"QUIT", b"ILL", b"TRAP", b"ABRT", b"BUS", b"FPE", b"KILL", b"USR1", b"SEGV",
    b"USR2", b"PIPE", b"ALRM", b"TERM", b"STKFLT", b"CHLD", b"CONT", b"STOP", b"TSTP", b"TTIN",
    b"TTOU", b"URG", b"XCPU", b"XFSZ", b"VTALRM", b"PROF", b"WINCH", b"IO", b"PWR", b"SYS",
];

impl Signal {
    /// Linux's number for it, which is the same on x86-64 and on aarch64.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Hup => 1,
            Self::Int => 2,
            Self::Quit => 3,
            Self::Abrt => 6,
            Self::Kill => 9,
            Self::Usr1 => 10,
            Self::Usr2 => 12,
            Self::Alrm => 14,
            Self::Term => 15,
            Self::Cont => 18,
            Self::Stop => 19,
            Self::Winch => 28,
            Self::Other(number) => number,
        }
    }

    /// The signal with this number; `None` if there is none, or only one without a fixed meaning.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Hup,
            2 => Self::Int,
            3 => Self::Quit,
            6 => Self::Abrt,
            9 => Self::Kill,
            10 => Self::Usr1,
            12 => Self::Usr2,
            14 => Self::Alrm,
            15 => Self::Term,
            18 => Self::Cont,
            19 => Self::Stop,
            28 => Self::Winch,
            0 | 32.. => return None,
            _ => Self::Other(number),
        })
    }

    /// The signal with this name, in capitals or not, with or without `SIG`.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let name = match name.split_at_checked(3) {
            Some((sig, rest)) if sig.eq_ignore_ascii_case(b"SIG") => rest,
            _ => name,
        };
        let place = SIGNAL_NAMES.iter().position(|n| n.eq_ignore_ascii_case(name))?;
        Self::from_number(u8::try_from(place + 1).ok()?)
    }
}

/// Who gets a signal; more with each of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The process alone.
    #[default]
    Process,
    /// The process group which it leads; nobody if it leads none.
    Group,
    /// The process, and all that it has started, directly or not.
    Tree,
}

/// What a supervise can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `u`: run it, and again whenever it ends.
    Up,
    /// `d`: end it, and leave it so.
    Down,
    /// `o`: run it, but not again.
    Once,
    /// `x`: leave when it is down.
    Exit,
    /// `p`: stop it.
    Pause,
    /// `c`: let it go on.
    Continue,
    /// Send it this signal.
    Signal(Signal),
}

impl Command {
    /// The command for a byte; `None` for bytes that mean something else or nothing.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'u' => Self::Up,
            b'd' => Self::Down,
            b'o' => Self::Once,
            b'x' => Self::Exit,
            b'p' => Self::Pause,
            b'c' => Self::Continue,
            b'h' => Self::Signal(Signal::Hup),
            b'a' => Self::Signal(Signal::Alrm),
            b'i' => Self::Signal(Signal::Int),
            b't' => Self::Signal(Signal::Term),
            b'k' => Self::Signal(Signal::Kill),
            b'q' => Self::Signal(Signal::Quit),
            b'1' => Self::Signal(Signal::Usr1),
            b'2' => Self::Signal(Signal::Usr2),
            b'w' => Self::Signal(Signal::Winch),
            _ => return None,
        })
    }
}

/// The process which a command is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The service.
    #[default]
    Main,
    /// encore's log script beside it.
    Log,
}

/// Reads control bytes: commands, and encore's `l` `L` `=` `+`, which say whom the following
/// ones are for. Unknown bytes are passed over.
///
/// A new decoder belongs to every message, so that what one svc chose does not stick to the
/// commands of the next; a message is what was read at once, with what follows if there was more.
#[derive(Debug, Default)]
pub struct Decoder {
    target: Target,
    scope: Scope,
}

impl Decoder {
    /// Takes one byte, and gives the command which it completes.
    pub fn feed(&mut self, byte: u8) -> Option<(Target, Command, Scope)> {
        match byte {
            b'l' => *self = Self::default(),
            b'L' => *self = Self { target: Target::Log, scope: Scope::Process },
            b'=' => self.scope = Scope::Process,
            b'+' => self.scope = Scope::Group,
            _ => return Some((self.target, Command::from_byte(byte)?, self.scope)),
        }
        None
    }
}

/// The original's letters, in the order of its usage line.
pub const ORIGINAL_LETTERS: &[u8] = b"udopchaitkx";

/// encore's letters beyond these.
pub const ENCORE_LETTERS: &[u8] = b"q12wlL=+";

/// The bytes which svc sends for its option letters.
///
/// With the original's letters only these are just the letters, each once, in the order of their
/// first appearance. encore's `l` and `L` start a new segment in which letters may come again.
/// A message with any of encore's letters begins with `l`, and ends with `l` if it chose a target
/// or a scope, so that it neither takes over what an earlier writer chose nor leaves its own.
#[derive(Debug, Default)]
pub struct Message {
    bytes: alloc::vec::Vec<u8>,
    segment: usize,
    encore: bool,
    chosen: bool,
}

impl Message {
    /// Adds an option letter.
    pub fn add(&mut self, letter: u8) {
        self.encore |= ENCORE_LETTERS.contains(&letter);
        self.chosen |= b"L+".contains(&letter);
        if b"lL".contains(&letter) {
            self.segment = self.bytes.len();
        } else if self.bytes.iter().skip(self.segment).any(|&b| b == letter) {
            return;
        }
        self.bytes.push(letter);
    }

    /// The message, empty if there was no letter.
    #[must_use]
    pub fn finish(mut self) -> alloc::vec::Vec<u8> {
        if self.encore {
            self.bytes.insert(0, b'l');
        }
        if self.chosen {
            self.bytes.push(b'l');
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn message(letters: &[u8]) -> Vec<u8> {
        let mut message = Message::default();
        letters.iter().for_each(|&l| message.add(l));
        message.finish()
    }

    fn decoded(bytes: &[u8]) -> Vec<(Target, Command, Scope)> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|&b| decoder.feed(b)).collect()
    }

    #[test]
    fn the_originals_letters_go_out_as_they_are() {
        assert_eq!(message(b""), b"");
        assert_eq!(message(b"tdutdc"), b"tduc");
        assert_eq!(message(b"dud"), b"du");
    }

    #[test]
    fn encores_letters_are_framed() {
        assert_eq!(message(b"q"), b"lq");
        assert_eq!(message(b"+dx"), b"l+dxl");
        assert_eq!(message(b"dLdl"), b"ldLdll");
    }

    #[test]
    fn targets_and_scopes_hold_until_they_are_changed() {
        use Scope::{Group, Process};
        let term = Command::Signal(Signal::Term);
        let kill = Command::Signal(Signal::Kill);
        assert_eq!(
            decoded(b"t+t?kLk=+klt"),
            [
                (Target::Main, term, Process),
                (Target::Main, term, Group),
                (Target::Main, kill, Group),
                (Target::Log, kill, Process),
                (Target::Log, kill, Group),
                (Target::Main, term, Process),
            ]
        );
    }

    #[test]
    fn every_signal_has_one_number_and_one_name() {
        for (number, name) in (1..=31).zip(SIGNAL_NAMES) {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.number(), number);
            assert_eq!(Signal::from_name(name), Some(signal));
            let long = [b"sig", &name.to_ascii_lowercase()[..]].concat();
            assert_eq!(Signal::from_name(&long), Some(signal));
        }
        assert_eq!(Signal::from_name(b"SigAbrt"), Some(Signal::Abrt));
        assert_eq!(Signal::from_name(b"sys"), Some(Signal::Other(31)));
        for name in [&b""[..], b"SIG", b"SIGSIGTERM", b"TER", b"TERMX", b"15"] {
            assert_eq!(Signal::from_name(name), None);
        }
        assert_eq!((Signal::from_number(0), Signal::from_number(32)), (None, None));
    }

    #[test]
    fn only_known_bytes_are_commands() {
        let known = ORIGINAL_LETTERS.iter().chain(b"q12w");
        let mut expected: Vec<u8> = known.copied().collect();
        expected.sort_unstable();
        let commands: Vec<u8> = (0..=255).filter(|&b| Command::from_byte(b).is_some()).collect();
        assert_eq!(commands, expected);
    }
}
