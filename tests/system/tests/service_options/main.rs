//! The option files of a service directory.

mod background;
mod decisions;
mod dependencies;
mod mistakes;
mod readiness;
mod resource_limits;
mod sockets;
mod stop;
mod stop_group;
mod stop_order;

use harness::{DEADLINE, Process, Signal, Tree, is_root, process, skip, wait_for, wait_until};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use system::PROMPT;

/// A `run` that sends each line of the FIFO `say` to its notify socket as a datagram. In it `|`
/// means a newline and `$$` its own process.
const TALKER: &str = r#"#!/usr/bin/perl
use Socket;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die;
(my $name = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/;
my $to = sockaddr_un($name);
open(my $started, '>>', 'started') or die;
print $started "$$ $ENV{WATCHDOG_USEC} $ENV{WATCHDOG_PID}\n";
close $started;
while (1) {
    open(my $say, '<', 'say') or die;
    while (<$say>) {
        chomp;
        s/\|/\n/g;
        s/\$\$/$$/g;
        send($socket, $_, 0, $to);
    }
}
"#;

/// Makes a service with that `run`.
#[track_caller]
fn talker(tree: &Tree, dir: &str) {
    tree.service(dir, TALKER);
    tree.write(format!("{dir}/notify-socket"), "");
    tree.fifo(format!("{dir}/say"), 0o600);
}

/// Makes the service send a datagram.
#[track_caller]
fn say(tree: &Tree, dir: &str, text: &str) {
    write_into(tree, &format!("{dir}/say"), text);
}

/// Writes a line into a FIFO, once the FIFO has a reader.
#[track_caller]
fn write_into(tree: &Tree, fifo: &str, text: &str) {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = wait_for(&format!("{fifo} has a reader"), DEADLINE, || {
        rustix::fs::open(tree.path(fifo), flags, Mode::empty()).ok()
    });
    writeln!(File::from(fd), "{text}").expect("write into a FIFO");
}

/// The pid in the last line of a file, once it has so many lines.
#[track_caller]
fn last_pid(tree: &Tree, file: &str, lines: usize) -> u32 {
    let lines = tree.wait_lines(file, lines);
    let word = lines.last().and_then(|line| line.split(' ').next()).unwrap_or_default();
    word.parse().expect("a pid")
}

/// Kills a service, and waits for its next process.
#[track_caller]
fn kill_and_wait(tree: &Tree, dir: &str, pid: u32) -> u32 {
    process::signal(pid, Signal::KILL);
    tree.wait_restart(dir, pid)
}

/// Waits briefly until a process has ended.
#[track_caller]
fn wait_ended(pid: u32) {
    wait_until(&format!("process {pid} has ended"), PROMPT * 2, || !process::is_alive(pid));
}

/// Starts a supervise that cannot create a control group.
#[track_caller]
fn without_groups(tree: &Tree, dir: &str) -> Process {
    let process = tree.cmd("supervise").arg(dir).env("DAEMONTOOLS_CGROUP", "/nowhere").start();
    tree.wait_supervised(dir);
    process
}

/// A directory in which control groups can be created, if there is one.
fn group_base() -> Option<PathBuf> {
    let base = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let base = base.into_iter().find(|base| base.join("cgroup.procs").exists());
    let Some(base) = base.filter(|_| is_root()) else {
        skip("no control groups can be made here");
        return None;
    };
    Some(base.to_owned())
}
