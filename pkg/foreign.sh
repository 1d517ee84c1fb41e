# shellcheck shell=sh
# RPM and Arch packages, made with Debian's rpmbuild and makepkg: functions for pkg/test and pkg/deb/test. They run
# in the root of the checkout. DAEMONTOOLS_BUILT is the directory of the executables. SOURCE_DATE_EPOCH is set.

# source_archive DIRECTORY: the files of the checkout as DIRECTORY and DIRECTORY.tar.gz, whose last name has the version.
source_archive() {
    mkdir "$1"
    # shellcheck disable=SC2016
    git ls-files -z --cached --others --exclude-standard |
        xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh |
        tar --create --null --files-from - | tar -x -C "$1"
    tar -czf "$1.tar.gz" -C "${1%/*}" "${1##*/}"
}

# build_rpm ARCHIVE RELEASE SCRATCH: the package is below SCRATCH/RPMS. SCRATCH is new.
build_rpm() {
    mkdir -p "$3/SOURCES"
    cp "$1" "$3/SOURCES/"
    sed "s/^Release:.*/Release: $2/" pkg/rpm/daemontools-rs.spec >"$3/daemontools-rs.spec"
    # Debian's rpm knows no installed packages.
    rpmbuild -bb --nodeps --define "_topdir $3" --define "_buildhost localhost" "$3/daemontools-rs.spec"
}

# build_arch ARCHIVE RELEASE SCRATCH: the package is SCRATCH/*.pkg.tar. SCRATCH is new, and any user can get there.
build_arch() {
    mkdir "$3"
    cp pkg/arch/* "$1" "$3/"
    sed -i "s/^pkgrel=.*/pkgrel=$2/" "$3/PKGBUILD"
    as=
    # makepkg refuses root.
    if [ "$(id -u)" -eq 0 ]; then
        chown -R 65534:65534 "$3"
        as="setpriv --reuid 65534 --regid 65534 --clear-groups"
    fi
    # It asks pacman only for the packages that are installed, which are Debian's here.
    # shellcheck disable=SC2086
    (cd "$3" && HOME=$3 PACMAN=true PKGEXT=.pkg.tar $as makepkg --nodeps --skipinteg)
}
