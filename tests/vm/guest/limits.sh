# shellcheck shell=sh source=tests/vm/guest/lib.sh disable=SC2016,SC2034
# Control groups with the controllers memory, pids and cpu. svscan is process 1.
. /lib.sh

process_1() {
    mkdir /service /made
    echo '+memory +pids +cpu' >/sys/fs/cgroup/cgroup.subtree_control
    mkdir /sys/fs/cgroup/services

    define idle <<'R'
#!/bin/sh
exec sleep 100000
R

    # tail keeps a line in memory, and this one has no end.
    define memory <<'R'
#!/bin/sh
echo >>/tmp/memory-started
exec tail /dev/zero
R
    option memory resource-limits 'memory 16M'
    option memory restart-delay 1000

    # The shell in the middle ends at the sixth process.
    define pids <<'R'
#!/bin/sh
sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done' 2>/dev/null
exec sleep 100000
R
    option pids resource-limits 'pids 5'

    define cpu <<'R'
#!/bin/sh
while :; do :; done
R
    option cpu resource-limits 'cpu 10%'

    # Leaves its session and its parent.
    define daemons <<'R'
#!/bin/sh
for i in 1 2 3; do (setsid sh -c 'trap "" TERM; (sleep 54321; :) & sleep 54321; :' &); done
exec sleep 100000
R
    option daemons stop-scope tree
    option daemons timeout-kill 200

    # 500 processes that ignore TERM, and make others as long as they live.
    define bomb <<'R'
#!/bin/sh
trap '' TERM
echo '#!/bin/sh
trap "" TERM
while :; do (sleep 98765; :); done' >/tmp/bomb
chmod 755 /tmp/bomb
i=0
while [ $i -lt 250 ]; do
    setsid /tmp/bomb &
    i=$((i + 1))
done
exec sleep 98765
R
    option bomb stop-scope tree
    option bomb timeout-kill 100
    touch /made/bomb/down

    define tests <<'R'
#!/bin/sh
. /test.sh
check
R
    add bomb idle memory pids cpu daemons tests
    export DAEMONTOOLS_CGROUP=/sys/fs/cgroup/services
    exec svscan /service
}

# The directory of the control group of a service.
group_of() {
    sed -n 's/^0:://p' "/proc/$1/cgroup" | sed 's,^,/sys/fs/cgroup,'
}

check() {
    expect 'all services are up' 20 '[ -n "$(pid_of idle)" ] && [ -n "$(pid_of cpu)" ] && [ -n "$(pid_of daemons)" ]'
    idle=$(pid_of idle)

    expect 'a service beyond its limit of memory is killed, and starts again' 30 '[ "$(wc -l </tmp/memory-started)" -ge 2 ]'
    expect 'its status says so' 30 'svstat -x /service/memory | grep -q "killed by signal 9, out of memory"'

    expect 'a service has no more processes than its limit' 20 'grep -q "^max [1-9]" "$(group_of "$(pid_of pids)")/pids.events"'
    expect 'it has four without the shell that failed' 5 '[ "$(cat "$(group_of "$(pid_of pids)")/pids.current")" -eq 4 ]'

    /bin/svc -t /service/pids
    echo 'await: supervise: warning: pids has tried to start more processes than its control group permits'

    group=$(group_of "$(pid_of cpu)")
    expect 'a service with a tenth of a processor has this limit' 5 '[ "$(cat "$group/cpu.max")" = "10000 100000" ]'
    expect 'it is throttled' 20 'grep -q "^nr_throttled [1-9]" "$group/cpu.stat"'

    expect 'the daemons of a service run' 10 '[ "$(pidof sleep | wc -w)" -ge 6 ]'
    group=$(group_of "$(pid_of daemons)")
    /bin/svc -d -W down -T 20000 /service/daemons
    expect 'a stop of the tree ends them, whatever they do' 5 '[ -z "$(process sleep 54321)" ]'
    expect 'its control group is empty' 5 '[ -z "$(cat "$group/cgroup.procs")" ]'

    # Before Linux 5.14 a tree that forks without end may outrun the KILL for each process.
    [ ! -e /sys/fs/cgroup/services/cgroup.kill ] || bomb

    # The OOM killer takes what has the highest score.
    supervise=$(process supervise idle)
    echo 1000 >"/proc/$supervise/oom_score_adj"
    echo f >/proc/sysrq-trigger
    expect 'the OOM killer kills a supervise' 10 'new=$(process supervise idle) && [ -n "$new" ] && [ "$new" != "$supervise" ]'
    expect 'its service goes on' 10 '[ "$(pid_of idle)" = "$idle" ]'
    victim=$(pid_of cpu)
    echo 1000 >"/proc/$victim/oom_score_adj"
    echo f >/proc/sysrq-trigger
    expect 'a service that the OOM killer has killed starts again' 10 'new=$(pid_of cpu) && [ -n "$new" ] && [ "$new" != "$victim" ]'

    expect 'the first service has run all the time' 5 '[ "$(pid_of idle)" = "$idle" ]'
    delegated
    finish
}

# A stop of the tree writes cgroup.kill: no process can escape by a fork.
bomb() {
    /bin/svc -u /service/bomb
    expect 'a service has 500 processes in sessions of their own' 120 '[ "$(process sleep 98765 | wc -w)" -gt 250 ]'
    group=$(group_of "$(pid_of bomb)")
    [ "$(wc -l <"$group/cgroup.procs")" -ge 500 ] || echo "not ok: the control group has $(wc -l <"$group/cgroup.procs") processes"
    # The service itself ignores TERM too, so that timeout-kill comes first.
    set -- $(cut -d . -f 1 /proc/uptime)
    /bin/svc -d -W down -T 60000 /service/bomb
    # The kernel reports that the group is empty.
    expect 'a stop of the tree ends all of them at once' 30 'grep -qx "populated 0" "$group/cgroup.events"'
    set -- $1 $(cut -d . -f 1 /proc/uptime)
    [ $(($2 - $1)) -le 20 ] || echo "not ok: that took $(($2 - $1)) seconds"
    echo "ok: that took $(($2 - $1)) seconds"
    expect 'none of them is left' 1 '[ -z "$(process sleep 98765)$(process /bin/sh /tmp/bomb)" ]'
}

# A user with a control group of their own.
delegated() {
    own=/sys/fs/cgroup/www
    mkdir $own $own/main
    chown www $own $own/cgroup.procs $own/cgroup.subtree_control $own/main $own/main/cgroup.procs
    mkdir -p /home/service
    define delegated <<'R'
#!/bin/sh
exec sleep 100000
R
    option delegated resource-limits 'pids 7'
    chown -R www /home/service /made/delegated
    ln -s /made/delegated /home/service/delegated
    echo 0 >$own/main/cgroup.procs
    DAEMONTOOLS_CGROUP=$own /bin/setuidgid www svscan /home/service &
    expect 'a user has limits in a delegated group' 20 '[ "$(cat $own/delegated.*/pids.max 2>/dev/null)" = 7 ]'
}
