# Which system is built from which nixpkgs, and the version that follows from it.
{ nixpkgs, system }:
{ config, lib, options, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) set setFirst has;

  # As nixpkgs' own flake names its versions, 26.05.20260820.b18a4b9: a release that is built from
  # the flake and one that is built from here are called the same. A folder has neither a
  # revision nor a time of its own; digits of its hash take their place.
  date = lib.optionalString ((nixpkgs.lastModified or 0) != 0) ".${
    builtins.substring 0 8 nixpkgs.lastModifiedDate
  }";
  revision =
    nixpkgs.shortRev
      or (builtins.substring 0 7 (builtins.hashString "sha256" (nixpkgs.narHash or "unknown")));
in
{
  config = lib.mkMerge [
    (setFirst [ "nixpkgs.hostPlatform" "nixpkgs.system" ] system)
    (setFirst [ "system.nixos.versionSuffix" "system.nixosVersionSuffix" ] "${date}.${revision}")
    (lib.optionalAttrs (nixpkgs ? rev) (
      setFirst [ "system.nixos.revision" "system.nixosRevision" ] nixpkgs.rev
    ))
    # An image keeps no state: every boot is as new as the image.
    (set "system.stateVersion" (
      if has "system.nixos.release" then config.system.nixos.release else config.system.nixosRelease
    ))
    # Trees this old are not built, only evaluated to prove these modules. They want syslinux in
    # every image, and refuse it on aarch64.
    (lib.optionalAttrs (!has "nixpkgs.hostPlatform") {
      nixpkgs.config = {
        allowBroken = true;
        allowUnsupportedSystem = true;
      };
    })
  ];
}
