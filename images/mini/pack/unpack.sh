# Takes programs and libraries out of the Debian packages that a derivation names.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $packages is the derivation's

unpacked=$NIX_BUILD_TOP/unpacked

unpack_packages() {
    mkdir -p "$unpacked"
    for package in $packages; do
        dpkg-deb -x "$package" "$unpacked"
    done
}

# copy_found FOLDER NAME...: copies each program or library, wherever the packages have it.
copy_found() {
    folder=$1
    shift
    for name in "$@"; do
        found=$(find "$unpacked" -name "$name" | LC_ALL=C sort | first_elf)
        [ -n "$found" ] || { echo "no package has the program or library $name" >&2; return 1; }
        cp -L "$found" "$folder/$name"
    done
}

# Init scripts and package notes go by the same names as the programs.
first_elf() {
    while read -r path; do
        if [ -f "$path" ] && [ "$(head -c 4 "$path")" = "$(printf '\177ELF')" ]; then
            echo "$path"
            break
        fi
    done
}
