//! svscan as the init of a container.

mod bare_images;
mod command;
mod essential;
mod halt;
mod process_one;

use harness::{DEADLINE, Process, Tree, process, skip, wait_for};
use std::path::Path;

/// A wrapper that makes a program process 1 of a namespace with its own /proc.
type Wrapper = [&'static str; 6];

/// The wrapper; `None` where the system refuses that. Then a skip is reported.
fn container(tree: &Tree) -> Option<Wrapper> {
    let wrapper = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"];
    if tree.cmd("true").under(wrapper).run().code == Some(0) {
        return Some(wrapper);
    }
    skip("this test needs a namespace of process ids");
    None
}

/// The process 1 below the wrapper.
#[track_caller]
fn init_of(wrapper: &Process) -> u32 {
    wait_for("there is a process 1", DEADLINE, || {
        process::descendants(wrapper.pid())
            .into_iter()
            .find(|&pid| process::parent(pid) == Some(wrapper.pid()))
    })
}

/// Waits until the service of a container runs. Its process id means nothing out here.
#[track_caller]
fn wait_up_inside(tree: &Tree, dir: impl AsRef<Path>) {
    tree.wait_status(dir, "up", |status| status.pid() != 0);
}
