# ssh for root, by keys; an image that gets no keys may show a random password on its console.
{ config, lib, options, pkgs, ... }:
let
  inherit (import ../set.nix { inherit lib options; }) has;

  withPassword = config.installer.rootPassword;
in
{
  options.installer.rootPassword = lib.mkOption {
    type = lib.types.bool;
    default = false;
    description = "Whether each boot makes up a password for root and shows it on the consoles.";
  };

  config = lib.mkMerge [
    {
      services.openssh = {
        enable = true;
        # An earlier system may have been known by any of these.
        hostKeys = map (type: { inherit type; path = "/etc/ssh/ssh_host_${type}_key"; }) [
          "rsa"
          "ecdsa"
          "ed25519"
        ];
      };
      # Old installers start sshd only when asked to.
      systemd.services.sshd.wantedBy = lib.mkOverride 40 [ "multi-user.target" ];
    }

    (
      let
        root = if withPassword then "yes" else "prohibit-password";
      in
      if has "services.openssh.settings" then
        {
          services.openssh.settings = {
            PermitRootLogin = lib.mkForce root;
            PasswordAuthentication = lib.mkForce withPassword;
            KbdInteractiveAuthentication = lib.mkForce false;
          };
        }
      else
        {
          services.openssh = {
            permitRootLogin = lib.mkForce root;
            passwordAuthentication = lib.mkForce withPassword;
            challengeResponseAuthentication = lib.mkForce false;
          };
        }
    )

    (lib.mkIf withPassword {
      systemd.services.root-password = {
        description = "Make up a password for root and show it on the consoles";
        wantedBy = [ "multi-user.target" ];
        # The login prompts, which print what is in issue.d, wait for this one.
        before = [ "systemd-user-sessions.service" "sshd.service" ];
        path = [ pkgs.coreutils pkgs.shadow ];
        # Whoever handed over a key needs none.
        unitConfig.ConditionFileNotEmpty = "!/root/.ssh/authorized_keys";
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
        };
        script = ''
          # 15 signs of 31, none of which looks like another: 74 bits.
          password=$(tr -dc a-hjkmnp-z2-9 < /dev/urandom | head -c 15)
          echo "root:$password" | chpasswd
          mkdir -p /run/issue.d
          printf '\nssh to this machine as root, with the password %s or with a key.\n\n' \
            "$password" > /run/issue.d/root-password.issue
        '';
      };
    })
  ];
}
