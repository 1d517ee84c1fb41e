//! Our logging programs and the original's, side by side, on random scripts, inputs and log
//! directories. What they leave behind has to be the same.
//!
//! A case is made from its seed alone. A few hundred are tried each time:
//! `DAEMONTOOLS_FUZZ_CASES` asks for more, and `DAEMONTOOLS_FUZZ_SEED` says with which seed to
//! begin, so that `DAEMONTOOLS_FUZZ_SEED=4711 DAEMONTOOLS_FUZZ_CASES=1` repeats the case which a
//! failure names. The failure shows the smallest part of the case that still fails.
//!
//! Cases leave out what `docs/behaviour-not-in-the-manual.md` calls different.

use harness::{Cmd, DEADLINE, Output, Process, Signal, Tree, process, wait_until};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread, write};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{PipeWriter, pipe};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use system::{theirs, tree};

/// Names in a log directory which only ours has while it runs or after a KILL.
const ONLY_OURS: [&str; 1] = [".multilog-batch"];

/// What original and ours are.
const SIDES: [bool; 2] = [true, false];

// Chance

/// The same numbers for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from((self.next() >> 33) % limit as u64).expect("small")
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn choose<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn bytes(&mut self, alphabet: &[u8], length: usize) -> Vec<u8> {
        (0..length).map(|_| self.choose(alphabet)).collect()
    }
}

/// The first seed and the number of cases, of `usually` if nobody asks for more.
fn seeds(usually: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number"));
    let first = number("DAEMONTOOLS_FUZZ_SEED").unwrap_or(1);
    first..first + number("DAEMONTOOLS_FUZZ_CASES").unwrap_or(usually)
}

/// Tries cases in several threads, each in trees of its own. `check` says what is wrong.
#[track_caller]
fn try_all(seeds: std::ops::Range<u64>, check: impl Fn(&Tree, u64) -> Option<String> + Sync) {
    const IN_ONE_TREE: u64 = 50;
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(IN_ONE_TREE, Ordering::Relaxed);
                    if first >= seeds.end {
                        return;
                    }
                    let tree = tree();
                    for seed in first..seeds.end.min(first + IN_ONE_TREE) {
                        if let Some(found) = check(&tree, seed) {
                            let text = format!("DAEMONTOOLS_FUZZ_SEED={seed}: {found}");
                            failures.lock().expect("nobody panics with it").push(text);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody has panicked");
    let (count, first) = (failures.len(), &failures[..failures.len().min(5)]);
    assert!(failures.is_empty(), "{count} cases differ:\n{}", first.join("\n"));
}

fn program<'t>(tree: &'t Tree, is_theirs: bool, name: &str) -> Cmd<'t> {
    if is_theirs { theirs(tree, name) } else { tree.cmd(name) }
}

// multilog: a case

#[derive(Clone, Debug)]
struct Case {
    /// What lies in the directory where multilog starts, in the order in which it is made.
    prior: Vec<(String, Item)>,
    lives: Vec<Life>,
}

#[derive(Clone, Debug)]
enum Item {
    Directory(u32),
    File(Vec<u8>, u32),
    /// A second name of a file.
    Link(String),
    Symlink(String),
}

