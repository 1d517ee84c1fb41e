//! What the logger knows about the open `current`.

/// The open `current`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Current {
    /// Size in bytes.
    pub(super) size: u64,
    /// See [`crate::multilog::file_name::FileInfo::file_id`].
    pub(super) file_id: u64,
    /// An earlier logger was about to replace the file: it ends with a line, and is nearly full.
    pub(super) may_end: bool,
}
