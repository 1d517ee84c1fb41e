# shellcheck shell=sh source=tests/vm/guest/lib.sh disable=SC2016,SC2034
# svscan is process 1.
. /lib.sh

process_1() {
    mkdir -p /service /made
    define web <<'R'
#!/bin/sh
trap 'echo "ok: web ends in order"; exit 0' TERM
while :; do sleep 1; done
R
    define tests <<'R'
#!/bin/sh
. /test.sh
[ -e /tmp/checked ] || check
exec sleep 100000
R
    define logged <<'R'
#!/bin/sh
n=0
while :; do n=$((n+1)); echo "line $n"; usleep 10000; done
R
    mkdir -p /made/logged/log
    cat >/made/logged/log/run <<'R'
#!/bin/sh
exec multilog t s4096 n20 ./main
R
    chmod 755 /made/logged/log/run
    add web logged tests
    exec svscan /service
}

check() {
    touch /tmp/checked
    expect 'the services are up' 20 '[ -n "$(pid_of web)" ] && [ -n "$(pid_of logged)" ]'
    web=$(pid_of web)
    logged=$(pid_of logged)

    i=0
    while [ $i -lt 300 ]; do
        (sh -c 'exit 0' & sh -c 'sleep 0.2' & :)
        i=$((i + 1))
    done
    expect 'orphans do not stay as zombies' 20 '! grep -q "^State:.Z" /proc/[0-9]*/status 2>/dev/null'

    current=/made/logged/log/main/current
    for step in 3600 -7200 3601; do
        date -s "@$(($(date +%s) + step))" >/dev/null
        last=$(tail -n 1 $current)
        expect "the log goes on after a step of the clock by $step seconds" 10 '[ "$(tail -n 1 $current)" != "$last" ]'
        define "after$step" <<'R'
#!/bin/sh
exec sleep 100000
R
        add "after$step"
        expect 'a new service starts' 10 '[ -n "$(pid_of "after$step")" ]'
        expect 'svc stops it' 10 '/bin/svc -d -W down -T 5000 "/service/after$step"'
    done
    expect 'no service has been started again' 5 '[ "$(pid_of web) $(pid_of logged)" = "$web $logged" ]'
    lines=$(cat /made/logged/log/main/@* /made/logged/log/main/current | sed 's/^[^ ]* line //')
    expect 'no line is lost or doubled' 1 '[ -z "$(echo "$lines" | sort -n | awk "NR > 1 && \$1 != last + 1 { print } { last = \$1 }")" ]'

    for signal in HUP USR1 ALRM WINCH; do kill -$signal 1; done
    expect 'other signals do not end process 1' 1 'true'
    expect 'all processes are still there' 5 '[ "$(pid_of web)" = "$web" ]'
    [ -n "${bad:-}" ] || echo 'all ok'
    # The end of process 1 is a panic of the kernel, which names the exit code.
    echo 'await: ok: web ends in order'
    echo 'await: Attempted to kill init! exitcode=0x00000000'
    kill -TERM 1
}
