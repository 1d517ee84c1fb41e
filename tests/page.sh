# shellcheck shell=sh
# Pages that show commands with their output: functions for the scripts beside this file, which do again what
# a page shows and compare. They set $section, the section of the page.

fail() {
    echo "$0: fatal: $section: $1" >&2
    exit 1
}
skip() {
    echo "$0: $section: skipped: $1"
    [ -z "${DAEMONTOOLS_NO_SKIPS+set}" ] || exit 1
}

# in_a_machine SCRIPT PAGE OPTIONS SECTION: makes $work, which gets bin with the programs, the page and what the
# caller has put there, and runs SCRIPT --inside SECTION $work as process 1 of namespaces. OPTIONS go to unshare.
in_a_machine() {
    mkdir -p "$work/bin"
    "${CARGO_TARGET_DIR:-$here/target}/release/daemontools" install -s "$work/bin" >/dev/null
    cp "${CARGO_TARGET_DIR:-$here/operator/target}/release/svctl" "$work/bin/"
    cp "$2" "$work/page"
    cp "$1" "$here/tests/page.sh" "$work/"
    # shellcheck disable=SC2086
    unshare --mount --pid --fork --kill-child --mount-proc $3 sh "$work/${1##*/}" --inside "$4" "$work" \
        >"$work/transcript" </dev/null || { cat "$work/transcript" "$work/failure" >&2; exit 1; }
    sed 's/^/    /' "$work/transcript"
    echo "$0: $4: as on the page"
}

# copy_etc TO: another test may change files of /etc meanwhile.
copy_etc() {
    for _ in 1 2 3 4; do
        rm -rf "$1"
        ! cp -a /etc "$1" 2>/dev/null || return 0
    done
    rm -rf "$1"
    cp -a /etc "$1"
}

# In the namespaces: /etc, /opt, /run, /srv and /var/log become those of $work, and the programs are first in PATH.
own_machine() {
    command='the preparation'
    # fail MESSAGE: with the state of the machine, the command, and what it printed.
    fail() {
        trap - EXIT
        set +e
        {
            echo "-- services:"
            svstat /etc/service/* /etc/service/*/log
            echo "-- processes:"
            for process in /proc/[0-9]*; do
                echo "${process#/proc/} $(sed -n 's/^State:[[:blank:]]*//p' "$process/status") $(tr '\0' ' ' <"$process/cmdline")"
            done
            echo "-- output of the supervision:"
            tail -n 20 /var/log/suite /var/log/svscan
            for name in wanted output; do
                [ ! -e "$work/$name" ] || { echo "-- $name:"; cat "$work/$name"; }
            done
            echo "$0: fatal: $section: $command: $1"
        } >"$work/failure" 2>&1
        exit 1
    }
    # What ends the script without a message of its own.
    trap '[ $? -eq 0 ] || echo "$0: fatal: $section: ended after: $command" >"$work/failure"' EXIT
    copy_etc "$work/etc"
    mkdir "$work/opt" "$work/log" "$work/run" "$work/srv"
    mount --bind "$work/etc" /etc
    mount --bind "$work/opt" /opt
    mount --bind "$work/run" /run
    mount --bind "$work/srv" /srv
    mount --bind "$work/log" /var/log
    mount --bind "$work/bin" /usr/local/bin
    rm -rf /etc/service /etc/sv
    mkdir -p /etc/service /etc/sv
    PATH=/usr/local/bin:/usr/bin:/bin
    HOME=/root
    export PATH HOME
    unset SVDIR SUPERVISEDIR NOTIFY_SOCKET 2>/dev/null || true
    cd /
}

# wait_for WHAT COMMAND...: for at most two minutes.
wait_for() {
    what=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || fail "waited in vain until $what"
        sleep 0.1
    done
}

# begin COMMAND...: in a session of its own.
begin() { setsid "$@" </dev/null >>/var/log/suite 2>&1 & }

# What is the same in two runs, on one line: no numbers, months and units of numbers, and one blank for many.
same() {
    sed -E '
        s/[0-9]+([.:-][0-9]+)*/N/g
        s/\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +N/N/g
        s/\bN ?(s|m|h|d|B|KiB|MiB|GiB|K|M|G)\b/N/g; s/\bN( N)+\b/N/g' |
        tr -s '[:space:]' ' '
}

# A takeover names each service when its supervisor has changed, in any order.
in_order() { case $command in *' takeover'*) sort ;; *) cat ;; esac; }

# matches WANTED OUTPUT: whether a file with the output has that of the page. A line with an ellipsis stands for lines
# that the page leaves out.
matches() {
    in_order <"$1" | same >"$1.same"
    in_order <"$2" | same >"$2.same"
    awk '
        NR == FNR { wanted = wanted $0; next }
        { output = output $0 }
        END {
            gsub(/^ | $/, "", wanted); gsub(/^ | $/, "", output)
            count = split(wanted, parts, / ?… ?/)
            if (count <= 1) exit wanted != output
            if (substr(output, 1, length(parts[1])) != parts[1]) exit 1
            output = substr(output, length(parts[1]) + 1)
            for (number = 2; number < count; number++) {
                place = index(output, parts[number])
                if (!place) exit 1
                output = substr(output, place + length(parts[number]))
            }
            tail = parts[count]
            exit length(tail) > length(output) || substr(output, length(output) - length(tail) + 1) != tail
        }' "$1.same" "$2.same"
}

# follow HEADING: the commands below a heading of the page in their order. For each, perform PROMPT COMMAND is called,
# which writes the output to a file $work/output, or returns 1 if the command is for another test.
follow() {
    sed -n "/^## $1\$/,/^## /p" "$work/page" | sed -n 's/^    //p; s/^$/-/p' >"$work/lines"
    grep -q '^[#$] ' "$work/lines" || fail "the page shows no command"
    prompt=
    while IFS= read -r line <&3; do
        case $line in
        '# '* | '$ '*)
            compare
            prompt=${line%% *}
            command=${line#? }
            : >"$work/wanted"
            ;;
        -) compare ;;
        *) [ -z "$prompt" ] || echo "$line" >>"$work/wanted" ;;
        esac
    done 3<"$work/lines"
    compare
}
compare() {
    [ -n "$prompt" ] || return 0
    : >"$work/output"
    if perform "$prompt" "$command"; then
        echo "$prompt $command"
        cat "$work/output"
        matches "$work/wanted" "$work/output" || fail "the page shows another output"
    fi
    prompt=
}
