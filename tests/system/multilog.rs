//! multilog: what the original does not do.

use harness::{Cmd, DEADLINE, Process, Signal, Tree, process, wait_until};
use std::fs;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::unix::fs::{MetadataExt, symlink};
use std::thread;
use system::{PROMPT, Terminal, assert_calm, memory, status_line, strace_works, theirs, tree};

fn multilog<'t>(tree: &'t Tree, script: &[&str]) -> Cmd<'t> {
    tree.cmd("multilog").args(script)
}

/// Runs it on an input and gives what is in `d`.
#[track_caller]
fn logged(script: &[&str], input: &str) -> String {
    let tree = tree();
    multilog(&tree, script).stdin(input).run().is(0, "", "");
    whole(&tree, "d")
}

/// The finished files of a log, in order.
fn finished(tree: &Tree, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(tree.path(dir)).expect("a directory");
    let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name"));
    let mut names: Vec<String> = names.filter(|n| n.starts_with('@')).collect();
    names.sort();
    names
}

/// Everything in a log, in order.
fn whole(tree: &Tree, dir: &str) -> String {
    let old = finished(tree, dir).into_iter().map(|name| tree.text(format!("{dir}/{name}")));
    old.chain([tree.text(format!("{dir}/current"))]).collect()
}

/// A pipe whose write end nobody waits for.
fn open_pipe() -> (PipeReader, PipeWriter) {
    pipe().expect("a pipe")
}

// Stamps

#[test]
fn dates_can_stand_before_the_lines() {
    let text = logged(&["I", "./d"], "one\n");
    let (stamp, line) = text.split_once(' ').expect("a stamp");
    assert_eq!(line, "one\n");
    let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
}

/// A label of a moment so many seconds from now.
fn label_in(seconds: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.expect("a clock").as_secs()).expect("a clock");
    let seconds = u64::try_from(now + seconds).expect("later than 1970");
    format!("@{:016x}00000001", (1 << 62) + 10 + seconds)
}

#[test]
fn labels_do_not_go_back_in_a_file_when_the_clock_did() {
    for (ahead, stays) in [(3600, true), (-10, false), (1_000_000_000, false)] {
        let tree = tree();
        let before = label_in(ahead);
        tree.mkdir("d");
        tree.write("d/current", format!("{before} one\n"));
        tree.chmod("d/current", 0o744);
        multilog(&tree, &["t", "./d"]).stdin("two\n").run().is(0, "", "");
        let text = tree.text("d/current");
        let (label, line) = text.lines().nth(1).expect("a line").split_at(25);
        assert_eq!(line, " two");
        assert_eq!(label == before, stays, "{label} after {before}");
    }
}

#[test]
fn old_files_with_names_from_the_future_do_not_make_later_ones_go() {
    let tree = tree();
    tree.mkdir("d");
    let ahead: Vec<String> = (0..4).map(|n| format!("{}.s", label_in(1_000_000 + n))).collect();
    for name in &ahead {
        tree.write(format!("d/{name}"), "of the future\n");
    }
    let input: String = (0..400).map(|n| format!("{n:063}\n")).collect();
    multilog(&tree, &["s4096", "n4", "./d"]).stdin(&input).run().is(0, "", "");
    let left = finished(&tree, "d");
    assert!(left.len() == 3 && left.iter().all(|name| *name > ahead[3]), "{left:?}");
    assert!(input.ends_with(&whole(&tree, "d")));
}

#[test]
fn seconds_can_stand_before_the_lines() {
    let text = logged(&["T", "./d"], "one\n");
    let (stamp, line) = text.split_once(' ').expect("a stamp");
    assert_eq!(line, "one\n");
    let (seconds, micro) = stamp.split_once('.').expect("a fraction");
    assert!(seconds.parse::<u64>().expect("a number") > 1_700_000_000);
    assert_eq!(micro.len(), 6);
}

// Patterns

#[test]
fn patterns_can_be_those_of_the_shell_for_every_line_alike() {
    let input = "aab\nxb\nab\naab\n";
    // The first pattern is before F, and stays a simple one for all lines.
    assert_eq!(logged(&["-*", "+*ab", "F", "+x[a-c]", "./d"], input), "xb\nab\n");
    assert_eq!(logged(&["F", "-*", "+*ab", "./d"], input), "aab\nab\naab\n");
    assert_eq!(logged(&["F", "-*", "S", "+*ab", "./d"], input), "ab\n");
}

// Limits

