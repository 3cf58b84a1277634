# Takes the programs that pack, and the libraries that they run on, out of Debian's packages.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu
# shellcheck source=pack/unpack.sh
. "$unpack"

mkdir -p "$out/bin" "$out/lib/gconv"
unpack_packages
# shellcheck disable=SC2086 # both are lists
{
    copy_found "$out/bin" $programs
    copy_found "$out/lib" $libraries
    # mtools asks libc for the letters of DOS, which libc has in a module of its own.
    copy_found "$out/lib/gconv" IBM850.so
}
mv "$out"/lib/ld-linux* "$out/lib/ld.so"
cat > "$out/lib/gconv/gconv-modules" <<END
alias CP850// IBM850//
module IBM850// INTERNAL IBM850 1
module INTERNAL IBM850// IBM850 1
END
