//! top: a person at a terminal, and a terminal that changes or goes away.

mod mouse;
mod reports;

use crate::Services;
use harness::process::{assert_idle, is_alive, is_stopped, memory, wait_asleep};
use harness::{DEADLINE, Signal, Terminal, Tree, process, requires, wait_until};
use std::time::Duration;

/// The time in which an idle screen must not wake up.
const IDLE: Duration = Duration::from_millis(2500);

impl Services {
    fn top(&self, columns: u16, rows: u16) -> Terminal<'_> {
        let command = self.svctl().arg("top");
        Terminal::start(&self.tree, command, columns, rows)
    }
}

/// A logged service, one that needs it, one that has failed and one that is held.
fn make(tree: &Tree) {
    tree.service("s/web", "#!/bin/sh\nprintf 'listening \\033[31mred\\n'\nexec sleep 1000\n");
    tree.script("s/web/log/run", "#!/bin/sh\nexec multilog t ./main\n");
    tree.idle_service("s/api");
    tree.write("s/api/needs", "nginx\n");
    tree.service("s/mail", "#!/bin/sh\nexit 78\n");
    tree.write("s/mail/restart-limit", "1 in 60s\n");
    tree.idle_service("s/cron");
    tree.write("s/cron/down", "");
    tree.trapping_service("s/nginx", &["HUP"]);
}

fn start() -> Option<Services> {
    if !requires("tmux") {
        return None;
    }
    let services = Services::start(make);
    services.wait_state("mail", "failed");
    for name in ["web", "api", "nginx"] {
        services.wait_state(name, "up");
    }
    Some(services)
}

/// The name of the service under the cursor.
fn cursor(screen: &str) -> Option<&str> {
    let line = screen.lines().find(|line| line.starts_with('>'))?;
    line.split_whitespace().find(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

fn wait_cursor(terminal: &Terminal<'_>, name: &str) {
    terminal.wait_screen(&format!("the cursor on {name}"), |screen| cursor(screen) == Some(name));
}

fn wait_text(terminal: &Terminal<'_>, text: &str) -> String {
    terminal.wait_screen(text, |screen| screen.contains(text))
}

/// The words of the line of a service.
fn has_state(screen: &str, name: &str, state: &str) -> bool {
    screen.lines().any(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != name);
        words.next().is_some() && words.next() == Some(state)
    })
}

fn wait_line(terminal: &Terminal<'_>, name: &str, state: &str) {
    let what = format!("{name} {state}");
    terminal.wait_screen(&what, |screen| has_state(screen, name, state));
}

#[test]
fn keys_move_and_choose() {
    let Some(services) = start() else { return };
    let top = services.top(80, 24);
    for (name, state) in
        [("api", "up"), ("cron", "down"), ("mail", "failed"), ("nginx", "up"), ("web", "up")]
    {
        wait_line(&top, name, state);
    }
    assert!(top.screen().contains("read-only"), "{}", top.screen());
    wait_cursor(&top, "api");
    for (key, name) in [
        ("j", "cron"),
        ("Down", "mail"),
        ("k", "cron"),
        ("Up", "api"),
        ("k", "api"),
        ("G", "web"),
        ("j", "web"),
        ("g", "api"),
        ("PageDown", "web"),
        ("PageUp", "api"),
        ("C-f", "web"),
        ("C-b", "api"),
        ("End", "web"),
        ("Home", "api"),
    ] {
        top.keys(&[key]);
        wait_cursor(&top, name);
    }
    // Each sort begins at its first service.
    for (title, first) in [("STATE↓", "mail"), ("SINCE↓", ""), ("NAME↓", "api")] {
        top.keys(&["s"]);
        let screen = wait_text(&top, title);
        assert!(first.is_empty() || cursor(&screen) == Some(first), "{screen}");
    }
    for (filter, count) in [("trouble", 1), ("up", 3), ("not up", 2), ("marked", 0)] {
        top.keys(&["f"]);
        wait_text(&top, &format!("{count} of 5 ({filter})"));
    }
    wait_text(&top, "No service is shown (marked): f or Esc shows others.");
    top.keys(&["Escape"]);
    wait_text(&top, "5 services");
    top.keys(&["/"]);
    top.text("NG");
    wait_text(&top, "1 of 5 (/NG)");
    top.keys(&["BSpace", "BSpace"]);
    top.text("m");
    wait_cursor(&top, "mail");
    top.keys(&["Enter", "Escape"]);
    wait_text(&top, "5 services");
    top.keys(&["/"]);
    top.text("web");
    top.keys(&["Escape"]);
    wait_text(&top, "5 services");
    // Backspace goes back as well: from the search, and then from the filter.
    top.keys(&["f", "/"]);
    top.text("mail");
    top.keys(&["Enter"]);
    wait_text(&top, "1 of 5 (trouble, /mail)");
    top.keys(&["BSpace"]);
    wait_text(&top, "1 of 5 (trouble)");
    top.keys(&["BSpace"]);
    wait_text(&top, "5 services");
    top.keys(&["g", "Space", "Space"]);
    wait_text(&top, "2 marked");
    wait_cursor(&top, "mail");
    top.keys(&["*"]);
    top.wait_screen("no mark", |screen| !screen.contains("marked"));
    top.keys(&["*"]);
    wait_text(&top, "5 marked");
    top.keys(&["q"]);
    assert_eq!(top.wait_end(), 0);
}

