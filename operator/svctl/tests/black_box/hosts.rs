//! `--host`: the services of several machines in one answer.

use crate::Services;
use harness::{Cmd, Signal, Tree, wait_until};
use serde_json::Value;
use std::ffi::OsString;

/// Two scan directories of two machines, and a ssh that reaches them.
pub(crate) fn machines() -> Services {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("other/db");
        tree.service("other/mail", "#!/bin/sh\nexit 78\n");
        tree.write("other/db/down", "");
        fake_ssh(tree);
    });
    services.wait_state("web", "up");
    services
}

/// A ssh that knows the machines one and two, and those that go wrong.
fn fake_ssh(tree: &Tree) {
    let svctl = env!("CARGO_BIN_EXE_svctl");
    tree.mkdir("bin");
    tree.script(
        "bin/ssh",
        format!(
            "#!/bin/sh
case \"$*\" in *'-o BatchMode=yes'*) ;; *) exit 99 ;; esac
while [ \"$1\" != -- ]; do shift; done
host=$2 command=$3
svctl() {{ SVDIR=$dir {svctl} \"$@\"; }}
case $host in
one) dir=s ;;
root@two) dir=other ;;
far) echo 'ssh: connect to host far port 22: No route to host' >&2; exit 255 ;;
bare) echo 'sh: svctl: not found' >&2; exit 127 ;;
odd) printf 'Welcome!\\033[2J\\n'; exit 0 ;;
old) echo '{{\"schema\":7,\"services\":[]}}'; exit 0 ;;
evil) echo '{{\"schema\":1,\"services\":[{{\"name\":\"\\u001b[2Jx\",\"state\":\"\\u001b[31m\",\"since\":5}}]}}'; exit 0 ;;
log) echo '{{\"service\":\"\\u001b[2Jx\",\"time\":\"2026-11-30T14:41:32Z\",\"label\":\"\\u001b[31m\",\"message\":\"\\u001b]0;t\\u0007\u{202e}\"}}'; exit 0 ;;
loud) head -c 1000000 /dev/zero >&2; exit 255 ;;
esac
eval \"$command\"
"
        ),
    );
}

/// svctl with that ssh before all others.
pub(crate) fn with_fake_ssh(tree: &Tree) -> Cmd<'_> {
    let mut path = OsString::from(tree.path("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    tree.cmd(env!("CARGO_BIN_EXE_svctl")).env("PATH", path)
}

impl Services {
    pub(crate) fn with_ssh(&self, arguments: &[&str]) -> Cmd<'_> {
        // Not `-d`: each machine has its own scan directory.
        with_fake_ssh(&self.tree).args(arguments).env("NO_COLOR", "1").env("TZ", "UTC")
    }
}

#[test]
fn the_services_of_all_machines_are_one_list() {
    let services = machines();
    let output = services.with_ssh(&["list", "--host", "one", "--host", "root@two"]).run();
    assert_eq!(output.code, Some(0), "{output}");
    let text = output.out();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let starts: Vec<_> = rows.iter().map(|row| &row[..3]).collect();
    assert_eq!(
        starts,
        [
            ["one", "web", "up"],
            ["root@two", "db", "unsupervised"],
            ["root@two", "mail", "unsupervised"]
        ]
    );
    assert_eq!(rows[1][5], "no supervise runs");
    let output = services.with_ssh(&["list", "-l", "--host", "one", "--host", "root@two"]).run();
    let text = output.out();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert!(rows[0][5].parse::<u64>().unwrap() > 0 && rows[0][6].parse::<u64>().is_ok(), "{text}");
    assert_eq!((rows[0][7], rows[0].len()), ("1", 9), "{text}");
    assert_eq!(rows[1][5..], ["", "", "", "no supervise runs"], "{text}");
    let output = services.with_ssh(&["--host", "one", "--json", "list", "w*"]).run();
    let answer: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!(answer["services"][0]["host"], "one");
    assert_eq!(answer["services"][0]["name"], "web");
    assert_eq!(answer["unreachable"], serde_json::json!([]));
}

