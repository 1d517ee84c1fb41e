//! What svc sends, and what it says when no supervise reads it.

use harness::{DEADLINE, Signal, process, wait_until};
use system::{stop_supervise, tree};

#[test]
fn svc_frames_the_letters_of_encore() {
    let tree = tree();
    tree.fifo("a/supervise/control", 0o600);
    let mut control = tree.open_fifo("a/supervise/control");
    for (options, bytes) in [
        // Letters of the original have no frame.
        (&["-dud"][..], &b"du"[..]),
        (&["-d", "-x"], b"dx"),
        (&["-udopchaitkx"], b"udopchaitkx"),
        // Signals of encore.
        (&["-q"], b"lq"),
        (&["-1"], b"l1"),
        (&["-2"], b"l2"),
        (&["-w"], b"lw"),
        (&["-d1"], b"ld1"),
        // A choice of the target is reset at the end.
        (&["-+d"], b"l+dl"),
        (&["-+d=u"], b"l+d=ul"),
        (&["-=t"], b"l=t"),
        (&["-Ld"], b"lLdl"),
        (&["-dLd"], b"ldLdl"),
        (&["-dLdldd"], b"ldLdldl"),
        (&["-l"], b"ll"),
        (&[], b""),
    ] {
        tree.cmd("svc").args(options).arg("a").run().is(0, "", "");
        assert_eq!(control.drain(), bytes, "{options:?}");
    }
}

#[test]
fn letters_of_encore_send_their_signals() {
    let tree = tree();
    tree.trapping_service("a", &["QUIT", "USR1", "USR2", "WINCH", "HUP"]);
    let _supervise = tree.supervise("a");
    tree.wait_lines("a/started", 1);
    for (number, (letter, name)) in
        [("-q", "QUIT"), ("-1", "USR1"), ("-2", "USR2"), ("-w", "WINCH"), ("-=h", "HUP")]
            .into_iter()
            .enumerate()
    {
        tree.svc(letter, "a");
        assert_eq!(tree.wait_lines("a/signals", number + 1)[number], name);
    }
    // `+` means the process group. This service has none of its own, and supervise does not signal
    // the group of its caller. `L` means the log script, which does not exist.
    tree.svc("-+hLh", "a");
    tree.svc("-q", "a");
    assert_eq!(tree.wait_lines("a/signals", 6)[5], "QUIT");
}

#[test]
fn svc_warns_of_a_control_that_is_no_fifo() {
    let tree = tree();
    tree.write("a/supervise/control", "as it was\n");
    let line = "svc: warning: unable to control a: control is not a FIFO, so nobody reads it\n";
    tree.cmd("svc").args(["-d", "a"]).run().is(0, "", line);
    assert_eq!(tree.text("a/supervise/control"), "as it was\n");
}

#[test]
fn svok_and_svstat_name_the_file_that_they_tried() {
    let tree = tree();
    tree.mkdir("a/state/ok");
    let output = tree.cmd("svok").arg("a").env("SUPERVISEDIR", "state").run();
    output.is(111, "", "svok: fatal: unable to open state/ok: is a directory\n");
    let output = tree.cmd("svstat").arg("a").env("SUPERVISEDIR", "state").run();
    output.is(0, "a: unable to open state/ok: is a directory\n", "");
}

#[test]
fn messages_of_svc_do_not_go_to_control_with_closed_descriptors() {
    let tree = tree();
    tree.idle_service("a");
    let supervise = tree.supervise("a");
    let pid = tree.wait_up("a");
    supervise.signal(Signal::STOP);
    wait_until("supervise is stopped", DEADLINE, || process::is_stopped(supervise.pid()));
    for closed in ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"] {
        // It prints that the command was not read.
        tree.sh(&format!("exec svc -c a {closed}")).run();
        assert_eq!(tree.open_fifo("a/supervise/control").drain(), b"c", "{closed}");
    }
    supervise.signal(Signal::CONT);
    assert_eq!(tree.wait_up("a"), pid);
    stop_supervise(&tree, supervise, "a");
}
