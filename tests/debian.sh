# shellcheck shell=sh
# Debian packages without installing them: functions for the scripts beside this file, which set
# $target, the directory that takes them.

# apt's own user for downloads can seldom write below $target.
machine_apt() {
    apt-get -qq -o APT::Sandbox::User="$(id -un)" "$@"
}

# The same with lists and a cache below $target, which an ordinary user may bring up to date.
private_apt() {
    mkdir -p "$target/apt/lists/partial" "$target/apt/cache/archives/partial"
    machine_apt -o Dir::State::Lists="$target/apt/lists" -o Dir::Cache="$target/apt/cache" "$@"
}

# with_suite PROGRAM ARGUMENT...: apt-get or apt-cache with the suite $suite of this machine's mirror alone.
# apt verifies the signatures of its lists.
with_suite() {
    program=$1
    shift
    lists=$target/apt/$suite
    mkdir -p "$lists/partial" "$target/apt/cache/archives/partial"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        grep -v security | head -n 1)
    echo "deb ${mirror:-http://deb.debian.org/debian} $suite main" >"$lists.list"
    "$program" -qq -o APT::Sandbox::User="$(id -un)" -o Dir::Cache="$target/apt/cache" -o Dir::State::Lists="$lists" \
        -o Dir::Etc::SourceList="$lists.list" -o Dir::Etc::SourceParts=/dev/null "$@"
}

suite_apt() {
    with_suite apt-get "$@"
}

# download_packages APT with_libraries|alone PACKAGE...: into the current directory.
download_packages() {
    apt=$1
    packages=
    if [ "$2" = with_libraries ]; then
        # What installing them would install here: the packages on which they depend, less those that
        # this machine has.
        shift 2
        packages=$($apt -s --no-install-recommends install "$@") || return 1
        packages=$(echo "$packages" | awk '$1 == "Inst" { print $2 }')
    else
        shift 2
    fi
    # shellcheck disable=SC2086
    $apt download "$@" $packages
}

# fetch_packages DIRECTORY with_libraries|alone PACKAGE...: unpacks packages into a directory that
# does not exist yet. The directory appears when it is complete. Where it fails, $target/apt.log says
# why. With $suite they come from that suite.
fetch_packages() (
    directory=$1
    shift
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    mkdir -p "${directory%/*}"
    scratch=$(mktemp -d "$directory.XXXXXX") || return 1
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir "$scratch/packages" "$scratch/root"
    cd "$scratch/packages" || return 1
    if [ -n "${suite:-}" ]; then
        { suite_apt update && download_packages suite_apt "$@"; } >"$target/apt.log" 2>&1 || return 1
    else
        # The lists of the machine may be missing, or too old for the mirror.
        download_packages machine_apt "$@" >"$target/apt.log" 2>&1 ||
            { private_apt update && download_packages private_apt "$@"; } >>"$target/apt.log" 2>&1 ||
            return 1
    fi
    for package in *.deb; do
        dpkg -x "$package" "$scratch/root" >>"$target/apt.log" 2>&1 || return 1
    done
    chmod 755 "$scratch/root"
    mv "$scratch/root" "$directory"
)

# debian_root DIRECTORY PACKAGE,... LOG: a minimal Debian with these packages, by debootstrap, of the suite and
# from the mirror of this machine's apt. Where it fails, prints why.
debian_root() (
    # shellcheck disable=SC1091
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # The updates and security suites have other names.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(RELEASE) $(CODENAME) $(COMPONENT) $(REPO_URI)' \
        'Created-By: Packages' | awk -v suite="$suite" \
        '($1 == suite || $2 == suite) && $3 == "main" { print $4; exit }')
    [ -n "$mirror" ] || { echo "apt's configuration names no mirror of $suite main" >&2; return 1; }
    echo "== debootstrap $suite from $mirror"
    http_proxy=${http_proxy:-$(apt-config dump --format '%v' Acquire::http::Proxy)}
    export http_proxy
    [ -n "$http_proxy" ] || unset http_proxy
    # A mirror can fail for a moment.
    for pause in 10 10 0; do
        rm -rf "$1"
        debootstrap --variant=minbase --include="$2" "$suite" "$1" "$mirror" >"$3" 2>&1 && return 0
        sleep $pause
    done
    tail "$3" >&2
    return 1
)
