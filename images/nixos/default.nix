# The variants of the NixOS images for `system`, from the tree `nixpkgs` (a flake input).
{ nixpkgs, system }:
let
  evaluate =
    module:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      # platform.nix says it in the tree's own words; null keeps this machine's from being asked.
      system = null;
      modules = [
        (import ./modules/platform.nix { inherit nixpkgs system; })
        ./modules/installer.nix
        module
      ];
    };

  kexec = evaluate ./modules/kexec.nix;
in
rec {
  netboot = import ./pack/netboot.nix {
    inherit system;
    image = evaluate ./modules/netboot.nix;
  };

  kexec-installer = import ./pack/kexec-installer.nix {
    inherit system;
    image = kexec;
    variant = "kexec-installer";
    compressions = [ "gz" "xz" ];
  };

  kexec-installer-noninteractive = import ./pack/kexec-installer.nix {
    inherit system;
    image = evaluate ./modules/noninteractive.nix;
    variant = "kexec-installer-noninteractive";
    compressions = [ "gz" ];
  };

  kexec-bundle = import ./pack/kexec-bundle.nix {
    inherit system kexec-installer;
    image = kexec;
  };

  iso = import ./pack/iso.nix {
    inherit system;
    image = evaluate ./modules/iso.nix;
  };
}
