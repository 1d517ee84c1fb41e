//! Attacks: what somebody can do who may write a part of what we work with, and is not to gain more
//! by it than that. `docs/security.md` says which, and names these tests and others.

use harness::{DEADLINE, Process, Signal, Tree, account, is_root, process, skip, wait_until};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use system::{count, finish, leaves, tree, workspace};

/// What a file says that nobody is to touch.
const TREASURE: &str = "the contents of a file that is none of your business\n";

/// A file of somebody else's.
struct Treasure {
    path: PathBuf,
    before: (u64, u32, i64, i64),
}

impl Treasure {
    fn new(tree: &Tree) -> Self {
        Self::with_mode(tree, 0o600)
    }

    fn with_mode(tree: &Tree, mode: u32) -> Self {
        let path = tree.write("elsewhere/treasure", TREASURE);
        tree.chmod("elsewhere/treasure", mode);
        let before = Self::look(&path);
        Self { path, before }
    }

    fn look(path: &Path) -> (u64, u32, i64, i64) {
        let meta = fs::metadata(path).expect("it is there");
        (meta.ino(), meta.mode(), meta.mtime(), meta.mtime_nsec())
    }

    /// Gives it another name, or makes a link to it.
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
        assert_eq!(fs::read_to_string(&self.path).expect("it can be read"), TREASURE, "{why}");
        assert_eq!(Self::look(&self.path), self.before, "{why}");
    }
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
            treasure.link(&at, hard);
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
        tree.chmod(format!("{dir}/supervise"), 0o777);
        let at = tree.path(&dir).join("supervise/status");
        treasure.link(&at, hard);
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

#[test]
fn a_record_that_is_a_link_is_not_written_through() {
    let tree = tree();
    let treasure = Treasure::new(&tree);
    for hard in [false, true] {
        let dir = format!("{hard}");
        tree.idle_service(&dir);
        tree.mkdir(format!("{dir}/supervise"));
        tree.chmod(format!("{dir}/supervise"), 0o777);
        let at = tree.path(&dir).join("supervise/process");
        treasure.link(&at, hard);
        let supervise = tree.supervise(&dir);
        tree.wait_up(&dir);
        supervise.wait_stderr(&format!("ignoring {dir}/supervise/process: "));
        treasure.is_untouched(&dir);
        // One of its own is there instead.
        assert!(tree.text(format!("{dir}/supervise/process")).starts_with("leaving=no"));
        finish(&tree, supervise, &dir);
        treasure.is_untouched(&dir);
    }
}

#[test]
fn a_state_directory_that_is_swapped_for_a_link_leads_nowhere_else() {
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
    leaves(supervise);
    assert_eq!(fs::read_dir(tree.path("elsewhere")).expect("it is there").count(), 0);
    assert_eq!(tree.read("a/before/status").len(), 18);
}

#[test]
fn a_control_that_is_swapped_while_it_is_opened_is_noticed() {
    let tree = tree();
    tree.idle_service("a");
    tree.fifo("a/supervise/control", 0o600);
    let control = tree.path("a/supervise/control");
    let slow = ["strace", "-qq", "-o", "calls", "-P", "control"];
    let slow = [&slow[..], &["-e", "inject=openat:delay_enter=1000000:when=2"]].concat();
    if tree.cmd("true").under(&slow).run().code != Some(0) {
        return skip("strace is needed to come in between, and does not work here");
    }
    let tracer = tree.cmd("supervise").arg("a").under(&slow).start();
    wait_until("it is opened for reading", DEADLINE, || {
        process::descendants(tracer.pid()).iter().any(|&pid| process::has_open(pid, &control))
    });
    // With a reader, so that it can be opened for writing as well.
    tree.fifo("other", 0o600);
    let _reader = tree.open_fifo("other");
    tree.rename("other", "a/supervise/control");
    let output = tracer.wait();
    let line = "supervise: fatal: unable to use a/supervise/control: it was replaced\n";
    output.is(111, "", line);
    assert!(!tree.exists("a/started"));
}

// FIFOs and files without an end

