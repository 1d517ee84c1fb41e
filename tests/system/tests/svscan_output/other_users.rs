//! Services of another user, and other conditions of containers.

use crate::{numbers, once, svscan, wait_out};
use harness::{DEADLINE, Signal, account, is_root, wait_until};
use system::tree;

#[test]
fn a_service_of_another_user_can_open_dev_stdout() {
    if !is_root() {
        return;
    }
    let tree = tree();
    let (name, ..) = account();
    let script = "echo one >/dev/stdout; echo two >/dev/stderr; echo three >/proc/self/fd/1";
    tree.service(
        "s/a",
        &format!("#!/bin/sh\nexec setuidgid {name} sh -c '{script}; exec sleep 1000'\n"),
    );
    let svscan = svscan(&tree, "-p").start();
    assert_eq!(wait_out(&svscan, 2), "a: one\na: three\n");
    assert_eq!(svscan.wait_stderr("two"), "a: two\n");
    svscan.signal(Signal::TERM);
    svscan.wait_within(DEADLINE);
}

#[test]
fn the_messages_of_supervise_have_the_name_too() {
    let tree = tree();
    tree.mkdir("s/a");
    tree.write("s/a/run", "");
    let svscan = svscan(&tree, "-p").start();
    svscan.wait_stderr("a: supervise: ");
    svscan.signal(Signal::TERM);
    svscan.wait_within(DEADLINE);
}

#[test]
fn the_command_beside_the_services_keeps_the_output() {
    let tree = tree();
    once(&tree, "s/a", "echo service");
    let command =
        ["-p", "s", "--", "sh", "-c", "while ! [ -e end ]; do sleep 0.02; done; echo command"];
    let svscan = tree.cmd("svscan").args(command).start();
    wait_out(&svscan, 1);
    tree.write("end", "");
    let output = svscan.wait_within(DEADLINE);
    assert_eq!(
        (output.code, output.out().as_str()),
        (Some(0), "a: service\ncommand\n"),
        "{output}"
    );
}

#[test]
fn without_dev_null_and_proc_it_works() {
    // The copier moves what it has read to /dev/null, or reads it.
    let tree = tree();
    let Some(namespace) = system::namespace(&tree) else { return };
    once(&tree, "s/a", "seq 3000");
    let script = "mount -t tmpfs none /proc && : >null && mount --bind null /dev/null &&
        chmod 0 /dev/null; mount -t tmpfs none /dev && exec svscan -p s";
    let svscan = tree.sh(script).under(namespace).start();
    // Without CAP_SYS_RESOURCE a pipe has only two pages when the user has many, and lines are cut.
    let whole_lines = || svscan.stdout().replace("\na+ ", "");
    wait_until("the last one", DEADLINE, || whole_lines().contains("\na: 3000\n"));
    assert!(numbers(&whole_lines(), "a") == (1..=3000).collect::<Vec<u32>>());
    svscan.signal(Signal::TERM);
    assert_eq!(svscan.wait_within(DEADLINE).code, Some(0));
}

#[test]
fn lines_stay_whole_in_pipes_of_two_pages() {
    if !is_root() {
        return;
    }
    let tree = tree();
    once(&tree, "s/a", "seq 5000");
    for name in ["", "s", "s/a"] {
        tree.chmod(name, 0o777);
    }
    // The limit is one of each user.
    let user = format!("--reuid={}", 200_000 + std::process::id());
    let options = ["setpriv", &user, "--regid=0", "--clear-groups"];
    // Large pipes up to the limit, and then small ones, until a new one has two pages.
    let fill = r#"
        for (my $size = 0; $size != 8192; ) {
            pipe(my $out, my $in) or die "pipe: $!";
            fcntl($in, 1031, 1 << 20);
            $size = fcntl($in, 1032, 0);
            push @pipes, $out, $in;
        }
        open(my $file, ">", "filled"); print $file "\n"; close($file);
        sleep 1 while 1;"#;
    let filler = tree.cmd("perl").args(["-e", fill]).under(options).start();
    tree.wait_lines("filled", 1);
    let svscan = svscan(&tree, "-p").under(options).start();
    wait_until("the last one", DEADLINE, || svscan.stdout().contains("5000\n"));
    svscan.signal(Signal::TERM);
    let out = svscan.wait_within(DEADLINE).out();
    assert!(!out.contains("\na+ "), "{out}");
    assert!(numbers(&out, "a") == (1..=5000).collect::<Vec<u32>>());
    filler.kill();
}