#[test]
fn keys_open_pages() {
    let Some(services) = start() else { return };
    services.tree.wait_text("s/web/log/main/current", "red");
    let top = services.top(80, 24);
    wait_line(&top, "web", "up");
    top.keys(&["G", "Enter"]);
    let screen = wait_text(&top, "listening");
    assert!(screen.contains("Service web") && screen.contains("● web — up for"), "{screen}");
    assert!(screen.contains("process, cpu"), "{screen}");
    // Control bytes of the log are shown, and not obeyed.
    assert!(screen.contains(r"listening \u{1b}[31mred"), "{screen}");
    top.keys(&["w"]);
    wait_text(&top, "● web has been up for");
    top.keys(&["q", "q", "k", "Enter"]);
    wait_text(&top, "needed by api");
    top.keys(&["q", "G", "w"]);
    wait_text(&top, "Why web");
    top.keys(&["l"]);
    wait_text(&top, "Logs of web");
    wait_text(&top, "following");
    services.run(&["restart", "web"]);
    top.wait_screen("the line of the new process", |screen| {
        screen.matches("listening").count() == 2
    });
    top.keys(&["q"]);
    wait_text(&top, "Why web");
    top.keys(&["q", "Escape"]);
    wait_cursor(&top, "web");
    top.keys(&["d"]);
    wait_text(&top, "crash-loop");
    top.keys(&["/"]);
    top.text("error");
    top.keys(&["Enter", "n", "N", "n"]);
    wait_text(&top, "Doctor");
    top.keys(&["/"]);
    top.text("no such text");
    top.keys(&["Enter", "n"]);
    wait_text(&top, "Not found");
    top.keys(&["Escape", "t"]);
    let screen = wait_text(&top, "└─ web");
    assert!(screen.contains("svscan pid") && screen.contains("multilog pid"), "{screen}");
    top.keys(&["C-l", "?"]);
    wait_text(&top, "doctor (only D");
    top.keys(&["Escape", "T"]);
    wait_text(&top, "Tree of processes");
    top.keys(&["D"]);
    wait_text(&top, "Doctor");
    top.keys(&["q", "q"]);
    wait_cursor(&top, "web");
    top.keys(&["g", "Space"]);
    top.keys(&["G", "Space", "l"]);
    wait_text(&top, "Logs of api, web");
    top.keys(&["C-c"]);
    assert_eq!(top.wait_end(), 0);
}

#[test]
fn keys_scroll_a_page() {
    let Some(services) = start() else { return };
    let top = services.top(80, 10);
    wait_line(&top, "web", "up");
    top.keys(&["?"]);
    let rows = |from: usize, to: usize| format!("rows {from} to {to} of ");
    wait_text(&top, &rows(1, 7));
    // A screen more shows the last line of the one before again.
    for (keys, from) in [
        (&["j"][..], 2),
        (&["Down"], 3),
        (&["k"], 2),
        (&["Up"], 1),
        (&["Up"], 1),
        (&["C-f"], 7),
        (&["C-b"], 1),
        (&["PageDown"], 7),
        (&["PageUp"], 1),
        (&["Space"], 7),
        (&["g"], 1),
        (&["PageDown", "Home"], 1),
    ] {
        top.keys(keys);
        wait_text(&top, &rows(from, from + 6));
    }
    for key in ["G", "End"] {
        top.keys(&["g"]);
        wait_text(&top, &rows(1, 7));
        top.keys(&[key]);
        wait_text(&top, "suspend");
    }
    top.keys(&["q", "q"]);
    assert_eq!(top.wait_end(), 0);
}

