//! supervise: what it does better than the original.

use harness::{
    DEADLINE, Signal, Status, Tree, account, is_root, process, skip, wait_for, wait_until,
};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use system::{
    PROMPT, age, assert_calm, assert_idle, between, count, finish, leaves, most_processes,
    namespace, strace_works, tree, wait_reaped, wait_settled, workspace, writer,
};

/// Well within the second in which the original is deaf.
const SOON: Duration = Duration::from_millis(700);

// Signals

#[test]
fn term_and_int_end_the_service_and_then_supervise() {
    for signal in [Signal::TERM, Signal::INT] {
        let tree = tree();
        tree.idle_service("a");
        let supervise = tree.supervise("a");
        let pid = tree.wait_up("a");
        tree.wait_lines("a/started", 1);
        supervise.signal(signal);
        supervise.wait().is(0, "", "");
        assert!(!process::is_alive(pid));
        let status = tree.status("a").expect("a status");
        assert_eq!((status.pid(), status.want()), (0, b'd'));
        assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
        assert!(!tree.is_supervised("a"));
    }
}

#[test]
fn term_ends_a_service_which_is_paused() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    wait_until("it is stopped", PROMPT, || process::is_stopped(pid));
    supervise.signal(Signal::TERM);
    supervise.wait().is(0, "", "");
    assert!(!process::is_alive(pid));
}

#[test]
fn term_ends_a_supervise_which_has_nothing_running() {
    let tree = tree();
    tree.idle_service("down");
    tree.write("down/down", "");
    let supervise = tree.supervise("down");
    supervise.signal(Signal::TERM);
    supervise.wait_within(PROMPT).is(0, "", "");
    // Between two starts.
    tree.service("quick", "#!/bin/sh\nexec 2>&-\nexit 1\n");
    let supervise = tree.supervise("quick");
    tree.wait_status("quick", "waits for its next start", |s| s.pid() == 0);
    supervise.signal(Signal::TERM);
    supervise.wait_within(PROMPT).is(0, "", "");
    assert!(!tree.is_supervised("quick"));
}

#[test]
fn term_waits_for_a_service_which_takes_its_time() {
    let tree = tree();
    tree.trapping_service("a", &["TERM"]);
    let mut supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    supervise.signal(Signal::TERM);
    tree.wait_lines("a/signals", 1);
    assert!(!supervise.has_ended());
    assert!(process::is_alive(pid));
    // It still listens.
    tree.svc("-k", "a");
    supervise.wait().is(0, "", "");
}

#[test]
fn hup_leaves_when_the_service_ends_by_itself() {
    let tree = tree();
    tree.idle_service("a");
    let mut supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    supervise.signal(Signal::HUP);
    // When a later command is obeyed, the signal was taken.
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1);
    tree.svc("-c", "a");
    assert!(process::is_alive(pid) && !supervise.has_ended());
    assert_eq!(tree.wait_up("a"), pid);
    process::signal(pid, Signal::TERM);
    supervise.wait_within(PROMPT).is(0, "", "");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn hup_counts_although_the_service_has_ended_when_it_is_seen() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = wait_settled(&tree, "a");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", PROMPT, || process::is_stopped(supervise.pid()));
    // As when svscan says so to a logger's supervise and closes the pipe.
    supervise.signal(Signal::HUP);
    process::signal(pid, Signal::KILL);
    wait_until("the service has ended", PROMPT, || process::state(pid) == Some('Z'));
    supervise.signal(Signal::CONT);
    supervise.wait_within(PROMPT).is(0, "", "");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

#[test]
fn hup_and_int_which_were_ignored_at_the_start_stay_so() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.sh("trap '' INT HUP; exec supervise a").start();
    let pid = wait_settled(&tree, "a");
    supervise.signal(Signal::INT);
    supervise.signal(Signal::HUP);
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.paused() == 1 && s.want() == b'u');
    tree.svc("-ck", "a");
    tree.wait_restart("a", pid);
    // The one that must always work.
    supervise.signal(Signal::TERM);
    supervise.wait().is(0, "", "");
}

