# Kernel, initrd and iPXE script for a boot over the network.
{ image, system }:
let
  facts = import ./facts.nix { inherit image system; };
  initrdName = "initrd-${system}";
  scriptName = "netboot-${system}.ipxe";
in
facts.output "netboot"
  {
    inherit initrdName scriptName;
    inherit (facts) kernelFile kernelName initrdFile;

    # iPXE fills in ${cmdline}: a script that chains to this one sets it to add parameters.
    ipxe = ''
      #!ipxe
      kernel ${facts.kernelName} initrd=${initrdName} ${facts.kernelParams} ''${cmdline}
      initrd --name ${initrdName} ${initrdName}
      boot
    '';
  }
  ''
    ln -s $kernelFile $out/$kernelName
    ln -s $initrdFile $out/$initrdName
    printf %s "$ipxe" > $out/$scriptName
    product kernel $kernelName
    product initrd $initrdName
    product ipxe $scriptName
  ''
