//! Files by name, relative to an open directory or to [`HERE`].
//!
//! Every descriptor is close-on-exec unless its function says otherwise. No open waits for the
//! other side of a FIFO.

mod content;
mod names;
mod opening;
mod stat;

pub use content::{read_at, read_start, read_whole, sync, write_at, write_file};
pub(crate) use content::{start_of, whole_of};
pub use names::{
    chdir, chmod, current_dir, fchdir, fchmod, link, mkdir, mkfifo, readlink, rename, rmdir,
    set_umask, symlink, unlink,
};
pub use opening::{
    HERE, Opening, open, open_append, open_append_for_children, open_dir, open_read, open_trunc,
    open_write, reach_dir, reach_real_dir,
};
pub use stat::{
    DirId, FileStat, cached_identity, cached_identity_of_name, dir_id, exists, inode, is_cgroup,
    is_collected, is_executable, is_fifo, is_own, is_socket, last_change, open_inode, size,
    stat_file, stat_open,
};