#[test]
fn numbers_which_are_too_small_are_told() {
    let tree = tree();
    let said = multilog(&tree, &["s10", "n1", "R", "a0", "./d", "s5k"]).stdin("x\n").run();
    let expected = "\
        multilog: warning: s10 is too small, using s4096\n\
        multilog: warning: n1 is too small, using n2\n\
        multilog: warning: R is too small, using R1\n\
        multilog: warning: a0 is too small, using a1\n\
        multilog: warning: s5k is too small, using s4096\n";
    said.is(0, "", expected);
}

#[test]
fn numbers_which_are_something_else_are_told() {
    let tree = tree();
    let script = ["s5000k", "n99999999999999999999", "./d"];
    let expected = "\
        multilog: warning: s5000k is not a number, using s5000\n\
        multilog: warning: n99999999999999999999 is too large, using n18446744073709551615\n";
    multilog(&tree, &script).stdin("x\n").run().is(0, "", expected);
}

#[test]
fn a_word_that_ends_no_name_is_refused_at_the_start() {
    let tree = tree();
    let long = format!("w{}", "x".repeat(230));
    for word in ["wa/b", "w/", &long] {
        let expected = format!("multilog: fatal: {word} is no end of a file's name\n");
        multilog(&tree, &[word, "./d"]).stdin("x\n").run().is(100, "", expected);
    }
    assert!(!tree.exists("d"));
    multilog(&tree, &["wa/b", "w", "./d"]).stdin("x\n").run().is(0, "", "");
}

#[test]
fn no_size_is_too_large() {
    let tree = tree();
    let line = "x".repeat(99) + "\n";
    for size in ["s16777216", "s99999999999", "s99999999999999999999999"] {
        let dir = format!("./{size}");
        // Only what no file can be as large as is not taken as it is.
        let said = match size.len() {
            20.. => {
                format!("multilog: warning: {size} is too large, using s18446744073709551615\n")
            }
            _ => String::new(),
        };
        multilog(&tree, &[size, &dir]).stdin(line.repeat(170_000)).run().is(0, "", &said);
        assert!(finished(&tree, size).len() <= 1);
        assert_eq!(finished(&tree, size).is_empty(), size.len() > 9);
    }
}

#[test]
fn old_files_take_no_more_room_than_they_may() {
    let tree = tree();
    let line = "x".repeat(99) + "\n";
    let script = ["s4096", "n100", "c10000", "./d"];
    multilog(&tree, &script).stdin(line.repeat(500)).run().is(0, "", "");
    let size = |name: &String| fs::metadata(tree.path("d").join(name)).expect("a file").size();
    let old = finished(&tree, "d");
    let total: u64 = old.iter().map(size).sum();
    assert!(total <= 10_000 && old.len() >= 2, "{total} in {} files", old.len());
}

#[test]
fn finished_files_can_end_with_another_word() {
    let tree = tree();
    let input = ("x".repeat(99) + "\n").repeat(100);
    multilog(&tree, &["s4096", "wdone", "./d"]).stdin(&input).run().is(0, "", "");
    let old = finished(&tree, "d");
    assert!(!old.is_empty() && old.iter().all(|name| name.ends_with(".done") && name.len() == 30));
    let script = ["s4096", "w", "!cat", "./e"];
    multilog(&tree, &script).stdin(&input).run().is(0, "", "");
    assert!(finished(&tree, "e").iter().all(|name| name.ends_with('.')));
}

#[test]
fn a_new_file_is_begun_when_the_period_is_over_though_nothing_comes() {
    let tree = tree();
    let (reader, mut input) = open_pipe();
    let logger = multilog(&tree, &["t", "a1", "./d"]).stdin_from(reader).start();
    input.write_all(b"one\n").expect("write");
    wait_until("a finished file", DEADLINE, || {
        tree.exists("d") && finished(&tree, "d").len() == 1 && !tree.exists("d/previous")
    });
    // An empty file is not finished, and nothing is due.
    assert_calm(logger.pid(), PROMPT);
    assert_eq!(finished(&tree, "d").len(), 1);
    assert_eq!(tree.text("d/current"), "");
    drop(input);
    logger.wait().is(0, "", "");
}

