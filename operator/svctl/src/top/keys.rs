//! What each key does. The help screen and the last line of the screen come from this table.

use super::input::Key;
use servicedir::{Command, Signal};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// So many lines down, or up if negative.
    Move(isize),
    /// So many screens down, or up if negative.
    Page(isize),
    First,
    Last,
    Open,
    Back,
    Quit,
    Search,
    Next,
    Previous,
    Filter,
    Sort,
    Mark,
    MarkAll,
    Logs,
    Why,
    Doctor,
    Tree,
    Help,
    Unlock,
    Pause,
    Redraw,
    Suspend,
    Control(Control),
    /// To the service in this row of the screen.
    Select(u16),
    /// Whether the terminal reports the mouse.
    Mouse,
    /// A key that controls, while the screen is read-only.
    Locked,
}

/// The lines of a notch of the wheel.
const NOTCH: isize = 3;

/// A command to services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Up,
    Down,
    Restart,
    Hup,
    Once,
}

impl Control {
    const fn of_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'u' => Self::Up,
            'd' => Self::Down,
            'r' => Self::Restart,
            'h' => Self::Hup,
            'o' => Self::Once,
            _ => return None,
        })
    }

    /// The commands for supervise.
    pub(crate) const fn commands(self) -> &'static [Command] {
        match self {
            Self::Up => &[Command::Up],
            Self::Down => &[Command::Down],
            Self::Restart => &[Command::Down, Command::Up],
            Self::Hup => &[Command::Signal(Signal::Hup)],
            Self::Once => &[Command::Once],
        }
    }

    /// What it does: `Stop`, to be followed by the names.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Up => "Start",
            Self::Down => "Stop",
            Self::Restart => "Restart",
            Self::Hup => "Send HUP, which ends many programs, to",
            Self::Once => "Run once",
        }
    }

    /// What was sent.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Restart => "restart",
            Self::Hup => "HUP",
            Self::Once => "once",
        }
    }

    /// Whether it can end a running process, so that it is asked for twice.
    pub(crate) const fn is_confirmed(self) -> bool {
        matches!(self, Self::Down | Self::Restart | Self::Hup)
    }
}

/// The action of a key.
pub(crate) fn action(key: Key, is_unlocked: bool) -> Option<Action> {
    if let Key::Char(letter) = key
        && let Some(control) = Control::of_letter(letter)
    {
        if is_unlocked {
            return Some(Action::Control(control));
        }
        if letter != 'd' {
            return Some(Action::Locked);
        }
    }
    Some(match key {
        Key::Char('j') | Key::Down => Action::Move(1),
        Key::Char('k') | Key::Up => Action::Move(-1),
        Key::PageDown | Key::Ctrl('f') => Action::Page(1),
        Key::PageUp | Key::Ctrl('b') => Action::Page(-1),
        Key::Char('g') | Key::Home => Action::First,
        Key::Char('G') | Key::End => Action::Last,
        Key::Enter => Action::Open,
        Key::Esc | Key::Backspace => Action::Back,
        Key::Char('q') => Action::Quit,
        Key::Char('/') => Action::Search,
        Key::Char('n') => Action::Next,
        Key::Char('N') => Action::Previous,
        Key::Char('f') => Action::Filter,
        Key::Char('s') => Action::Sort,
        Key::Char(' ') => Action::Mark,
        Key::Char('*') => Action::MarkAll,
        Key::Char('l') => Action::Logs,
        Key::Char('w') => Action::Why,
        Key::Char('d' | 'D') => Action::Doctor,
        Key::Char('t' | 'T') => Action::Tree,
        Key::Char('?') => Action::Help,
        Key::Char('!') => Action::Unlock,
        Key::Char('p') => Action::Pause,
        Key::Char('m') => Action::Mouse,
        Key::Wheel(notches) => Action::Move(notches.saturating_mul(NOTCH)),
        Key::Click(row) => Action::Select(row),
        Key::Ctrl('l') => Action::Redraw,
        Key::Ctrl('z') => Action::Suspend,
        _ => return None,
    })
}

/// The keys and what they do, for the help screen.
pub(crate) const HELP: &[(&str, &str)] = &[
    ("j k, arrows", "one line down, up"),
    ("PgDn PgUp", "one screen down, up; Ctrl-F and Ctrl-B too"),
    ("g G", "the first, the last line"),
    ("Enter", "everything about the service"),
    ("Esc", "back; in the list: no search, then no filter"),
    ("q", "back; in the list: end. Ctrl-C ends everywhere"),
    ("/", "search; in the list: show only names with this text"),
    ("n N", "the next, the previous place of the search"),
    ("f", "show all, trouble, up, not up, marked"),
    ("s", "sort by name, state, last change"),
    ("Space", "mark the service; * marks all shown, or none"),
    ("l", "the logs of the marked services, or of this one"),
    ("w", "why the service is in its state, and what to do"),
    ("d D", "doctor (only D while services can be controlled)"),
    ("t T", "the tree of processes"),
    ("p m", "pause: the screen stands still; scroll and select by mouse"),
    ("Ctrl-L", "read and draw again"),
    ("Ctrl-Z", "suspend"),
    ("!", "control services, or only look again"),
    ("u o", "start; run once (the marked, or this one)"),
    ("d r h", "stop; restart; send HUP. Each asks first"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_control_only_when_unlocked() {
        assert_eq!(action(Key::Char('d'), false), Some(Action::Doctor));
        assert_eq!(action(Key::Char('d'), true), Some(Action::Control(Control::Down)));
        assert_eq!(action(Key::Char('D'), true), Some(Action::Doctor));
        for letter in ['u', 'r', 'h', 'o'] {
            assert_eq!(action(Key::Char(letter), false), Some(Action::Locked), "{letter}");
            let unlocked = action(Key::Char(letter), true);
            assert!(matches!(unlocked, Some(Action::Control(_))), "{letter}");
        }
    }

    #[test]
    fn what_can_end_a_process_asks_first() {
        for letter in ['u', 'd', 'r', 'h', 'o'] {
            let control = Control::of_letter(letter).expect("a letter of the table");
            let asks = !matches!(control, Control::Up | Control::Once);
            assert_eq!(control.is_confirmed(), asks, "{letter}");
        }
    }
}
