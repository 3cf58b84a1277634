# Lays out kernel, initrd and iPXE script for a boot over the network.
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables that have no value here are the derivation's
set -eu

initrdName=initrd-$targetSystem
scriptName=netboot-$targetSystem.ipxe
mkdir -p "$out/nix-support"
cp "$kernel/kernel" "$out/$kernelName"
cp "$initrd/initrd" "$out/$initrdName"

# iPXE fills in ${cmdline}: a script that chains to this one sets it to add parameters.
cat > "$out/$scriptName" <<END
#!ipxe
kernel $kernelName initrd=$initrdName $kernelParams \${cmdline}
initrd --name $initrdName $initrdName
boot
END

printf '%s\n' "$imageJson" > "$out/nix-support/image.json"
printf '%s\n' "$packagesJson" > "$out/nix-support/packages.json"
cat > "$out/nix-support/hydra-build-products" <<END
file kernel $out/$kernelName
file initrd $out/$initrdName
file ipxe $out/$scriptName
END
