//! A supervise killed before each of its system calls.

use crate::{others, svc};
use harness::{
    DEADLINE, Process, Signal, Status, Tree, note, process, strace_works, wait_for, wait_until,
};
use std::cell::RefCell;
use std::thread;
use std::time::Duration;
use system::{age, kill, tree};

/// A scenario in which a supervise is killed before each of its system calls.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Prepares the directory before that supervise starts.
    prepare: fn(&Tree),
    /// Drives the supervise, which may be killed at any moment. Returns whether the scenario ended.
    run: fn(&Tree, &TracedSupervise) -> bool,
}

/// A system call: its name, and its number among the calls of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step(String, usize);

/// A supervise that strace kills before a given system call, if any.
struct TracedSupervise {
    tracer: RefCell<Process>,
}

impl TracedSupervise {
    /// Without a step, strace does not kill it.
    fn start(tree: &Tree, step: Option<&Step>) -> Self {
        let inject = step.map(|Step(call, n)| format!("inject={call}:signal=KILL:when={n}"));
        let inject = inject.as_deref().map(|inject| ["-e", inject]);
        let tracer =
            ["strace", "-qq", "-o", "steps"].into_iter().chain(inject.into_iter().flatten());
        Self { tracer: tree.cmd("supervise").arg("a").under(tracer).start().into() }
    }

    /// The system calls so far.
    fn steps(tree: &Tree) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for line in tree.text("steps").lines() {
            let Some((call, _)) = line.split_once('(') else { continue };
            if call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                let before = steps.iter().filter(|step| step.0 == call).count();
                steps.push(Step(call.to_owned(), before + 1));
            }
        }
        steps
    }

    fn is_dead(&self) -> bool {
        self.tracer.borrow_mut().has_ended()
    }

    /// The supervise itself, without its children.
    fn pid(&self) -> Option<u32> {
        let tracer = self.tracer.borrow().pid();
        process::descendants(tracer).into_iter().find(|&pid| process::parent(pid) == Some(tracer))
    }

    /// Waits until the supervise sleeps and the status satisfies the condition. Returns false if
    /// the supervise dies before that.
    #[track_caller]
    fn comes_to_rest(&self, tree: &Tree, condition: impl Fn(&Status) -> bool) -> bool {
        wait_for("it comes to rest or dies", DEADLINE, || {
            if self.is_dead() {
                return Some(false);
            }
            // A traced process sleeps only while it waits; at its system calls it stops for the
            // tracer.
            let rests = || self.pid().is_some_and(|pid| process::state(pid) == Some('S'));
            let there =
                || tree.is_supervised("a") && tree.status("a").is_some_and(|s| condition(&s));
            (rests() && there() && rests()).then_some(true)
        })
    }

    #[track_caller]
    fn is_up(&self, tree: &Tree) -> bool {
        self.comes_to_rest(tree, |s| process::is_alive(s.pid()))
    }

    #[track_caller]
    fn kill(self) {
        if let Some(pid) = self.pid() {
            process::signal(pid, Signal::KILL);
        }
        self.tracer.into_inner().wait();
    }
}

fn service_pid(tree: &Tree) -> u32 {
    tree.status("a").map_or(0, |s| s.pid())
}

/// Starts a supervise, and kills it while its service runs.
fn kill_supervise_of_running_service(tree: &Tree) {
    let supervise = tree.supervise("a");
    tree.wait_up("a");
    tree.wait_lines("a/started", 1);
    kill(supervise);
}

/// Kills the service, and waits until it runs again. Returns false if the supervise dies before that.
#[track_caller]
fn restarts_after_death(tree: &Tree, supervise: &TracedSupervise) -> bool {
    let pid = service_pid(tree);
    process::signal(pid, Signal::KILL);
    supervise.comes_to_rest(tree, |s| s.pid() != pid && process::is_alive(s.pid()))
}