#[test]
fn term_is_obeyed_even_if_it_was_ignored_at_the_start() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexec grep SigIgn /proc/self/status\n");
    let supervise = tree.sh("trap '' TERM; exec supervise a >found").start();
    let found = tree.wait_lines("found", 1);
    supervise.signal(Signal::TERM);
    supervise.wait_within(PROMPT).is(0, "", "");
    // And it is passed on as it was.
    let wanted = tree.sh("trap '' TERM; exec grep SigIgn /proc/self/status").run().out();
    assert_eq!(found[0], wanted.trim_end());
}

// Timing

/// Runs a trial up to three times, until it takes a short time: a busy machine may make it long,
/// but a deaf supervise always does.
#[track_caller]
fn takes_not_long(what: &str, mut trial: impl FnMut() -> Duration) {
    let mut times = Vec::new();
    while times.iter().all(|&time| time >= SOON) {
        assert!(times.len() < 3, "{what}: {times:?}");
        times.push(trial());
    }
}

#[test]
fn a_command_right_after_a_start_is_obeyed_at_once() {
    takes_not_long("from the start to the death", || {
        let tree = tree();
        tree.idle_service("a");
        let supervise = tree.supervise("a");
        tree.wait_up("a");
        let up = tree.status("a").expect("a status");
        tree.wait_lines("a/started", 1);
        tree.svc("-d", "a");
        let down = tree.wait_down("a");
        finish(&tree, supervise, "a");
        between(&up, &down)
    });
}

#[test]
fn a_death_right_after_a_start_is_noticed_at_once() {
    takes_not_long("from the start to the death", || {
        let tree = tree();
        tree.idle_service("a");
        let supervise = tree.supervise("a");
        let pid = tree.wait_up("a");
        let up = tree.status("a").expect("a status");
        process::signal(pid, Signal::KILL);
        wait_reaped(pid);
        // The next start is some time away: what svstat says till then is true.
        let down = tree.wait_status("a", "tells of the death", |s| s.pid() != pid);
        let time = between(&up, &down);
        if time < SOON {
            assert_eq!((down.pid(), down.want()), (0, b'u'));
        }
        let second = tree.wait_restart("a", pid);
        let again = tree.status("a").expect("a status");
        assert_eq!(again.pid(), second);
        assert!(between(&up, &again) >= Duration::from_millis(990));
        finish(&tree, supervise, "a");
        time
    });
}

#[test]
fn svstat_tells_that_a_service_waits_for_its_next_start() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexit 1\n");
    let _supervise = tree.supervise("a");
    wait_until("svstat says so", PROMPT, || is_just_down(&tree.svstat("a"), ", want up"));
}

/// Whether that is svstat's line of a service which has just gone down. The age is the difference
/// of whole seconds: it is 1 as soon as the next second has begun.
fn is_just_down(said: &str, remark: &str) -> bool {
    [0, 1].iter().any(|age| said == format!("down {age} seconds, normally up{remark}"))
}

#[test]
fn starts_are_never_closer_than_a_second() {
    let tree = tree();
    // The time at which the process was made, in hundredths of a second.
    tree.service(
        "a",
        "#!/bin/sh\nread -r stat </proc/$$/stat\nset -- ${stat##*)}\nshift 19\necho \"$1\" >>times\n",
    );
    let _supervise = tree.supervise("a");
    let times: Vec<u64> =
        tree.wait_lines("a/times", 5).iter().map(|line| line.parse().expect("a time")).collect();
    for pair in times.windows(2) {
        // Both are rounded down.
        assert!(pair[1] - pair[0] >= 99, "{times:?}");
    }
    assert!(times[4] - times[0] < 600, "{times:?}");
}

#[test]
fn a_service_which_has_run_for_a_second_is_started_again_at_once() {
    takes_not_long("from the death to the start", || {
        let tree = tree();
        tree.idle_service("a");
        let supervise = tree.supervise("a");
        let pid = wait_settled(&tree, "a");
        let before = SystemTime::now();
        process::signal(pid, Signal::KILL);
        tree.wait_restart("a", pid);
        let up = tree.status("a").expect("a status");
        finish(&tree, supervise, "a");
        up.time().duration_since(before).unwrap_or_default()
    });
}

