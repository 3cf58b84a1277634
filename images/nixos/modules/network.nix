# Addresses by DHCP and router advertisement on every card, by networkd; handover.nix adds those
# that an earlier system had.
{ lib, options, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) set;
in
{
  config = lib.mkMerge [
    {
      networking = {
        useNetworkd = true;
        useDHCP = lib.mkForce true;
        networkmanager.enable = lib.mkForce false;
        wireless.enable = lib.mkForce false;
        # Only sshd listens, and it should be reachable.
        firewall.enable = false;
      };
    }
    # One card with an address is enough; the others may have no cable.
    (set "systemd.network.wait-online.anyInterface" true)
  ];
}
