# Offers a file of another variant by a name of its own.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu

mkdir -p "$out/nix-support"
ln -s "$file" "$out/$linkName"
printf '%s\n' "$imageJson" > "$out/nix-support/image.json"
printf '%s\n' "$packagesJson" > "$out/nix-support/packages.json"
echo "file $role $out/$linkName" > "$out/nix-support/hydra-build-products"
