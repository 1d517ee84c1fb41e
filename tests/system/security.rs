//! Attacks: what somebody can do who may write a part of what we work with, and is not to gain more
//! by it than that. `docs/security.md` says which, and names these tests.

use harness::{Process, Signal, Tree, process};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use system::{leaves, tree};

/// What a file says that nobody is to touch.
const TREASURE: &str = "the contents of a file that is none of your business\n";

/// A file of somebody else's.
struct Treasure {
    path: PathBuf,
    before: (u64, u32, i64, i64),
}

impl Treasure {
    fn new(tree: &Tree) -> Self {
        let path = tree.write("elsewhere/treasure", TREASURE);
        tree.chmod("elsewhere/treasure", 0o600);
        let before = Self::look(&path);
        Self { path, before }
    }

    fn look(path: &Path) -> (u64, u32, i64, i64) {
        let meta = fs::metadata(path).expect("it is there");
        (meta.ino(), meta.mode(), meta.mtime(), meta.mtime_nsec())
    }

    #[track_caller]
    fn is_untouched(&self, why: &str) {
        assert_eq!(fs::read_to_string(&self.path).expect("it can be read"), TREASURE, "{why}");
        assert_eq!(Self::look(&self.path), self.before, "{why}");
    }
}

/// Ends the service and its supervise in the orderly way.
#[track_caller]
fn finish(tree: &Tree, supervise: Process, dir: &str) {
    tree.svc("-dx", dir);
    leaves(supervise);
}

// Links in supervise/

#[test]
fn what_supervise_writes_anew_is_not_written_through_a_link() {
    let tree = tree();
    let treasure = Treasure::new(&tree);
    for name in ["status.new", "state.new", "death_tally.new"] {
        for hard in [false, true] {
            let dir = format!("{name}-{hard}");
            tree.idle_service(&dir);
            tree.write(format!("{dir}/max-death-tally"), "5\n");
            tree.mkdir(format!("{dir}/supervise"));
            let at = tree.path(&dir).join("supervise").join(name);
            if hard {
                fs::hard_link(&treasure.path, at).expect("make a link");
            } else {
                std::os::unix::fs::symlink(&treasure.path, at).expect("make a link");
            }
            let supervise = tree.supervise(&dir);
            let pid = tree.wait_up(&dir);
            // Restarted for the list of deaths.
            process::signal(pid, Signal::KILL);
            tree.wait_restart(&dir, pid);
            assert!(tree.path(&dir).join("supervise/death_tally").is_file());
            finish(&tree, supervise, &dir);
            treasure.is_untouched(&dir);
        }
    }
}

#[test]
fn a_status_that_cannot_be_replaced_is_not_written_through_a_link() {
    let tree = tree();
    let treasure = Treasure::new(&tree);
    for hard in [false, true] {
        let dir = format!("{hard}");
        tree.idle_service(&dir);
        // In the way of a new one, so that the old one is overwritten.
        tree.mkdir(format!("{dir}/supervise/status.new"));
        let at = tree.path(&dir).join("supervise/status");
        if hard {
            fs::hard_link(&treasure.path, at).expect("make a link");
        } else {
            std::os::unix::fs::symlink(&treasure.path, at).expect("make a link");
        }
        let supervise = tree.supervise(&dir);
        supervise.wait_stderr(&format!(
            "supervise: warning: unable to open {dir}/supervise/status.new: "
        ));
        tree.wait_lines(format!("{dir}/started"), 1);
        finish(&tree, supervise, &dir);
        treasure.is_untouched(&dir);
    }
}

#[test]
fn a_lock_that_is_a_link_makes_no_file_and_takes_no_lock() {
    let tree = tree();
    tree.idle_service("new");
    tree.mkdir("elsewhere");
    tree.symlink("../../elsewhere/nologin", "new/supervise/lock");
    tree.cmd("supervise").arg("new").run().is(
        111,
        "",
        "supervise: fatal: unable to acquire new/supervise/lock: symbolic link loop\n",
    );
    assert!(!tree.exists("elsewhere/nologin"));
    // Nor does a service that gets a lock of its own.
    tree.idle_service("own");
    tree.write("own/lock-fd", "7\n");
    tree.symlink("../../elsewhere/nologin", "own/supervise/service-lock");
    let supervise = tree.supervise("own");
    supervise
        .wait_stderr("supervise: fatal: unable to lock service-lock for own: symbolic link loop\n");
    assert!(!tree.exists("elsewhere/nologin"));
    finish(&tree, supervise, "own");
}

#[test]
fn a_control_or_ok_that_is_a_link_is_not_opened() {
    let tree = tree();
    tree.idle_service("victim");
    let victim = tree.supervise("victim");
    for name in ["control", "ok"] {
        let dir = format!("attacker-{name}");
        tree.idle_service(&dir);
        tree.symlink(format!("../../victim/supervise/{name}"), format!("{dir}/supervise/{name}"));
        let line = format!(
            "supervise: fatal: unable to read {dir}/supervise/{name}: symbolic link loop\n"
        );
        tree.cmd("supervise").arg(&dir).run().is(111, "", line);
        assert!(!tree.exists(format!("{dir}/started")));
    }
    finish(&tree, victim, "victim");
}
