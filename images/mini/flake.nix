{
  description = "The mini image: Debian's kernel and BusyBox as a small NixOS-like installer image";

  # packages.<system>.<variant> is packed on an x86_64 machine, for both systems;
  # packedOn.<builder system>.<system>.<variant> says where it is packed. The bytes are the same.
  outputs =
    { self }:
    let
      lock = builtins.fromJSON (builtins.readFile ./inputs.json);
      systems = builtins.attrNames lock.systems;
      eachSystem = make: builtins.listToAttrs (
        map (system: { name = system; value = make system; }) systems
      );
      version = import ./version.nix { inherit lock; narHash = self.narHash or null; };
    in
    rec {
      packedOn = eachSystem (
        builderSystem: eachSystem (
          system: import ./image.nix { inherit lock version builderSystem system; }
        )
      );
      packages = packedOn.x86_64-linux;
    };
}
