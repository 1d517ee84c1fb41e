//! grant: an ordinary user in a group sees, or controls, and cannot do more.

use crate::Services;
use harness::{Cmd, Signal, account, wait_until, without_root};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// A group without a name.
const GROUP: &str = "54321";

fn start() -> Services {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.service("s/web/log", "#!/bin/sh\nexec cat\n");
    });
    services.wait_state("web", "up");
    services.tree.wait_up("s/web/log");
    services
}

/// Runs a command as an ordinary user in [`GROUP`].
fn member(command: Cmd<'_>) -> Cmd<'_> {
    let (_, user, group) = account();
    let [user, group] = [format!("--reuid={user}"), format!("--regid={group}")];
    let groups = format!("--groups={GROUP}");
    command.under([
        "setpriv",
        &user,
        &group,
        &groups,
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--",
    ])
}

impl Services {
    fn as_member(&self, arguments: &[&str]) -> harness::Output {
        member(self.svctl().args(arguments)).run()
    }

    /// Whether a shell command of the member succeeds.
    fn member_can(&self, command: &str) -> bool {
        member(self.tree.sh(command)).run().code == Some(0)
    }

    /// What no member may do, whatever was granted.
    #[track_caller]
    fn assert_no_more(&self) {
        for command in [
            "exec 3<s/web/supervise/lock",
            "exec 3>>s/web/supervise/lock",
            // With a reader of ok, a service looks supervised.
            "exec 3<>s/web/supervise/ok",
            "echo x >s/web/supervise/status",
            "rm -f s/web/supervise/status",
            "mv s/web/supervise/control s/web/supervise/old",
            "ln -sf /etc/passwd s/web/supervise/status.new",
            "echo exit >s/web/run",
        ] {
            assert!(!self.member_can(command), "{command}");
        }
    }
}

#[test]
fn a_member_sees_and_does_nothing_else() {
    if without_root() {
        return;
    }
    let services = start();
    assert_eq!(services.as_member(&["status", "web"]).code, Some(4));
    let output = services.run(&["grant", "--dry-run", "--read", GROUP, "web"]);
    assert!(
        output
            .out()
            .contains("would change s/web/supervise/ok: group root -> 54321, mode 0600 -> 0620\n")
    );
    assert_eq!(services.as_member(&["status", "web"]).code, Some(4));
    let output = services.run(&["grant", "--read", GROUP]);
    assert_eq!(output.code, Some(0), "{output}");
    for text in [
        "s/web/supervise/ok: group root -> 54321, mode 0600 -> 0620\n",
        "s/web/supervise: group root -> 54321, mode 0700 -> 0750\n",
        "s/web/log/supervise: group root -> 54321, mode 0700 -> 0750\n",
        "services that are added later get no rights by this: repeat it then\n",
    ] {
        assert!(output.out().contains(text), "{text}: {output}");
    }
    assert!(!output.out().contains("control"), "{output}");
    let output = services.as_member(&["status", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(services.as_member(&["wait", "web", "up"]).code, Some(0));
    let output = services.as_member(&["down", "web"]);
    assert_eq!(output.code, Some(111), "{output}");
    assert!(output.err().contains("access denied"), "{output}");
    // It can watch for a reload, and not ask for one.
    services.tree.write("s/web/notify-socket", "");
    let output = services.as_member(&["reload", "web"]);
    assert_eq!((output.code, &*output.out()), (Some(111), ""), "{output}");
    assert!(output.err().contains("access denied"), "{output}");
    services.tree.remove("s/web/notify-socket");
    assert!(!services.member_can("echo d >s/web/supervise/control"));
    // A second reader would take commands away from supervise.
    assert!(!services.member_can("exec 3<>s/web/supervise/control"));
    services.assert_no_more();
    services.run(&["grant", "--read", GROUP, "web"]).is(
        0,
        "s/web/supervise: nothing to change\ns/web/log/supervise: nothing to change\n",
        "",
    );
}

#[test]
fn a_member_controls_and_waits_and_keeps_the_rights_after_a_restart_of_supervise() {
    if without_root() {
        return;
    }
    let services = start();
    assert_eq!(services.run(&["grant", "--control", GROUP, "web"]).code, Some(0));
    for (verb, state) in [("down", "down"), ("up", "up"), ("restart", "up"), ("up", "up")] {
        let output = services.as_member(&[verb, "web"]);
        assert_eq!(output.code, Some(0), "{verb}: {output}");
        assert_eq!(services.service("web")["state"], state);
    }
    services.assert_no_more();
    let supervise = services.tree.find(&["supervise", "web"]);
    assert_eq!(supervise.len(), 1, "{supervise:?}");
    assert_eq!(services.tree.sh(&format!("kill -KILL {}", supervise[0])).run().code, Some(0));
    wait_until("another supervise runs", harness::DEADLINE, || {
        let now = services.tree.find(&["supervise", "web"]);
        now.len() == 1 && now != supervise && services.tree.is_supervised("s/web")
    });
    assert_eq!(services.as_member(&["restart", "web"]).code, Some(0));
    // Only sight is left, and then nothing.
    assert_eq!(services.run(&["grant", "--read", GROUP, "web"]).code, Some(0));
    assert_eq!(services.as_member(&["down", "web"]).code, Some(111));
    assert_eq!(services.as_member(&["status", "web"]).code, Some(0));
    assert_eq!(services.run(&["grant", "--revoke", "web"]).code, Some(0));
    assert_eq!(services.as_member(&["status", "web"]).code, Some(4));
    assert_eq!(services.tree.mode("s/web/supervise"), 0o700);
    assert_eq!(services.tree.mode("s/web/supervise/ok"), 0o600);
}

#[test]
fn a_member_sees_the_end_of_a_supervise_at_once() {
    if without_root() {
        return;
    }
    let services = Services::start(|tree| {
        tree.idle_service("sv/web");
        tree.symlink("../sv/web", "s/web");
    });
    services.wait_state("web", "up");
    assert_eq!(services.run(&["grant", "--read", GROUP, "web"]).code, Some(0));
    let wait = member(services.svctl().args(["wait", "web", "gone"])).start();
    let events = member(services.svctl().args(["events", "--json"])).start();
    let seen = |state: &str| {
        wait_until(&format!("{state} is seen"), harness::DEADLINE, || {
            let text = events.stdout();
            let mut objects = text.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
            objects.any(|it| it["name"] == "web" && it["state"] == state)
        });
    };
    seen("up");
    services.run(&["down", "web"]);
    seen("down");
    services.run(&["remove", "web"]);
    seen("unsupervised");
    assert_eq!(wait.wait().code, Some(0));
    events.signal(Signal::INT);
    assert_eq!(events.wait().code, Some(0));
}

#[test]
fn directories_that_no_supervise_has_made_are_refused() {
    let services = Services::start(|tree| {
        tree.idle_service("s/web");
        tree.mkdir("sv/trap");
        tree.mkdir("elsewhere");
        tree.write("elsewhere/ok", "");
        tree.write("elsewhere/control", "");
        tree.symlink("../../elsewhere", "sv/trap/supervise");
        tree.mkdir("sv/new");
    });
    services.wait_state("web", "up");
    let group = fs::metadata(services.tree.path("s")).unwrap().gid().to_string();
    for (words, code, message) in [
        (&["--read", &group, "./sv/trap"][..], 111, "is not a FIFO that its supervise has made"),
        (&["--read", &group, "./sv/new"], 111, "no supervise has run for it yet"),
        (&["--read", "no-such-group", "web"], 111, "unable to find group no-such-group"),
        (&["web"], 100, "usage: svctl grant"),
        (&["--read", &group, "--revoke"], 100, "usage: svctl grant"),
    ] {
        let output = services.svctl().arg("grant").args(words).run();
        assert_eq!(output.code, Some(code), "{words:?}: {output}");
        assert!(output.err().contains(message), "{words:?}: {output}");
    }
    assert_eq!(services.tree.mode("elsewhere"), 0o755);
}

#[test]
fn a_member_who_controls_leaves_notes() {
    if without_root() {
        return;
    }
    let services = start();
    services.run(&["grant", "--control", GROUP, "web"]);
    assert_eq!(services.tree.mode("s/web/supervise/requests") & 0o7777, 0o1664);
    let output = services.as_member(&["down", "web"]);
    assert_eq!(output.code, Some(0), "{output}");
    let text = services.as_member(&["history", "web"]).out();
    let (name, ..) = account();
    assert!(text.contains(&format!("command d (down) of {name}")), "{text}");
    assert!(text.contains(": svctl -d s down web"), "{text}");
    services.assert_no_more();
    assert!(!services.member_can("echo x >s/web/supervise/history"));
    services.run(&["grant", "--revoke", "web"]);
    assert_eq!(services.tree.mode("s/web/supervise/requests") & 0o7777, 0o1644);
}

#[test]
fn a_member_cannot_keep_the_rights_from_being_taken() {
    if without_root() {
        return;
    }
    let services = start();
    services.run(&["grant", "--control", GROUP, "web"]);
    let inode = |name: &str| {
        let path = services.tree.path(format!("s/web/supervise/{name}"));
        std::fs::metadata(path).expect("it exists").ino()
    };
    let notes = inode("requests");
    // A second name, as for a member who has a directory on the same file system.
    for name in ["requests", "control"] {
        let second = services.tree.path(format!("second-{name}"));
        std::fs::hard_link(services.tree.path(format!("s/web/supervise/{name}")), second)
            .expect("link it");
    }
    let output = services.run(&["grant", "--revoke", "web"]);
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""), "{output}");
    for (name, mode) in [("requests", 0o1644), ("control", 0o600), ("", 0o700)] {
        let path = format!("s/web/supervise/{name}");
        assert_eq!(services.tree.mode(&path) & 0o7777, mode, "{path}");
    }
    // What the member wrote into the old file never counts as a record of ours.
    assert_ne!(inode("requests"), notes);
    assert_eq!(services.tree.mode("second-requests") & 0o7777, 0o1664);
}

#[test]
fn a_member_with_control_open_sends_nothing_after_the_rights_are_taken() {
    if without_root() {
        return;
    }
    let services = start();
    let tree = &services.tree;
    tree.mkdir("public");
    tree.chmod("public", 0o777);
    services.run(&["grant", "--control", GROUP, "web"]);
    // It also takes away what others write.
    let attack = "trap '' PIPE\nexec 3<>s/web/supervise/control\ncat <&3 >public/taken &\n\
                  : >public/ready\nuntil [ -e public/go ]; do sleep 0.01; done\n\
                  printf d >&3\n: >public/done\nwait";
    let foe = member(tree.sh(attack)).start();
    wait_until("it has opened control", harness::DEADLINE, || tree.exists("public/ready"));
    let output = services.run(&["grant", "--revoke", "web"]);
    assert_eq!((output.code, output.err().as_str()), (Some(0), ""), "{output}");
    assert!(output.out().contains("control: mode 0660 -> 0600, a new FIFO\n"), "{output}");
    assert!(!tree.exists("s/web/supervise/control.new"));
    tree.write("public/go", "");
    wait_until("it has sent", harness::DEADLINE, || tree.exists("public/done"));
    // supervise reads the new FIFO, and obeys those who may send commands.
    let before = tree.wait_up("s/web");
    tree.cmd("svc").args(["-t", "-W", "up", "s/web"]).run().is(0, "", "");
    assert_ne!(tree.wait_up("s/web"), before);
    assert!(tree.status("s/web").is_some_and(|status| status.want() == b'u'));
    foe.signal(Signal::KILL);
    // Without a supervise the FIFO is replaced as well.
    services.run(&["grant", "--control", GROUP, "web"]);
    services.run(&["grant", "--read", GROUP, "web"]);
    assert_eq!(services.run(&["down", "web"]).code, Some(0));
}

#[test]
fn a_grant_on_an_essential_service_names_the_danger() {
    if without_root() {
        return;
    }
    let services = start();
    services.tree.write("s/web/essential", "any\n");
    let output = services.run(&["grant", "--control", GROUP, "web"]);
    assert!(
        output.out().contains("    web is essential: a member ends the whole svscan"),
        "{output}"
    );
}