#[test]
fn the_last_wish_wins() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let mut pid = tree.wait_up("a");
    for _ in 0..3 {
        tree.svc("-d", "a");
        tree.svc("-u", "a");
        let next = tree.wait_restart("a", pid);
        assert_eq!(tree.status("a").map(|s| s.want()), Some(b'u'));
        pid = next;
    }
    tree.svc("-u", "a");
    tree.svc("-d", "a");
    let down = tree.wait_down("a");
    assert_eq!(down.want(), b'd');
    assert!(!process::is_alive(pid));
    // Down stays down, also when the second is over.
    wait_until("a second has passed", PROMPT * 2, || age(&down) > Duration::from_millis(1200));
    assert_eq!(tree.status("a").as_ref(), Some(&down));
    finish(&tree, supervise, "a");
}

#[test]
fn letters_of_one_svc_are_obeyed_in_their_order() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let first = tree.wait_up("a");
    tree.svc("-du", "a");
    let second = tree.wait_restart("a", first);
    assert_eq!(tree.status("a").map(|s| s.want()), Some(b'u'));
    tree.svc("-ud", "a");
    tree.wait_status("a", "down for good", |s| s.pid() == 0 && s.want() == b'd');
    assert!(!process::is_alive(second));
    // From down: started, and ended at once.
    tree.svc("-ud", "a");
    tree.wait_status("a", "down for good", |s| s.pid() == 0 && s.want() == b'd');
    tree.svc("-du", "a");
    tree.wait_restart("a", second);
    assert_eq!(tree.status("a").map(|s| s.want()), Some(b'u'));
    finish(&tree, supervise, "a");
}

// Only one of them

/// What identifies a file and shows whether it was touched.
fn fingerprint(path: &Path) -> (u64, i64, i64, u32, Vec<u8>) {
    let meta = fs::symlink_metadata(path).expect("the file is there");
    let content = if meta.is_file() { fs::read(path).expect("read it") } else { Vec::new() };
    (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.mode(), content)
}

#[test]
fn a_second_supervise_names_the_first_and_touches_nothing() {
    let tree = tree();
    tree.idle_service("a");
    let first = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    let files = ["", "control", "lock", "ok", "process", "status"]
        .map(|file| tree.path("a/supervise/").join(file));
    let before = files.each_ref().map(|file| fingerprint(file));
    for _ in 0..2 {
        let line = format!(
            "supervise: fatal: unable to acquire a/supervise/lock: temporary failure (held by pid {})\n",
            first.pid()
        );
        tree.cmd("supervise").arg("a").run().is(111, "", line);
    }
    assert_eq!(files.each_ref().map(|file| fingerprint(file)), before);
    assert_eq!(fs::read_dir(&files[0]).expect("read supervise/").count(), 5);
    // The first one goes on, and its FIFOs are the right ones.
    assert_eq!(tree.wait_up("a"), pid);
    tree.svc("-d", "a");
    tree.wait_down("a");
    finish(&tree, first, "a");
    assert_eq!(tree.wait_lines("a/started", 1).len(), 1);
}

// What is wrong with control and ok

#[test]
fn a_control_or_ok_which_is_no_fifo_is_refused() {
    for name in ["control", "ok"] {
        let tree = tree();
        let line = |dir: &str| {
            format!(
                "supervise: fatal: unable to use {dir}/supervise/{name}: not a FIFO; remove it\n"
            )
        };
        tree.idle_service("file");
        tree.write(format!("file/supervise/{name}"), "dx");
        tree.cmd("supervise").arg("file").run().is(111, "", line("file"));
        assert_eq!(tree.text(format!("file/supervise/{name}")), "dx");
        tree.idle_service("dir");
        tree.mkdir(format!("dir/supervise/{name}"));
        tree.cmd("supervise").arg("dir").run().is(111, "", line("dir"));
        tree.idle_service("device");
        tree.symlink("/dev/null", format!("device/supervise/{name}"));
        // A device could already do something when it is opened.
        let link = format!(
            "supervise: fatal: unable to read device/supervise/{name}: symbolic link loop\n"
        );
        tree.cmd("supervise").arg("device").run().is(111, "", link);
        for dir in ["file", "dir", "device"] {
            assert!(!tree.exists(format!("{dir}/started")), "{dir}");
            assert!(!tree.is_supervised(dir) || name == "ok");
        }
    }
}

