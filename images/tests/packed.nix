# The variants as images/nixos/pack packs them, around the files of the folder `parts` in place of
# what a NixOS would give: it needs no nixpkgs, but the tools of the machine, hence no sandbox.
{ parts, system }:
let
  folder = builtins.path { path = parts; name = "parts"; };
  image = {
    config = {
      system.nixos.version = "26.05.20260820.b18a4b9";
      system.build = {
        toplevel = "/nix/store/00000000000000000000000000000000-nixos-system";
        kernel = folder;
        netbootRamdisk = folder;
        isoImage = folder;
      };
      system.boot.loader.kernelFile = "kernel";
      boot.kernelParams = [ "console=tty0" "console=ttyS0,115200" ];
      boot.kernelPackages.kernel.version = "6.18.1";
    };
    pkgs = {
      runCommand =
        name: attributes: script:
        derivation (
          {
            inherit name system;
            builder = "/bin/bash";
            args = [ "-euc" script ];
            PATH = "/usr/bin:/bin";
          }
          // attributes
        );
      xz = "";
      pkgsStatic = {
        kexec-tools = folder;
        iproute2.override = _: folder;
      };
    };
  };
  pack = ../nixos/pack;
in
rec {
  netboot = import (pack + "/netboot.nix") { inherit image system; };

  kexec-installer = import (pack + "/kexec-installer.nix") {
    inherit image system;
    variant = "kexec-installer";
    compressions = [ "gz" "xz" ];
  };

  kexec-bundle = import (pack + "/kexec-bundle.nix") { inherit image system kexec-installer; };

  iso = import (pack + "/iso.nix") { inherit image system; };
}
