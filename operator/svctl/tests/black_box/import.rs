//! import unit: units of the forms that Debian's packages have become services that run.

use crate::Services;
use harness::{Output, wait_until};

impl Services {
    /// Imports a unit and shows what would be made.
    #[track_caller]
    fn show(&self, file: &str, text: &str, more: &[&str]) -> String {
        self.tree.write(file, text);
        let output = self.run(&[&["import", "unit", "--dry-run", file][..], more].concat());
        assert_eq!(output.code, Some(0), "{output}");
        output.out()
    }

    /// Imports a unit and starts the service.
    #[track_caller]
    fn import(&self, file: &str, text: &str) -> Output {
        self.tree.write(file, text);
        let output = self.run(&["import", "unit", file, "--in", "sv", "--add"]);
        assert_eq!(output.code, Some(0), "{output}");
        output
    }
}

#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn a_service_that_forks_is_followed_reloaded_and_stopped_by_its_commands() {
    let services = Services::start(|_| {});
    let dir = services.tree.path("").to_string_lossy().into_owned();
    services.tree.script(
        "daemon",
        format!(
            "#!/bin/sh\ncd {dir}\ncase $1 in\nstart) sleep 1000 & echo $! >pid ;;\n\
             stop) echo \"$2\" >stopped; kill $(cat pid) ;;\nreload) echo yes >reloaded ;;\nesac\n"
        ),
    );
    let output = services.import(
        "web.service",
        &format!(
            "[Unit]\nDescription=A server\nAfter=network.target\n[Service]\nType=forking\n\
             PIDFile={dir}/pid\nExecStartPre=/bin/sh -c 'echo pre >{dir}/pre'\n\
             ExecStart={dir}/daemon start\nExecReload={dir}/daemon reload\n\
             ExecStop=-{dir}/daemon stop 'two words'\nTimeoutStopSec=5\nKillMode=mixed\n\
             [Install]\nWantedBy=multi-user.target\n"
        ),
    );
    assert_has(
        &output.out(),
        &["web: made sv/web\n", "KillMode=mixed: ", "    After=network.target\n"],
    );
    assert!(!output.out().contains("WantedBy"), "{output}");
    let pid: u64 = services.tree.wait_text("pid", "\n").trim().parse().unwrap();
    wait_until("the process in the background is the service", harness::DEADLINE, || {
        services.service("web")["pid"] == pid
    });
    assert_eq!(services.tree.text("pre"), "pre\n");
    assert_eq!(services.run(&["reload", "web"]).code, Some(0));
    services.tree.wait_text("reloaded", "yes\n");
    assert_eq!(services.service("web")["pid"], pid, "no HUP was sent");
    let output = services.run(&["down", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(services.tree.text("stopped"), "two words\n");
}

#[test]
fn the_environment_and_the_commands_are_those_of_the_unit() {
    let services = Services::start(|tree| {
        tree.write("defaults", "OPTS=-a  *\nONE='b  c'\nLEVEL=high\n");
        tree.script(
            "show",
            "#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done\n\
             echo \" $LEVEL $PLAIN ${HAS_ENVIRONMENT-unset} $(umask) $(pwd)\"\n",
        );
    });
    let dir = services.tree.path("").to_string_lossy().into_owned();
    let dir = dir.trim_end_matches('/');
    services.tree.mkdir("work");
    services.import(
        "cat.service",
        &format!(
            "[Service]\nEnvironment=LEVEL=low \"PLAIN=it's %n\"\nEnvironmentFile=-{dir}/missing\n\
             EnvironmentFile={dir}/defaults\nUMask=027\nWorkingDirectory={dir}/work\n\
             ExecStartPre=-/bin/false\nExecStartPre={dir}/show $OPTS ${{ONE}} $NONE ${{NONE}} $$ a${{ONE}}\n\
             ExecStart=/usr/bin/tail -n +1 -f \\\n  {dir}/defaults\nExecReload={dir}/show check\n\
             ExecReload=/bin/kill -HUP $MAINPID\nKillMode=process\n"
        ),
    );
    let current = "sv/cat/log/main/current";
    let text = services.tree.wait_text(current, "LEVEL=high\n");
    let words = "<-a><*><b  c><><$><ab  c> high it's cat.service unset 0027 ";
    assert_has(&text, &[&format!("{words}{dir}/work\n")]);
    assert_eq!(services.tree.mode("sv/cat/env"), 0o700);
    let _ = services.run(&["down", "cat"]);
}

#[test]
fn a_failed_check_keeps_the_service_from_its_reload() {
    let services = Services::start(|tree| {
        tree.script(
            "ssh",
            "#!/bin/sh\ntrap 'echo reloaded >>../../log' HUP\necho ready >>../../log\n\
             while :; do sleep 1000 & wait; done\n",
        );
        // It decides before it writes: the test removes `broken` as soon as it has written.
        tree.script(
            "check",
            "#!/bin/sh\n[ ! -e ../../broken ]\ncode=$?\necho checked >>../../log\nexit $code\n",
        );
    });
    let dir = services.tree.path("").to_string_lossy().into_owned();
    services.import(
        "ssh.service",
        &format!(
            "[Service]\nExecStartPre={dir}/check\nExecStart={dir}/ssh\nExecReload={dir}/check\n\
             ExecReload=/bin/kill -HUP $MAINPID\nRestart=on-failure\n"
        ),
    );
    services.tree.wait_text("log", "checked\nready\n");
    services.tree.write("broken", "");
    assert_eq!(services.run(&["reload", "ssh"]).code, Some(0));
    services.tree.wait_text("log", "ready\nchecked\n");
    services.tree.remove("broken");
    assert_eq!(services.run(&["reload", "ssh"]).code, Some(0));
    let text = services.tree.wait_text("log", "reloaded\n");
    assert_eq!(text, "checked\nready\nchecked\nchecked\nreloaded\n");
}

#[test]
fn units_of_debians_forms_become_option_files() {
    let services = Services::start(|_| {});
    // As redis-server.
    let text = services.show(
        "redis.service",
        "[Service]\nType=notify\nExecStart=/usr/bin/redis --supervised systemd\nPIDFile=/run/r.pid\n\
         TimeoutStopSec=0\nRestart=always\nUser=redis\nGroup=redis\nRuntimeDirectory=redis\n\
         RuntimeDirectoryMode=2755\nUMask=007\nLimitNOFILE=65535\nNoNewPrivileges=true\n\
         ProtectSystem=strict\nCapabilityBoundingSet=\n",
        &[],
    );
    assert_has(
        &text,
        &[
            "/notify-socket:\n",
            "/timeout-ready:\n    90s\n",
            "    umask 007\n",
            "install -d -m 2755 -o redis -g \"$(id -gn redis)\" /run/redis || exit 1\n",
            "    exec setuidgid -s redis /usr/bin/redis --supervised systemd\n",
            "/resource-limits:\n    nofile 65535\n    no-new-privs\n",
            "    ProtectSystem=strict\n",
            "    CapabilityBoundingSet= (setuidgid needs capabilities)\n",
        ],
    );
    assert!(!text.contains("timeout-kill") && !text.contains("Restart="), "{text}");
    // As postgresql@.
    let text = services.show(
        "pg@.service",
        "[Service]\nType=forking\nExecStart=-/usr/bin/ctl %i start\nExecStop=/usr/bin/ctl %i stop\n\
         TimeoutStartSec=0\nTimeoutStopSec=1h\nPIDFile=/run/pg/%i.pid\nOOMScoreAdjust=-900\n",
        &["--name", "pg@15-main"],
    );
    assert_has(
        &text,
        &[
            "pg@15-main/background:\n    pid-file /run/pg/15-main.pid\n",
            "    exec /usr/bin/ctl 15-main start\n",
            "/control/t:\n",
            "    /usr/bin/ctl 15-main stop || exit 1\n",
            "/personality:\n    runit\n",
            "/timeout-kill:\n    3600s\n",
            "/stop-scope:\n    tree\n",
            "    oom-score -900\n",
        ],
    );
    // As chrony, with a drop-in, and as ssh with its socket.
    services
        .tree
        .write("more.conf", "[Service]\nKillSignal=SIGINT\nRestartSec=5\nLimitCORE=oops\n");
    services.tree.write(
        "x.socket",
        "[Socket]\nListenStream=22\nListenStream=/run/x\nListenStream=@x\nAccept=no\n",
    );
    let text = services.show(
        "x.service",
        "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=1min\n[Service]\nUser=_chrony\nWatchdogSec=20\n\
         ExecStart=!/usr/sbin/d $OPTS\nExecStop=/bin/kill -QUIT $MAINPID\nSyslogIdentifier=\x1b[2J\n",
        &["more.conf", "x.socket"],
    );
    assert_has(
        &text,
        &[
            "    set -f\n    exec /usr/sbin/d $OPTS\n",
            "/restart-delay:\n    5s\n",
            "/restart-limit:\n    3 in 60s\n",
            "/listen:\n    tcp 22\n    unix /run/x mode=0666\n",
            "/listen-on-demand:\n",
            "    ListenStream=@x\n",
            "    LimitCORE=oops\n",
            "    SyslogIdentifier=\\u{1b}[2J\n",
        ],
    );
}

#[test]
fn what_cannot_be_imported_is_refused() {
    let services = Services::start(|tree| {
        tree.write("t@.service", "[Service]\nExecStart=/bin/d\n");
        tree.write("once.service", "[Service]\nType=oneshot\nExecStart=/bin/d\n");
        tree.write("empty.service", "");
        tree.write("user.service", "[Service]\nUser=no-such-user\nExecStart=/bin/d\n");
        tree.fifo("fifo.service", 0o600);
        tree.symlink("/dev/zero", "zero.service");
    });
    for (words, code, message) in [
        (&["unit", "t@.service"][..], 100, "--name t@INSTANCE names an instance"),
        (&["unit", "once.service"], 111, "Type=oneshot is no service that stays"),
        (&["unit", "empty.service"], 111, "it has no ExecStart"),
        (&["unit", "user.service"], 111, "unable to find user no-such-user"),
        (&["unit", "fifo.service"], 111, "not a regular file"),
        (&["unit", "zero.service"], 111, "not a regular file"),
        (&["unit", "no.service"], 111, "file does not exist"),
        (&["xinetd", "x"], 100, "only unit, compose and procfile are known"),
        (&["unit"], 100, "usage: svctl import unit"),
        (&["unit", "empty.service", "--user", "www"], 100, "a unit has its own User="),
    ] {
        let output = services.svctl().arg("import").args(words).args(["--in", "sv"]).run();
        assert_eq!(output.code, Some(code), "{words:?}: {output}");
        assert!(output.err().contains(message), "{words:?}: {output}");
        assert!(!services.tree.exists("sv"));
    }
}
