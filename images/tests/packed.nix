# The variants as images/nixos/pack packs them, around the files of the folder `parts` in place of
# what a NixOS would give: it needs no nixpkgs, but the tools of the machine, hence no sandbox.
{ parts, system }:
let
  toplevel = "/nix/store/00000000000000000000000000000000-nixos-system-26.05";
  sha256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
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
      # As nixpkgs' has it: a folder with the registration of all that the roots reach.
      closureInfo =
        { rootPaths }:
        assert builtins.length rootPaths == 1;
        derivation {
          name = "closure-info";
          inherit system;
          builder = "/bin/bash";
          args = [
            "-euc"
            "mkdir $out; printf '%s\\n' ${toplevel} ${sha256} 4096 '' 0 > $out/registration"
          ];
          PATH = "/usr/bin:/bin";
        };
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
