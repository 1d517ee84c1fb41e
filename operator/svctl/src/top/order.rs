//! Which services the list shows, and in which order.

use super::row::Row;
use daemontools_core::sorting::sort_by_key;
use servicedir::State;

/// Which services are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Filter {
    #[default]
    All,
    /// Those that failed, died, wait, are paused or are not supervised.
    Trouble,
    Up,
    NotUp,
    Marked,
}

impl Filter {
    /// The next one.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::All => Self::Trouble,
            Self::Trouble => Self::Up,
            Self::Up => Self::NotUp,
            Self::NotUp => Self::Marked,
            Self::Marked => Self::All,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Trouble => "trouble",
            Self::Up => "up",
            Self::NotUp => "not up",
            Self::Marked => "marked",
        }
    }

    pub(super) fn accepts(self, row: &Row) -> bool {
        let state = row.view.state();
        match self {
            Self::All => true,
            // What is not read yet may be fine.
            Self::Trouble => {
                row.is_read
                    && (row.view.is_failing()
                        || matches!(state, Some(State::Blocked | State::Paused)))
            }
            Self::Up => state.is_some_and(State::is_usable),
            Self::NotUp => row.is_read && !state.is_some_and(State::is_usable),
            Self::Marked => row.is_marked,
        }
    }
}

/// The order of the services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    #[default]
    Name,
    /// Trouble first.
    State,
    /// The last change first.
    Since,
}

impl Sort {
    /// The next one.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Name => Self::State,
            Self::State => Self::Since,
            Self::Since => Self::Name,
        }
    }

    /// Sorts indices of rows, which are in the order of the names. Equal rows stay in this order.
    pub(super) fn apply(self, rows: &[Row], shown: &mut [usize]) {
        let row = |at: usize| rows.get(at);
        match self {
            Self::Name => {}
            Self::State => {
                sort_by_key(shown, |&at| (row(at).map(|row| rank(row.view.word())), at));
            }
            Self::Since => sort_by_key(shown, |&at| {
                let snapshot = row(at).and_then(|row| row.view.snapshot());
                (std::cmp::Reverse(snapshot.map(|it| it.status.since)), at)
            }),
        }
    }
}

/// How far up a state is in the order of trouble.
pub(super) fn rank(word: &str) -> usize {
    const ORDER: [&str; 11] = [
        "failed",
        "unsupervised",
        "unknown",
        "waiting",
        "blocked",
        "paused",
        "stopping",
        "starting",
        "down",
        "up",
        "ready",
    ];
    ORDER.iter().position(|known| *known == word).unwrap_or(ORDER.len())
}
