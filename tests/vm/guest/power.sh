# shellcheck shell=sh source=tests/vm/guest/lib.sh disable=SC2016,SC2034,SC2045,SC2046
# multilog writes to a disk, and the power fails. /boot has the number of this start, and the word "last"
# in the last one, whose power does not fail. /promised has the lines that up to five earlier starts have seen
# in finished files: LOGGER START FIRST LAST.
. /lib.sh

LOGGERS='1 2 3 4'

process_1() {
    for module in virtio_pci virtio_blk "$(cat /filesystem)"; do modprobe "$module" 2>/dev/null; done
    mount -t "$(cat /filesystem)" /dev/vda /disk || echo 'not ok: the disk can be mounted'
    mkdir -p /service /made /disk/service
    read -r start last </boot
    export start last
    for logger in $LOGGERS; do
        directory=/made/$logger
        mkdir -p "$directory/log" "/disk/log$logger"
        [ -n "$last" ] || cat >"$directory/run" <<R
#!/bin/sh
exec awk 'BEGIN { for (n = 1; ; n++) print $start, n, "end" }'
R
        # The last start shows that each logger goes on.
        [ -z "$last" ] || cat >"$directory/run" <<R
#!/bin/sh
echo $start 1 end
exec sleep 100000
R
        printf '#!/bin/sh\nexec multilog t s%d n100000 /disk/log%d\n' $((4096 << logger)) "$logger" >"$directory/log/run"
        chmod 755 "$directory/run" "$directory/log/run"
    done
    define tests <<'R'
#!/bin/sh
. /test.sh
check
R
    add tests
    exec svscan /service
}

# The lines of a log in their order, without stamps: START NUMBER end. multilog links previous to its final
# name, and then removes the name previous: with two links it is a file that already counts.
lines_of() {
    directory=/disk/log$1
    set -- "$directory"/@*
    [ -e "$1" ] || shift
    [ "$(stat -c %h "$directory/previous" 2>/dev/null)" != 1 ] || set -- "$@" "$directory/previous"
    [ ! -e "$directory/current" ] || set -- "$@" "$directory/current"
    # One process for all: there can be thousands of files, and this processor is emulated.
    [ $# -eq 0 ] || sed 's/^@[0-9a-f]* //' "$@"
}

# Looks at what the last power cut has left.
examine() {
    for logger in $LOGGERS; do
        for name in $(ls -A "/disk/log$logger"); do
            case $name in
                current | previous | lock | state | .multilog-batch) ;;
                @*.[su]) [ ${#name} -eq 27 ] || echo "not ok: the name $name" ;;
                *) echo "not ok: the name $name" ;;
            esac
        done
        lines_of "$logger" | awk -v logger="$logger" '
            # Data that was not synced can be there in part: such lines do not count.
            FILENAME != "/promised" {
                if (NF != 3 || $3 != "end") next
                if (seen[$1, $2]++) print "not ok: log " logger " has twice: " $0
                if ($1 < start || $1 == start && $2 < number) print "not ok: log " logger ", order: " $0
                start = $1; number = $2
                next
            }
            $1 == logger {
                for (n = $3; n <= $4; n++) if (!seen[$2, n]) { print "not ok: log " logger " has lost " $2, n; exit }
            }' - /promised
    done
}

# Prints for each new finished file which lines it has.
promise() {
    for logger in $LOGGERS; do
        for file in "/disk/log$logger"/@*.s; do
            [ -e "$file" ] || continue
            case $promised in *" $file "*) continue ;; esac
            promised="$promised $file "
            set -- $(head -n 1 "$file") $(tail -n 1 "$file")
            # Not those of an earlier start.
            [ "$2" != "$start" ] || [ "$6" != "$start" ] || echo "synced $logger $start $3 $7;"
        done
    done
}

check() {
    examine
    # The emulated processor reads slowly: with all files of fifty starts the examination takes many minutes. So
    # the files last for five power cuts. The script outside forgets their promises at the same start.
    [ $((start % 5)) -ne 1 ] || rm -f /disk/log*/@*
    for logger in $LOGGERS; do add "$logger"; done
    promised=
    if [ -n "$last" ]; then
        for logger in $LOGGERS; do
            expect "log $logger goes on" 20 'grep -q " $start 1 end\$" "/disk/log$logger/current"'
        done
        finish
        return
    fi
    for file in /disk/log*/@*; do promised="$promised $file "; done
    echo running
    while :; do
        promise
        usleep 50000
    done
}