/// The option files, and what else may be in a service directory.
const NAMES: [&str; 24] = [
    "down",
    "start",
    "run",
    "stop",
    "finish",
    "check",
    "notify",
    "log",
    "control",
    "personality",
    "notification-fd",
    "notify-socket",
    "check-interval",
    "timeout-ready",
    "timeout-watchdog",
    "restart-delay",
    "restart-limit",
    "down-signal",
    "timeout-kill",
    "stop-scope",
    "background",
    "needs",
    "listen",
    "resource-limits",
];

#[test]
fn a_fifo_in_the_place_of_any_file_keeps_nobody_waiting() {
    let tree = tree();
    for name in NAMES {
        let dir = format!("s/{name}");
        if name != "run" {
            tree.idle_service(&dir);
        }
        tree.fifo(format!("{dir}/{name}"), 0o755);
    }
    for name in ["status", "state", "death_tally", "status.new", "process"] {
        tree.idle_service(format!("s/{name}"));
        tree.write(format!("s/{name}/max-death-tally"), "5\n");
        tree.fifo(format!("s/{name}/supervise/{name}"), 0o600);
    }
    let svscan = tree.cmd("svscan").arg("s").start();
    for entry in fs::read_dir(tree.path("s")).expect("it is there").flatten() {
        let dir = Path::new("s").join(entry.file_name());
        tree.wait_supervised(&dir);
        // It is up, or has said why not, and obeys.
        tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000"]).arg(&dir).run().is(0, "", "");
        assert!(tree.svstat(&dir).starts_with("down "), "{}", dir.display());
    }
    svscan.signal(Signal::TERM);
    leaves(svscan);
    // As a lock it has no reader.
    tree.idle_service("a");
    tree.fifo("a/supervise/lock", 0o600);
    let line = "supervise: fatal: unable to acquire a/supervise/lock: device not configured\n";
    tree.cmd("supervise").arg("a").run().is(111, "", line);
    // Nor does a logger wait for one.
    tree.fifo("log/current", 0o744);
    let line = "multilog: fatal: unable to append to ./log/current: device not configured\n";
    tree.cmd("multilog").arg("./log").stdin("a\n").run().is(111, "", line);
}

#[test]
fn an_option_file_of_any_size_takes_no_memory() {
    let tree = tree();
    for name in &NAMES[9..] {
        let dir = format!("s/{name}");
        tree.idle_service(&dir);
        let file = fs::File::create(tree.path(&dir).join(name)).expect("create");
        // A hole, which takes no room on disk.
        file.set_len(1 << 36).expect("make it long");
        let supervise = tree.cmd("supervise").arg(&dir).under(["prlimit", "--data=8388608"]);
        let supervise = supervise.start();
        tree.wait_supervised(&dir);
        tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000", &dir]).run().is(0, "", "");
        if *name != "notify-socket" {
            supervise.wait_stderr(&format!("{dir}/unable to read {name}: "));
        }
        finish(&tree, supervise, &dir);
    }
}

#[test]
fn who_is_given_control_is_given_nothing_else() {
    if !is_root() {
        return skip("only root can give files away");
    }
    let tree = tree();
    let (_, uid, gid) = account();
    let treasure = Treasure::new(&tree);
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
    // The status is ours again, and nothing can be put in its place.
    let status = tree.path("a/supervise/status");
    assert_eq!(fs::metadata(&status).expect("it is there").uid(), 0);
    for attack in [
        "ln -sf ../../elsewhere/treasure a/supervise/status.new",
        "mv a/supervise/control a/supervise/gone",
        "echo >a/supervise/process",
        "echo >a/supervise/lock",
    ] {
        assert_ne!(tree.sh(attack).under(user).run().code, Some(0), "{attack}");
    }
    finish(&tree, supervise, "a");
    treasure.is_untouched("");
}

// Forged records

/// Somebody else's process, which nobody is to signal.
fn victim(tree: &Tree) -> Process {
    let victim = tree.cmd("sleep").arg("1000").start();
    process::wait_asleep(victim.pid(), "sleep");
    victim
}

