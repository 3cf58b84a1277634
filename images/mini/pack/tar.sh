# Writes a tar archive of the same bytes wherever it is built: BusyBox' tar would write down the
# builder's user and the time of each file, and has no option against it.
# shellcheck shell=sh

# Reads the names of folders and plain files; writes the archive to standard output.
write_tar() {
    while read -r path; do
        if [ -d "$path" ]; then
            write_header "$path/" 0000755 0 5
        else
            mode=0000644
            [ -x "$path" ] && mode=0000755
            size=$(stat -c %s "$path")
            write_header "$path" "$mode" "$size" 0
            cat "$path"
            write_zeros $(((512 - size % 512) % 512))
        fi
    done
    write_zeros 1024
}

# name, mode, size, type; owner and group are 0, the time is the first second of 1970.
write_header() {
    sum=$(header "$@" '        ' | hexdump -v -e '1/1 "%u\n"' | awk '{ sum += $1 } END { print sum }')
    header "$@" "$(printf '%06o' "$sum")"
}

# The fields of ustar; the checksum counts as blanks while it is computed.
header() {
    field 100 "$1"
    field 8 "$2"
    field 8 0000000
    field 8 0000000
    field 12 "$(printf '%011o' "$3")"
    field 12 00000000001
    field 8 "$5"
    field 1 "$4"
    field 100 ''
    field 8 ustar
    field 247 ''
}

field() {
    printf '%s' "$2"
    write_zeros $(($1 - ${#2}))
}

write_zeros() {
    head -c "$1" /dev/zero
}
