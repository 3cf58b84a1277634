# Lays out the ISO: starts from a CD, or from a disk onto which it was copied.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu
# shellcheck source=pack/tool.sh
. "$tool"

mkdir -p iso/boot/grub "$out/nix-support"
cp "$kernel/kernel" "$initrd/initrd" iso/boot/
sed "s|@version@|$version|; s|@kernelParams@|$kernelParams|" "$menu" > iso/boot/grub/grub.cfg
cp "$grub/efi.img" iso/boot/grub/
chmod -R u+w iso

set -- -e boot/grub/efi.img -no-emul-boot -efi-boot-part --efi-boot-image
if [ -e "$grub/bios.img" ]; then
    # Without a bootable entry in its table, some firmware takes a disk for empty.
    cp "$grub/bios.img" iso/boot/grub/
    chmod u+w iso/boot/grub/bios.img
    set -- -b boot/grub/bios.img -no-emul-boot -boot-load-size 4 -boot-info-table \
        --grub2-boot-info --grub2-mbr "$grub/mbr.img" --mbr-force-bootable \
        -eltorito-alt-boot "$@"
fi
name=nixos-installer-$targetSystem.iso
tool xorriso -as mkisofs -quiet -r -volid MINI_IMAGE -o "$out/$name" "$@" iso
echo "$name of $(stat -c %s "$out/$name") bytes"

printf '%s\n' "$imageJson" > "$out/nix-support/image.json"
echo "file iso $out/$name" > "$out/nix-support/hydra-build-products"
