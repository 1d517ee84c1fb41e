//! Links in the place of files, in `supervise/` and in log directories.

use harness::{DEADLINE, Signal, Tree, account, is_root, process, skip, strace_works, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::{chown, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use system::{assert_exit_0, stop_supervise, tree};

/// The contents of the canary.
const CONTENTS: &str = "the contents of the canary\n";

/// A file that an attack must not change.
struct Canary {
    path: PathBuf,
    before: (u64, u32, i64, i64),
}

impl Canary {
    fn new(tree: &Tree) -> Self {
        Self::with_mode(tree, 0o600)
    }

    fn with_mode(tree: &Tree, mode: u32) -> Self {
        let path = tree.write("elsewhere/canary", CONTENTS);
        tree.chmod("elsewhere/canary", mode);
        let before = Self::fingerprint(&path);
        Self { path, before }
    }

    fn fingerprint(path: &Path) -> (u64, u32, i64, i64) {
        let meta = fs::metadata(path).expect("it is there");
        (meta.ino(), meta.mode(), meta.mtime(), meta.mtime_nsec())
    }

    /// Makes a symbolic or hard link to it.
    #[track_caller]
    fn link(&self, at: &Path, hard: bool) {
        let made = match hard {
            true => fs::hard_link(&self.path, at),
            false => std::os::unix::fs::symlink(&self.path, at),
        };
        made.expect("make a link");
    }

    #[track_caller]
    fn is_untouched(&self, why: &str) {
        assert_eq!(fs::read_to_string(&self.path).expect("it can be read"), CONTENTS, "{why}");
        assert_eq!(Self::fingerprint(&self.path), self.before, "{why}");
    }
}

// Links in supervise/

#[test]
fn files_that_supervise_replaces_are_not_written_through_a_link() {
    let tree = tree();
    let canary = Canary::new(&tree);
    for name in ["status.new", "state.new", "death_tally.new"] {
        for hard in [false, true] {
            let dir = format!("{name}-{hard}");
            tree.idle_service(&dir);
            tree.write(format!("{dir}/max-death-tally"), "5\n");
            tree.mkdir(format!("{dir}/supervise"));
            let at = tree.path(&dir).join("supervise").join(name);
            canary.link(&at, hard);
            let supervise = tree.supervise(&dir);
            let pid = tree.wait_up(&dir);
            // A restart writes `death_tally`.
            process::signal(pid, Signal::KILL);
            tree.wait_restart(&dir, pid);
            assert!(tree.path(&dir).join("supervise/death_tally").is_file());
            stop_supervise(&tree, supervise, &dir);
            canary.is_untouched(&dir);
        }
    }
}

#[test]
fn a_status_that_cannot_be_replaced_is_not_written_through_a_link() {
    let tree = tree();
    let canary = Canary::new(&tree);
    for hard in [false, true] {
        let dir = format!("{hard}");
        tree.idle_service(&dir);
        // `status.new` cannot be created, so supervise overwrites the status.
        tree.mkdir(format!("{dir}/supervise/status.new"));
        tree.chmod(format!("{dir}/supervise"), 0o777);
        let at = tree.path(&dir).join("supervise/status");
        canary.link(&at, hard);
        let supervise = tree.supervise(&dir);
        supervise.wait_stderr(&format!(
            "supervise: warning: unable to open {dir}/supervise/status.new: "
        ));
        tree.wait_lines(format!("{dir}/started"), 1);
        stop_supervise(&tree, supervise, &dir);
        canary.is_untouched(&dir);
    }
}

#[test]
fn a_history_that_is_a_link_is_not_written_through() {
    let tree = tree();
    let canary = Canary::new(&tree);
    for hard in [false, true] {
        let dir = format!("{hard}");
        tree.idle_service(&dir);
        tree.mkdir(format!("{dir}/supervise"));
        // A second name tells something only where other users can make one.
        tree.chmod(format!("{dir}/supervise"), 0o777);
        canary.link(&tree.path(&dir).join("supervise/history"), hard);
        let supervise = tree.supervise(&dir);
        tree.wait_up(&dir);
        wait_until("a new history is there", DEADLINE, || {
            tree.text(format!("{dir}/supervise/history")).contains("supervise=begins")
        });
        stop_supervise(&tree, supervise, &dir);
        canary.is_untouched(&dir);
    }
}

#[test]
fn a_lock_that_is_a_link_creates_no_file_and_locks_none() {
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
    // The same for the service's own lock.
    tree.idle_service("own");
    tree.write("own/lock-fd", "7\n");
    tree.symlink("../../elsewhere/nologin", "own/supervise/service-lock");
    let supervise = tree.supervise("own");
    supervise
        .wait_stderr("supervise: fatal: unable to lock service-lock for own: symbolic link loop\n");
    assert!(!tree.exists("elsewhere/nologin"));
    stop_supervise(&tree, supervise, "own");
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
    stop_supervise(&tree, victim, "victim");
}

#[test]
fn a_record_that_is_a_link_is_not_written_through() {
    let tree = tree();
    let canary = Canary::new(&tree);
    for hard in [false, true] {
        let dir = format!("{hard}");
        tree.idle_service(&dir);
        tree.mkdir(format!("{dir}/supervise"));
        tree.chmod(format!("{dir}/supervise"), 0o777);
        let at = tree.path(&dir).join("supervise/process");
        canary.link(&at, hard);
        let supervise = tree.supervise(&dir);
        tree.wait_up(&dir);
        supervise.wait_stderr(&format!("ignoring {dir}/supervise/process: "));
        canary.is_untouched(&dir);
        // supervise has created a record of its own.
        assert!(tree.text(format!("{dir}/supervise/process")).starts_with("leaving=no"));
        stop_supervise(&tree, supervise, &dir);
        canary.is_untouched(&dir);
    }
}

#[test]
fn a_state_directory_swapped_for_a_link_is_not_followed() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.rename("a/supervise", "a/before");
    tree.mkdir("elsewhere");
    tree.symlink("../elsewhere", "a/supervise");
    process::signal(pid, Signal::KILL);
    tree.wait_lines("a/started", 2);
    supervise.signal(Signal::TERM);
    assert_exit_0(supervise);
    assert_eq!(fs::read_dir(tree.path("elsewhere")).expect("it is there").count(), 0);
    assert_eq!(tree.read("a/before/status").len(), 18);
}

#[test]
fn a_control_swapped_between_its_two_opens_is_refused() {
    let tree = tree();
    tree.idle_service("a");
    tree.fifo("a/supervise/control", 0o600);
    let control = tree.path("a/supervise/control");
    let slow = ["strace", "-qq", "-o", "calls", "-P", "control"];
    let slow = [&slow[..], &["-e", "inject=openat:delay_enter=4000000:when=2"]].concat();
    if !strace_works(&tree) {
        return;
    }
    let tracer = tree.cmd("supervise").arg("a").under(&slow).start();
    wait_until("it is opened for reading", DEADLINE, || {
        process::descendants(tracer.pid()).iter().any(|&pid| process::has_open(pid, &control))
    });
    // With a reader, the FIFO can be opened for writing too.
    tree.fifo("other", 0o600);
    let _reader = tree.open_fifo("other");
    tree.rename("other", "a/supervise/control");
    let output = tracer.wait();
    let line = "supervise: fatal: unable to use a/supervise/control: it was replaced\n";
    output.is(111, "", line);
    assert!(!tree.exists("a/started"));
}

#[test]
fn a_user_with_control_gains_nothing_else() {
    if !is_root() {
        return skip("only root can give files away");
    }
    let tree = tree();
    let (_, uid, gid) = account();
    let canary = Canary::new(&tree);
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.chmod("a/supervise", 0o755);
    for name in ["control", "ok", "status"] {
        chown(tree.path("a/supervise").join(name), Some(uid), Some(gid)).expect("give it away");
    }
    let uid = uid.to_string();
    let user = ["setpriv", "--reuid", &uid, "--clear-groups", "--"];
    tree.cmd("svc").args(["-t", "a"]).under(user).run().is(0, "", "");
    tree.wait_restart("a", pid);
    // The status belongs to us again, and the user cannot replace it.
    let status = tree.path("a/supervise/status");
    assert_eq!(fs::metadata(&status).expect("it is there").uid(), 0);
    for attack in [
        "ln -sf ../../elsewhere/canary a/supervise/status.new",
        "mv a/supervise/control a/supervise/gone",
        "echo >a/supervise/process",
        "echo >a/supervise/lock",
    ] {
        assert_ne!(tree.sh(attack).under(user).run().code, Some(0), "{attack}");
    }
    stop_supervise(&tree, supervise, "a");
    canary.is_untouched("");
}

// Links in the way of clients

#[test]
fn a_link_does_not_lead_clients_to_another_service() {
    let tree = tree();
    tree.idle_service("victim");
    let supervise = tree.supervise("victim");
    let pid = tree.wait_up("victim");
    tree.idle_service("a");
    tree.mkdir("a/supervise");
    for name in ["control", "ok", "status"] {
        tree.symlink(format!("../../victim/supervise/{name}"), format!("a/supervise/{name}"));
    }
    let refused = "svc: warning: unable to control a: symbolic link loop\n";
    tree.cmd("svc").args(["-dx", "a"]).run().is(0, "", refused);
    tree.cmd("svc").args(["-dx", "-W", "down", "-T", "10", "a"]).run().is(111, "", refused);
    let line = "a: unable to open supervise/ok: symbolic link loop\n";
    tree.cmd("svstat").arg("a").run().is(0, line, "");
    let line = "svok: fatal: unable to open a/supervise/ok: symbolic link loop\n";
    tree.cmd("svok").arg("a").run().is(111, "", line);
    let line = "svup: fatal: unable to open a/supervise/ok: symbolic link loop\n";
    tree.cmd("svup").arg("a").run().is(111, "", line);
    // The same for the status, beside a FIFO that really is a FIFO.
    tree.remove("a/supervise/ok");
    tree.fifo("a/supervise/ok", 0o600);
    let _reader = tree.open_fifo("a/supervise/ok");
    let line = "a: unable to open supervise/status: symbolic link loop\n";
    tree.cmd("svstat").arg("a").run().is(0, line, "");
    let line = "svup: fatal: unable to open a/supervise/status: symbolic link loop\n";
    tree.cmd("svup").arg("a").run().is(111, "", line);
    // A service that needs this one does not start either.
    tree.idle_service("b");
    tree.write("b/needs", "a\n");
    let waiting = tree.supervise("b");
    tree.wait_text("b/supervise/state", "phase=blocked");
    assert_eq!(tree.wait_up("victim"), pid);
    stop_supervise(&tree, waiting, "b");
    assert!(!tree.exists("b/started"));
    stop_supervise(&tree, supervise, "victim");
}

// Log directories

/// Runs multilog in a log directory that others may write, where a symbolic or hard link to the
/// canary is in the place of a file. The canary must stay the same. Tries a `current` that is
/// complete and one that is not, and a canary that looks complete or not.
#[track_caller]
fn run_multilog_with_link(script: &[&str], name: &str) {
    let input = "a line of the attacker's that is long enough\n".repeat(200);
    for case in 0..8 {
        let [hard, complete, executable] = [case & 1 != 0, case & 2 != 0, case & 4 != 0];
        let tree = tree();
        let canary = Canary::with_mode(&tree, if executable { 0o700 } else { 0o600 });
        tree.mkdir("log");
        tree.chmod("log", 0o777);
        if name != "current" {
            tree.write("log/current", "");
            tree.chmod("log/current", if complete { 0o744 } else { 0o644 });
        }
        let at = tree.path("log").join(name);
        canary.link(&at, hard);
        // Only input from a pipe has a batch mark.
        let logger = tree.sh("cat | multilog \"$@\"").arg("sh").args(script);
        let mut logger = logger.stdin(input.as_str()).start();
        // multilog may go on, or pause until the link is gone.
        wait_until("it has ended, or says why not", DEADLINE, || {
            logger.has_ended() || logger.stderr().contains("pausing")
        });
        logger.kill();
        canary.is_untouched(&format!("{name} {case}"));
    }
}

#[test]
fn a_log_is_not_written_through_a_link_of_another_user() {
    for name in [".multilog-batch", "current", "lock"] {
        run_multilog_with_link(&["./log"], name);
    }
}

#[test]
fn a_processors_files_are_not_written_through_a_link_of_another_user() {
    for name in ["previous", "processed", "state", "newstate"] {
        run_multilog_with_link(&["s4096", "!cat; cat <&4 >&5", "./log"], name);
    }
}

#[test]
fn a_processor_does_not_read_through_a_link_of_another_user() {
    let tree = tree();
    let canary = Canary::new(&tree);
    tree.mkdir("log");
    tree.chmod("log", 0o777);
    // `current` is complete, so multilog uses the state of the last processor.
    tree.write("log/current", "");
    tree.chmod("log/current", 0o744);
    tree.symlink(&canary.path, "log/state");
    let input = "a line of the attacker's that is long enough\n".repeat(200);
    let script = ["s4096", "!cat; cat <&4 >&5", "./log"];
    let mut logger = tree.cmd("multilog").args(script).stdin(input).start();
    wait_until("it has ended, or says why not", DEADLINE, || {
        logger.has_ended() || logger.stderr().contains("pausing")
    });
    logger.kill();
    for entry in fs::read_dir(tree.path("log")).expect("it is there").flatten() {
        // The link itself may stay.
        if !entry.path().is_symlink() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            assert!(!text.contains(CONTENTS), "{entry:?}");
        }
    }
    canary.is_untouched("read");
}

