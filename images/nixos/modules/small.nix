# Leaves out what an installer that lives in memory doesn't need: manuals, above all.
{ lib, options, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) set;

  # nixpkgs' installers ask for manuals by force, hence more force.
  never = lib.mkOverride 40 false;
in
{
  config = lib.mkMerge [
    (set "documentation.enable" never)
    (set "documentation.doc.enable" never)
    (set "documentation.info.enable" never)
    (set "documentation.man.enable" never)
    (set "documentation.nixos.enable" never)
    # NixOS before 18.09 has these instead.
    (set "services.nixosManual.enable" never)
    (set "programs.man.enable" never)
    (set "programs.info.enable" never)

    (set "programs.command-not-found.enable" never)
    (set "services.logrotate.enable" never)
    (set "services.udisks2.enable" never)
    # Tools to build something in the image: an installer substitutes, or builds elsewhere.
    { system.extraDependencies = lib.mkOverride 40 [ ]; }
  ];
}
