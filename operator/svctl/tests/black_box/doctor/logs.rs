//! Faults of loggers and their directories.

use super::{find, says};
use crate::Services;
use harness::{DEADLINE, account, is_root, skip, wait_until};

const LOGGER: &str = "#!/bin/sh\nexec multilog t ./main\n";

#[test]
fn a_log_directory_of_another_user_is_found() {
    if !is_root() {
        return skip("only root can change users");
    }
    let (user, ..) = account();
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec 2>&1\nexec sleep 1000\n");
        tree.service("s/web/log", &format!("#!/bin/sh\nexec setuidgid {user} multilog t ./main\n"));
        tree.mkdir("s/web/log/main");
    });
    let finding = services.finds("web/log", "log-dir-owner");
    says(&finding, "log/main belongs to user 0, and the logger runs as");
    super::cure(&services, &finding);
    services.wait_state("web/log", "up");
    assert!(find(&services.findings(&["web"]), "web/log", "log-dir-owner").is_none());
}

#[test]
fn two_loggers_on_one_directory_are_found() {
    let services = Services::start(|tree| {
        for name in ["web", "api"] {
            tree.service(format!("s/{name}"), "#!/bin/sh\nexec 2>&1\nexec sleep 1000\n");
            tree.service(format!("s/{name}/log"), "#!/bin/sh\nexec multilog t ../../../shared\n");
        }
        tree.mkdir("shared");
    });
    says(
        &services.finds("web/log", "log-dir-shared"),
        "is the directory of web/log and of api/log",
    );
    says(
        &services.finds("api/log", "log-dir-shared"),
        "is the directory of api/log and of web/log",
    );
}

#[test]
fn a_logger_that_came_later_is_found() {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec 2>&1\nexec sleep 1000\n");
    });
    services.wait_state("web", "up");
    services.tree.service("s/web/log", LOGGER);
    let finding = services.finds("web", "logger-not-picked-up");
    super::cure(&services, &finding);
    wait_until("the logger runs", DEADLINE, || services.service("web/log")["state"] == "up");
    assert!(find(&services.findings(&["web"]), "web", "logger-not-picked-up").is_none());
}

#[test]
fn a_pipe_whose_pages_are_used_in_part_is_found_to_be_full() {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec dd if=/dev/zero bs=2500 count=1000\n");
        let run = "#!/bin/sh\nuntil [ -e go ]; do sleep .1; done\nexec multilog t ./main\n";
        tree.service("s/web/log", run);
    });
    says(&services.finds("web", "log-pipe-full"), "holds 40000 of 65536 bytes; dd (");
    services.tree.write("s/web/log/go", "");
}

#[test]
fn a_full_pipe_and_a_stopped_logger_are_found() {
    let services = Services::start(|tree| {
        tree.service(
            "s/web",
            "#!/bin/sh\nexec 2>&1\nuntil [ -e go ]; do sleep .1; done\nexec yes\n",
        );
        tree.service("s/web/log", LOGGER);
    });
    services.wait_state("web/log", "up");
    services.run(&["down", "web/log"]);
    assert_eq!(services.finds("web", "logger-down")["remedy"], "svctl up web/log");
    services.tree.write("s/web/go", "");
    let finding = services.finds("web", "log-pipe-full");
    says(&finding, "the pipe to web/log (down) holds 65536 of 65536 bytes");
    assert_eq!(finding["remedy"], "svctl up web/log");
    services.run(&["down", "web"]);
    services.run(&["up", "web/log"]);
    wait_until("the pipe is read", DEADLINE, || {
        find(&services.findings(&["web"]), "web", "log-pipe-full").is_none()
    });
}

#[test]
fn error_messages_that_are_not_logged_are_found() {
    let services = Services::start(|tree| {
        tree.service("s/web", "#!/bin/sh\nexec sleep 1000\n");
        tree.service("s/web/log", LOGGER);
        tree.service("s/quiet", "#!/bin/sh\nexec sleep 1000 2>/dev/null\n");
        tree.service("s/quiet/log", LOGGER);
    });
    let finding = services.finds("web", "stderr-not-logged");
    super::cure(&services, &finding);
    services.run(&["restart", "web"]);
    assert!(find(&services.findings(&["web"]), "web", "stderr-not-logged").is_none());
    services.wait_state("quiet", "up");
    assert!(find(&services.findings(&["quiet"]), "quiet", "stderr-not-logged").is_none());
}

#[test]
fn a_logger_without_a_shell_is_examined_as_well() {
    let services = Services::start(|tree| {
        for name in ["web", "api"] {
            tree.mkdir(format!("s/{name}/log"));
            tree.write(format!("s/{name}/command"), "/bin/sleep\n1000\n");
            tree.write(format!("s/{name}/log/command"), "multilog\nt\n../../../shared\n");
        }
        tree.mkdir("shared");
    });
    says(
        &services.finds("web/log", "log-dir-shared"),
        "is the directory of web/log and of api/log",
    );
    // Its standard error is that of svscan.
    let finding = services.finds("web", "stderr-not-logged");
    super::cure(&services, &finding);
    let command = services.tree.text("s/web/command");
    assert_eq!(command, "sh\n-c\nexec \"$@\" 2>&1\nsh\n/bin/sleep\n1000\n");
    assert_eq!(services.run(&["restart", "web"]).code, Some(0));
    wait_until("its errors go to the logger", DEADLINE, || {
        find(&services.findings(&["web"]), "web", "stderr-not-logged").is_none()
            && services.service("web")["state"] == "up"
    });
}
