# An image that is all in its initrd, for a person at a console or over ssh.
{ modulesPath, ... }:
{
  imports = [ (modulesPath + "/installer/netboot/netboot-minimal.nix") ];
}