#[test]
fn nothing_is_sent_before_it_is_unlocked_and_a_stop_asks() {
    let Some(services) = start() else { return };
    let top = services.top(80, 24);
    wait_line(&top, "web", "up");
    let pid = |name: &str| services.service(name)["pid"].as_u64();
    let first = pid("web");
    top.keys(&["G"]);
    wait_cursor(&top, "web");
    for key in ["u", "r", "h", "o"] {
        top.keys(&[key]);
        wait_text(&top, "Read-only: ! lets keys control services");
        top.keys(&["k", "j"]);
        top.wait_screen("no message", |screen| !screen.contains("lets keys"));
    }
    top.keys(&["!"]);
    wait_text(&top, "CONTROL");
    top.keys(&["d"]);
    wait_text(&top, "Stop web? y/n");
    // Neither another key nor a pasted text is a yes.
    top.keys(&["x", "Enter"]);
    wait_text(&top, "Stop web? y/n");
    top.keys(&["n"]);
    wait_text(&top, "Nothing was sent");
    assert_eq!(pid("web"), first);
    for no in ["N", "q", "Escape"] {
        top.keys(&["d"]);
        wait_text(&top, "Stop web? y/n");
        top.keys(&[no]);
        wait_text(&top, "Nothing was sent");
    }
    top.keys(&["d", "Y"]);
    wait_line(&top, "web", "down");
    wait_text(&top, "sent down to web");
    top.keys(&["u"]);
    wait_line(&top, "web", "up");
    let second = pid("web");
    top.keys(&["r"]);
    wait_text(&top, "Restart web? y/n");
    top.keys(&["y"]);
    wait_until("another process", DEADLINE, || pid("web").is_some_and(|pid| Some(pid) != second));
    top.keys(&["k", "h"]);
    wait_text(&top, "Send HUP, which ends many programs, to nginx? y/n");
    top.keys(&["y"]);
    assert_eq!(services.tree.wait_lines("s/nginx/signals", 1), ["HUP"]);
    top.keys(&["o"]);
    wait_until("once", DEADLINE, || services.service("nginx")["wanted"] == "once");
    // The marked ones, whatever the cursor is on.
    top.keys(&["g", "Space", "G", "Space", "g", "j", "d"]);
    wait_text(&top, "Stop 2 services: api, web? y/n");
    top.keys(&["y"]);
    services.wait_state("api", "down");
    services.wait_state("web", "down");
    assert!(pid("nginx").is_some());
    top.keys(&["D", "d"]);
    wait_text(&top, "This page is of all services");
    top.keys(&["q", "!"]);
    wait_text(&top, "read-only");
    top.keys(&["q"]);
    assert_eq!(top.wait_end(), 0);
}

#[test]
fn changes_appear_without_a_key() {
    let Some(services) = start() else { return };
    services.tree.idle_service("sv/late");
    let top = services.top(80, 24);
    wait_line(&top, "web", "up");
    services.run(&["down", "web"]);
    wait_line(&top, "web", "down");
    services.run(&["add", "sv/late"]);
    wait_line(&top, "late", "up");
    services.run(&["remove", "late"]);
    top.wait_screen("late has gone", |screen| !screen.contains("late"));
    // A page follows its service, and says what changed.
    top.keys(&["G", "Enter"]);
    wait_text(&top, "○ web — down");
    services.run(&["up", "web"]);
    let screen = wait_text(&top, "→ up, pid");
    assert!(screen.contains("● web — up for"), "{screen}");
    top.keys(&["q"]);
    // While it is paused nothing changes, and everything is read afterwards.
    top.keys(&["p"]);
    wait_text(&top, "PAUSED");
    services.run(&["down", "api"]);
    assert!(has_state(&top.screen(), "api", "up"), "{}", top.screen());
    top.keys(&["p"]);
    wait_line(&top, "api", "down");
}

#[test]
fn a_supervise_that_dies_and_comes_back_is_seen() {
    let Some(services) = start() else { return };
    let top = services.top(80, 24);
    wait_line(&top, "web", "up");
    let child = u32::try_from(services.service("web")["pid"].as_u64().unwrap()).unwrap();
    let supervise = process::parent(child).unwrap();
    let svscan = process::parent(supervise).unwrap();
    process::signal(svscan, Signal::STOP);
    process::signal(supervise, Signal::KILL);
    wait_line(&top, "web", "unsupervised");
    process::signal(svscan, Signal::CONT);
    wait_line(&top, "web", "up");
}

