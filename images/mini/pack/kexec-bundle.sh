# Packs the tarball of the kexec installer as one file that verifies, unpacks and runs itself.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu

payload=$kexecInstaller/nixos-kexec-installer-$targetSystem.tar.gz
bundle=kexec-bundle-$targetSystem
mkdir -p "$out/nix-support"
digest=$(sha256sum < "$payload" | cut -d ' ' -f 1)
sed "s/@digest@/$digest/; s/@lines@/$(wc -l < "$header")/" "$header" > "$out/$bundle"
cat "$payload" >> "$out/$bundle"
chmod 755 "$out/$bundle"
echo "$bundle of $(stat -c %s "$out/$bundle") bytes"

printf '%s\n' "$imageJson" > "$out/nix-support/image.json"
printf '%s\n' "$packagesJson" > "$out/nix-support/packages.json"
echo "file bundle $out/$bundle" > "$out/nix-support/hydra-build-products"
