# Packs the tarball that boots a running Linux into the image by kexec.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu
# shellcheck source=pack/unpack.sh
. "$unpack"
# shellcheck source=pack/tar.sh
. "$tar"
# shellcheck source=pack/tool.sh
. "$tool"

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

tarball=nixos-kexec-installer-$targetSystem.tar
find kexec | LC_ALL=C sort | write_tar > "$NIX_BUILD_TOP/tar"
gzip < "$NIX_BUILD_TOP/tar" > "$out/$tarball.gz"
# Kernel and initrd are compressed already: the least effort takes 2 s, a plain -0 takes 4 s and
# saves 1 %. BusyBox checks CRC32 alone.
tool xz --check=crc32 --threads=1 --lzma2=dict=64KiB,mode=fast,mf=hc3,nice=8,depth=1 \
    < "$NIX_BUILD_TOP/tar" > "$out/$tarball.xz"

printf '%s\n' "$imageJson" > "$out/nix-support/image.json"
printf '%s\n' "$packagesJson" > "$out/nix-support/packages.json"
for compression in gz xz; do
    echo "$tarball.$compression of $(stat -c %s "$out/$tarball.$compression") bytes"
    echo "file tarball $out/$tarball.$compression" >> "$out/nix-support/hydra-build-products"
done
