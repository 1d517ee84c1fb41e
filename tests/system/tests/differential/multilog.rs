//! multilog leaves the same log directory as the original.

use crate::case::{Case, End, Feed, Item, Run, directories, random_case};
use crate::{SIDES, program, seeds, send, short, try_all};
use harness::{DEADLINE, Output, Process, Signal, Tree, process, wait_until};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::ioctl_fionread;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::fs::{DirBuilder, Permissions};
use std::io::{PipeWriter, pipe};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Names in a log directory that only ours has, while it runs or after a KILL.
const ONLY_OURS: [&str; 1] = [".multilog-batch"];

// Running a case

fn create_files(top: &Path, initial: &[(String, Item)]) {
    for (name, item) in initial {
        let path = top.join(name);
        match item {
            Item::Directory(mode) => {
                DirBuilder::new().create(&path).expect("make a directory");
                fs::set_permissions(path, Permissions::from_mode(*mode)).expect("set its mode");
            }
            Item::File(content, mode) => {
                fs::write(&path, content).expect("write a file");
                fs::set_permissions(path, Permissions::from_mode(*mode)).expect("set its mode");
            }
            // A smaller case may have lost the target.
            Item::Link(of) if top.join(of).exists() => {
                fs::hard_link(top.join(of), path).expect("link a file");
            }
            Item::Link(_) => {}
            Item::Symlink(target) => symlink(target, path).expect("make a symbolic link"),
        }
    }
}

/// Waits until the process has read everything and sleeps.
fn wait_idle(process: &mut Process, input: &PipeWriter) {
    wait_until("it has read everything", DEADLINE, || {
        process.has_ended()
            || (ioctl_fionread(input).is_ok_and(|left| left == 0)
                && process::state(process.pid()) == Some('S')
                && process::arguments(process.pid()).first().is_some_and(|name| {
                    // The child of the harness, before its exec, has another name.
                    name == "multilog"
                }))
    });
}

fn run_multilog(tree: &Tree, is_original: bool, cwd: &str, run: &Run) -> Output {
    let words = run.script.iter().map(|word| OsStr::from_bytes(word));
    let command = program(tree, is_original, "multilog").cwd(cwd).args(words);
    if run.feed == Feed::File {
        return command.stdin(run.pieces.concat()).run();
    }
    let (reader, input) = pipe().expect("a pipe");
    let mut flags = OFlags::NONBLOCK;
    if run.feed == Feed::Packets {
        flags |= OFlags::DIRECT;
    }
    fcntl_setfl(&input, flags).expect("set a pipe's flags");
    let mut process = command.stdin_from(reader).start();
    for piece in &run.pieces {
        send(&input, piece);
    }
    match run.end {
        End::Eof => {}
        End::Term => {
            wait_idle(&mut process, &input);
            process.signal(Signal::TERM);
        }
        End::Kill => {
            wait_idle(&mut process, &input);
            process.signal(Signal::KILL);
        }
    }
    // After TERM in the middle of a line multilog waits for the end of the line.
    drop(input);
    let output = process.wait();
    if run.end == End::Kill {
        // A process that multilog has started can still make files.
        wait_until("its processes have ended", DEADLINE, || tree.processes().is_empty());
    }
    output
}

/// A file, directory or link, as compared.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    links: u64,
    content: Vec<u8>,
}

/// All entries below a directory. Numbers replace the labels in the names of new finished files.
type Snapshot = BTreeMap<String, Entry>;

fn snapshot(top: &Path, below: &str, initial: &[(String, Item)], found: &mut Snapshot) {
    let mut names: Vec<String> = fs::read_dir(top.join(below))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .filter(|name| !ONLY_OURS.contains(&name.as_str()))
        .collect();
    names.sort();
    let mut new = 0;
    for name in names {
        let full = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let path = top.join(&full);
        let meta = path.symlink_metadata().expect("look at a file");
        let kind = meta.file_type();
        let entry = Entry {
            kind: match () {
                () if kind.is_dir() => "directory",
                () if kind.is_file() => "file",
                () if kind.is_symlink() => "link",
                () => "other",
            },
            mode: meta.mode() & 0o7777,
            links: if kind.is_dir() { 0 } else { meta.nlink() },
            content: if kind.is_file() { fs::read(&path).unwrap_or_default() } else { vec![] },
        };
        let was_there = initial.iter().any(|(initial, _)| *initial == full);
        let key = if !was_there && name.starts_with('@') {
            new += 1;
            format!("{below}/@new {new:04}{}", &name[25..])
        } else {
            full.clone()
        };
        found.insert(key, entry);
        if kind.is_dir() {
            snapshot(top, &full, initial, found);
        }
    }
}

