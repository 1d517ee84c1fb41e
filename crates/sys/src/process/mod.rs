//! This process and its children: arguments, environment, fork, exec, wait, kill.

mod arguments;
mod exec;
mod group;
mod pid;
mod spawn;
mod wait;

pub(crate) use arguments::set_arguments;
pub use arguments::{
    arg, args, argument_c_str, env, environ, executed_path, only_argument_is, take_env,
    take_last_arg,
};
pub use exec::{Strings, exec, exit, set_name};
pub(crate) use group::rustix_signal;
pub use group::{
    group_of, in_foreground, kill, kill_group, lead_new_group, lead_new_session, session_of,
    signal_all, take_foreground,
};
pub(crate) use pid::rustix_pid;
pub use pid::{Pid, id, parent};
pub use spawn::{Forked, end_with_parent, fork, spawn, spawn_with_fds_up_to};
pub use wait::{
    ExitStatus, become_subreaper, has_children, is_child, is_subreaper, reap, resign_as_subreaper,
    wait_for,
};
