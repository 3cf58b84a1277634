# Carries over what made the earlier system reachable: keys, machine id, addresses, routes. The
# layout of /handover in the initrd is the one that kexec/run writes.
{ config, lib, options, pkgs, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) has;

  # Within parentheses: the script of stage 1 has a variable of the same name.
  keep = root: "(\nroot=${root}\n${builtins.readFile ../handover/keep.sh})\n";
  systemdInitrd = config.boot.initrd.systemd.enable or false;
in
{
  config = lib.mkMerge [
    # The initrd's files are gone after stage 1, which is either a script or a systemd of its own.
    (lib.mkIf (!systemdInitrd) { boot.initrd.postMountCommands = keep "$targetRoot"; })

    (lib.optionalAttrs (has "boot.initrd.systemd.services") {
      boot.initrd.systemd.services = lib.mkIf systemdInitrd {
        keep-handover = {
          description = "Keep what an earlier system handed over";
          wantedBy = [ "initrd.target" ];
          # Once everything is mounted, an overlay over /etc included.
          after = [ "initrd-fs.target" ];
          before = [ "initrd.target" "shutdown.target" ];
          conflicts = [ "shutdown.target" ];
          unitConfig = {
            DefaultDependencies = false;
            ConditionPathExists = "/handover";
            RequiresMountsFor = "/sysroot";
          };
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
          };
          script = keep "/sysroot";
        };
      };
    })

    {
      systemd.services.restore-handover = {
        description = "Restore what an earlier system handed over";
        # With the earliest: resolved and networkd don't wait for the usual services.
        wantedBy = [ "sysinit.target" ];
        after = [ "local-fs.target" ];
        before = [
          "sysinit.target"
          "network-pre.target"
          "systemd-networkd.service"
          "systemd-resolved.service"
          "shutdown.target"
        ];
        wants = [ "network-pre.target" ];
        conflicts = [ "shutdown.target" ];
        unitConfig = {
          DefaultDependencies = false;
          ConditionPathExists = "/run/handover";
        };
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
        };
        path = [ pkgs.coreutils pkgs.dropbear pkgs.gnused ];
        script = "set -- /run/handover ''\n" + builtins.readFile ../handover/restore.sh;
      };
    }
  ];
}
