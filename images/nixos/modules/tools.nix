# The programs that people and installers (disko, nixos-anywhere, nixos-facter) expect to find.
{ lib, options, pkgs, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) set;

  wanted = [
    "cryptsetup"
    "disko"
    "dosfstools"
    "e2fsprogs"
    "gptfdisk"
    "jq"
    "lvm2"
    "mdadm"
    "nixos-facter"
    "parted"
    "rsync"
  ];
in
{
  config = lib.mkMerge [
    {
      # Old trees don't have all of them.
      environment.systemPackages = map (name: pkgs.${name}) (lib.filter (name: pkgs ? ${name}) wanted);

      boot.supportedFilesystems = [ "btrfs" "ext4" "f2fs" "ntfs" "vfat" "xfs" ];
      # Not loaded by itself when mdadm or lvm makes a new array.
      boot.kernelModules = [ "dm-raid" ];
    }
    (set "boot.swraid.enable" true)
    # mdadm refuses to watch arrays without an address to write to.
    (set "boot.swraid.mdadmConf" (lib.mkDefault "PROGRAM ${pkgs.coreutils}/bin/true"))
  ];
}
