//! Scenarios of multilog that have found a fault.

use simulator::multilog::Scenario;
use simulator::simulation::assert_passes;

/// Scenarios that have found a fault of multilog, in their text form, with the fault.
const FOUND: [(&str, &str); 18] = [
    (
        "8313 10175809346726853145 299 | n1000000 s8192 ./log0 n1000000 s4096 ./log1 | S3:error/0",
        "a standby process whose wait is interrupted writes while its logger runs",
    ),
    (
        "16695 11667147808676921248 64 | t n1000000 s20000 ./log0 | L85:error/0 L88:kill",
        "a batch whose mark cannot be written is consumed as a whole before it is written",
    ),
    (
        "7593 13496029999535097692 67 | n1000000 s4096 ./log0 | L131:kill | S56:error/0",
        "a standby process that cannot write the mark writes the whole batch again",
    ),
    (
        "8032 17728843681117425782 12 | n1000000 s4096 ./log0 n1000000 s4096 ./log1 | L65:kill | \
         L114:kill | S58:error/0",
        "a standby process that cannot look into the pipe declares the batch done",
    ),
    (
        "2660 6711392465369988569 25 | n1000000 s4096 !slow ./log0 | L166:kill | L74:error/0 \
         L34:error/0 S4:kill",
        "a logger that cannot look into the pipe writes the batch of the killed one again",
    ),
    (
        "5010651 4211012219597640013 19 | n1000000 s8192 ./log0 n1000000 s4096 ./log1 | L137:kill | \
         S19:error/0",
        "a logger that cannot read the mark replaces the file that it describes",
    ),
    (
        "1796081515006823 1623087988388868720 15 | n1000000 s4096 ./log0 | L111:kill | \
         L10:error/0 S1:kill",
        "a logger that cannot read the id of the boot writes the batch of the killed one again",
    ),
    (
        "1796081797055544 11315479537895642934 339 | n1000000 s8192 !cat ./log0 | L16:error/0 | \
         L76:error/0 L356:kill S54:error/1",
        "a standby process whose look into the pipe is interrupted declares the batch done",
    ),
    (
        "1796082841143243 5173504928703111825 195 | n1000000 s4096 ./log0 | L119:kill | \
         L31:short/124 S13:kill",
        "a logger that reads a part of the mark at once writes the batch of the killed one again",
    ),
    (
        "1055 15472710161836294197 38 | t n1000000 s8192 ./log0 | L9:term | L15:memory | L87:error/0",
        "a batch after one without a mark has an earlier stamp",
    ),
    (
        "2440 4928121063737314681 3 | t n3 s99999 n2 s8192 ./log1 | L74:kill | L1:clock/-36000",
        "stamps go back after a KILL, because current is empty",
    ),
    (
        "14755 16315616477555907926 9 posix | n1000000 s4096 ./log0 | L22:kill | L75:power",
        "a new directory of a killed logger is lost with the power",
    ),
    (
        "39445 9333936656522733534 51 posix | n1000000 s20000 !cat ./log0 | L26:error/0 P1:power",
        "a new directory is lost with the power, because there was no descriptor for its sync",
    ),
    (
        "506441 11628861072437825415 1 posix | n1000000 s99999 ./log0 | L72:error/0 L74:power",
        "a complete current is lost with the power, because the sync of its name failed",
    ),
    (
        "1796129581015678 3116881212209308947 296 | t -* n1000000 s8192 +*:2* n5 s4096 !counts ./log1 \
         n2 s4096 ./log2 | L790:kill | L855:kill | L51:clock/-3600",
        "stamps go back after a KILL, because the newest file has only the end of a line",
    ),
    (
        "1796129581071845 2852964726895552123 296 | n1000000 s4096 !slow ./log0 n1000000 s4096 !cat \
         ./log1 | L311:kill | L34:error/0 S23:error/0",
        "the processor of a killed logger writes to the file of the next one",
    ),
    (
        "1796130452029601 6202780764248856718 17 | t n5 s99999 ./log0 n5 s4096 ./log1 =status2 n2 s4096 \
         ./log2 | L217:error/0 L223:kill",
        "a mark of held text that cannot be ended stays, and the text is written again",
    ),
    (
        "1796133442033859 7196250211937489866 23 | t -*:* n2 s8192 ./log0 n2 s8192 ./log1 +*:2* n5 s99999 \
         ./log2 | L196:clock/-3600 L195:memory | L155:error/0",
        "stamps go back, because there was no descriptor to look for the last one",
    ),
];

#[test]
fn scenarios_that_found_a_fault_pass() {
    for (scenario, fault) in FOUND {
        assert_passes(&scenario.parse::<Scenario>().expect("a scenario"), fault);
    }
}