/// One run of multilog.
#[derive(Clone, Debug)]
struct Life {
    script: Vec<Vec<u8>>,
    /// What is written at once.
    pieces: Vec<Vec<u8>>,
    feed: Feed,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Feed {
    /// Each read gives one piece, which has one newline at most, and that is its end. Then the
    /// files are cut at the same places, however much is read and written at once.
    Packets,
    Pipe,
    File,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Eof,
    Term,
    Kill,
}

impl Life {
    fn stamps(&self) -> bool {
        self.script.first().is_some_and(|word| word.starts_with(b"t"))
    }
}

impl Case {
    /// Whether files have to be cut at the same places.
    fn is_exact(&self) -> bool {
        self.lives.iter().all(|life| life.feed == Feed::Packets)
    }
}

/// The digits at the beginning, as multilog reads them.
fn number(text: &[u8]) -> u64 {
    text.iter()
        .take_while(|c| c.is_ascii_digit())
        .fold(0, |n: u64, c| n.wrapping_mul(10).wrapping_add(u64::from(c - b'0')))
}

/// The log directories of a script, with the number of files and the size asked for.
fn directories(script: &[Vec<u8>]) -> Vec<(String, u64, u64)> {
    let (mut files, mut size, mut found) = (10, 99_999, Vec::new());
    for word in script {
        match word.first() {
            Some(b'n') => files = number(&word[1..]).max(2),
            Some(b's') => size = number(&word[1..]).clamp(4096, 16_777_215),
            Some(b'.') => found.push((String::from_utf8_lossy(word).into_owned(), files, size)),
            _ => {}
        }
    }
    found
}

const ALPHABET: &[u8] = b"gh xz";

fn any_byte() -> Vec<u8> {
    (0..=255).collect()
}

/// A line without its newline.
fn line(random: &mut Random) -> Vec<u8> {
    let edge = [26, 200, 512, 974, 1000, 1001, 1024, 2000, 2048, 4096, 5000];
    let length = match random.below(10) {
        0 => 0,
        1..=4 => random.below(12),
        5..=7 => random.below(300),
        8 => random.between(301, 1100),
        _ => (random.choose(&edge) + random.below(7)).saturating_sub(3),
    };
    let mut line = match random.below(6) {
        0 => random.bytes(&any_byte(), length),
        1 => vec![b'g'; length],
        2 => random.bytes(b"\0\r\xff", length),
        _ => random.bytes(ALPHABET, length),
    };
    line.iter_mut().filter(|c| **c == b'\n').for_each(|c| *c = b'*');
    // The only one of its kind, near the place behind which patterns do not look.
    if length > 940 && random.once_in(2) {
        let place = random.choose(&[973, 974, 975, 998, 999, 1000, 1001]);
        line.iter_mut().filter(|c| **c == b'z').for_each(|c| *c = b'h');
        if let Some(byte) = line.get_mut(place) {
            *byte = b'z';
        }
    }
    line
}

fn pattern(random: &mut Random, lines: &[Vec<u8>], stamps: bool) -> Vec<u8> {
    let mut pattern = match random.below(8) {
        0 => random.choose(&[&b"*"[..], b"", b"**", b"*z", b"*z*", b"g*", b"*\xff*"]).to_vec(),
        1..=3 => {
            let length = random.below(6);
            random.bytes(b"gh xz**", length)
        }
        4 => {
            let length = random.below(4);
            random.bytes(&any_byte(), length)
        }
        _ => {
            // A line with holes.
            let mut rest = if lines.is_empty() { &b""[..] } else { &random.choose(lines) };
            let mut pattern = Vec::new();
            while !rest.is_empty() {
                let (part, behind) = rest.split_at(random.between(1, rest.len()));
                if random.once_in(2) {
                    pattern.push(b'*')
                } else {
                    pattern.extend(part)
                }
                rest = behind;
            }
            pattern
        }
    };
    if stamps && random.once_in(2) {
        pattern.splice(0..0, *b"@* ");
    }
    // The digits of labels vary, and a star must not end in them.
    pattern.retain(|c| *c != 0 && !(stamps && c.is_ascii_hexdigit()));
    pattern
}

const PROCESSORS: [&str; 9] = [
    "cat",
    "tr g-z G-Z",
    "exec cat",
    "",
    "wc -c",
    "umask; cat",
    "cat >&5; cat <&4",
    "cat <&4; cat; echo next >&5",
    "sort",
];

fn script(random: &mut Random, lines: &[Vec<u8>], exact: bool) -> Vec<Vec<u8>> {
    let mut script: Vec<Vec<u8>> = Vec::new();
    if random.once_in(4) {
        script.push(random.choose(&["t", "t", "t", "test", "t./x"]).into());
    }
    let stamps = !script.is_empty();
    if !random.once_in(4) {
        script.push(random.choose(&["s4096", "s4096", "s0", "s5000"]).into());
    }
    let mut names = vec!["./a", "./b", "./c", "./d"];
    for _ in 0..random.below(9) {
        let word = match random.below(20) {
            0..=3 => [b"-".to_vec(), pattern(random, lines, stamps)].concat(),
            4..=7 => [b"+".to_vec(), pattern(random, lines, stamps)].concat(),
            8 => random.choose(&["e", "e", "else"]).into(),
            9 if random.once_in(12) => random.choose(&["=", "=no/where", "=s/"]).into(),
            9 => random.choose(&["=s", "=s", "=u", "=./v"]).into(),
            10..=11 => {
                let more = ["s4096", "s4097", "s0", "s", "s5000x", "s6000", "s8192"];
                // What does not fit into 64 bits wraps around with the original.
                let odd = ["s-1", "s 9", "s99999999999999999", "s007777"];
                random.choose(&[&more[..], &more, &odd].concat()).into()
            }
            12..=13 => {
                let few = ["n2", "n3", "n4", "n0", "n1", "n", "n02x"];
                let many = ["n1000", "n-5", "n999999999999", "n10"];
                random.choose(&[&few[..], &many].concat()).into()
            }
            14..=15 => {
                let most = if exact { PROCESSORS.len() } else { 3 };
                let most = if stamps { most.min(PROCESSORS.len() - 1) } else { most };
                [b"!", random.choose(&PROCESSORS[..most]).as_bytes()].concat()
            }
            16 => random.choose(&[&b""[..], b"x", b"Q9", b"q", b"\xff", b"1"]).to_vec(),
            17 if random.once_in(8) => random.choose(&["./a", "./no/where", "./a/"]).into(),
            17 if exact && random.once_in(8) => b".".to_vec(),
            _ if !names.is_empty() => names.remove(random.below(names.len())).into(),
            _ => continue,
        };
        script.push(word);
    }
    if names.len() == 4 {
        script.push(b"./a".to_vec());
    }
    script
}

/// What an earlier logger may have left, or somebody has put there.
fn prior(random: &mut Random, script: &[Vec<u8>], exact: bool) -> Vec<(String, Item)> {
    let mut prior: Vec<(String, Item)> = Vec::new();
    for (name, content) in [("s", 0), ("u", 3), ("v", 1500)] {
        if random.once_in(4) {
            let mode = random.choose(&[0o600, 0o644, 0o755]);
            prior.push((name.into(), Item::File(vec![b'k'; content], mode)));
        }
    }
    let mut done: Vec<String> = Vec::new();
    for (dir, files, _) in directories(script) {
        let dir = dir.trim_start_matches("./").trim_end_matches('/').to_owned();
        if done.contains(&dir) || dir == "." || dir == "no/where" || random.once_in(3) {
            continue;
        }
        done.push(dir.clone());
        if random.once_in(30) {
            prior.push((
                dir,
                random.choose(&[Item::File(vec![], 0o644), Item::Symlink("e".into())]),
            ));
            continue;
        }
        prior.push((dir.clone(), Item::Directory(random.choose(&[0o700, 0o755, 0o2750]))));
        let text = |random: &mut Random| {
            let (length, end) = (random.choose(&[0, 3, 100, 2000, 3000]), random.once_in(2));
            let length = length + random.below(200);
            let mut text = random.bytes(b"ghxz\n", length);
            // In a file without the end of its last line, the next line may be cut.
            text.extend_from_slice(if end { b"" } else { b"\n" });
            text
        };
        let mut put = |name: &str, item| prior.push((format!("{dir}/{name}"), item));
        // 0 no current, 1 one that is not complete, 2 a complete one.
        let current = random.below(3);
        let modes: &[u32] = match current {
            1 => &[0o644, 0o600, 0o666, 0o677],
            _ => &[0o744, 0o744, 0o700, 0o777, 0o1744],
        };
        if current > 0 {
            put("current", Item::File(text(random), random.choose(modes)));
        }
        for name in ["processed", "state", "newstate", "previous"] {
            // Beside a complete current, ours saves a `previous` and a processor needs `state`.
            let (never, always) =
                (current == 2 && name == "previous", current == 2 && name == "state");
            if !never && (always || random.once_in(3)) {
                put(name, Item::File(text(random), random.choose(&[0o644, 0o744, 0o600, 0o700])));
            }
        }
        if random.once_in(8) {
            put("lock", Item::File(b"x".to_vec(), 0o640));
        }
        // Ours counts at every start which is not clean, theirs only when it finishes a file.
        let most = if current == 0 { files - 1 } else { files + 3 }.min(14);
        // How many of the old ones are left depends on the number of those which are new.
        let most = if exact { usize::try_from(most).expect("small") } else { 0 };
        let count = random.below(most + 1);
        for n in 0..count {
            let end = random.choose(&[".s", ".s", ".u", "", "x", ".s.gz", " y"]);
            put(&format!("@4000000012345678{n:08x}{end}"), Item::File(text(random), 0o744));
        }
        for name in
            ["@", "@x", "@40000000123456780000000", "x", "@g", "a@4000000012345678900000000.s"]
        {
            if random.once_in(10) {
                put(name, Item::File(b"odd".to_vec(), 0o644));
            }
        }
        if count + 1 < most && random.once_in(3) {
            let of = random.choose(&["current", "previous", "processed"]);
            if prior.iter().any(|(name, _)| *name == format!("{dir}/{of}")) && current != 2 {
                let name = format!("{dir}/@4000000012345678ffffffff.s");
                prior.push((name, Item::Link(format!("{dir}/{of}"))));
            }
        }
        if exact && current == 0 && random.once_in(10) {
            prior.push((format!("{dir}/current"), Item::Symlink("../elsewhere".into())));
            if random.once_in(2) {
                // Not a complete one: that one needs `state`.
                prior.push(("elsewhere".into(), Item::File(text(random), 0o644)));
            }
        }
    }
    prior
}

fn life(random: &mut Random, exact: bool, last: Option<&Life>) -> Life {
    let count = match random.below(4) {
        0 => random.below(4),
        1 => random.below(40),
        _ => random.between(40, 200),
    };
    let lines: Vec<Vec<u8>> = (0..count).map(|_| line(random)).collect();
    let script = match last {
        Some(last) if random.once_in(2) => last.script.clone(),
        _ => script(random, &lines, exact),
    };
    let mut text: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
    let feed = match random.below(2) {
        _ if exact => Feed::Packets,
        0 => Feed::Pipe,
        _ => Feed::File,
    };
    let mut end = random.choose(&[End::Eof, End::Eof, End::Eof, End::Term, End::Kill]);
    if feed == Feed::File || script.iter().any(|word| word.starts_with(b"!")) {
        end = End::Eof;
    }
    if end != End::Term && random.once_in(4) {
        text.pop();
    }
    let mut pieces = Vec::new();
    let usual = random.choose(&[1000, 1000, 1000, 30]);
    let mut rest = &text[..];
    while !rest.is_empty() {
        let most = if exact {
            let newline = rest.iter().position(|c| *c == b'\n').map_or(rest.len(), |at| at + 1);
            newline.min(1024)
        } else {
            rest.len().min(3000)
        };
        let length = if random.once_in(6) { random.between(1, most) } else { most.min(usual) };
        let (piece, behind) = rest.split_at(length);
        pieces.push(piece.to_vec());
        rest = behind;
    }
    Life { script, pieces, feed, end }
}

fn case(seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let exact = !random.once_in(3);
    let mut lives = vec![life(random, exact, None)];
    while random.once_in(3) {
        let next = life(random, exact, lives.last());
        lives.push(next);
    }
    let prior = if random.once_in(2) { prior(random, &lives[0].script, exact) } else { vec![] };
    Case { prior, lives }
}

// multilog: doing it

fn lay(top: &Path, prior: &[(String, Item)]) {
    for (name, item) in prior {
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
            // While a case is made smaller, its target may have gone.
            Item::Link(of) if top.join(of).exists() => {
                fs::hard_link(top.join(of), path).expect("link a file");
            }
            Item::Link(_) => {}
            Item::Symlink(target) => symlink(target, path).expect("make a symbolic link"),
        }
    }
}