#[test]
fn what_is_too_much_for_a_second_is_counted() {
    let tree = tree();
    let (reader, mut input) = open_pipe();
    let logger = multilog(&tree, &["R10", "./d"]).stdin_from(reader).start();
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    input.write_all(lines.as_bytes()).expect("write");
    // It is said by itself, in the second after the last.
    let text = tree.wait_text("d/current", " lines\n");
    let mut dropped = 0;
    let mut kept = 0;
    for line in text.lines() {
        match line.strip_prefix("multilog: dropped ").and_then(|rest| rest.strip_suffix(" lines")) {
            Some(count) => dropped += count.parse::<usize>().expect("a number"),
            None => kept += 1,
        }
    }
    // If a second ended meanwhile, there were two tens.
    assert!(kept == 10 || kept == 20, "{kept}");
    assert!(dropped + kept <= 1000);
    drop(input);
    logger.wait().is(0, "", "");
}

#[test]
fn what_was_too_much_is_told_before_the_end() {
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    for term in [false, true] {
        let tree = tree();
        let (logger, mut input) = start(multilog(&tree, &["R10", "./d"]));
        input.write_all(lines.as_bytes()).expect("write");
        tree.wait_text("d/current", "9\n");
        if term {
            logger.signal(Signal::TERM);
            assert_eq!(logger.wait().code, Some(0));
        } else {
            drop(input);
            logger.wait().is(0, "", "");
        }
        let text = tree.text("d/current");
        let dropped = |line: &str| {
            line.strip_prefix("multilog: dropped ")?.strip_suffix(" lines")?.parse::<usize>().ok()
        };
        let told: usize = text.lines().filter_map(dropped).sum();
        let kept = text.lines().filter(|line| dropped(line).is_none()).count();
        assert!(told > 0 && kept + told <= 1000, "{kept} {told}");
        assert!(term || kept + told == 1000, "{kept} {told}");
    }
}

// Troubles

#[test]
fn a_signal_ends_a_pause() {
    let tree = tree();
    let (reader, mut input) = open_pipe();
    // What is said goes to a file as well.
    let limit = ["prlimit", "--fsize=3000:1000000"];
    let logger = multilog(&tree, &["./d"]).under(limit).stdin_from(reader).start();
    let line = "x".repeat(4000) + "\n";
    input.write_all(line.as_bytes()).expect("write");
    logger.wait_stderr("unable to write to ./d/current, pausing");
    let pid = logger.pid().to_string();
    let raise = tree.cmd("prlimit").args(["--pid", &pid, "--fsize=1000000:1000000"]);
    raise.run().is(0, "", "");
    // It would try again after five seconds.
    logger.signal(Signal::TERM);
    assert_eq!(logger.wait_within(PROMPT).code, Some(0));
    assert_eq!(tree.text("d/current"), line);
}

/// Starts it with its input a pipe.
#[track_caller]
fn start(command: Cmd<'_>) -> (Process, PipeWriter) {
    let (reader, input) = open_pipe();
    (command.stdin_from(reader).start(), input)
}

/// Lets a signal come while it pauses, and then there is room again.
#[track_caller]
fn in_a_pause(signal: Signal) -> (Tree, Process, PipeWriter) {
    let tree = tree();
    let limit = ["prlimit", "--fsize=100:100000"];
    let (logger, mut input) = start(multilog(&tree, &["./d"]).under(limit));
    input.write_all(&[b'x'; 200]).expect("write");
    input.write_all(b"\n").expect("write");
    logger.wait_stderr("unable to write to ./d/current, pausing: file too big\n");
    logger.signal(signal);
    let pid = logger.pid().to_string();
    let raise = tree.cmd("prlimit").args(["--pid", &pid, "--fsize=100000:100000"]);
    raise.run().is(0, "", "");
    (tree, logger, input)
}

#[test]
fn term_in_a_pause_is_obeyed_without_more_input() {
    let (tree, logger, _input) = in_a_pause(Signal::TERM);
    assert_eq!(logger.wait().code, Some(0));
    assert_eq!(tree.text("d/current"), "x".repeat(200) + "\n");
    assert_eq!(tree.mode("d/current"), 0o744);
}

#[test]
fn alrm_in_a_pause_is_obeyed_without_more_input() {
    let (tree, _logger, _input) = in_a_pause(Signal::ALARM);
    wait_until("there is an old file", DEADLINE, || finished(&tree, "d").len() == 1);
    let name = finished(&tree, "d").remove(0);
    assert_eq!(tree.text(format!("d/{name}")), "x".repeat(200) + "\n");
}

