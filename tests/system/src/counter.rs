//! A service that counts, to find lost and doubled lines.

/// The `run` script of a service that writes the numbers from 1 on, one in each line. Before each
/// line it writes the number to the file `newest.PID`. After TERM it ends at the end of a line. The
/// file `started` lists its processes.
///
/// `line` is a line in Perl's double quotes, where `$n` is the number and `$$` the process. `pause`
/// is the time between two lines in seconds.
#[must_use]
pub fn counter_script(line: &str, pause: &str) -> String {
    const SCRIPT: &str = r#"#!/bin/sh
echo $$ >>started
exec perl -e '
    $SIG{TERM} = sub { $end = 1 };
    open(NEWEST, ">", "newest.$$") or die;
    until ($end) {
        $n++;
        sysseek(NEWEST, 0, 0);
        syswrite(NEWEST, sprintf("%09d", $n));
        syswrite(STDOUT, "LINE\n");
        select(undef, undef, undef, PAUSE);
    }'
"#;
    SCRIPT.replace("LINE", line).replace("PAUSE", pause)
}

/// The `run` script of a logger that keeps all of its input.
pub const KEEPING_LOGGER: &str =
    "#!/bin/sh\necho $$ >>started\nexec multilog s16777215 n50 ./main\n";