/// Writes a piece, unless nobody reads any more.
fn send(input: &PipeWriter, mut piece: &[u8]) {
    let begun = Instant::now();
    while !piece.is_empty() {
        match write(input, piece) {
            Ok(n) => piece = &piece[n..],
            Err(Errno::AGAIN) => {
                assert!(begun.elapsed() < DEADLINE, "it does not read");
                thread::sleep(Duration::from_micros(200));
            }
            Err(_) => return,
        }
    }
}

/// Waits until everything is read, and it waits for more.
fn wait_idle(process: &mut Process, input: &PipeWriter) {
    wait_until("it has read everything", DEADLINE, || {
        process.has_ended()
            || (ioctl_fionread(input).is_ok_and(|left| left == 0)
                && process::state(process.pid()) == Some('S')
                && process::arguments(process.pid()).first().is_some_and(|name| {
                    // Not the harness on its way to become multilog.
                    name == "multilog"
                }))
    });
}

fn live(tree: &Tree, theirs: bool, cwd: &str, life: &Life) -> Output {
    let words = life.script.iter().map(|word| OsStr::from_bytes(word));
    let command = program(tree, theirs, "multilog").cwd(cwd).args(words);
    if life.feed == Feed::File {
        return command.stdin(life.pieces.concat()).run();
    }
    let (reader, input) = pipe().expect("a pipe");
    let mut flags = OFlags::NONBLOCK;
    if life.feed == Feed::Packets {
        flags |= OFlags::DIRECT;
    }
    fcntl_setfl(&input, flags).expect("set a pipe's flags");
    let mut process = command.stdin_from(reader).start();
    for piece in &life.pieces {
        send(&input, piece);
    }
    match life.end {
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
    // TERM in a line waits for its end.
    drop(input);
    process.wait()
}

/// What there is of one name.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    links: u64,
    content: Vec<u8>,
}

