# What all images have in common: an installer that root reaches by ssh and on every console.
{ lib, options, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) has set setFirst;
in
{
  imports = [
    ./console.nix
    ./handover.nix
    ./network.nix
    ./small.nix
    ./ssh.nix
    ./tools.nix
    ./zfs.nix
  ];

  config = lib.mkMerge [
    {
      # The portal's boot test waits for "nixos login:".
      networking.hostName = "nixos";
      users.users.root.initialHashedPassword = lib.mkForce "";

      # Nix forks while much of the memory holds files; the kernel's guess would forbid it.
      boot.kernel.sysctl."vm.overcommit_memory" = lib.mkDefault "1";
    }

    # The store lives in memory; compressed swap in memory makes more of it.
    (set "zramSwap.enable" true)

    # nixos-anywhere and others look for VARIANT_ID=installer.
    (
      if has "system.nixos.variant_id" then
        { system.nixos.variant_id = "installer"; }
      else
        { environment.etc."os-release".text = lib.mkAfter "VARIANT_ID=installer\n"; }
    )

    (
      if has "nix.settings" then
        {
          nix.settings = {
            experimental-features = [ "nix-command" "flakes" ];
            # A cache that is out of reach should cost seconds, not minutes.
            connect-timeout = 5;
            log-lines = 25;
          };
        }
      else
        { nix.extraOptions = "connect-timeout = 5\n"; }
    )

    # A machine that hangs in stage 1 is of no use to anybody; its console may help.
    (set "boot.initrd.systemd.emergencyAccess" true)

    # What the installed system keeps of its last crash is not the installer's to clear away.
    { environment.etc."systemd/pstore.conf".text = lib.mkDefault "[PStore]\nUnlink=no\n"; }
  ];
}