/// The text of a record that is right in everything, but names another process.
fn forged_record(tree: &Tree, dir: &str, victim: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{victim}/stat")).expect("it is there");
    let start = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19));
    let start = start.expect("a field").to_owned();
    let lines = tree.text(Path::new(dir).join("supervise/process"));
    let lines = lines.split_inclusive('\n').map(|line| match line.split_once('=') {
        Some(("pid", _)) => format!("pid={victim}\n"),
        Some(("start", _)) => format!("start={start}\n"),
        _ => line.to_owned(),
    });
    lines.collect()
}

/// A service whose supervise is killed, and its process too: what is left is its directory, into
/// which a record is put that names the victim. `prepare` gets the path of the state directory and
/// the forged record.
#[track_caller]
fn forge(prepare: impl FnOnce(&Path, &str)) {
    let tree = tree();
    let victim = victim(&tree);
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    let record = forged_record(&tree, "a", victim.pid());
    assert!(record.contains(&format!("pid={}\n", victim.pid())), "{record}");
    first.kill();
    process::signal(pid, Signal::KILL);
    process::wait_gone(pid);
    prepare(&tree.path("a/supervise"), &record);
    let second = tree.supervise("a");
    let new = tree.wait_restart("a", pid);
    assert_ne!(new, victim.pid());
    let line = "supervise: warning: ignoring a/supervise/process: others can have made it\n";
    assert_eq!(second.stderr(), line);
    // What is told to the service does not reach the victim.
    tree.svc("-tk", "a");
    tree.wait_restart("a", new);
    finish(&tree, second, "a");
    assert!(process::is_alive(victim.pid()));
}

#[test]
fn a_record_that_others_may_write_names_nobody() {
    forge(|state, record| {
        fs::write(state.join("process"), record).expect("write");
        let mode = fs::Permissions::from_mode(0o666);
        fs::set_permissions(state.join("process"), mode).expect("set the mode");
    });
}

#[test]
fn a_record_that_has_another_name_elsewhere_names_nobody() {
    forge(|state, record| {
        // The mark stays, as if it were the record of another service.
        fs::write(state.join("process"), record).expect("write");
        fs::hard_link(state.join("process"), state.join("other")).expect("make a link");
        fs::set_permissions(state, fs::Permissions::from_mode(0o777)).expect("set the mode");
    });
}

#[test]
fn a_file_that_was_moved_to_where_the_record_is_names_nobody() {
    // It is ours, as a log may be that others have filled; and they may move it.
    forge(|state, record| {
        fs::set_permissions(state, fs::Permissions::from_mode(0o777)).expect("set the mode");
        fs::write(state.join("moved"), record).expect("write");
        fs::rename(state.join("moved"), state.join("process")).expect("rename");
    });
}

#[test]
fn a_record_of_the_user_who_has_the_state_directory_names_nobody() {
    if !is_root() {
        return skip("only root can give files away");
    }
    let (_, uid, gid) = account();
    for whose in [[Some(uid), None], [None, Some(uid)], [Some(uid), Some(uid)]] {
        forge(|state, record| {
            fs::remove_file(state.join("process")).expect("remove");
            fs::write(state.join("process"), record).expect("write");
            for (path, whose) in [state.to_owned(), state.join("process")].iter().zip(whose) {
                if let Some(uid) = whose {
                    chown(path, Some(uid), Some(gid)).expect("give it away");
                }
            }
        });
    }
}

#[test]
fn a_backup_by_links_takes_nothing_from_a_record() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.cmd("cp").args(["-al", "a", "backup"]).run().is(0, "", "");
    first.kill();
    let second = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), pid);
    assert_eq!(second.stderr(), "");
    finish(&tree, second, "a");
}

#[test]
fn who_has_the_lock_of_another_file_is_no_supervise() {
    for link in [false, true] {
        let tree = tree();
        tree.idle_service("s/a");
        let victim = tree.cmd("setlock").args(["lock", "sleep", "1000"]).start();
        process::wait_asleep(victim.pid(), "sleep");
        tree.fifo("s/a/supervise/ok", 0o600);
        let _reader = tree.open_fifo("s/a/supervise/ok");
        if link {
            tree.symlink("../../../lock", "s/a/supervise/lock");
        } else {
            tree.rename("lock", "s/a/supervise/lock");
        }
        let svscan = tree.cmd("svscan").arg("s").start();
        // It starts one, which finds the lock taken, or no lock.
        svscan.wait_stderr("supervise: fatal: unable to acquire a/supervise/lock: ");
        svscan.signal(Signal::TERM);
        leaves(svscan);
        assert!(process::is_alive(victim.pid()));
    }
}

