# The smallest image, for programs that install over ssh: no editor, no channel, no rescue tools.
{ lib, modulesPath, options, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) set;

  # Now an option, hardware.enableAllHardware; before NixOS 25.05 a profile.
  allHardware = modulesPath + "/profiles/all-hardware.nix";
  isOption = builtins.pathExists (modulesPath + "/hardware/all-hardware.nix");
in
{
  # nixpkgs' own netboot images bring profiles whose programs could not be taken out again.
  imports = [
    (modulesPath + "/installer/netboot/netboot.nix")
    (modulesPath + "/profiles/minimal.nix")
  ]
  ++ lib.optional (!isOption) allHardware;

  config = lib.mkMerge [
    (set "hardware.enableAllHardware" true)
    # As in nixpkgs' netboot-minimal: firmware is larger than all else together.
    (set "hardware.enableRedistributableFirmware" (lib.mkForce false))

    (set "programs.nano.enable" false)
    (set "security.sudo.enable" false)
    (set "fonts.fontconfig.enable" false)

    # Nobody logs in to look: what goes wrong has to be on the console, which a hoster may record.
    { services.journald.console = "/dev/console"; }
  ];
}
