# What the outputs say of an evaluated image, and how each of them is laid out.
{ image, system }:
let
  inherit (image) config pkgs;
  inherit (config.boot.kernelPackages) kernel;

  # The initrd has the system in it, compressed. An output that named it by its store path would
  # drag it along once more, hence the discarded context; the initrd is what gets it built.
  init = builtins.unsafeDiscardStringContext "${config.system.build.toplevel}/init";
in
rec {
  version = config.system.nixos.version or config.system.nixosVersion;
  kernelFile = "${config.system.build.kernel}/${config.system.boot.loader.kernelFile}";
  kernelName = (if system == "x86_64-linux" then "bzImage-" else "Image-") + system;
  kernelParams = "init=${init} ${toString config.boot.kernelParams}";
  # What nixos-images measured for an initrd with the whole store in it: the kernel holds it twice
  # while it unpacks.
  minRamMib = 2560;
  initrdFile = "${config.system.build.netbootRamdisk}/initrd";

  # Every store path inside the image, with hashes and sizes, as `nix-store --load-db` takes it.
  # Packed, so that Nix does not take each for a reference of the output, which would drag all of
  # them along once more. Trees from before 2018 don't have it: then the portal asks the store.
  contents = if pkgs ? closureInfo then pkgs.closureInfo { rootPaths = storeContents; } else "";
  storeContents =
    config.netboot.storeContents
      or (config.isoImage.storeContents or [ config.system.build.toplevel ]);

  # A derivation whose script lays out files in $out and lists each with `product ROLE FILE`.
  output =
    variant: attributes: script:
    pkgs.runCommand "nixos-${variant}-${system}-${version}"
      (
        {
          inherit contents version;
          imageJson = builtins.toJSON {
            inherit version;
            kernel_version = kernel.modDirVersion or kernel.version;
            # The ISO reads its store from the medium.
            min_ram_mib = if variant == "iso" then 1024 else minRamMib;
          };
        }
        // attributes
      )
      ''
        product() {
          echo "file $1 $out/$2" >> $out/nix-support/hydra-build-products
        }
        mkdir -p $out/nix-support
        printf '%s\n' "$imageJson" > $out/nix-support/image.json
        if [ -n "$contents" ]; then
          gzip --no-name < $contents/registration > $out/nix-support/closure-registration.gz
        fi
        ${script}
      '';
}