#[test]
fn a_stranger_who_locks_the_scan_directory_keeps_nobody_from_scanning_it() {
    if !is_root() {
        return skip("only root can be another user");
    }
    let tree = tree();
    tree.idle_service("s/a");
    let (_, uid, _) = account();
    let uid = uid.to_string();
    let stranger = ["setpriv", "--reuid", &uid, "--clear-groups"];
    let stranger = tree.cmd("flock").args(["s", "sleep", "1000"]).under(stranger).start();
    wait_until("it is locked", DEADLINE, || {
        tree.cmd("flock").args(["-n", "s", "true"]).run().code == Some(1)
    });
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.wait_up("s/a");
    let line = format!(
        "svscan: warning: ignoring the lock of process {} on s: it is another user's\n",
        stranger.pid()
    );
    assert_eq!(svscan.stderr(), line);
    // Nor does it get an upgrade's signal.
    let line = "svscan: fatal: no svscan runs on s\n";
    tree.cmd("svscan").args(["-u", "s"]).run().is(100, "", line);
    assert!(process::is_alive(stranger.pid()));
    svscan.signal(Signal::TERM);
    leaves(svscan);
}

#[test]
fn a_service_whose_state_directory_others_may_write_is_taken_over_all_the_same() {
    let tree = tree();
    tree.idle_service("a");
    tree.mkdir("a/supervise");
    tree.chmod("a/supervise", 0o777);
    if is_root() {
        let (_, uid, gid) = account();
        chown(tree.path("a/supervise"), Some(uid), Some(gid)).expect("give it away");
    }
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    first.kill();
    let second = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), pid);
    assert_eq!(second.stderr(), "");
    finish(&tree, second, "a");
    assert_eq!(count(&tree.text("a/started"), ""), 1);
}

// Links in the way of those who ask

#[test]
fn a_link_leads_nobody_who_asks_or_commands_to_another_service() {
    let tree = tree();
    tree.idle_service("victim");
    let supervise = tree.supervise("victim");
    let pid = tree.wait_up("victim");
    tree.idle_service("a");
    tree.mkdir("a/supervise");
    for name in ["control", "ok", "status"] {
        tree.symlink(format!("../../victim/supervise/{name}"), format!("a/supervise/{name}"));
    }
    let told = "svc: warning: unable to control a: symbolic link loop\n";
    tree.cmd("svc").args(["-dx", "a"]).run().is(0, "", told);
    tree.cmd("svc").args(["-dx", "-W", "down", "-T", "10", "a"]).run().is(111, "", told);
    let line = "a: unable to open supervise/ok: symbolic link loop\n";
    tree.cmd("svstat").arg("a").run().is(0, line, "");
    let line = "svok: fatal: unable to open a/supervise/ok: symbolic link loop\n";
    tree.cmd("svok").arg("a").run().is(111, "", line);
    let line = "svup: fatal: unable to open a/supervise/ok: symbolic link loop\n";
    tree.cmd("svup").arg("a").run().is(111, "", line);
    // With a FIFO of its own, the status is not somebody else's either.
    tree.remove("a/supervise/ok");
    tree.fifo("a/supervise/ok", 0o600);
    let _reader = tree.open_fifo("a/supervise/ok");
    let line = "a: unable to open supervise/status: symbolic link loop\n";
    tree.cmd("svstat").arg("a").run().is(0, line, "");
    let line = "svup: fatal: unable to open a/supervise/status: symbolic link loop\n";
    tree.cmd("svup").arg("a").run().is(111, "", line);
    // Nor is a service started that needs this one.
    tree.idle_service("b");
    tree.write("b/needs", "a\n");
    let waiting = tree.supervise("b");
    tree.wait_text("b/supervise/state", "phase=blocked");
    assert_eq!(tree.wait_up("victim"), pid);
    finish(&tree, waiting, "b");
    assert!(!tree.exists("b/started"));
    finish(&tree, supervise, "victim");
}

