//! Our logging programs beside the original's, on random scripts, inputs and log directories. Both
//! must leave the same result.
//!
//! The seed alone determines a case. Each run tries a few hundred. `DAEMONTOOLS_FUZZ_CASES` sets the
//! number, and `DAEMONTOOLS_FUZZ_SEED` the first seed. `DAEMONTOOLS_FUZZ_SEED=4711
//! DAEMONTOOLS_FUZZ_CASES=1` repeats the case that a failure names. The failure shows the smallest
//! part of the case that still fails.
//!
//! Cases leave out what `docs/behaviour-not-in-the-manual.md` calls different.

mod case;
mod labels;
mod multilog;

use harness::{Cmd, DEADLINE, Tree};
use rustix::io::{Errno, write};
use std::io::PipeWriter;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use system::{original_program, tree};

/// Whether a side is the original.
const SIDES: [bool; 2] = [true, false];

/// The range of seeds that the environment names, or `usually` many from 1 on.
fn seeds(usually: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number"));
    let first = number("DAEMONTOOLS_FUZZ_SEED").unwrap_or(1);
    first..first + number("DAEMONTOOLS_FUZZ_CASES").unwrap_or(usually)
}

/// Tries cases in several threads, each in its own trees. `check` returns what differs.
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
                            failures.lock().expect("no thread panics with it").push(text);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no thread has panicked");
    let (count, first) = (failures.len(), &failures[..failures.len().min(5)]);
    assert!(failures.is_empty(), "{count} cases differ:\n{}", first.join("\n"));
}

fn program<'t>(tree: &'t Tree, is_original: bool, name: &str) -> Cmd<'t> {
    if is_original { original_program(tree, name) } else { tree.cmd(name) }
}

/// Writes a piece, until the reader has gone.
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

/// The beginning of a text.
fn short(bytes: &[u8]) -> String {
    let head = bytes[..bytes.len().min(100)].escape_ascii();
    if bytes.len() > 100 { format!("{head}.. ({} bytes)", bytes.len()) } else { head.to_string() }
}
