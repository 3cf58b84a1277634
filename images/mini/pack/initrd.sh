# Packs the root folder, BusyBox, dropbear and the kernel's modules into the initrd.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu
# shellcheck source=pack/unpack.sh
. "$unpack"

tree=$NIX_BUILD_TOP/tree
cp -r "$root" "$tree"
chmod -R u+w "$tree"
cd "$tree"
mkdir -p bin dev lib lib64 mnt proc root/.ssh run sys tmp usr/sbin var/run
chmod 700 root root/.ssh
chmod 1777 tmp
chmod 755 init bin/* etc/rc etc/udhcpc/default.script

cp "$busybox" bin/busybox
ln -s busybox bin/sh
cp -r "$kernel/lib/modules" lib/modules

unpack_packages
# shellcheck disable=SC2086 # both are lists
{
    copy_found bin $programs
    copy_found lib $libraries
}
# The loader is asked for by the path that is written into each program.
[ -e lib/ld-linux-x86-64.so.2 ] && ln -s ../lib/ld-linux-x86-64.so.2 lib64/

cat > etc/os-release <<END
NAME="Mini image"
PRETTY_NAME="Mini image $version"
ID=mini
ID_LIKE=nixos
VARIANT_ID=installer
VERSION_ID="$release"
VERSION="$version"
BUILD_ID="$version"
END
echo "$targetSystem" > etc/system

chmod -R u+w .
find . -exec touch -h -d @1 {} +
mkdir "$out"
find . -mindepth 1 | LC_ALL=C sort |
    cpio -o -H newc -R 0:0 --renumber-inodes --ignore-devno | gzip > "$out/initrd"
echo "initrd of $(stat -c %s "$out/initrd") bytes"
