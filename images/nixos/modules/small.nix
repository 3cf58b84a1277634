# Leaves the manuals out: an installer lives in memory.
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
  ];
}