#[test]
fn links_in_a_directory_of_ones_own_are_followed() {
    let tree = tree();
    tree.mkdir("log");
    tree.write("elsewhere/lock", "");
    tree.symlink("../elsewhere/lock", "log/lock");
    tree.cmd("multilog").arg("./log").stdin("a\n").run().is(0, "", "");
    assert_eq!(tree.text("log/current"), "a\n");
}

#[test]
fn a_socket_is_not_replaced_through_a_link_of_another_user() {
    if !is_root() {
        return skip("only root can be another user");
    }
    let tree = tree();
    let (_, uid, gid) = account();
    tree.mkdir("other");
    let victim = UnixListener::bind(tree.path("other/x.sock")).expect("bind it");
    let home = tree.mkdir("home");
    tree.symlink("../other", "home/run");
    chown(&home, Some(uid), Some(gid)).expect("give it away");
    lchown(home.join("run"), Some(uid), Some(gid)).expect("give it away");
    let inode = || fs::metadata(tree.path("other/x.sock")).expect("it is there").ino();
    let before = inode();
    tree.idle_service("a");
    tree.write("a/listen", "unix ../home/run/x.sock\n");
    let supervise = tree.supervise("a");
    let line = "supervise: warning: not starting a: unable to listen on unix ../home/run/x.sock: \
                symbolic link loop\n";
    assert_eq!(supervise.wait_stderr("not starting"), line);
    assert_eq!(inode(), before);
    drop(victim);
    stop_supervise(&tree, supervise, "a");
    // Our own links count, and an earlier socket is replaced.
    fs::remove_file(home.join("run")).expect("remove it");
    tree.symlink("other", "own");
    tree.write("a/listen", "unix ../own/x.sock\n");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    UnixStream::connect(tree.path("other/x.sock")).expect("supervise listens");
    assert_eq!(supervise.stderr(), "");
    stop_supervise(&tree, supervise, "a");
}
