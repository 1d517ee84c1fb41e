//! How services survive the death of their supervisor: locks and their holders, the process record,
//! adoption, and live upgrade.

pub(crate) mod adoption;
pub(crate) mod lock_holder;
pub(crate) mod log_pipe_offer;
mod proc_files;
pub(crate) mod process_record;
pub(crate) mod process_user;
pub(crate) mod signal_reader;
pub(crate) mod standing;
pub(crate) mod startup_lock;
pub(crate) mod status_process;
pub(crate) mod upgrade;
