//! The control bytes that svc writes to `supervise/control` and supervise reads.

/// A signal of Linux. Signals without a name here are [`Signal::Other`].
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
    /// Sent to a service that misses its watchdog deadline: it ends with a core file.
    Abrt,
    /// The number of another signal; never that of a signal with a name here.
    Other(u8),
}

/// The names of the signals from 1 to 31.
const SIGNAL_NAMES: [&[u8]; 31] = [
    b"HUP", b"INT", b"QUIT", b"ILL", b"TRAP", b"ABRT", b"BUS", b"FPE", b"KILL", b"USR1", b"SEGV",
    b"USR2", b"PIPE", b"ALRM", b"TERM", b"STKFLT", b"CHLD", b"CONT", b"STOP", b"TSTP", b"TTIN",
    b"TTOU", b"URG", b"XCPU", b"XFSZ", b"VTALRM", b"PROF", b"WINCH", b"IO", b"PWR", b"SYS",
];

impl Signal {
    /// The number of the signal in Linux, on x86-64 and aarch64.
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

    /// The signal with this number; `None` for 0 and for real-time signals.
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

    /// The name of the signal, without `SIG`.
    #[must_use]
    pub fn name(self) -> &'static [u8] {
        let index = usize::from(self.number()).checked_sub(1);
        index.and_then(|index| SIGNAL_NAMES.get(index)).copied().unwrap_or(b"?")
    }

    /// The signal with this name, in upper or lower case, with or without `SIG`.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let name = match name.split_at_checked(3) {
            Some((sig, rest)) if sig.eq_ignore_ascii_case(b"SIG") => rest,
            _ => name,
        };
        let index = SIGNAL_NAMES.iter().position(|n| n.eq_ignore_ascii_case(name))?;
        Self::from_number(u8::try_from(index + 1).ok()?)
    }
}

/// The processes that get a signal, from few to many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The process alone.
    #[default]
    Process,
    /// The process group that the process leads; no process if it leads none.
    Group,
    /// The process and all its descendants.
    Tree,
}

/// A command to supervise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `u`: start the service, and restart it when it exits.
    Up,
    /// `d`: stop the service, and keep it down.
    Down,
    /// `o`: start the service, and do not restart it.
    Once,
    /// s6's `O`: do not restart the service, and do not start it if it is down.
    AtMostOnce,
    /// `x`: exit as soon as the service is down.
    Exit,
    /// `p`: send STOP.
    Pause,
    /// `c`: send CONT.
    Continue,
    /// The other letters: send this signal.
    Signal(Signal),
}

impl Command {
    /// The command of a byte; `None` for unknown bytes, and for those that have another meaning for a
    /// [`Decoder`].
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'u' => Self::Up,
            b'd' => Self::Down,
            b'o' => Self::Once,
            b'O' => Self::AtMostOnce,
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
            b'b' => Self::Signal(Signal::Abrt),
            _ => return None,
        })
    }

    /// The byte of the command; `?` for a signal that has none.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Up => b'u',
            Self::Down => b'd',
            Self::Once => b'o',
            Self::AtMostOnce => b'O',
            Self::Exit => b'x',
            Self::Pause | Self::Signal(Signal::Stop) => b'p',
            Self::Continue | Self::Signal(Signal::Cont) => b'c',
            Self::Signal(Signal::Hup) => b'h',
            Self::Signal(Signal::Alrm) => b'a',
            Self::Signal(Signal::Int) => b'i',
            Self::Signal(Signal::Term) => b't',
            Self::Signal(Signal::Kill) => b'k',
            Self::Signal(Signal::Quit) => b'q',
            Self::Signal(Signal::Usr1) => b'1',
            Self::Signal(Signal::Usr2) => b'2',
            Self::Signal(Signal::Winch) => b'w',
            Self::Signal(Signal::Abrt) => b'b',
            Self::Signal(Signal::Other(_)) => b'?',
        }
    }
}

/// The process that a command is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The service.
    #[default]
    Main,
    /// encore's log script of the service.
    Log,
}

/// The letters that supervise obeys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Letters {
    /// Those of the original and of encore.
    #[default]
    Common,
    /// Those of s6 as well: `O`, `b` for ABRT, `y` for WINCH, and `r`, which sends this stop signal and
    /// lets the service start again. Its `D` `U` `Q` also change a file, which s6-svc leaves to supervise:
    /// they are skipped.
    S6(Signal),
}

