# Makes a GRUB for UEFI that fetches kernel and initrd over HTTP, for machines without iPXE.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu
# shellcheck source=pack/unpack.sh
. "$unpack"
# shellcheck source=pack/tool.sh
. "$tool"

mkdir "$out"
unpack_packages
# Finds the disk that says what to fetch.
cat > start.cfg <<END
search --no-floppy --file --set=root /netboot.cfg
configfile /netboot.cfg
END

# All of it inside: it loads no module from where it lies.
modules='boot configfile echo efinet fat http linux net normal part_gpt part_msdos search
    search_fs_file'
# shellcheck disable=SC2086 # a list
tool grub-mkimage --directory "$unpacked/usr/lib/grub/$efiFormat" --format "$efiFormat" \
    --prefix /EFI/BOOT --config start.cfg --output "$out/grub.efi" $modules