/// Everything below a directory, with names of new old files replaced by their numbers.
type Picture = BTreeMap<String, Entry>;

fn picture(top: &Path, below: &str, prior: &[(String, Item)], found: &mut Picture) {
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
        let was_there = prior.iter().any(|(prior, _)| *prior == full);
        let shown = if !was_there && name.starts_with('@') {
            new += 1;
            format!("{below}/@new {new:04}{}", &name[25..])
        } else {
            full.clone()
        };
        found.insert(shown, entry);
        if kind.is_dir() {
            picture(top, &full, prior, found);
        }
    }
}

/// What one suite makes of a case: after each life, how it ended and everything that is there.
fn run(tree: &Tree, theirs: bool, case: &Case) -> Vec<(Output, Picture)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let cwd = format!("case{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let top = tree.path(&cwd);
    DirBuilder::new().mode(0o755).create(&top).expect("make a directory");
    lay(&top, &case.prior);
    let mut seen = Vec::new();
    for life in &case.lives {
        let mut output = live(tree, theirs, &cwd, life);
        output.stderr = without_holder(&without_changes(&output.err())).into_bytes();
        let mut found = Picture::new();
        picture(&top, "", &case.prior, &mut found);
        seen.push((output, found));
    }
    fs::remove_dir_all(top).expect("remove a directory");
    seen
}