/// Runs a case on one suite. Returns the output and the directory after each run of multilog.
fn run_case(tree: &Tree, is_original: bool, case: &Case) -> Vec<(Output, Snapshot)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let cwd = format!("case{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let top = tree.path(&cwd);
    DirBuilder::new().mode(0o755).create(&top).expect("make a directory");
    create_files(&top, &case.initial);
    let mut seen = Vec::new();
    for run in &case.runs {
        let mut output = run_multilog(tree, is_original, &cwd, run);
        output.stderr = without_additions(&output.err()).into_bytes();
        let mut found = Snapshot::new();
        snapshot(&top, "", &case.initial, &mut found);
        seen.push((output, found));
    }
    fs::remove_dir_all(top).expect("remove a directory");
    seen
}

/// What only ours prints: pieces with this beginning, then one of these texts, then this end.
const ADDITIONS: [(&str, &[&str], &str); 2] = [
    // Arguments that it ignores and numbers that it changes, as the original does silently. An
    // argument can contain newlines.
    (
        "multilog: warning: ",
        &[
            " is no action, ignored",
            " is not the first argument, ignored",
            " is too small, using ",
            " is too large, using ",
            " is not a number, using ",
        ],
        "\n",
    ),
    // The holder of a lock.
    (" (held by pid ", &[""], ")"),
];

fn without_additions(text: &str) -> String {
    let mut text = text.to_owned();
    for (begin, middles, end) in ADDITIONS {
        let mut kept = String::new();
        let mut rest = &*text;
        while let Some((before, piece)) = rest.split_once(begin) {
            kept += before;
            // The piece ends before the next message.
            let message = piece.split("multilog: ").next().unwrap_or_default();
            let middle =
                middles.iter().filter_map(|middle| Some(message.find(middle)? + middle.len()));
            let all = middle.min().and_then(|at| Some(at + message[at..].find(end)? + end.len()));
            if all.is_none() {
                kept += begin;
            }
            rest = &piece[all.unwrap_or(0)..];
        }
        text = kept + rest;
    }
    text
}

// Comparing

/// Replaces all digits of labels by 0.
fn masked(text: &[u8], stamps: bool) -> Vec<u8> {
    let mask = |c: &u8| if stamps && c.is_ascii_hexdigit() { b'0' } else { *c };
    text.iter().map(mask).collect()
}

/// Describes the first difference between the two suites in a case.
fn difference(tree: &Tree, case: &Case) -> Option<String> {
    let [original, ours] = SIDES.map(|side| run_case(tree, side, case));
    let mut stamps = false;
    for (n, run) in case.runs.iter().enumerate() {
        stamps |= run.stamps();
        let ((original, original_files), (ours, our_files)) = (&original[n], &ours[n]);
        let result = |o: &Output| (o.code, o.signal, o.stdout.clone(), masked(&o.stderr, stamps));
        if result(original) != result(ours) {
            let end = |o: &Output| format!("{:?} {:?} {}", o.code, o.signal, short(&o.stderr));
            return Some(format!("run {n}: original {}\nours {}", end(original), end(ours)));
        }
        let found = if case.is_exact() {
            compare(original_files, our_files, stamps)
        } else {
            compare_loosely(original_files, our_files, stamps, &case.runs[..=n])
        };
        if let Some(found) = found {
            return Some(format!("run {n}: {found}"));
        }
    }
    None
}

fn compare(original: &Snapshot, ours: &Snapshot, stamps: bool) -> Option<String> {
    let names = |files: &Snapshot| files.keys().cloned().collect::<Vec<_>>();
    if names(original) != names(ours) {
        return Some(format!("original {:?}\nours {:?}", names(original), names(ours)));
    }
    original.iter().zip(ours).find_map(|((name, original), (_, ours))| {
        let mask = |e: &Entry| Entry { content: masked(&e.content, stamps), ..e.clone() };
        (mask(original) != mask(ours)).then(|| {
            format!("{name}: original {}\nours {}", describe_entry(original), describe_entry(ours))
        })
    })
}

fn describe_entry(entry: &Entry) -> String {
    let Entry { kind, mode, links, content } = entry;
    format!("{kind} {mode:o}, {links} names, {} bytes: {}", content.len(), short(content))
}

