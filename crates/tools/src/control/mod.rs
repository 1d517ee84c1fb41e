//! The programs that control services and show their state.

mod appearance;
mod halt;
pub(crate) mod svc;
pub(crate) mod svok;
pub(crate) mod svstat;
pub(crate) mod svup;
pub(crate) mod wait;
