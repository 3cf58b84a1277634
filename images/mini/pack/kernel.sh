# Takes the kernel, and the modules that the image may load, out of Debian's kernel package.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $packages, $modules and $out are the derivation's
set -eu

for package in $packages; do
    dpkg-deb -x "$package" unpacked
done
release=$(basename unpacked/boot/vmlinuz-*)
release=${release#vmlinuz-}
from=$(find unpacked -type d -path "*/lib/modules/$release")
to=$out/lib/modules/$release

echo "kernel $release with the modules $modules"
mkdir -p "$to"
cp unpacked/boot/vmlinuz-* "$out/kernel"

# depmod looks below lib/modules, where newer packages have usr/lib/modules.
depmod -b "${from%/lib/modules/*}" "$release"
for module in $modules; do
    # "folder/name.ko: folder/needed.ko folder/needed-by-that.ko"; nothing where it is built in.
    files=$(grep "/$module\.ko[.a-z]*:" "$from/modules.dep" | tr -d ':') || continue
    for file in $files; do
        mkdir -p "$to/${file%/*}"
        cp "$from/$file" "$to/$file"
    done
done
find "$to" -name '*.ko.xz' -exec unxz {} +

cp "$from/modules.builtin" "$to"
depmod -b "$out" "$release"
rm "$to/modules.symbols"
# depmod writes in the order in which the file system lists the files.
for index in "$to/modules.dep" "$to/modules.alias"; do
    sort "$index" -o "$index"
done
