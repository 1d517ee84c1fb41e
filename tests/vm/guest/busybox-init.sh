# shellcheck shell=sh source=tests/vm/guest/lib.sh disable=SC2016,SC2034
# busybox's init is process 1, and runs svscan.
. /lib.sh

process_1() {
    mkdir -p /service /made
    echo '#!/bin/sh
exec sleep 100000' | define web
    add web
    cat >/tests <<'R'
#!/bin/sh
. /test.sh
check
R
    chmod 755 /tests
    cat >/etc/inittab <<'R'
::respawn:/bin/svscan /service
::once:/tests
R
    exec busybox init
}

check() {
    expect 'init starts svscan and its services' 20 '[ -n "$(pid_of web)" ]'
    web=$(pid_of web)
    for by in KILL OOM; do
        svscan=$(process /bin/svscan /service)
        case $by in
            KILL) kill -KILL "$svscan" ;;
            OOM) echo 1000 >"/proc/$svscan/oom_score_adj" && echo f >/proc/sysrq-trigger ;;
        esac
        expect "init starts another svscan after its end by $by" 20 'new=$(process /bin/svscan /service) && [ -n "$new" ] && [ "$new" != "$svscan" ]'
        expect 'the service goes on' 10 '[ "$(pid_of web)" = "$web" ]'
        expect 'it has one supervise' 10 '[ "$(process supervise web | wc -w)" = 1 ]'
    done
    # An upgrade replaces the executable by rename.
    svscan=$(process /bin/svscan /service)
    cp /bin/daemontools /bin/next && mv /bin/next /bin/daemontools
    expect 'svscan is upgraded' 20 '/bin/svscan -u /service'
    expect 'it is the same process with the new executable' 10 '[ "$(process /bin/svscan /service)" = "$svscan" ] && [ "$(readlink "/proc/$svscan/exe")" = /bin/daemontools ]'
    expect 'the service has not noticed' 10 '[ "$(pid_of web)" = "$web" ]'
    /bin/svc -t /service/web
    expect 'svc reaches it' 10 '[ -n "$(pid_of web)" ] && [ "$(pid_of web)" != "$web" ]'
    finish
}
