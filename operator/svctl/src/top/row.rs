//! A service in the list.

use crate::selection::Target;
use crate::view::{Found, View};

/// A service.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) view: View,
    pub(crate) is_marked: bool,
    /// Whether the view is what was read, and not a place for it.
    pub(crate) is_read: bool,
    /// Whether it may have changed since.
    pub(crate) is_stale: bool,
}

impl Row {
    /// The place for a service that is not read yet.
    pub(super) fn new(target: Target) -> Self {
        let found = Found::Unknown("not read yet".to_owned());
        Self { view: View { target, found }, is_marked: false, is_read: false, is_stale: true }
    }
}
