//! Nothing of svweb grows: services change, come and go, a log is written, and clients of every kind come
//! and go. In between the test counts memory, descriptors, watches and threads.
//!
//! The short form is a test like any other. The hour, as a table:
//!
//!     cargo test --release -p svweb --test black_box soak -- --ignored --nocapture

use crate::client::{Events, connect, exchange, request};
use crate::{BEARER, Site};
use harness::{DEADLINE, note, process, wait_until};
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Services that do nothing but change.
const IDLE: usize = 24;

/// Clients that never read: so many rounds they stay.
const MUTE_ROUNDS: usize = 4;

/// svweb forgets what it has read for metrics five minutes after the last scrape.
const UNTIL_CLOSED: Duration = Duration::from_secs(400);

/// The resources of svweb, and what was done so far.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    minute: u64,
    changes: usize,
    lines: usize,
    requests: usize,
    streams: usize,
    /// Private memory, in KiB.
    memory: u32,
    descriptors: usize,
    watches: usize,
    threads: usize,
}

const HEADER: &str =
    "minute | changes | lines | requests | streams | KiB   | descriptors | watches | threads";

impl fmt::Display for Sample {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "{:6} | {:7} | {:5} | {:8} | {:7} | {:5} | {:11} | {:7} | {:7}",
            self.minute,
            self.changes,
            self.lines,
            self.requests,
            self.streams,
            self.memory,
            self.descriptors,
            self.watches,
            self.threads
        )
    }
}

struct Soak {
    site: Site,
    begin: Instant,
    done: Sample,
    /// The sockets of svweb without a connection.
    sockets: usize,
    mute: Vec<Events>,
    last_id: String,
}

impl Soak {
    fn begin() -> Self {
        let site = Site::start(&["--token-file", "token", "--control"], |tree| {
            for number in 0..IDLE {
                tree.idle_service(format!("s/{number}"));
            }
            // It dies again and again.
            tree.service("s/mail", "#!/bin/sh\nexit 78\n");
            tree.service("s/talk", "#!/bin/sh\nexec 2>&1\nexec cat <>../../in\n");
            tree.service("s/talk/log", "#!/bin/sh\nexec multilog t s16384 n4 ./main\n");
            tree.fifo("in", 0o600);
            tree.idle_service("late");
        });
        for number in 0..IDLE {
            site.wait_state(&number.to_string(), "up");
        }
        site.wait_state("talk", "up");
        let mut soak = Self {
            begin: Instant::now(),
            done: Sample::default(),
            sockets: 0,
            mute: Vec::new(),
            last_id: String::new(),
            site,
        };
        // The answer of the last request has come, and its connection may not be closed yet.
        wait_until("no connection is left", DEADLINE, || {
            let now = process::sockets(soak.site.web().pid());
            std::mem::replace(&mut soak.sockets, now) == now
        });
        soak
    }

    #[track_caller]
    fn ask(&mut self, line: &str, headers: &[&str], body: &str, status: u16) {
        let answer = request(self.site.address, line, headers, body);
        assert_eq!(answer.status, status, "{line}: {answer}");
        self.done.requests += 1;
    }