/// With input in arbitrary pieces, the files may be cut at other places. Then their order and their
/// joined contents must be the same, and their lengths within the limits.
fn compare_loosely(
    original: &Snapshot,
    ours: &Snapshot,
    stamps: bool,
    runs: &[Run],
) -> Option<String> {
    // One rotation more or less leaves another state.
    let ends = ["/current", "/state", "/newstate"];
    let rolling =
        |name: &str| name.contains("/@new ") || ends.iter().any(|end| name.ends_with(end));
    let fixed = |files: &Snapshot| {
        files.clone().into_iter().filter(|(name, _)| !rolling(name)).collect::<Snapshot>()
    };
    if let Some(found) = compare(&fixed(original), &fixed(ours), stamps) {
        return Some(found);
    }
    let mut limits: BTreeMap<String, u64> = BTreeMap::new();
    for (dir, files, _) in runs.iter().flat_map(|run| directories(&run.script)) {
        let dir = dir.trim_start_matches("./").trim_end_matches('/').to_owned();
        let limit = limits.entry(dir).or_insert(files);
        *limit = files.min(*limit);
    }
    for (dir, limit) in limits {
        let joined = |files: &Snapshot| {
            let [new, current] = [format!("{dir}/@new "), format!("{dir}/current")];
            let old = files.iter().filter(|(name, _)| name.starts_with(&new));
            let joined: Vec<_> =
                old.chain(files.iter().filter(|(name, _)| **name == current)).collect();
            joined.into_iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>()
        };
        let (original, ours) = (joined(original), joined(ours));
        // A line in `current` has not been through `tr` yet.
        let whole = |joined: &[Entry]| {
            let mut text: Vec<u8> = joined.iter().flat_map(|e| e.content.clone()).collect();
            text.make_ascii_uppercase();
            masked(&text, stamps)
        };
        let (original_text, our_text) = (whole(&original), whole(&ours));
        // With few files the oldest ones are gone, and the cuts decide how many bytes.
        let same = if limit < 100 {
            original_text.ends_with(&our_text) || our_text.ends_with(&original_text)
        } else {
            original_text == our_text
        };
        if !same {
            return Some(format!(
                "{dir}: original {} bytes, ours {}",
                original_text.len(),
                our_text.len()
            ));
        }
        let modes = |joined: &[Entry]| joined.last().map(|e| (e.mode, e.kind, e.links));
        if modes(&original) != modes(&ours) {
            return Some(format!(
                "{dir}: original {:?}, ours {:?}",
                modes(&original),
                modes(&ours)
            ));
        }
    }
    None
}

/// Removes parts of the case as long as a difference remains.
fn shrink(tree: &Tree, case: Case) -> Case {
    let mut smallest = case;
    let begun = Instant::now();
    loop {
        let mut smaller = Vec::new();
        for n in 0..smallest.runs.len() {
            if smallest.runs.len() > 1 {
                let mut less = smallest.clone();
                less.runs.remove(n);
                smaller.push(less);
            }
            for word in 0..smallest.runs[n].script.len() {
                let mut less = smallest.clone();
                less.runs[n].script.remove(word);
                smaller.push(less);
            }
            let pieces = smallest.runs[n].pieces.len();
            let mut length = pieces;
            while length > 0 {
                for first in (0..pieces).step_by(length) {
                    let mut less = smallest.clone();
                    less.runs[n].pieces.drain(first..pieces.min(first + length));
                    smaller.push(less);
                }
                length /= 2;
            }
        }
        for n in 0..smallest.initial.len() {
            // Without `state` a processor may never run.
            if smallest.initial[n].0.ends_with("/state") {
                continue;
            }
            let mut less = smallest.clone();
            let (gone, _) = less.initial.remove(n);
            less.initial.retain(|(name, _)| !name.starts_with(&format!("{gone}/")));
            smaller.push(less);
        }
        let fails = |case: &Case| {
            begun.elapsed() < Duration::from_secs(60) && difference(tree, case).is_some()
        };
        match smaller.into_iter().find(fails) {
            Some(less) => smallest = less,
            None => return smallest,
        }
    }
}

fn describe(case: &Case) -> String {
    let mut text = String::new();
    for (name, item) in &case.initial {
        let item = match item {
            Item::File(content, mode) => format!("{mode:o} \"{}\"", short(content)),
            other => format!("{other:?}"),
        };
        writeln!(text, "  {name}: {item}").expect("text");
    }
    for run in &case.runs {
        let words: Vec<String> = run.script.iter().map(|w| format!("'{}'", short(w))).collect();
        writeln!(text, "  multilog {} ({:?}, {:?})", words.join(" "), run.feed, run.end)
            .expect("text");
        for piece in &run.pieces {
            writeln!(text, "    \"{}\"", short(piece)).expect("text");
        }
    }
    text
}

#[test]
fn multilog_leaves_what_the_original_leaves() {
    try_all(seeds(300), |tree, seed| {
        let case = random_case(seed);
        let first = difference(tree, &case)?;
        let case = shrink(tree, case);
        let found = difference(tree, &case).unwrap_or(first);
        Some(format!("{found}\n{}", describe(&case)))
    });
}