#[test]
fn a_control_which_is_replaced_later_is_no_way_in_any_more() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.remove("a/supervise/control");
    tree.write("a/supervise/control", "");
    let line = "svc: warning: unable to control a: control is not a FIFO, so nobody reads it\n";
    tree.cmd("svc").args(["-d", "a"]).run().is(0, "", line);
    assert_eq!(tree.text("a/supervise/control"), "");
    tree.remove("a/supervise/control");
    let line = "svc: warning: unable to control a: file does not exist\n";
    tree.cmd("svc").args(["-d", "a"]).run().is(0, "", line);
    assert_calm(supervise.pid(), Duration::from_millis(500));
    assert_eq!(tree.wait_up("a"), pid);
    // The rest works as ever.
    process::signal(pid, Signal::KILL);
    tree.wait_restart("a", pid);
    supervise.signal(Signal::TERM);
    supervise.wait().is(0, "", "");
}

/// Bytes without pattern, the same each time.
struct Noise(u64);

impl Iterator for Noise {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0.to_be_bytes()[0])
    }
}

#[test]
fn a_megabyte_of_noise_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    let start = Instant::now();
    // All but the byte which rightly ends it.
    let noise: Vec<u8> =
        Noise(0x9E37_79B9_7F4A_7C15).filter(|&b| b != b'x').take(1 << 20).collect();
    writer(&tree.path("a/supervise/control")).write_all(&noise).expect("write to control");
    tree.svc("-cu", "a");
    tree.wait_status("a", "up and wanted up", |s| s.want() == b'u' && process::is_alive(s.pid()));
    assert_eq!(supervise.stderr(), "");
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    wait_until("it is stopped", PROMPT, || process::is_stopped(pid));
    // However often a start was asked for.
    let starts = u64::try_from(tree.wait_lines("a/started", 1).len()).expect("a number");
    assert!(starts <= start.elapsed().as_secs() + 2, "{starts} starts");
    finish(&tree, supervise, "a");
}

#[test]
fn a_writer_which_keeps_control_open_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    let mut open = writer(&tree.path("a/supervise/control"));
    let other = writer(&tree.path("a/supervise/control"));
    assert_idle(&[supervise.pid()], Duration::from_secs(1));
    tree.svc("-d", "a");
    tree.wait_down("a");
    open.write_all(b"u").expect("write to control");
    tree.wait_restart("a", pid);
    drop(open);
    assert_idle(&[supervise.pid()], Duration::from_secs(1));
    drop(other);
    finish(&tree, supervise, "a");
}

// A status which cannot be written

#[test]
fn a_directory_without_permission_to_write_later_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").unprivileged().start();
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.chmod("a/supervise", 0o500);
    tree.chmod("a", 0o555);
    tree.svc("-d", "a");
    tree.wait_down("a");
    tree.svc("-u", "a");
    let pid = tree.wait_up("a");
    tree.svc("-p", "a");
    tree.wait_status("a", "paused", |s| s.pid() == pid && s.paused() == 1);
    tree.svc("-c", "a");
    assert_eq!(supervise.stderr(), "");
    finish(&tree, supervise, "a");
}

#[test]
fn a_status_which_cannot_be_written_is_a_warning_once_and_right_when_it_can() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").unprivileged().start();
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    tree.chmod("a/supervise", 0o500);
    tree.chmod("a/supervise/status", 0o400);
    tree.svc("-d", "a");
    let warning = "supervise: warning: unable to open a/supervise/status.new: access denied\n";
    supervise.wait_stderr(warning);
    process::wait_gone(pid);
    // Everything else goes on.
    tree.svc("-u", "a");
    tree.wait_lines("a/started", 2);
    tree.svc("-pc", "a");
    assert_eq!(tree.status("a").map(|s| s.pid()), Some(pid));
    assert_eq!(supervise.stderr(), warning);
    tree.chmod("a/supervise", 0o700);
    wait_until("the status is right", Duration::from_secs(8), || {
        tree.status("a").is_some_and(|s| s.pid() != pid && process::is_alive(s.pid()))
    });
    // The next time it is worth a word again.
    tree.chmod("a/supervise", 0o500);
    tree.chmod("a/supervise/status", 0o400);
    tree.svc("-p", "a");
    supervise.wait_stderr(&format!("{warning}{warning}"));
    finish(&tree, supervise, "a");
}

