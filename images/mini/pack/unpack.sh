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

# Copies each named file, wherever the packages have it and whatever a link leads to.
copy_found() {
    target=$1
    shift
    for name in "$@"; do
        find "$unpacked" -name "$name" -exec test -f {} \; -exec cp -L {} "$target/$name" \;
        [ -f "$target/$name" ] || { echo "no package has $name" >&2; return 1; }
    done
}
