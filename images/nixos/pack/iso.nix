# The ISO of nixpkgs' module, by a name that stays the same.
{ image, system }:
let
  facts = import ./facts.nix { inherit image system; };
in
facts.output "iso"
  {
    iso = image.config.system.build.isoImage;
    isoName = "nixos-installer-${system}.iso";
  }
  ''
    # nixpkgs has changed how it names the file more than once; there is one.
    ln -s $iso/iso/*.iso $out/$isoName
    test -s $out/$isoName
    product iso $isoName
  ''
