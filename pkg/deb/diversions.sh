# Diversions. The build script puts the package's name, the names of the programs and their directory,
# and this text into preinst and postrm.

# The diverted name: /usr/bin/svc.djb, /usr/share/man/man8/svc.djb.8.gz.
diverted() {
    case $1 in
    *.8.gz) echo "${1%.8.gz}.djb.8.gz" ;;
    *) echo "$1.djb" ;;
    esac
}

# A second name in the place of a rename: dpkg replaces the first one in one step, so that a
# running svscan finds supervise at any moment.
divert() {
    [ "$(dpkg-divert --listpackage "$1")" != "$package" ] || return 0
    [ ! -e "$1" ] || ln -f "$1" "$(diverted "$1")"
    dpkg-divert --package "$package" --add --no-rename --divert "$(diverted "$1")" "$1" >/dev/null
}

undivert() {
    [ "$(dpkg-divert --listpackage "$1")" = "$package" ] || return 0
    dpkg-divert --package "$package" --remove --no-rename --divert "$(diverted "$1")" "$1" >/dev/null
    if [ ! -e "$1" ]; then
        [ ! -e "$(diverted "$1")" ] || mv "$(diverted "$1")" "$1"
    elif [ "$1" -ef "$(diverted "$1")" ]; then
        # An aborted installation: the other package's file has both names.
        rm "$(diverted "$1")"
    fi
}
