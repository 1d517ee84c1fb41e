//! supervise: what it does better than the original.

mod control_fifo;
mod environment;
mod failures;
mod history;
mod memory;
mod restarts;
mod signals;

/// Whether this is svstat's line of a service that has just gone down. The age is a difference of
/// whole seconds, so it may already be 1.
fn is_just_down(said: &str, remark: &str) -> bool {
    [0, 1].iter().any(|age| said == format!("down {age} seconds, normally up{remark}"))
}
