//! What a service directory asks for in its option files, done by supervise.

mod options_needs;
mod options_ready;
mod options_resources;
mod options_sockets;
mod options_stop;

use harness::{DEADLINE, Process, Signal, Tree, process, wait_for, wait_until};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write;
use system::{PROMPT, finish};

/// A `run` that says on its notify socket what the test writes into the FIFO `say`: a datagram per
/// line, of which `|` are the ends of lines and `$$` is its own process.
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

/// Makes a service that says what it is told to.
#[track_caller]
fn talker(tree: &Tree, dir: &str) {
    tree.service(dir, TALKER);
    tree.write(format!("{dir}/notify-socket"), "");
    tree.fifo(format!("{dir}/say"), 0o600);
}

/// Lets it say something.
#[track_caller]
fn say(tree: &Tree, dir: &str, text: &str) {
    write_into(tree, &format!("{dir}/say"), text);
}

/// Writes a line into a FIFO, once somebody reads it.
#[track_caller]
fn write_into(tree: &Tree, fifo: &str, text: &str) {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = wait_for(&format!("somebody reads {fifo}"), DEADLINE, || {
        rustix::fs::open(tree.path(fifo), flags, Mode::empty()).ok()
    });
    writeln!(File::from(fd), "{text}").expect("write into a FIFO");
}

/// What `supervise/state` says of something.
fn state(tree: &Tree, dir: &str, key: &str) -> Option<String> {
    let text = tree.text(format!("{dir}/supervise/state"));
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned()))
}

/// Waits until it says that.
#[track_caller]
fn wait_state(tree: &Tree, dir: &str, key: &str, value: &str) {
    let what = format!("{dir}: {key} is {value}");
    // What it was instead is worth knowing.
    let mut seen = None;
    let start = std::time::Instant::now();
    while seen.as_deref() != Some(value) {
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}, but it is {seen:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
        seen = state(tree, dir, key);
    }
}

/// Waits until the service is in this phase.
#[track_caller]
fn wait_phase(tree: &Tree, dir: &str, phase: &str) {
    wait_state(tree, dir, "phase", phase);
}

/// Kills supervise, and starts the next one.
#[track_caller]
fn succeed(tree: &Tree, supervise: Process, dir: &str) -> Process {
    supervise.kill();
    tree.wait_unsupervised(dir);
    tree.supervise(dir)
}

/// The number in the last line of a file, once it has so many.
#[track_caller]
fn last_pid(tree: &Tree, file: &str, lines: usize) -> u32 {
    let lines = tree.wait_lines(file, lines);
    let word = lines.last().and_then(|line| line.split(' ').next()).unwrap_or_default();
    word.parse().expect("a pid")
}

/// Ends a service by a signal that it cannot ignore, and waits for its successor.
#[track_caller]
fn kill_and_wait(tree: &Tree, dir: &str, pid: u32) -> u32 {
    process::signal(pid, Signal::KILL);
    tree.wait_restart(dir, pid)
}

/// Waits, not long, until a process is no more.
#[track_caller]
fn wait_ended(pid: u32) {
    wait_until(&format!("process {pid} has ended"), PROMPT * 2, || !process::is_alive(pid));
}
