//! The commands to a supervise, and their bytes.

use daemontools_core::state_dir::control::Message;

/// A signal that supervise can send for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// HUP
    Hup,
    /// ALRM
    Alarm,
    /// INT
    Interrupt,
    /// TERM
    Term,
    /// KILL
    Kill,
    /// QUIT
    Quit,
    /// USR1
    User1,
    /// USR2
    User2,
    /// WINCH
    Winch,
    /// STOP, as [`Command::Pause`]
    Stop,
    /// CONT, as [`Command::Continue`]
    Continue,
}

impl Signal {
    /// Each signal with its name and its letter in the protocol of supervise.
    const TABLE: [(Self, &'static str, u8); 11] = [
        (Self::Hup, "HUP", b'h'),
        (Self::Alarm, "ALRM", b'a'),
        (Self::Interrupt, "INT", b'i'),
        (Self::Term, "TERM", b't'),
        (Self::Kill, "KILL", b'k'),
        (Self::Quit, "QUIT", b'q'),
        (Self::User1, "USR1", b'1'),
        (Self::User2, "USR2", b'2'),
        (Self::Winch, "WINCH", b'w'),
        (Self::Stop, "STOP", b'p'),
        (Self::Continue, "CONT", b'c'),
    ];

    /// The signal with this name, in upper or lower case, with or without `SIG`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        Self::TABLE.iter().find(|(_, name, _)| *name == bare).map(|(signal, ..)| *signal)
    }

    /// Its name, without `SIG`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|(it, ..)| *it == self).map_or("", |(_, name, _)| name)
    }

    /// The names of all of them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::TABLE.iter().map(|(_, name, _)| *name)
    }

    fn letter(self) -> u8 {
        Self::TABLE.iter().find(|(it, ..)| *it == self).map_or(b'c', |(.., letter)| *letter)
    }
}

/// A command to supervise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Start the service, and restart it when it exits.
    Up,
    /// Stop the service, and keep it down.
    Down,
    /// Start the service, and do not restart it.
    Once,
    /// Do not restart the service, and do not start it if it is down. Obeyed under the personality s6 only.
    AtMostOnce,
    /// supervise exits as soon as the service is down.
    Exit,
    /// Send STOP.
    Pause,
    /// Send CONT.
    Continue,
    /// Send a signal to the process. The wanted state does not change, so supervise restarts a service
    /// that ends and is wanted up.
    Signal(Signal),
    /// The same to the process group that the process leads. The original's supervise sends it to the
    /// process only.
    SignalGroup(Signal),
}

impl Command {
    /// The letter of svc for it.
    #[must_use]
    pub fn letter(self) -> char {
        self.byte().into()
    }

    fn byte(self) -> u8 {
        match self {
            Self::Up => b'u',
            Self::Down => b'd',
            Self::Once => b'o',
            Self::AtMostOnce => b'O',
            Self::Exit => b'x',
            Self::Pause => b'p',
            Self::Continue => b'c',
            Self::Signal(signal) | Self::SignalGroup(signal) => signal.letter(),
        }
    }

    /// The option letters of svc for it.
    fn add_to(self, message: &mut Message) {
        if let Self::SignalGroup(_) = self {
            message.add(b'+');
        }
        message.add(self.byte());
        if let Self::SignalGroup(_) = self {
            message.add(b'=');
        }
    }

    /// The message that svc sends for these commands.
    pub(crate) fn message(commands: &[Self]) -> Vec<u8> {
        let mut message = Message::default();
        for command in commands {
            command.add_to(&mut message);
        }
        message.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daemontools_core::state_dir::control;

    #[test]
    fn messages_are_those_of_svc() {
        assert_eq!(Command::message(&[]), b"");
        assert_eq!(Command::message(&[Command::Down, Command::Exit]), b"dx");
        assert_eq!(Command::message(&[Command::Signal(Signal::Quit)]), b"lq");
        assert_eq!(Command::message(&[Command::SignalGroup(Signal::Term)]), b"l+t=l");
    }

    #[test]
    fn signals_have_names() {
        for name in Signal::names() {
            let signal = Signal::from_name(&format!("sig{}", name.to_lowercase())).unwrap();
            assert_eq!(signal.name(), name);
        }
        assert_eq!(Signal::from_name("SEGV"), None);
    }

    #[test]
    fn letters_mean_for_supervise_what_they_mean_here() {
        for (_, name, letter) in Signal::TABLE {
            let signal = control::Signal::from_name(name.as_bytes()).unwrap();
            let expected = match signal {
                control::Signal::Stop => control::Command::Pause,
                control::Signal::Cont => control::Command::Continue,
                other => control::Command::Signal(other),
            };
            assert_eq!(control::Command::from_byte(letter), Some(expected), "{name}");
        }
    }
}