#[test]
fn an_idle_screen_does_not_wake_up() {
    let Some(services) = start() else { return };
    let top = services.top(80, 24);
    wait_line(&top, "web", "up");
    let pid = top.pid();
    for (keys, text) in [
        (&["p"][..], "PAUSED"),
        (&["p", "?"], "Help"),
        (&["q", "d"], "Doctor"),
        (&["q", "t"], "Tree of"),
        (&["q", "G", "w"], "Why web"),
        (&["q", "l"], "Logs of web"),
    ] {
        top.keys(keys);
        wait_text(&top, text);
        wait_asleep(pid, env!("CARGO_BIN_EXE_svctl"));
        assert_idle(&[pid], IDLE);
    }
    top.keys(&["q", "/"]);
    top.text("nothing");
    top.keys(&["Enter"]);
    wait_text(&top, "No name has this text");
    wait_asleep(pid, env!("CARGO_BIN_EXE_svctl"));
    assert_idle(&[pid], IDLE);
    // Asleep, and still there for a key.
    top.keys(&["Escape"]);
    wait_line(&top, "web", "up");
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let Some(services) = start() else { return };
    let top = services.top(80, 24);
    wait_line(&top, "web", "up");
    top.resize(40, 10);
    top.wait_screen("the narrow list", |screen| {
        !screen.contains("MEMORY") && has_state(screen, "web", "up") && screen.lines().count() == 10
    });
    top.keys(&["Enter"]);
    wait_text(&top, "Service api");
    top.resize(100, 30);
    top.keys(&["q"]);
    wait_text(&top, "MEMORY");
    // Too small for anything, and back.
    top.resize(3, 2);
    top.resize(80, 24);
    wait_line(&top, "web", "up");
}

#[test]
fn it_suspends_and_goes_on() {
    let Some(services) = start() else { return };
    let svctl = env!("CARGO_BIN_EXE_svctl");
    let shell = services.tree.cmd("sh").arg("-i").env("PS1", "prompt: ").env("NO_COLOR", "1");
    let terminal = Terminal::start(&services.tree, shell, 80, 24);
    wait_text(&terminal, "prompt:");
    let start = |options: &str| {
        terminal.text(&format!("clear; {svctl} -d s top {options}"));
        terminal.keys(&["Enter"]);
        wait_line(&terminal, "web", "up");
    };
    start("");
    terminal.keys(&["C-z"]);
    let screen = terminal.wait_screen("the shell", |screen| screen.ends_with("prompt:"));
    assert!(!screen.contains("read-only"), "{screen}");
    terminal.text("echo echoed; fg");
    terminal.wait_screen("what is typed", |screen| screen.ends_with("fg"));
    terminal.keys(&["Enter"]);
    wait_line(&terminal, "web", "up");
    // From outside as well.
    let pids = services.tree.find(&[svctl, "-d", "s", "top"]);
    let [pid] = pids.as_slice() else { panic!("{pids:?}") };
    process::signal(*pid, Signal::TSTP);
    terminal.wait_screen("the shell", |screen| screen.ends_with("prompt:"));
    wait_until("it is stopped", DEADLINE, || is_stopped(*pid));
    // A stopped screen ends without touching the terminal of the shell.
    process::signal(*pid, Signal::TERM);
    process::signal(*pid, Signal::CONT);
    wait_until("it has ended", DEADLINE, || !is_alive(*pid));
    terminal.keys(&["Enter"]);
    terminal.text("stty -a | grep -o ' icanon'");
    terminal.keys(&["Enter"]);
    terminal.wait_screen("a sane terminal", |screen| screen.lines().any(|line| line == " icanon"));
}

#[test]
fn signals_end_it_and_restore_the_terminal() {
    let Some(services) = start() else { return };
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let script = "echo before; \"$0\" -d s top; echo \"code $?\"; stty -a | grep -o ' icanon'";
        let command = services.tree.cmd("sh").args(["-c", script, env!("CARGO_BIN_EXE_svctl")]);
        let terminal = Terminal::start(&services.tree, command, 80, 24);
        wait_line(&terminal, "web", "up");
        let pids = services.tree.find(&[env!("CARGO_BIN_EXE_svctl"), "-d", "s", "top"]);
        let [pid] = pids.as_slice() else { panic!("{pids:?}") };
        process::signal(*pid, signal);
        let screen = wait_text(&terminal, " icanon");
        assert!(screen.starts_with("before\ncode 0\n"), "{signal:?}: {screen}");
    }
}

#[test]
fn a_terminal_that_goes_away_leaves_no_process() {
    let Some(services) = start() else { return };
    let top = services.top(80, 24);
    wait_line(&top, "web", "up");
    let pid = top.pid();
    top.close();
    wait_until("svctl has ended", DEADLINE, || !is_alive(pid));
    // In another session there is no HUP, only the error of the terminal.
    let command = services.tree.cmd("setsid").args([env!("CARGO_BIN_EXE_svctl"), "-d", "s", "top"]);
    let top = Terminal::start(&services.tree, command, 80, 24);
    wait_line(&top, "web", "up");
    let pid = top.pid();
    assert_eq!(process::session(pid), Some(pid));
    top.close();
    wait_until("svctl has ended", DEADLINE, || !is_alive(pid));
}

