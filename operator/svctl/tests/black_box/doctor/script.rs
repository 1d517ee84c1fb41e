//! Faults of `run`.

use super::{cure, find, says};
use crate::Services;
use harness::{DEADLINE, Tree, wait_until};

/// A service that supervise cannot start, the finding, and a part of the evidence.
struct Fault {
    name: &'static str,
    run: &'static str,
    id: &'static str,
    evidence: &'static str,
}

const fn fault(
    name: &'static str,
    run: &'static str,
    id: &'static str,
    evidence: &'static str,
) -> Fault {
    Fault { name, run, id, evidence }
}

const FAULTS: &[Fault] = &[
    fault(
        "plain",
        "exec sleep 1000\n",
        "run-no-interpreter-line",
        "begins with \"exec sleep 1000\"",
    ),
    fault("empty", "", "run-no-interpreter-line", "is empty"),
    fault(
        "mark",
        "\u{feff}#!/bin/sh\nexec sleep 1000\n",
        "run-no-interpreter-line",
        "byte order mark",
    ),
    fault("windows", "#!/bin/sh\r\nexec sleep 1000\r\n", "run-crlf", "carriage return"),
    fault(
        "lost",
        "#!/opt/no/bash -e\nexec sleep 1000\n",
        "interpreter-missing",
        "/opt/no/bash does not exist",
    ),
    fault(
        "env",
        "#!/usr/bin/env no-such-python\n",
        "interpreter-missing",
        "no-such-python is not in the PATH of supervise",
    ),
    fault(
        "tee",
        "#!/bin/sh\nexec sleep 1000 2>&1 | tee -a log.txt\n",
        "exec-in-pipeline",
        "line 2",
    ),
    fault("daemon", "#!/bin/sh\nsleep 1000 &\n", "goes-background", "line 2"),
    fault(
        "user",
        "#!/bin/sh\nexec setuidgid no-such-user sleep 1000\n",
        "unknown-user",
        "setuidgid no-such-user",
    ),
    fault(
        "typo",
        "#!/bin/sh\nexec no-such-program --serve\n",
        "program-not-found",
        "exit 127; the PATH of its supervise is /",
    ),
];

#[test]
fn a_run_that_cannot_run_is_explained() {
    let services = Services::start(|tree| {
        for Fault { name, run, .. } in FAULTS {
            tree.service(format!("s/{name}"), run);
        }
        tree.mkdir("s/nothing");
        tree.idle_service("s/asleep");
        tree.chmod("s/asleep/run", 0o644);
        tree.symlink("/nowhere/web", "s/dangling");
        tree.idle_service("s/encore");
        tree.rename("s/encore/run", "s/encore/start");
        tree.write("s/encore/personality", "encore\n");
    });
    for Fault { name, id, evidence, .. } in FAULTS {
        says(&services.finds(name, id), evidence);
    }
    says(&services.finds("nothing", "run-missing"), "s/nothing/run does not exist");
    says(&services.finds("dangling", "link-dangling"), "/nowhere/web");
    let asleep = services.finds("asleep", "run-not-executable");
    says(&asleep, "mode 0644");
    cure(&services, &asleep);
    services.wait_state("asleep", "up");
    assert!(find(&services.findings(&["encore"]), "encore", "run-missing").is_none());
}

#[test]
fn remedies_mend_the_script() {
    let services = Services::start(|tree| {
        for Fault { name, run, .. } in FAULTS {
            tree.service(format!("s/{name}"), run);
        }
    });
    for name in ["plain", "mark", "windows", "daemon"] {
        let fault = FAULTS.iter().find(|fault| fault.name == name).unwrap();
        cure(&services, &services.finds(name, fault.id));
        wait_until(&format!("{name} runs"), DEADLINE, || {
            services.service(name)["state"] == "up"
                && find(&services.findings(&[name]), name, fault.id).is_none()
        });
    }
}

/// A program like svctl for another processor: its header has another `e_machine`.
fn foreign_program(tree: &Tree, name: &str) {
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_svctl")).expect("read svctl");
    // EM_SPARCV9, which no machine of the tests is.
    program[18..20].copy_from_slice(&43_u16.to_le_bytes());
    tree.script(name, program);
}