/// Ours says which numbers it does not take as they stand.
fn without_changes(text: &str) -> String {
    let tells = |line: &&str| {
        ["too small", "too large", "not a number"]
            .iter()
            .any(|why| line.contains(&format!(" is {why}, using ")))
    };
    text.split_inclusive('\n').filter(|line| !tells(line)).collect()
}

/// Ours names who has a lock.
fn without_holder(text: &str) -> String {
    match text.split_once(" (held by pid ") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').map_or("", |s| s.1)),
        None => text.to_owned(),
    }
}

// multilog: comparing

/// Digits, of which labels consist, become the same.
fn masked(text: &[u8], stamps: bool) -> Vec<u8> {
    let mask = |c: &u8| if stamps && c.is_ascii_hexdigit() { b'0' } else { *c };
    text.iter().map(mask).collect()
}

/// The first difference between what the two suites make of a case, as a text.
fn difference(tree: &Tree, case: &Case) -> Option<String> {
    let [theirs, ours] = SIDES.map(|side| run(tree, side, case));
    let mut stamps = false;
    for (n, life) in case.lives.iter().enumerate() {
        stamps |= life.stamps();
        let ((theirs, their_files), (ours, our_files)) = (&theirs[n], &ours[n]);
        let told = |o: &Output| (o.code, o.signal, o.stdout.clone(), masked(&o.stderr, stamps));
        if told(theirs) != told(ours) {
            let end = |o: &Output| format!("{:?} {:?} {}", o.code, o.signal, short(&o.stderr));
            return Some(format!("life {n}: theirs {}\nours {}", end(theirs), end(ours)));
        }
        let found = if case.is_exact() {
            compare(their_files, our_files, stamps)
        } else {
            compare_loosely(their_files, our_files, stamps, &case.lives[..=n])
        };
        if let Some(found) = found {
            return Some(format!("life {n}: {found}"));
        }
    }
    None
}

