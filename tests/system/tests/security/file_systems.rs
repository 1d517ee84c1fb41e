//! File systems of other users.

use harness::{DEADLINE, Signal, process, skip, wait_until};
use std::path::Path;
use system::{namespace, tree};

/// Mounts a file system that answers no request but the one that starts it (fuse(4)). It makes the file
/// `mounted` then, and `asked` at the first request of another process.
const HANGING: &str = r#"use Fcntl; use strict;
my ($dir) = @ARGV;
sysopen(my $device, "/dev/fuse", O_RDWR) or die "open: $!";
my $options = "fd=" . fileno($device) . ",rootmode=40000,user_id=0,group_id=0,allow_other";
my ($source, $type) = ("none", "fuse");
syscall(165, $source, $dir, $type, 6, $options) == 0 or die "mount: $!";
while (sysread $device, my $request, 135168) {
    my (undef, $operation, $unique) = unpack "LLQ", $request;
    open my $file, ">", $operation == 26 ? "mounted" : "asked";
    next unless $operation == 26;
    my @answer = (80, 0, $unique, 7, 31, 4096, 0, 1, 1, 4096, 1, 1, 0, (0) x 8);
    syswrite $device, pack "LlQLLLLSSLLSSL8", @answer;
}
"#;

#[test]
fn a_log_directory_whose_file_system_hangs_stops_only_its_logger() {
    // The number of mount(2) is that of one architecture.
    if cfg!(not(target_arch = "x86_64")) || !Path::new("/dev/fuse").exists() {
        return skip("there is no /dev/fuse");
    }
    let tree = tree();
    let Some(namespace) = namespace(&tree) else { return };
    tree.write("hang.pl", HANGING);
    for name in ["s/a", "s/b"] {
        tree.idle_service(name);
        tree.service(format!("{name}/log"), "#!/bin/sh\nexec multilog t ./main\n");
    }
    tree.mkdir("s/a/log/main");
    let script = "perl hang.pl s/a/log/main &\n\
         until [ -e mounted ]; do kill -0 $! || exit 9; sleep 0.05; done\nexec svscan -t 1 s";
    let svscan = tree.sh(script).under(namespace).start();
    let logger = tree.wait_up("s/a/log");
    wait_until("the logger hangs", DEADLINE, || tree.exists("asked"));
    // Everything else works: the services, commands, new services, and the logger's supervise.
    let before = tree.wait_up("s/a");
    tree.svc("-t", "s/a");
    tree.wait_restart("s/a", before);
    tree.idle_service("s/c");
    tree.wait_up("s/c");
    tree.svc("-d", "s/a/log");
    tree.wait_want("s/a/log", b'd');
    assert!(process::is_alive(logger));
    // A stop does not wait for it longer than it may.
    svscan.signal(Signal::TERM);
    let output = svscan.wait();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.err().contains(&format!("process {logger} of log refuses to die")), "{output}");
    for pid in tree.find(&["perl", "hang.pl", "s/a/log/main"]) {
        process::signal(pid, Signal::KILL);
    }
    process::wait_gone(logger);
}