#[test]
fn a_full_disk_is_a_warning_once_and_right_when_there_is_room() {
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.mkdir("disk");
    tree.script("run", "#!/bin/sh\nexec sleep 1000\n");
    let setup = "mount -t tmpfs -o size=64k none disk && mkdir disk/a && cp run disk/a/run &&
        { head -c 1000000 /dev/zero >disk/fill || :; } 2>&- && exec supervise disk/a";
    let supervise = tree.sh(setup).under(namespace).start();
    let line = |file: &str| {
        format!("supervise: warning: unable to write disk/a/supervise/{file}: out of disk space\n")
    };
    let warning = line("status.new") + &line("process");
    supervise.wait_stderr(&warning);
    let inside = Path::new("/proc").join(supervise.pid().to_string()).join("root");
    let disk = inside.join(tree.path("disk").strip_prefix("/").expect("an absolute path"));
    let dir = disk.join("a");
    let service = wait_for("the service runs", PROMPT, || {
        process::descendants(supervise.pid()).first().copied()
    });
    tree.svc("-p", &dir);
    wait_until("the service is stopped", PROMPT, || process::is_stopped(service));
    tree.svc("-c", &dir);
    assert_eq!(supervise.stderr(), warning);
    tree.remove(disk.join("fill"));
    wait_until("the status is right", Duration::from_secs(8), || {
        tree.status(&dir).is_some_and(|s| s.pid() == service)
    });
    let record = dir.join("supervise/process");
    tree.wait_text(record, &format!("leaving=no \npid={service}\nstart="));
    // A record that was once there has its room.
    let _ = fs::write(disk.join("fill"), vec![0; 1_000_000]);
    tree.svc("-p", &dir);
    tree.wait_status(&dir, "paused", |s| s.paused() == 1);
    tree.svc("-d", &dir);
    tree.wait_down(&dir);
    assert_eq!(supervise.stderr(), warning);
    tree.svc("-x", &dir);
    leaves(supervise);
}

/// Runs a supervise whose files may not grow beyond so many bytes, and returns what it said.
#[track_caller]
fn with_files_up_to(limit: u32) -> String {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    // A file of messages would be limited too.
    let (mut said, stderr) = io::pipe().expect("make a pipe");
    let limit = format!("--fsize={limit}");
    let limited = tree.cmd("supervise").arg("a").under(["prlimit", limit.as_str()]);
    let mut supervise = limited.stderr_to(stderr).start();
    wait_until("the service runs", PROMPT, || {
        assert!(!supervise.has_ended(), "it ended");
        tree.is_supervised("a") && !process::descendants(supervise.pid()).is_empty()
    });
    tree.svc("-dx", "a");
    leaves(supervise);
    let mut text = String::new();
    said.read_to_string(&mut text).expect("read the messages");
    text
}

#[test]
fn a_status_of_which_only_a_part_can_be_written_is_a_warning() {
    let line = |file: &str| {
        format!("supervise: warning: unable to write a/supervise/{file}: partial write\n")
    };
    assert_eq!(with_files_up_to(10), line("status.new") + &line("process"));
}

#[test]
fn a_limit_of_the_file_size_does_not_kill_supervise() {
    let said = with_files_up_to(0);
    let files: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("supervise: warning: unable to write a/supervise/"))
        .filter_map(|rest| Some(rest.split_once(": ")?.0))
        .collect();
    assert_eq!(files, ["status.new", "process"], "{said}");
}

#[test]
fn a_service_directory_which_is_removed_does_no_harm() {
    let tree = tree();
    tree.idle_service("a");
    let mut supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    fs::remove_dir_all(tree.path("a")).expect("remove the service directory");
    assert_calm(supervise.pid(), Duration::from_millis(300));
    assert!(process::is_alive(pid) && !supervise.has_ended());
    process::signal(pid, Signal::KILL);
    supervise.wait_stderr("supervise: fatal: unable to start a/run: file does not exist\n");
    assert!(!supervise.has_ended());
    supervise.signal(Signal::TERM);
    let output = supervise.wait_within(PROMPT);
    assert_eq!(output.code, Some(0), "{output}");
    let warnings = count(&output.err(), "warning: unable to open a/supervise/status.new");
    assert!(warnings <= 1, "{output}");
}

#[test]
fn term_ends_a_service_whose_directory_was_removed() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    fs::remove_dir_all(tree.path("a")).expect("remove the service directory");
    supervise.signal(Signal::TERM);
    let output = supervise.wait_within(PROMPT);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!process::is_alive(pid));
}