fn compare(theirs: &Picture, ours: &Picture, stamps: bool) -> Option<String> {
    let names = |files: &Picture| files.keys().cloned().collect::<Vec<_>>();
    if names(theirs) != names(ours) {
        return Some(format!("theirs {:?}\nours {:?}", names(theirs), names(ours)));
    }
    theirs.iter().zip(ours).find_map(|((name, theirs), (_, ours))| {
        let mask = |e: &Entry| Entry { content: masked(&e.content, stamps), ..e.clone() };
        (mask(theirs) != mask(ours))
            .then(|| format!("{name}: theirs {}\nours {}", shown(theirs), shown(ours)))
    })
}

fn shown(entry: &Entry) -> String {
    let Entry { kind, mode, links, content } = entry;
    format!("{kind} {mode:o}, {links} names, {} bytes: {}", content.len(), short(content))
}

/// Where input comes in pieces of all kinds, files may be cut at other places: then their order
/// and their contents in a row have to be the same, and their lengths within the rules.
fn compare_loosely(
    theirs: &Picture,
    ours: &Picture,
    stamps: bool,
    lives: &[Life],
) -> Option<String> {
    // A rotation more or less leaves another state.
    let ends = ["/current", "/state", "/newstate"];
    let rolling =
        |name: &str| name.contains("/@new ") || ends.iter().any(|end| name.ends_with(end));
    let fixed = |files: &Picture| {
        files.clone().into_iter().filter(|(name, _)| !rolling(name)).collect::<Picture>()
    };
    if let Some(found) = compare(&fixed(theirs), &fixed(ours), stamps) {
        return Some(found);
    }
    let mut limits: BTreeMap<String, u64> = BTreeMap::new();
    for (dir, files, _) in lives.iter().flat_map(|life| directories(&life.script)) {
        let dir = dir.trim_start_matches("./").trim_end_matches('/').to_owned();
        let limit = limits.entry(dir).or_insert(files);
        *limit = files.min(*limit);
    }
    for (dir, limit) in limits {
        let row = |files: &Picture| {
            let [new, current] = [format!("{dir}/@new "), format!("{dir}/current")];
            let old = files.iter().filter(|(name, _)| name.starts_with(&new));
            let row: Vec<_> =
                old.chain(files.iter().filter(|(name, _)| **name == current)).collect();
            row.into_iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>()
        };
        let (theirs, ours) = (row(theirs), row(ours));
        // What is still in `current` has not been through `tr`.
        let whole = |row: &[Entry]| {
            let mut text: Vec<u8> = row.iter().flat_map(|e| e.content.clone()).collect();
            text.make_ascii_uppercase();
            masked(&text, stamps)
        };
        let (their_text, our_text) = (whole(&theirs), whole(&ours));
        // With few files the first ones have gone, and where the cuts are says how many bytes.
        let same = if limit < 100 {
            their_text.ends_with(&our_text) || our_text.ends_with(&their_text)
        } else {
            their_text == our_text
        };
        if !same {
            return Some(format!(
                "{dir}: theirs {} bytes, ours {}",
                their_text.len(),
                our_text.len()
            ));
        }
        let modes = |row: &[Entry]| row.last().map(|e| (e.mode, e.kind, e.links));
        if modes(&theirs) != modes(&ours) {
            return Some(format!("{dir}: theirs {:?}, ours {:?}", modes(&theirs), modes(&ours)));
        }
    }
    None
}

