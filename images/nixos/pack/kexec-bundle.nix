# The tarball of the kexec installer as one file that verifies, unpacks and runs itself.
{ image, system, kexec-installer }:
let
  facts = import ./facts.nix { inherit image system; };
in
facts.output "kexec-bundle"
  {
    # The mini image has the same one.
    header = ../../kexec/bundle;
    payload = "${kexec-installer}/nixos-kexec-installer-${system}.tar.gz";
    bundle = "kexec-bundle-${system}";
  }
  ''
    digest=$(sha256sum $payload | cut -d ' ' -f 1)
    lines=$(wc -l < $header)
    sed "s/@digest@/$digest/; s/@lines@/$lines/" $header > $out/$bundle
    cat $payload >> $out/$bundle
    chmod 755 $out/$bundle
    product bundle $bundle
  ''
