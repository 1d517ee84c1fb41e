//! Locks that another user's processes hold.

use harness::{Cmd, DEADLINE, Process, Signal, Tree, account, is_root, process, skip, wait_until};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};
use system::{assert_exit_0, count, ticks, tree};

/// Locks files, leaves them to a child, and ends. Its number is in `taker` and the child's in `child`.
const LOCK_AND_LEAVE: &str = r#"use Fcntl ':flock';
my @files;
for my $name (@ARGV) {
    open(my $file, '<', $name) or die "$name: $!";
    flock($file, LOCK_EX) or die "$name: $!";
    push @files, $file;
}
my $parent = $$;
my $child = fork;
if ($child == 0) { sleep 1000; exit }
open(my $out, '>', "$ENV{OUT}/child"); print $out "$child\n"; close $out;
open($out, '>', "$ENV{OUT}/taker.new"); print $out "$parent\n"; close $out;
rename("$ENV{OUT}/taker.new", "$ENV{OUT}/taker");
"#;

/// Locks a new file again and again, a number of times.
const MANY_LOCKS: &str = r#"use Fcntl ':flock';
my @files;
for my $n (1 .. $ARGV[0]) {
    open(my $file, '>', "$ENV{OUT}/$$.$n") or die $!;
    flock($file, LOCK_EX) or die $!;
    unlink "$ENV{OUT}/$$.$n";
    push @files, $file;
}
open(my $out, '>', "$ENV{OUT}/ready.$$");
sleep 1000;
"#;

/// Locks a file as soon as that is possible.
const LOCK_WHEN_FREE: &str = r#"use Fcntl ':flock';
open(my $file, '<', $ARGV[0]) or die $!;
flock($file, LOCK_EX) or die $!;
open(my $out, '>', "$ENV{OUT}/locked");
sleep 1000;
"#;

/// A directory in which another user may write.
fn public_dir(tree: &Tree) -> String {
    tree.mkdir("public");
    tree.chmod("public", 0o777);
    tree.path("public").display().to_string()
}

/// Runs a perl program as another user.
fn start_perl(tree: &Tree, program: &str, args: &[&str]) -> Process {
    let (user, ..) = account();
    let out = public_dir(tree);
    let line = "ulimit -n 20000; code=$1; shift; exec setuidgid \"$0\" perl -e \"$code\" \"$@\"";
    let words = ["-c", line, &user, program];
    tree.cmd("sh").args(words).args(args.iter().copied()).env("OUT", out).start()
}

/// Locks files as another user, by a process that has ended. Returns its number and its child's.
fn lock_and_leave(tree: &Tree, files: &[&str]) -> [u32; 2] {
    let perl = start_perl(tree, LOCK_AND_LEAVE, files);
    tree.wait_text("public/taker", "\n");
    let number = |name: &str| tree.text(format!("public/{name}")).trim().parse().expect("a number");
    let numbers = [number("taker"), number("child")];
    assert_exit_0(perl);
    process::wait_gone(numbers[0]);
    numbers
}

/// Starts a process of ours that has this number; `None` if other processes are faster.
fn start_with_number(number: u32) -> Option<std::process::Child> {
    for _ in 0..500 {
        fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).ok()?;
        let mut child = Command::new("sleep").arg("1000").spawn().expect("start it");
        if child.id() == number {
            return Some(child);
        }
        child.kill().expect("kill it");
        child.wait().expect("reap it");
    }
    None
}

#[test]
fn a_process_with_the_number_of_a_dead_holder_is_no_svscan() {
    if !is_root() {
        return skip("needs root");
    }
    let tree = tree();
    tree.idle_service("s/a");
    tree.chmod("s", 0o755);
    let scan_dir = tree.path("s").display().to_string();
    let [taker, child] = lock_and_leave(&tree, &[&scan_dir]);
    let Some(mut bystander) = start_with_number(taker) else {
        return skip("the number is not to be had again");
    };
    let svscan = tree.cmd("svscan").arg("s").start();
    tree.wait_supervised("s/a");
    // The bystander gets no signal: the one that runs without the lock does.
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    let ended = bystander.try_wait().expect("ask for it");
    bystander.kill().expect("kill it");
    bystander.wait().expect("reap it");
    assert_eq!(ended, None, "the bystander was killed");
    let line = format!(
        "svscan: warning: ignoring the lock of process {child} on s: it is another user's\n"
    );
    assert_eq!(svscan.stderr(), line);
}