#[test]
fn a_control_group_that_is_not_the_kernels_names_nobody() {
    let tree = tree();
    let victim = victim(&tree);
    tree.idle_service("a");
    tree.write("a/stop-scope", "tree\n");
    tree.mkdir("a/supervise");
    let inode = fs::metadata(tree.path("a/supervise")).expect("it is there").ino();
    // The first line is overwritten when the service goes in.
    let procs = format!("x\n{}\n", victim.pid());
    tree.write(format!("groups/a.{inode}/cgroup.procs"), procs);
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", tree.path("groups"));
    let supervise = supervise.start();
    tree.wait_supervised("a");
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    finish(&tree, supervise, "a");
    assert!(process::is_alive(victim.pid()));
}

#[test]
fn a_control_group_is_below_the_directory_that_was_named() {
    let tree = tree();
    tree.idle_service("s/a");
    tree.mkdir("s/a/inner");
    tree.mkdir("above/groups");
    tree.write("s/a/stop-scope", "tree\n");
    let base = tree.path("above/groups");
    // By a name that is all that can lead upwards.
    let supervise = tree.cmd("supervise").arg("..").cwd("s/a/inner");
    // It is no cgroup2, so that the service cannot go in; but the group is made.
    let supervise = supervise.env("DAEMONTOOLS_CGROUP", &base).start();
    tree.wait_supervised("s/a");
    let text = tree.wait_text("s/a/supervise/state", "cgroup=");
    let group = text.lines().find_map(|line| line.strip_prefix("cgroup=")).expect("a line");
    let group = Path::new(group).strip_prefix(&base).expect("it is below");
    assert_eq!(group.components().count(), 1, "{}", group.display());
    assert!(matches!(group.components().next(), Some(std::path::Component::Normal(_))));
    assert_eq!(fs::read_dir(tree.path("above")).expect("it is there").count(), 1);
    finish(&tree, supervise, "s/a");
}

// The notify socket