#[test]
fn a_machine_that_does_not_answer_is_named_and_the_rest_is_shown() {
    let services = machines();
    services.tree.write("names", "far # in the cellar\n\nbare\nodd\nold\nloud\none\none\n");
    let output = services.with_ssh(&["list", "--host", "@names"]).run();
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.out().starts_with("one\tweb\tup\t"), "{output}");
    assert_eq!(output.out().lines().count(), 1, "{output}");
    for message in [
        "far: unable to reach it: ssh: connect to host far port 22: No route to host\n",
        "bare: svctl was not found there\n",
        "odd: its svctl answered something else than JSON\n",
        "old: its svctl has another schema than 1\n",
        "loud: unable to reach it: ",
    ] {
        assert!(output.err().contains(message), "{message}: {output}");
    }
    let output = services.with_ssh(&["list", "--json", "--host", "far", "--host", "one"]).run();
    assert_eq!(output.code, Some(111), "{output}");
    let answer: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!(answer["unreachable"][0]["host"], "far");
    assert!(answer["unreachable"][0]["reason"].as_str().unwrap().contains("No route to host"));
    assert_eq!(answer["services"][0]["name"], "web");
}

#[test]
fn what_another_machine_says_does_not_reach_the_terminal() {
    let services = machines();
    for verb in ["list", "events"] {
        let output = services.with_ssh(&[verb, "--host", "evil", "--host", "odd"]).run();
        for stream in [&output.stdout, &output.stderr] {
            assert!(!stream.contains(&0x1b), "{verb}: {output}");
        }
    }
    let output = services.with_ssh(&["status", "--host", "odd", "web"]).run();
    assert!(output.out().contains("Welcome!\\u{1b}[2J"), "{output}");
}

#[test]
fn status_shows_each_machine_and_words_survive_its_shell() {
    let services = machines();
    let output = services.with_ssh(&["status", "--host", "one", "web"]).run();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().starts_with("== one ==\n● web — up for "), "{output}");
    let output = services.with_ssh(&["status", "--host", "root@two", "--host", "one", "web"]).run();
    assert!(output.out().starts_with("== one =="), "{output}");
    assert_eq!(
        output.err(),
        "svctl: warning: root@two: unable to find service web in other\n",
        "{output}"
    );
    assert_eq!(output.code, Some(4), "{output}");
    let name = "$(touch made); touch made #'";
    let output = services.with_ssh(&["status", "--host", "one", name]).run();
    assert!(output.err().contains("unable to find service $(touch made)"), "{output}");
    assert!(!services.tree.exists("made"));
}

#[test]
fn findings_of_all_machines_are_one_answer() {
    let services = machines();
    services.tree.chmod("other/mail/run", 0o644);
    let words = ["doctor", "--json", "--host", "root@two", "--host", "far", "mail"];
    let output = services.with_ssh(&words).run();
    assert_eq!(output.code, Some(111), "{output}");
    let answer: Value = serde_json::from_str(&output.out()).unwrap();
    assert_eq!(answer["unreachable"][0]["host"], "far", "{output}");
    let findings = answer["findings"].as_array().unwrap();
    assert!(!findings.is_empty() && findings.iter().all(|it| it["host"] == "root@two"), "{output}");
    let output = services.with_ssh(&["doctor", "--host", "root@two", "mail"]).run();
    assert!(output.out().starts_with("== root@two ==\n"), "{output}");
    assert!(matches!(output.code, Some(1 | 2)), "{output}");
}

