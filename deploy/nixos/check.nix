# A machine with the portal, for `deploy/nixos/check`: what evaluates here has right options.
{ nixpkgs, system ? "x86_64-linux" }:

let
  eval = import (nixpkgs + "/nixos/lib/eval-config.nix") {
    inherit system;
    modules = [
      ./module.nix
      ({ pkgs, ... }: {
        boot.isContainer = true;
        services.nixos-images-portal = {
          enable = true;
          package = pkgs.callPackage ./package.nix { wheels = ./.; };
          hostName = "images.example.org";
          environmentFile = "/run/keys/nixos-images.env";
          systems = [ "x86_64-linux" "aarch64-linux" ];
          nginx.certificate = "/run/keys/tls.crt";
          nginx.key = "/run/keys/tls.key";
        };
      })
    ];
  };
in
{
  inherit (eval.config.system.build) toplevel;
  environment = eval.config.environment.etc."nixos-images/portal.env".text;
  nginx = eval.config.services.nginx.appendHttpConfig;
  wants = eval.config.systemd.targets.nixos-images.wants;
}