/// The case without anything that is not needed for a difference.
fn smallest(tree: &Tree, case: Case) -> Case {
    let mut smallest = case;
    let begun = Instant::now();
    loop {
        let mut smaller = Vec::new();
        for n in 0..smallest.lives.len() {
            if smallest.lives.len() > 1 {
                let mut less = smallest.clone();
                less.lives.remove(n);
                smaller.push(less);
            }
            for word in 0..smallest.lives[n].script.len() {
                let mut less = smallest.clone();
                less.lives[n].script.remove(word);
                smaller.push(less);
            }
            let pieces = smallest.lives[n].pieces.len();
            let mut length = pieces;
            while length > 0 {
                for first in (0..pieces).step_by(length) {
                    let mut less = smallest.clone();
                    less.lives[n].pieces.drain(first..pieces.min(first + length));
                    smaller.push(less);
                }
                length /= 2;
            }
        }
        for n in 0..smallest.prior.len() {
            // Without it a processor may never run.
            if smallest.prior[n].0.ends_with("/state") {
                continue;
            }
            let mut less = smallest.clone();
            let (gone, _) = less.prior.remove(n);
            less.prior.retain(|(name, _)| !name.starts_with(&format!("{gone}/")));
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

/// The beginning of a text.
fn short(bytes: &[u8]) -> String {
    let head = bytes[..bytes.len().min(100)].escape_ascii();
    if bytes.len() > 100 { format!("{head}.. ({} bytes)", bytes.len()) } else { head.to_string() }
}

fn describe(case: &Case) -> String {
    let mut text = String::new();
    for (name, item) in &case.prior {
        let item = match item {
            Item::File(content, mode) => format!("{mode:o} \"{}\"", short(content)),
            other => format!("{other:?}"),
        };
        writeln!(text, "  {name}: {item}").expect("text");
    }
    for life in &case.lives {
        let words: Vec<String> = life.script.iter().map(|w| format!("'{}'", short(w))).collect();
        writeln!(text, "  multilog {} ({:?}, {:?})", words.join(" "), life.feed, life.end)
            .expect("text");
        for piece in &life.pieces {
            writeln!(text, "    \"{}\"", short(piece)).expect("text");
        }
    }
    text
}

#[test]
fn multilog_leaves_what_the_original_leaves() {
    try_all(seeds(300), |tree, seed| {
        let case = case(seed);
        let first = difference(tree, &case)?;
        let case = smallest(tree, case);
        let found = difference(tree, &case).unwrap_or(first);
        Some(format!("{found}\n{}", describe(&case)))
    });
}

// tai64n and tai64nlocal

/// Runs a filter on an input that comes in pieces, and gives what it prints.
fn filter(tree: &Tree, theirs: bool, name: &str, zone: &str, pieces: &[&[u8]]) -> Output {
    let (reader, input) = pipe().expect("a pipe");
    fcntl_setfl(&input, OFlags::NONBLOCK).expect("set a pipe's flags");
    let filter = program(tree, theirs, name).env("TZ", zone).stdin_from(reader).start();
    for piece in pieces {
        send(&input, piece);
    }
    drop(input);
    filter.wait()
}

/// Cuts a text anywhere.
fn cut<'a>(random: &mut Random, mut text: &'a [u8]) -> Vec<&'a [u8]> {
    let longest = random.choose(&[1, 30, 3000, 20_000]);
    let mut pieces = Vec::new();
    while !text.is_empty() {
        // Not too many, whatever the length.
        let least = text.len().min(1 + text.len() / 200);
        let (piece, rest) = text.split_at(random.between(least, text.len().min(least + longest)));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[test]
fn tai64n_prints_what_the_original_prints() {
    try_all(seeds(100), |tree, seed| {
        let random = &mut Random::new(seed);
        let mut text: Vec<u8> =
            (0..random.below(60)).flat_map(|_| [line(random), b"\n".to_vec()].concat()).collect();
        if random.once_in(2) {
            text.pop();
        }
        let pieces = cut(random, &text);
        let [theirs, ours] = SIDES.map(|theirs| filter(tree, theirs, "tai64n", "UTC", &pieces));
        let masked = |output: &Output| {
            let mut text = Vec::new();
            for line in output.stdout.split_inclusive(|c| *c == b'\n') {
                let (label, rest) = line.split_at(line.len().min(26));
                text.extend(label.iter().map(|c| if c.is_ascii_hexdigit() { b'0' } else { *c }));
                text.extend(rest);
            }
            (output.code, text, output.stderr.clone())
        };
        (masked(&theirs) != masked(&ours)).then(|| format!("on {}", short(&text)))
    });
}

/// A line that begins like a label, and whether the original bears it: of others it dies.
fn label(random: &mut Random) -> (Vec<u8>, bool) {
    let digits = b"0123456789abcdef";
    let seconds = match random.below(4) {
        0 => random.next() % 4_000_000_000,
        // From the year five million on, the C library's summer times overflow.
        1 => random.next() % 100_000_000_000_000,
        2 => (random.next() % 60_000_000_000).wrapping_neg(),
        _ => random.next() % 253_402_300_800,
    };
    let good = format!("{:016x}{:08x}", seconds.wrapping_add((1 << 62) + 10), random.next() >> 32);
    let mut line = b"@".to_vec();
    let good = match random.below(8) {
        // Digits before, which do not count.
        0 => {
            let count = random.choose(&[1, 2, 8, 100, 200, 231]);
            line.extend(random.bytes(digits, count));
            line.extend(good.bytes());
            true
        }
        // The beginning of one.
        1 => {
            line.extend(&good.as_bytes()[..random.below(24)]);
            false
        }
        // Too long for ours, or of a time without a date.
        2 => {
            let count = random.choose(&[256, 300, 2000, 10_000]);
            line.extend(random.bytes(digits, count));
            false
        }
        3 => {
            line.extend(
                random.choose(&[&b"ffffffffffffffff00000000"[..], b"000000000000000000000000"]),
            );
            false
        }
        4 => {
            let mut damaged = good.into_bytes();
            damaged[random.below(24)] = random.choose(b"ABCDEFgG@ \0\xff/:`");
            line.extend(damaged);
            false
        }
        _ => {
            line.extend(good.bytes());
            true
        }
    };
    if !random.once_in(6) {
        line.push(random.choose(b" @gA.\0\r\xff:`/"));
        let length = random.below(40);
        line.extend(random.bytes(b" x@4:-\0\xff", length));
    }
    line.push(b'\n');
    (line, good)
}

#[test]
fn tai64nlocal_prints_what_the_original_prints_where_that_survives() {
    let zones = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "right/UTC",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "<+0330>-3:30",
        "EST5EDT",
    ];
    try_all(seeds(100), |tree, seed| {
        let random = &mut Random::new(seed);
        let zone = random.choose(&zones);
        let lines: Vec<(Vec<u8>, bool)> = (0..random.below(200))
            .map(|_| {
                if random.once_in(3) {
                    let mut line = line(random);
                    // Not all are labels which begin so.
                    if line.first() == Some(&b'@') {
                        line[0] = b'a';
                    }
                    line.push(b'\n');
                    (line, true)
                } else {
                    label(random)
                }
            })
            .collect();
        let borne: Vec<u8> =
            lines.iter().filter(|(_, good)| *good).flat_map(|(line, _)| line.clone()).collect();
        let theirs = filter(tree, true, "tai64nlocal", zone, &cut(random, &borne));
        let mut dates = theirs.stdout.split_inclusive(|c| *c == b'\n');
        let wanted: Vec<u8> = lines
            .iter()
            .flat_map(|(line, good)| {
                // What is no label is copied by ours.
                if *good { dates.next().unwrap_or_default().to_vec() } else { line.clone() }
            })
            .collect();
        let all: Vec<u8> = lines.iter().flat_map(|(line, _)| line.clone()).collect();
        let ours = filter(tree, false, "tai64nlocal", zone, &cut(random, &all));
        if theirs.code != Some(0) {
            return Some(format!("the original does not survive: {theirs}"));
        }
        let same = ours.code == Some(0) && ours.stderr.is_empty() && ours.stdout == wanted;
        let differs = ours
            .stdout
            .split_inclusive(|c| *c == b'\n')
            .zip(wanted.split_inclusive(|c| *c == b'\n'))
            .find(|(ours, wanted)| ours != wanted);
        (!same).then(|| match differs {
            Some((ours, wanted)) => {
                format!("{zone}: \"{}\" instead of \"{}\"", short(ours), short(wanted))
            }
            None => format!("{zone}: {} bytes of {}", ours.stdout.len(), wanted.len()),
        })
    });
}