#[test]
fn programs_of_another_processor_and_without_loader_are_found() {
    let services = Services::start(|tree| {
        tree.mkdir("s/foreign");
        foreign_program(tree, "s/foreign/run");
        tree.mkdir("s/script");
        foreign_program(tree, "shell");
        tree.service("s/script", &format!("#!{}\n", tree.path("shell").display()));
        let own = std::fs::read(env!("CARGO_BIN_EXE_svctl")).unwrap();
        let loader = own.windows(4).position(|bytes| bytes == b"/lib").unwrap();
        let mut program = own;
        program[loader..loader + 4].copy_from_slice(b"/lob");
        tree.mkdir("s/static");
        tree.script("s/static/run", program);
    });
    says(&services.finds("foreign", "wrong-architecture"), "is for machine 43, this machine is ");
    says(&services.finds("script", "wrong-architecture"), "shell is for machine 43");
    says(&services.finds("static", "interpreter-missing"), "needs the loader /lob");
}

#[test]
fn a_program_that_a_chain_loader_does_not_find_is_found() {
    let services = Services::start(|tree| {
        let run = "#!/bin/sh\nexec 2>&1\nexec envdir ./env /nowhere/bin/serve --fast\n";
        tree.service("s/api", run);
        tree.mkdir("s/api/env");
        tree.service("s/api/log", "#!/bin/sh\nexec multilog t ./main\n");
    });
    let finding = services.finds("api", "program-not-found");
    says(&finding, "unable to run /nowhere/bin/serve: file does not exist");
    assert!(finding["remedy"].as_str().unwrap().starts_with("ls -l /nowhere/bin/serve && "));
}

/// A service that has `command` alone, with these lines.
fn command(tree: &Tree, name: &str, lines: &str) {
    tree.mkdir(format!("s/{name}"));
    tree.write(format!("s/{name}/command"), lines);
}

#[test]
fn a_command_that_cannot_run_is_explained() {
    let services = Services::start(|tree| {
        command(tree, "lost", "/nowhere/serve\n--fast\n");
        command(tree, "unknown", "no-such-program\n");
        command(tree, "below", "./serve\n");
        command(tree, "windows", "/bin/sleep\r\n1000\r\n");
        command(tree, "user", "setuidgid\nno-such-user\n/bin/sleep\n1000\n");
        for (name, text) in [
            ("asleep", "#!/bin/sh\nexec sleep 1000\n"),
            ("plain", "exec sleep 1000\n"),
            ("crlf", "#!/bin/sh\r\nexec sleep 1000\r\n"),
            ("interpreter", "#!/opt/no/bash\n"),
        ] {
            command(tree, name, "./serve\n");
            tree.script(format!("s/{name}/serve"), text);
        }
        tree.chmod("s/asleep/serve", 0o644);
        command(tree, "foreign", "./serve\n");
        foreign_program(tree, "s/foreign/serve");
        // This one is right, and no shell interprets its arguments.
        command(tree, "right", "/bin/sh\n-c\nsleep 1000 | cat & wait\n");
        // A link run to nothing counts, as does a file run.
        command(tree, "link", "/bin/sleep\n1000\n");
        tree.symlink("/nowhere/run", "s/link/run");
        tree.idle_service("s/both");
        tree.write("s/both/command", "/nowhere/serve\n");
    });
    for (name, id, evidence) in [
        ("lost", "program-not-found", "names /nowhere/serve, and /nowhere/serve does not exist"),
        ("unknown", "program-not-found", "it is not in the PATH of supervise, /"),
        ("below", "program-not-found", "s/below/./serve does not exist"),
        ("windows", "option-mistake", "carriage return"),
        ("user", "unknown-user", "s/user/command has \"setuidgid no-such-user\""),
        ("asleep", "run-not-executable", "serve has mode 0644"),
        ("plain", "run-no-interpreter-line", "serve begins with \"exec sleep 1000\""),
        ("crlf", "run-crlf", "serve ends with a carriage return"),
        ("interpreter", "interpreter-missing", "/opt/no/bash does not exist"),
        ("foreign", "wrong-architecture", "serve is for machine 43"),
    ] {
        let finding = services.finds(name, id);
        says(&finding, evidence);
        assert!(find(&services.findings(&[name]), name, "run-missing").is_none(), "{name}");
    }
    services.finds("link", "run-missing");
    cure(&services, &services.finds("asleep", "run-not-executable"));
    services.wait_state("asleep", "up");
    services.wait_state("right", "up");
    services.wait_state("both", "up");
    assert!(find(&services.findings(&["asleep"]), "asleep", "run-not-executable").is_none());
    for name in ["right", "both"] {
        wait_until(&format!("nothing is wrong with {name}"), DEADLINE, || {
            services.findings(&[name]).is_empty()
        });
    }
}