#[test]
fn names_that_ssh_would_take_for_options_are_refused() {
    let services = machines();
    services.tree.fifo("fifo", 0o600);
    for (host, code, message) in [
        ("-oProxyCommand=touch made", 100, "not a name of a host"),
        ("root@-oProxyCommand=x", 100, "not a name of a host"),
        ("", 100, "not a name of a host"),
        ("@fifo", 111, "not a regular file"),
        ("@missing", 111, "file does not exist"),
    ] {
        let host = format!("--host={host}");
        let output = services.with_ssh(&["list", &host]).run();
        assert_eq!(output.code, Some(code), "{host}: {output}");
        assert!(output.err().contains(message), "{host}: {output}");
    }
    assert!(!services.tree.exists("made"));
}

#[test]
fn events_of_all_machines_come_as_they_happen() {
    let services = machines();
    let words = ["events", "--json", "--host", "one", "--host", "root@two", "--host", "far"];
    let events = services.with_ssh(&words).start();
    let seen = |host: &str, name: &str, state: &str| {
        wait_until(&format!("{host} {name} {state}"), harness::DEADLINE, || {
            let text = events.stdout();
            let mut objects = text.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
            objects.any(|it| it["host"] == host && it["name"] == name && it["state"] == state)
        });
    };
    seen("one", "web", "up");
    seen("root@two", "db", "unsupervised");
    services.run(&["down", "web"]);
    seen("one", "web", "down");
    assert!(events.stderr().contains("far: unable to reach it"), "{}", events.stderr());
    events.signal(Signal::INT);
    assert_eq!(events.wait().code, Some(0));
    wait_until("no ssh is left", harness::DEADLINE, || {
        services.tree.find(&["/bin/sh"]).iter().all(|pid| {
            let text = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            !String::from_utf8_lossy(&text).contains("bin/ssh")
        })
    });
}

/// A real sshd on loopback, for this user, and a ssh that knows it as one and two. Nothing listens
/// at the port of far.
fn start_sshd(tree: &Tree, port: u16) -> harness::Process {
    tree.mkdir("ssh");
    for key in ["ssh/host", "ssh/client"] {
        let made = tree.cmd("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", key]).run();
        assert_eq!(made.code, Some(0), "{made}");
    }
    let path = |name: &str| tree.path(name).to_string_lossy().into_owned();
    tree.mkdir("bin");
    tree.symlink(env!("CARGO_BIN_EXE_svctl"), "bin/svctl");
    tree.write(
        "ssh/sshd",
        format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}.pub\nStrictModes no\n\
             UsePAM no\nPidFile none\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             SetEnv PATH={}:/usr/bin:/bin SVDIR={}\n",
            path("ssh/host"),
            path("ssh/client"),
            path("bin"),
            path("s"),
        ),
    );
    let known = format!(
        "Host one two\n  Port {port}\nHost far\n  Port 1\nHost *\n  HostName 127.0.0.1\n  IdentityFile {}\n  \
         IdentitiesOnly yes\n  UserKnownHostsFile {}\n  StrictHostKeyChecking no\n  LogLevel ERROR\n",
        path("ssh/client"),
        path("ssh/known"),
    );
    tree.write("ssh/config", known);
    let config = path("ssh/config");
    tree.script("bin/ssh", format!("#!/bin/sh\nexec /usr/bin/ssh -F {config} \"$@\"\n"));
    let sshd = tree
        .cmd("sshd")
        .arg0("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(path("ssh/sshd"))
        .start();
    sshd.wait_stderr("listening on");
    sshd
}

