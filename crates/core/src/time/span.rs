//! Spans of time with one offset from UTC.

/// The offset of local time from UTC in a span of time, from [`Span::from`] until before
/// [`Span::until`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first second, as Unix time.
    pub from: i64,
    /// The first second after the span.
    pub until: i64,
    /// The seconds to add to the Unix time.
    pub offset: i64,
    /// The seconds to add to the seconds field: 1 during a leap second, which is `23:59:60`.
    pub extra: i64,
}
