# shellcheck shell=sh
# What the tests of this directory have in common. They run on a machine of pkg/deb/test, as root.
set -eu
kind=$1
version=$2
cd /packages

fail() {
    echo "machines/$kind: fatal: $step: $1" >&2
    for process in /proc/[0-9]*; do
        echo "${process#/proc/} $(tr '\0' ' ' <"$process/cmdline")"
    done 2>/dev/null >&2
    ! command -v journalctl >/dev/null || journalctl --no-pager --lines 60 >&2 || true
    exit 1
}
step() {
    step=$1
    echo "   $kind: $1"
}
# wait_for WHAT COMMAND...: for at most five minutes.
wait_for() {
    what=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 3000 ] || fail "waited in vain until $what"
        sleep 0.1
    done
}
quiet() {
    "$@" >/tmp/output 2>&1 || { cat /tmp/output >&2; fail "failed: $*"; }
}

systemd_is_up() { systemctl is-system-running | grep -q -e running -e degraded; }

# make_services DIRECTORY: a service with a logger, and one without.
make_services() {
    mkdir -p "$1/web/log" "$1/db"
    for run in web/run db/run; do
        printf '#!/bin/sh\necho started\nexec sleep 1000000\n' >"$1/$run"
    done
    printf '#!/bin/sh\nexec multilog ./main\n' >"$1/web/log/run"
    chmod 755 "$1/web/run" "$1/db/run" "$1/web/log/run"
}

# pids DIRECTORY: the process of each service, one a line.
pids() {
    svstat "$1/web" "$1/db" "$1/web/log" | sed -n 's/^\(.*\): up (pid \([0-9]*\)).*/\1 \2/p'
}
all_up() { [ "$(pids "$1" | wc -l)" -eq 3 ]; }

# assert_same DIRECTORY PIDS
assert_same() {
    wait_for "all services are supervised" all_up "$1"
    [ "$(pids "$1")" = "$2" ] || fail "processes have changed: $2; now $(pids "$1")"
}
none_left() { ! grep -l -x -e sleep -e supervise -e multilog /proc/[0-9]*/comm; }

# The svscan of a directory. A child of svscan has its name until it executes supervise.
is_svscan() { read -r name <"/proc/$1/comm" && [ "$name" = svscan ]; }
svscan_of() {
    for comm in /proc/[0-9]*/comm; do
        read -r name <"$comm" || continue
        if [ "$name" = svscan ] && [ "${comm%comm}cwd" -ef "$1" ] &&
            ! is_svscan "$(sed -n 's/^PPid:[[:space:]]*//p' "${comm%comm}status")"; then
            pid=${comm%/comm}
            echo "${pid#/proc/}"
        fi
    done 2>/dev/null
}
# is_another DIRECTORY PID: another svscan runs.
is_another() {
    found=$(svscan_of "$1")
    [ -n "$found" ] && [ "$found" != "$2" ]
}
# runs_installed PID: it runs the file that is installed.
runs_installed() { [ "/proc/$1/exe" -ef /usr/bin/daemontools ]; }

programs="daemontools-rs_${version}_*.deb"
next_programs="daemontools-rs_${version%-*}-9_*.deb"
