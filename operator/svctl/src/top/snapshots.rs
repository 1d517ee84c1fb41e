//! Pictures of every screen, compared with the files in `snapshots`.
//!
//! After a change on purpose: `DAEMONTOOLS_WRITE_SNAPSHOTS=1 cargo test -p svctl --lib snapshots`,
//! and a look at the difference.

use super::draw::{self, AROUND_LIST, AROUND_TEXT, Canvas};
use super::keys::{Control, HELP};
use super::measurements::Usages;
use super::model::{Model, Question};
use super::order::{Filter, Sort};
use super::page::{Page, PageKind};
use crate::output::pad;
use crate::selection::Target;
use crate::view::View;
use harness::{Fifo, Status, Tree};
use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier};
use ratatui_core::terminal::Terminal;
use servicedir::{EntryKind, Usage};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An age that does not change during a test: 3 hours and 30 minutes.
const AGE: Duration = Duration::from_secs(3 * 3600 + 30 * 60 + 20);

/// A scan directory whose supervisors are FIFOs that this process holds open.
struct Services {
    tree: Tree,
    readers: Vec<Fifo>,
}

impl Services {
    fn new() -> Self {
        let tree = Tree::new();
        tree.mkdir("s");
        Self { tree, readers: Vec::new() }
    }

    fn target(&self, name: &str, kind: EntryKind) -> Target {
        Target::new(name, self.tree.path(format!("s/{name}")), kind)
    }

    fn add(&mut self, name: &str, pid: u32, want: u8, state: &str) -> Target {
        let dir = format!("s/{name}");
        self.tree.service(&dir, "#!/bin/sh\nexec sleep 1000\n");
        self.tree.fifo(format!("{dir}/supervise/ok"), 0o600);
        self.readers.push(self.tree.open_fifo(format!("{dir}/supervise/ok")));
        let since = SystemTime::now() - AGE;
        let seconds = since.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let record = Status::record(seconds.try_into().expect("a time"), pid, 0, want);
        if !state.is_empty() {
            let label: String = record.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
            let text = format!("since=@{label}\n{state}");
            self.tree.write(format!("{dir}/supervise/state"), text);
        }
        self.tree.write(format!("{dir}/supervise/status"), record);
        self.target(name, EntryKind::Service)
    }

    /// A service of every kind.
    fn every_kind(&mut self) -> Model {
        let mut targets = vec![
            self.add("api", 0, b'u', "phase=blocked\nwaiting-for=db\n"),
            self.add("cron", 0, b'd', ""),
            self.add("db", 4712, b'u', "phase=ready\nmessage=accepts \u{1b}[31mconnections\n"),
            self.target("gone", EntryKind::DanglingLink(PathBuf::from("/etc/sv/gone"))),
            self.add("mail", 0, b'd', "phase=failed\nreason=deaths\nfailures=5\n"),
            self.add("new\u{1b}[2Jline\n日本", 4713, b'u', ""),
            self.add("reports-of-the-whole-night", 4714, 0, ""),
            self.target("unread", EntryKind::Service),
            self.add("spool", 0, b'u', "phase=waiting\nfailures=2\n"),
            self.add("web", 4711, b'u', ""),
        ];
        targets.sort_by(|one, other| one.name.cmp(&other.name));
        let mut model = Model::new("/service".to_owned());
        model.rows.replace(targets.clone());
        for (at, target) in targets.iter().enumerate().filter(|(_, it)| it.name != "unread") {
            assert!(model.rows.update(at, View::read(target).found), "{target:?}");
        }
        model.rows.arrange_again();
        model
    }
}

fn usages() -> Usages {
    let usage = |memory, milliseconds| {
        let mut usage = Usage::default();
        (usage.processes, usage.memory) = (2, memory);
        usage.processor = Duration::from_millis(milliseconds);
        usage
    };
    Usages::known([
        (4711, usage(41 << 20, 12_400), Some(3)),
        (4712, usage(1_300 << 20, 99_000), Some(187)),
        (4713, usage(1 << 20, 1), None),
    ])
}

