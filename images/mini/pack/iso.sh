# Lays out the ISO: starts from a CD, or from a disk onto which it was copied.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu
# shellcheck source=pack/tool.sh
. "$tool"

mkdir -p iso/boot/grub "$out/nix-support"
cp "$kernel/kernel" "$initrd/initrd" iso/boot/
cp "$grub"/*.img iso/boot/grub/
sed "s|@version@|$version|; s|@kernelParams@|$kernelParams|" "$menu" > iso/boot/grub/grub.cfg

set -- -e boot/grub/efi.img -no-emul-boot -efi-boot-part --efi-boot-image
if [ -e "$grub/bios.img" ]; then
    # Without a bootable entry in its table, some firmware takes a disk for empty.
    set -- -b boot/grub/bios.img -no-emul-boot -boot-load-size 4 -boot-info-table \
        --grub2-boot-info --grub2-mbr "$grub/mbr.img" --mbr-force-bootable \
        -eltorito-alt-boot "$@"
fi

chmod -R u=rwX,go=rX iso
find iso -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
name=nixos-installer-$targetSystem.iso
tool xorriso -as mkisofs -quiet -r --set_all_file_dates set_to_mtime -volid MINI_IMAGE \
    -o "$out/$name" "$@" iso
echo "$name of $(stat -c %s "$out/$name") bytes"

printf '%s\n' "$imageJson" > "$out/nix-support/image.json"
printf '%s\n' "$packagesJson" > "$out/nix-support/packages.json"
echo "file iso $out/$name" > "$out/nix-support/hydra-build-products"
