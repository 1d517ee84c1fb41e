//! Directories that another user arranged: nothing blocks, and nothing reaches the terminal.

use crate::Services;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

#[test]
fn escape_sequences_do_not_reach_the_terminal() {
    let name = "evil\x1b]0;title\x07\u{202e}";
    let services = Services::start(|tree| {
        tree.service(
            format!("s/{name}"),
            "#!/bin/sh\nprintf '\\033[2Jhello\\n'\nexec sleep 1000\n",
        );
        tree.service(format!("s/{name}/log"), "#!/bin/sh\nexec multilog t ./main\n");
        tree.write(format!("s/{name}/needs"), "\x1b[31mred\n");
        tree.write(format!("s/{name}/restart-limit"), "\x1b[31m\n");
        tree.symlink("\x1b[2Jnowhere", "s/lost");
    });
    harness::wait_until("it is supervised", harness::DEADLINE, || {
        services.tree.is_supervised(format!("s/{name}"))
    });
    for verb in ["list", "status", "why", "doctor", "tree", "graph", "env", "signal"] {
        let words: &[&str] = match verb {
            "list" | "tree" | "graph" => &[verb],
            "signal" => &[verb, "HUP", name],
            _ => &[verb, name],
        };
        let output = services.run(words);
        for stream in [&output.stdout, &output.stderr] {
            let is_control = |byte: &u8| *byte < 0x20 && !b"\n\t".contains(byte);
            assert!(!stream.iter().any(is_control), "{verb}: {output}");
        }
        assert!(!output.out().contains('\u{202e}'), "{verb}");
    }
}

#[test]
fn fifos_devices_and_large_files_do_not_block() {
    let services = Services::start(|tree| {
        tree.mkdir("s/trap/supervise");
        for file in ["run", "needs", "supervise/status", "supervise/state", "supervise/process"] {
            tree.fifo(format!("s/trap/{file}"), 0o600);
        }
        tree.mkdir("s/trap/log");
        tree.symlink("/dev/zero", "s/trap/log/run");
        tree.mkdir("s/trap2/supervise");
        tree.write("s/trap2/run", "#!/bin/sh\n");
        tree.symlink("/dev/zero", "s/trap2/supervise/status");
        tree.symlink("/dev/zero", "s/trap2/needs");
        tree.symlink("/dev/tty", "s/trap2/supervise/ok");
        fs::File::create(tree.path("s/trap2/restart-limit")).unwrap().set_len(1 << 40).unwrap();
    });
    for verb in ["list", "status", "why", "doctor", "tree", "graph", "is-up"] {
        let words: &[&str] = match verb {
            "list" | "tree" | "graph" => &[verb],
            _ => &[verb, "trap", "trap2"],
        };
        let output = services.run(words);
        assert!(output.code.is_some(), "{verb}: {output}");
    }
}

#[test]
fn names_of_any_bytes_are_found() {
    let services = Services::start(|tree| {
        tree.idle_service("s/with space");
        tree.idle_service("s/new\nline");
        let raw = tree.path("s").join(std::ffi::OsStr::from_bytes(b"raw\xff"));
        fs::create_dir(raw).unwrap();
    });
    services.wait_state("with space", "up");
    services.wait_state("new\nline", "up");
    let output = services.run(&["list"]);
    assert_eq!(output.out().lines().count(), 3, "{output}");
    let output = services.run(&["down", "new\nline"]);
    assert!(output.out().starts_with("new\\nline: down after "), "{output}");
}

/// Text with every kind of character that a terminal obeys or hides: C0, DEL, C1 as a character, marks and
/// controls of direction, tags.
const HOSTILE: &str =
    "\x1b[2J\x07\x7f\u{85}\u{9b}31m\u{61c}\u{202e}\u{2066}\u{2028}\u{feff}\u{e0041}";

/// Whether one of these characters is in a text, beside ends of lines.
fn is_hostile(text: &str) -> bool {
    let is_meant = |character: char| {
        HOSTILE.contains(character) && !character.is_ascii_graphic() || character.is_control()
    };
    text.replace("\r\n", "\n").chars().any(|it| is_meant(it) && !"\n\t".contains(it))
}