// Limits

#[test]
fn without_descriptors_there_is_a_clear_message() {
    let mut refused = 0;
    for limit in 3..30 {
        let tree = tree();
        tree.idle_service("a");
        let limit = format!("--nofile={limit}");
        let mut supervise =
            tree.cmd("supervise").arg("a").under(["prlimit", limit.as_str()]).start();
        wait_until("it starts or ends", PROMPT * 2, || {
            supervise.has_ended() || tree.is_supervised("a")
        });
        if supervise.has_ended() {
            refused += 1;
            let output = supervise.wait();
            let err = output.err();
            assert_eq!((output.code, count(&err, "fatal: unable to ")), (Some(111), 1), "{output}");
            assert!(
                err.lines().all(|line| {
                    line.starts_with("supervise: ")
                        && line.ends_with(": process cannot open more files")
                }),
                "{output}"
            );
            assert!(!tree.exists("a/started"));
        } else {
            finish(&tree, supervise, "a");
            // With one more the status can be written as well.
            if tree.status("a").is_some_and(|s| s.pid() == 0) {
                break;
            }
        }
    }
    assert!(refused > 3, "{refused}");
}

#[test]
fn without_processes_it_tries_again_and_listens_meanwhile() {
    let tree = tree();
    tree.service("a", "#!/bin/sh\nexec sleep 1000\n");
    let supervise = tree.cmd("supervise").arg("a");
    // The limit does not count for the real user root, who is a stranger here, and can be raised
    // only with a privilege that root may lack: somebody else takes the place and leaves it.
    let stranger = format!("--ruid={}", 1_000_000 + std::process::id());
    let flags = ["setpriv", &stranger, "--inh-caps=-all", "--bounding-set=-all", "--"];
    let (occupant, supervise) = if is_root() {
        let occupant = tree.sh("exec sleep 1000").under(flags).start();
        process::wait_asleep(occupant.pid(), "sleep");
        (Some(occupant), supervise.under(["prlimit", "--nproc=2"]).under(flags))
    } else {
        (None, supervise.under(["prlimit", "--nproc=0:"]))
    };
    let supervise = supervise.start();
    let line = |pause| {
        format!(
            "supervise: warning: unable to fork for a, sleeping {pause} seconds: temporary failure\n"
        )
    };
    supervise.wait_stderr(&line(1));
    tree.wait_supervised("a");
    let line_of_svstat = tree.svstat("a");
    assert!(is_just_down(&line_of_svstat, ", want up"), "{line_of_svstat}");
    let said = supervise.wait_stderr(&line(2));
    assert_eq!(said, line(1) + &line(2));
    tree.svc("-d", "a");
    tree.wait_want("a", b'd');
    // To be told anew is a reason to try at once.
    let before = Instant::now();
    tree.svc("-u", "a");
    wait_until("it tries again", PROMPT, || count(&supervise.stderr(), "sleeping") == 3);
    assert!(before.elapsed() < PROMPT);
    if let Some(occupant) = occupant {
        occupant.kill();
    } else {
        let lifted = format!("--nproc={}:", most_processes());
        let pid = supervise.pid().to_string();
        tree.cmd("prlimit").args(["--pid", &pid, &lifted]).run().is(0, "", "");
    }
    let pid = tree.wait_up("a");
    process::wait_asleep(pid, "sleep");
    assert_eq!(process::descendants(supervise.pid()), [pid]);
    finish(&tree, supervise, "a");
}

// SUPERVISEDIR

#[test]
fn supervisedir_names_a_directory_in_the_service_directory() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").env("SUPERVISEDIR", "state").start();
    tree.wait_lines("a/started", 1);
    assert!(!tree.exists("a/supervise"));
    for (file, mode) in [("control", 0o600), ("lock", 0o600), ("ok", 0o600), ("status", 0o644)] {
        assert_eq!(tree.mode(format!("a/state/{file}")), mode, "{file}");
    }
    controlled_by(&tree, "state", Path::new("a/state"));
    tree.cmd("svc").args(["-dx", "a"]).env("SUPERVISEDIR", "state").run().is(0, "", "");
    supervise.wait().is(0, "", "");
}