fn draw(model: &mut Model, width: u16, height: u16, is_coloured: bool) -> Buffer {
    let (columns, rows) = (usize::from(width), usize::from(height));
    model.rows.set_height(rows.saturating_sub(AROUND_LIST));
    if let Some(page) = model.page_mut() {
        page.set_size(columns, rows.saturating_sub(AROUND_TEXT));
    }
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let drawn = terminal.draw(|frame| {
        let mut canvas = Canvas { buffer: frame.buffer_mut(), is_coloured };
        draw::picture(model, &usages(), &mut canvas);
    });
    drawn.expect("a picture").buffer.clone()
}

/// The text of a picture. A wide character takes two cells, of which the second is empty.
fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let lines = buffer.content().chunks(width).map(|cells| {
        let mut line = String::new();
        let mut skipped = 0;
        for cell in cells {
            if skipped == 0 {
                line.push_str(cell.symbol());
                skipped = unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1);
            }
            skipped -= 1;
        }
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

#[track_caller]
fn compare(name: &str, model: &mut Model, width: u16, height: u16) {
    let found = text(&draw(model, width, height, true));
    assert_eq!(found, text(&draw(model, width, height, false)), "{name} without colours");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = path.join(format!("src/top/snapshots/{name}-{width}x{height}.txt"));
    if std::env::var_os("DAEMONTOOLS_WRITE_SNAPSHOTS").is_some() {
        fs::write(&path, &found).expect("write the snapshot");
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{name} is not {}:\n{found}", path.display());
}

fn open(model: &mut Model, kind: PageKind, title: &str, lines: &[&str]) {
    let mut page = Page::new(kind, title.to_owned(), Vec::new());
    page.set_lines(lines.iter().map(|line| (*line).to_owned()).collect());
    model.open(page);
}

#[test]
fn the_list_has_every_state() {
    let mut services = Services::new();
    let mut model = services.every_kind();
    compare("list", &mut model, 80, 24);
    compare("list", &mut model, 40, 10);
    compare("list", &mut model, 132, 16);
    // Sizes without room do no harm.
    for (width, height) in [(1, 1), (3, 2), (10, 3), (20, 4), (0, 5), (5, 0)] {
        let _ = draw(&mut model, width, height, true);
    }
    model.rows.last();
    model.rows.mark();
    model.rows.sort = Sort::State;
    model.rows.filter = Filter::Trouble;
    model.rows.arrange_again();
    compare("trouble", &mut model, 80, 12);
    model.rows.filter = Filter::All;
    model.set_search("no such");
    model.is_paused = true;
    compare("nothing-found", &mut model, 80, 8);
    model.set_search("e");
    model.typing = Some("e".to_owned());
    compare("searching", &mut model, 80, 12);
}

#[test]
fn a_question_names_what_it_stops() {
    let mut services = Services::new();
    let mut model = services.every_kind();
    model.is_unlocked = true;
    compare("unlocked", &mut model, 80, 12);
    let targets = (1..=30).map(|n| services.target(&format!("web-{n}"), EntryKind::Service));
    let targets: Vec<Target> = targets.collect();
    for (name, control, count) in [
        ("stop-one", Control::Down, 1),
        ("restart-many", Control::Restart, 30),
        ("hup-three", Control::Hup, 3),
    ] {
        let targets = targets.iter().take(count).cloned().collect();
        model.question = Some(Question { control, targets });
        compare(name, &mut model, 80, 10);
        compare(name, &mut model, 40, 10);
    }
}

#[test]
fn pages_show_their_lines() {
    let mut services = Services::new();
    let mut model = services.every_kind();
    let service = [
        "\x1b[32m●\x1b[0m \x1b[1mweb\x1b[0m — \x1b[32mup\x1b[0m for 3h 30m, pid 4711, wanted up",
        "   \x1b[2mcommand  \x1b[0m /usr/sbin/webd -f  (user www)",
        "   \x1b[2mmemory   \x1b[0m 41 MiB in 2 processes, cpu 12.4 s",
        "   \x1b[2mlog      \x1b[0m /var/log/web (8 files, 12 MiB)",
        "   Nov 29 18:22:10 listening on :8080 \\u{1b}[31m",
        "",
        "   \x1b[2mchanges while this screen is open\x1b[0m",
        "   Nov 29 18:22:09  down → up, pid 4711",
    ];
    open(&mut model, PageKind::Service, "Service web", &service);
    compare("service", &mut model, 80, 24);
    compare("service", &mut model, 40, 10);
    let logs: Vec<String> =
        (10..40).map(|n| format!("Nov 29 18:22:{n} \x1b[36mweb\x1b[0m | request {n}")).collect();
    let logs: Vec<&str> = logs.iter().map(String::as_str).collect();
    open(&mut model, PageKind::Logs, "Logs of web, db", &logs);
    compare("logs", &mut model, 80, 24);
    model.set_search("request 12");
    compare("logs-search", &mut model, 40, 10);
    let doctor = [
        "\x1b[31m✗\x1b[0m mail: \x1b[1mcrash-loop\x1b[0m (error)",
        "  The service ends again and again, or has failed.",
        "  \x1b[2mmail is failed; last end: exit 78; 5 deaths in a row\x1b[0m",
        "  \x1b[36m→\x1b[0m svctl logs -n 50 mail",
        "    supervise(8)",
        "1 error and 0 warnings in 9 services",
    ];
    open(&mut model, PageKind::Doctor, "Doctor", &doctor);
    compare("doctor", &mut model, 80, 24);
    let tree = [
        "/service  svscan pid 592  1 MiB",
        "├─ web  \x1b[32mup\x1b[0m\x1b[2m  supervise pid 607  1 MiB\x1b[0m",
        "│  │  webd pid 4711  41 MiB",
        "│  └─ log  \x1b[32mup\x1b[0m\x1b[2m  supervise pid 605  1 MiB\x1b[0m",
        "└─ cron  \x1b[2mdown\x1b[0m",
    ];
    open(&mut model, PageKind::Tree, "Tree of processes", &tree);
    compare("tree", &mut model, 80, 24);
    let why = [
        "\x1b[31m▲\x1b[0m \x1b[1mmail has failed: too many deaths.\x1b[0m",
        "   \x1b[36m→\x1b[0m svctl up mail",
    ];
    open(&mut model, PageKind::Why, "Why mail", &why);
    compare("why", &mut model, 80, 24);
    let help: Vec<String> =
        HELP.iter().map(|(key, what)| format!("  {} {what}", pad(key, 12))).collect();
    open(&mut model, PageKind::Help, "Help", &help.iter().map(String::as_str).collect::<Vec<_>>());
    compare("help", &mut model, 80, 24);
    assert!(help.len() <= 21, "the help fits on a screen of 24 lines");
    let widest = help.iter().map(|line| unicode_width::UnicodeWidthStr::width(line.as_str())).max();
    assert!(widest <= Some(80), "{widest:?}");
    model.message = Some("unable to control web: supervise not running".to_owned());
    compare("message", &mut model, 40, 10);
}

#[test]
fn without_colours_there_are_none() {
    let mut services = Services::new();
    let mut model = services.every_kind();
    let colours = |buffer: &Buffer| buffer.content().iter().any(|cell| cell.fg != Color::Reset);
    assert!(colours(&draw(&mut model, 80, 24, true)));
    let plain = draw(&mut model, 80, 24, false);
    assert!(!colours(&plain));
    // The cursor is still seen, and a second sign beside it.
    assert!(plain.content().iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)));
    assert!(text(&plain).contains("> "));
    open(&mut model, PageKind::Why, "Why", &["\x1b[31m▲\x1b[0m \x1b[1mmail\x1b[0m"]);
    assert!(!colours(&draw(&mut model, 80, 24, false)));
}
