# shellcheck shell=sh disable=SC2154
# Functions for the scripts in a virtual machine. They call svc and setuidgid by path: the shell has its own. A line "ok: ..." or "not ok: ..." on the console is a
# result; "all ok" comes at the end.

# wait_for SECONDS CONDITION: a condition is a shell command.
wait_for() {
    tries=$(($1 * 10))
    until eval "$2"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        usleep 100000
    done
}

# expect NAME SECONDS CONDITION
expect() {
    if wait_for "$2" "$3"; then
        echo "ok: $1"
    else
        echo "not ok: $1: $3"
        svstat -x /service/*
        bad=1
    fi
}

# define NAME: makes a service directory, whose run is the standard input.
define() {
    mkdir -p "/made/$1"
    cat >"/made/$1/run"
    chmod 755 "/made/$1/run"
}

# option NAME FILE TEXT
option() {
    printf '%s\n' "$3" >"/made/$1/$2"
}

# Adds services to the scan directory.
add() {
    for name; do
        ln -s "/made/$name" "/service/$name"
    done
}

# The process id of a service; nothing if it is not up.
pid_of() {
    svstat "/service/$1" | sed -n 's/.*: up (pid \([0-9]*\)).*/\1/p'
}

# process ARGUMENT...: the ids of the processes with exactly these arguments.
process() {
    for found in /proc/[0-9]*; do
        [ "$({ tr '\0' ' ' <"$found/cmdline"; } 2>/dev/null)" != "$* " ] || echo "${found#/proc/}"
    done
}

# Ends the machine.
finish() {
    [ -n "${bad:-}" ] || echo "all ok"
    sync
    poweroff -f
}
