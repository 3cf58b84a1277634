# Starts the programs of tools.sh: they find their libraries by the loader beside these.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $tools is the derivation's

# The times that they write: the first second that FAT knows, in the zone without a name.
export SOURCE_DATE_EPOCH=315532800 TZ=UTC0
export GCONV_PATH="$tools/lib/gconv"

# tool NAME ARGUMENT...
tool() {
    program=$tools/bin/$1
    shift
    "$tools/lib/ld.so" --inhibit-cache --library-path "$tools/lib" "$program" "$@"
}
