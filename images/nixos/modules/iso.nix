# The image for a stick or a CD, with a person in front of it.
{ lib, modulesPath, options, pkgs, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) has set;
in
{
  imports = [
    (modulesPath + "/installer/cd-dvd/installation-cd-minimal.nix")
    (modulesPath + "/profiles/minimal.nix")
  ];

  config = lib.mkMerge [
    {
      installer.rootPassword = true;
      installer.screenFirst = true;
    }
    # Laptops: `iwctl station wlan0 connect NAME`.
    (set "networking.wireless.iwd.enable" true)
    # Old trees, which are only evaluated, have no EFI for it.
    (lib.mkIf (!has "nixpkgs.hostPlatform" && pkgs.stdenv.hostPlatform.system == "aarch64-linux") {
      isoImage.makeEfiBootable = lib.mkForce false;
    })
  ];
}
