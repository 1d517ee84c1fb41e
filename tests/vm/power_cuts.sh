# shellcheck shell=sh disable=SC2154
# The test "power" of the script run: the power fails at random moments while multilog writes.

# Runs a guest until the power fails. Its promises go into the files of the next one.
cut_power() {
    rm -f "$work/console"
    boot power 512 -drive "file=$disk,format=raw,if=virtio,cache=writeback"
    seconds=1200
    until grep -q '^running' "$work/console" 2>/dev/null; do
        if ! kill -0 "$machine" 2>/dev/null || [ $seconds -eq 0 ]; then
            report "power on $filesystem"
            return 1
        fi
        seconds=$((seconds - 1))
        sleep 1
    done
    # From 0 to 5 seconds, evenly.
    sleep "$(awk -v n="$(od -An -N2 -tu2 /dev/urandom)" 'BEGIN { print n / 13107 }')"
    kill -KILL "$machine"
    wait "$machine" 2>/dev/null || true
    machine=
    # At this start the guest has removed the files of the earlier ones.
    [ $((boots % 5)) -ne 1 ] || : >"$root/promised"
    # The last line can be incomplete.
    tr -d '\r' <"$work/console" | sed -n 's/^synced \([0-9]* [0-9]* [0-9]* [0-9]*\);$/\1/p' >"$work/promised"
    cat "$work/promised" >>"$root/promised"
    promises=$((promises + $(wc -l <"$work/promised")))
    ! tr -d '\r' <"$work/console" | grep '^not ok: ' >&2
}

# power_cuts N: on each of $filesystems, N power cuts.
power_cuts() {
    for filesystem in $filesystems; do
        command -v "mkfs.$filesystem" >/dev/null ||
            skip "no mkfs.$filesystem: apt-get install e2fsprogs xfsprogs btrfs-progs"
        disk=$work/disk
        rm -f "$disk"
        truncate -s 1G "$disk"
        "mkfs.$filesystem" "$disk" >"$work/mkfs.log" 2>&1 || { cat "$work/mkfs.log" >&2; return 1; }
        echo "$filesystem" >"$root/filesystem"
        : >"$root/promised"
        promises=0
        boots=1
        while [ $boots -le "$1" ]; do
            echo $boots >"$root/boot"
            cut_power
            [ $((boots % 10)) -ne 0 ] || echo "    $filesystem: $boots of $1 power cuts, $promises files so far"
            boots=$((boots + 1))
        done
        echo "$boots last" >"$root/boot"
        rm -f "$work/console"
        boot power 512 -drive "file=$disk,format=raw,if=virtio,cache=writeback"
        await_end 600
        report "power on $filesystem"
        echo "    $filesystem: $1 power cuts, $promises files were promised to be on the disk"
    done
}