#[test]
fn an_absolute_supervisedir_has_a_directory_for_every_service() {
    let tree = tree();
    tree.idle_service("in/a");
    tree.symlink("in/a", "link");
    let base = tree.mkdir("base");
    // By a link as well: what counts is the directory.
    let supervise = tree.cmd("supervise").arg("link").env("SUPERVISEDIR", &base).start();
    tree.wait_lines("in/a/started", 1);
    let service = tree.path("in/a").to_str().expect("a name in ASCII").replace('/', ":");
    let state = base.join(service.trim_start_matches(':'));
    assert!(state.join("control").exists(), "{}", state.display());
    assert!(!tree.exists("in/a/supervise"));
    tree.symlink("in/a", "a");
    controlled_by(&tree, base.to_str().expect("a name in ASCII"), &state);
    let holder = format!("/lock: temporary failure (held by pid {})\n", supervise.pid());
    let line = format!("supervise: fatal: unable to acquire {}{holder}", state.display());
    tree.cmd("supervise").arg("in/a").env("SUPERVISEDIR", &base).run().is(111, "", line);
    tree.cmd("svc").args(["-dx", "a"]).env("SUPERVISEDIR", base).run().is(0, "", "");
    supervise.wait().is(0, "", "");
}

/// Controls service `a`, whose supervise has its state in that directory.
#[track_caller]
fn controlled_by(tree: &Tree, variable: &str, state: &Path) {
    let run = |program: &str, args: &[&str]| {
        tree.cmd(program).args(args).arg("a").env("SUPERVISEDIR", variable).run()
    };
    run("svok", &[]).is(0, "", "");
    assert!(run("svstat", &[]).out().starts_with("a: up (pid "));
    run("svc", &["-d"]).is(0, "", "");
    wait_until("it is down", PROMPT, || Status(tree.read(state.join("status"))).pid() == 0);
    let said = run("svstat", &[]).out();
    let said = said.strip_prefix("a: ").and_then(|said| said.strip_suffix('\n'));
    assert!(said.is_some_and(|said| is_just_down(said, "")), "{said:?}");
    // Those who look in the usual place find nothing.
    tree.cmd("svok").arg("a").run().is(100, "", "");
    assert_eq!(tree.svstat("a"), "unable to open supervise/ok: file does not exist");
}

#[test]
fn an_empty_supervisedir_is_none() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.cmd("supervise").arg("a").env("SUPERVISEDIR", "").start();
    tree.wait_supervised("a");
    tree.cmd("svok").arg("a").env("SUPERVISEDIR", "").run().is(0, "", "");
    finish(&tree, supervise, "a");
}

// What is inherited

#[test]
fn descriptors_which_are_closed_at_the_start_are_closed_for_the_service() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.sh("exec supervise a <&- >&- 2>&-").start();
    let pid = tree.wait_up("a");
    process::wait_asleep(pid, "sleep");
    let numbers = |pid| process::descriptors(pid).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    let reference = tree.sh("exec sleep 1000 <&- >&- 2>&-").start();
    process::wait_asleep(reference.pid(), "sleep");
    assert_eq!(numbers(pid), numbers(reference.pid()));
    assert!(numbers(pid).iter().all(|&n| n > 2));
    // None of its own files is in their places.
    let files = process::descriptors(supervise.pid());
    assert!(files.iter().take(3).all(|(_, file)| file == Path::new("/dev/null")), "{files:?}");
    finish(&tree, supervise, "a");
}

#[test]
fn messages_never_end_up_in_control() {
    for closed in ["2>&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-"] {
        let tree = tree();
        tree.mkdir("a");
        // What it says about the missing run holds letters that would end it.
        let supervise = tree.sh(&format!("exec supervise a {closed}")).start();
        tree.wait_supervised("a");
        tree.wait_status("a", "waits for run", |s| s.pid() == 0 && age(s) < PROMPT);
        let seen = tree.status("a").expect("a status").time();
        tree.wait_status("a", "has tried again", |s| s.time() > seen);
        tree.idle_service("a");
        tree.wait_lines("a/started", 1);
        let pid = tree.wait_up("a");
        assert_eq!(tree.status("a").map(|s| (s.pid(), s.want())), Some((pid, b'u')));
        finish(&tree, supervise, "a");
    }
}

// Run scripts of all kinds

