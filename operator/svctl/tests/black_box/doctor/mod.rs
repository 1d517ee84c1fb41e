//! doctor: each check finds its fault, and a healthy system has none.

mod logs;
mod processes;
mod script;
mod state;
mod system;

use crate::Services;
use harness::{DEADLINE, Output, process, wait_for, wait_until};
use serde_json::Value;
use servicedir::Process;
use std::process::Command;

/// The findings that svctl prints.
#[track_caller]
fn parse(output: &Output) -> Vec<Value> {
    let object: Value =
        serde_json::from_str(&output.out()).unwrap_or_else(|error| panic!("{error}: {output}"));
    assert_eq!(object["schema"], 1);
    object["findings"].as_array().expect("findings").clone()
}

impl Services {
    /// The findings of doctor, with the exit code that they ask for.
    #[track_caller]
    fn findings(&self, names: &[&str]) -> Vec<Value> {
        let output = self.run(&[&["doctor", "--json"], names].concat());
        let findings = parse(&output);
        let has = |severity: &str| findings.iter().any(|it| it["severity"] == severity);
        let code = if has("error") { 2 } else { i32::from(has("warning")) };
        assert_eq!(output.code, Some(code), "{output}");
        findings
    }

    /// Waits until doctor has a finding of a service, and returns it.
    #[track_caller]
    fn finds(&self, name: &str, id: &str) -> Value {
        wait_for(&format!("doctor finds {id} of {name}"), DEADLINE, || {
            let base = name.strip_suffix("/log").unwrap_or(name);
            find(&self.findings(&[base]), name, id)
        })
    }
}

/// The finding of a service with this id, which is complete.
fn find(findings: &[Value], name: &str, id: &str) -> Option<Value> {
    let found = findings.iter().find(|it| it["service"] == name && it["id"] == id)?;
    for member in ["severity", "evidence", "remedy", "page"] {
        assert!(found[member].as_str().is_some_and(|text| !text.is_empty()), "{found}");
    }
    Some(found.clone())
}

/// Whether the evidence of a finding contains a text.
#[track_caller]
fn says(finding: &Value, text: &str) {
    assert!(finding["evidence"].as_str().is_some_and(|it| it.contains(text)), "{text}: {finding}");
}

/// Executes the remedy of a finding, as an administrator who copies it.
#[track_caller]
fn cure(services: &Services, finding: &Value) {
    let remedy = finding["remedy"].as_str().expect("a remedy");
    let output = services.tree.sh(remedy).run();
    assert_eq!(output.code, Some(0), "{remedy}: {output}");
}

#[test]
fn a_healthy_system_has_no_findings() {
    let services = Services::start(|tree| {
        let examples = harness::checkout().join("examples/service");
        let from = examples.to_str().unwrap();
        let copied =
            Command::new("cp").args(["-R", &format!("{from}/.")]).arg(tree.path("s")).status();
        assert!(copied.unwrap().success());
        for number in 0..50 {
            let name = format!("s/web{number}");
            // Scripts of the usual kinds.
            let run = match number % 5 {
                0 => "#!/bin/sh\nexec 2>&1\nexec sleep 1000\n",
                1 => "#!/bin/sh\nexec 2>&1\nexec env A=b \\\n  softlimit -o 50 \\\n  sleep 1000\n",
                2 => "#!/bin/sh\nwhile :; do\n  sleep 1000\ndone 2>&1\n",
                3 => "#!/bin/sh\ntrap 'kill $!' TERM\nsleep 1000 &\nwait\n",
                _ => {
                    "#!/bin/sh -e\nexec 2>&1\n[ -e x ] || true\nexec sh -c 'cat /dev/null | cat & exec sleep 1000'\n"
                }
            };
            tree.service(&name, run);
            if number % 2 == 0 {
                tree.service(format!("{name}/log"), "#!/bin/sh\nexec multilog t ./main\n");
            }
            if number % 7 == 0 {
                tree.write(format!("{name}/timeout-kill"), "5s\n");
                tree.write(format!("{name}/restart-limit"), "5 in 60s\n");
                for file in ["README", "Makefile", "needs.bak", "timeout-kill~", "conf"] {
                    tree.write(format!("{name}/{file}"), "text\n");
                }
            }
        }
        tree.write("s/shell-less/command", "/bin/sleep\n1000\n");
    });
    services.wait_state("shell-less", "up");
    for number in 0..50 {
        services.wait_state(&format!("web{number}"), "up");
    }
    // A shell is examined when its child is older than two seconds.
    wait_until("every process of a service is three seconds old", DEADLINE, || {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let is_old = |process: Process| process.started.as_secs_f64() + 3.0 < uptime;
        let pids = process::descendants(services.svscan.as_ref().unwrap().pid());
        pids.into_iter().filter_map(Process::read).all(is_old)
    });
    assert_eq!(services.findings(&[]), [Value::Null; 0]);
    let text = services.run(&["doctor"]);
    text.is(0, "0 errors and 0 warnings in 53 services\n", "");
}

#[test]
fn a_finding_is_shown_with_remedy_and_page() {
    let services = Services::start(|tree| {
        tree.service("s/web", "exec sleep 1000\n");
    });
    let shown = services.run(&["doctor", "web"]);
    assert_eq!(shown.code, Some(2), "{shown}");
    let expected = "✗ web: run-no-interpreter-line (error)\n  The file run is no program, and does not begin with #!.\n";
    assert!(shown.out().starts_with(expected), "{shown}");
    for line in [
        "  → sed -i '1i #!/bin/sh' s/web/run",
        "    supervise(8)",
        "1 error and 0 warnings in 1 service",
    ] {
        assert!(shown.out().lines().any(|it| it == line), "{line}: {shown}");
    }
    let why = services.run(&["why", "web"]);
    assert!(why.out().contains("run-no-interpreter-line"), "{why}");
    assert_eq!(
        services.json(&["why", "--json", "web"])["services"][0]["findings"][0]["id"],
        "run-no-interpreter-line"
    );
}

#[test]
fn every_member_of_the_json_is_in_the_manual() {
    let services = Services::start(|tree| {
        tree.mkdir("s/web");
    });
    let manual = include_str!("../../../../../man/svctl-json.5");
    let finding = services.finds("web", "run-missing");
    for name in finding.as_object().unwrap().keys() {
        assert!(manual.lines().any(|line| line == format!(".B {name}")), "{name}");
    }
}