    /// Some changes, each seen by a client with a stream, and one request of each kind.
    fn round(&mut self, round: usize) {
        let path = match round % 3 {
            0 => "/api/v1/events?log=talk".to_owned(),
            1 => "/api/v1/events".to_owned(),
            // It goes on where the last one was.
            _ => format!("/api/v1/events?after={}", self.last_id),
        };
        let mut reader = Events::open(self.site.address, &path, &[]);
        if self.mute.len() >= 8 * MUTE_ROUNDS {
            self.mute.drain(..8);
        }
        self.mute.extend(
            (0..8).map(|_| Events::open(self.site.address, "/api/v1/events?log=talk", &[])),
        );
        self.done.streams += 9;

        // Half of the services change in each round, one after the other.
        for number in (0..IDLE).filter(|number| number % 2 == round % 2) {
            let name = number.to_string();
            let dir = format!("s/{name}");
            self.site.tree.svc("-d", &dir);
            reader.wait_state(&name, "down");
            self.site.tree.svc("-u", &dir);
            self.done.changes += 2;
        }
        let link = format!("s/late-{round}");
        self.site.tree.symlink("../late", &link);
        let name = format!("late-{round}");
        reader.wait(|it| it.kind == "service" && it.data["name"] == *name);
        self.site.tree.remove(&link);
        let last = reader.wait(|it| it.kind == "removed" && it.data["name"] == *name);
        self.last_id = last.id;
        self.done.changes += 2;
        let text: String =
            (0..40).map(|n| format!("round {round}, line {n} of a service\n")).collect();
        self.site.tree.write("in", text);
        self.done.lines += 40;

        self.requests(round);
        // Clients that go in the middle of a request and of an answer.
        let mut half = connect(self.site.address);
        half.write_all(b"GET /api/v1/serv").expect("a part of a request");
        let mut unread = connect(self.site.address);
        unread
            .write_all(b"GET /api/v1/services HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .expect("a request");
        self.done.requests += 2;
    }

    fn requests(&mut self, round: usize) {
        let host = "Host: localhost";
        for path in [
            "/",
            "/?all",
            "/service/talk",
            "/svweb.js",
            "/api/v1/services",
            "/api/v1/services/mail",
            "/api/v1/services/talk/logs?lines=500",
            "/api/v1/services/mail/findings",
            "/metrics",
            "/healthz",
        ] {
            self.ask(&format!("GET {path}"), &[host], "", 200);
        }
        self.ask("GET /", &["Host: evil.example"], "", 403);
        self.ask(&format!("GET /api/v1/services/none-{round}"), &[host], "", 404);
        let action = if round.is_multiple_of(2) { "pause" } else { "cont" };
        let line = format!("POST /api/v1/services/talk/{action}");
        let json = "Content-Type: application/json";
        self.ask(&line, &[host, BEARER, json], "{}", 202);
        self.ask(&line, &[host, json], "{}", 401);
        // It is refused, or the connection ends.
        let long = "x".repeat(100_000);
        exchange(self.site.address, format!("GET / HTTP/1.1\r\n{host}\r\nX: {long}\r\n\r\n"));
        self.done.requests += 1;
    }

    /// Lets all clients go, and counts. With `closed`, first waits until svweb has let go of the
    /// scan directory.
    fn sample(&mut self, closed: bool) -> Sample {
        self.mute.clear();
        let pid = self.site.web().pid();
        wait_until("all connections have ended", DEADLINE, || {
            process::sockets(pid) == self.sockets
        });
        if closed {
            wait_until("the scan directory is closed", UNTIL_CLOSED, || process::watches(pid) == 0);
        }
        Sample {
            minute: self.begin.elapsed().as_secs() / 60,
            memory: process::memory(pid, "Private_Dirty"),
            descriptors: process::descriptors(pid).len(),
            watches: process::watches(pid),
            threads: fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").count(),
            ..self.done
        }
    }
}

/// What memory may differ by between two samples, in KiB. Each of the two threads that read files has an arena
/// of the allocator. A look at the processes of the machine takes up to 0.4 KiB for each of them there, and
/// other programs decide how many there are.
const SLACK: usize = 4096;

/// Changes after which svweb has as many events as it keeps.
const EVENTS: usize = 4096;

/// Asserts that no later sample has more than the first one. `of_change` is the memory, in KiB, that each
/// change may take besides: svweb keeps the last events, up to 4 MiB of them.
#[track_caller]
fn assert_flat(samples: &[Sample], of_change: usize) {
    let rows: Vec<String> = samples.iter().map(ToString::to_string).collect();
    let table = format!("{HEADER}\n{}", rows.join("\n"));
    note(&table);
    let first = &samples[0];
    for later in samples {
        let events = (later.changes - first.changes) * of_change;
        let most = first.memory as usize + SLACK + events;
        assert!(later.memory as usize <= most, "memory grows:\n{table}");
        // Threads that read files end when they have nothing to do.
        assert!(later.threads <= 3, "threads:\n{table}");
        assert!(later.descriptors <= first.descriptors, "descriptors:\n{table}");
        assert!(later.watches <= first.watches, "watches:\n{table}");
    }
}

#[test]
fn nothing_grows() {
    let mut soak = Soak::begin();
    let mut samples = Vec::new();
    for round in 0..12 {
        soak.round(round);
        if round % 4 == 3 {
            samples.push(soak.sample(false));
        }
    }
    assert_flat(&samples, 5);
}

#[test]
#[ignore = "the long form"]
fn nothing_grows_in_an_hour() {
    let mut soak = Soak::begin();
    let mut samples: Vec<Sample> = Vec::new();
    let mut round = 0;
    while soak.begin.elapsed() < Duration::from_secs(3600) {
        let next = Duration::from_secs(300 * (samples.len() as u64 + 1));
        while soak.begin.elapsed() < next || soak.done.changes < EVENTS {
            soak.round(round);
            round += 1;
        }
        let sample = soak.sample(false);
        note(&format!("{HEADER}\n{sample}"));
        samples.push(sample);
    }
    // Each sample comes after the ring of events is full.
    assert_flat(&samples, 0);
    // Without clients, svweb gives back the events and what it has read.
    let open = samples[samples.len() - 1].memory;
    samples.push(soak.sample(true));
    assert_flat(&samples, 0);
    let closed = samples[samples.len() - 1].memory;
    assert!(closed < open, "{open} KiB, and {closed} without clients");
}
