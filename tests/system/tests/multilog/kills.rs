//! A KILL at any moment loses and doubles no line.

use crate::{multilog, start};
use harness::{DEADLINE, Process, Signal, Tree, process, strace_works, wait_until};
use std::io::{PipeReader, PipeWriter, pipe};
use std::io::{Read as _, Write as _};
use std::{fs, thread};
use system::{finished_files, original_program, tree, whole_log};

/// The reader of the pipe after a kill.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Ours,
    /// Ours; the standby process is killed too.
    OursWithoutStandby,
    /// The original, which gets TERM after a while.
    Original,
}

/// Kills one logger after the other, while a writer without pauses fills the pipe. In the end each
/// line must be there once, in order. `stamp` is the length of the labels; `dropped` tells which
/// lines the other directories do not get.
#[track_caller]
fn kill_under_load(
    next: Next,
    script: &[&str],
    dirs: &[&str],
    stamp: usize,
    dropped: fn(usize) -> bool,
) {
    // Each file of the second directory costs a processor, which takes long on a busy machine.
    let count: usize = if dirs.len() > 1 { 100_000 } else { 500_000 };
    let tree = tree();
    let (reader, mut input) = pipe().expect("a pipe");
    let line = |n: usize| format!("{n:07} {}\n", "x".repeat(n % 200));
    let writer = thread::spawn(move || {
        let text: String = (0..count).map(line).collect();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let length = match next {
                // The original does not know a part of a line that ours holds (see the manual), so
                // each piece ends at a line.
                Next::Original => {
                    1 + rest[..4096.min(rest.len())]
                        .iter()
                        .rposition(|c| *c == b'\n')
                        .expect("a line ends")
                }
                // Pieces that end anywhere.
                _ => rest.len().min(50_003),
            };
            input.write_all(&rest[..length]).expect("write to the pipe");
            rest = &rest[length..];
        }
    });
    let progress = || {
        let in_dir = |dir: &&str| {
            let entries = fs::read_dir(tree.path(dir)).ok()?;
            Some(entries.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum::<u64>())
        };
        dirs.iter().filter_map(in_dir).sum::<u64>()
    };
    let mut standby_count = 0;
    for round in 0..20_u64 {
        // Each round kills at another moment.
        let far = progress() + 200_000 + round * 7919;
        let mut done = false;
        // A logger that has only begun, and so reads without batches, must not be killed: a KILL
        // loses what it has read (see the manual).
        while !done && !writer.is_finished() {
            let is_original = next == Next::Original && round % 2 == 1;
            let own = reader.try_clone().expect("another reader");
            let command = match is_original {
                true => original_program(&tree, "multilog").args(script),
                false => multilog(&tree, script),
            };
            let mut logger = command.stdin_from(own).start();
            // A standby process, or a processor about to start, may hold the lock for a moment.
            wait_until("it logs", DEADLINE, || {
                done = progress() > far;
                done || writer.is_finished() || logger.has_ended()
            });
            if !done && writer.is_finished() {
                logger.signal(Signal::TERM);
                logger.wait();
                continue;
            }
            if is_original {
                logger.signal(Signal::TERM);
                logger.wait();
                continue;
            }
            let left = standby_processes(&logger);
            standby_count += left.len();
            if next == Next::OursWithoutStandby {
                left.iter().for_each(|&standby| process::signal(standby, Signal::KILL));
            }
            logger.kill();
            // Lines that the standby process writes must not count as progress of the next logger:
            // at its first read, a part of a line does not survive a KILL (see the manual).
            left.into_iter().for_each(process::wait_gone);
        }
    }
    assert!(standby_count > 0, "{standby_count} standby processes");
    let reads = || multilog(&tree, script).stdin_from(reader.try_clone().expect("a reader")).run();
    reads().is(0, "", "");
    writer.join().expect("all is written");
    for (n, dir) in dirs.iter().enumerate() {
        let text = whole_log(&tree, dir);
        let mut lines = text.split_inclusive('\n');
        let mut last = "";
        for number in (0..count).filter(|number| n == 0 || !dropped(*number)) {
            let found = lines.next().unwrap_or_default();
            let (label, found) = found.split_at(stamp.min(found.len()));
            assert_eq!(found, line(number), "in {dir}");
            assert!(last <= label, "labels go back in {dir}: {last} {label}");
            last = label;
        }
        assert_eq!(lines.next(), None, "in {dir}");
    }
    assert!(!tree.exists("d/.multilog-batch"));
}

