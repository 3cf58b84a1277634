# Packs the tarball that boots a running Linux into the image by kexec.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu
# shellcheck source=pack/unpack.sh
. "$unpack"
# shellcheck source=pack/tar.sh
. "$tar"

mkdir -p tree/kexec/lib "$out/nix-support"
cd tree
sed "s|@kernelParams@|$kernelParams|; s|@minRamMib@|$minRamMib|" "$run" > kexec/run
cp "$wrapper" kexec/kexec
cp "$busybox" kexec/ip
cp "$kernel/kernel" kexec/bzImage
cp "$initrd/initrd" kexec/initrd

unpack_packages
# shellcheck disable=SC2086 # a list
copy_found kexec/lib kexec $libraries
loader=$(find kexec/lib -name 'ld-linux*')
mv "$loader" kexec/lib/ld.so
chmod -R u=rwX,go=rX kexec
chmod 755 kexec/run kexec/kexec kexec/ip kexec/lib/kexec kexec/lib/ld.so

tarball=nixos-kexec-installer-$targetSystem.tar.gz
find kexec | LC_ALL=C sort | write_tar | gzip > "$out/$tarball"
echo "$tarball of $(stat -c %s "$out/$tarball") bytes"

printf '%s\n' "$imageJson" > "$out/nix-support/image.json"
echo "file tarball $out/$tarball" > "$out/nix-support/hydra-build-products"