/// Says its arguments on the notify socket, the last one for ever if there is a variable FLOOD.
const SAY: &str = r#"#!/usr/bin/perl
use Socket;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die;
(my $name = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/;
my $to = sockaddr_un($name);
do { send($socket, $_, 0, $to) for @ARGV } while ($ENV{FLOOD});
"#;

/// The name of a service's notify socket.
#[track_caller]
fn socket_of(tree: &Tree, dir: &str) -> String {
    let text = tree.wait_text(Path::new(dir).join("supervise/state"), "socket=");
    let name = text.lines().find_map(|line| line.strip_prefix("socket=")).expect("a line");
    format!("@{name}")
}

#[test]
fn a_service_cannot_name_its_supervise_or_what_runs_beside_it_as_itself() {
    let tree = tree();
    tree.script("a/say", SAY);
    tree.write("a/notify-socket", "");
    tree.write("a/personality", "encore\n");
    tree.script("a/log", "#!/bin/sh\necho $$ >log-started\nexec cat\n");
    let run = "#!/bin/sh\nuntil [ -s log-started ]; do sleep 0.01; done\n\
               ./say MAINPID=$PPID \"MAINPID=$(cat log-started)\" MAINPID=1 STATUS=said\n\
               echo $$ >>started\nexec sleep 1000\n";
    tree.service("a", run);
    let supervise = tree.supervise("a");
    tree.wait_text("a/supervise/state", "message=said");
    let started = tree.wait_lines("a/started", 1).remove(0);
    let log = tree.wait_lines("a/log-started", 1).remove(0).parse().expect("a number");
    assert_eq!(tree.wait_up("a").to_string(), started);
    tree.svc("-k", "a");
    tree.wait_restart("a", started.parse().expect("a number"));
    assert!(process::is_alive(supervise.pid()) && process::is_alive(log));
    finish(&tree, supervise, "a");
}

#[test]
fn a_message_of_no_bytes_is_one_like_any_other() {
    let tree = tree();
    tree.script("say", SAY);
    tree.script("a/say", SAY);
    tree.write("a/notify-socket", "");
    tree.fifo("a/go", 0o600);
    tree.service(
        "a",
        "#!/bin/sh\n./say ''\nread -r line <go\n./say '' STATUS=after\nexec sleep 1000\n",
    );
    let supervise = tree.supervise("a");
    let name = socket_of(&tree, "a");
    tree.cmd("./say").args(["", ""]).env("NOTIFY_SOCKET", &name).run().is(0, "", "");
    fs::write(tree.path("a/go"), "go\n").expect("write into the FIFO");
    tree.wait_text("a/supervise/state", "message=after");
    finish(&tree, supervise, "a");
}

#[test]
fn who_speaks_without_a_pause_keeps_no_supervise_from_its_work() {
    let tree = tree();
    tree.script("say", SAY);
    tree.idle_service("a");
    tree.write("a/notify-socket", "");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    let name = socket_of(&tree, "a");
    let strangers: Vec<Process> = (0..4)
        .map(|_| {
            let say = tree.cmd("./say").arg("STATUS=I am it").env("FLOOD", "1");
            say.env("NOTIFY_SOCKET", &name).start()
        })
        .collect();
    supervise.wait_stderr("supervise: warning: ignoring what process ");
    tree.cmd("svc").args(["-d", "-W", "down", "-T", "10000", "a"]).run().is(0, "", "");
    assert_eq!(count(&supervise.stderr(), "ignoring"), 1);
    for stranger in strangers {
        stranger.kill();
    }
    finish(&tree, supervise, "a");
}

// Log directories

/// Runs multilog on a log directory that others may write, in which somebody has put the treasure in
/// the place of a file, as a link to it or as another name of it; the treasure must not notice.
/// It is tried with a `current` that is complete and one that is not, and so with the treasure.
#[track_caller]
fn log_into(script: &[&str], name: &str) {
    let input = "a line of the attacker's that is long enough\n".repeat(200);
    for case in 0..8 {
        let [hard, complete, executable] = [case & 1 != 0, case & 2 != 0, case & 4 != 0];
        let tree = tree();
        let treasure = Treasure::with_mode(&tree, if executable { 0o700 } else { 0o600 });
        tree.mkdir("log");
        tree.chmod("log", 0o777);
        if name != "current" {
            tree.write("log/current", "");
            tree.chmod("log/current", if complete { 0o744 } else { 0o644 });
        }
        let at = tree.path("log").join(name);
        treasure.link(&at, hard);
        // From a pipe, which is where a batch can be marked.
        let logger = tree.sh("cat | multilog \"$@\"").arg("sh").args(script);
        let mut logger = logger.stdin(input.as_str()).start();
        // It may get over it, or wait until it is gone.
        wait_until("it has ended, or says why not", DEADLINE, || {
            logger.has_ended() || logger.stderr().contains("pausing")
        });
        logger.kill();
        treasure.is_untouched(&format!("{name} {case}"));
    }
}

#[test]
fn a_log_is_not_written_to_what_somebody_has_put_in_its_place() {
    for name in [".multilog-batch", "current", "lock"] {
        log_into(&["./log"], name);
    }
}

#[test]
fn what_somebody_has_put_in_the_place_of_a_processors_files_is_not_touched() {
    for name in ["previous", "processed", "state", "newstate"] {
        log_into(&["s4096", "!cat; cat <&4 >&5", "./log"], name);
    }
}

#[test]
fn what_a_processor_reads_is_not_what_somebody_has_put_there() {
    let tree = tree();
    let treasure = Treasure::new(&tree);
    tree.mkdir("log");
    tree.chmod("log", 0o777);
    // A complete current, so that the state of the last processor is believed.
    tree.write("log/current", "");
    tree.chmod("log/current", 0o744);
    tree.symlink(&treasure.path, "log/state");
    let input = "a line of the attacker's that is long enough\n".repeat(200);
    let script = ["s4096", "!cat; cat <&4 >&5", "./log"];
    let mut logger = tree.cmd("multilog").args(script).stdin(input).start();
    wait_until("it has ended, or says why not", DEADLINE, || {
        logger.has_ended() || logger.stderr().contains("pausing")
    });
    logger.kill();
    for entry in fs::read_dir(tree.path("log")).expect("it is there").flatten() {
        // The link itself may still be there.
        if !entry.path().is_symlink() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            assert!(!text.contains(TREASURE), "{entry:?}");
        }
    }
    treasure.is_untouched("read");
}