/// A service whose user writes such text wherever it can.
fn hostile_service() -> (Services, String) {
    // A bracket would make a pattern of the name.
    let name = format!("evil{}", HOSTILE.replace('[', ""));
    let services = Services::start(|tree| {
        // In its command line, and in its log.
        let run = format!(
            "#!/bin/sh\nprintf '%s\\233\\n' '{HOSTILE}'\nexec sh -c 'sleep 1000; :' '{HOSTILE}'\n"
        );
        tree.service(format!("s/{name}"), &run);
        tree.write(format!("s/{name}/timeout-kill"), "5s\n");
        tree.write(format!("s/{name}/needs-{HOSTILE}"), "");
        tree.service(format!("s/{name}/log"), "#!/bin/sh\nexec multilog t ./main\n");
        tree.symlink(format!("{HOSTILE}nowhere"), "s/lost");
    });
    services.wait_state(&name, "up");
    services.tree.wait_text(format!("s/{name}/log/main/current"), "31m");
    // A note of a command that is recorded.
    assert_eq!(services.run(&["cont", &name]).code, Some(0));
    // supervise writes the state after a command. When `svc -W` ends, it has done so for the last time.
    let dir =
        services.tree.path(format!("s/{name}")).into_os_string().into_string().expect("a path");
    services.tree.cmd("svc").args(["-W", "up", &dir]).run().is(0, "", "");
    let requests = services.tree.path(format!("s/{name}/supervise/requests"));
    let notes = fs::read_to_string(&requests).expect("a file of the state directory");
    let (head, _) = notes.lines().last().expect("a note").split_once(" user=").expect("a user");
    let hex: String = HOSTILE.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let line = format!("{head} user={hex} tty=%e2%80%ae command=%c2%9b%07");
    assert!(line.len() <= 255, "{}", line.len());
    fs::write(&requests, format!("{line:255}\n")).expect("a file of the state directory");
    let state = services.tree.path(format!("s/{name}/supervise/state"));
    let text = fs::read_to_string(&state).expect("a file of the state directory");
    fs::write(&state, format!("{text}message={HOSTILE}\n")).expect("a file of the state directory");
    (services, name)
}

#[test]
fn no_character_of_another_user_reaches_a_terminal() {
    if !harness::requires("script") {
        return;
    }
    let (services, name) = hostile_service();
    let name = name.as_str();
    let forms = ["short", "iso", "tai", "cat", "json"];
    let logs = forms.map(|form| vec!["logs", "--no-pager", "-o", form, name]);
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["list"],
        vec!["list", "-l"],
        vec!["status", name],
        vec!["why", name],
        vec!["doctor"],
        vec!["tree"],
        vec!["graph", "--dot"],
        vec!["env", name],
        vec!["history", name],
        vec!["list", "--json"],
        vec!["status", "--json", name],
        vec!["why", "--json", name],
        vec!["doctor", "--json"],
        vec!["history", "--json", name],
        vec!["status", &name[..4]],
        vec!["grant", "--read", "root", "--dry-run", name],
    ];
    commands.extend(logs);
    for words in &commands {
        let svctl = env!("CARGO_BIN_EXE_svctl");
        let quoted = words.iter().map(|word| format!(" '{word}'")).collect::<String>();
        let command = format!("{svctl} -d s{quoted}");
        let output = services
            .tree
            .cmd("script")
            .args(["-q", "-e", "-c", &command, "/dev/null"])
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .run();
        let shown = output.out();
        assert!(!shown.is_empty() && !is_hostile(&shown), "{words:?}: {shown:?}");
        assert!(std::str::from_utf8(&output.stdout).is_ok(), "{words:?}: {output}");
        // Programs get the same, but for the lines as they are in the file.
        let output = services.run(words);
        let is_raw = words.contains(&"cat") || words.contains(&"tai");
        assert_eq!(is_hostile(&output.out()), is_raw, "{words:?}: {output:?}");
    }
    // Nothing is lost.
    let value = services.json(&["status", "--json", name]);
    assert_eq!(value["services"][0]["name"], name);
    assert_eq!(value["services"][0]["last_request"]["requester"]["user"], HOSTILE);
    let output = services.run(&["logs", "-o", "cat", name]);
    assert_eq!(output.stdout, [HOSTILE.as_bytes(), b"\x9b\n"].concat());
}

#[test]
fn changes_of_a_hostile_service_do_not_reach_the_terminal() {
    let (services, name) = hostile_service();
    for words in [&["events", "--json"][..], &["events"]] {
        let events = services.svctl().args(words).start();
        harness::wait_until("events", harness::DEADLINE, || events.stdout().contains("evil"));
        let shown = events.stdout();
        assert!(!is_hostile(&shown), "{shown:?}");
        events.signal(harness::Signal::TERM);
        assert_eq!(events.wait().code, Some(0));
    }
    assert!(services.service(&name)["message"].is_string());
}