#[test]
fn without_a_terminal_there_is_an_error() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    let message = "svctl: fatal: unable to use top without a terminal (svctl list and svctl events need none)\n";
    services.run(&["top"]).is(100, "", message);
    services.run(&["top", "web"]).is(
        100,
        "",
        "svctl: fatal: usage: svctl top (/ searches for names)\n",
    );
    if requires("tmux") {
        // tmux sets TERM itself.
        let svctl = ["TERM=dumb", env!("CARGO_BIN_EXE_svctl"), "-d", "s", "top"];
        let top = services.tree.cmd("env").args(svctl);
        let top = Terminal::start(&services.tree, top, 80, 24);
        assert_eq!(top.wait_end(), 100);
        let missing = services.svctl().args(["-d", "missing", "top"]);
        let missing = Terminal::start(&services.tree, missing, 80, 24);
        assert_eq!(missing.wait_end(), 111);
        let screen = missing.screen();
        assert!(screen.contains("unable to read missing: file does not exist"), "{screen}");
    }
}

#[test]
fn names_and_texts_from_outside_do_not_reach_the_terminal() {
    if !requires("tmux") {
        return;
    }
    let services = Services::start(|tree| {
        tree.idle_service("s/a\u{1b}[31mb");
        tree.service("s/talk", "#!/bin/sh\nprintf 'STATUS=\\033[2Jgone\\n' >&3\nexec sleep 1000\n");
        tree.mkdir("s/long-name-".to_owned() + &"x".repeat(100));
    });
    let top = services.top(80, 24);
    wait_line(&top, "talk", "up");
    let screen = top.screen();
    assert!(screen.contains(r"a\u{1b}[31mb"), "{screen}");
    // What is cut says so.
    assert!(screen.contains("long-name-xxxx") && screen.contains('…'), "{screen}");
    assert!(!top.attributes().contains("\u{1b}[31mb"));
}

#[test]
fn many_services_need_little_memory() {
    if !requires("tmux") {
        return;
    }
    let services = Services::start(|tree| {
        for number in 0..3000 {
            let state = format!("many/{number:04}/supervise");
            tree.mkdir(&state);
            tree.write(format!("{state}/status"), harness::Status::record(1_000_000, 0, 0, b'd'));
        }
    });
    // One FIFO with a reader is that of all.
    services.tree.fifo("ok", 0o600);
    let _reader = services.tree.open_fifo("ok");
    for number in 0..3000 {
        let to = services.tree.path(format!("many/{number:04}/supervise/ok"));
        std::fs::hard_link(services.tree.path("ok"), to).expect("a link");
    }
    let command = services.tree.cmd(env!("CARGO_BIN_EXE_svctl")).args(["-d", "many", "top"]);
    let top = Terminal::start(&services.tree, command, 80, 24);
    wait_text(&top, "3000 services: 3000 down");
    top.keys(&["G"]);
    wait_cursor(&top, "2999");
    let record = harness::Status::record(1_000_000, 0, 0, b'u');
    services.tree.write("many/2999/supervise/status.new", record);
    services.tree.rename("many/2999/supervise/status.new", "many/2999/supervise/status");
    wait_line(&top, "2999", "waiting");
    let used = memory(top.pid(), "Rss");
    assert!(used < 30 * 1024, "{used} KiB");
}

#[test]
fn without_watches_the_screen_is_read_every_second() {
    let Some(services) = start() else { return };
    // The limit of a user name space is below that of the system.
    let limit = "echo 3 >/proc/sys/user/max_inotify_watches";
    let trial = services.tree.cmd("unshare").args(["--map-root-user", "sh", "-c", limit]).run();
    if trial.code != Some(0) {
        harness::skip("no user name space with a limit of inotify watches");
        return;
    }
    let script = format!("{limit} && exec \"$0\" -d s top");
    let svctl = ["--map-root-user", "sh", "-c", &script, env!("CARGO_BIN_EXE_svctl")];
    let top = Terminal::start(&services.tree, services.tree.cmd("unshare").args(svctl), 80, 24);
    wait_text(&top, "The kernel refuses watches (fs.inotify.max_user_watches)");
    wait_line(&top, "web", "up");
    services.run(&["down", "web"]);
    wait_line(&top, "web", "down");
    top.keys(&["q"]);
    assert_eq!(top.wait_end(), 0);
}
