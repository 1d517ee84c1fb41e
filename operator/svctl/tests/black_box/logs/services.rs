//! The log directories of services.

use crate::Services;
use harness::Tree;

fn service(tree: &Tree, name: &str, directory: &str) {
    tree.service(format!("s/{name}"), &format!("#!/bin/sh\necho from {name}\nexec sleep 1000\n"));
    let run = format!("#!/bin/sh\nexec multilog t {directory}\n");
    tree.service(format!("s/{name}/log"), &run);
}

#[test]
fn services_are_found_by_name_and_pattern() {
    let services = Services::start(|tree| {
        service(tree, "web", "./main");
        service(tree, "web2", "../../../elsewhere");
        service(tree, "db", "./main");
        tree.idle_service("s/quiet");
        tree.write("s/file", "");
    });
    for (file, text) in [
        ("s/web/log/main/current", "from web\n"),
        ("elsewhere/current", "from web2\n"),
        ("s/db/log/main/current", "from db\n"),
    ] {
        services.tree.wait_text(file, text);
    }
    let sorted = |arguments: &[&str]| {
        let output = services.run(&[&["logs", "-o", "iso"], arguments].concat());
        assert_eq!((output.code, output.err()), (Some(0), String::new()), "{output}");
        let text = output.out();
        let mut lines: Vec<String> =
            text.lines().map(|line| line.split_once(' ').expect("a time").1.to_owned()).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&[]), ["db   | from db", "web  | from web", "web2 | from web2"]);
    assert_eq!(sorted(&["web*"]), ["web  | from web", "web2 | from web2"]);
    assert_eq!(sorted(&["web2"]), ["from web2"]);
    assert_eq!(sorted(&["db/log"]), ["from db"]);
    let output = services.run(&["logs", "quiet", "db", "-o", "cat"]);
    let message =
        "svctl: warning: quiet has no log directory that can be found (--log-dir DIR names one)\n";
    output.is(111, "from db\n", message);
    assert_eq!(services.run(&["logs", "nothing"]).code, Some(4));
}

#[test]
fn without_any_log_directory_there_is_an_error() {
    let services = Services::start(|tree| {
        tree.idle_service("s/quiet");
    });
    let message =
        "svctl: fatal: unable to find a service with a log directory (--log-dir DIR names one)\n";
    services.run(&["logs"]).is(100, "", message);
}
