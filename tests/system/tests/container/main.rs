//! svscan as the init of a container.

mod bare_images;
mod command;
mod essential;
mod halt;
mod process_one;

use harness::Tree;
use std::path::Path;

/// Waits until the service of a container runs. Its process id means nothing out here.
#[track_caller]
fn wait_up_inside(tree: &Tree, dir: impl AsRef<Path>) {
    tree.wait_status(dir, "up", |status| status.pid() != 0);
}
