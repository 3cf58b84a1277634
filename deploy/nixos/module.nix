# services.nixos-images-portal: the portal on NixOS, over the units of deploy/systemd.
{ config, lib, options, pkgs, ... }:

with lib;

let
  cfg = config.services.nixos-images-portal;

  processes = [ "prepare" "web" "beat" "default" "check" "build@" "signer" "count" ];

  # What the programs call: Nix builds, QEMU boots, ssh-keygen signs.
  programs = with pkgs; [ coreutils nix git openssh qemu util xz gnutar gzip ];
  util = pkgs."util-linux" or pkgs.utillinux;

  environment = {
    DATABASE_URL = "postgres://nixos-images@/nixos-images?host=/run/postgresql";
    REDIS_URL = "redis://127.0.0.1:6379/0";
    PORTAL_URL = "https://${cfg.hostName}";
    ALLOWED_HOSTS = cfg.hostName;
    LOG_FORMAT = "json";
  } // optionalAttrs cfg.nginx.enable {
    X_ACCEL_REDIRECT = "true";
    TRUSTED_PROXIES = "1";
  } // cfg.settings;

  lineOf = name: value: "${name}=${value}";

  fill = names: replaceStrings
    (map (name: "\${" + name + "}") (attrNames names))
    (map toString (attrValues names));
in
{
  options.services.nixos-images-portal = {
    enable = mkEnableOption "the NixOS images portal";

    package = mkOption {
      type = types.package;
      description = "The portal with its units: package.nix, called with a folder of wheels.";
    };

    hostName = mkOption {
      type = types.str;
      example = "images.example.org";
      description = "The name by which people and machines reach it.";
    };

    settings = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = { NIX_EXTRA_PLATFORMS = "aarch64-linux"; };
      description = "Settings as in docs/settings.md. They lie in the store: no secrets here.";
    };

    environmentFile = mkOption {
      type = types.str;
      example = "/run/keys/nixos-images.env";
      description = "A file with the settings that are secret: SECRET_KEY, and keys of S3.";
    };

    systems = mkOption {
      type = types.listOf (types.enum [ "x86_64-linux" "aarch64-linux" ]);
      default = [ "x86_64-linux" ];
      description = "What is built here, by a worker for each.";
    };

    createLocally = mkOption {
      type = types.bool;
      default = true;
      description = "Whether PostgreSQL and Redis run here, for the portal.";
    };

    nginx = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether nginx stands before it, and sends its files.";
      };
      certificate = mkOption {
        type = types.str;
        description = "The path of the TLS certificate, with its chain.";
      };
      key = mkOption {
        type = types.str;
        description = "The path of its key.";
      };
      bucketOrigin = mkOption {
        type = types.str;
        default = "http://127.0.0.1:9";
        example = "https://s3.example.org";
        description = "Scheme and host of the URLs that the portal signs, where files lie in S3.";
      };
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      users.users.nixos-images = {
        description = "NixOS images portal";
        group = "nixos-images";
        extraGroups = [ "kvm" "adm" ];
        home = "/var/lib/nixos-images";
        isSystemUser = true;
      };
      users.users.nixos-images-signer = {
        description = "signer of the NixOS images portal";
        group = "nixos-images";
        isSystemUser = true;
      };
      users.groups.nixos-images = { };
      users.groups.adm = { };
      nix =
        if options.nix ? settings
        then { settings.trusted-users = [ "nixos-images" ]; }
        else { trustedUsers = [ "nixos-images" ]; };

      environment.etc."nixos-images/portal.env".text =
        concatStringsSep "\n" (mapAttrsToList lineOf environment) + "\n";

      systemd.packages = [ cfg.package ];
      systemd.targets.multi-user.wants = [ "nixos-images.target" ];
      systemd.targets.nixos-images.wants = [
        "nixos-images-prepare.service"
        "nixos-images-web.socket"
        "nixos-images-web.service"
        "nixos-images-beat.service"
        "nixos-images-default.service"
        "nixos-images-check.service"
        "nixos-images-signer.service"
      ] ++ map (system: "nixos-images-build@${system}.service") cfg.systems
        ++ optional cfg.nginx.enable "nixos-images-count.timer";

      # Overrides of the packaged units: where programs are, and the secrets.
      systemd.services = listToAttrs (map
        (name: nameValuePair "nixos-images-${name}" {
          path = programs;
          serviceConfig.EnvironmentFile = [ cfg.environmentFile ];
          restartTriggers = [ config.environment.etc."nixos-images/portal.env".text ];
        })
        processes) // {
        # Builds take what nobody else wants, and a tenth of the rest.
        nix-daemon.serviceConfig = { CPUWeight = mkDefault 10; IOWeight = mkDefault 10; };
      };
    }

    (mkIf cfg.createLocally (mkMerge [
      {
        services.postgresql.enable = true;
      }
      (if options.services.postgresql ? ensureDatabases then {
        services.postgresql.ensureDatabases = [ "nixos-images" ];
        services.postgresql.ensureUsers = [ ({ name = "nixos-images"; ensureDBOwnership = true; }) ];
      } else {
        services.postgresql.initialScript = pkgs.writeText "nixos-images.sql" ''
          CREATE ROLE "nixos-images" LOGIN;
          CREATE DATABASE "nixos-images" OWNER "nixos-images";
        '';
      })
      {
        services.postgresql.identMap = ''
          portal nixos-images        nixos-images
          portal nixos-images-signer nixos-images
        '';
        services.postgresql.authentication = mkBefore ''
          local nixos-images nixos-images peer map=portal
        '';
      }
      (if options.services.redis ? servers then {
        services.redis.servers.nixos-images = {
          enable = true;
          port = 6379;
          appendOnly = true;
          settings.maxmemory-policy = "noeviction";
        };
      } else {
        services.redis.enable = true;
        services.redis.appendOnly = true;
        services.redis.extraConfig = "maxmemory-policy noeviction";
      })
    ]))

    (mkIf cfg.nginx.enable {
      services.nginx.enable = true;
      services.nginx.appendHttpConfig = fill {
        SERVER_NAME = cfg.hostName;
        PORTAL_UPSTREAM = "127.0.0.1:8000";
        DATA_DIR = "/var/lib/nixos-images";
        LOG_DIR = "/var/log/nginx";
        BUCKET_ORIGIN = cfg.nginx.bucketOrigin;
        HTTP_PORT = 80;
        HTTPS_PORT = 443;
        TO_HTTPS = 1;
        TLS_CERTIFICATE = cfg.nginx.certificate;
        TLS_KEY = cfg.nginx.key;
      } (builtins.readFile ../nginx/portal.conf.template);
      networking.firewall.allowedTCPPorts = [ 80 443 ];
    })
  ]);
}