#[test]
fn term_ends_a_pause_for_a_status_file() {
    let tree = tree();
    symlink("/dev/full", tree.path("full")).expect("a link");
    let (logger, mut input) = start(multilog(&tree, &["=full", "./d"]));
    input.write_all(b"one\ntwo\nthree\n").expect("write");
    logger.wait_stderr("unable to write full, pausing: out of disk space\n");
    logger.signal(Signal::TERM);
    assert_eq!(logger.wait_within(PROMPT).code, Some(0));
    assert_eq!(tree.text("d/current"), "one\ntwo\nthree\n");
}

#[test]
fn old_names_of_all_kinds_are_removed_or_left_and_nothing_is_said() {
    let tree = tree();
    let name = |digit: &str| format!("@{}.s", digit.repeat(24));
    tree.mkdir(format!("d/{}/below", name("1")));
    tree.write(format!("d/{}", name("2")), "unreadable");
    tree.chmod(format!("d/{}", name("2")), 0);
    symlink("nowhere", tree.path(format!("d/{}", name("3")))).expect("a link");
    tree.fifo(format!("d/{}", name("0")), 0o600);
    tree.write(format!("d/@{}.s{}", "2".repeat(24), "x".repeat(200)), "a long name");
    tree.write(format!("d/{}", name("f")), "of the future");
    for short in ["@", "@short", "@40000000123456780000000"] {
        tree.write(format!("d/{short}"), "no old file");
    }
    let lines = "x".repeat(63) + "\n";
    let logger = multilog(&tree, &["s4096", "n4", "./d"]);
    logger.stdin(lines.repeat(200)).run().is(0, "", "");
    let left = finished(&tree, "d");
    // Three, and the directory, which cannot be removed.
    let old: Vec<&String> = left.iter().filter(|name| name.len() >= 25).collect();
    assert_eq!(old.len(), 4, "{left:?}");
    assert_eq!((old[0], old[3]), (&name("1"), &name("f")));
    let kept = old[1..3].iter().map(|name| tree.text(format!("d/{name}")));
    let kept = kept.collect::<String>() + &tree.text("d/current");
    assert!(kept.len() > 4000 && lines.repeat(200).ends_with(&kept));
    assert_eq!(left.len(), 7);
}

#[test]
fn a_terminal_is_an_input_like_others() {
    let tree = tree();
    let (mut user, terminal) = Terminal::open();
    let logger = multilog(&tree, &["./d"]).stdin_from(terminal).start();
    user.types(b"one\ntwo\n");
    wait_until("both lines are there", DEADLINE, || tree.text("d/current") == "one\ntwo\n");
    // The first end of file only ends the piece, as everywhere.
    user.types(b"thr\x04ee\n\x04");
    logger.wait().is(0, "", "");
    assert_eq!(tree.text("d/current"), "one\ntwo\nthree\n");
}

// KILL

/// Who reads the pipe when ours is killed.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Ours,
    /// Ours, and the heir is killed as well.
    OursWithoutHeir,
    /// The original, which is told to end after a while.
    Original,
}