const ONE_DIRECTORY: [&str; 4] = ["t", "s300000", "n10000", "./d"];

#[test]
fn a_kill_under_load_loses_and_doubles_no_line() {
    kill_under_load(Next::Ours, &ONE_DIRECTORY, &["d"], 26, |_| false);
}

#[test]
fn a_kill_of_the_standby_process_as_well_loses_and_doubles_no_line() {
    kill_under_load(Next::OursWithoutStandby, &ONE_DIRECTORY, &["d"], 26, |_| false);
}

#[test]
fn a_kill_before_the_originals_turn_loses_and_doubles_no_line() {
    kill_under_load(Next::Original, &ONE_DIRECTORY, &["d"], 26, |_| false);
}

const SEVERAL_DIRECTORIES: [&str; 9] =
    ["s200000", "n10000", "./d", "-*7 *", "s99999", "!sleep 0.01; cat", "./e", "s5000000", "./f"];

/// The star ends at the first 7.
fn is_dropped(number: usize) -> bool {
    format!("{number:07}").find('7').is_some_and(|at| at == 6)
}

#[test]
fn a_kill_with_several_directories_and_a_processor_loses_and_doubles_no_line() {
    kill_under_load(Next::Ours, &SEVERAL_DIRECTORIES, &["d", "e", "f"], 0, is_dropped);
}

#[test]
fn a_kill_of_both_with_several_directories_loses_and_doubles_no_line() {
    kill_under_load(
        Next::OursWithoutStandby,
        &SEVERAL_DIRECTORIES,
        &["d", "e", "f"],
        0,
        is_dropped,
    );
}

/// The text that is left in a pipe whose writers have gone.
fn rest_of(mut reader: PipeReader, input: PipeWriter) -> String {
    drop(input);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("read");
    rest
}

#[test]
fn a_standby_process_writes_to_each_directory_what_another_one_has() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    tree.mkdir("d");
    tree.mkdir("e");
    let text: String = (0..1000).map(|n| format!("{n:04} {}\n", "x".repeat(n % 500))).collect();
    let (reader, mut input) = pipe().expect("a pipe");
    input.write_all(&text.as_bytes()[..60_000]).expect("write");
    // Two syncs are of the names of the new directories. Then the first directory syncs its first file
    // before the second directory receives a line.
    let kill = ["strace", "-qq", "-o", "calls", "-e", "inject=fsync:signal=KILL:when=3"];
    let own = reader.try_clone().expect("another reader");
    let script = ["s50000", "n100", "./d", "s8192", "./e"];
    let logger = multilog(&tree, &script).under(kill).stdin_from(own).start();
    logger.wait();
    let lock = fs::File::open(tree.path("e/lock")).expect("it is there");
    wait_until("the standby process has ended", DEADLINE, || lock.try_lock().is_ok());
    let written = whole_log(&tree, "d");
    assert!(written.len() > 40_000 && written.ends_with('\n'), "{} bytes", written.len());
    assert_eq!(whole_log(&tree, "e"), written);
    let files = finished_files(&tree, "e");
    assert!(files.len() >= 5, "{files:?}");
    for name in files.iter().map(String::as_str).chain(["current"]) {
        let file = tree.text(format!("e/{name}"));
        assert!(file.ends_with('\n') && file.len() <= 8192, "{name}: {} bytes", file.len());
    }
    assert_eq!(written + &rest_of(reader, input), text[..60_000]);
}