#[test]
fn a_lock_through_a_dead_process_delays_no_other_service() {
    if !is_root() {
        return skip("needs root");
    }
    let tree = tree();
    let (_, uid, gid) = account();
    let names: Vec<String> = (0..6).map(|n| format!("s/a{n}")).collect();
    for name in &names {
        tree.idle_service(name);
        tree.idle_service(format!("{name}/log"));
    }
    let svscan = tree.cmd("svscan").arg("s").start();
    let mut locks = Vec::new();
    for name in &names {
        tree.wait_supervised(name);
        tree.wait_supervised(format!("{name}/log"));
        let lock = tree.path(format!("{name}/supervise/lock"));
        fs::remove_file(&lock).expect("remove the lock");
        fs::write(&lock, "").expect("make another");
        for file in [lock.clone(), tree.path(format!("{name}/supervise"))] {
            std::os::unix::fs::chown(file, Some(uid), Some(gid)).expect("give it away");
        }
        locks.push(lock.display().to_string());
    }
    let locks: Vec<&str> = locks.iter().map(String::as_str).collect();
    lock_and_leave(&tree, &locks);
    for name in &names {
        // Its supervise leaves, and the next one is refused again and again.
        tree.svc("-dx", name);
    }
    wait_until("they are refused", DEADLINE, || count(&svscan.stderr(), "unable to acquire") > 6);
    for n in 0..3 {
        let begin = Instant::now();
        tree.service(format!("new{n}"), "#!/bin/sh\nexec sleep 1000\n");
        tree.rename(format!("new{n}"), format!("s/new{n}"));
        tree.wait_supervised(format!("s/new{n}"));
        // A new directory has to be quiet for a second.
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}

#[test]
fn many_locks_of_another_user_delay_neither_upgrade_nor_adoption() {
    if !is_root() {
        return skip("needs root");
    }
    let tree = tree();
    tree.idle_service("s/a");
    let svscan = tree.cmd("svscan").arg("s").start();
    let pid = tree.wait_up("s/a");
    let flood: Vec<Process> = (0..4).map(|_| start_perl(&tree, MANY_LOCKS, &["15000"])).collect();
    let ready = || {
        let names = fs::read_dir(tree.path("public")).expect("list it").flatten();
        names.filter(|name| name.file_name().to_string_lossy().starts_with("ready.")).count()
    };
    wait_until("they hold the locks", Duration::from_secs(60), || ready() == flood.len());
    // Processor time: others may load the machine. The kernel kills what uses more than a second.
    tree.sh("ulimit -t 1; exec svscan -u s").run().is(0, "", "");
    // Its holder is hard to find.
    tree.chmod("s", 0o755);
    svscan.kill();
    let scan_dir = tree.path("s").display().to_string();
    let _lock = start_perl(&tree, LOCK_WHEN_FREE, &[&scan_dir]);
    wait_until("it is locked", DEADLINE, || tree.exists("public/locked"));
    let next = tree.cmd("svscan").arg("s").start();
    tree.idle_service("s/b");
    tree.wait_supervised("s/b");
    let ticks = ticks(next.pid());
    assert!(ticks < 300, "{ticks} hundredths of a second");
    assert_eq!(tree.wait_up("s/a"), pid);
}

/// Stands in a directory and locks a file there; then it becomes another program, which ignores the signals
/// of a stop. A user can start a set-user-ID program so, which takes all its ids from root.
const LOCK_AND_EXEC: &str = r#"use Fcntl qw(:flock :DEFAULT); use POSIX;
$^F = 255;
$SIG{$_} = 'IGNORE' for qw(TERM USR1 QUIT HUP INT);
chdir $ARGV[0] or die;
sysopen my $lock, $ARGV[1], O_RDONLY or die;
flock $lock, LOCK_EX or die;
if ($ARGV[1] ne ".") {
    mkfifo "supervise/$_", 0666 for qw(ok control);
    sysopen my $ok, "supervise/ok", O_RDONLY | O_NONBLOCK or die;
    POSIX::dup2(fileno($ok), 9) or die;
}
exec "sleep", "1000";
"#;

#[test]
fn a_program_that_inherits_a_lock_is_no_svscan() {
    let tree = tree();
    assert_inherited_lock_is_ignored(&tree, tree.cmd("svscan").arg("s"));
}

#[test]
fn a_program_with_a_lock_that_proc_locks_does_not_show_is_no_svscan() {
    if !is_root() {
        return skip("needs root");
    }
    // As if other locks had ended while it was read, or as if there were too many.
    let tree = tree();
    let script = "mount --bind /dev/null /proc/locks && exec svscan s";
    let svscan = tree.sh(script).under(["unshare", "--mount"]);
    if tree.sh("mount --bind /dev/null /proc/locks").under(["unshare", "--mount"]).run().code
        != Some(0)
    {
        return skip("nothing can be mounted here");
    }
    assert_inherited_lock_is_ignored(&tree, svscan);
}

/// A program of our user holds the lock of the scan directory, which its caller took. svscan runs
/// nevertheless, and its clients find it.
#[track_caller]
fn assert_inherited_lock_is_ignored(tree: &Tree, svscan: Cmd<'_>) {
    tree.idle_service("s/a");
    let foe = tree.cmd("perl").args(["-e", LOCK_AND_EXEC, "s", "."]).start();
    process::wait_asleep(foe.pid(), "sleep");
    let svscan = svscan.start();
    tree.wait_up("s/a");
    let line = format!(
        "svscan: warning: ignoring the lock of process {} on s: it is none of svscan's\n",
        foe.pid()
    );
    assert_eq!(svscan.stderr(), line);
    tree.cmd("svscan").args(["-u", "s"]).run().is(0, "", "");
    tree.cmd("svc").args(["-H", "0", "s"]).run().is(0, "", "");
    assert_exit_0(svscan);
    assert!(process::is_alive(foe.pid()));
}

#[test]
fn a_program_that_inherits_a_lock_is_no_supervise() {
    let tree = tree();
    for dir in ["s/a", "s/a/log", "s/b"] {
        tree.idle_service(dir);
    }
    tree.write("s/a/log/supervise/lock", "");
    let foe = tree.cmd("perl").args(["-e", LOCK_AND_EXEC, "s/a/log", "supervise/lock"]).start();
    process::wait_asleep(foe.pid(), "sleep");
    let svscan = tree.cmd("svscan").args(["-t", "1", "s"]).start();
    tree.wait_up("s/a");
    tree.wait_up("s/b");
    svscan.wait_stderr("supervise: fatal: unable to acquire log/supervise/lock: ");
    // Nothing waits for that program.
    svscan.signal(Signal::TERM);
    assert_exit_0(svscan);
    assert!(process::is_alive(foe.pid()));
}