/// Lets a writer that never pauses fill a pipe, and kills one logger after the other on the other
/// side. In the end all lines have to be there once, in order.
#[track_caller]
fn kill_under_load(
    next: Next,
    script: &[&str],
    dirs: &[&str],
    stamp: usize,
    dropped: fn(usize) -> bool,
) {
    const LINES: usize = 500_000;
    let tree = tree();
    let (reader, mut input) = open_pipe();
    let line = |n: usize| format!("{n:07} {}\n", "x".repeat(n % 200));
    let writer = thread::spawn(move || {
        let text: String = (0..LINES).map(line).collect();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let length = match next {
                // What it cannot know is the beginning of a line that is held: see the manual.
                Next::Original => {
                    1 + rest[..4096.min(rest.len())]
                        .iter()
                        .rposition(|c| *c == b'\n')
                        .expect("a line ends")
                }
                // In pieces that end anywhere.
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
    let mut heirs = 0;
    for round in 0..20_u64 {
        // The moment is another one each time.
        let far = progress() + 200_000 + round * 7919;
        let mut done = false;
        while !done {
            let is_theirs = next == Next::Original && round % 2 == 1;
            let own = reader.try_clone().expect("another reader");
            let command = match is_theirs {
                true => theirs(&tree, "multilog").args(script),
                false => multilog(&tree, script),
            };
            let mut logger = command.stdin_from(own).start();
            // An heir, or a processor that was about to be run, may have the directory locked a
            // little longer.
            wait_until("it logs", DEADLINE, || {
                done = progress() > far || writer.is_finished();
                done || logger.has_ended()
            });
            if is_theirs {
                logger.signal(Signal::TERM);
                logger.wait();
                continue;
            }
            let descendants = process::descendants(logger.pid());
            let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm"));
            let of_ours = |pid: &u32| name(*pid).is_ok_and(|name| name == "multilog\n");
            let left: Vec<u32> = descendants.into_iter().filter(of_ours).collect();
            heirs += left.len();
            if next == Next::OursWithoutHeir {
                left.iter().for_each(|&heir| process::signal(heir, Signal::KILL));
            }
            logger.kill();
            // What it still writes is not how far the next one has come: in what that reads first,
            // the beginning of a line is not safe from a KILL, see the manual.
            left.into_iter().for_each(process::wait_gone);
        }
    }
    assert!(heirs > 0, "{heirs} heirs");
    let reads = || multilog(&tree, script).stdin_from(reader.try_clone().expect("a reader")).run();
    reads().is(0, "", "");
    writer.join().expect("all is written");
    for (n, dir) in dirs.iter().enumerate() {
        let text = whole(&tree, dir);
        let mut lines = text.split_inclusive('\n');
        let mut last = "";
        for number in (0..LINES).filter(|number| n == 0 || !dropped(*number)) {
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
fn nor_does_one_that_kills_the_heir_as_well() {
    kill_under_load(Next::OursWithoutHeir, &ONE_DIRECTORY, &["d"], 26, |_| false);
}

#[test]
fn nor_does_one_if_the_original_is_the_next() {
    kill_under_load(Next::Original, &ONE_DIRECTORY, &["d"], 26, |_| false);
}

const SEVERAL_DIRECTORIES: [&str; 9] =
    ["s200000", "n10000", "./d", "-*7 *", "s99999", "!sleep 0.01; cat", "./e", "s5000000", "./f"];

/// The star ends at the first 7.
fn is_dropped(number: usize) -> bool {
    format!("{number:07}").find('7').is_some_and(|at| at == 6)
}

#[test]
fn nor_does_it_in_one_of_several_directories_with_a_processor() {
    kill_under_load(Next::Ours, &SEVERAL_DIRECTORIES, &["d", "e", "f"], 0, is_dropped);
}

#[test]
fn nor_there_without_an_heir() {
    kill_under_load(Next::OursWithoutHeir, &SEVERAL_DIRECTORIES, &["d", "e", "f"], 0, is_dropped);
}

/// Starts it, and lets a burst end in the middle of a line, whose beginning it then holds.
#[track_caller]
fn holding(tree: &Tree) -> (PipeReader, PipeWriter, Process) {
    let (reader, mut input) = open_pipe();
    let own = reader.try_clone().expect("another reader");
    let logger = multilog(tree, &["./d"]).stdin_from(own).start();
    let burst = "a line of the log\n".repeat(1000) + "the beginning ";
    input.write_all(burst.as_bytes()).expect("write");
    wait_until("it holds the beginning", DEADLINE, || {
        // The stage says that it is out of the pipe.
        let mark = fs::read(tree.path("d/.multilog-batch")).unwrap_or_default();
        mark.ends_with(b"the beginning ") && mark.get(48) == Some(&3)
    });
    assert_eq!(tree.text("d/current").len(), 18_000);
    (reader, input, logger)
}

/// Waits until a second without input is over and it has given back what bursts need: the pipe of
/// which it has both ends.
#[track_caller]
fn wait_quiet(logger: &Process) {
    wait_until("it does not look any more", DEADLINE, || {
        let open = process::descriptors(logger.pid()).into_iter().filter(|(n, _)| *n > 2);
        let names = open.map(|(_, what)| what.to_string_lossy().into_owned());
        let mut pipes: Vec<String> = names.filter(|what| what.starts_with("pipe:")).collect();
        pipes.sort();
        pipes.windows(2).all(|pair| pair[0] != pair[1])
    });
}

#[test]
fn a_beginning_that_is_held_is_there_for_the_next_logger_also_after_a_pause() {
    for pause in [false, true] {
        let tree = tree();
        let (reader, mut input, logger) = holding(&tree);
        if pause {
            wait_quiet(&logger);
        }
        logger.kill();
        let logger = multilog(&tree, &["./d"]).stdin_from(reader).start();
        input.write_all(b"and the end\n").expect("write");
        drop(input);
        logger.wait().is(0, "", "");
        assert_eq!(tree.text("d/current"), "the beginning and the end\n");
    }
}

#[test]
fn a_beginning_that_got_its_end_is_not_written_again() {
    let tree = tree();
    let (reader, mut input, logger) = holding(&tree);
    wait_quiet(&logger);
    input.write_all(b"and the end\n").expect("write");
    wait_until("it is there", DEADLINE, || {
        tree.text("d/current").ends_with("log\nthe beginning and the end\n")
    });
    logger.kill();
    let logger = multilog(&tree, &["./d"]).stdin_from(reader).start();
    input.write_all(b"another line\n").expect("write");
    drop(input);
    logger.wait().is(0, "", "");
    assert_eq!(tree.text("d/current"), "another line\n");
}

#[test]
fn a_beginning_from_another_pipe_is_no_beginning() {
    let tree = tree();
    let (_, input, logger) = holding(&tree);
    logger.kill();
    drop(input);
    multilog(&tree, &["./d"]).stdin("another line\n").run().is(0, "", "");
    assert_eq!(tree.text("d/current"), "another line\n");
}

#[test]
fn what_much_input_took_is_given_back() {
    let tree = tree();
    let (reader, mut input) = open_pipe();
    let logger = multilog(&tree, &["t", "s1000000", "n2", "./d"]).stdin_from(reader).start();
    let pid = logger.pid();
    input.write_all(b"a line of the log\n").expect("write");
    tree.wait_text("d/current", "log");
    let (few, before) = (process::descriptors(pid).len(), memory(pid, "Anonymous"));
    let text = "a line of the log\n".repeat(100_000);
    input.write_all(text.as_bytes()).expect("write");
    // The mark of batches stays.
    wait_until("it has its descriptors back", DEADLINE, || {
        tree.exists("d/.multilog-batch") && process::descriptors(pid).len() == few + 1
    });
    let more = memory(pid, "Anonymous").saturating_sub(before);
    assert!(more <= 8, "{more} KiB");
    drop(input);
    logger.wait().is(0, "", "");
}

#[test]
fn ten_thousand_old_files_are_looked_at_once_for_each_rotation() {
    const FILES: u32 = 10_000;
    let tree = tree();
    if !strace_works(&tree) {
        return;
    }
    tree.mkdir("d");
    for n in 0..FILES {
        tree.write(format!("d/@40000000{n:08x}00000000.s"), "old\n");
    }
    let line = "x".repeat(99) + "\n";
    let only = "trace=getdents64,linkat,unlinkat,statx,newfstatat";
    multilog(&tree, &["s4096", "n10000", "./d"])
        .under(["strace", "-f", "-qq", "-o", "calls", "-e", only])
        .stdin(line.repeat(1000))
        .run()
        .is(0, "", "");
    let calls = tree.text("calls");
    let count = |name: &str| calls.lines().filter(|line| line.contains(name)).count();
    let rotations = count(" linkat(");
    assert!((20..60).contains(&rotations), "{rotations} rotations");
    // Each time there is one too many of them, and `previous` loses its name.
    let gone = count("unlinkat(");
    assert!((2 * rotations..2 * rotations + 6).contains(&gone), "{gone} for {rotations}");
    // Some 40 entries come at once, and none is looked at by itself.
    let looks = count("getdents64(");
    assert!(looks <= 300 * (rotations + 1), "{looks} for {rotations}");
    let stats = count("stat");
    assert!(stats <= 10 * (rotations + 1), "{stats} for {rotations}");
    assert_eq!(finished(&tree, "d").len(), FILES as usize - 1);
}

#[test]
fn a_line_of_a_hundred_megabytes_takes_no_more_memory_than_others() {
    const LENGTH: usize = 100_000_000;
    let tree = tree();
    let (reader, mut input) = open_pipe();
    let logger = multilog(&tree, &["t", "s200000000", "./d"]).stdin_from(reader).start();
    for _ in 0..LENGTH / 100_000 {
        input.write_all(&[b'x'; 100_000]).expect("write");
    }
    let size = || fs::metadata(tree.path("d/current")).map_or(0, |meta| meta.len());
    // Without its end, of which nobody knows when it will come.
    wait_until("all of it is written", DEADLINE, || size() == LENGTH as u64 + 26);
    let most = status_line(logger.pid(), "VmHWM").expect("its memory");
    let most: u32 = most.trim_end_matches(" kB").parse().expect("a number");
    assert!(most < 2048, "{most} KiB, the executable among them");
    drop(input);
    logger.wait().is(0, "", "");
    assert_eq!(size(), LENGTH as u64 + 27);
}
