# ZFS, where its module builds for the kernel of the image: right after a new kernel it may not.
{ lib, options, pkgs, ... }:
let
  # Not config.boot.kernelPackages, the same by default: other file systems choose a kernel, so
  # the question which of them are supported would turn in a circle.
  module = pkgs.linuxPackages.${pkgs.zfs.kernelModuleAttribute or "zfs"} or null;
  builds = module != null && (module.meta.available or (!(module.meta.broken or false)));
in
{
  config = lib.mkMerge [
    {
      boot.supportedFilesystems =
        # A list in NixOS before 24.05.
        if lib.isList options.boot.supportedFilesystems.default then
          lib.optional builds "zfs"
        else
          { zfs = lib.mkForce builds; };
    }
    # ZFS wants to know the machine; one that installs is always the same to it.
    { networking.hostId = "6e69786f"; }
  ];
}
