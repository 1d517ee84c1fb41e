//! Forged process records, locks and control groups.

use harness::{DEADLINE, Process, Signal, Tree, account, is_root, process, skip, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use system::{assert_exit_0, count, stop_supervise, tree};

/// A foreign process, which must get no signal.
fn victim(tree: &Tree) -> Process {
    let victim = tree.cmd("sleep").arg("1000").start();
    process::wait_asleep(victim.pid(), "sleep");
    victim
}

/// A record that is valid, but names another process.
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

/// Kills a supervise and its service, and puts a record into the directory that names the victim.
/// `prepare` gets the state directory and the forged record. The next supervise must ignore it.
#[track_caller]
fn start_with_forged_record(prepare: impl FnOnce(&Path, &str)) {
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
    // Commands to the service do not reach the victim.
    tree.svc("-tk", "a");
    tree.wait_restart("a", new);
    stop_supervise(&tree, second, "a");
    assert!(process::is_alive(victim.pid()));
}

#[test]
fn a_record_that_others_may_write_is_ignored() {
    start_with_forged_record(|state, record| {
        fs::write(state.join("process"), record).expect("write");
        let mode = fs::Permissions::from_mode(0o666);
        fs::set_permissions(state.join("process"), mode).expect("set the mode");
    });
}

#[test]
fn a_record_with_a_second_name_is_ignored() {
    start_with_forged_record(|state, record| {
        // The sticky bit stays, as if this were the record of another service.
        fs::write(state.join("process"), record).expect("write");
        fs::hard_link(state.join("process"), state.join("other")).expect("make a link");
        fs::set_permissions(state, fs::Permissions::from_mode(0o777)).expect("set the mode");
    });
}

#[test]
fn a_file_moved_to_the_place_of_the_record_is_ignored() {
    // The file belongs to us, like a log that other users have filled, and they may move it.
    start_with_forged_record(|state, record| {
        fs::set_permissions(state, fs::Permissions::from_mode(0o777)).expect("set the mode");
        fs::write(state.join("moved"), record).expect("write");
        fs::rename(state.join("moved"), state.join("process")).expect("rename");
    });
}

#[test]
fn a_record_of_the_owner_of_the_state_directory_is_ignored() {
    if !is_root() {
        return skip("only root can give files away");
    }
    let (_, uid, gid) = account();
    for whose in [[Some(uid), None], [None, Some(uid)], [Some(uid), Some(uid)]] {
        start_with_forged_record(|state, record| {
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
fn a_hard_linked_backup_does_not_invalidate_the_record() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.cmd("cp").args(["-al", "a", "backup"]).run().is(0, "", "");
    first.kill();
    let second = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), pid);
    assert_eq!(second.stderr(), "");
    stop_supervise(&tree, second, "a");
}

#[test]
fn a_service_is_adopted_although_others_may_write_its_state_directory() {
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
    tree.wait_lines("a/started", 1);
    first.kill();
    let second = tree.supervise("a");
    assert_eq!(tree.wait_up("a"), pid);
    assert_eq!(second.stderr(), "");
    stop_supervise(&tree, second, "a");
    assert_eq!(count(&tree.text("a/started"), ""), 1);
}

// Locks

#[test]
fn the_holder_of_the_lock_of_another_file_is_no_supervise() {
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
        // svscan starts a supervise, which finds the lock taken, or finds a link.
        svscan.wait_stderr("supervise: fatal: unable to acquire a/supervise/lock: ");
        svscan.signal(Signal::TERM);
        assert_exit_0(svscan);
        assert!(process::is_alive(victim.pid()));
    }
}

/// Stands in the logger's directory and makes its state directory look like that of a supervise, which
/// obeys no signal.
const FALSE_SUPERVISE: &str = r#"use Fcntl qw(:flock :DEFAULT); use POSIX;
$SIG{$_} = 'IGNORE' for qw(TERM USR1 QUIT HUP INT);
chdir "s/a/log" or die;
sysopen my $lock, "supervise/lock", O_RDWR | O_CREAT, 0666 or die;
flock $lock, LOCK_EX or die;
mkfifo "supervise/$_", 0666 for qw(ok control);
sysopen my $ok, "supervise/ok", O_RDONLY | O_NONBLOCK or die;
open my $ready, ">", "supervise/ready";
close $ready;
sleep 1000 while 1;
"#;

#[test]
fn a_process_of_another_user_is_no_supervise_though_it_has_the_lock() {
    if !is_root() {
        return skip("only root can be another user");
    }
    let tree = tree();
    for dir in ["s/a", "s/a/log", "s/b"] {
        tree.idle_service(dir);
    }
    let (_, uid, _) = account();
    let state = tree.mkdir("s/a/log/supervise");
    chown(state, Some(uid), None).expect("give it away");
    let user = format!("--reuid={uid}");
    let foe = tree.cmd("perl").args(["-e", FALSE_SUPERVISE]);
    let foe = foe.under(["setpriv", &user, "--clear-groups", "--"]).start();
    wait_until("it has the lock", DEADLINE, || tree.exists("s/a/log/supervise/ready"));
    let svscan = tree.cmd("svscan").args(["-t", "1", "s"]).start();
    // The others run, the logger's supervise says what is wrong, and a stop ends.
    tree.wait_up("s/a");
    tree.wait_up("s/b");
    svscan.wait_stderr(&format!(
        "supervise: fatal: unable to acquire log/supervise/lock: temporary failure (held by pid {})\n",
        foe.pid()
    ));
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert!(process::is_alive(foe.pid()));
}

#[test]
fn another_users_lock_on_the_scan_directory_does_not_stop_svscan() {
    if !is_root() {
        return skip("only root can be another user");
    }
    let tree = tree();
    tree.idle_service("s/a");
    let (_, uid, _) = account();
    let uid = uid.to_string();
    let holder = ["setpriv", "--reuid", &uid, "--clear-groups"];
    let holder = tree.cmd("flock").args(["s", "sleep", "1000"]).under(holder).start();
    wait_until("it is locked", DEADLINE, || {
        tree.cmd("flock").args(["-n", "s", "true"]).run().code == Some(1)
    });
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.wait_up("s/a");
    let line = format!(
        "svscan: warning: ignoring the lock of process {} on s: it is another user's\n",
        holder.pid()
    );
    assert_eq!(svscan.stderr(), line);
    // Clients and a second svscan find the one without the lock, also after an upgrade, and when the lock
    // is free.
    let (mut holder, mut is_upgraded) = (Some(holder), false);
    for _ in 0..3 {
        let second = tree.cmd("svscan").arg("s").run();
        let line = format!(
            "svscan: fatal: unable to lock s: temporary failure (held by pid {})\n",
            svscan.pid()
        );
        second.is(111, "", line);
        tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
        if let Some(holder) = holder.take_if(|_| is_upgraded) {
            assert!(process::is_alive(holder.pid()));
            holder.kill();
        }
        is_upgraded = true;
    }
    tree.cmd("svc").args(["-H", "7", "s"]).run().is(0, "", "");
    assert_eq!(svscan.wait().code, Some(7));
}

// The end of an essential service

/// Starts a program and never reaps it, so that the kernel tells no other process how it ended.
const NEVER_REAP: &str = r#"exec @ARGV if fork == 0; sleep 1000 while 1;"#;

#[test]
fn a_forged_end_of_an_essential_service_does_not_end_svscan() {
    let tree = tree();
    tree.idle_service("s/a");
    tree.mkdir("s/a/supervise");
    tree.chmod("s/a/supervise", 0o777);
    let _parent = tree.cmd("perl").args(["-e", NEVER_REAP, "supervise", "a"]).cwd("s").start();
    tree.wait_up("s/a");
    let supervise = tree.find(&["supervise", "a"]).remove(0);
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.idle_service("s/b");
    // svscan has seen the running supervise, which it does not start.
    tree.wait_supervised("s/b");
    tree.write("s/a/supervise/essential", format!("{supervise} code 0\n"));
    tree.svc("-dx", "s/a");
    wait_until("the next supervise runs", DEADLINE, || {
        let now = tree.find(&["supervise", "a"]);
        now.len() == 1 && now != [supervise] && tree.is_supervised("s/a")
    });
    assert_eq!(svscan.stderr(), "");
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
}

#[test]
fn the_end_of_an_essential_service_counts_although_others_may_write_its_state_directory() {
    let tree = tree();
    tree.service("s/a", "#!/bin/sh\nuntil [ -e end ]; do sleep 0.01; done\nexit 7\n");
    tree.write("s/a/essential", "any\n");
    tree.mkdir("s/a/supervise");
    tree.chmod("s/a/supervise", 0o777);
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.wait_up("s/a");
    tree.write("s/a/end", "");
    assert_eq!(svscan.wait().code, Some(7));
}

// Control groups

/// A control group for a test, which removes it with the groups below it.
pub(crate) struct ControlGroup(pub(crate) PathBuf);

impl ControlGroup {
    /// Makes one, if that is possible here.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let mount = mounts.into_iter().find(|mount| mount.join("cgroup.procs").exists());
        let path = mount.map(|mount| mount.join(format!("{name}-{}", std::process::id())));
        let made = path.filter(|path| is_root() && fs::create_dir(path).is_ok()).map(Self);
        if made.is_none() {
            skip("no control groups can be made here");
        }
        made
    }

    /// Makes a group in it that belongs to this user.
    pub(crate) fn group_of(&self, name: &str, user: u32) -> PathBuf {
        let group = self.0.join(name);
        fs::create_dir(&group).expect("make a control group");
        for path in [group.clone(), group.join("cgroup.procs")] {
            chown(path, Some(user), None).expect("give it away");
        }
        group
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// The name of the control group of the service `a`.
fn group_name(tree: &Tree) -> String {
    tree.mkdir("a/supervise");
    format!("a.{}", fs::metadata(tree.path("a/supervise")).expect("it is there").ino())
}

#[test]
fn a_control_group_that_is_not_the_kernels_is_ignored() {
    let tree = tree();
    let victim = victim(&tree);
    tree.idle_service("a");
    tree.write("a/stop-scope", "tree\n");
    let name = group_name(&tree);
    tree.write(format!("groups/{name}/cgroup.procs"), format!("x\n{}\n", victim.pid()));
    let start = || {
        let supervise =
            tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", tree.path("groups"));
        let supervise = supervise.start();
        tree.wait_supervised("a");
        supervise
    };
    let supervise = start();
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    stop_supervise(&tree, supervise, "a");
    assert!(process::is_alive(victim.pid()));
    // Nothing is written through a link in it.
    tree.write("secret", "root:x:0:0\n");
    tree.symlink("../../secret", format!("groups/{name}/pids.max"));
    tree.symlink("../secret", "groups/cgroup.subtree_control");
    tree.write("a/resource-limits", "pids 7\n");
    let supervise = start();
    let line = "supervise: warning: not starting a: unable to make a control group: operation not \
                supported\n";
    assert_eq!(supervise.wait_stderr("not starting"), line);
    assert_eq!(tree.text("secret"), "root:x:0:0\n");
    stop_supervise(&tree, supervise, "a");
    let procs = tree.text(format!("groups/{name}/cgroup.procs"));
    assert_eq!(procs, format!("x\n{}\n", victim.pid()));
}

#[test]
fn a_link_to_the_control_group_of_another_service_is_ignored() {
    let Some(other) = ControlGroup::new("other") else { return };
    let tree = tree();
    let victim = victim(&tree);
    fs::write(other.0.join("cgroup.procs"), victim.pid().to_string()).expect("move the victim");
    tree.idle_service("a");
    tree.write("a/stop-scope", "tree\n");
    let name = group_name(&tree);
    tree.mkdir("groups");
    tree.symlink(&other.0, format!("groups/{name}"));
    let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", tree.path("groups"));
    let supervise = supervise.start();
    tree.wait_supervised("a");
    tree.wait_up("a");
    stop_supervise(&tree, supervise, "a");
    assert!(process::is_alive(victim.pid()));
    victim.kill();
}

#[test]
fn a_control_group_of_another_user_is_not_used() {
    let Some(base) = ControlGroup::new("delegated") else { return };
    let tree = tree();
    let (_, user, _) = account();
    let victim = victim(&tree);
    tree.idle_service("a");
    tree.write("a/stop-scope", "tree\n");
    let name = group_name(&tree);
    let group = base.group_of(&name, user);
    fs::write(group.join("cgroup.procs"), victim.pid().to_string()).expect("move the victim");
    let start = || {
        let supervise = tree.cmd("supervise").arg("a").env("DAEMONTOOLS_CGROUP", &base.0).start();
        tree.wait_supervised("a");
        supervise
    };
    let supervise = start();
    tree.wait_up("a");
    stop_supervise(&tree, supervise, "a");
    assert!(process::is_alive(victim.pid()));
    // An empty one is replaced by one of our own, into which that user can move nothing.
    victim.kill();
    wait_until("the group is empty", DEADLINE, || {
        fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|text| text.is_empty())
    });
    let supervise = start();
    tree.wait_text("a/supervise/state", "cgroup=");
    assert_eq!(fs::metadata(group.join("cgroup.procs")).expect("it is there").uid(), 0);
    stop_supervise(&tree, supervise, "a");
    assert!(!group.exists());
}

#[test]
fn a_control_group_is_created_below_the_named_directory() {
    let Some(base) = ControlGroup::new("named") else { return };
    let tree = tree();
    tree.idle_service("s/a");
    tree.mkdir("s/a/inner");
    tree.write("s/a/stop-scope", "tree\n");
    // `..` is the only name that could lead upwards.
    let supervise = tree.cmd("supervise").arg("..").cwd("s/a/inner");
    let supervise = supervise.env("DAEMONTOOLS_CGROUP", &base.0).start();
    tree.wait_supervised("s/a");
    let text = tree.wait_text("s/a/supervise/state", "cgroup=");
    let group = text.lines().find_map(|line| line.strip_prefix("cgroup=")).expect("a line");
    let group = Path::new(group).strip_prefix(&base.0).expect("it is below");
    assert_eq!(group.components().count(), 1, "{}", group.display());
    assert!(matches!(group.components().next(), Some(std::path::Component::Normal(_))));
    stop_supervise(&tree, supervise, "s/a");
}