#[test]
fn in_a_log_directory_of_ones_own_links_are_followed_as_ever() {
    let tree = tree();
    tree.mkdir("log");
    tree.write("elsewhere/lock", "");
    tree.symlink("../elsewhere/lock", "log/lock");
    tree.cmd("multilog").arg("./log").stdin("a\n").run().is(0, "", "");
    assert_eq!(tree.text("log/current"), "a\n");
}

// What children get

/// Shows the descriptors that it was given, and those of its variables that are ours alone.
const SHOW: &str = r#"#!/usr/bin/perl
my ($name) = $0 =~ m{([^/]*)$};
opendir(my $all, "/proc/$$/fd") or die;
# The script itself, and this directory, are its own.
my @given = grep { /\d/ && readlink("/proc/$$/fd/$_") !~ m{^/proc/|/\Q$name\E$} } readdir($all);
closedir($all);
open(my $out, '>', "shown.$name") or die;
print $out join(' ', sort { $a <=> $b } @given), "\n";
print $out map { "$_\n" } grep { /^DAEMONTOOLS_(UPGRADE|GATE)/ } keys(%ENV);
print $out "end\n";
close($out);
"#;

#[test]
fn nobody_inherits_what_is_not_theirs() {
    let tree = tree();
    // What the test itself was given, its children have as well.
    tree.script("show", SHOW);
    tree.cmd("./show").run().is(0, "", "");
    let given = tree.text("shown.show");
    assert!(given.starts_with("0 1 2") && given.ends_with("\nend\n"), "{given}");
    let forever = format!("{SHOW}sleep(1000);\n");
    tree.service("s/plain", &forever);
    tree.service("s/plain/log", &forever);
    // With all that supervise holds open for a service.
    tree.service("s/rich", &forever);
    tree.write("s/rich/listen", "tcp 127.0.0.1:0\n");
    tree.write("s/rich/notify-socket", "");
    tree.write("s/rich/needs", "plain\n");
    tree.write("s/rich/personality", "runit\n");
    for name in ["check", "finish", "control/t"] {
        tree.script(format!("s/rich/{name}"), format!("{SHOW}exit(1);\n"));
    }
    tree.service("s/encore", &forever);
    tree.write("s/encore/personality", "encore\n");
    tree.write("s/encore/notify-socket", "");
    for name in ["start", "stop", "notify"] {
        tree.script(format!("s/encore/{name}"), SHOW);
    }
    tree.script("s/encore/log", &forever);
    let svscan = tree.cmd("svscan").arg("s").start();
    let shown = |name: &str| tree.wait_text(format!("s/{name}"), "end\n");
    assert_eq!(shown("plain/shown.run"), given);
    assert_eq!(shown("plain/log/shown.run"), given);
    let mut numbers: Vec<u32> =
        given.split_whitespace().filter_map(|number| number.parse().ok()).chain([3]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    assert_eq!(shown("rich/shown.run"), format!("{}\nend\n", numbers.join(" ")));
    assert_eq!(shown("rich/shown.check"), given);
    assert_eq!(shown("encore/shown.run"), given);
    for dir in ["s/rich", "s/encore"] {
        tree.svc("-t", dir);
        tree.svc("-d", dir);
    }
    for name in ["rich/shown.t", "rich/shown.finish"] {
        assert_eq!(shown(name), given, "{name}");
    }
    for name in ["start", "stop", "notify", "log"] {
        assert_eq!(shown(&format!("encore/shown.{name}")), given, "{name}");
    }
    svscan.signal(Signal::TERM);
    leaves(svscan);
}

#[test]
fn without_a_umask_nothing_is_open_to_others() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("a/max-death-tally", "5\n");
    tree.service("b", "#!/bin/sh\nwhile :; do echo line; sleep 0.1; done | multilog ./log\n");
    let [a, b] = ["a", "b"].map(|dir| {
        let supervise = tree.sh(&format!("umask 0; exec supervise {dir}")).start();
        tree.wait_supervised(dir);
        supervise
    });
    let pid = tree.wait_up("a");
    process::signal(pid, Signal::KILL);
    tree.wait_restart("a", pid);
    assert_eq!(tree.mode("a/supervise"), 0o700);
    for (name, mode) in [
        ("lock", 0o600),
        ("control", 0o600),
        ("ok", 0o600),
        ("status", 0o644),
        ("state", 0o644),
        ("death_tally", 0o644),
        ("process", 0o1644),
    ] {
        assert_eq!(tree.mode(format!("a/supervise/{name}")), mode, "{name}");
    }
    tree.wait_text("b/log/current", "line");
    assert_eq!(tree.mode("b/log"), 0o700);
    assert_eq!(tree.mode("b/log/lock"), 0o600);
    assert_eq!(tree.mode("b/log/current"), 0o644);
    finish(&tree, a, "a");
    finish(&tree, b, "b");
}

