#!/bin/sh
# Runs the svscanboot of daemontools-rs. This is a script because old instructions start it with
# "bash /command/svscanboot". The executable is "daemontools" in the directory of this script.
file=$0
case $file in
*/*) ;;
*)
    # "sh svscanboot" names a file of the current directory; "bash svscanboot" also finds one in PATH.
    if [ -f "./$file" ]; then file=./$file; else file=$(command -v "$file"); fi
    ;;
esac
# Links such as /command/svscanboot lead to this script.
while [ -h "$file" ]; do
    target=$(command -p readlink -- "$file") || break
    case $target in
    /*) file=$target ;;
    *) file=${file%/*}/$target ;;
    esac
done
exec "${file%/*}/daemontools" svscanboot "$@"