/// The process ids of the standby processes of a logger.
fn standby_processes(logger: &Process) -> Vec<u32> {
    let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm"));
    let of_ours = |pid: &u32| name(*pid).is_ok_and(|name| name == "multilog\n");
    process::descendants(logger.pid()).into_iter().filter(of_ours).collect()
}

/// The next logger waits for the standby process, and other programs may read the directory.
#[test]
fn a_standby_process_touches_no_file_that_waits_for_a_processor() {
    let tree = tree();
    let text: String = (0..200).map(|n| format!("{n:04} {}\n", "x".repeat(94))).collect();
    let (reader, mut input) = pipe().expect("a pipe");
    let own = reader.try_clone().expect("another reader");
    let script = ["s4096", "n100", "!sleep 2; cat", "./d"];
    let logger = multilog(&tree, &script).stdin_from(own).start();
    input.write_all(text.as_bytes()).expect("write");
    // The second full file waits for the processor of the first one.
    wait_until("a rotation waits", DEADLINE, || {
        let size = fs::metadata(tree.path("d/current")).map_or(0, |current| current.len());
        tree.exists("d/processed") && size == 4000
    });
    let standby = standby_processes(&logger);
    assert_eq!(standby.len(), 1);
    logger.kill();
    standby.into_iter().for_each(process::wait_gone);
    assert_eq!(finished_files(&tree, "d"), [""; 0]);
    let written = tree.text("d/previous") + &tree.text("d/current");
    assert!(written.len() > 6000 && written.ends_with('\n'), "{} bytes", written.len());
    // The next logger finds the lines that are not written, whether it knows the batch mark or not.
    assert_eq!(written + &rest_of(reader, input), text);
}

#[test]
fn a_logger_without_a_standby_process_doubles_no_line() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    let line = |n: usize| format!("{n:04} {}\n", "x".repeat(n % 100));
    let text: String = (0..1000).map(line).collect();
    for write in [3, 4, 9, 15] {
        let (reader, mut input) = pipe().expect("a pipe");
        input.write_all(text.as_bytes()).expect("write");
        let kill = format!("inject=write:signal=KILL:when={write}");
        let calls = "inject=fork,clone,clone3:error=EAGAIN";
        let under = ["strace", "-qq", "-o", "calls", "-e", calls, "-e", &kill];
        let own = reader.try_clone().expect("another reader");
        let dir = format!("./{write}");
        let script = [&dir[..]];
        multilog(&tree, &script).under(under).stdin_from(own).start().wait();
        let written = whole_log(&tree, &dir);
        let written = written.split_inclusive('\n').filter(|line| line.ends_with('\n')).count();
        let rest = rest_of(reader, input);
        let number = rest.split_once('\n').expect("a line").1.get(..4).expect("a number");
        let next: usize = number.parse().expect("a number");
        assert!((written..written + 100).contains(&next), "{write}: {written} lines, then {next}");
    }
}

#[test]
fn a_small_batch_has_a_standby_process() {
    let tree = tree();
    let (logger, mut input) = start(multilog(&tree, &["./d"]));
    let text = ("x".repeat(99) + "\n").repeat(40);
    input.write_all(text.as_bytes()).expect("write");
    wait_until("it is there", DEADLINE, || standby_processes(&logger).len() == 1);
    wait_until("all is written", DEADLINE, || tree.text("d/current") == text);
    wait_until("it has gone", DEADLINE, || standby_processes(&logger).is_empty());
    drop(input);
    logger.wait().is(0, "", "");
}

// A part of a line

/// The first read takes the beginning of a line out of the pipe.
#[test]
fn a_line_that_the_read_before_a_batch_cuts_survives_a_kill() {
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    let text: String = (0..300).map(|n| format!("{n:04} {}\n", "x".repeat(n % 100))).collect();
    for (call, when) in [("tee", 1), ("pwrite64", 2), ("pwrite64", 3), ("splice", 1)] {
        let (reader, mut input) = pipe().expect("a pipe");
        input.write_all(text.as_bytes()).expect("write");
        let dir = format!("./{call}{when}");
        let kill = format!("inject={call}:signal=KILL:when={when}");
        let under = ["strace", "-qq", "-o", "calls", "-e", &kill];
        let own = reader.try_clone().expect("another reader");
        multilog(&tree, &[&dir]).under(under).stdin_from(own).start().wait();
        drop(input);
        multilog(&tree, &[&dir]).stdin_from(reader).run().is(0, "", "");
        assert_eq!(whole_log(&tree, &dir), text, "{call} {when}");
    }
}

