{
  description = "NixOS installer images: netboot, kexec and ISO";

  # No flake of nixpkgs is needed, its files are enough: so trees that are older than flakes work
  # too. The portal overrides this input with the revision that a channel has today.
  inputs.nixpkgs = {
    url = "github:NixOS/nixpkgs/nixos-unstable";
    flake = false;
  };

  outputs =
    { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
    in
    {
      packages = builtins.listToAttrs (
        map (system: { name = system; value = import ./nixos { inherit nixpkgs system; }; }) systems
      );
    };
}