#[test]
fn a_real_sshd_answers_for_two_machines() {
    let exists = |path: &str| std::path::Path::new(path).exists();
    if !exists("/usr/sbin/sshd") || !exists("/usr/bin/ssh") {
        harness::note("sshd or ssh is missing: the test with a real sshd is skipped");
        return;
    }
    if harness::is_root() && !exists("/run/sshd") {
        // sshd refuses to start without it.
        std::fs::create_dir("/run/sshd").unwrap();
    }
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.idle_service("s/it's");
    });
    services.wait_state("web", "up");
    services.wait_state("it's", "up");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sshd = start_sshd(&services.tree, port);
    let words = ["list", "--host", "one", "--host", "two", "--host", "far", "it's"];
    let output = services.with_ssh(&words).run();
    assert_eq!(output.code, Some(111), "{output} {}", sshd.stderr());
    let text = output.out();
    let names: Vec<_> = text.lines().map(|line| line.rsplitn(4, '\t').last().unwrap()).collect();
    assert_eq!(names, ["one\tit's\tup", "two\tit's\tup"], "{output}");
    assert!(output.err().contains("far: unable to reach it: "), "{output}");
    assert!(output.err().contains("Connection refused"), "{output}");
    let events = services.with_ssh(&["events", "--host", "two", "web"]).start();
    wait_until("the state is shown", harness::DEADLINE, || {
        events.stdout().contains("  two  web  up")
    });
    services.run(&["down", "web"]);
    wait_until("the change is shown", harness::DEADLINE, || {
        events.stdout().contains("  two  web  down")
    });
    events.signal(Signal::TERM);
    assert_eq!(events.wait().code, Some(0));
    logs_of_two_machines(&services);
    sshd.signal(Signal::TERM);
    let _ = sshd.wait();
}

/// Merges and follows logs through the sshd.
#[track_caller]
fn logs_of_two_machines(services: &Services) {
    write_log(&services.tree, "a", 0);
    let directory = services.tree.path("a").to_string_lossy().into_owned();
    let words = ["logs", "--host", "one", "--host", "two", "-o", "cat", "--log-dir", &directory];
    let output = services.with_ssh(&words).run();
    assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
    let expected: String = (0..500).map(|n| format!("{0}\n{0}\n", 2 * n)).collect();
    assert_eq!(output.out(), expected);
    let process = services.with_ssh(&[&words[..], &["-f", "-n", "1"]].concat()).start();
    wait_until("the last line", harness::DEADLINE, || process.stdout() == "998\n998\n");
    let file = std::fs::OpenOptions::new().append(true).open(services.tree.path("a/current"));
    let new = b"@400000006b0d8f1000000000 new\n";
    file.and_then(|mut file| std::io::Write::write_all(&mut file, new)).expect("append");
    wait_until("the new line", harness::DEADLINE, || process.stdout() == "998\n998\nnew\nnew\n");
    process.signal(Signal::INT);
    assert_eq!(process.wait().code, Some(0));
    wait_until("no svctl follows", harness::DEADLINE, || {
        let is_follower =
            |pid: &u32| harness::process::arguments(*pid).iter().any(|word| *word == *directory);
        let processes = std::fs::read_dir("/proc").expect("processes").flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        !pids.into_iter().any(|pid: u32| is_follower(&pid))
    });
}

/// The log directory of a machine: a line each two seconds.
fn write_log(tree: &Tree, directory: &str, first: u64) {
    tree.mkdir(directory);
    let line = |second: u64| {
        let label = format!("@{:016x}{:08x}", 0x4000_0000_0000_000a + 1_796_049_692 + second, 0);
        format!("{label} {second}\n")
    };
    let text: String = (0..500).map(|n| line(first + 2 * n)).collect();
    tree.write(format!("{directory}/current"), text);
}

