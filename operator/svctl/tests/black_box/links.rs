//! add, remove, hold, release, new: never a half-made service.

use crate::Services;

#[test]
fn a_service_is_made_added_and_removed() {
    let services = Services::start(|_| {});
    let command = ["--", "sh", "-c", "echo \"it's $MODE\"; exec sleep 1000"];
    let make = ["new", "web", "--in", "sv", "-e", "MODE=two words", "--add"];
    let output = services.run(&[&make[..], &command].concat());
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.out().contains("web: up after "), "{output}");
    services.tree.wait_text("sv/web/log/main/current", " it's two words\n");
    assert_eq!(services.tree.mode("sv/web/run"), 0o755);
    assert_eq!(services.tree.mode("sv/web/env"), 0o700);
    let again = services.run(&[&make[..], &command].concat());
    assert_eq!(again.code, Some(111), "{again}");
    assert!(again.err().contains("unable to make sv/web: it exists already"), "{again}");
    let output = services.run(&["remove", "--dry-run", "web"]);
    assert!(output.out().starts_with("would remove s/web"), "{output}");
    assert!(services.tree.is_supervised("s/web"));
    let output = services.run(&["remove", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!services.tree.exists("s/web") && services.tree.exists("sv/web/run"));
    assert!(!services.tree.is_supervised("sv/web") && !services.tree.is_supervised("sv/web/log"));
    let output = services.run(&["add", "sv/web"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(services.tree.is_supervised("s/web"));
}

#[test]
fn nothing_is_overwritten_or_half_made() {
    let services = Services::start(|tree| {
        tree.idle_service("s/real");
        tree.idle_service("sv/one");
        tree.mkdir("sv/empty");
    });
    services.wait_state("real", "up");
    for (arguments, code, message) in [
        (&["remove", "real"][..], 111, "it is not a link"),
        (&["add", "sv/one", "real"], 111, "unable to add s/real: it exists already"),
        (&["add", "sv/empty"], 111, "it has no run"),
        (&["add", "sv/missing"], 111, "unable to find sv/missing: file does not exist"),
        (&["add", "sv/one", ".hidden"], 100, "unable to use the name .hidden"),
        (&["add", "sv/one", "a/b"], 100, "unable to use the name a/b"),
        (&["new", "x"], 100, "without a command behind --"),
        (&["new", "x", "--user", "no-such-user", "--", "true"], 111, "unable to find user"),
        (&["new", "x", "-e", "NAME", "--", "true"], 100, "it has no ="),
        (&["new", "x", "--log", "relative", "--", "true"], 100, "not an absolute path"),
    ] {
        let output = services.run(arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {output}");
        assert!(output.err().contains(message), "{arguments:?}: {output}");
    }
    assert!(services.tree.exists("s/real/run"));
    let names = std::fs::read_dir(services.tree.path("s")).unwrap();
    assert_eq!(names.count(), 1, "no temporary link is left");
}

#[test]
fn held_services_are_not_started_at_the_next_boot() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
    });
    services.wait_state("web", "up");
    services.run(&["hold", "web"]).is(0, "web: held: it is not started at the next boot\n", "");
    services.run(&["hold", "web"]).is(0, "web: held already\n", "");
    assert!(services.tree.exists("s/web/down"));
    assert_eq!(services.service("web")["state"], "up");
    services.run(&["release", "web"]).is(0, "web: released: it is started at the next boot\n", "");
    assert!(!services.tree.exists("s/web/down"));
    services.run(&["release", "web"]).is(0, "web: was not held\n", "");
}

#[test]
fn a_log_directory_behind_a_link_of_another_user_is_not_given_away() {
    if !harness::is_root() {
        return harness::skip("only root can give a directory away");
    }
    let services = Services::start(|tree| {
        for directory in ["sv", "secret", "shared"] {
            tree.mkdir(directory);
        }
        tree.symlink("../secret", "shared/link");
        tree.symlink("../secret", "shared/log");
        tree.chmod("shared", 0o777);
    });
    let owner = |path: &str| {
        let found = std::fs::symlink_metadata(services.tree.path(path)).unwrap();
        std::os::unix::fs::MetadataExt::uid(&found)
    };
    let make = |name: &str, log: &str| {
        let log = services.tree.path(log).to_string_lossy().into_owned();
        let user = ["--user", "nobody"];
        let words = ["new", name, "--in", "sv", user[0], user[1], "--log", &log, "--", "true"];
        services.run(&words)
    };
    let output = make("a", "shared/link/a");
    let why = "unable to make sv/a: another user can change a symbolic link on its path";
    assert!(output.code == Some(111) && output.err().contains(why), "{output}");
    assert!(!services.tree.exists("secret/a") && !services.tree.exists("sv/a"));
    // A link in the place of the log directory itself: that exists, and stays.
    assert_eq!(make("b", "shared/log").code, Some(0));
    assert_eq!((owner("secret"), owner("shared/log")), (0, 0));
    assert_eq!(make("c", "shared/new/c").code, Some(0));
    assert!(owner("shared/new/c") > 0 && owner("shared/new") == 0);
    assert_eq!(make("d", "secret").code, Some(0));
    assert_eq!(owner("secret"), 0);
}
