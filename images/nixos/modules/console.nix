# Screen and serial port both show the boot and take a root shell.
{ config, lib, options, pkgs, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) setFirst;

  screen = [ "console=tty0" ];
  serial =
    # Servers of this kind have one or the other; a name without a port is passed over.
    lib.optional (lib.hasPrefix "aarch64" pkgs.stdenv.hostPlatform.system) "console=ttyAMA0,115200"
    ++ [ "console=ttyS0,115200" ];
in
{
  options.installer.screenFirst = lib.mkOption {
    type = lib.types.bool;
    default = false;
    description = "Whether stage 1 talks to a person at a screen rather than at a serial port.";
  };

  config = lib.mkMerge [
    {
      # The last one is /dev/console: the messages of stage 1 and systemd, and the emergency shell.
      boot.kernelParams =
        if config.installer.screenFirst then serial ++ screen else screen ++ serial;
    }
    (setFirst [ "services.getty.autologinUser" "services.mingetty.autologinUser" ] (
      lib.mkForce "root"
    ))
    (setFirst [ "services.getty.helpLine" "services.mingetty.helpLine" ] (
      lib.mkForce "This is an installer: you are root. `ip address` shows how to reach it by ssh.\n"
    ))
  ];
}