#[test]
fn the_logs_of_all_machines_are_merged() {
    let tree = Tree::new();
    fake_ssh(&tree);
    write_log(&tree, "a", 0);
    write_log(&tree, "b", 1);
    // Both machines see the same directories; `-d` and the like are passed on.
    let logs = |arguments: &[&str]| {
        with_fake_ssh(&tree)
            .args([
                "logs",
                "--log-dir",
                "a",
                "--log-dir",
                "b",
                "--host",
                "one",
                "--host",
                "root@two",
            ])
            .args(arguments)
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
    };
    let output = logs(&["-o", "cat"]).run();
    assert_eq!((output.code, output.err()), (Some(0), String::new()));
    let expected: String = (0..1000).map(|n| format!("{n}\n{n}\n")).collect();
    assert_eq!(output.out(), expected);
    let output = logs(&["-n", "3", "-g", "[24]$"]).run();
    let expected = "-- 2026-11-30 --\n\
                    14:58:04.000 root@two a | 992\n\
                    14:58:06.000 one a      | 994\n\
                    14:58:06.000 root@two a | 994\n";
    assert_eq!(output.out().replace("one a |", "one a      |"), expected);
    let output = logs(&["-n", "1", "-o", "json"]).run();
    let object: Value = serde_json::from_str(&output.out()).expect("JSON");
    assert_eq!((&object["host"], &object["message"]), (&"root@two".into(), &"999".into()));
    let output =
        logs(&["--host", "far", "--host", "bare", "--host", "odd", "-o", "cat", "-n", "1"]).run();
    assert_eq!((output.code, output.out()), (Some(111), "999\n".to_owned()), "{output}");
    let messages = output.err();
    for message in [
        "svctl: warning: far: unable to reach it: ssh: connect to host far port 22: No route to host\n",
        "svctl: warning: bare: svctl was not found there\n",
        "svctl: warning: odd: a line that is not of a log was skipped\n",
    ] {
        assert!(messages.contains(message), "{output}");
    }
    let output = logs(&["--cursor", "c"]).run();
    let why = "a cursor is a place in files of this machine";
    output.is(100, "", format!("svctl: fatal: unable to use --cursor with --host: {why}\n"));
}

#[test]
fn warnings_of_other_machines_are_shown() {
    let tree = Tree::new();
    fake_ssh(&tree);
    write_log(&tree, "a", 0);
    let output = with_fake_ssh(&tree)
        .args([
            "logs",
            "--host",
            "one",
            "--log-dir",
            "none",
            "--log-dir",
            "a",
            "-o",
            "tai",
            "-n",
            "1",
        ])
        .run();
    assert_eq!(output.out(), "one a | @400000006b0d8f0c00000000 998\n");
    let message = "svctl: warning: one: unable to read none: file does not exist\n";
    assert_eq!((output.code, output.err()), (Some(111), message.to_owned()));
}

#[test]
fn the_logs_of_all_machines_are_followed() {
    let tree = Tree::new();
    fake_ssh(&tree);
    write_log(&tree, "a", 0);
    let process = with_fake_ssh(&tree)
        .args(["logs", "-f", "--host", "one", "--host", "root@two", "--log-dir", "a", "-o", "cat"])
        .start();
    let expected: String = (490..500).map(|n| n * 2).map(|n| format!("{n}\n{n}\n")).collect();
    wait_until("the last lines", harness::DEADLINE, || process.stdout() == expected);
    let mut text = tree.text("a/current");
    text += "@400000006b0d8f1000000000 new\n";
    // A logger appends; this keeps the inode as well.
    let mut file = std::fs::OpenOptions::new().append(true).open(tree.path("a/current")).unwrap();
    std::io::Write::write_all(&mut file, b"@400000006b0d8f1000000000 new\n").unwrap();
    assert_eq!(tree.text("a/current"), text);
    wait_until("the new lines", harness::DEADLINE, || {
        process.stdout() == format!("{expected}new\nnew\n")
    });
    process.signal(Signal::INT);
    let output = process.wait();
    assert_eq!(output.code, Some(0), "{output}");
    wait_until("the other svctl has ended", harness::DEADLINE, || tree.processes().is_empty());
}

#[test]
fn lines_of_another_machine_do_not_reach_the_terminal() {
    let tree = Tree::new();
    fake_ssh(&tree);
    for form in ["short", "iso", "json"] {
        let output =
            with_fake_ssh(&tree).args(["logs", "--host", "log", "-o", form]).env("TZ", "UTC").run();
        assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
        assert!(output.out().contains("]0;t"), "{output}");
        assert!(!output.stdout.iter().any(|byte| *byte < 0x20 && *byte != b'\n'), "{output}");
    }
}
