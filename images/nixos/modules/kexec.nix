# The netboot image as it is reached by kexec: without the copy of nixpkgs, to need less memory.
{ lib, options, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) set;
in
{
  imports = [ ./netboot.nix ];

  config = set "system.installer.channel.enable" false;
}
