# Makes GRUB's images for an ISO: efi.img, a FAT file system for UEFI, and bios.img with mbr.img.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu
# shellcheck source=pack/unpack.sh
. "$unpack"
# shellcheck source=pack/tool.sh
. "$tool"

mkdir "$out"
unpack_packages
grub=$unpacked/usr/lib/grub

# All that the menu needs is inside: GRUB loads no module from the medium.
modules='configfile echo halt iso9660 linux minicmd normal reboot regexp search search_label
    smbios test'

# Finds the medium with the menu. The parser of this first file knows no comments.
cat > start.cfg <<END
search --no-floppy --label --set=root MINI_IMAGE
configfile /boot/grub/grub.cfg
END

# FORMAT OUTPUT MODULE...
make_image() {
    format=$1 output=$2
    shift 2
    # shellcheck disable=SC2086 # a list
    tool grub-mkimage --directory "$grub/$format" --format "$format" --prefix /boot/grub \
        --config start.cfg --output "$output" $modules "$@"
}

make_image "$efiFormat" grub.efi efifwsetup fat part_gpt
size=$(($(stat -c %s grub.efi) / 1024 + 64))
# A plain FAT with a serial number of its own: else it would be the time.
head -c $((size * 1024)) /dev/zero > "$out/efi.img"
tool mtools -c mformat -i "$out/efi.img" -N 4d494e49 ::
tool mtools -c mmd -i "$out/efi.img" ::/EFI ::/EFI/BOOT
tool mtools -c mcopy -i "$out/efi.img" grub.efi "::/EFI/BOOT/$efiName"

if [ -d "$grub/i386-pc" ]; then
    make_image i386-pc core.img biosdisk serial terminal
    cat "$grub/i386-pc/cdboot.img" core.img > "$out/bios.img"
    cp "$grub/i386-pc/boot_hybrid.img" "$out/mbr.img"
fi
