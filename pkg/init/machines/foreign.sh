# shellcheck shell=sh
# A package of another distribution, on a machine with systemd: installed, upgraded, removed and installed again.
# The caller has defined install_release RELEASE and remove.

# Without what grows as the machine runs, and the database of Debian's rpm.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /packages -o -path /var \
        -o -path /etc/service -o -path /root/.rpmdb \) -prune -o -printf '%p %y %l\n' | sort
}
is_main() { [ "$(systemctl show -P MainPID daemontools-rs)" = "$(svscan_of "$services")" ]; }
# assert_unit RESTART: it runs, and a stop of svscan alone spares the services.
assert_unit() {
    for expected in ActiveState=active KillMode=process "Restart=$1"; do
        systemctl show daemontools-rs | grep -q -x "$expected" || fail "not $expected: $(systemctl status daemontools-rs)"
    done
    [ "$(systemctl show -P MainPID daemontools-rs)" = "$old" ] || fail "the unit has another main process than $old"
}
assert_alive() {
    for pid in $(echo "$before" | cut -d ' ' -f 2) "$old"; do
        [ -d "/proc/$pid" ] || fail "process $pid is gone"
    done
}

step "starting"
wait_for "systemd is up" systemd_is_up
services=/etc/service
files >/tmp/files.before

step "installing starts nothing, and the unit starts svscan"
install_release 1
[ -d "$services" ] || fail "there is no $services"
[ -z "$(svscan_of "$services")" ] || fail "svscan runs"
make_services "$services"
quiet systemctl enable --now daemontools-rs.service
wait_for "all services are up" all_up "$services"
before=$(pids "$services")

step "KILL of svscan keeps every process"
old=$(svscan_of "$services")
kill -KILL "$old"
wait_for "systemd starts another svscan" is_another "$services" "$old"
wait_for "the new svscan is the main process" is_main
assert_same "$services" "$before"

step "an upgrade keeps every process"
old=$(svscan_of "$services")
inode=$(stat -c %i /usr/bin/daemontools)
install_release 9
[ "$(stat -c %i /usr/bin/daemontools)" != "$inode" ] || fail "the file is the same"
wait_for "svscan runs the new file" runs_installed "$old"
assert_same "$services" "$before"
assert_unit always

step "removing keeps every process"
remove
assert_alive
assert_unit no
[ ! -e /usr/bin/svscan ] || fail "files are left"

step "installing again finds every process"
install_release 9
wait_for "svscan runs the new file" runs_installed "$old"
assert_same "$services" "$before"
assert_alive
assert_unit always
kill -KILL "$old"
wait_for "systemd starts another svscan" is_another "$services" "$old"
assert_same "$services" "$before"

step "stop, and a removal that leaves no file"
quiet systemctl disable --now daemontools-rs.service
wait_for "every process has ended" none_left
quiet systemctl enable daemontools-rs.service
remove
files >/tmp/files.after
diff /tmp/files.before /tmp/files.after >/tmp/output || fail "$(cat /tmp/output)"
