# The image's version: Debian's release, the day of the lock, and the flake's own hash.
{ lock, narHash }:
let
  inherit (builtins) elemAt foldl' genList stringLength substring;

  # `self.narHash` is base64 (sha256-…=); Nix before 2.19 has no builtin that converts a hash.
  letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  numbers = builtins.listToAttrs (
    genList (number: { name = substring number 1 letters; value = number; }) 64
  );
  digit = number: substring number 1 "0123456789abcdef";
  # Two letters of base64 are 12 bits, which are three digits of hex.
  pairToHex =
    pair:
    let
      bits = numbers.${substring 0 1 pair} * 64 + numbers.${substring 1 1 pair};
    in
    digit (bits / 256) + digit (bits / 16 - bits / 256 * 16) + digit (bits - bits / 16 * 16);

  encoded = elemAt (builtins.match "sha256-(.*)" narHash) 0;
  revision =
    if narHash == null then
      "dirty"
    else
      substring 0 7 (foldl' (hex: place: hex + pairToHex (substring place 2 encoded)) "" [ 0 2 4 ]);
in
"${lock.release}.${lock.date}.${revision}"