/// Starts multilog, and writes a burst that ends in the middle of a line. Returns when multilog
/// holds that part.
#[track_caller]
fn holding(tree: &Tree) -> (PipeReader, PipeWriter, Process) {
    let (reader, mut input) = pipe().expect("a pipe");
    let own = reader.try_clone().expect("another reader");
    let logger = multilog(tree, &["./d"]).stdin_from(own).start();
    let burst = "a line of the log\n".repeat(1000) + "the beginning ";
    input.write_all(burst.as_bytes()).expect("write");
    wait_until("it holds the beginning", DEADLINE, || {
        // Stage 3: the bytes have left the pipe.
        let mark = fs::read(tree.path("d/.multilog-batch")).unwrap_or_default();
        mark.ends_with(b"the beginning ") && mark.get(48) == Some(&3)
    });
    assert_eq!(tree.text("d/current").len(), 18_000);
    (reader, input, logger)
}

/// Starts the next logger, which gets `text` as the rest of its input.
#[track_caller]
fn log_with_the_next(tree: &Tree, reader: PipeReader, mut input: PipeWriter, text: &[u8]) {
    let logger = multilog(tree, &["./d"]).stdin_from(reader).start();
    input.write_all(text).expect("write");
    drop(input);
    logger.wait().is(0, "", "");
}

/// Waits until multilog has freed the buffers for bursts after a second without input: the pipe of
/// which it has both ends.
#[track_caller]
fn wait_quiet(logger: &Process) {
    wait_until("it is quiet", DEADLINE, || {
        let open = process::descriptors(logger.pid()).into_iter().filter(|(n, _)| *n > 2);
        let names = open.map(|(_, what)| what.to_string_lossy().into_owned());
        let mut pipes: Vec<String> = names.filter(|what| what.starts_with("pipe:")).collect();
        pipes.sort();
        pipes.windows(2).all(|pair| pair[0] != pair[1])
    });
}

#[test]
fn the_next_logger_gets_a_held_part_of_a_line() {
    for pause in [false, true] {
        let tree = tree();
        let (reader, input, logger) = holding(&tree);
        if pause {
            wait_quiet(&logger);
        }
        logger.kill();
        log_with_the_next(&tree, reader, input, b"and the end\n");
        assert_eq!(tree.text("d/current"), "the beginning and the end\n");
    }
}

#[test]
fn a_held_part_of_a_line_is_written_once() {
    let tree = tree();
    let (reader, mut input, logger) = holding(&tree);
    wait_quiet(&logger);
    input.write_all(b"and the end\n").expect("write");
    wait_until("it is there", DEADLINE, || {
        tree.text("d/current").ends_with("log\nthe beginning and the end\n")
    });
    logger.kill();
    log_with_the_next(&tree, reader, input, b"another line\n");
    assert_eq!(tree.text("d/current"), "another line\n");
}

#[test]
fn a_held_part_of_a_line_from_another_pipe_is_dropped() {
    let tree = tree();
    let (_, input, logger) = holding(&tree);
    logger.kill();
    drop(input);
    multilog(&tree, &["./d"]).stdin("another line\n").run().is(0, "", "");
    assert_eq!(tree.text("d/current"), "another line\n");
}

#[test]
fn a_held_part_of_a_line_survives_where_other_users_can_write() {
    let tree = tree();
    tree.mkdir("d");
    tree.chmod("d", 0o777);
    let (reader, input, logger) = holding(&tree);
    logger.kill();
    log_with_the_next(&tree, reader, input, b"and the end\n");
    assert_eq!(tree.text("d/current"), "the beginning and the end\n");
}