/// A decoder of control bytes: commands, and encore's `l` `L` `=` `+`, which choose the target and
/// the scope of the commands after them. Unknown bytes are skipped.
///
/// Every message has its own decoder, so the choice of one svc ends with its message. A message is
/// the content of one read, and of the following reads if it filled the buffer.
#[derive(Debug, Default)]
pub struct Decoder {
    target: Target,
    scope: Scope,
}

impl Decoder {
    /// Decodes a byte; `None` unless it is a command of these letters.
    pub fn feed(&mut self, byte: u8, letters: Letters) -> Option<(Target, Command, Scope)> {
        let command = match (byte, letters) {
            (b'l', _) => {
                *self = Self::default();
                None
            }
            (b'L', _) => {
                *self = Self { target: Target::Log, scope: Scope::Process };
                None
            }
            (b'=', _) => {
                self.scope = Scope::Process;
                None
            }
            (b'+', _) => {
                self.scope = Scope::Group;
                None
            }
            (b'O' | b'b', Letters::Common) => None,
            (b'y', Letters::S6(_)) => Some(Command::Signal(Signal::Winch)),
            (b'r', Letters::S6(stop)) => Some(Command::Signal(stop)),
            _ => Command::from_byte(byte),
        };
        command.map(|command| (self.target, command, self.scope))
    }
}

/// The command letters of the original, in the order of its usage message.
pub const ORIGINAL_LETTERS: &[u8] = b"udopchaitkx";

/// The letters that encore adds.
pub const ENCORE_LETTERS: &[u8] = b"q12wlL=+";

/// The message that svc sends for its option letters.
///
/// The letters of the original are sent once each, in the order of their first appearance. encore's
/// `l` and `L` begin a new segment, in which letters may repeat. A message with letters of encore
/// begins with `l`, which ends the choice of an earlier writer. If it chooses a target or a scope it
/// ends with `l`, for the writer after it.
#[derive(Debug, Default)]
pub struct Message {
    bytes: alloc::vec::Vec<u8>,
    /// The start of the current segment.
    segment: usize,
    /// Whether there is a letter of encore.
    encore: bool,
    /// Whether a target or a scope was chosen.
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

    /// The bytes to send; empty without a letter.
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
        bytes.iter().filter_map(|&b| decoder.feed(b, Letters::Common)).collect()
    }

    #[test]
    fn letters_of_s6_count_only_there() {
        let bytes = b"OrbyDUQo";
        let mut decoder = Decoder::default();
        let letters = Letters::S6(Signal::Int);
        let commands: Vec<Command> =
            bytes.iter().filter_map(|&b| decoder.feed(b, letters)).map(|(_, it, _)| it).collect();
        let signal = Command::Signal;
        assert_eq!(
            commands,
            [
                Command::AtMostOnce,
                signal(Signal::Int),
                signal(Signal::Abrt),
                signal(Signal::Winch),
                Command::Once
            ]
        );
        assert_eq!(decoded(bytes), [(Target::Main, Command::Once, Scope::Process)]);
    }

    #[test]
    fn letters_of_the_original_are_sent_once() {
        assert_eq!(message(b""), b"");
        assert_eq!(message(b"tdutdc"), b"tduc");
        assert_eq!(message(b"dud"), b"du");
    }

    #[test]
    fn letters_of_encore_are_framed() {
        assert_eq!(message(b"q"), b"lq");
        assert_eq!(message(b"+dx"), b"l+dxl");
        assert_eq!(message(b"dLdl"), b"ldLdll");
    }

    #[test]
    fn targets_and_scopes_hold_until_the_next_choice() {
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
            assert_eq!((Signal::from_name(name), signal.name()), (Some(signal), name));
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
        let known = ORIGINAL_LETTERS.iter().chain(b"q12wOb").copied();
        let mut expected: Vec<u8> = known.clone().collect();
        expected.sort_unstable();
        let commands: Vec<u8> = (0..=255).filter(|&b| Command::from_byte(b).is_some()).collect();
        assert_eq!(commands, expected);
        for byte in known {
            assert_eq!(Command::from_byte(byte).map(Command::byte), Some(byte));
        }
    }
}