const SCENARIOS: [Scenario; 8] = [
    Scenario { name: "start", prepare: |_| {}, run: |tree, supervise| supervise.is_up(tree) },
    Scenario {
        name: "death within a second",
        prepare: |_| {},
        run: |tree, supervise| supervise.is_up(tree) && restarts_after_death(tree, supervise),
    },
    Scenario {
        name: "death later",
        prepare: |_| {},
        run: |tree, supervise| {
            let settled =
                |s: &Status| process::is_alive(s.pid()) && age(s) > Duration::from_millis(1100);
            supervise.comes_to_rest(tree, settled) && restarts_after_death(tree, supervise)
        },
    },
    Scenario {
        name: "down, and up again",
        prepare: |_| {},
        run: |tree, supervise| {
            supervise.is_up(tree)
                && {
                    svc(tree, "-d");
                    supervise.comes_to_rest(tree, |s| s.pid() == 0 && s.want() == b'd')
                }
                && {
                    svc(tree, "-u");
                    supervise.is_up(tree)
                }
        },
    },
    Scenario {
        name: "the orderly end",
        prepare: |_| {},
        run: |tree, supervise| {
            if !supervise.is_up(tree) {
                return false;
            }
            if let Some(pid) = supervise.pid() {
                process::signal(pid, Signal::TERM);
            }
            wait_until("it ends", DEADLINE, || supervise.is_dead());
            !tree.exists("a/supervise/process")
        },
    },
    Scenario {
        name: "adoption",
        prepare: kill_supervise_of_running_service,
        run: |tree, supervise| supervise.is_up(tree),
    },
    Scenario {
        name: "death after adoption",
        prepare: kill_supervise_of_running_service,
        run: |tree, supervise| supervise.is_up(tree) && restarts_after_death(tree, supervise),
    },
    Scenario {
        name: "death unseen",
        prepare: |tree| {
            kill_supervise_of_running_service(tree);
            let pid = service_pid(tree);
            process::signal(pid, Signal::KILL);
            process::wait_gone(pid);
        },
        run: |tree, supervise| supervise.is_up(tree),
    },
];
/// Kills the supervise before one step, and starts another. Asserts that at most one process of the
/// service runs, that the new supervise knows it, and that it exists if it is wanted. Returns the
/// steps.
#[track_caller]
fn run_and_kill_at(scenario: Scenario, step: Option<&Step>) -> Vec<Step> {
    let tree = tree();
    tree.idle_service("a");
    (scenario.prepare)(&tree);
    let supervise = TracedSupervise::start(&tree, step);
    let ended = (scenario.run)(&tree, &supervise);
    assert!(ended || step.is_some(), "{}: it does not end", scenario.name);
    let steps = TracedSupervise::steps(&tree);
    supervise.kill();
    let second = tree.supervise("a");
    let what = format!("{}, {step:?}: nothing runs but what is known", scenario.name);
    let known = || {
        let status = tree.status("a")?;
        match others(&tree, &[second.pid()])[..] {
            [] => (status.pid() == 0 && status.want() != b'u').then_some(0),
            [pid] => {
                (status.pid() == pid && process::arguments(pid) == ["sleep", "1000"]).then_some(pid)
            }
            _ => None,
        }
    };
    let pid = wait_for(&what, DEADLINE, known);
    let starts = tree.text("a/started");
    assert!(pid == 0 || starts.lines().last() == Some(&pid.to_string()), "{what}: {starts}");
    if scenario.name == "adoption" {
        assert_eq!(starts, format!("{pid}\n"), "{what}");
    }
    if pid == 0 {
        // A service that is down can be started.
        tree.svc("-u", "a");
        wait_for(&what, DEADLINE, || known().filter(|&pid| pid != 0));
    }
    steps
}

#[test]
fn a_supervise_killed_at_any_system_call_leaves_exactly_one_service() {
    const THREADS: usize = 16;
    if !strace_works(&tree()) {
        return;
    }
    let mut start = 0;
    for scenario in SCENARIOS {
        let mut steps = run_and_kill_at(scenario, None);
        match scenario.name {
            "start" => start = steps.len(),
            "adoption" | "death unseen" | "death after adoption" => {}
            // These scenarios begin with the same steps as the first.
            _ => drop(steps.drain(..start - 5)),
        }
        assert!(steps.len() > 10, "{}: {steps:?}", scenario.name);
        thread::scope(|scope| {
            for part in steps.chunks(steps.len().div_ceil(THREADS)) {
                scope.spawn(move || {
                    part.iter().for_each(|step| drop(run_and_kill_at(scenario, Some(step))))
                });
            }
        });
        note(&format!("{}: {} steps", scenario.name, steps.len()));
    }
}