#[test]
fn a_handover_that_nobody_has_made_is_none() {
    let tree = tree();
    tree.idle_service("a");
    tree.write("long", vec![b'9'; 1 << 20]);
    tree.write(
        "forged",
        "daemontools handover 1\nlock=0\ncontrol=1\ncontrol-writer=2\nok=999999\n",
    );
    for value in ["0", "1", "2", "5", "6", "7", "-1", "99999999999999999999", "x", "/etc/passwd"] {
        let start =
            format!("DAEMONTOOLS_UPGRADE={value} exec supervise a 5<long 6<forged 7</dev/null");
        let supervise = tree.sh(&start).start();
        tree.wait_supervised("a");
        tree.wait_up("a");
        finish(&tree, supervise, "a");
    }
}

#[test]
fn a_service_that_fills_its_notification_pipe_is_obeyed_all_the_same() {
    let tree = tree();
    tree.service(
        "a",
        "#!/bin/sh\nexec perl -e 'open(F, \">&=5\"); syswrite(F, \"x\" x 4096) while 1'\n",
    );
    tree.write("a/notification-fd", "5\n");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.cmd("svc").args(["-d", "-W", "down", "-T", "20000", "a"]).run().is(0, "", "");
    finish(&tree, supervise, "a");
}

#[test]
fn what_a_service_needs_is_beside_it() {
    let tree = tree();
    for name in ["../elsewhere", "/elsewhere", "..", "."] {
        tree.idle_service("a");
        tree.write("a/needs", format!("{name}\n"));
        let supervise = tree.supervise("a");
        supervise.wait_stderr("supervise: warning: a/needs");
        assert!(!tree.exists("a/started"));
        finish(&tree, supervise, "a");
    }
}

// The document

/// The names of all functions in Rust sources below a directory.
fn functions(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("it can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("it can be read");
            let names = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            found.extend(names.filter_map(|name| Some(name.split_once('(')?.0.to_owned())));
        }
    }
}

#[test]
fn every_test_that_the_document_names_is_there_and_every_attack_is_in_it() {
    let document = workspace().join("docs/security.md");
    let document = fs::read_to_string(document).expect("it is there");
    // What stands between backquotes and can only be the name of a test.
    let is_name = |word: &&str| {
        word.matches('_').count() >= 3
            && word.bytes().all(|c| c == b'_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let named: Vec<&str> = document.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 40, "{named:?}");
    let mut there = Vec::new();
    for dir in ["tests", "crates"] {
        functions(&workspace().join(dir), &mut there);
    }
    for name in &named {
        assert!(there.iter().any(|function| function == name), "there is no test {name}");
    }
    let source = workspace().join("tests/system/security.rs");
    let source = fs::read_to_string(source).expect("it is there");
    for test in source.split("#[test]\nfn ").skip(1) {
        let name = test.split('(').next().expect("a name");
        let is_this = name.starts_with("every_test_that_the_document_names");
        assert!(is_this || named.contains(&name), "{name} is not in the document");
    }
}