/// Runs a copy of an example until it has written so many lines, which are returned.
#[track_caller]
fn example(name: &str, lines: usize) -> Vec<String> {
    let tree = tree();
    let source = workspace().join("examples").join(name);
    tree.cmd("cp").arg("-R").arg(source).arg("a").run().is(0, "", "");
    let supervise = tree.supervise("a");
    let shown = || supervise.stdout().lines().map(str::to_owned).collect::<Vec<_>>();
    let shown = wait_for("the example says something", DEADLINE, || {
        Some(shown()).filter(|shown| shown.len() >= lines)
    });
    finish(&tree, supervise, "a");
    shown
}

#[test]
fn the_example_of_a_chain_does_what_it_says() {
    let wanted = ["hello from env/GREETING", "DISPLAY is not set", "at most 50 open files"];
    assert_eq!(example("chain", 3), wanted.map(|line| format!("chain: {line}")));
}

#[test]
fn the_example_with_an_account_does_what_it_says() {
    if !is_root() {
        skip("only root can change ids");
        return;
    }
    let group = Command::new("id").args(["-g", "nobody"]).output().expect("run id").stdout;
    let group = String::from_utf8(group).expect("a number");
    let wanted = [
        "hello from env/GREETING".into(),
        format!("user nobody, groups {}", group.trim()),
        "at most 97656 KiB of memory".into(),
    ];
    assert_eq!(example("account", 3), wanted.map(|line| format!("account: {line}")));
}

/// su stays, and starts the program as its child in a session of its own.
#[test]
fn a_run_script_may_end_in_su() {
    if !is_root() {
        skip("su asks others than root for a password");
        return;
    }
    let tree = tree();
    tree.chmod("", 0o755);
    let (user, uid, _) = account();
    let out = tree.write("started", "");
    tree.chmod("started", 0o666);
    let run = format!(
        "#!/bin/sh\nexec su -s /bin/sh - {user} -c \
         'echo $(id -u) $$ >>{}; exec sleep 1000' 2>/dev/null\n",
        out.display()
    );
    tree.service("a", &run);
    let supervise = tree.supervise("a");
    let line = tree.wait_lines("started", 1).remove(0);
    let (id, pid) = line.split_once(' ').expect("a user and a process");
    let pid = pid.parse().expect("a pid");
    assert_eq!(id, uid.to_string());
    let su = wait_settled(&tree, "a");
    assert!(tree.svstat("a").starts_with(&format!("up (pid {su}) ")), "{}", tree.svstat("a"));
    tree.svc("-d", "a");
    tree.wait_down("a");
    assert!(tree.svstat("a").starts_with("down "), "{}", tree.svstat("a"));
    process::wait_gone(pid);
    assert_eq!(tree.wait_lines("started", 1).len(), 1);
    finish(&tree, supervise, "a");
}

// Costs

#[test]
fn idle_means_idle() {
    let tree = tree();
    for dir in ["up", "down", "paused", "once"] {
        tree.idle_service(dir);
    }
    let running = ["up", "down", "paused", "once"].map(|dir| (dir, tree.supervise(dir)));
    for (dir, letter) in [("down", "-d"), ("paused", "-p"), ("once", "-o")] {
        tree.wait_up(dir);
        tree.svc(letter, dir);
    }
    wait_settled(&tree, "up");
    tree.wait_down("down");
    tree.wait_status("paused", "paused", |s| s.paused() == 1);
    tree.wait_want("once", harness::PENDING);
    let pids: Vec<u32> = running.iter().map(|(_, supervise)| supervise.pid()).collect();
    assert_idle(&pids, Duration::from_secs(3));
}

#[test]
fn a_restart_takes_few_system_calls() {
    let tree = tree();
    tree.idle_service("a");
    if !strace_works(&tree) {
        return;
    }
    let _supervise = tree.sh("exec strace -o calls supervise a").start();
    let pid = wait_settled(&tree, "a");
    // Waiting is the call which has not ended.
    let calls = || tree.text("calls").lines().count();
    let before = wait_for("it waits", PROMPT, || Some(calls()));
    process::signal(pid, Signal::KILL);
    tree.wait_restart("a", pid);
    let used = calls() - before;
    // Four of them look for option files.
    assert!(used <= 24, "{used} system calls: {}", tree.text("calls"));
}
