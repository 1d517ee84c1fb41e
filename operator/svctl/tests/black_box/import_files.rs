//! import compose and import procfile: the services of such files run, depend on each other and stop.

use crate::Services;
use crate::import::assert_has;
use harness::{DEADLINE, wait_until};

impl Services {
    #[track_caller]
    fn import_all(&self, words: &[&str]) -> String {
        let output = self.run(&[&["import"][..], words, &["--in", "sv", "--add"]].concat());
        assert_eq!(output.code, Some(0), "{output}");
        output.out()
    }

    /// The output of a service.
    fn log(&self, name: &str, text: &str) -> String {
        self.tree.wait_text(format!("sv/{name}/log/main/current"), text)
    }
}

#[test]
fn a_procfile_becomes_services_that_run_with_its_environment() {
    let services = Services::start(|tree| {
        tree.mkdir("my app");
        tree.write("my app/.env", "A=from file\nB=\"two  words\"\n");
        tree.script("my app/web", "#!/bin/sh\necho \"<$1|$A|$B|$PORT|$(pwd)>\"\nexec sleep 1000\n");
        tree.write(
            "my app/Procfile",
            "# comment\nweb: ./web -x\n\nloop:  echo \"got $A\"; while :; do sleep 1000 & wait; done\n\
             web worker: x\nnothing\n",
        );
    });
    let out = services.import_all(&["procfile", "my app/Procfile", "--env", "PORT=5000"]);
    assert_has(
        &out,
        &[
            "web: made sv/web\n",
            "loop: made sv/loop\n",
            "    line 5: web worker: x (not NAME: COMMAND)\n",
            "    line 6: nothing (not NAME: COMMAND)\n",
            "    PS (the name and number of the process)\n",
            "    supervise restarts a process that has ended",
            "    they run as the user of supervise;",
        ],
    );
    assert!(!out.contains("    PORT ("), "{out}");
    let dir = services.tree.path("my app");
    let line = format!("<-x|from file|two  words|5000|{}>\n", dir.display());
    assert_has(&services.log("web", ">\n"), &[&line]);
    assert_has(&services.log("loop", "got"), &["got from file\n"]);
    assert_has(&services.tree.text("sv/web/run"), &["exec envfile ", " ./web -x\n"]);
    assert_has(&services.tree.text("sv/loop/run"), &[" sh -c 'echo \"got"]);
    // The process group ends, with what the shell has started.
    let output = services.run(&["down", "loop", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn processes_of_process_compose_wait_for_each_other_and_stop_by_their_commands() {
    let services = Services::start(|tree| {
        tree.mkdir("app/sub");
        tree.write("app/.env", "GLOBAL=dotenv\nONLY=here\n");
    });
    let dir = services.tree.path("app");
    services.tree.write(
        "app/process-compose.yaml",
        format!(
            r#"# of an application
version: "0.5"
log_level: info
log_configuration:
  rotation: {{max_size_mb: 1, compress: true}}
environment:
  - 'GLOBAL=file'
vars: {{NAME: "the web"}}
processes:
  web:
    command: >-
      echo "{{{{.NAME}}}} $GLOBAL $ONLY $OWN $PC_PROC_NAME $(basename $(pwd))";
      touch up; exec sleep 1000
    working_dir: sub
    environment: ["OWN=it's $$5", "HOME_DIR=$HOME/x"]
    depends_on:
      db:
        condition: process_healthy
      off:
        condition: process_completed_successfully
    availability: {{restart: on_failure, backoff_seconds: 2, max_restarts: 3}}
    namespace: front
  db:
    command: |
      echo started
      exec sleep 1000
    availability:
      restart: always
    readiness_probe:
      exec:
        command: test -e "{dir}/healthy" && test "$GLOBAL" = file
      period_seconds: 1
    shutdown:
      command: echo stopped >stopped
      timeout_seconds: 1
  off:
    entrypoint: [sleep, "1000"]
    disabled: true
    is_tty: false
"#,
            dir = dir.display()
        ),
    );
    let import = services.svctl().args(["import", "compose", "app/process-compose.yaml"]);
    let import = import.args(["--in", "sv", "--add", "--timeout", "60s"]).start();
    wait_until("db is linked", DEADLINE, || services.tree.exists("s/db"));
    services.wait_state("db", "starting");
    assert_has(&services.log("db", "\n"), &["started"]);
    assert!(!services.tree.exists("s/web"), "db is not healthy");
    services.tree.write("app/healthy", "");
    let output = import.wait();
    assert_eq!(output.code, Some(0), "{output}");
    services.wait_state("db", "ready");
    services.wait_state("off", "down");
    assert_has(
        &output.out(),
        &[
            "web: made sv/web\n",
            "db is different from the original:\n",
            "    restart: on_failure: supervise starts it again after each end",
            "    environment: HOME_DIR=$HOME/x (only process-compose has the value)\n",
            "    availability.max_restarts: 3 (",
            "    depends_on.off.condition: process_completed_successfully (",
            "    web.namespace: front\n",
            "    off.is_tty: false\n",
            "    log_configuration.rotation.max_size_mb: 1\n",
        ],
    );
    assert!(!output.out().contains("log_level"), "{output}");
    wait_until("web runs in its directory", DEADLINE, || services.tree.exists("app/sub/up"));
    let log = services.log("web", "\n");
    assert_has(&log, &["the web file here it's $5 web sub\n"]);
    assert_eq!(services.tree.text("sv/web/needs"), "db\n");
    assert_eq!(services.tree.text("sv/web/restart-delay"), "2s\n");
    assert_has(&services.tree.text("sv/off/run"), &[" sleep 1000\n"]);
    // The command ends nothing and so no TERM follows, but KILL after a second.
    let output = services.run(&["down", "db"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(services.tree.text("app/stopped"), "stopped\n");
}

#[test]
fn some_services_of_a_file_are_made_for_a_user() {
    let services = Services::start(|tree| {
        tree.write(
            "c.yml",
            "shell: {shell_command: python3, shell_argument: -c}\nprocesses:\n  a: {command: print(1), \
             is_daemon: true, shutdown: {signal: 2, parent_only: yes}}\n  b:\n    command: x\n    is_elevated: true\n    \
             liveness_probe:\n      http_get: {host: localhost, port: 80, path: /a b, headers: {X: [\"y z\"]}}\n      \
             success_threshold: 2\n  c: {command: y}\nx-more: &\n",
        );
    });
    let output = services.run(&["import", "compose", "c.yml"]);
    assert_has(&output.err(), &["unable to import c.yml: line 11: an anchor (&) is not supported"]);
    services.tree.write("c.yml", services.tree.text("c.yml").replace("&\n", "\n"));
    let words =
        ["import", "compose", "c.yml", "b", "a", "--dry-run", "--user", "daemon", "--env", "A=b"];
    let output = services.run(&words);
    assert_eq!(output.code, Some(0), "{output}");
    assert_has(
        &output.out(),
        &[
            "exec envdir \"$service/env\" setuidgid -s daemon python3 -c 'print(1)'\n",
            "exec envdir \"$service/env\" python3 -c x\n",
            "    exec setuidgid daemon multilog t ",
            "/a/stop-scope:\n    tree\n",
            "/a/background:\n    follow\n",
            "/a/down-signal:\n    2\n",
            "would make /etc/sv/b/env/A\n",
            " -H 'X: y z' 'http://localhost:80/a b')\" = 200 ]\n",
            "    liveness_probe.success_threshold: 2 (one success is enough)\n",
            "    x-more:\n",
        ],
    );
    assert!(!output.out().contains("/c/run"), "{output}");
    assert!(!output.out().contains("the user of supervise"), "{output}");
}

#[test]
fn what_is_there_stays_and_the_rest_is_made() {
    let services = Services::start(|tree| {
        tree.mkdir("sv/web");
        tree.write("sv/web/mine", "");
        tree.write("Procfile", b"web: sleep 1\nn\xffme: sleep 2\n../x: sleep 3\n");
    });
    let output = services.run(&["import", "procfile", "Procfile", "--in", "sv"]);
    assert_eq!(output.code, Some(100), "{output}");
    assert_has(&output.err(), &["unable to use the name ../x"]);
    services.tree.write("Procfile", b"web: sleep 1\nn\xffme: sleep 2\n");
    let output = services.run(&["import", "procfile", "Procfile", "--in", "sv"]);
    assert_eq!(output.code, Some(111), "{output}");
    assert_has(&output.err(), &["unable to make sv/web: it exists already"]);
    assert_has(&output.out(), &["all of them are different"]);
    let output = services.run(&["import", "procfile", "Procfile", "web", "--in", "sv"]);
    assert_eq!((output.code, &*output.out()), (Some(111), ""), "{output}");
    let mut names: Vec<_> = std::fs::read_dir(services.tree.path("sv"))
        .unwrap()
        .map(|entry| std::os::unix::ffi::OsStringExt::into_vec(entry.unwrap().file_name()))
        .collect();
    names.sort();
    assert_eq!(names, [b"n\xffme".to_vec(), b"web".to_vec()]);
    let entries = std::fs::read_dir(services.tree.path("sv/web")).unwrap().count();
    assert_eq!(entries, 1, "only mine");
}

#[test]
fn what_cannot_be_understood_is_refused_and_nothing_is_made() {
    let services = Services::start(|tree| {
        tree.fifo("fifo", 0o600);
        tree.symlink("/dev/zero", "zero");
    });
    let many: String = (0..1001).map(|number| format!("a{number}: x\n")).collect();
    for (format, text, code, message) in [
        ("compose", &b"processes:\n  a: {command: x}\n  b: &q\n"[..], 111, "line 3: an anchor (&) is not supported"),
        ("compose", b"processes:\n  a: [x]\n", 111, "line 2: a is not a mapping"),
        ("compose", b"processes:\n  a:\n    command: [x]\n", 111, "line 3: a.command is not a scalar"),
        ("compose", b"processes:\n  a: {disabled: true}\n", 111, "line 2: a process without command"),
        ("compose", b"processes:\n  a: {command: x, depends_on: {b: }}\n", 111, "b is not a process of this file"),
        (
            "compose",
            b"processes:\n  a: {command: x, depends_on: {b: }}\n  b: {command: x, depends_on: {a: }}\n",
            111,
            "some of a, b depend on each other",
        ),
        ("compose", b"processes:\n  a: {command: x, working_dir: $HOME}\n", 111, "working_dir has a $VARIABLE"),
        ("compose", b"processes:\n  a: {command: \"{{if .X}}\"}\n", 111, "a template that is not {{.VARIABLE}}"),
        ("compose", b"processes:\n  .a: {command: x}\n", 100, "unable to use the name .a"),
        ("compose", b"a: b\n", 111, "it has no services"),
        ("compose", b"a:\n  - \xff\n", 111, "line 2: not UTF-8"),
        ("procfile", b"a: x\na: y\n", 111, "line 2: a second a"),
        ("procfile", b"", 111, "it has no services"),
        ("procfile", many.as_bytes(), 111, "it has more than 1000 services"),
    ] {
        services.tree.write("file", text);
        let output = services.run(&["import", format, "file", "--in", "sv"]);
        assert_eq!(output.code, Some(code), "{message}: {output}");
        assert!(output.err().contains(message), "{message}: {output}");
        assert!(!services.tree.exists("sv"), "{message}");
    }
    services.tree.write("file", "a: x\n");
    for (words, code, message) in [
        (&["procfile", "fifo"][..], 111, "not a regular file"),
        (&["procfile", "zero"], 111, "not a regular file"),
        (&["compose", "no"], 111, "file does not exist"),
        (&["compose"], 100, "usage: svctl import compose FILE [NAME...]"),
        (&["procfile", "file", "b"], 111, "it has no b"),
        (&["procfile", "file", "--name", "b"], 100, "unable to use --name"),
        (&["procfile", "file", "--user", "no-such-user"], 111, "unable to find user no-such-user"),
        (&["procfile", "file", "--env", "x"], 100, "unable to use --env x: it has no ="),
    ] {
        let output = services.svctl().arg("import").args(words).args(["--in", "sv"]).run();
        assert_eq!(output.code, Some(code), "{words:?}: {output}");
        assert!(output.err().contains(message), "{words:?}: {output}");
        assert!(!services.tree.exists("sv"));
    }
}
